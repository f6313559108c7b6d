"""The machine's clock is set while a dispatcher runs: two hours forward, two hours back, at any moment."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from tests.builders import new_task
from tests.core.world import World
from tests.shell.virtual import BEGAN_S, START_MS, House, house, run_virtual, until
from ygg.model import OutcomeKind, Policy, State, Task
from ygg.running import chores
from ygg.running.clock import STEP_MS, Clock, steady_s

HOURS_2 = 2 * 3_600_000
JUMPS = pytest.mark.parametrize("jump", [HOURS_2, -HOURS_2], ids=["forward", "back"])
Scene = Callable[[House, Callable[[int], None]], Awaitable[None]]


def play(scene: Scene, policy: Policy | None = None) -> None:
    """Run a scene; it sets the machine's clock by calling its second argument."""
    ahead = [0]

    async def main() -> None:
        async with house(policy=policy, set_by=lambda: ahead[0]) as home:
            await scene(home, lambda by: ahead.__setitem__(0, by))

    run_virtual(main())


def between(start: int | None, end: int | None) -> float:
    assert start is not None
    assert end is not None
    return (end - start) / 1000


def started(home: House) -> float:
    """Seconds from the beginning of the scene to the first call."""
    return home.places["a"].arrivals[0][0] - BEGAN_S


@JUMPS
def test_a_jump_while_one_runs_and_one_waits_changes_no_duration(jump: int) -> None:
    async def scene(home: House, set_by: Callable[[int], None]) -> None:
        home.places["a"].latency_s = 10
        runs, waits = await home.submit(), await home.submit()
        await asyncio.sleep(4)
        set_by(jump)
        for task, waited in ((runs, 0), (waits, 10)):
            row = await home.end(task)
            assert row.waited_ms == pytest.approx(waited * 1000, abs=50)
            assert between(row.started_ms, row.finished_ms) == pytest.approx(10, abs=0.05)
        ends = home.dispatcher.snapshot().recent
        assert [e.took_ms for e in ends] == pytest.approx([10_000, 10_000], abs=50)
        assert [e.wait_ms for e in ends] == pytest.approx([0, 10_000], abs=50)

    play(scene)


@JUMPS
def test_a_jump_ends_no_deadline_and_moves_none(jump: int) -> None:
    async def scene(home: House, set_by: Callable[[int], None]) -> None:
        await home.dispatcher.pause(True)
        short = await home.submit(deadline_ms=START_MS + 60_000)
        await asyncio.sleep(1)
        set_by(jump)
        await asyncio.sleep(50)
        assert (await home.store.get(short.id)).state is State.QUEUED
        await asyncio.sleep(12)
        assert (await home.store.get(short.id)).state is State.EXPIRED

    play(scene)


@JUMPS
def test_a_jump_neither_ends_a_back_off_nor_draws_it_out(jump: int) -> None:
    async def scene(home: House, set_by: Callable[[int], None]) -> None:
        home.places["a"].fault = OutcomeKind.ERROR
        task = await home.submit()
        await asyncio.sleep(1)
        assert (await home.store.get(task.id)).state is State.SCHEDULED
        home.places["a"].up()
        set_by(jump)
        await asyncio.sleep(90)
        assert home.places["a"].arrivals == []
        assert (await home.end(task)).state is State.COMPLETED
        assert started(home) == pytest.approx(101, abs=5)

    play(scene, Policy(backoff_s=(100.0,), jitter=0.0))


@pytest.mark.parametrize(("jump", "after_s"), [(HOURS_2, 3), (-HOURS_2, 600), (60_000, 540)])
def test_what_a_person_has_scheduled_is_due_by_whichever_clock_is_first(
    jump: int, after_s: float
) -> None:
    async def scene(home: House, set_by: Callable[[int], None]) -> None:
        task = await home.submit(not_before_ms=START_MS + 600_000)
        set_by(jump)
        await home.end(task)
        assert started(home) == pytest.approx(after_s, abs=3)

    play(scene)


