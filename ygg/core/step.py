"""step(state, event, now) -> effects: the whole dispatcher as one function.

One small handler per event changes the state; then three things follow every event: free slots are
filled (`dispatching`), what has become due is emitted (promotion, health checks, the safety-net poll,
retries of failed store writes), and one WakeAt tells the loop when to look again. Handlers never call
each other. What an effect brings returns as a later event.
"""

from __future__ import annotations

from collections import Counter
from typing import assert_never

from ygg.core import choosing, dispatching, gates, readings, retrying, routing, timing
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
from ygg.core.state import Claiming, Gauge, HostState, Running, Server, State
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


def step(state: State, event: Event, now: Now) -> list[Effect]:
    """Take in one event; what is to be done follows, in order."""
    handled = _handle(state, event, now)
    effects = dispatching.dispatch(
        state, now
    )  # first: a free slot costs the house, an end can wait
    effects += handled
    if state.resting:
        effects += readings.wake(state, now)
    if state.retime or state.wake_at is None or state.wake_at <= now.mono:
        effects += timing.due(state, now)
        effects += timing.wake(state, now)
    return effects


def _handle(state: State, event: Event, now: Now) -> list[Effect]:  # noqa: C901 - one arm per event
    match event:
        case HostsOwned():
            return _hosts_owned(state, event, now)
        case LanesSeen():
            return _lanes_seen(state, event)
        case HeadsSeen():
            return _heads_seen(state, event)
        case TasksQueued():
            return _tasks_queued(state, event)
        case TaskLeft():
            state.remove(event.task_id)
            return []
        case DueLearned():
            _learn_due(state, event.due_ms)
            return []
        case Promoted():
            return _promoted(state, event)
        case Claimed():
            return _claimed(state, event, now)
        case CallEnded():
            return _call_ended(state, event, now)
        case Finished():
            return _finished(state, event, now)
        case StoreFailed():
            return _store_failed(state, event, now)
        case EndRefused():
            return _end_refused(state, event)
        case CancelAsked():
            return _cancel_asked(state, event)
        case HostChecked():
            reason = gates.checked(state, event.host, event.endpoint, event.health, now)
            readings.checked(state, event, now)
            return _notes(reason, warn=reason is not None and reason.code is not ReasonCode.NEXT)
        case ReadingTaken():
            return readings.taken(state, event, now)
        case ReadingMissed():
            return readings.missed(state, event, now)
        case ModelUnloaded():
            return readings.unloaded(state, event, now)
        case DispatchPaused():
            state.paused = event.paused
            return _notes(Reason(ReasonCode.PAUSED, "dispatch " + _word(event.paused)))
        case HostDrained():
            return _host_drained(state, event)
        case DrainAsked():
            state.draining = True
            return _notes(Reason(ReasonCode.DRAINING, f"draining, {len(state.running)} running"))
        case CutAsked():
            return _cut_asked(state)
        case Ticked():
            state.wake_at = None
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


def _hosts_owned(state: State, event: HostsOwned, now: Now) -> list[Effect]:
    """Take over a configuration; hosts that stay keep their gate, health and running tasks."""
    state.policy, state.types, state.retime = event.policy, event.types, True
    state.forget_routes()
    before = state.hosts
    state.hosts = {h.name: _merge(before.get(h.name), h, now) for h in event.hosts}
    for name, host in before.items():
        if name not in state.hosts and host.busy:  # its calls end as they may; nothing new starts
            host.removed, host.limit = True, 0
            state.resting.discard(name)
            state.hosts[name] = host
    state.resting &= state.hosts.keys()
    if not before:
        state.poll_at = now.mono
    return readings.watch_new(state, event.probed, now)


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


def _host_drained(state: State, event: HostDrained) -> list[Effect]:
    host = state.hosts.get(event.host)
    if host is None:
        return []
    host.drained = event.drained
    text = f"{event.host} {'drained' if event.drained else 'resumed'}"
    return _notes(Reason(ReasonCode.HOST_DRAINED, text, event.host))


