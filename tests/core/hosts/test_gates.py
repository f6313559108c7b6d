"""When a host may take one more call."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.world import HOME_TYPES, World, host, kind
from ygg.core import events as ev
from ygg.core.hosts import gates
from ygg.model import GpuNeed, Health, HostHealth, Lane, ReasonCode
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
