"""Why a task is where it is, and when it may move: answers from the board, best reason first."""

from __future__ import annotations

from itertools import islice

from ygg.core.board import Board, LaneState
from ygg.core.hosts import sickness
from ygg.core.placement import lanes, links, order, turns
from ygg.core.placement.ranking import rank
from ygg.core.placement.rounds import Round
from ygg.model import Lane, Now, Reason, ReasonCode, Scheduled, Task, because
from ygg.model import State as S
from ygg.model.batches import NEVER_MS

SLOTS = (ReasonCode.NEXT, ReasonCode.HOST_FULL, ReasonCode.GHOST)  #: a slot is all that lacks
KEPT = (ReasonCode.GPU_PREFERRED, ReasonCode.CPU_PREFERRED)  #: for tasks that want the other kind
ASKED = 50  #: candidates of which each has its reason told


def explain(board: Board, task: Task, now: Now) -> tuple[Reason, ...]:
    """The reasons of a task: one of its own, then one per candidate while it waits."""
    match task.state:
        case S.QUEUED:
            turn = Round(board, now, task.priority, rank(task.head, board.policy), task.lane.caller)
            state = lanes.unlisted(board, task.lane)
            return (_waiting(turn, state, task), *_per_candidate(turn, state))
        case S.SCHEDULED:
            return (why_scheduled(task),)
        case S.PROCESSING:
            return (_processing(board, task, now),)
        case _:
            return (_ended(task),)


def why_waiting(turn: Round, state: LaneState) -> Reason:
    """The one reason the best task of a lane is not running."""
    board, lane = turn.board, state.lane
    if board.paused:
        return because(ReasonCode.PAUSED)
    if board.stopping:
        return because(ReasonCode.DRAINING, running=len(board.running))
    asked = [c for c in order.best_first(board, state) if not links.refused(turn, state, c)]
    answers = [(c.host, links.first_no(turn, state, c)) for c in asked[:ASKED]]
    free = next((host for host, no in answers if no is None), None)
    if free is not None:
        return because(ReasonCode.NEXT, free, step="next")
    found = [no for _, no in answers if no and no.code is not ReasonCode.CANDIDATE_AVOIDED]
    nobody = because(ReasonCode.NO_HOST, lane.host, type=lane.type)
    return min(found, key=_nearness, default=nobody)


def _nearness(reason: Reason) -> int:
    """A full host frees itself soonest, the one of the kind that is wanted; one that is down or drained
    needs a person."""
    soon = (
        *KEPT,
        ReasonCode.HOST_FULL,
        ReasonCode.GHOST,
        ReasonCode.HOST_BUSY,
        ReasonCode.HOST_DOWN,
    )
    return soon.index(reason.code) if reason.code in soon else len(soon)


def _waiting(turn: Round, state: LaneState, task: Task) -> Reason:
    call = turn.board.calls.get(turn.board.call_of.get(task.id, ""))
    if call is not None:
        return because(ReasonCode.NEXT, call.candidate.host, step="claim")
    reason = why_waiting(turn, state)
    window = state.windows.get(task.priority)
    first = window is not None and bool(window.heads) and window.heads[0].id == task.id
    if reason.code not in SLOTS or reason.host is None:
        return reason
    if not first:
        return because(ReasonCode.BEHIND, reason.host, then=(reason,))
    callers = turns.before(turn, state, reason.host)
    if not callers:
        return reason
    return because(ReasonCode.TURN, reason.host, callers=callers, then=(reason,))


def _per_candidate(turn: Round, state: LaneState) -> tuple[Reason, ...]:
    """The first "no" of each candidate, or that it could take the task."""
    told = (links.answer(turn, state, c) for c in islice(state.route, ASKED))
    further = len(state.route) - ASKED
    return (*told, *((because(ReasonCode.FURTHER, count=further),) if further > 0 else ()))


def why_scheduled(task: Task | Scheduled) -> Reason:
    """Until when a task waits for its time."""
    if task.due_ms == NEVER_MS and isinstance(task, Task):
        return because(ReasonCode.BATCH_TURN, batch=task.batch)
    if not task.attempt:
        return because(ReasonCode.NOT_BEFORE, None, task.due_ms)
    counted = {"errors": task.errors, "deferrals": task.deferrals}
    return because(ReasonCode.BACKING_OFF, None, task.due_ms, error=task.error, **counted)


def _processing(board: Board, task: Task, now: Now) -> Reason:
    held = board.suspects.get(task.id)
    asked = held and sickness.obstacle(board.hosts.get(held.candidate.host), held.candidate, now)
    if asked:
        return asked
    host = board.hosts.get(task.host or "")
    server = f"/{task.endpoint}" if host is not None and len(host.servers) > 1 else ""
    where = f"{task.host}{server} {task.model or ''}".rstrip()
    if task.cancel_requested:
        return because(ReasonCode.CANCELLED, task.host, where=where)
    return because(ReasonCode.CHOSEN, task.host, attempt=task.attempt, where=where)


def _ended(task: Task) -> Reason:
    try:
        code = ReasonCode(task.reason or "")
    except ValueError:
        code = ReasonCode.COMPLETED if task.state is S.COMPLETED else ReasonCode.WITHDRAWN
    told = [task.error or ("" if task.state is S.COMPLETED else f"{task.state}: {task.reason}")]
    return because(code, task.host, said="; ".join(t for t in (*told, _ran(task)) if t))


def _ran(task: Task) -> str:
    """Where its last attempt ran, and how long it waited for that; "" when it never ran."""
    waited, ended = task.waited_ms, task.finished_ms
    if task.host is None or task.started_ms is None or waited is None:
        return ""
    where = f"ran on {task.host} {task.model or ''}".rstrip()
    took = "" if ended is None else f" for {_span(max(0, ended - task.started_ms))}"
    again = f", attempt {task.attempt}" if task.attempt > 1 else ""
    return f"{where}{took}{again}, waited {_span(waited)} for its slot"


def _span(ms: int) -> str:
    if ms < 10_000:
        return f"{ms / 1000:.1f} s"
    minutes, seconds = divmod(round(ms / 1000), 60)
    return f"{minutes} min {seconds} s" if minutes else f"{seconds} s"


def rivals(board: Board, lane: Lane) -> tuple[Lane, ...]:
    """The lanes that compete with this one for a host, itself included."""
    found = {lane: None}
    for host in lanes.unlisted(board, lane).reach.hosts:
        found |= {state.lane: None for state in board.serving.get(host, ())}
    return tuple(found)