def _lanes_seen(state: State, event: LanesSeen) -> list[Effect]:
    """A lane the store counts tasks in, but we hold none of, has to be looked at again. What is being
    claimed was still queued when the store counted."""
    effects: list[Effect] = []
    claiming = Counter((c.head.lane, c.head.priority) for c in state.claiming.values())
    counts = {(lane, priority): n for lane, priority, n in event.lanes}
    for lane, priority in counts:
        window = state.window(lane, priority)
        if not window.heads:
            window.complete = False
            effects += dispatching.refill(state, lane, priority)
    for lane, priority, window in state.windows():
        window.counted(counts.get((lane, priority), 0) - claiming[lane, priority])
    return effects


def _heads_seen(state: State, event: HeadsSeen) -> list[Effect]:
    """Take over what the store showed. Heads that came in meanwhile and lie beyond it are dropped: the
    store still holds others between, which they must not overtake."""
    window = state.window(event.lane, event.priority)
    queued = window.queued
    window.peeking, window.complete = True, False
    for head in event.heads:
        if head.id not in state.finishing:
            state.insert(head)
    if not event.complete:
        last = event.heads[-1].seq
        for head in [h for h in window.heads if h.seq > last]:
            state.remove(head.id)
    window.peeking, window.complete = False, event.complete
    window.counted(queued)
    return []


def _tasks_queued(state: State, event: TasksQueued) -> list[Effect]:
    for head in event.heads:
        state.insert(head)
        _learn_due(state, head.deadline_ms)
    return []


def _learn_due(state: State, due_ms: int | None) -> None:
    if due_ms is not None and (state.next_due_ms is None or due_ms < state.next_due_ms):
        state.next_due_ms, state.retime = due_ms, True


def _promoted(state: State, event: Promoted) -> list[Effect]:
    state.promoting, state.retime = False, True
    state.next_due_ms = event.next_due_ms
    for task_id in event.expired:
        state.remove(task_id)
    for head in event.queued:
        state.insert(head)
    texts = ((t, Reason(ReasonCode.DEADLINE, "deadline passed")) for t in event.expired)
    return [Note(reason, task_id) for task_id, reason in texts]


# --- attempts -------------------------------------------------------------------------------------


def _claimed(state: State, event: Claimed, now: Now) -> list[Effect]:
    effects: list[Effect] = []
    state.store_error = None
    for claim, task in zip(event.claims, event.tasks, strict=True):
        claiming = state.claiming.pop(claim.task_id)
        why = None if task is None else _stop_before_start(state, task, claim.candidate)
        if task is None:
            _refused(state, claiming)
        elif why is not None:
            _free_slot(state, claim.candidate.host, task.id)
            effects += _end(state, task, claim.candidate, Outcome(why), now)
        else:
            call = routing.build_call(state, task, claim.candidate)
            state.running[task.id] = Running(call, now.mono)
            effects += [Start(call), *_notes(routing.unused_options(call), task.id, warn=True)]
    return effects


def _refused(state: State, claiming: Claiming) -> None:
    """The row has changed since we saw it, its priority perhaps: look at the whole lane again."""
    head = claiming.head
    _free_slot(state, claiming.claim.candidate.host, head.id)
    state.cancel_wanted.discard(head.id)
    for priority in Priority:
        state.window(head.lane, priority).complete = False


def _free_slot(state: State, name: str, task_id: str) -> None:
    host = state.hosts[name]
    host.busy.discard(task_id)
    if host.removed and not host.busy:
        del state.hosts[name]
        state.forget_routes()


def _stop_before_start(state: State, task: Task, where: Candidate) -> OutcomeKind | None:
    """Cancelled, shut down, or the host too hot or too full, while the claim was on its way."""
    if task.id in state.cancel_wanted or task.cancel_requested:
        state.cancel_wanted.discard(task.id)
        return OutcomeKind.CANCELLED
    stopped = state.draining or gates.stopped(state.hosts[where.host])
    return OutcomeKind.WITHDRAWN if stopped else None


def _call_ended(state: State, event: CallEnded, now: Now) -> list[Effect]:
    running = state.running.get(event.task_id)
    if running is None or running.call.task.attempt != event.attempt:
        return []
    del state.running[event.task_id]
    task, candidate = running.call.task, running.call.candidate
    _free_slot(state, candidate.host, task.id)
    news = gates.settle(state, candidate, event.outcome, now)
    choosing.learn(state, candidate, event.outcome, (now.mono - running.started) * 1000)
    outcome = _as_wanted(running, event.outcome)
    return [*_notes(news, warn=True), *_end(state, task, candidate, outcome, now)]


