"""The live view: one pure function from a snapshot to rows that fit any terminal."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.surface.view_world import AT, GOLDEN, frames, home, host, text
from ygg.model import HostHealth, Snapshot
from ygg.view.keys import names
from ygg.view.render import render
from ygg.view.text import clean, duration, fit, width
from ygg.view.ui import Action, Ui, press

PANES = st.sampled_from(["", "host", "task", "log", "help"])
ANYTHING = st.text(max_size=60)


@pytest.mark.parametrize("name", sorted(frames()))
def test_frames_are_those_that_were_looked_at(name: str) -> None:
    assert frames()[name] == (GOLDEN / name).read_text(encoding="utf-8"), (
        "python -m tests.surface.view_world"
    )


def told(words: str) -> Snapshot:
    """The home with `words` wherever foreign text may stand."""
    view = home()
    hosts = tuple(replace(h, name=words or "x", health_text=words, models=(words,), loaded=None, version=words)
                  for h in view.hosts)  # fmt: skip
    return replace(
        view, hosts=hosts, log=(words, words), store_error=words,
        running=tuple(replace(r, title=words, type=words, model=words) for r in view.running),
        waiting=tuple(replace(w, type=words, reason=replace(w.reason, facts={"said": words})) for w in view.waiting),
        recent=tuple(replace(e, reason=words, host=words, type=words) for e in view.recent),
    )  # fmt: skip


@given(
    ANYTHING,
    st.integers(20, 200),
    st.integers(5, 70),
    PANES,
    st.integers(0, 40),
    ANYTHING,
    st.booleans(),
)
def test_a_frame_fills_the_terminal_exactly_whatever_the_text(
    words: str, columns: int, rows: int, pane: str, cursor: int, wanted: str, ascii_: bool
) -> None:
    ui = Ui(pane, cursor, wanted, typing=not pane and bool(wanted))
    frame = render(told(words), columns, rows, ascii=ascii_, ui=ui)
    assert len(frame) == rows
    assert {width(row.text) for row in frame} == {columns}
    assert all(clean(row.text) == row.text for row in frame)
    assert not ascii_ or all(row.text.isascii() for row in frame)


def test_an_empty_house_has_a_frame_too() -> None:
    view = replace(
        home(), hosts=(), running=(), waiting=(), recent=(), log=(), per_minute=None, drain_ms=None
    )
    for pane in ("", "host", "task", "log", "help"):
        assert len(render(view, 80, 24, ui=Ui(pane))) == 24
    assert "--/min" in text(view, 80, 24)


def test_a_reading_that_is_not_there_is_two_dashes_and_never_a_number() -> None:
    view = replace(home(), hosts=(home().hosts[0], host("new", 1)))
    row = next(r for r in text(view, 100, 30).splitlines() if " new " in r)
    assert row.count("--") == 7  # gauge, percent, free, temperature, power, tokens, sparkline


def test_a_stale_reading_is_dim_and_tells_its_age() -> None:
    rows = render(home(), 80, 24)
    (span,) = [s for row in rows for s in row.spans if "63°C" in s.text]
    assert span.text.strip() == "63°C 14s"
    assert span.style == "dim"


def test_alerts_come_first() -> None:
    frame = text(replace(home(), paused=True, store_error="disk full"), 80, 24).splitlines()
    assert "disk full" in frame[1]
    assert "paused" in frame[2]


def test_states_are_glyphs_and_words_and_not_colours_alone() -> None:
    plain = [row.text for row in render(home(), 80, 24, colour=False)]
    assert next(r for r in plain if "odin" in r).startswith(" ✗ odin            0/16  down: ")
    assert next(r for r in plain if " hel " in r).split() == ["◌", "hel", "··", "drained"]


# --- keys -----------------------------------------------------------------------------------------


def typed(
    *keys: str, ui: Ui | None = None, view: Snapshot | None = None
) -> tuple[Ui, Action | None]:
    ui, action = ui or Ui(), None
    for key in keys:
        ui, action = press(ui, key, view or home())
    return ui, action


def test_keys_open_and_close_panes() -> None:
    for key, pane in {"t": "task", "h": "host", "l": "log", "?": "help"}.items():
        assert typed(key)[0].pane == pane
        assert typed(key, key)[0].pane == ""
        assert typed(key, "escape")[0].pane == ""


def test_p_pauses_and_resumes() -> None:
    assert typed("p")[1] == Action("pause")
    assert typed("p", view=replace(home(), paused=True))[1] == Action("resume")


def test_d_asks_for_a_host_first_and_then_drains_the_chosen_one() -> None:
    ui, action = typed("d")
    assert (ui.pane, action) == ("host", None)
    assert typed("d", "down", "d")[1] == Action("drain", "fenrir-chat")
    assert typed("h", *["down"] * 3, "d")[1] == Action("undrain", "hel")
    assert typed("h", *["j"] * 99, "d")[1] == Action("drain", "odin")


def test_readonly_keys_change_nothing() -> None:
    for keys in (("p",), ("h", "d")):
        ui, action = typed(*keys, ui=Ui(readonly=True))
        assert action is None
        assert "readonly" in ui.note


def test_a_filter_is_typed_kept_and_cleared() -> None:
    ui, action = typed("/", "q", "p", "x", "backspace")
    assert (ui.wanted, ui.typing, action) == ("qp", True, None)
    assert typed("enter", ui=ui)[0].typing is False
    assert typed("enter", "escape", ui=ui)[0].wanted == ""
    assert typed("escape", ui=ui)[0] == Ui()


def test_q_leaves() -> None:
    assert typed("q")[1] == Action("quit")


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"qp", ["q", "p"]),
        (b"\x1b[A\x1b[B", ["up", "down"]),
        (b"\x1bOA", ["up"]),
        (b"\x1b", ["escape"]),
        (b"\r\x7f", ["enter", "backspace"]),
        (b"\x1b[15~x", ["x"]),
        ("é漢".encode(), ["é", "漢"]),
        (b"\xff", []),
    ],
)
def test_bytes_of_a_terminal_become_keys(data: bytes, expected: list[str]) -> None:
    assert names(data) == expected


@given(st.binary(max_size=30))
def test_no_bytes_break_the_reading_of_keys(data: bytes) -> None:
    assert all(names(data))


# --- text -----------------------------------------------------------------------------------------


def test_text_is_cut_and_padded_to_its_columns() -> None:
    assert fit("abcdef", 5) == "abcd…"
    assert fit("abcde", 5) == "abcde"
    assert fit("abc", 5, right=True) == "  abc"
    assert width("漢字") == 4
    assert fit("漢字漢字", 5) == "漢字…"
    assert width(fit("e\u0301" * 9, 4)) == 4


def test_durations_are_short() -> None:
    assert [duration(s) for s in (None, 0.42, 12, 185, 7800, 356_400)] == [
        "--", "0.4s", "12s", "3m05s", "2h10m", "4d3h",
    ]  # fmt: skip


def test_a_host_that_is_down_says_why_and_takes_no_columns_of_readings() -> None:
    view = replace(
        home(), hosts=(replace(host("x", 1), health=HostHealth.DOWN, health_text="off"),)
    )
    assert " ✗ x" in text(view, 80, 24)
    assert "down: off" in text(view, 80, 24)
    assert view.at_ms == AT
