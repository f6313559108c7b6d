"""When something is told: once, after it has lasted; the same over a restart; ends in heaps."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.surface.view_world import AT, gpu, host
from ygg.model import (
    Counts,
    EndView,
    HostHealth,
    HostView,
    Priority,
    ReasonCode,
    Snapshot,
    State,
    because,
)
from ygg.model import WaitingView as Waits
from ygg.model.notices import Event, Notice
from ygg.model.transfer import from_plain, to_plain
from ygg.telling.noticing import AGAIN_S, FIRST_S, LASTS, LINES, Known, seen

UP, DOWN, UNKNOWN = HostHealth.UP, HostHealth.DOWN, HostHealth.UNKNOWN
CALM = Snapshot(AT, AT - 9000, 7, False, False, (host("a", 1),), (), (), (), Counts({}))
STEP_S = 5


def looks(
    views: Iterable[Snapshot], known: Known | None = None
) -> tuple[Known, list[tuple[int, Notice]]]:
    """What is told at which second, of snapshots five seconds apart."""
    state, told = known or Known(), list[tuple[int, Notice]]()
    for n, view in enumerate(views):
        state, notices = seen(state, replace(view, at_ms=AT + n * STEP_S * 1000))
        told += [(n * STEP_S, notice) for notice in notices]
    return state, told


def events(views: Iterable[Snapshot], known: Known | None = None) -> list[tuple[int, str]]:
    return [(at, n.title) for at, n in looks(views, known)[1]]


def being(health: HostHealth, seconds: int, **more: Any) -> list[Snapshot]:
    """Host `a` in that state, for so long."""
    one = host("a", 1, health=health, health_text="gone", **more)
    return [replace(CALM, hosts=(one,))] * (seconds // STEP_S)


# --- a cause --------------------------------------------------------------------------------------


def test_a_host_that_goes_down_is_told_once_and_once_more_when_it_is_back() -> None:
    views = [*being(UP, 60), *being(DOWN, 3600), *being(UP, 3600)]
    _, told = looks(views)
    assert [(at, n.event, n.title, n.host) for at, n in told] == [
        (120, Event.HOST_DOWN, "a is down", "a"),
        (3690, Event.HOST_UP, "a is up again", "a"),
    ]
    assert [n.text for _, n in told] == ["down: gone", "it was down for 1 h"]


def test_a_blip_is_none_and_what_comes_and_goes_is_one_message() -> None:
    blip = [*being(UP, 30), *being(DOWN, 55), *being(UP, 30)]
    assert events(blip * 20) == []
    flapping = [*being(DOWN, 90), *(being(UP, 25) + being(DOWN, 40)) * 50, *being(UP, 60)]
    titles = [title for _, title in events(flapping)]
    assert titles == ["a is down", "a is up again"]


def test_what_cannot_be_judged_stays_as_it_was() -> None:
    views = [*being(DOWN, 90), *being(UNKNOWN, 600), *being(DOWN, 90)]
    assert [title for _, title in events(views)] == ["a is down"]


def test_a_host_that_leaves_the_configuration_is_not_told_as_up() -> None:
    gone = [replace(CALM, hosts=(host("b", 1),))] * 60
    state, told = looks([*being(DOWN, 90), *gone])
    assert [n.title for _, n in told] == ["a is down"]
    assert state.held == ()


def test_hot_is_told_at_half_a_minute_and_not_again_within_ten_minutes() -> None:
    hot = {"gpus": (gpu(1, 91, "LOW"),), "heat_c": (65.0, 80.0, 85.0)}
    cool = {**hot, "gpus": (gpu(1, 60, "LOW"),)}
    views = being(UP, 120, **hot) + being(UP, 500, **cool) + being(UP, 120, **hot)
    assert events(views) == [(30, "a is hot")]
    views += being(UP, 700, **cool) + being(UP, 120, **hot)
    assert [title for _, title in events(views)] == ["a is hot", "a is hot"]


def test_lost_readings_are_told_after_two_minutes() -> None:
    fine = being(UP, 30, gpus=(gpu(1, 60, "LOW"),))
    blind = being(UP, 300, running=("t",), limit_reason="no reading: ssh is gone")
    _, told = looks([*fine, *blind])
    assert [(at, n.title, n.text) for at, n in told] == [
        (150, "a: no readings", "no reading: ssh is gone")
    ]


# --- the queue ------------------------------------------------------------------------------------


def queued(count: int, code: ReasonCode = ReasonCode.HOST_FULL, **more: Any) -> Snapshot:
    waits = tuple(
        Waits(f"t{n}", "x", Priority.NORMAL, AT, because(code, "a", message="gone"))
        for n in range(count)
    )
    counts = Counts({(Priority.NORMAL, State.QUEUED): count})
    return replace(CALM, **{"waiting": waits, "counts": counts, **more})


def test_nothing_moves_is_told_after_ten_minutes() -> None:
    _, told = looks([queued(3, ReasonCode.NO_HOST)] * 200)
    assert [(at, n.title) for at, n in told] == [(600, "nothing moves")]
    assert told[0][1].text.startswith("for 10 min: no host takes what waits (3 tasks)")
    assert told[0][1].follows == ()


def test_that_nothing_moves_follows_from_hosts_that_were_told_as_down() -> None:
    out = host("a", 1, health=DOWN, health_text="gone")
    _, told = looks([queued(3, ReasonCode.HOST_DOWN, hosts=(out,))] * 200)
    assert [(n.title, n.follows) for _, n in told] == [
        ("a is down", ()),
        ("nothing moves", (Event.HOST_DOWN,)),
    ]


def test_a_task_that_ends_now_and_then_shows_that_something_moves() -> None:
    views = []
    for n in range(400):
        ends = tuple(end(f"t{k}", State.COMPLETED) for k in range(n // 100))
        views.append(queued(3, recent=ends))
    assert events(views) == []


def test_tasks_that_are_put_off_again_and_again_do_not_move() -> None:
    later = Waits("t", "x", Priority.NORMAL, AT, because(ReasonCode.BACKING_OFF, error="busy"))
    views = []
    for n in range(200):
        ends = tuple(end(f"t{k}", State.SCHEDULED) for k in range(n))
        views.append(replace(CALM, scheduled=(later,), recent=ends))
    assert [(at, title) for at, title in events(views)] == [(600, "nothing moves")]


@pytest.mark.parametrize(
    ("seconds", "text"), [(900, "15 min"), (3600, "1 h"), (9900, "2 h 45 min")]
)
def test_how_long_it_was_is_told_to_the_minute(seconds: int, text: str) -> None:
    _, told = looks([*being(DOWN, seconds), *being(UP, 60)])
    assert told[-1][1].text == f"it was down for {text}"


def test_a_drained_queue_is_told_where_there_was_work_for_a_minute() -> None:
    ends = (*(end(f"t{n}", State.COMPLETED) for n in range(3)), end("bad", State.FAILED))
    before = end("before", State.COMPLETED, AT - 1)
    after = replace(CALM, recent=(before, *ends))
    views = [replace(queued(9), recent=(before,))] * 60 + [after] * 60
    told = [n for _, n in looks(views)[1] if n.event is Event.QUEUE_DRAINED]
    assert [(n.title, n.text) for n in told] == [
        ("the queue is drained", "3 tasks done, 1 failed, in 5 min")
    ]
    short = [*[queued(9)] * 11, *[CALM] * 60]
    assert events(short) == []


def test_a_queue_that_was_empty_is_not_drained() -> None:
    assert events([CALM] * 500) == []


# --- tasks that ended badly -------------------------------------------------------------------------


def end(task: str, state: State, at_ms: int = AT, title: str = "") -> EndView:
    return EndView(task, at_ms, state, "error", "a", 10, 0, title=title, detail="it broke")


def ended(count: int, state: State = State.FAILED, **more: Any) -> Snapshot:
    recent = tuple(end(f"t{n}", state, title=f"Task {n}") for n in range(count))
    counts = Counts({(Priority.NORMAL, state): count})
    return replace(CALM, **{"recent": recent, "counts": counts, **more})


def test_a_single_dead_letter_is_told_with_its_title_and_what_to_type() -> None:
    _, told = looks([CALM, *[ended(1)] * 100])
    ((at, notice),) = told
    assert (at, notice.event, notice.title) == (15, Event.DEAD_LETTER, "1 dead letter")
    first, then = notice.text.splitlines()
    assert first == "Task 0 (t0): it broke"
    assert then.startswith("ygg list --state failed")


def test_three_hundred_dead_letters_are_few_messages() -> None:
    growing = [ended(n) for n in range(0, 300, 2)] + [ended(300)] * 200
    _, told = looks([CALM, *growing])
    counts = [int(n.title.split()[0]) for _, n in told]
    assert sum(counts) == 300
    assert len(told) == 4  # of 750 seconds: the first ones, then every five minutes
    assert len(told[-1][1].text.splitlines()) == LINES + 2
    gaps = [b - a for (a, _), (b, _) in pairwise(told)]
    assert min(gaps) >= AGAIN_S
    assert told[0][0] <= FIRST_S + 2 * STEP_S


def test_blocked_tasks_are_told_apart() -> None:
    _, told = looks([CALM, *[ended(2, State.BLOCKED)] * 20])
    assert [(n.event, n.title) for _, n in told] == [(Event.BLOCKED, "2 tasks are blocked")]


def test_the_same_task_failing_again_is_another_dead_letter() -> None:
    twice = replace(ended(1), recent=(end("t0", State.FAILED), end("t0", State.FAILED)))
    _, told = looks([CALM, *[ended(1)] * 100, *[twice] * 100])
    assert [n.title for _, n in told] == ["1 dead letter", "1 dead letter"]


def test_ends_of_earlier_runs_that_are_remembered_late_are_old() -> None:
    old = replace(CALM, recent=(end("t", State.FAILED, CALM.started_ms - 1),))
    assert events([CALM, *[old] * 20]) == []


def test_a_clock_that_is_taken_over_makes_no_end_new() -> None:
    moved = replace(ended(2), recent=tuple(replace(e, at_ms=AT + 99) for e in ended(2).recent))
    assert len(events([CALM, *[ended(2)] * 20, *[moved] * 20])) == 1


# --- restarts -------------------------------------------------------------------------------------


def kept(known: Known) -> Known:
    """As another run finds it."""
    return from_plain(Known, to_plain(known.kept))


def test_a_restart_repeats_nothing_and_ends_what_it_finds_over() -> None:
    state, told = looks(being(DOWN, 600))
    assert len(told) == 1
    again = kept(state)
    assert events(being(UNKNOWN, 60) + being(DOWN, 600), again) == []
    assert [t for _, t in events(being(UNKNOWN, 30) + being(UP, 60), again)] == ["a is up again"]


def test_what_was_blocked_between_two_runs_is_told_by_its_number() -> None:
    state, _ = looks([ended(2, State.BLOCKED)] * 20)
    more = replace(ended(5, State.BLOCKED), recent=())
    _, told = looks([more] * 20, kept(state))
    assert [n.title for _, n in told] == ["3 tasks are blocked"]
    assert events([replace(more, counts=Counts({}))] * 20, kept(state)) == []


def test_a_first_start_tells_nothing_of_what_was_there() -> None:
    assert events([ended(7)] * 50) == []


# --- always ---------------------------------------------------------------------------------------

MOODS: list[HostView] = [
    host("a", 1),
    host("a", 1, health=DOWN, health_text="gone"),
    host("a", 1, health=UNKNOWN),
    host("a", 1, drained=True),
    host("a", 1, 1, limit_reason="no reading"),
    host("a", 1, gpus=(gpu(1, 91, "LOW"),), heat_c=(65.0, 80.0, 85.0)),
]


@given(st.lists(st.tuples(st.sampled_from(MOODS), st.integers(1, 60)), max_size=30))
def test_whatever_happens_down_and_up_take_turns(story: list[tuple[HostView, int]]) -> None:
    views = [replace(CALM, hosts=(mood,)) for mood, count in story for _ in range(count)]
    told = [n.event for _, n in looks(views)[1] if n.event in (Event.HOST_DOWN, Event.HOST_UP)]
    turns = [Event.HOST_DOWN, Event.HOST_UP] * len(told)
    assert told == turns[: len(told)]


@pytest.mark.parametrize("event", LASTS)
def test_a_cause_lasts_longer_than_one_look(event: Event) -> None:
    assert all(seconds > STEP_S for seconds in LASTS[event])