@JUMPS
def test_times_said_after_a_jump_are_those_of_the_machine(jump: int) -> None:
    async def scene(home: House, set_by: Callable[[int], None]) -> None:
        set_by(jump)
        now = START_MS + jump
        home.places["a"].latency_s = 1e4
        await home.submit()
        later = await home.submit(not_before_ms=now + 60_000)
        ends = await home.submit(deadline_ms=now + 90_000)
        await asyncio.sleep(55)
        assert (await home.store.get(later.id)).state is State.SCHEDULED
        await asyncio.sleep(10)
        assert (await home.store.get(later.id)).state is State.QUEUED
        assert (await home.store.get(ends.id)).state is State.QUEUED
        await asyncio.sleep(30)
        assert (await home.store.get(ends.id)).state is State.EXPIRED

    play(scene)


@JUMPS
def test_the_machines_clock_is_taken_over_once_nothing_waits(
    jump: int, caplog: pytest.LogCaptureFixture
) -> None:
    async def scene(home: House, set_by: Callable[[int], None]) -> None:
        loop = home.dispatcher.loop
        following = asyncio.create_task(chores.follow_clock(loop, home.store))
        await home.end(await home.submit())
        home.places["a"].latency_s = 20
        task = await home.submit()
        set_by(jump)
        row = await home.end(task)
        assert between(row.created_ms, row.finished_ms) == pytest.approx(20, abs=0.1)
        await until(lambda: not loop.clock.off_ms)
        view = home.dispatcher.snapshot(max_age_s=0)
        assert view.at_ms - view.started_ms < 60_000
        assert all(0 <= view.at_ms - e.at_ms < 60_000 for e in view.recent)
        assert all(h.checked_ms and 0 <= view.at_ms - h.checked_ms < 60_000 for h in view.hosts)
        fresh = await home.end(await home.submit())
        assert fresh.created_ms - (START_MS + jump) == pytest.approx(30_000, abs=30_000)
        following.cancel()

    with caplog.at_level("WARNING"):
        play(scene)
    told = [r.getMessage() for r in caplog.records if "clock" in r.getMessage()]
    way = "forward" if jump > 0 else "back"
    assert len(told) == 2
    assert f"the clock was set {way} by 7,200 s" in told[0]


def test_what_ended_before_the_clock_was_taken_over_makes_no_rate_absurd() -> None:
    async def scene(home: House, set_by: Callable[[int], None]) -> None:
        for _ in range(20):
            await home.end(await home.submit())
        before = home.dispatcher.snapshot(max_age_s=0).per_minute
        set_by(-HOURS_2)
        home.dispatcher.loop.take_over_clock()
        assert home.dispatcher.snapshot(max_age_s=0).per_minute == pytest.approx(before, rel=0.05)

    play(scene)


def row(**times: int | None) -> Task:
    world = World()
    return replace(world.rows[world.submit("code")], **times)  # type: ignore[arg-type]


def test_a_clock_that_went_back_between_two_runs_makes_a_wait_of_nothing() -> None:
    assert (
        row(queued_ms=START_MS, started_ms=START_MS - HOURS_2, state=State.COMPLETED).waited_ms == 0
    )
    assert row(queued_ms=START_MS, started_ms=START_MS + 5, state=State.COMPLETED).waited_ms == 5
    assert row(started_ms=None).waited_ms is None
    again = row(started_ms=START_MS - 5, queued_ms=START_MS, state=State.QUEUED)
    assert again.waited_ms is None


@pytest.mark.parametrize("by", [-STEP_MS + 1, STEP_MS - 1, 0])
def test_what_a_time_service_puts_right_slowly_is_no_jump(by: int) -> None:
    machine, steady = [START_MS], [5.0]
    clock = Clock(lambda: machine[0], lambda: steady[0])
    machine[0] += 1000 + by
    steady[0] += 1.0
    assert (clock.off_ms, clock.now_ms()) == (0, START_MS + 1000)
    task = new_task(deadline_ms=START_MS + 9)
    assert clock.placed(task) is task


def test_a_clock_runs_on_while_the_machine_sleeps() -> None:
    clock = Clock()
    assert abs(clock.now_ms() - time.time_ns() // 1_000_000) < 1000
    before = time.clock_gettime(time.CLOCK_BOOTTIME)
    assert before <= steady_s() <= time.clock_gettime(time.CLOCK_BOOTTIME)
