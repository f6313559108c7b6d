"""How long it takes: from the minutes of earlier runs at first, then from what this run measures."""

from __future__ import annotations

import pytest

from tests.core.world import START_MS, World, host, kind
from ygg.core import events as ev
from ygg.model import HostHealth, Lane, MinuteRow
from ygg.telling.pacing import PAST, Speeds, drain_ms, pace, past_of

MINUTE = 60_000


def minutes(name: str, count: int, running: float, started: int) -> list[MinuteRow]:
    return [
        MinuteRow(name, START_MS - n * MINUTE, 12, 2, 2, running, 0, started) for n in range(count)
    ]


def world(**slots: int) -> World:
    """Hosts with slots that all serve `general`, and each a type of its own name."""
    hosts = tuple(host(name, count) for name, count in slots.items())
    types = {"general": kind("general", *slots)} | {name: kind(name, name) for name in slots}
    found = World(hosts, types)
    for name in slots:
        found.check_answer(name, HostHealth.UP)
    return found


def drain_s(found: World) -> float | None:
    told = drain_ms(found.board, found.now, Speeds(found.board))
    return None if told is None else told / 1000


def test_the_past_is_the_time_that_calls_ran_over_how_many_started() -> None:
    rows = [*minutes("a", 10, 2.0, 8), *minutes("a", 5, 0.0, 0), *minutes("b", 3, 0.5, 0)]
    assert past_of(rows) == {"a": 15_000}
    assert past_of([]) == {}


def test_right_after_a_start_the_forecast_comes_from_the_past() -> None:
    found = world(a=1)
    found.feed(ev.PastLearned({"a": 9_000}))
    for _ in range(21):
        found.submit("general")
    found.pass_time(0.1)
    assert drain_s(found) == pytest.approx(20 * 9 + 4.5, abs=0.5)
    found.pass_time(60)  # nothing has ended yet: that says nothing of how long it takes
    assert drain_s(found) == pytest.approx(20 * 9 + 4.5, abs=0.5)
    assert pace(found.board, Lane("general"), found.now) is not None


def test_it_moves_to_what_is_measured() -> None:
    found = world(a=1)
    found.feed(ev.PastLearned({"a": 9_000}))
    tasks = [found.submit("general") for _ in range(60)]
    told = []
    for task in tasks[:50]:
        found.pass_time(1)
        found.end(task)
        told.append(Speeds(found.board).mean_ms("a", "general"))
    assert told[0] == pytest.approx((PAST * 9000 + 1000) / (PAST + 1))
    assert told == sorted(told, reverse=True)  # type: ignore[type-var]
    assert told[-1] == pytest.approx((PAST * 9000 + 50 * 1000) / (PAST + 50))


def test_a_type_that_was_measured_often_enough_has_its_own_mean() -> None:
    found = world(a=1)
    for name, seconds in (("general", 2), ("a", 10)):
        for _ in range(5):
            task = found.submit(name)
            found.pass_time(seconds)
            found.end(task)
    speeds = Speeds(found.board)
    assert speeds.mean_ms("a", "general") == pytest.approx(2000)
    assert speeds.mean_ms("a", "a") == pytest.approx(10_000)
    assert speeds.mean_ms("a", "other") == pytest.approx(6000)
    assert speeds.mean_ms("b") is None


def test_with_nothing_known_nothing_is_told() -> None:
    found = world(a=1)
    assert drain_s(found) is None
    found.submit("general")
    assert drain_s(found) is None
    found.submit("general")
    assert drain_s(found) is None
    assert pace(found.board, Lane("general"), found.now) is None


def test_hosts_share_what_both_may_do_and_not_what_only_one_may() -> None:
    found = world(a=1, b=3)
    found.feed(ev.PastLearned({"a": 10_000, "b": 10_000}))
    for _ in range(4):
        found.submit("general")
    for _ in range(40):
        found.submit("general")
    found.pass_time(0.1)
    assert drain_s(found) == pytest.approx(5 + 40 * 10 / 4, abs=1)
    for _ in range(30):
        found.submit("a")
    assert drain_s(found) == pytest.approx(5 + 30 * 10, abs=1)  # b does the rest meanwhile


def test_what_has_no_host_now_holds_up_no_forecast() -> None:
    found = world(a=1, b=1)
    found.feed(ev.PastLearned({"a": 10_000, "b": 1000}))
    found.check_answer("a", HostHealth.DOWN)
    for _ in range(5):
        found.submit("a")
        found.submit("b")
    assert drain_s(found) == pytest.approx(4.5, abs=0.6)
    found.feed(ev.DispatchPaused(True))
    assert drain_s(found) is None
