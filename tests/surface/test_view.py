"""The live view: one pure function from a snapshot to rows that fit any terminal."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.surface.view_world import AT, GOLDEN, frames, gpu, home, host, text
from ygg.model import EndpointView, HostHealth, ReasonCode, Snapshot, because
from ygg.view.keys import names
from ygg.view.panels import LEAST, shared
from ygg.view.render import render
from ygg.view.text import age, clean, duration, fit, width, wrapped
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
        view, hosts=hosts, store_error=words,
        log=tuple(replace(line, text=words, title=words, type=words) for line in view.log),
        running=tuple(replace(r, title=words, type=words, model=words) for r in view.running),
        waiting=tuple(replace(w, type=words, title=words, reason=replace(w.reason, facts={"said": words})) for w in view.waiting),
        recent=tuple(replace(e, reason=words, host=words, type=words, title=words, detail=words) for e in view.recent),
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
    assert "--/min" in text(view, 120, 24)
    for nothing in ("nothing runs", "nothing waits", "nothing has ended yet"):
        assert nothing in text(replace(view, scheduled=()), 80, 24)


def test_a_reading_that_is_not_there_is_two_dashes_and_never_a_number() -> None:
    view = replace(home(), hosts=(home().hosts[0], host("new", 1)))
    row = next(r for r in text(view, 120, 30).splitlines() if " new " in r)
    assert row.count("--") == 5  # memory, temperature, power, tokens, sparkline


def test_a_stale_reading_is_dim_and_tells_its_age() -> None:
    rows = render(home(), 80, 24)
    (span,) = [s for row in rows for s in row.spans if "63 °C" in s.text]
    assert "63 °C 14s" in span.text
    assert span.style == "dim"


def test_alerts_come_first() -> None:
    bad = replace(home(), paused=True, store_error="disk full", exposed="anybody may do everything")
    frame = text(bad, 80, 24).splitlines()
    assert "disk full" in frame[1]
    assert "anybody may do everything" in frame[2]
    assert "paused" in frame[3]


def test_states_are_glyphs_and_words_and_not_colours_alone() -> None:
    plain = [row.text for row in render(home(), 80, 24, colour=False)]
    odin = next(n for n, r in enumerate(plain) if "odin" in r)
    assert plain[odin].startswith(" ✗   odin            0/0 ")
    assert plain[odin + 1].startswith("   └ down: cannot connect to odin:11434; asked again in 8 s")
    hel = next(n for n, r in enumerate(plain) if " hel " in r)
    assert plain[hel].startswith(" ◌   hel (CPU)       ··")
    assert plain[hel + 1].startswith("   └ drained: ")


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


def test_q_asks_first_where_it_stops_the_dispatcher() -> None:
    ui, action = typed("q", ui=Ui(asks=True))
    assert action is None
    assert ui.note == "q again stops the dispatcher: 6 calls may end first; any other key goes on"
    assert typed("q", ui=ui)[1] == Action("quit")
    assert typed("j", "q", ui=ui)[1] is None, "another key has taken it back"
    draining = replace(home(), draining=True)
    assert typed("q", ui=Ui(asks=True), view=draining)[1] == Action("quit"), "the banner says so"


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"cut_off_ms": AT + 25_000}, "waits for 6 calls for 25s at most; Ctrl-C cuts off now"),
        ({"running": home().running[:1]}, "waits for 1 call; Ctrl-C cuts off now"),
        ({"running": ()}, "nothing runs any more"),
    ],
)
def test_a_drain_says_how_long_it_waits_and_what_ends_it(
    fields: dict[str, Any], words: str
) -> None:
    assert words in frame(80, 24, draining=True, **fields)[1]


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


def test_a_host_that_is_down_says_why() -> None:
    view = replace(home(), hosts=(host("x", 1, health=HostHealth.DOWN, health_text="off"),))
    assert " ✗   x" in text(view, 80, 24)
    assert "down: off" in text(view, 80, 24)
    assert view.at_ms == AT


# --- hosts in trouble -----------------------------------------------------------------------------


def frame(columns: int, rows: int, **fields: Any) -> list[str]:
    return text(replace(home(), **fields), columns, rows).splitlines()


def row_of(lines: list[str], words: str) -> int:
    return next(n for n, line in enumerate(lines) if words in line)


@pytest.mark.parametrize(("columns", "rows"), [(80, 24), (120, 40), (160, 50), (60, 40)])
def test_a_host_in_trouble_keeps_its_readings_and_its_reason_is_whole(
    columns: int, rows: int
) -> None:
    lines = frame(columns, rows)
    at = row_of(lines, "fenrir-chat  ") if columns > 60 else row_of(lines, "fenrir-chat ")
    assert "95% CRITICAL ↑" in lines[at]
    assert "88 °C ↓" in lines[at]
    hung = " ".join(line[5:].strip() for line in lines[at + 1 : at + 3])
    assert hung.startswith("too hot: 88 °C; starts again at 80 °C or less for 30 s")


def test_a_server_that_is_down_beside_one_that_is_up_is_named() -> None:
    servers = [EndpointView(n, "gpu", 1, 1, 0, h, "gone", f) for n, h, f in
               (("a", HostHealth.UP, 1), ("b", HostHealth.DOWN, 0))]  # fmt: skip
    two = host("x", 2, health=HostHealth.DOWN, health_text="gone", endpoints=tuple(servers), free=1)
    lines = frame(80, 24, hosts=(two,))
    assert lines[row_of(lines, " x ")].startswith(" ▲   x    □·")
    assert "└ b down: gone" in "\n".join(lines)


def test_hosts_that_do_not_fit_are_those_at_rest() -> None:
    resting = tuple(host(f"r{n:02}", 1) for n in range(30))
    lines = frame(80, 24, hosts=(*resting, *home().hosts))
    assert " ✗   odin" in lines[row_of(lines, "odin")]
    for words in ("fenrir-chat", "surtr-reasoning", "skadi-code"):
        assert any(words in line for line in lines[:14])
    assert lines[row_of(lines, "at rest")].strip() == "28 more at rest"


def test_heat_has_the_colours_of_the_thresholds_of_its_host() -> None:
    styles = {}
    for degrees in (64, 65, 79, 80, 84, 85):
        hot = host("x", 1, gpus=(gpu(1000, degrees, "LOW"),), heat_c=(65.0, 80.0, 85.0))
        rows = render(replace(home(), hosts=(hot,)), 80, 24)
        (styles[degrees],) = {s.style for r in rows for s in r.spans if f"{degrees} °C" in s.text}
    assert styles == {
        64: "",
        65: "yellow",
        79: "yellow",
        80: "red",
        84: "red",
        85: "bold white on red",
    }


def test_sparklines_of_all_hosts_have_one_scale() -> None:
    busy, calm = host("a", 1, history=(0.0, 100.0)), host("b", 1, history=(0.0, 50.0))
    lines = frame(160, 50, hosts=(busy, calm))
    assert "2 MIN 0-100" in lines[row_of(lines, "HOST ")]
    assert lines[row_of(lines, " a ")].rstrip().endswith("▁█")
    assert lines[row_of(lines, " b ")].rstrip().endswith("▁▅")


# --- tasks ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("columns", [80, 120, 160])
def test_no_reason_is_cut(columns: int) -> None:
    why = "nothing that can run it is up: odin is down: cannot connect to odin:11434 after 3 tries, hel is drained by hand"
    told_ = replace(home().waiting[0], reason=because(ReasonCode.NO_HOST, said=why))
    lines = frame(columns, 24, waiting=(told_,), scheduled=())
    shown = " ".join(line[3:].strip(" └") for line in lines)
    assert why in shown


def test_what_was_put_back_is_not_shown_as_failed() -> None:
    lines = frame(160, 50)
    put_back = lines[row_of(lines, "Write pytest cases for the parser")]
    assert put_back.startswith(" ↺ H ")
    assert "back in the queue: odin is down" in put_back
    failed = lines[row_of(lines, "Describe picture 4711")]
    assert failed.startswith(" ✗ L ")
    assert failed.rstrip().endswith("failed: not finished within 30 s; ygg retry end003")


def test_what_waits_for_its_time_stands_where_it_will_have_come() -> None:
    lines = frame(160, 50)
    queue = lines[row_of(lines, "── NEXT UP 33") : row_of(lines, "── RECENT")]
    assert [row_of(queue, words) for words in ("Name five moons", "in ~40s", "at 22:00:00")] == [
        3,
        4,
        15,
    ]
    assert "later 2" in lines[0]


def test_a_filter_finds_titles_of_all_tasks_and_counts_what_it_shows() -> None:
    lines = text(home(), 80, 24, ui=Ui(wanted="council")).splitlines()
    assert "── RUNNING 0 of 6 " in "\n".join(lines)
    assert "── NEXT UP 3 of 33 " in "\n".join(lines)
    assert sum("Summarise the" in line for line in lines) == 3
    lines = text(home(), 80, 24, ui=Ui(wanted="picture 4711")).splitlines()
    assert any(line.startswith(" ✗ L Describe") for line in lines)


def test_priorities_have_a_letter_and_a_colour() -> None:
    rows = render(home(), 120, 40)
    letters = {s.text: s.style for r in rows for s in r.spans if s.text in ("C", "H")}
    assert letters == {"C": "bold red", "H": "yellow"}


def test_lines_of_the_log_have_a_time_a_title_and_a_type() -> None:
    lines = text(home(), 120, 40, ui=Ui("log")).splitlines()
    line = lines[row_of(lines, "completed on")]
    assert line.split() == [
        "07:59:51",
        "Translate",
        "the",
        "manual",
        "chat",
        "end100",
        "completed",
        "on",
        "fenrir-chat",
        "after",
        "8.10",
        "s,",
        "566",
        "tokens",
    ]


@pytest.mark.parametrize("title", ["x", "a title", "a title that is long enough for all"])
@pytest.mark.parametrize("columns", [80, 81, 90])
def test_heads_stand_over_their_columns(title: str, columns: int) -> None:
    runs = tuple(replace(r, title=title, progress=7) for r in home().running)
    lines = frame(columns, 24, running=runs)
    at = row_of(lines, "── RUNNING 6 ")
    assert "…" not in lines[at]
    for head, cell in (("HOST · MODEL", "skadi-code · "), ("PROGRESS", "  7 %")):
        assert lines[at].index(head) == lines[at + 1].index(cell)


@given(st.integers(3, 60), st.lists(st.integers(1, 40), min_size=3, max_size=3))
def test_nothing_is_blank_while_something_is_cut(room: int, needs: list[int]) -> None:
    found = shared(room, needs)
    assert all(0 <= f <= need for f, need in zip(found, needs, strict=True))
    assert sum(found) == min(room, sum(needs))
    least = min(LEAST, *needs)
    assert room < 3 * LEAST or min(found) >= least


@given(st.text(st.characters(categories=["L", "N", "Zs"]), max_size=300), st.integers(8, 80))
def test_wrapped_text_loses_nothing_but_spaces(words: str, columns: int) -> None:
    lines = wrapped(words, columns, 1000)
    assert all(width(line) <= columns for line in lines)
    assert "".join("".join(lines).split()) == "".join(words.split())


def test_an_age_is_never_longer_than_three_signs() -> None:
    assert [age(s) for s in (0.2, 59, 61, 3599, 3601, 86_399, 864_000)] == [
        "1s", "59s", "1m", "59m", "1h", "23h", "10d",
    ]  # fmt: skip
