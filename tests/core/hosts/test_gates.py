"""When a host may take one more call."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core.world import HOME_TYPES, World, host, kind
from ygg.core import events as ev
from ygg.core.hosts import gates
from ygg.model import (
    Candidate,
    Endpoint,
    GpuNeed,
    Health,
    Host,
    HostHealth,
    Lane,
    Permit,
    Policy,
    ReasonCode,
    TaskType,
)
from ygg.model import OutcomeKind as K
from ygg.model import State as S
from ygg.telling.explain import explain


def one_host(slots: int = 3) -> World:
    return World((host("a", slots),), {"general": kind("general", "a")})


def gaps(world: World, seconds: float) -> list[float]:
    """Times between the health checks of host a, each answered `down`."""
    times, end = [], world.mono + seconds
    world.checks.clear()
    while world.mono < end:
        world.pass_time(0.5)
        if world.checks:
            times.append(world.mono)
            world.checks.clear()
            world.check_answer("a", HostHealth.DOWN)
    return [b - a for a, b in itertools.pairwise(times)]


def test_probes_of_a_dead_host_slow_down_from_one_second_to_a_minute() -> None:
    world = one_host()
    world.check_answer("a", HostHealth.DOWN)
    waits = gaps(world, 250)
    assert waits[:5] == [pytest.approx(w, abs=0.6) for w in (2, 4, 8, 16, 32)]
    assert waits[5:] == [pytest.approx(60, abs=0.6)] * len(waits[5:])


def test_many_calls_that_fail_together_open_the_breaker_once() -> None:
    world = one_host()
    tasks = [world.submit("general") for _ in range(3)]
    for task in tasks:
        world.fail(task, K.UNREACHABLE)
    server = world.board.hosts["a"].servers["main"]
    assert server.check_at == world.mono + 1
    assert len([n for n in world.notes if n.task_id is None and "down" in n.reason.text]) == 1


def test_a_busy_host_gets_no_start_before_its_time_and_then_one_call_alone() -> None:
    world = one_host()
    first = world.submit("general")
    world.fail(first, K.BUSY, after=10)
    waiting = [world.submit("general") for _ in range(3)]
    assert not world.calls
    world.pass_time(10.1)
    assert len(world.calls) == 1
    world.end(next(iter(world.calls)))
    assert len(world.calls) == 3
    assert {*waiting, first} == {*world.started}


@pytest.mark.parametrize(("said", "pause"), [(0.0, 1), (0.01, 1), (1.5, 1.5), (300, 300)])
def test_a_pause_of_nothing_is_no_reason_to_ask_again_at_once(said: float, pause: float) -> None:
    world = one_host()
    task = world.submit("general")
    world.fail(task, K.BUSY, after=said)
    world.pass_time(pause - 0.1)
    assert world.started == [task]
    world.pass_time(5.0)
    assert world.started == [task, task]


def test_a_person_ends_the_pause_and_one_call_tries_the_host() -> None:
    world = one_host()
    world.fail(world.submit("general"), K.BUSY, after=300)
    waiting = [world.submit("general") for _ in range(4)]
    world.pass_time(20)
    assert not world.calls
    world.feed(ev.HostDrained("a", False))
    assert list(world.calls) == waiting[:1]
    world.fail(waiting[0], K.BUSY, after=300)
    world.pass_time(20)
    assert not world.calls
    world.feed(ev.HostDrained("a", False))
    world.end(waiting[1])
    assert len(world.calls) == 2


def test_a_person_who_resumes_a_host_that_is_down_has_it_looked_at() -> None:
    world = one_host()
    for _ in range(6):
        world.pass_time(60)
        world.check_answer("a", HostHealth.DOWN)
    world.checks.clear()
    world.feed(ev.HostDrained("a", False))
    assert world.checks == [("a", "main")]


def test_a_completed_call_proves_a_host_alive() -> None:
    world = one_host()
    world.end(world.submit("general"))
    assert world.board.hosts["a"].servers["main"].health is HostHealth.UP


def test_a_check_that_could_not_ask_says_nothing_of_the_host() -> None:
    world = one_host()
    world.end(world.submit("general"))
    server = world.board.hosts["a"].servers["main"]
    for known in (HostHealth.UP, HostHealth.DOWN):
        server.health = known
        world.feed(ev.HostChecked("a", "main", Health(HostHealth.UNKNOWN, message="no descriptor")))
        assert server.health is known
        assert server.check_at > world.now.mono


def test_out_of_memory_takes_one_slot_and_gives_it_back_after_half_a_minute() -> None:
    world = one_host()
    world.fail(world.submit("general"), K.OUT_OF_MEMORY)
    gate = world.board.hosts["a"]
    assert gate.limit == 2
    world.pass_time(29)
    assert gate.limit == 2
    world.pass_time(2)
    assert gate.limit == 3


def test_the_last_slot_is_never_withdrawn_by_out_of_memory() -> None:
    world = one_host(1)
    world.fail(world.submit("general"), K.OUT_OF_MEMORY)
    assert world.board.hosts["a"].limit == 1


def test_new_configuration_changes_slots_and_keeps_running_tasks() -> None:
    world = one_host(2)
    tasks = [world.submit("general") for _ in range(3)]
    world.feed(ev.HostsOwned((host("a", 1),), world.types, world.policy))
    world.end(tasks[0])
    assert len(world.calls) == 1
    world.feed(ev.HostsOwned((host("a", 4),), world.types, world.policy))
    assert len(world.calls) == 2


def test_a_host_that_left_the_configuration_ends_its_calls_and_takes_no_more() -> None:
    world = World((host("a"), host("b")), {"general": kind("general", "a", "b")})
    on_a, on_b, waiting = (world.submit("general") for _ in range(3))
    world.feed(ev.HostsOwned((host("b"),), {"general": kind("general", "b")}, world.policy))
    world.end(on_a)
    assert "a" not in world.board.hosts
    assert world.rows[on_a].state is S.COMPLETED
    world.end(on_b)
    assert world.rows[waiting].host == "b"


def test_a_good_check_leaves_a_pause_its_reason_until_that_is_over() -> None:
    world = one_host()
    world.fail(world.submit("general"), K.BUSY, after=10)
    server = world.board.hosts["a"].servers["main"]
    why = server.text
    world.check_answer("a", HostHealth.UP)
    assert server.text == why != ""
    world.pass_time(11)
    world.check_answer("a", HostHealth.UP)
    assert server.text == ""


def test_every_host_is_checked_at_start_and_again_without_traffic() -> None:
    world = World()
    assert sorted(world.checks) == [(h, "main") for h in ("fenrir", "skadi", "surtr")]
    for name in ("fenrir", "skadi", "surtr"):
        world.check_answer(name, HostHealth.UP)
    world.checks.clear()
    world.pass_time(29)
    assert world.checks == []
    world.pass_time(2)
    assert len(world.checks) == 3


@given(st.lists(st.sampled_from(["oom", "busy", "done", "time", "down", "up"]), max_size=40))
@settings(deadline=None)
def test_a_limit_is_never_above_the_configured_slots_nor_negative(events: list[str]) -> None:
    world = World((host("a", 3),), {"general": HOME_TYPES["general"], "x": kind("x", "a")})
    for event in events:
        task = world.submit("x")
        if event == "time":
            world.pass_time(31)
        elif event in ("down", "up"):
            world.check_answer("a", HostHealth(event))
        elif task in world.calls:
            kinds = {"oom": K.OUT_OF_MEMORY, "busy": K.BUSY}
            world.end(task) if event == "done" else world.fail(task, kinds[event])
        gate = world.board.hosts["a"]
        assert 0 <= gates.limit(gate) <= gate.limit <= 3


def test_a_host_that_only_says_it_is_well_is_tried_less_and_less() -> None:
    """Its check is open to all, its calls answer 401."""
    world = one_host(1)
    task, attempts = world.submit("general"), 0
    end = world.mono + 600
    while world.mono < end:
        if task in world.calls:
            attempts += 1
            world.fail(task, K.UNAUTHORIZED)
        if world.checks:
            world.checks.clear()
            world.check_answer("a", HostHealth.UP)
        world.pass_time(0.5)
    assert attempts <= 16  # after 1, 2, 4 … 60 s
    assert world.rows[task].errors == 0


def test_a_host_that_was_well_for_two_checks_is_probed_quickly_again() -> None:
    world = one_host(1)
    world.fail(world.submit("general"), K.UNREACHABLE)
    for _ in range(2):
        world.pass_time(31)
        world.check_answer("a", HostHealth.DOWN)
    world.check_answer("a", HostHealth.UP)
    world.pass_time(31)
    world.check_answer("a", HostHealth.UP)
    for task in list(world.calls):
        world.fail(task, K.UNREACHABLE)
    server = world.board.hosts["a"].servers["main"]
    assert server.check_at == world.mono + 1


def test_one_refusal_of_one_server_does_not_narrow_a_host_for_ever() -> None:
    world = one_host(3)
    first = world.submit("general")
    world.fail(first, K.BUSY, after=1)
    world.pass_time(1.5)
    for task in list(world.calls):
        world.fail(task, K.CANCELLED)
    world.pass_time(60)
    for _ in range(3):
        world.submit("general")
    assert len(world.calls) == 3


def test_a_host_that_left_and_came_back_is_checked_again() -> None:
    world = World((host("a"), host("b")), {"general": kind("general", "a", "b")})
    first = world.submit("general")
    types = {"general": kind("general", "b")}
    world.feed(ev.HostsOwned((host("b"),), types, world.policy))
    world.pass_time(120)
    assert ("a", "main") not in world.checks[2:], "nobody could answer it"
    world.checks.clear()
    world.own()
    assert world.running_on("a") == [first]
    assert ("a", "main") in world.checks
    assert world.board.hosts["a"].limit == 1


@pytest.mark.parametrize(("need", "expected"), [
    (GpuNeed.REQUIRED, "gpu"), (GpuNeed.NEVER, "cpu"), (GpuNeed.PREFERRED, "gpu"),
    (GpuNeed.UNNEEDED, "cpu"),
])  # fmt: skip
def test_a_task_runs_on_the_kind_of_host_it_asks_for(need: GpuNeed, expected: str) -> None:
    hosts = (host("cpu", kind="cpu"), host("gpu", kind="gpu"))
    world = World(hosts, {"general": kind("general", "cpu", "gpu")})
    for _ in range(2):
        world.submit(lane=Lane("general", gpu=need))
    assert world.rows["t1"].host == expected
    assert world.rows["t2"].host is None, "both wait for that kind"


def test_a_task_that_no_kind_of_host_serves_says_so() -> None:
    world = World((host("cpu", kind="cpu"),), {"general": kind("general", "cpu")})
    task = world.submit(lane=Lane("general", gpu=GpuNeed.REQUIRED))
    (reason,) = explain(world.board, world.rows[task], world.now)
    assert reason.code is ReasonCode.NO_HOST


def test_a_host_that_joins_drained_gets_nothing_though_tasks_wait_for_it() -> None:
    world = World((host("b"),), {"general": kind("general", "a")})
    task = world.submit("general")
    world.hosts = (host("a"), host("b"))
    world.feed(ev.HostsOwned(world.hosts, world.types, world.policy, drained={"a"}))
    assert world.started == []
    assert world.notes[-1].reason.code is ReasonCode.HOST_DRAINED
    world.feed(ev.HostDrained("a", False))
    assert world.started == [task]


# --- slots of an endpoint inside the limit of its host --------------------------------------------


def box(host: int = 4, **slots: int | None) -> World:
    """Host `h` with an endpoint, a model and a task type of each name; types of two letters may use both."""
    endpoints = tuple(
        Endpoint(name, "openai", f"http://{name}:1", (name,), slots=n) for name, n in slots.items()
    )
    types = {n: TaskType(n, (Candidate("h", n, n),)) for n in slots}
    types["both"] = TaskType("both", tuple(Candidate("h", n, n) for n in slots))
    world = World((Host("h", host, endpoints),), {**types, "general": types["both"]}, Policy())
    for name in slots:
        world.feed(ev.HostChecked("h", name, Health(HostHealth.UP)))
    return world


def inside(world: World, endpoint: str) -> int:
    return sum(call.candidate.endpoint == endpoint for call in world.calls.values())


def test_a_server_gets_no_more_calls_than_it_has_slots() -> None:
    world = box(4, a=1, b=3)
    waiting = [world.submit("a") for _ in range(3)]
    for _ in range(4):
        world.submit("b")
    assert (inside(world, "a"), inside(world, "b")) == (1, 3)
    text = explain(world.board, world.rows[waiting[1]], world.now)[0].text
    assert text == "h/a: 1 of 1 slot busy"


def test_a_task_that_may_use_several_servers_of_a_host_gets_the_first_with_a_slot() -> None:
    world = box(3, a=1, b=1, c=1)
    for _ in range(4):
        world.submit("both")
    assert sorted(call.candidate.endpoint for call in world.calls.values()) == ["a", "b", "c"]


def test_the_host_s_own_limit_holds_over_all_of_them() -> None:
    world = box(2, a=2, b=2)
    for name in ("a", "a", "b", "b"):
        world.submit(name)
    assert len(world.calls) == 2


def test_a_server_without_slots_of_its_own_has_those_of_its_host() -> None:
    world = box(3, a=None, b=1)
    for _ in range(4):
        world.submit("a")
    assert inside(world, "a") == 3


def test_a_server_that_asks_for_a_pause_holds_up_no_other() -> None:
    world = box(4, a=2, b=2)
    world.fail(world.submit("a"), K.BUSY, after=5.0)
    assert len([world.submit("b") for _ in range(2)]) == inside(world, "b")
    world.pass_time(6)
    for _ in range(3):
        world.submit("a")
    assert inside(world, "a") == 1, "one at a time until one completes"
    assert inside(world, "b") == 2


@pytest.mark.parametrize(("before", "after"), [(3, 1), (1, 3), (None, 2)])
def test_a_reload_changes_slots_and_keeps_count_of_what_runs(
    before: int | None, after: int
) -> None:
    world = box(4, a=before, b=1)
    tasks = [world.submit("a") for _ in range(4)]
    ran = inside(world, "a")
    first, second = world.hosts[0].endpoints
    world.hosts = (replace(world.hosts[0], endpoints=(replace(first, slots=after), second)),)
    world.own()
    assert inside(world, "a") == max(ran, after)
    for _ in tasks:
        for task in list(world.calls):
            world.end(task)
            assert inside(world, "a") <= max(after, ran)
    assert world.board.hosts["h"].servers["a"].busy == 0


def test_a_reload_of_another_address_keeps_count_of_what_runs() -> None:
    world = box(4, a=1, b=1)
    running, waiting = world.submit("a"), world.submit("a")
    first, second = world.hosts[0].endpoints
    moved = (replace(first, url="http://moved:1"), second)
    world.hosts = (replace(world.hosts[0], endpoints=moved),)
    world.own()
    world.feed(ev.HostChecked("h", "a", Health(HostHealth.UP)))
    assert waiting not in world.calls
    world.end(running)
    assert waiting in world.calls


def test_a_better_task_takes_the_slot_of_a_worse_one_that_waits_for_a_permit_there() -> None:
    """The other endpoint's waiting call may stay."""
    world = box(2, a=1, b=1)
    permit = Permit("limiter", "k")
    world.needs = {("h", name): (permit,) for name in "ab"}
    world.own()
    worse, other = world.submit("a", 3), world.submit("b", 3)
    better = world.submit("a", 1)
    held = {t for call in world.board.calls.values() for t in call.tries}
    assert held == {better, other}
    assert worse in world.board.where


@given(
    st.lists(st.tuples(st.sampled_from(["a", "b", "both"]), st.integers(0, 4)), max_size=30),
    st.integers(1, 4),
    st.integers(1, 3),
    st.integers(1, 3),
    st.data(),
)
@settings(max_examples=60, deadline=None)
def test_neither_gate_is_ever_passed_and_no_slot_idles(
    tasks: list[tuple[str, int]], host: int, a: int, b: int, data: st.DataObject
) -> None:
    world = box(host, a=a, b=b)
    for name, priority in tasks:
        world.submit(name, priority)
        if world.calls and data.draw(st.booleans()):
            world.end(data.draw(st.sampled_from(sorted(world.calls))))
        assert len(world.calls) <= host
        assert inside(world, "a") <= a
        assert inside(world, "b") <= b
        waiting = {h.lane.type for h in world.board.where.values()}
        if len(world.calls) < host:
            assert not (inside(world, "a") < a and waiting & {"a", "both"})
            assert not (inside(world, "b") < b and waiting & {"b", "both"})
    while world.calls:
        world.end(min(world.calls))
    assert not world.board.where
