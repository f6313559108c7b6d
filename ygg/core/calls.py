"""What a call goes through once its tasks are claimed: start, end, and what each of its attempts becomes.

A call carries one attempt or more; each has its own outcome and its own end. What a call holds is settled in one
place (`permits.settle`), whatever became of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from ygg.core import retrying
from ygg.core.board import Board, CallState, Phase, Try
from ygg.core.effects import Cancel, Effect, Finish, ListRunning, Note, Start, Tell
from ygg.core.events import CallEnded, Claimed, EndRefused, Finished, StoreFailed
from ygg.core.hosts import gates, ghosts
from ygg.core.placement import canaries, lanes, order, permits, requests, turns
from ygg.model import (
    Attempt,
    End,
    EndView,
    JsonDict,
    Now,
    Outcome,
    OutcomeKind,
    Reason,
    ReasonCode,
    RunningRow,
    Task,
    because,
)
from ygg.model import State as S

STORE_RETRY_S = 1.0  #: pause after a store failure
STORE_TOLD_S = 60.0  #: between two lines about the same trouble of the store


# --- from the claim to the end ----------------------------------------------------------------------


def claimed(board: Board, event: Claimed, now: Now) -> list[Effect]:
    """Start the calls whose tasks are ours now. A task that is not, or that may not start any more, leaves
    its call."""
    effects: list[Effect] = []
    board.store_error = None
    calls = dict.fromkeys(claim.call for claim in event.claims)
    for claim, task in zip(event.claims, event.tasks, strict=True):
        effects += _taken(board, board.calls[claim.call], claim.task_id, task, now)
    for call_id in calls:
        effects += _start(board, board.calls[call_id], now)
    return effects


def _taken(
    board: Board, call: CallState, task_id: str, task: Task | None, now: Now
) -> list[Effect]:
    attempt = call.tries[task_id]
    attempt.task = task
    why = None if task is None else _stop_before_start(board, call, attempt, task)
    if task is not None and why is None:
        return []
    del call.tries[task_id], board.call_of[task_id]
    if task is None:  # its row has changed since we saw it, its priority perhaps
        lanes.doubt(board, attempt.head.lane)
        return []
    return [_finish(board, [_judged(board, call, task, Outcome(why or OutcomeKind.ERROR), now)])]


def _stop_before_start(
    board: Board, call: CallState, attempt: Try, task: Task
) -> OutcomeKind | None:
    """Cancelled, shut down, or the host too hot or too full, while the claim was on its way."""
    if attempt.cancelled is not None or task.cancel_requested:
        return attempt.cancelled or OutcomeKind.CANCELLED
    stopped = board.stopping or gates.stopped(board.hosts[call.candidate.host])
    return OutcomeKind.WITHDRAWN if stopped else None


def _start(board: Board, state: CallState, now: Now) -> list[Effect]:
    if not state.tries:
        return permits.settle(board, state)
    tasks = [t.task for t in state.tries.values() if t.task is not None]
    state.call = requests.build_call(board, state.id, state.candidate, tasks, state.width)
    state.phase, state.started = Phase.RUNNING, now.mono
    turns.served(board, state)
    notes = [_routed(state.why, task) for task in tasks]
    return [*notes, Start(state.call), *requests.unused_options(state.call)]


def _routed(why: Reason, task: Task) -> Note:
    """Where a task goes and why, with what it is."""
    what = f"{task.lane.type}, {task.content_type}" if task.content_type else task.lane.type
    return Note(because(why.code, why.host, **why.facts, what=what), task.id)


def started(board: Board, call_id: str, now: Now) -> None:
    """Its server has begun to answer."""
    call = board.calls.get(call_id)
    if call is not None:
        call.answered = now.mono


def ended(board: Board, event: CallEnded, now: Now) -> list[Effect]:
    """The slot is free, but for a ghost; each attempt of the call gets its end."""
    call = board.calls.get(event.call)
    if call is None or call.call is None:
        return []
    effects: list[Effect] = []
    effects += permits.settle(board, call, event.usage)
    effects += ghosts.stay(board, call, event.outcomes.values(), now)
    ends: list[End] = []
    for attempt in call.call.attempts:
        outcome = event.outcomes.get(attempt.id, _UNTOLD)
        effects += _learn(board, call, outcome, now)
        found, told = _followed(board, call, attempt.task, outcome, now)
        ends, effects = [*ends, *found], [*effects, *told]
    return [*effects, _finish(board, ends)] if ends else effects


def _learn(board: Board, call: CallState, outcome: Outcome, now: Now) -> list[Effect]:
    """What an outcome tells of the server."""
    news = gates.learn(board, call.candidate, outcome, now)
    if not call.canary:
        order.learn(board, call.candidate, outcome, (now.mono - call.started) * 1000)
    told: list[Effect] = [Note(news, level="WARNING")] if news else []
    if outcome.kind is OutcomeKind.COMPLETED and not call.canary:
        told += canaries.well(board, call.candidate, now)
    return told


def _followed(
    board: Board, call: CallState, task: Task, outcome: Outcome, now: Now
) -> tuple[list[End], list[Effect]]:
    """The ends that an outcome makes now: its own, those of the suspects of a canary, or none yet."""
    if call.canary:
        guilty, ends, told = canaries.ended(board, call, outcome, now)
        judged = [_judged(board, call, held.task, held.outcome, now) for held in guilty]
        return [*judged, *ends], told
    wanted = _as_wanted(call.tries[task.id], outcome)
    if canaries.in_doubt(board, call.candidate, task, wanted, now):
        return canaries.suspect(board, call.candidate, task, wanted, now)
    return [_judged(board, call, task, wanted, now)], []


_UNTOLD = Outcome(OutcomeKind.ERROR, "the backend told nothing of this attempt")


def _as_wanted(attempt: Try, outcome: Outcome) -> Outcome:
    """An attempt we stopped ends as we meant it, unless it had completed just before."""
    if attempt.cancelled is None or outcome.kind is OutcomeKind.COMPLETED:
        return outcome
    done = attempt.cancelled is OutcomeKind.INTERRUPTED and attempt.reached
    message = f"{attempt.reached} % done" if done else outcome.message
    return Outcome(attempt.cancelled, message, delivered=outcome.delivered)


def _judged(board: Board, call: CallState, task: Task, outcome: Outcome, now: Now) -> End:
    return retrying.judge(retrying.Case(board, task, call.candidate, outcome, now))


def _finish(board: Board, ends: list[End]) -> Effect:
    board.finishing.update((end.task_id, end) for end in ends)
    return Finish(tuple(ends))


# --- what the store answers -------------------------------------------------------------------------


def finished(board: Board, event: Finished, now: Now) -> list[Effect]:
    effects: list[Effect] = []
    board.store_error = None
    for end, task in zip(event.ends, event.tasks, strict=True):
        board.finishing.pop(end.task_id, None)
        if task is None:
            effects += _stale(board, end)
            continue
        effects.append(_end_note(board, end, task, now))
        if end.reason is not ReasonCode.HOST_SICK:
            board.suspected.pop(task.id, None)
        if task.state is S.QUEUED:
            lanes.insert(board, task.head)
        elif task.state is S.SCHEDULED:
            lanes.learn_due(board, task.due_ms)
        else:
            canaries.forget(board, task.id)
            lanes.over(board, task, now)
            effects.append(Tell((task,)))
    return effects


def _stale(board: Board, end: End) -> list[Effect]:
    """Somebody else ended this attempt: whoever waits for the task reads how."""
    board.stale_ends += 1
    canaries.forget(board, end.task_id)
    reason = because(ReasonCode.STALE_END, attempt=end.attempt)
    return [
        Note(reason, end.task_id, end.attempt, level="WARNING"),
        Tell(elsewhere=(end.task_id,)),
    ]


def _end_note(board: Board, end: End, task: Task, now: Now) -> Note:
    """Remember the end for rates and views, and tell it."""
    tokens = end.result.usage.output_tokens if end.result else None
    took = None if task.started_ms is None else max(0, now.wall_ms - task.started_ms)
    view = EndView(
        task.id,
        now.wall_ms,
        task.state,
        end.reason,
        task.host,
        took,
        task.waited_ms,
        tokens,
        task.lane.type,
        task.title,
        task.priority,
        end.detail or "",
    )
    board.recent.append(view)
    board.ended[view.state] += 1
    calm = task.state in (S.COMPLETED, S.CANCELLED)
    facts: JsonDict = {"state": view.state, "took_ms": took, "tokens": tokens}
    facts |= {"reason": end.reason, "detail": end.detail}
    reason = because(ReasonCode.ENDED, view.host, **facts)
    return Note(reason, task.id, end.attempt, "INFO" if calm else "WARNING")


def compare(board: Board) -> list[Effect]:
    """Ask the store what it holds for running, to be compared with the calls that run now."""
    if board.compared is not None:
        return []
    board.compared = frozenset(call.id for call in board.running if not call.canary)
    return [ListRunning()]


def compared(board: Board, rows: Iterable[RunningRow]) -> list[Effect]:
    """What an answer that was lost has left behind is put right: a task that no call runs is given back, a
    call whose task is not ours any more is stopped, and what was wished of it meanwhile is taken over."""
    known = {row.id: row for row in rows}
    ran, board.compared = board.compared or frozenset(), None
    under_way = board.call_of.keys() | board.finishing.keys() | board.unwritten.keys()
    under_way |= board.suspects.keys()
    strays = [row for row in known.values() if row.id not in under_way]
    ends = [End(row.id, row.attempt, S.QUEUED, ReasonCode.STRAY) for row in strays]
    effects: list[Effect] = [_finish(board, ends)] if ends else []
    for call in (board.calls[call_id] for call_id in ran if call_id in board.calls):
        for attempt in call.call.attempts if call.call else ():
            effects += _compared(call, attempt, known.get(attempt.task.id))
    return effects


def _compared(call: CallState, attempt: Attempt, row: RunningRow | None) -> list[Effect]:
    """What the store says of an attempt that runs."""
    carried = call.tries[attempt.task.id]
    if row is None or row.attempt != attempt.id.number:
        carried.cancelled = carried.cancelled or OutcomeKind.WITHDRAWN
        return [Cancel(call.id, attempt.id)]
    carried.task = replace(attempt.task, priority=row.priority)
    if not row.cancel_requested or carried.cancelled is not None:
        return []
    carried.cancelled = OutcomeKind.CANCELLED
    return [Cancel(call.id, attempt.id)]


def store_failed(board: Board, event: StoreFailed, now: Now) -> list[Effect]:
    """Nothing happened in the store: give slots back, and try again in a while. Where that is not known, the
    lane is looked at again, and what was claimed after all is found to be a stray."""
    board.store_retry_at, board.retime = now.mono + STORE_RETRY_S, True
    board.store_error = event.message
    effects: list[Effect] = []
    for call_id in dict.fromkeys(claim.call for claim in event.claims):
        call = board.calls[call_id]
        effects += permits.settle(board, call) if event.unknown else permits.give_back(board, call)
        for attempt in call.tries.values() if event.unknown else ():
            lanes.doubt(board, attempt.head.lane)
    board.unwritten.update((end.task_id, end) for end in event.ends)
    if event.peeked is not None:
        lanes.peek_failed(board, *event.peeked)
    board.promoting = board.promoting and not event.promoting
    board.compared = None if event.listing else board.compared
    return [*effects, *_told_of_store(board, event.message, now)]


def _told_of_store(board: Board, message: str, now: Now) -> list[Effect]:
    """Trouble that lasts is told at once, and then counted: once in `STORE_TOLD_S`."""
    said, at = board.store_told
    board.store_failures += 1
    if message == said and now.mono < at + STORE_TOLD_S:
        return []
    times = board.store_failures if message == said else 1
    board.store_told, board.store_failures = (message, now.mono), 0
    return [Note(because(ReasonCode.STORE_FAILED, message=message, times=times), level="ERROR")]


def end_refused(board: Board, event: EndRefused) -> list[Effect]:
    """Fail the task without what the store could not hold. If it refuses that too, the row stays
    processing until it is found to run nowhere: one task, not the whole dispatcher."""
    end = event.end
    reason = because(ReasonCode.UNSTORABLE, message=event.message)
    note = Note(reason, end.task_id, end.attempt, level="ERROR")
    if end.reason is ReasonCode.UNSTORABLE:
        board.finishing.pop(end.task_id, None)
        return [note]
    failed = End(
        end.task_id, end.attempt, S.FAILED, ReasonCode.UNSTORABLE, reason.text, add_errors=1
    )
    return [note, _finish(board, [failed])]


# --- stopping ---------------------------------------------------------------------------------------


def cancel_asked(board: Board, task_id: str) -> list[Effect]:
    """Somebody cancelled a task that is processing."""
    held = board.suspects.pop(task_id, None)
    if held is not None:
        end = End(task_id, held.task.attempt, S.CANCELLED, ReasonCode.CANCELLED)
        return [_finish(board, [end])]
    call = board.calls.get(board.call_of.get(task_id, ""))
    if call is None:
        return []
    attempt = call.tries[task_id]
    attempt.cancelled = OutcomeKind.CANCELLED
    sent = call.call.attempts if call.call else ()
    return [Cancel(call.id, one.id) for one in sent if one.task.id == task_id]


def left(board: Board, task_id: str, over: Task | None, now: Now) -> list[Effect]:
    """A task has left the queue, or its row changed: no call waits for permits on its behalf. `over`: how it ended,
    if it did."""
    told: list[Effect] = [Tell((over,))] if over else []
    if over:
        canaries.forget(board, task_id)
        lanes.over(board, over, now)
    lanes.remove(board, task_id)
    call = board.calls.get(board.call_of.get(task_id, ""))
    if call is None or call.phase is not Phase.ACQUIRING:
        return told
    del call.tries[task_id], board.call_of[task_id]
    return told if call.tries else [*permits.settle(board, call), *told]


def cut(board: Board, reached: Mapping[str, int]) -> list[Effect]:
    """The drain is over: stop what still runs. `reached`: how far it is, in percent, by task id."""
    board.stopping = True
    held = [canaries.given_back(board, suspect) for suspect in list(board.suspects.values())]
    effects: list[Effect] = [_finish(board, held)] if held else []
    for call in board.running:
        for task_id, attempt in call.tries.items():
            attempt.cancelled = attempt.cancelled or OutcomeKind.INTERRUPTED
            attempt.reached = reached.get(task_id)
        effects.append(Cancel(call.id))
    return effects
