"""step(board, event, now) -> effects: the whole dispatcher as one function.

One small handler per event changes the board; then three things follow every event: free slots are
filled (`dispatching`), what has become due is emitted (promotion, health checks, the safety-net poll,
retries of failed store writes), and one WakeAt tells the loop when to look again. Handlers never call
each other. What an effect brings returns as a later event.
"""

from __future__ import annotations

from collections import Counter
from typing import assert_never

from ygg.core import retrying, timing
from ygg.core.board import Board, Claiming, Gauge, HostState, Running, Server
from ygg.core.effects import (
    Cancel,
    Effect,
    Finish,
    Note,
    Start,
)
from ygg.core.events import (
    CallEnded,
    CancelAsked,
    Claimed,
    CutAsked,
    DispatchPaused,
    DrainAsked,
    DueLearned,
    EndRefused,
    Event,
    Finished,
    HeadsSeen,
    HostChecked,
    HostDrained,
    HostsOwned,
    LanesSeen,
    ModelUnloaded,
    Promoted,
    ReadingMissed,
    ReadingTaken,
    StoreFailed,
    TaskLeft,
    TasksQueued,
    Ticked,
)
from ygg.core.hosts import gates, readings
from ygg.core.placement import links, order, rounds
from ygg.model import (
    Candidate,
    End,
    EndView,
    Host,
    Now,
    Outcome,
    OutcomeKind,
    Priority,
    Reason,
    ReasonCode,
    Task,
)
from ygg.model import State as S

STORE_RETRY_S = 1.0  #: pause before a failed store write is tried again


def step(board: Board, event: Event, now: Now) -> list[Effect]:
    """Take in one event; what is to be done follows, in order."""
    handled = _handle(board, event, now)
    effects = rounds.dispatch(board, now)  # first: a free slot costs the house, an end can wait
    effects += handled
    if board.resting:
        effects += readings.wake(board, now)
    if board.retime or board.wake_at is None or board.wake_at <= now.mono:
        effects += timing.due(board, now)
        effects += timing.wake(board, now)
    return effects


def _handle(board: Board, event: Event, now: Now) -> list[Effect]:  # noqa: C901 - one arm per event
    match event:
        case HostsOwned():
            return _hosts_owned(board, event, now)
        case LanesSeen():
            return _lanes_seen(board, event)
        case HeadsSeen():
            return _heads_seen(board, event)
        case TasksQueued():
            return _tasks_queued(board, event)
        case TaskLeft():
            board.remove(event.task_id)
            return []
        case DueLearned():
            _learn_due(board, event.due_ms)
            return []
        case Promoted():
            return _promoted(board, event)
        case Claimed():
            return _claimed(board, event, now)
        case CallEnded():
            return _call_ended(board, event, now)
        case Finished():
            return _finished(board, event, now)
        case StoreFailed():
            return _store_failed(board, event, now)
        case EndRefused():
            return _end_refused(board, event)
        case CancelAsked():
            return _cancel_asked(board, event)
        case HostChecked():
            reason = gates.checked(board, event.host, event.endpoint, event.health, now)
            readings.checked(board, event, now)
            return _notes(reason, warn=reason is not None and reason.code is not ReasonCode.NEXT)
        case ReadingTaken():
            return readings.taken(board, event, now)
        case ReadingMissed():
            return readings.missed(board, event, now)
        case ModelUnloaded():
            return readings.unloaded(board, event, now)
        case DispatchPaused():
            board.paused = event.paused
            return _notes(Reason(ReasonCode.PAUSED, "dispatch " + _word(event.paused)))
        case HostDrained():
            return _host_drained(board, event)
        case DrainAsked():
            board.draining = True
            return _notes(Reason(ReasonCode.DRAINING, f"draining, {len(board.running)} running"))
        case CutAsked():
            return _cut_asked(board)
        case Ticked():
            board.wake_at = None
            return []
        case _:
            assert_never(event)


