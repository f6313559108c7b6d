"""What a person writes is read by the same rules, wherever it comes in."""

from __future__ import annotations

import math
import subprocess
import sys
from io import BytesIO

import pytest

from ygg.errors import InvalidInput
from ygg.intake import parsing, times
from ygg.intake.parsing import TooMuch, Unreadable, document, lines

NOW = 1_800_000_000_000
DAY_S = 86_400.0


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        (b"", "Expecting value"),
        (b"{", "Expecting property name"),
        (b"\xff", "not UTF-8 text"),
        (b"[" * 100_000, "nested too deeply"),
        (b"[NaN]", "NaN is no JSON number"),
        (b"-Infinity", "-Infinity is no JSON number"),
    ],
)  # fmt: skip
def test_bytes_that_are_no_document_say_why(raw: bytes, says: str) -> None:
    with pytest.raises(Unreadable) as caught:
        document(raw)
    assert str(caught.value).startswith(says)


def test_lines_have_their_numbers_and_each_its_document_or_what_is_wrong() -> None:
    found = [*lines(BytesIO(b'{"a": 1}\n \n{\n[1e99]\n[1e999]'))]
    assert [n for n, _ in found] == [1, 3, 4, 5]
    (_, first), (_, broken), (_, large), (_, beyond) = found
    assert (first, large) == ({"a": 1}, [1e99])
    assert isinstance(broken, Unreadable)
    assert str(beyond) == "1e999 is no JSON number"
    assert document(b"[1e999]") == [math.inf]


def test_a_line_that_is_too_much_is_told_and_the_others_are_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(parsing, "DOCUMENT_MAX", 1000)
    monkeypatch.setattr(parsing, "SLICE", 64)
    long, many = b'{"prompt": "' + b"x" * 5000 + b'"}', b"[" + b"1," * 450 + b"1]"
    stream = BytesIO(b"\n".join([b"1", long, b"2", many, b"3"]))
    monkeypatch.setattr(parsing, "DOCUMENT_VALUES", 400)
    found = dict(lines(stream))
    assert [found[1], found[3], found[5]] == [1, 2, 3]
    assert isinstance(found[2], TooMuch)
    assert str(found[2]).startswith("longer than")
    assert str(found[4]) == "more than 400 values"


@pytest.mark.parametrize("slice_", [1, 2, 3, 7, 65_536])
@pytest.mark.parametrize(
    ("raw", "count"),
    [
        (b'{"a": 1, "b": [2, 3]}', 4),
        (b'{"a,{[": "x,y,\\",z", "b": "\\\\"}', 2),
        (b'["\\\\", "\\\\\\"", 1]', 3),
        (b'"' + b"," * 1000 + b'"', 0),
        ('["ö, \u2028,", "🙂"]'.encode(), 2),
    ],
)
def test_values_are_counted_outside_of_strings_wherever_slices_end(
    monkeypatch: pytest.MonkeyPatch, raw: bytes, count: int, slice_: int
) -> None:
    monkeypatch.setattr(parsing, "SLICE", slice_)
    assert parsing.values(raw) == count


def test_many_values_are_refused_before_they_are_made() -> None:
    raw = b"{" + b",".join(b'"%d":1' % n for n in range(400_000)) + b"}"
    with pytest.raises(TooMuch, match="more than 300,000 values"):
        document(raw)


def test_a_document_is_read_as_it_is() -> None:
    assert document('{"a": [1, 2.5, "ö", null]}'.encode()) == {"a": [1, 2.5, "ö", None]}


def test_reading_needs_the_standard_library_alone() -> None:
    code = "import sys, ygg.intake.parsing; print(*sorted(m for m in sys.modules if '.' not in m))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not set(out.stdout.split()) & {"pydantic", "fastapi", "asyncio", "yaml", "httpx"}


@pytest.mark.parametrize(
    ("written", "expected"),
    [(90, 90.0), ("90", 90.0), ("1.5", 1.5), ("10m", 600.0), ("1h30m", 5400.0), (0.5, 0.5)],
)
def test_a_duration_is_seconds_or_has_a_unit(written: str | float, expected: float) -> None:
    assert times.written_seconds(written) == expected


@pytest.mark.parametrize("written", ["", "soon", "0", "-1", "1.2.3", "²", ".", True, 1e30, "11y"])
def test_what_is_no_duration_is_refused(written: str | float) -> None:
    with pytest.raises(ValueError, match=r"no duration|out of range"):
        times.written_seconds(written)
    with pytest.raises(InvalidInput, match=r"^timeout: "):
        times.duration("timeout", written)


def test_a_duration_has_its_longest() -> None:
    assert times.duration("timeout", "7d", 7 * DAY_S) == 7 * DAY_S
    with pytest.raises(InvalidInput, match="timeout: expected at most 7 days, got 8d"):
        times.duration("timeout", "8d", 7 * DAY_S)


def test_a_moment_is_a_time_or_so_long_from_now() -> None:
    assert times.moment("not_before", None, NOW) is None
    assert times.moment("not_before", "10m", NOW) == NOW + 600_000
    assert times.moment("not_before", "2027-01-15T09:00+01:00", NOW) == NOW
    assert times.moment("not_before", "2027-01-15T08:00", NOW) == NOW


def test_a_deadline_leaves_time_to_run() -> None:
    assert times.deadline("2h", NOW, NOW + 1) == NOW + 7_200_000
    with pytest.raises(InvalidInput, match="already passed"):
        times.deadline("2001-01-01T00:00", NOW, None)
    with pytest.raises(InvalidInput, match="before not_before"):
        times.deadline("1h", NOW, NOW + 3_600_000)
