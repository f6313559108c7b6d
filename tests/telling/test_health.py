"""What makes the house degraded or unhealthy, by the thresholds of the mission, and what does not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from tests.surface.view_world import AT, gpu, host
from ygg.api import bodies
from ygg.model import (
    Counts,
    EndpointView,
    EndView,
    HostHealth,
    Priority,
    ReasonCode,
    RunningView,
    Snapshot,
    State,
    WaitingView,
    because,
)
from ygg.telling import rates
from ygg.telling.health import STOPS, Verdict, checkup, unread

HEALTHY, DEGRADED, UNHEALTHY = Verdict
CALM = Snapshot(AT, AT - 9000, 7, False, False, (host("a", 1),), (), (), (), Counts({}))
DOWN, UP, UNKNOWN = HostHealth.DOWN, HostHealth.UP, HostHealth.UNKNOWN
RUNS = RunningView("r", 1, "x", "", Priority.LOW, "a", "m", "ollama", AT, 60)


def found(view: Snapshot) -> tuple[Verdict, list[str]]:
    told = checkup(view)
    return told.verdict, [f.code for f in told.findings]


def counts(**states: int) -> Counts:
    return Counts({(Priority.NORMAL, State(name)): n for name, n in states.items()})


def ends(states: Mapping[State, int], took_ms: int = 100) -> tuple[EndView, ...]:
    """So many of each, in this order."""
    return tuple(
        EndView("t", AT, state, "why", "a", took_ms, 0, detail="it broke")
        for state, n in states.items()
        for _ in range(n)
    )


def waits(*codes: ReasonCode, running: tuple[RunningView, ...] = ()) -> Snapshot:
    """A task that waits for each of these reasons."""
    waiting = tuple(
        WaitingView("t", "x", Priority.NORMAL, AT, because(code, "a", message="gone"))
        for code in codes
    )
    return replace(CALM, waiting=waiting, running=running, counts=counts(queued=len(codes)))


def test_a_house_in_which_nothing_happened_is_healthy_and_knows_no_figures() -> None:
    told = checkup(CALM)
    assert (told.verdict, told.findings) == (HEALTHY, ())
    assert (told.depth, told.processing, told.failed_percent, told.latency_ms) == (0, 0, None, None)


# --- the thresholds: one more than the bound ------------------------------------------------------


def test_a_deep_queue_degrades() -> None:
    assert found(replace(CALM, counts=counts(queued=500, scheduled=900)))[0] is HEALTHY
    deep = replace(CALM, counts=counts(queued=501))
    assert found(deep) == (DEGRADED, ["queue_depth"])
    assert checkup(deep).findings[0].text == "501 tasks wait, more than 500"


def test_failures_degrade_by_their_share_of_what_ended() -> None:
    some = {State.FAILED: 5, State.COMPLETED: 95}
    assert found(replace(CALM, recent=ends(some)))[0] is HEALTHY
    more = {State.FAILED: 3, State.EXPIRED: 3, State.COMPLETED: 94}
    assert found(replace(CALM, recent=ends(more))) == (DEGRADED, ["failure_rate"])


def test_what_was_cancelled_or_tried_again_is_neither_good_nor_bad() -> None:
    many = {State.CANCELLED: 50, State.QUEUED: 50, State.SCHEDULED: 50}
    assert checkup(replace(CALM, recent=ends(many))).failed_percent is None
    one = replace(CALM, recent=ends({State.FAILED: 1, State.COMPLETED: 9, **many}))
    assert checkup(one).failed_percent == 10


def test_slow_tasks_degrade() -> None:
    assert found(replace(CALM, recent=ends({State.COMPLETED: 2}, 5000)))[0] is HEALTHY
    slow = replace(CALM, recent=ends({State.COMPLETED: 2}, 5001))
    assert found(slow) == (DEGRADED, ["latency"])
    assert checkup(slow).latency_ms == 5001


def test_what_failed_late_says_nothing_of_how_long_answers_take() -> None:
    mixed = ends({State.COMPLETED: 99}, 100) + ends({State.FAILED: 1}, 10**7)
    assert found(replace(CALM, recent=mixed))[0] is HEALTHY


def test_a_hot_card_degrades_and_is_named() -> None:
    def house(*cards: object) -> Snapshot:
        return replace(CALM, hosts=(host("a", 1, gpus=cards), host("b", 1)))

    assert found(house(gpu(10, 80, "LOW")))[0] is HEALTHY
    hot = house(gpu(10, 40, "LOW"), gpu(10, 81, "LOW"))
    assert found(hot) == (DEGRADED, ["gpu_temperature"])
    assert checkup(hot).findings[0].text == "a: 81 °C, more than 80 °C"


def test_readings_that_are_off_or_old_are_no_reason() -> None:
    old, mute = gpu(10, 99, "LOW", stale=True), gpu(10, 0, "LOW", temperature_c=None)
    for cards in ((), (old,), (mute,), (old, mute)):
        assert found(replace(CALM, hosts=(host("a", 1, gpus=cards, level=None),)))[0] is HEALTHY


# --- the queue does not move ----------------------------------------------------------------------


def test_a_store_that_fails_is_unhealthy() -> None:
    bad = replace(CALM, store_error="disk full", paused=True)
    assert found(bad) == (UNHEALTHY, ["store_error", "paused"])
    assert checkup(bad).findings[0].text == "store: disk full"


def test_a_store_that_nobody_can_read_is_unhealthy_and_its_figures_are_unknown() -> None:
    told = unread("database is locked")
    assert (told.verdict, told.depth, told.processing) == (UNHEALTHY, None, None)
    assert told.findings[0].text == "store: database is locked"


def test_a_pause_that_a_person_made_degrades_with_its_way_out() -> None:
    paused = replace(waits(ReasonCode.PAUSED), paused=True)
    assert found(paused) == (DEGRADED, ["paused"])
    assert "ygg queue resume" in checkup(paused).findings[0].text


def test_a_house_that_shuts_down_is_degraded() -> None:
    assert found(replace(waits(ReasonCode.DRAINING), draining=True)) == (DEGRADED, ["draining"])


def test_without_any_host_that_is_up_it_is_unhealthy_even_while_nothing_waits() -> None:
    hosts = (host("a", 1, health=DOWN), host("b", 1, health=HostHealth.UNAUTHORIZED))
    gone = replace(waits(ReasonCode.HOST_DOWN), hosts=hosts)
    assert found(gone) == (UNHEALTHY, ["no_host_up"])
    assert checkup(gone).findings[0].text == "no host is up: a down, b no access"
    assert found(replace(CALM, hosts=hosts))[0] is UNHEALTHY
    for other in (UP, UNKNOWN):
        assert found(replace(CALM, hosts=(*hosts, host("c", 1, health=other))))[0] is HEALTHY


def test_a_host_of_which_one_server_is_up_is_up() -> None:
    servers = tuple(EndpointView(n, "gpu", 1, 1, 0, h, "") for n, h in (("x", DOWN), ("y", UP)))
    one = host("a", 1, health=DOWN, endpoints=servers)
    assert found(replace(CALM, hosts=(one,)))[0] is HEALTHY
    none = replace(one, endpoints=tuple(replace(s, health=DOWN) for s in servers))
    assert found(replace(CALM, hosts=(none,)))[0] is UNHEALTHY


def test_tasks_that_no_host_takes_are_unhealthy_and_the_first_reason_is_told() -> None:
    stuck = waits(ReasonCode.HOST_DRAINED, ReasonCode.HOST_DOWN, ReasonCode.HOST_DRAINED)
    assert found(stuck) == (UNHEALTHY, ["not_processing"])
    text = "no host takes what waits (3 tasks): a is down: gone"
    assert checkup(stuck).findings[0].text == text


@pytest.mark.parametrize("code", [ReasonCode.HOST_DRAINED, ReasonCode.HOST_BUSY])
def test_what_a_person_or_a_server_holds_back_only_degrades(code: ReasonCode) -> None:
    assert found(waits(code)) == (DEGRADED, ["not_processing"])


def test_a_queue_that_moves_is_well_whatever_some_of_its_tasks_wait_for() -> None:
    assert found(waits(ReasonCode.HOST_DOWN, running=(RUNS,)))[0] is HEALTHY
    assert found(waits(ReasonCode.HOST_DOWN, ReasonCode.NEXT))[0] is HEALTHY
    claimed = replace(waits(ReasonCode.HOST_DOWN), counts=counts(queued=1, processing=1))
    assert found(claimed)[0] is HEALTHY


@pytest.mark.parametrize("code", sorted({*ReasonCode} - {*STOPS}))
def test_every_other_reason_to_wait_passes_by_itself(code: ReasonCode) -> None:
    assert found(waits(code))[0] is HEALTHY


# --- repeated failures ----------------------------------------------------------------------------


def test_when_most_of_the_newest_tasks_failed_it_is_unhealthy_and_the_last_error_is_told() -> None:
    recent = ends({State.COMPLETED: 900, State.FAILED: 11, State.CANCELLED: 5})
    bad = replace(CALM, recent=recent)
    assert found(bad) == (UNHEALTHY, ["repeated_failures"])
    text = "11 of the newest 20 tasks failed: it broke"
    assert checkup(bad).findings[0].text == text
    assert found(replace(CALM, recent=recent[:-6]))[0] is HEALTHY  # ten of twenty


def test_repeated_failures_take_enough_ends() -> None:
    assert found(replace(CALM, recent=ends({State.FAILED: 9}))) == (DEGRADED, ["failure_rate"])
    assert found(replace(CALM, recent=ends({State.FAILED: 10})))[0] is UNHEALTHY


def test_successes_end_it() -> None:
    recent = ends({State.COMPLETED: 900, State.FAILED: 30})
    assert found(replace(CALM, recent=recent))[0] is UNHEALTHY
    assert found(replace(CALM, recent=recent + ends({State.COMPLETED: 10})))[0] is HEALTHY


# --- one truth ------------------------------------------------------------------------------------


def test_the_figures_are_those_of_the_statistics() -> None:
    recent = ends({State.COMPLETED: 3}, 1200) + ends({State.FAILED: 1}, 9)
    view = replace(CALM, recent=recent, counts=counts(queued=4, processing=1, completed=3))
    told = checkup(view)
    assert (told.depth, told.processing, told.failed_percent) == (4, 1, 25)
    assert told.latency_ms == bodies.performance_body(view)["avg_processing_time_ms"] == 1200


def test_a_share_that_is_told_as_the_bound_is_not_over_it() -> None:
    recent = ends({State.COMPLETED: 377, State.FAILED: 20})[::-1]  # 5.04 %
    assert found(replace(CALM, recent=recent))[0] is HEALTHY
    assert checkup(replace(CALM, recent=recent)).failed_percent == 5.0


def test_failed_means_what_it_means_to_clients() -> None:
    assert {s for s, word in bodies.STATUS.items() if word == "failed"} == rates.FAILED


def test_all_that_is_the_matter_is_told_the_worst_first() -> None:
    fields: dict[str, Any] = {
        "counts": counts(queued=501),
        "recent": ends({State.COMPLETED: 20}, 6000) + ends({State.FAILED: 20}),
        "hosts": (host("a", 1, gpus=(gpu(1, 90, "LOW"),)),),
        "paused": True,
    }
    assert found(replace(CALM, **fields)) == (
        UNHEALTHY,
        [
            "repeated_failures",
            "paused",
            "failure_rate",
            "latency",
            "queue_depth",
            "gpu_temperature",
        ],
    )