def _end(
    state: State, task: Task, candidate: Candidate, outcome: Outcome, now: Now
) -> list[Effect]:
    end = retrying.judge(retrying.Case(state, task, candidate, outcome, now))
    state.finishing[end.task_id] = end
    return [Finish((end,))]


def _as_wanted(running: Running, outcome: Outcome) -> Outcome:
    """A call we cancelled ends as we meant it, unless it had completed just before."""
    if running.cancelled is None or outcome.kind is OutcomeKind.COMPLETED:
        return outcome
    return Outcome(running.cancelled, outcome.message)


def _finished(state: State, event: Finished, now: Now) -> list[Effect]:
    effects: list[Effect] = []
    state.store_error = None
    for end, task in zip(event.ends, event.tasks, strict=True):
        state.finishing.pop(end.task_id, None)
        if task is None:
            state.stale_ends += 1
            reason = Reason(end.reason, f"stale end of attempt {end.attempt} refused")
            effects.append(Note(reason, end.task_id, end.attempt, level="WARNING"))
            continue
        effects.append(_end_note(state, end, task, now))
        if task.state is S.QUEUED:
            state.insert(task.head)
        elif task.state is S.SCHEDULED:
            _learn_due(state, task.due_ms)
    return effects


def _end_note(state: State, end: End, task: Task, now: Now) -> Note:
    """Remember the end for rates and views, and tell it."""
    tokens = end.result.usage.output_tokens if end.result else None
    took = now.wall_ms - task.started_ms if task.started_ms is not None else None
    wait = task.started_ms - task.waiting_ms if task.started_ms is not None else None
    view = EndView(
        task.id, now.wall_ms, task.state, end.reason, task.host, took, wait, tokens, task.lane.type
    )
    state.recent.append(view)
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


def _store_failed(state: State, event: StoreFailed, now: Now) -> list[Effect]:
    """Nothing happened in the store: give slots back, and try again in a while."""
    state.store_retry_at, state.retime = now.mono + STORE_RETRY_S, True
    state.store_error = event.message
    for claim in event.claims:
        claiming = state.claiming.pop(claim.task_id, None)
        if claiming is not None:
            _free_slot(state, claim.candidate.host, claim.task_id)
            state.insert(claiming.head)
    state.unwritten.update((end.task_id, end) for end in event.ends)
    if event.peeked is not None:
        state.window(*event.peeked).peeking = False
    if event.promoting:
        state.promoting = False
    reason = Reason(ReasonCode.NO_DISPATCHER, f"store: {event.message}")
    return [Note(reason, level="ERROR")]


def _end_refused(state: State, event: EndRefused) -> list[Effect]:
    """Fail the task without what the store could not hold. If it refuses that too, the row stays
    processing until the next start gives it back: one task, not the whole dispatcher."""
    end = event.end
    reason = Reason(ReasonCode.UNSTORABLE, f"its end cannot be stored: {event.message}")
    note = Note(reason, end.task_id, end.attempt, level="ERROR")
    if end.reason is ReasonCode.UNSTORABLE:
        state.finishing.pop(end.task_id, None)
        return [note]
    failed = End(
        end.task_id, end.attempt, S.FAILED, ReasonCode.UNSTORABLE, reason.text, add_errors=1
    )
    state.finishing[end.task_id] = failed
    return [note, Finish((failed,))]


# --- stopping -------------------------------------------------------------------------------------


def _cancel(state: State, task_id: str, why: OutcomeKind) -> list[Effect]:
    running = state.running[task_id]
    if running.cancelled is None or why is OutcomeKind.CANCELLED:
        running.cancelled = why
    return [Cancel(task_id, running.call.task.attempt, running.cancelled)]


def _cancel_asked(state: State, event: CancelAsked) -> list[Effect]:
    if event.task_id in state.running:
        return _cancel(state, event.task_id, OutcomeKind.CANCELLED)
    if event.task_id in state.claiming:
        state.cancel_wanted.add(event.task_id)
    return []


def _cut_asked(state: State) -> list[Effect]:
    state.draining = True
    effects: list[Effect] = []
    for task_id in list(state.running):
        effects += _cancel(state, task_id, OutcomeKind.INTERRUPTED)
    return effects
