"""What becomes due, and failing stores."""

from __future__ import annotations

from dataclasses import replace

from tests.core.world import START_MS, World, host, kind
from ygg.core import effects as fx
from ygg.core import events as ev
from ygg.model import ReasonCode
from ygg.model import State as S


def one_host(slots: int = 1) -> World:
    return World((host("a", slots),), {"general": kind("general", "a")})


def unseen(world: World, **fields: object) -> str:
    """A row in the store that the core was not told of."""
    other = one_host()
    other.feed(ev.DispatchPaused(True))
    row = other.rows[other.submit("general")]
    world.rows["unseen"] = replace(row, id="unseen", **fields)  # type: ignore[arg-type]
    return "unseen"


def test_a_scheduled_task_starts_at_its_time_and_not_at_the_next_poll() -> None:
    world = one_host()
    task = unseen(world, state=S.SCHEDULED, due_ms=START_MS + 1300)
    world.feed(ev.DueLearned(START_MS + 1300))
    world.pass_time(1.2)
    assert world.started == []
    world.pass_time(0.2)
    assert world.started == [task]


def test_an_idle_dispatcher_wakes_only_for_its_poll() -> None:
    world = one_host()
    wakes = 0
    until = world.mono + 20
    while world.board.wake_at is not None and world.board.wake_at <= until:
        world.mono = world.board.wake_at
        world.feed(ev.Ticked())
        wakes += 1
    assert wakes <= 10 + 1


def test_the_poll_finds_tasks_that_nobody_told_of() -> None:
    world = one_host()
    task = unseen(world)
    world.pass_time(2.1)
    assert world.started == [task]


def test_a_failed_claim_gives_the_slot_back_and_is_tried_again() -> None:
    world = one_host()
    world.feed(ev.DispatchPaused(True))
    task = world.submit("general")
    world.feed(ev.DispatchPaused(False), settle=False)
    claim = next(e for e in world.todo if isinstance(e, fx.ClaimTasks))
    world.todo.clear()
    world.feed(ev.StoreFailed(claims=claim.claims, message="disk full"))
    assert world.board.hosts["a"].grants == {}
    assert world.board.store_error == "disk full"
    assert world.started == []
    world.pass_time(1.1)
    assert world.started == [task]
    assert world.board.store_error is None


def test_an_end_the_store_could_not_take_is_written_when_it_can() -> None:
    world = one_host()
    task = world.submit("general")
    call = world.calls.pop(task)
    world.feed(world.ended(call), settle=False)
    finish = next(e for e in world.todo if isinstance(e, fx.Finish))
    world.todo.clear()
    world.feed(ev.StoreFailed(ends=finish.ends, message="disk full"))
    assert world.rows[task].state is S.PROCESSING
    world.pass_time(1.1)
    assert world.rows[task].state is S.COMPLETED
    assert world.board.stale_ends == 0


def test_an_end_the_store_will_never_take_fails_its_own_task_alone() -> None:
    world = one_host()
    task, other = world.submit("general"), world.submit("general")
    call = world.calls.pop(task)
    world.feed(world.ended(call), settle=False)
    finish = next(e for e in world.todo if isinstance(e, fx.Finish))
    world.todo.remove(finish)
    world.feed(ev.EndRefused(finish.ends[0], "lone surrogates"))
    assert (world.rows[task].state, world.rows[task].reason) == (S.FAILED, ReasonCode.UNSTORABLE)
    assert other in world.calls, "the dispatcher goes on"
    assert world.board.finishing == {}


def test_ends_that_wait_for_the_store_are_written_one_by_one() -> None:
    world = World((host("a", 2),), {"general": kind("general", "a")})
    tasks = [world.submit("general") for _ in range(2)]
    for task in tasks:
        call = world.calls.pop(task)
        world.feed(world.ended(call), settle=False)
    finishes = [e for e in world.todo if isinstance(e, fx.Finish)]
    world.todo.clear()
    for finish in finishes:
        world.feed(ev.StoreFailed(ends=finish.ends, message="disk full"))
    world.mono += 1.1
    world.feed(ev.Ticked(), settle=False)
    assert [len(e.ends) for e in world.todo if isinstance(e, fx.Finish)] == [1, 1]


def test_idle_lanes_are_forgotten_and_still_served() -> None:
    world = one_host()
    world.end(world.submit("general"))
    world.pass_time(5)
    assert world.board.lanes == {}
    assert world.submit("general") in world.calls


def test_trouble_of_the_store_is_told_once_and_then_counted() -> None:
    world = one_host()
    world.pass_time(1)
    for message, seconds in (("disk full", 59), ("disk full", 30), ("disk broken", 5)):
        for _ in range(seconds):
            world.feed(ev.StoreFailed(message=message))
            world.mono += 1
    told = [n.reason.text for n in world.notes if "store: " in n.reason.text]
    assert told == [
        "store: disk full", "store: disk full (60 times in the last minute)", "store: disk broken",
    ]  # fmt: skip


def test_a_choice_that_the_store_refuses_each_second_is_told_once() -> None:
    world = one_host()
    world.feed(ev.DispatchPaused(True))
    task = world.submit("general")
    world.feed(ev.DispatchPaused(False), settle=False)
    for _ in range(3):
        (claim,) = [e for e in world.todo if isinstance(e, fx.ClaimTasks)]
        world.todo.clear()
        world.feed(ev.StoreFailed(claims=claim.claims, message="disk full"), settle=False)
        world.mono += 1.1
        world.feed(ev.Ticked(), settle=False)
    world.settle()
    assert [n.reason.code for n in world.notes if n.task_id == task] == [ReasonCode.CHOSEN]
