"""What of a snapshot somebody is told of, and what is left as it was."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.surface.view_world import AT, gpu, host
from ygg.model import (
    Counts,
    GpuView,
    HostHealth,
    HostView,
    Priority,
    ReasonCode,
    RunningView,
    Snapshot,
    State,
    WaitingView,
    because,
)
from ygg.model.notices import Event
from ygg.telling.causes import Cause, Found, causes, explained, read

CALM = Snapshot(AT, AT - 9000, 7, False, False, (host("a", 1),), (), (), (), Counts({}))
RUNS = RunningView("r", 1, "x", "", Priority.LOW, "a", "m", "ollama", AT, 60)
LIMITS = (65.0, 80.0, 85.0)


def of(*hosts: HostView, known: tuple[Cause, ...] = (), measured: tuple[str, ...] = ()) -> Found:
    """The causes of hosts."""
    found = causes(replace(CALM, hosts=hosts), known, measured, moved=False)
    return {cause: text for cause, text in found.items() if cause.host}


def waiting(*codes: ReasonCode, **more: Any) -> Snapshot:
    """A task that waits for each of these reasons."""
    tasks = tuple(
        WaitingView("t", "x", Priority.NORMAL, AT, because(code, "a", message="gone"))
        for code in codes
    )
    counts = Counts({(Priority.NORMAL, State.QUEUED): len(codes)})
    return replace(CALM, **{"waiting": tasks, "counts": counts, **more})


def test_a_calm_house_has_no_cause_and_nothing_to_judge_but_cards_that_nobody_reads() -> None:
    assert of(host("a", 1)) == {Cause(Event.HOT, "a"): None, Cause(Event.TELEMETRY_LOST, "a"): None}
    assert of(host("a", 1, gpus=(gpu(100, 60, "LOW"),))) == {}


# --- hosts ----------------------------------------------------------------------------------------


def down(health: HostHealth = HostHealth.DOWN, **more: Any) -> HostView:
    return host("a", 1, health=health, health_text="gone", ask_at_ms=AT + 9000, **more)


def test_a_host_that_is_down_is_told_in_the_words_of_status_without_the_next_look() -> None:
    key = Cause(Event.HOST_DOWN, "a")
    assert of(down())[key] == "down: gone"
    assert of(down(HostHealth.UNAUTHORIZED))[key] == "no access: gone"
    assert of(down(HostHealth.UNKNOWN))[key] is None
    assert key not in of(down(HostHealth.UP))


def test_a_drained_host_stays_as_it_was() -> None:
    found = of(down(drained=True, gpus=(gpu(100, 99, "LOW"),), heat_c=LIMITS))
    assert set(found.values()) == {None}
    assert len(found) == 3


@pytest.mark.parametrize(
    ("degrees", "was_hot", "hot"),
    [(84.9, False, False), (85, False, True), (80.1, True, True), (79.9, True, False)],
)
def test_hot_is_where_nothing_new_starts_until_it_is_cooler(
    degrees: float, was_hot: bool, hot: bool
) -> None:
    key = Cause(Event.HOT, "a")
    one = host("a", 1, gpus=(gpu(1, 50, "LOW"), gpu(1, degrees, "LOW")), heat_c=LIMITS)
    found = of(one, known=(key,) if was_hot else ())
    assert (key in found) is hot
    if hot:
        text = f"{degrees:g} °C, its limit is 85 °C: nothing new starts until it is cooler"
        assert found[key] == text


def test_without_temperatures_of_hosts_yaml_the_cards_own_limit_counts() -> None:
    card = gpu(1, 91, "LOW", limit_c=90)
    assert of(host("a", 1, gpus=(card,)))[Cause(Event.HOT, "a")]
    assert of(host("a", 1, gpus=(replace(card, limit_c=None),))) == {}


def test_an_old_reading_says_nothing_of_heat() -> None:
    old = gpu(1, 99, "LOW", stale=True)
    assert of(host("a", 1, gpus=(old,), heat_c=LIMITS))[Cause(Event.HOT, "a")] is None


# --- readings -------------------------------------------------------------------------------------

LOST = Cause(Event.TELEMETRY_LOST, "a")


def test_readings_are_lost_where_a_host_at_work_that_was_read_is_read_no_more() -> None:
    blind = host("a", 2, 1, limit_reason="no reading: ssh is gone")
    assert of(blind, measured=("a",))[LOST] == "no reading: ssh is gone"
    assert of(blind)[LOST] is None  # never read: nothing to lose
    assert of(host("a", 2), measured=("a",))[LOST] is None  # it rests
    assert of(replace(blind, health=HostHealth.DOWN), measured=("a",))[LOST] is None


def test_old_readings_leave_it_open_and_fresh_ones_end_it() -> None:
    old = gpu(1, 60, "LOW", stale=True)
    assert of(host("a", 2, 1, gpus=(old,)), measured=("a",))[LOST] is None
    assert LOST not in of(host("a", 2, 1, gpus=(gpu(1, 60, "LOW"),)), measured=("a",))


def test_a_card_that_is_gone_is_told_by_its_name_also_of_a_host_at_rest() -> None:
    gone = GpuView(1, "RTX 4070", error="GPU is lost")
    assert of(host("a", 2, gpus=(gpu(1, 60, "LOW"), gone)))[LOST] == "RTX 4070: GPU is lost"


def test_a_host_counts_as_read_from_its_first_fresh_reading_on_until_it_leaves() -> None:
    fresh, old = gpu(1, 60, "LOW"), gpu(1, 60, "LOW", stale=True)
    hosts = (host("a", 1, gpus=(fresh,)), host("b", 1, gpus=(old,)), host("c", 1))
    assert read(replace(CALM, hosts=hosts), ("c", "gone")) == ("a", "c")


# --- the queue ------------------------------------------------------------------------------------

STUCK, WORK = Cause(Event.NOTHING_MOVES), Cause(Event.QUEUE_DRAINED)


def of_queue(view: Snapshot, *, moved: bool = False) -> Found:
    return causes(view, (), (), moved=moved)


def test_nothing_moves_where_tasks_wait_and_none_ends_and_what_runs_leaves_it_open() -> None:
    view = waiting(ReasonCode.HOST_DOWN)
    assert "a is down" in str(of_queue(view)[STUCK])
    assert of_queue(replace(view, running=(RUNS,)))[STUCK] is None
    busy = Counts({(Priority.NORMAL, State.QUEUED): 1, (Priority.LOW, State.PROCESSING): 1})
    assert of_queue(replace(view, counts=busy))[STUCK] is None
    assert STUCK not in of_queue(view, moved=True)
    assert STUCK not in of_queue(CALM)


def test_what_waits_for_a_reason_that_the_checkup_does_not_know_is_told_by_it() -> None:
    text = of_queue(waiting(ReasonCode.HOST_FULL))[STUCK]
    assert str(text).startswith("waiting: 1 task; the first one: ")


def test_what_a_person_stopped_is_not_stuck() -> None:
    assert of_queue(waiting(ReasonCode.PAUSED, paused=True))[STUCK] is None
    assert of_queue(waiting(ReasonCode.HOST_DRAINED))[STUCK] is None
    assert of_queue(waiting(ReasonCode.HOST_DRAINED, ReasonCode.HOST_DOWN))[STUCK]


def test_there_is_work_while_tasks_wait_run_or_are_tried_again() -> None:
    assert WORK not in of_queue(CALM)
    assert WORK in of_queue(waiting(ReasonCode.HOST_FULL))
    assert WORK in of_queue(replace(CALM, running=(RUNS,)))
    for code, works in ((ReasonCode.BACKING_OFF, True), (ReasonCode.NOT_BEFORE, False)):
        later = WaitingView("t", "x", Priority.NORMAL, AT, because(code))
        assert (WORK in of_queue(replace(CALM, scheduled=(later,)))) is works


def test_it_follows_from_what_was_told_only_where_that_explains_every_task() -> None:
    both = waiting(ReasonCode.HOST_DOWN, ReasonCode.HOST_HOT)
    assert explained(both, {Event.HOST_DOWN, Event.HOT}) == (Event.HOST_DOWN, Event.HOT)
    assert explained(both, {Event.HOST_DOWN}) == ()
    mixed = waiting(ReasonCode.HOST_DOWN, ReasonCode.NO_HOST)
    assert explained(mixed, {Event.HOST_DOWN}) == ()
    assert explained(CALM, {Event.HOST_DOWN}) == ()
