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
    Claim,
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


# --- what the store holds, and what the board believes --------------------------------------------------


def test_a_claim_whose_answer_was_lost_is_given_back_uncharged_and_runs() -> None:
    world = one(1)
    task = world.submit("general", state=S.PROCESSING, attempt=1)  # claimed; the reply never came
    assert world.started == []
    world.pass_time(3)
    assert [(e.task_id, e.reason) for e in world.ends] == [(task, ReasonCode.STRAY)]
    assert world.started == [task]
    assert (world.rows[task].errors, world.rows[task].attempt) == (0, 2)


def claim_on_its_way(world: World) -> tuple[str, tuple[Claim, ...]]:
    """A task whose claim was asked for and reaches no store."""
    world.feed(ev.DispatchPaused(True))
    task = world.submit("general")
    world.feed(ev.DispatchPaused(False), settle=False)
    (claims,) = [e.claims for e in world.todo if isinstance(e, fx.ClaimTasks)]
    world.todo.clear()
    return task, claims


def test_a_claim_of_which_nothing_is_known_frees_its_slot_and_is_found_by_the_next_poll() -> None:
    world = one(1)
    task, claims = claim_on_its_way(world)
    world._claim(claims[0])  # it was committed, and the connection died before the answer
    world.feed(ev.StoreFailed(claims=claims, unknown=True, message="connection lost"))
    assert world.board.hosts["a"].busy == 0
    assert world.started == []
    assert task not in world.board.where, "it may run already: it is not claimed again by guess"
    world.pass_time(5)
    assert world.started == [task]


def test_a_claim_that_certainly_failed_is_tried_again_from_its_place() -> None:
    world = one(1)
    task, claims = claim_on_its_way(world)
    world.feed(ev.StoreFailed(claims=claims, message="disk full"))
    assert task in world.board.where
    world.pass_time(2)
    assert world.started == [task]


def test_a_call_whose_task_was_ended_by_another_is_stopped() -> None:
    world = one(1)
    task = world.submit("general")
    sent = world.calls[task]
    world.rows[task] = replace(world.rows[task], state=S.FAILED)
    world.pass_time(3)
    assert world.cancels == [fx.Cancel(sent.id, AttemptId(task, 1))]
    world.fail(task, K.CANCELLED)
    assert world.told == [task]


def test_wishes_that_were_only_written_down_are_taken_over() -> None:
    world = one(2)
    stopped, raised = world.submit("general"), world.submit("general")
    world.rows[stopped] = replace(world.rows[stopped], cancel_requested=True)
    world.rows[raised] = replace(world.rows[raised], priority=Priority.CRITICAL)
    world.pass_time(5)
    assert [c.attempt for c in world.cancels] == [AttemptId(stopped, 1)], "asked once"
    call = world.board.calls[world.board.call_of[raised]]
    assert call.tries[raised].task is not None
    assert call.tries[raised].task.priority is Priority.CRITICAL


def test_what_started_or_ended_while_the_store_was_asked_is_left_alone() -> None:
    world = one(2)
    early = world.submit("general")
    world.mono += 3
    world.feed(ev.Ticked(), settle=False)
    assert any(isinstance(e, fx.ListRunning) for e in world.todo)
    asked = ev.RunningSeen(tuple(world._held()))
    world.todo = type(world.todo)(e for e in world.todo if not isinstance(e, fx.ListRunning))
    late = world.submit("general")  # starts after the store has counted
    world.feed(world.ended(world.calls.pop(early)), settle=False)  # its end is on the way
    world.feed(asked)
    assert world.cancels == []
    assert [e.reason for e in world.ends] == [ReasonCode.COMPLETED]
    assert world.rows[late].state is S.PROCESSING


def test_a_store_that_cannot_say_what_it_holds_is_asked_again() -> None:
    world = one(1)
    world.mono += 3
    world.feed(ev.Ticked(), settle=False)
    world.todo.clear()
    world.feed(ev.StoreFailed(listing=True, message="disk full"))
    world.mono += 5
    world.feed(ev.Ticked(), settle=False)
    assert any(isinstance(e, fx.ListRunning) for e in world.todo)
