"""The run loop does what the core decides, over ports that pretend."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Sequence

import pytest

from tests.builders import new_task
from tests.shell.virtual import House, house, run_virtual, until
from ygg.errors import Conflict, Draining, InvalidInput, NotFound, StoreFull, Unavailable
from ygg.model import End, HostHealth, OutcomeKind, Policy, Priority, State, Task
from ygg.ports import AttemptStarted, Piece
from ygg.running.streams import KEEP, Streams
from ygg.stores.memory import MemoryStore

HOME = {"surtr": 2, "fenrir": 3, "skadi": 2}
ROUTES = {"general": ("surtr",), "text": ("fenrir",), "code": ("skadi",)}


def test_tasks_of_all_types_complete_with_their_results() -> None:
    async def main() -> None:
        async with house(HOME, ROUTES) as home:
            tasks = [await home.submit(t) for t in ("general", "text", "code") * 10]
            ended = await home.ends(tasks)
            assert {t.state for t in ended} == {State.COMPLETED}
            result = await home.store.result(tasks[0].id)
            assert result is not None
            assert result.content == f"{tasks[0].id}:0 {tasks[0].id}:1 "
            assert {n: p.peak for n, p in home.places.items()} == HOME

    run_virtual(main())


def test_a_better_task_starts_first_when_a_slot_frees() -> None:
    async def main() -> None:
        async with house() as home:
            first = await home.submit()
            low = await home.submit(priority=Priority.LOW)
            high = await home.submit(priority=Priority.HIGH)
            await home.ends([first, low, high])
            assert [t for _, t in home.places["a"].arrivals] == [first.id, high.id, low.id]

    run_virtual(main())


def test_a_slot_is_refilled_at_once_and_not_at_the_next_poll() -> None:
    async def main() -> None:
        async with house() as home:
            tasks = [await home.submit() for _ in range(5)]
            await home.ends(tasks)
            times = [at for at, _ in home.places["a"].arrivals]
            assert [b - a for a, b in itertools.pairwise(times)] == pytest.approx(
                [1.0] * 4, abs=0.01
            )

    run_virtual(main())


def test_cancelling_a_running_task_stops_its_stream() -> None:
    async def main() -> None:
        async with house() as home:
            home.places["a"].latency_s = 100
            task = await home.submit()
            await until(lambda: home.places["a"].running == 1)
            gone = await home.dispatcher.cancel(task.id)
            assert gone.state is State.CANCELLED
            assert home.places["a"].stopped == [f"{task.id}.1"]

    run_virtual(main())


def test_a_running_task_is_spared_when_only_waiting_ones_should_go() -> None:
    async def main() -> None:
        async with house() as home:
            task = await home.submit()
            await until(lambda: home.places["a"].running == 1)
            with pytest.raises(Conflict):
                await home.dispatcher.cancel(task.id, running=False)
            assert (await home.end(task)).state is State.COMPLETED

    run_virtual(main())


def test_cancelling_a_waiting_task_wakes_its_waiters() -> None:
    async def main() -> None:
        async with house() as home:
            await home.dispatcher.pause(True)
            task = await home.submit()
            waiter = asyncio.create_task(home.end(task))
            await asyncio.sleep(0)
            await home.dispatcher.cancel(task.id)
            assert (await waiter).state is State.CANCELLED

    run_virtual(main())


def test_waiting_gives_the_row_as_it_is_when_time_is_up() -> None:
    async def main() -> None:
        async with house() as home:
            home.places["a"].latency_s = 50
            task = await home.submit()
            assert (await home.end(task, 5)).state is State.PROCESSING
            assert (await home.end(task, 100)).state is State.COMPLETED
            assert asyncio.get_running_loop().time() < 1060, "told at the end, not when time was up"

    run_virtual(main())


def test_an_expired_task_wakes_its_waiters() -> None:
    async def main() -> None:
        async with house() as home:
            await home.dispatcher.pause(True)
            deadline = home.dispatcher.loop.now().wall_ms + 3000
            task = await home.submit(deadline_ms=deadline)
            assert (await home.end(task, 100)).state is State.EXPIRED
            assert home.dispatcher.loop.now().wall_ms - deadline < 50

    run_virtual(main())


def test_a_pause_and_a_drained_host_survive_a_restart() -> None:
    async def main() -> None:
        async with house({"a": 1, "b": 1}, {"general": ("a",), "other": ("b",)}) as home:
            await home.dispatcher.pause(True)
            await home.dispatcher.drain_host("a", True)
        async with house(
            {"a": 1, "b": 1}, {"general": ("a",), "other": ("b",)}, store=home.store.reopened()
        ) as again:
            on_a, on_b = await again.submit(), await again.submit("other")
            await asyncio.sleep(60)
            assert (await again.store.get(on_b.id)).state is State.QUEUED
            await again.dispatcher.pause(False)
            assert (await again.end(on_b, 60)).state is State.COMPLETED
            assert (await again.end(on_a, 60)).state is State.QUEUED
            await again.dispatcher.drain_host("a", False)
            assert (await again.end(on_a, 60)).state is State.COMPLETED

    run_virtual(main())


async def _followed(home: House, task: Task) -> list[object]:
    return [item async for item in home.dispatcher.follow(task.id)]


def test_a_follower_sees_every_piece_whenever_it_comes() -> None:
    async def main() -> None:
        async with house() as home:
            home.places["a"].latency_s = home.places["a"].pieces = 10
            task = await home.submit()
            early = asyncio.create_task(_followed(home, task))
            await asyncio.sleep(5.5)
            late = asyncio.create_task(_followed(home, task))
            seen = [await early, await late, await _followed(home, task)]
            for items in seen[:2]:
                assert isinstance(items[0], AttemptStarted)
                assert [i.content for i in items if isinstance(i, Piece)] == [
                    f"{task.id}:{n} " for n in range(10)
                ]
                assert isinstance(items[-1], Task)
            assert [type(i) for i in seen[2]] == [Task]

    run_virtual(main())


def test_a_follower_is_told_when_another_attempt_begins() -> None:
    async def main() -> None:
        async with house({"a": 1, "b": 1}, {"general": ("a", "b")}) as home:
            home.places["a"].fault = OutcomeKind.ERROR
            task = await home.submit()
            items = await _followed(home, task)
            starts = [i for i in items if isinstance(i, AttemptStarted)]
            assert (starts[-1].attempt, starts[-1].host) == (2, "b")

    run_virtual(main())


def test_a_shutdown_waits_for_running_calls_and_refuses_submits() -> None:
    async def main() -> None:
        async with house(policy=Policy(drain_s=60)) as home:
            home.places["a"].latency_s = 30
            running, waiting = await home.submit(), await home.submit()
            await until(lambda: home.places["a"].running == 1)
            drained = asyncio.create_task(home.dispatcher.drain(60, asyncio.Event()))
            await asyncio.sleep(1)
            with pytest.raises(Draining):
                await home.submit()
            await drained
            assert (await home.store.get(running.id)).state is State.COMPLETED
            assert (await home.store.get(waiting.id)).state is State.QUEUED

    run_virtual(main())


@pytest.mark.parametrize(("policy", "state"), [("block", State.BLOCKED), ("requeue", State.QUEUED)])
def test_a_drain_that_runs_out_cuts_calls_and_writes_them_back(policy: str, state: State) -> None:
    async def main() -> None:
        async with house(policy=Policy(interrupted=policy)) as home:
            home.places["a"].latency_s = 300
            task = await home.submit()
            await until(lambda: home.places["a"].running == 1)
            began = asyncio.get_running_loop().time()
            await home.dispatcher.drain(60, asyncio.Event())
            assert asyncio.get_running_loop().time() - began == pytest.approx(60, abs=1)
            assert (await home.store.get(task.id)).state is state
            assert home.places["a"].stopped == [f"{task.id}.1"]

    run_virtual(main())


def test_a_second_signal_cuts_the_drain_short() -> None:
    async def main() -> None:
        async with house() as home:
            home.places["a"].latency_s = 300
            await home.submit()
            await until(lambda: home.places["a"].running == 1)
            hurry = asyncio.Event()
            asyncio.get_running_loop().call_later(2, hurry.set)
            began = asyncio.get_running_loop().time()
            await home.dispatcher.drain(60, hurry)
            assert asyncio.get_running_loop().time() - began == pytest.approx(2, abs=0.5)

    run_virtual(main())


def test_who_waits_for_what_will_not_end_is_told_so_when_the_drain_is_over() -> None:
    async def main() -> None:
        async with house() as home:
            await home.dispatcher.pause(True)
            task = await home.submit()
            waiting = asyncio.create_task(home.end(task, 600))
            began = asyncio.get_running_loop().time()
            await asyncio.sleep(1)
            await home.dispatcher.drain(60, asyncio.Event())
            assert (await waiting).state is State.QUEUED
            assert (await home.end(task, 600)).state is State.QUEUED, "and who comes later"
            assert asyncio.get_running_loop().time() - began < 5

    run_virtual(main())


def test_a_restart_runs_what_a_dead_dispatcher_left() -> None:
    async def main() -> None:
        async with house() as home:
            home.places["a"].latency_s = 1000
            task = await home.submit()
            await until(lambda: home.places["a"].running == 1)
            rows = home.store.reopened()  # kill -9: the old dispatcher's store is dead from here on
        async with house(store=rows) as again:
            ended = await again.end(task)
            assert (ended.state, ended.attempt, ended.crashes) == (State.COMPLETED, 2, 1)

    run_virtual(main())


def test_ends_wait_for_a_store_that_cannot_write() -> None:
    async def main() -> None:
        async with house() as home:
            task = await home.submit()
            await until(lambda: home.places["a"].running == 1)
            real = home.store.finish

            async def full(*_: object) -> list[Task | None]:
                raise StoreFull("disk full")

            home.store.finish = full  # type: ignore[assignment,method-assign]
            await asyncio.sleep(5)
            assert home.dispatcher.snapshot().store_error == "disk full"
            home.store.finish = real  # type: ignore[method-assign]
            assert (await home.end(task)).state is State.COMPLETED
            assert home.dispatcher.board.stale_ends == 0

    run_virtual(main())


def test_checking_hosts_asks_all_and_shows_what_they_said() -> None:
    async def main() -> None:
        async with house(HOME, ROUTES) as home:
            home.places["skadi"].down()
            view = await home.dispatcher.check_hosts()
            assert view is not None
            assert {h.name: h.health for h in view.hosts} == {
                "surtr": HostHealth.UP, "fenrir": HostHealth.UP, "skadi": HostHealth.DOWN,
            }  # fmt: skip
            with pytest.raises(NotFound):
                await home.dispatcher.drain_host("nobody", True)

    run_virtual(main())


def test_many_submits_in_one_call_are_all_run() -> None:
    async def main() -> None:
        async with house({"a": 3}) as home:
            answers = await home.dispatcher.submit([new_task() for _ in range(500)])
            tasks = [a.task for a in answers]  # type: ignore[union-attr]
            assert {t.state for t in await home.ends(tasks)} == {State.COMPLETED}
            order = [t for _, t in home.places["a"].arrivals]
            assert order == [t.id for t in tasks]

    run_virtual(main())


# --- a sick host is charged, its tasks are not ----------------------------------------------------


async def _done_in(seconds: float, sick: OutcomeKind | None) -> tuple[dict[str, int], list[Task]]:
    """How many tasks each host completed in `seconds`, with skadi sick for ten minutes from the start."""
    async with house(HOME, ROUTES) as home:
        for place in home.places.values():
            place.latency_s = 4
        if sick is not None:
            home.places["skadi"].down(sick)
        await home.dispatcher.submit(
            [new_task(t) for t in ("general", "text", "code") for _ in range(600)]
        )
        await asyncio.sleep(seconds)
        done = {n: len(p.arrivals) for n, p in home.places.items()}
        home.places["skadi"].up()
        await asyncio.sleep(120)
        rows = list(home.store._rows.values())
        done["skadi after"] = len(home.places["skadi"].arrivals)
        return done, rows


@pytest.mark.parametrize("sick", [OutcomeKind.UNREACHABLE, OutcomeKind.UNAUTHORIZED])
def test_ten_minutes_of_a_sick_host_cost_no_task_anything(sick: OutcomeKind) -> None:
    well, _ = run_virtual(_done_in(600, None))
    done, rows = run_virtual(_done_in(600, sick))
    assert done["skadi"] == 0
    for name in ("surtr", "fenrir"):
        assert done[name] >= 0.95 * well[name]
    assert done["skadi after"] > 20, "the host is used again within a minute of its return"
    assert not [r for r in rows if r.state in (State.FAILED, State.BLOCKED)]
    assert {(r.errors, r.deferrals, r.crashes) for r in rows} == {(0, 0, 0)}


def test_following_through_a_shutdown_says_that_the_task_goes_on() -> None:
    async def main() -> None:
        async with house() as home:
            await home.dispatcher.pause(True)
            task = await home.submit()
            follower = asyncio.create_task(_followed(home, task))
            await asyncio.sleep(1)
            await home.dispatcher.drain(0, asyncio.Event())
            with pytest.raises(Unavailable, match="goes on"):
                await follower

    run_virtual(main())


def test_a_late_follower_of_a_long_answer_sees_its_beginning() -> None:
    async def main() -> None:
        streams = Streams()
        streams.put("t", AttemptStarted(1, "a", "m"))
        for _ in range(3):
            streams.put("t", Piece("x" * (KEEP // 2)))
        reader = streams.read("t")
        assert isinstance((await reader.take())[0], AttemptStarted)
        streams.put("t", Piece("more"))
        assert await reader.take() == [Piece("more")]

    run_virtual(main())


def test_a_bug_in_a_step_reaches_the_owner() -> None:
    async def main() -> None:
        told: list[BaseException] = []
        async with house() as home:
            home.dispatcher.loop._on_fatal = told.append
            home.dispatcher.loop.feed(object())  # type: ignore[arg-type]
            home.dispatcher.loop._on_fatal = None
        assert len(told) == 1

    run_virtual(main())


def test_an_end_that_cannot_be_stored_stops_nobody_else() -> None:
    class Picky(MemoryStore):
        async def finish(self, ends: Sequence[End], now_ms: int) -> list[Task | None]:
            if any(e.result for e in ends if e.task_id == bad):
                raise InvalidInput("the text holds lone surrogates")
            return await super().finish(ends, now_ms)

    bad = ""

    async def main() -> None:
        nonlocal bad
        async with house(store=Picky()) as home:
            first = await home.submit()
            bad = first.id
            second = await home.submit()
            assert (await home.end(first, 60)).state is State.FAILED
            assert (await home.end(second, 60)).state is State.COMPLETED
            assert home.dispatcher.board.store_error is None

    run_virtual(main())