def _notes(
    reason: Reason | None, task_id: str | None = None, *, warn: bool = False
) -> list[Effect]:
    return [Note(reason, task_id, level="WARNING" if warn else "INFO")] if reason else []


def _word(paused: bool) -> str:
    return "paused" if paused else "resumed"


# --- hosts and lanes ------------------------------------------------------------------------------


def _hosts_owned(board: Board, event: HostsOwned, now: Now) -> list[Effect]:
    """Take over a configuration; hosts that stay keep their gate, health and running tasks."""
    board.policy, board.types, board.retime = event.policy, event.types, True
    board.forget_routes()
    before = board.hosts
    board.hosts = {h.name: _merge(before.get(h.name), h, now) for h in event.hosts}
    for name, host in before.items():
        if name not in board.hosts and host.busy:  # its calls end as they may; nothing new starts
            host.removed, host.limit = True, 0
            board.resting.discard(name)
            board.hosts[name] = host
    board.resting &= board.hosts.keys()
    if not before:
        board.poll_at = now.mono
    return readings.watch_new(board, event.probed, now)


def _merge(old: HostState | None, host: Host, now: Now) -> HostState:
    servers = {e.name: Server(check_at=now.mono) for e in host.endpoints}
    if old is None:
        return HostState(host, servers, host.slots)
    same = {e.name for e in old.host.endpoints if e in host.endpoints}
    kept = {name: old.servers[name] if name in same else new for name, new in servers.items()}
    for server in kept.values() if old.removed else ():
        server.checking = False  # nobody answered while the host was gone
    limited = old.limit < old.host.slots and not old.removed
    return HostState(
        host,
        kept,
        min(old.limit, host.slots) if limited else host.slots,
        old.limit_text if limited else "",
        old.regain_at,
        Gauge() if old.removed else old.gauge,
        old.drained,
        busy=old.busy,
    )


def _host_drained(board: Board, event: HostDrained) -> list[Effect]:
    host = board.hosts.get(event.host)
    if host is None:
        return []
    host.drained = event.drained
    text = f"{event.host} {'drained' if event.drained else 'resumed'}"
    return _notes(Reason(ReasonCode.HOST_DRAINED, text, event.host))


def _lanes_seen(board: Board, event: LanesSeen) -> list[Effect]:
    """A lane the store counts tasks in, but we hold none of, has to be looked at again. What is being
    claimed was still queued when the store counted."""
    effects: list[Effect] = []
    claiming = Counter((c.head.lane, c.head.priority) for c in board.claiming.values())
    counts = {(lane, priority): n for lane, priority, n in event.lanes}
    for lane, priority in counts:
        window = board.window(lane, priority)
        if not window.heads:
            window.complete = False
            effects += rounds.refill(board, lane, priority)
    for lane, priority, window in board.windows():
        window.counted(counts.get((lane, priority), 0) - claiming[lane, priority])
    return effects


def _heads_seen(board: Board, event: HeadsSeen) -> list[Effect]:
    """Take over what the store showed. Heads that came in meanwhile and lie beyond it are dropped: the
    store still holds others between, which they must not overtake."""
    window = board.window(event.lane, event.priority)
    queued = window.queued
    window.peeking, window.complete = True, False
    for head in event.heads:
        if head.id not in board.finishing:
            board.insert(head)
    if not event.complete:
        last = event.heads[-1].seq
        for head in [h for h in window.heads if h.seq > last]:
            board.remove(head.id)
    window.peeking, window.complete = False, event.complete
    window.counted(queued)
    return []


def _tasks_queued(board: Board, event: TasksQueued) -> list[Effect]:
    for head in event.heads:
        board.insert(head)
        _learn_due(board, head.deadline_ms)
    return []


def _learn_due(board: Board, due_ms: int | None) -> None:
    if due_ms is not None and (board.next_due_ms is None or due_ms < board.next_due_ms):
        board.next_due_ms, board.retime = due_ms, True


