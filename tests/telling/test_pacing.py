"""How long it takes: from the minutes of earlier runs at first, then from what this run measures."""

from __future__ import annotations

import pytest

from tests.core.world import START_MS, World, card, host, kind
from ygg.core import events as ev
from ygg.model import (
    Candidate,
    Counts,
    Endpoint,
    Health,
    Host,
    HostHealth,
    Lane,
    MinuteRow,
    Outcome,
    OutcomeKind,
    Priority,
    Process,
    ReasonCode,
    TaskType,
)
from ygg.telling.pacing import PAST, Plan, Speeds, past_of
from ygg.telling.snapshotting import snapshot

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
    told = Plan(found.board, found.now).drain_ms
    return None if told is None else told / 1000


def wait_s(found: World, type_: str, priority: int, ahead: int) -> float | None:
    told = Plan(found.board, found.now).wait_ms(Lane(type_), Priority(priority), ahead)
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
    assert drain_s(found) == 20 * 9
    found.pass_time(60)  # nothing has ended yet: that says nothing of how long it takes
    assert drain_s(found) == 20 * 9


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


def test_hosts_share_what_both_may_do_and_not_what_only_one_may() -> None:
    found = world(a=1, b=3)
    found.feed(ev.PastLearned({"a": 10_000, "b": 10_000}))
    for _ in range(4):
        found.submit("general")
    for _ in range(40):
        found.submit("general")
    found.pass_time(0.1)
    assert drain_s(found) == pytest.approx(40 * 10 / 4, rel=0.05)
    for _ in range(30):
        found.submit("a")
    assert drain_s(found) == pytest.approx(30 * 10, rel=0.05)  # b does the rest meanwhile


def test_what_no_host_would_take_has_no_wait_and_the_queue_no_end() -> None:
    found = world(a=1, b=1)
    found.feed(ev.PastLearned({"a": 10_000, "b": 1000}))
    for _ in range(5):
        found.submit("a")
        found.submit("b")
    assert drain_s(found) == 40
    found.check_answer("a", HostHealth.DOWN)
    assert (wait_s(found, "a", 2, 3), wait_s(found, "b", 2, 3)) == (None, 4)
    assert drain_s(found) is None
    found.check_answer("a", HostHealth.UP)
    found.feed(ev.DispatchPaused(True))
    assert (drain_s(found), wait_s(found, "b", 2, 3)) == (None, None)


def test_a_model_that_a_game_leaves_no_room_has_no_wait_while_another_has() -> None:
    sizes = {"big": 6000.0, "small": 1000.0}
    server = Endpoint("main", "ollama", "http://a:1", tuple(sizes), sizes=sizes)
    types = {name: TaskType(name, (Candidate("a", "main", name),)) for name in sizes}
    found = World((Host("a", 1, (server,)),), types, measured=("a",))
    found.feed(ev.PastLearned({"a": 1000}))

    def waits(used: float, *processes: Process) -> tuple[float | None, float | None]:
        found.read("a", card(used), loaded=(("main", ()),), processes=processes)
        return wait_s(found, "big", 2, 0), wait_s(found, "small", 2, 0)

    assert waits(65, Process(9, "doom", 5000.0)) == (None, 0)
    assert waits(5) == (0, 0)


def test_a_change_of_models_waits_for_the_calls_with_the_other_one_beside_free_slots() -> None:
    server = Endpoint("main", "ollama", "http://h:1", ("x", "y"))
    types = {name: TaskType(name, (Candidate("h", "main", name),)) for name in server.models}
    found = World((Host("h", 3, (server,)),), types)
    found.feed(ev.HostChecked("h", "main", Health(HostHealth.UP, loaded=())))
    found.feed(ev.PastLearned({"h": 6_000}))
    running = found.submit("x")
    found.submit("y", 0)
    view = snapshot(found.board, found.now, epoch=1, started_ms=0, counts=Counts({}), streamed={})
    assert [w.reason.code for w in view.waiting] == [ReasonCode.SWAP_PENDING]
    assert [w.expected_ms for w in view.waiting] == [6_000]
    assert view.drain_ms == 6_000
    assert wait_s(found, "x", 0, 0) == 0, "its model is there"
    found.end(running)
    assert found.board.where == {}


