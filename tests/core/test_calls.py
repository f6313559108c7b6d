"""Calls of one attempt and of several: each attempt has its own outcome, the slot is settled once."""

from __future__ import annotations

from dataclasses import replace

from tests.core.world import COMPLETED, World, host, kind
from ygg.core import effects as fx
from ygg.core import events as ev
from ygg.core.board import CallState, Try
from ygg.core.placement import lanes, permits, requests
from ygg.model import (
    Attempt,
    AttemptId,
    Call,
    Candidate,
    Outcome,
    Priority,
    ReasonCode,
    TaskType,
    Usage,
    because,
)
from ygg.model import OutcomeKind as K
from ygg.model import State as S

HERE = Candidate("a", "main", "m")


def bundle(world: World, count: int, width: int = 1) -> CallState:
    """A call that carries `count` waiting tasks, claimed by hand: the dispatcher itself sends them one by
    one so far."""
    world.feed(ev.HostDrained("a", True))
    ids = [world.submit("general") for _ in range(count)]
    heads = [world.board.where[task] for task in ids]
    for task in ids:
        lanes.remove(world.board, task)
    tries = {head.id: Try(head) for head in heads}
    call = CallState("bundle", HERE, tries, (2, 0), because(ReasonCode.CHOSEN, "a", said="by hand"))
    call.width = width
    permits.take(world.board, call)
    world.todo.append(fx.ClaimTasks(permits.claims(call)))
    world.board.hosts["a"].drained = False
    world.settle()
    return call


def one(slots: int = 4) -> World:
    return World((host("a", slots),), {"general": kind("general", "a")})


def test_each_attempt_of_a_call_gets_its_own_end_in_one_write() -> None:
    world = one()
    bundle(world, 3)
    sent = world.calls["t1"]
    assert [a.id for a in sent.attempts] == [
        AttemptId("t1", 1),
        AttemptId("t2", 1),
        AttemptId("t3", 1),
    ]
    outcomes = {
        AttemptId("t1", 1): COMPLETED,
        AttemptId("t2", 1): Outcome(K.BAD_REQUEST, "no messages"),
    }
    world.feed(ev.CallEnded("bundle", outcomes, Usage()))
    assert [world.rows[t].state for t in ("t1", "t2")] == [S.COMPLETED, S.FAILED]
    assert world.rows["t3"].state is S.SCHEDULED, "nothing told of it: an error, backed off"
    assert world.board.hosts["a"].busy == 0
    assert world.told == ["t1", "t2"]


def test_a_task_that_the_store_refuses_leaves_its_call_and_the_others_go() -> None:
    world = one()
    world.submit("general")  # t1 runs alone
    world.feed(ev.HostDrained("a", True))
    world.submit("general")
    world.rows["t2"] = replace(world.rows["t2"], version=9)
    call = bundle(world, 2)
    assert call.tries.keys() == {"t3", "t4"}
    world.feed(ev.CallEnded("bundle", {}, Usage()))
    assert world.board.hosts["a"].grants.keys() == {c.id for c in world.board.running}


def test_a_call_of_which_the_store_refuses_every_task_gives_its_slot_back() -> None:
    world = one(1)
    world.feed(ev.DispatchPaused(True))
    task = world.submit("general")
    world.feed(ev.DispatchPaused(False), settle=False)
    world.rows[task] = replace(world.rows[task], state=S.CANCELLED)
    world.settle()
    assert world.board.hosts["a"].busy == 0
    assert world.board.calls == {}
    assert world.board.call_of == {}


def test_one_attempt_is_stopped_and_the_others_go_on() -> None:
    world = one()
    bundle(world, 2)
    world.feed(ev.CancelAsked("t2"))
    assert world.cancels == [fx.Cancel("bundle", AttemptId("t2", 1))]
    outcomes = {AttemptId("t1", 1): COMPLETED, AttemptId("t2", 1): Outcome(K.ERROR, "cut")}
    world.feed(ev.CallEnded("bundle", outcomes, Usage()))
    assert (world.rows["t1"].state, world.rows["t2"].state) == (S.COMPLETED, S.CANCELLED)


def test_a_call_takes_its_width_of_the_gate() -> None:
    world = one(4)
    bundle(world, 3, width=3)
    assert world.calls["t1"].width == 3
    more = [world.submit("general") for _ in range(3)]
    assert [t for t in more if t in world.calls] == more[:1]
    world.feed(ev.CallEnded("bundle", {}, Usage()))
    assert world.board.hosts["a"].busy == len([t for t in more if t in world.calls]) == 3


def test_a_call_that_ends_twice_ends_once() -> None:
    world = one(1)
    task = world.submit("general")
    event = world.ended(world.calls[task])
    world.feed(event)
    world.feed(event)
    assert len(world.ends) == 1
    assert world.board.hosts["a"].busy == 0


def test_an_answer_is_timed_from_its_beginning() -> None:
    world = one(1)
    task = world.submit("general")
    world.pass_time(3)
    world.feed(ev.CallStarted(world.calls[task].id))
    assert world.board.calls[world.calls[task].id].answered == world.mono


def test_the_names_of_calls_of_two_runs_differ() -> None:
    worlds = [World(), World()]
    worlds[1].board.run = "another"
    names = {world.calls[world.submit("code")].id for world in worlds}
    assert len(names) == 2


def test_a_call_is_as_patient_as_its_most_patient_attempt() -> None:
    world = one()
    world.types["general"] = TaskType("general", (HERE,), timeout_s=50)
    bundle(world, 2)
    tasks = [a.task for a in world.calls["t1"].attempts]
    sent = requests.build_call(world.board, "c", HERE, [replace(tasks[0], timeout_s=5), tasks[1]])
    assert sent.limits.total_s == 50
    assert sent.limits.deadline_ms is None
    sent = requests.build_call(
        world.board, "c", HERE, [replace(t, deadline_ms=n) for n, t in enumerate(tasks)]
    )
    assert sent.limits.deadline_ms == 1


def test_a_call_of_several_attempts_has_no_single_one() -> None:
    world = one()
    bundle(world, 2)
    sent = world.calls["t1"]
    alone = Call("c", HERE, sent.attempts[:1], sent.limits)
    assert isinstance(alone.attempt, Attempt)
    try:
        sent.attempt  # noqa: B018
    except ValueError:
        return
    raise AssertionError("one of two attempts was taken for the only one")


def test_a_stale_end_has_its_waiters_look_at_the_row() -> None:
    world = one(1)
    task = world.submit("general", priority=Priority.HIGH)
    call = world.calls.pop(task)
    world.rows[task] = replace(world.rows[task], attempt=7)
    world.feed(world.ended(call))
    assert world.told == [task]
    assert world.board.stale_ends == 1