def _promoted(board: Board, event: Promoted) -> list[Effect]:
    board.promoting, board.retime = False, True
    board.next_due_ms = event.next_due_ms
    for task_id in event.expired:
        board.remove(task_id)
    for head in event.queued:
        board.insert(head)
    texts = ((t, Reason(ReasonCode.DEADLINE, "deadline passed")) for t in event.expired)
    return [Note(reason, task_id) for task_id, reason in texts]


# --- attempts -------------------------------------------------------------------------------------


def _claimed(board: Board, event: Claimed, now: Now) -> list[Effect]:
    effects: list[Effect] = []
    board.store_error = None
    for claim, task in zip(event.claims, event.tasks, strict=True):
        claiming = board.claiming.pop(claim.task_id)
        why = None if task is None else _stop_before_start(board, task, claim.candidate)
        if task is None:
            _refused(board, claiming)
        elif why is not None:
            _free_slot(board, claim.candidate.host, task.id)
            effects += _end(board, task, claim.candidate, Outcome(why), now)
        else:
            call = links.build_call(board, task, claim.candidate)
            board.running[task.id] = Running(call, now.mono)
            effects += [Start(call), *_notes(links.unused_options(call), task.id, warn=True)]
    return effects


def _refused(board: Board, claiming: Claiming) -> None:
    """The row has changed since we saw it, its priority perhaps: look at the whole lane again."""
    head = claiming.head
    _free_slot(board, claiming.claim.candidate.host, head.id)
    board.cancel_wanted.discard(head.id)
    for priority in Priority:
        board.window(head.lane, priority).complete = False


def _free_slot(board: Board, name: str, task_id: str) -> None:
    host = board.hosts[name]
    host.busy.discard(task_id)
    if host.removed and not host.busy:
        del board.hosts[name]
        board.forget_routes()


def _stop_before_start(board: Board, task: Task, where: Candidate) -> OutcomeKind | None:
    """Cancelled, shut down, or the host too hot or too full, while the claim was on its way."""
    if task.id in board.cancel_wanted or task.cancel_requested:
        board.cancel_wanted.discard(task.id)
        return OutcomeKind.CANCELLED
    stopped = board.draining or gates.stopped(board.hosts[where.host])
    return OutcomeKind.WITHDRAWN if stopped else None


def _call_ended(board: Board, event: CallEnded, now: Now) -> list[Effect]:
    running = board.running.get(event.task_id)
    if running is None or running.call.task.attempt != event.attempt:
        return []
    del board.running[event.task_id]
    task, candidate = running.call.task, running.call.candidate
    _free_slot(board, candidate.host, task.id)
    news = gates.settle(board, candidate, event.outcome, now)
    order.learn(board, candidate, event.outcome, (now.mono - running.started) * 1000)
    outcome = _as_wanted(running, event.outcome)
    return [*_notes(news, warn=True), *_end(board, task, candidate, outcome, now)]


def _end(
    board: Board, task: Task, candidate: Candidate, outcome: Outcome, now: Now
) -> list[Effect]:
    end = retrying.judge(retrying.Case(board, task, candidate, outcome, now))
    board.finishing[end.task_id] = end
    return [Finish((end,))]


def _as_wanted(running: Running, outcome: Outcome) -> Outcome:
    """A call we cancelled ends as we meant it, unless it had completed just before."""
    if running.cancelled is None or outcome.kind is OutcomeKind.COMPLETED:
        return outcome
    return Outcome(running.cancelled, outcome.message)


def _finished(board: Board, event: Finished, now: Now) -> list[Effect]:
    effects: list[Effect] = []
    board.store_error = None
    for end, task in zip(event.ends, event.tasks, strict=True):
        board.finishing.pop(end.task_id, None)
        if task is None:
            board.stale_ends += 1
            reason = Reason(end.reason, f"stale end of attempt {end.attempt} refused")
            effects.append(Note(reason, end.task_id, end.attempt, level="WARNING"))
            continue
        effects.append(_end_note(board, end, task, now))
        if task.state is S.QUEUED:
            board.insert(task.head)
        elif task.state is S.SCHEDULED:
            _learn_due(board, task.due_ms)
    return effects


