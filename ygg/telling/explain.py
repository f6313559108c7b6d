"""Why a task is where it is, and when it may move: answers from the board, best reason first."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from itertools import islice
from typing import NamedTuple

from ygg.core.board import Board
from ygg.core.hosts import gates
from ygg.core.placement import links
from ygg.model import Lane, Now, Priority, Reason, ReasonCode, Task
from ygg.model import State as S

KEPT = (ReasonCode.GPU_PREFERRED, ReasonCode.CPU_PREFERRED)  #: for tasks that want the other kind
MEASURED = 50  #: calls whose mean run time estimates a wait


def explain(board: Board, task: Task, now: Now) -> tuple[Reason, ...]:
    """The reasons of a task: one sentence of its own, then one per candidate while it waits."""
    match task.state:
        case S.QUEUED:
            return (_waiting(board, task, now), *_per_candidate(board, task, now))
        case S.SCHEDULED:
            return (_scheduled(task),)
        case S.PROCESSING:
            return (_processing(board, task),)
        case _:
            return (_ended(task),)


def why_waiting(board: Board, lane: Lane, priority: Priority, now: Now) -> Reason:
    """The one reason the best task of a lane is not running."""
    if board.paused:
        return Reason(ReasonCode.PAUSED, "dispatch is paused: ygg queue resume")
    if board.draining:
        return Reason(ReasonCode.DRAINING, "the dispatcher is shutting down")
    open_to = links.candidates(board, lane)
    if not open_to:
        text = f"no host serves type {lane.type} with these pins: ygg config check"
        return Reason(ReasonCode.NO_HOST, text, lane.host)
    obstacles = [links.obstacle(board, lane, c, priority, now) for c in open_to]
    if None in obstacles:
        return Reason(ReasonCode.NEXT, "starts next", open_to[obstacles.index(None)].host)
    return min((o for o in obstacles if o), key=_nearness)


def _nearness(reason: Reason) -> int:
    """A full host frees itself soonest, the one of the kind that is wanted; one that is down or drained
    needs a person."""
    order = (*KEPT, ReasonCode.HOST_FULL, ReasonCode.HOST_BUSY, ReasonCode.HOST_DOWN)
    return order.index(reason.code) if reason.code in order else len(order)


def _waiting(board: Board, task: Task, now: Now) -> Reason:
    if task.id in board.claiming:
        return Reason(
            ReasonCode.NEXT, "being claimed now", board.claiming[task.id].claim.candidate.host
        )
    reason = why_waiting(board, task.lane, task.priority, now)
    head = board.where.get(task.id)
    first = head is not None and board.lanes[task.lane][task.priority].heads[0] is head
    if reason.code in (ReasonCode.NEXT, ReasonCode.HOST_FULL) and not first:
        return Reason(ReasonCode.BEHIND, f"behind better-ranked tasks; {reason.text}", reason.host)
    return reason


def _per_candidate(board: Board, task: Task, now: Now) -> tuple[Reason, ...]:
    lane = task.lane
    found = (
        links.reject_reason(board, lane, c, task.priority, now)
        or Reason(ReasonCode.NEXT, f"{c.host} could take it", c.host)
        for c in links.all_candidates(board, lane)
    )
    return tuple(found)


def _scheduled(task: Task) -> Reason:
    if task.attempt:
        last = f" after {task.error}" if task.error else ""
        text = f"backing off ({task.errors} errors, {task.deferrals} deferrals){last}"
        return Reason(ReasonCode.BACKING_OFF, text, until_ms=task.due_ms)
    return Reason(ReasonCode.NOT_BEFORE, "not before its time", until_ms=task.due_ms)


def _processing(board: Board, task: Task) -> Reason:
    where = f"{task.host} {task.model or ''}".rstrip()
    if task.cancel_requested:
        return Reason(ReasonCode.CANCELLED, f"being stopped on {where}", task.host)
    return Reason(ReasonCode.CHOSEN, f"attempt {task.attempt} runs on {where}", task.host)


def _ended(task: Task) -> Reason:
    try:
        code = ReasonCode(task.reason or "")
    except ValueError:
        code = ReasonCode.COMPLETED if task.state is S.COMPLETED else ReasonCode.WITHDRAWN
    return Reason(code, task.error or f"{task.state}: {task.reason}", task.host)


def rivals(board: Board, lane: Lane) -> tuple[Lane, ...]:
    """The lanes that compete with this one for a host, itself included."""
    mine = {c.host for c in links.all_candidates(board, lane)}
    known = {*board.lanes, lane}
    return tuple(
        other for other in known if mine & {c.host for c in links.all_candidates(board, other)}
    )


class Pace(NamedTuple):
    """How fast a lane's hosts work."""

    mean_ms: float
    slots: int
    busy: int

    def wait_ms(self, ahead: int) -> int:
        """(ahead + 1) / slots * mean run time; nothing while a slot is free."""
        if ahead + self.busy < self.slots:
            return 0
        return round((ahead + 1) / self.slots * self.mean_ms)


def pace(board: Board, lane: Lane) -> Pace | None:
    """From the newest completed calls on the lane's hosts; None before any, or with no slot."""
    names = {c.host for c in links.open_to(board, lane)}
    hosts = [board.hosts[name] for name in names if name in board.hosts]
    took = _took_ms(board, names)
    slots = sum(gates.limit(h) for h in hosts)
    if not took or not slots:
        return None
    return Pace(sum(took) / len(took), slots, sum(len(h.busy) for h in hosts))


def _took_ms(board: Board, hosts: AbstractSet[str]) -> list[int]:
    """Run times of the newest `MEASURED` completed calls there."""
    measured = (
        end.took_ms
        for end in reversed(board.recent)
        if end.took_ms is not None and end.state is S.COMPLETED and end.host in hosts
    )
    return list(islice(measured, MEASURED))
