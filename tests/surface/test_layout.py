"""What commands print on a terminal of any width: nothing is cut, everything fits."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from ygg.cli.layout import field, sentence, table
from ygg.cli.output import clock
from ygg.view.text import width

HEADER = ("ID", "STATE", "TITLE")
ROWS = [
    ("1mcc5rm46-zy1ma8", "failed", "Describe picture 4711 in three short sentences"),
    ("b", "queued", "Short"),
]
WORDS = st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=12)
CELLS = st.lists(WORDS, max_size=12).map(" ".join)


def laid(room: int) -> list[str]:
    return [*table(HEADER, ROWS, room)]


def test_columns_stand_beside_each_other_where_they_fit() -> None:
    assert laid(0) == laid(200) == [
        "ID                STATE   TITLE",
        "1mcc5rm46-zy1ma8  failed  Describe picture 4711 in three short sentences",
        "b                 queued  Short",
    ]  # fmt: skip


def test_a_text_that_does_not_fit_stands_below_its_row() -> None:
    assert laid(40) == [
        "ID                STATE   TITLE",
        "1mcc5rm46-zy1ma8  failed",
        "    Describe picture 4711 in three short",
        "    sentences",
        "b                 queued  Short",
    ]


def test_where_columns_do_not_fit_each_row_is_a_block() -> None:
    assert laid(20) == [
        "1mcc5rm46-zy1ma8",
        "  STATE failed",
        "  TITLE Describe",
        "    picture 4711 in",
        "    three short",
        "    sentences",
        "b",
        "  STATE queued",
        "  TITLE Short",
    ]


@given(st.lists(st.tuples(WORDS, WORDS, CELLS), max_size=5), st.integers(20, 120))
def test_nothing_is_cut_and_everything_fits(rows: list[tuple[str, str, str]], room: int) -> None:
    lines = [*table(HEADER, rows, room)]
    assert all(width(line) <= room for line in lines)
    said = "".join("".join(lines).split())
    for row in rows:
        assert all("".join(cell.split()) in said for cell in row)


@given(CELLS, st.integers(20, 120))
def test_sentences_and_fields_lose_nothing(text: str, room: int) -> None:
    for lines in ([*sentence(text, room, "  ")], [*field("because", text, 15, room)]):
        assert all(width(line) <= room for line in lines)
        assert "".join(text.split()) in "".join("".join(lines).split())


def test_a_time_is_told_by_the_clock_and_with_its_day_where_that_is_not_today() -> None:
    now = datetime.now().astimezone().replace(microsecond=0)
    assert clock(now.astimezone(UTC).isoformat()) in (f"{now:%H:%M:%S}", f"{now:%Y-%m-%d %H:%M:%S}")
    past = datetime(2020, 2, 3, 4, 5, 6).astimezone()
    assert clock(past.astimezone(UTC).isoformat()) == "2020-02-03 04:05:06"
    assert clock(None) == ""