def _end_note(board: Board, end: End, task: Task, now: Now) -> Note:
    """Remember the end for rates and views, and tell it."""
    tokens = end.result.usage.output_tokens if end.result else None
    took = now.wall_ms - task.started_ms if task.started_ms is not None else None
    wait = task.started_ms - task.waiting_ms if task.started_ms is not None else None
    view = EndView(
        task.id, now.wall_ms, task.state, end.reason, task.host, took, wait, tokens, task.lane.type
    )
    board.recent.append(view)
    calm = task.state in (S.COMPLETED, S.CANCELLED)
    reason = Reason(end.reason, _end_text(end, view), view.host)
    return Note(reason, task.id, end.attempt, "INFO" if calm else "WARNING")


def _end_text(end: End, view: EndView) -> str:
    text = f"{view.state} on {view.host}"
    if view.took_ms is not None:
        text += f" after {view.took_ms / 1000:.2f} s"
    if view.output_tokens is not None:
        text += f", {view.output_tokens} tokens"
    if view.state is not S.COMPLETED and end.reason.value != view.state.value:
        text += f": {end.reason}"
    return f"{text} ({end.detail})" if end.detail else text


def _store_failed(board: Board, event: StoreFailed, now: Now) -> list[Effect]:
    """Nothing happened in the store: give slots back, and try again in a while."""
    board.store_retry_at, board.retime = now.mono + STORE_RETRY_S, True
    board.store_error = event.message
    for claim in event.claims:
        claiming = board.claiming.pop(claim.task_id, None)
        if claiming is not None:
            _free_slot(board, claim.candidate.host, claim.task_id)
            board.insert(claiming.head)
    board.unwritten.update((end.task_id, end) for end in event.ends)
    if event.peeked is not None:
        board.window(*event.peeked).peeking = False
    if event.promoting:
        board.promoting = False
    reason = Reason(ReasonCode.NO_DISPATCHER, f"store: {event.message}")
    return [Note(reason, level="ERROR")]


def _end_refused(board: Board, event: EndRefused) -> list[Effect]:
    """Fail the task without what the store could not hold. If it refuses that too, the row stays
    processing until the next start gives it back: one task, not the whole dispatcher."""
    end = event.end
    reason = Reason(ReasonCode.UNSTORABLE, f"its end cannot be stored: {event.message}")
    note = Note(reason, end.task_id, end.attempt, level="ERROR")
    if end.reason is ReasonCode.UNSTORABLE:
        board.finishing.pop(end.task_id, None)
        return [note]
    failed = End(
        end.task_id, end.attempt, S.FAILED, ReasonCode.UNSTORABLE, reason.text, add_errors=1
    )
    board.finishing[end.task_id] = failed
    return [note, Finish((failed,))]


# --- stopping -------------------------------------------------------------------------------------


def _cancel(board: Board, task_id: str, why: OutcomeKind) -> list[Effect]:
    running = board.running[task_id]
    if running.cancelled is None or why is OutcomeKind.CANCELLED:
        running.cancelled = why
    return [Cancel(task_id, running.call.task.attempt, running.cancelled)]


def _cancel_asked(board: Board, event: CancelAsked) -> list[Effect]:
    if event.task_id in board.running:
        return _cancel(board, event.task_id, OutcomeKind.CANCELLED)
    if event.task_id in board.claiming:
        board.cancel_wanted.add(event.task_id)
    return []


def _cut_asked(board: Board) -> list[Effect]:
    board.draining = True
    effects: list[Effect] = []
    for task_id in list(board.running):
        effects += _cancel(board, task_id, OutcomeKind.INTERRUPTED)
    return effects
