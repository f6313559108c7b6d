"""The live view: one pure function from a snapshot to rows that fit any terminal."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from ygg.model import (
    Counts,
    EndView,
    HostHealth,
    HostView,
    Priority,
    Reason,
    ReasonCode,
    RunningView,
    Snapshot,
    State,
    WaitingView,
)
from ygg.view.render import render
from ygg.view.text import clean, duration, fit, width

AT = 1_800_000_000_000
HOST = HostView(
    "surtr", "gpu", 3, 2, ("task-1",), HostHealth.UP, "", False, None, AT, 3.0, "0.6", "ollama", ("m",)
)  # fmt: skip


def snapshot(text: str = "title", hosts: int = 3, tasks: int = 5) -> Snapshot:
    """Some of everything, with `text` wherever foreign text may stand."""
    runs = tuple(
        RunningView(
            f"run-{n:06}",
            1,
            "general",
            text,
            Priority.HIGH,
            "surtr",
            text,
            "ollama",
            AT - 9000,
            60.0,
            17,
        )
        for n in range(tasks)
    )
    why = Reason(ReasonCode.HOST_FULL, f"surtr: {text}", "surtr")
    waits = tuple(
        WaitingView(f"wait-{n:06}", text, Priority.LOW, AT - 61_000, why) for n in range(tasks)
    )
    ends = (
        EndView("end-000001", AT, State.COMPLETED, "completed", "surtr", 2500, 10, 40),
        EndView("end-000002", AT, State.FAILED, text, None, None, None),
    )
    down = replace(HOST, name="skadi", health=HostHealth.DOWN, health_text=text, running=())
    homes = (HOST, down, *(replace(HOST, name=f"h{n}", models=(text,)) for n in range(hosts - 2)))
    counts = Counts({})
    return Snapshot(
        AT, AT - 3_700_000, 1, False, False, homes, runs, waits, ends, counts, log=(text, text)
    )


def lines(*args: object, **more: object) -> list[str]:
    return [row.text for row in render(*args, **more)]  # type: ignore[arg-type]


@given(
    st.text(max_size=60), st.integers(2, 9), st.integers(0, 40), st.integers(20, 200), st.integers(5, 70)
)  # fmt: skip
def test_a_frame_fills_the_terminal_exactly_whatever_the_text(
    text: str, hosts: int, tasks: int, columns: int, rows: int
) -> None:
    frame = lines(snapshot(text, hosts, tasks), columns, rows)
    assert len(frame) == rows
    assert {width(line) for line in frame} == {columns}
    assert all(clean(line) == line for line in frame)


def test_plain_frames_are_ascii() -> None:
    assert "".join(lines(snapshot(), 80, 24, plain=True)).isascii()


def test_states_are_words_and_not_colours_alone() -> None:
    page = "\n".join(lines(snapshot("it is off"), 80, 24))
    for word in ("up", "down", "it is off", "completed", "failed", "P1", "P3"):
        assert word in page


def test_what_is_not_known_is_two_dashes() -> None:
    failed = next(
        line for line in lines(snapshot("why"), 80, 30) if "failed" in line and "✗" in line
    )
    assert failed.count("--") == 3


def test_alerts_come_first() -> None:
    view = replace(snapshot(), paused=True, store_error="disk full")
    frame = lines(view, 80, 24)
    assert "disk full" in frame[1]
    assert "paused" in frame[2]


def test_wide_and_combining_characters_keep_their_columns() -> None:
    assert width("漢字") == 4
    assert fit("漢字漢字", 5) == "漢字…"
    assert width(fit("e\u0301" * 9, 4)) == 4


def test_durations_are_short() -> None:
    assert [duration(s) for s in (None, 0.42, 12, 185, 7800, 356_400)] == [
        "--", "0.4s", "12s", "3m05s", "2h10m", "4d3h",
    ]  # fmt: skip