def test_a_host_whose_other_server_has_the_model_is_not_waited_for() -> None:
    servers = tuple(Endpoint(n, "ollama", f"http://h:{n}", ("x", "y")) for n in ("1", "2"))
    types = {m: TaskType(m, tuple(Candidate("h", n, m) for n in ("1", "2"))) for m in ("x", "y")}
    found = World((Host("h", 4, servers),), types)
    for name, model in (("1", "x"), ("2", "y")):
        found.feed(ev.HostChecked("h", name, Health(HostHealth.UP, loaded=(model,))))
    found.feed(ev.PastLearned({"h": 6_000}))
    found.submit("x")
    assert wait_s(found, "y", 0, 0) == 0


def test_a_free_slot_is_taken_at_once_and_the_next_when_a_call_ends() -> None:
    found = world(a=3)
    found.feed(ev.PastLearned({"a": 6_000}))
    assert [wait_s(found, "a", 2, 0)] == [0]
    found.submit("a")
    found.feed(ev.DispatchPaused(True))
    for _ in range(5):
        found.submit("a")
    found.board.paused = False
    assert [wait_s(found, "a", 2, n) for n in range(5)] == [0, 0, 2, 4, 6]
    assert drain_s(found) == 6


def test_better_tasks_of_others_are_waited_for_and_worse_ones_are_not() -> None:
    found = world(a=1, b=1)
    found.feed(ev.PastLearned({"a": 1000, "b": 1000}))
    for name in ("a", "b"):
        found.submit(name)
    for priority, count in ((1, 4), (3, 6)):
        for _ in range(count):
            found.submit("a", priority)
    for _ in range(3):
        found.submit("a", 2)
    assert wait_s(found, "a", 0, 0) == 1
    assert [wait_s(found, "a", 2, 4 + n) for n in range(4)] == [5, 6, 7, 8]
    assert wait_s(found, "b", 2, 0) == 1, "nothing waits for that one"
    assert wait_s(found, "a", 4, 13) == drain_s(found) + 1 == 14  # type: ignore[operator]


def test_tasks_of_one_priority_share_the_wait_whatever_their_type() -> None:
    found = world(a=1)
    found.feed(ev.PastLearned({"a": 1000}))
    for _ in range(11):
        found.submit("a")
        found.submit("general")
    assert wait_s(found, "a", 2, 10) == wait_s(found, "general", 2, 10) == 11
    assert drain_s(found) == 21


def test_a_pause_that_a_server_asked_for_is_waited_out() -> None:
    found = world(a=1)
    found.feed(ev.PastLearned({"a": 1000}))
    found.end(found.submit("a"), Outcome(OutcomeKind.BUSY, "no", retry_after_s=20.0))
    found.submit("a")
    assert drain_s(found) == 20


def test_the_drain_is_the_longest_wait_of_all_that_is_shown() -> None:
    found = world(a=2, b=1)
    found.feed(ev.PastLearned({"a": 3000, "b": 5000}))
    for n in range(18):
        found.submit(("a", "b", "general")[n % 3], n % 4)
    view = snapshot(found.board, found.now, epoch=1, started_ms=0, counts=Counts({}), streamed={})
    waits = [w.expected_ms for w in view.waiting if w.expected_ms is not None]
    assert len(waits) == len(view.waiting) == 15
    assert view.drain_ms == max(waits)


def test_a_plan_that_is_older_than_its_hosts_says_what_it_knows() -> None:
    found = world(a=1)
    found.feed(ev.PastLearned({"a": 1000, "b": 1000}))
    plan = Plan(found.board, found.now)
    found.hosts = (*found.hosts, host("b", 1))
    found.types["b"] = kind("b", "b")  # type: ignore[index]
    found.own()
    assert plan.wait_ms(Lane("b"), Priority.NORMAL, 0) is None
    assert plan.wait_ms(Lane("a"), Priority.NORMAL, 0) == 0
    assert wait_s(found, "b", 2, 0) == 0
