"""step(board, event, now) -> effects: the whole dispatcher as one function.

One handler per event changes the board; then three things follow every event: free slots are filled
(`placement.dispatching`), what has become due is emitted (promotion, health checks, the safety-net poll,
retries of failed store writes), and one WakeAt tells the loop when to look again. Handlers never
call each other. What an effect brings returns as a later event.
"""

from __future__ import annotations

from dataclasses import replace
from typing import assert_never

from ygg.core import calls, owning, timing, watching
from ygg.core.board import Board
from ygg.core.effects import Effect, Note
from ygg.core.events import (
    CallEnded,
    CallStarted,
    CancelAsked,
    Claimed,
    ClockSet,
    CutAsked,
    Denied,
    DispatchPaused,
    DueLearned,
    EndRefused,
    Event,
    Finished,
    Granted,
    HeadsSeen,
    HostChecked,
    HostDrained,
    HostsOwned,
    InsideTold,
    LanesSeen,
    ModelUnloaded,
    PastLearned,
    Promoted,
    ReadingMissed,
    ReadingTaken,
    RunningSeen,
    ShutdownAsked,
    StoreFailed,
    TaskLeft,
    TasksQueued,
    Ticked,
)
from ygg.core.hosts import gates, ghosts, readings
from ygg.core.placement import lanes, permits, remedies, residency
from ygg.core.placement.dispatching import dispatch
from ygg.model import HostHealth, JsonDict, Now, ReasonCode, because


def step(board: Board, event: Event, now: Now) -> list[Effect]:
    """Take in one event; what is to be done follows, in order."""
    handled = _handle(board, event, now)
    if isinstance(event, CallStarted):
        return handled  # nothing may start by it, and nothing becomes due
    placed = dispatch(board, now)  # first: a free slot costs the house, an end can wait
    asked = isinstance(event, Granted)  # but no call gives way before what it asks for is asked
    effects = [*handled, *placed] if asked else [*placed, *handled]
    if board.resting:
        effects += watching.wake(board, now)
    if board.retime or board.wake_at is None or board.wake_at <= now.mono:
        effects += timing.due(board, now)
        effects += dispatch(board, now)
        effects += timing.wake(board, now)
    return effects


def _handle(board: Board, event: Event, now: Now) -> list[Effect]:  # noqa: C901 - one arm per event
    match event:
        case HostsOwned():
            return owning.owned(board, event, now)
        case LanesSeen():
            return lanes.counted(board, event)
        case RunningSeen(rows):
            return calls.compared(board, rows)
        case HeadsSeen():
            lanes.seen(board, event)
        case TasksQueued():
            lanes.queued(board, event)
        case TaskLeft(task_id, ended):
            return calls.left(board, task_id, ended, now)
        case DueLearned(due_ms):
            lanes.learn_due(board, due_ms)
        case Promoted():
            return lanes.promoted(board, event, now)
        case Granted(grant):
            return permits.granted(board, grant, now)
        case Denied(grant, message, retry_s):
            return permits.denied(board, grant, message, retry_s, now)
        case Claimed():
            return calls.claimed(board, event, now)
        case CallStarted():
            calls.started(board, event.call, now)
        case CallEnded():
            return _ended(board, event, now)
        case Finished():
            return calls.finished(board, event, now)
        case StoreFailed():
            return calls.store_failed(board, event, now)
        case EndRefused():
            return calls.end_refused(board, event)
        case CancelAsked(task_id):
            return calls.cancel_asked(board, task_id)
        case HostChecked() | InsideTold() | ReadingTaken() | ReadingMissed() | ModelUnloaded():
            return _heard(board, event, now)
        case DispatchPaused(paused):
            return _paused(board, paused)
        case HostDrained():
            return owning.drained(board, event, now)
        case ShutdownAsked():
            return _shutdown(board)
        case CutAsked():
            return calls.cut(board, event.reached)
        case ClockSet(by_ms):
            timing.clock_set(board, by_ms)
        case PastLearned(mean_ms, ends):
            board.past_ms = mean_ms
            board.recent.extendleft(reversed(ends))
        case Ticked():
            board.wake_at = None
        case _:
            assert_never(event)
    return []


def _heard(
    board: Board,
    event: HostChecked | InsideTold | ReadingTaken | ReadingMissed | ModelUnloaded,
    now: Now,
) -> list[Effect]:
    """A host has been asked how it is."""
    match event:
        case HostChecked():
            return _checked(board, event, now)
        case InsideTold():
            ghosts.told(board, event, now)
            return []
        case ReadingTaken():
            return _read(board, event, now)
        case ReadingMissed():
            return readings.missed(board, event, now) if _known(board, event.host) else []
        case ModelUnloaded():
            return _unloaded(board, event, now)


def _shutdown(board: Board) -> list[Effect]:
    board.stopping = True
    note = Note(because(ReasonCode.DRAINING, running=len(board.running)))
    return [*permits.end_waits(board), note]


def _known(board: Board, name: str) -> bool:
    """Whether an event about a host still concerns one. What is told of it may let it take work."""
    host = board.hosts.get(name)
    if host is None or host.removed:
        return False
    board.changed(name)
    return True


def _checked(board: Board, event: HostChecked, now: Now) -> list[Effect]:
    """A health check tells of loaded models too; of a server that is down nothing is known."""
    health = event.health
    reason = gates.checked(board, event.host, event.endpoint, health, now)
    if event.host in board.hosts:
        board.changed(event.host)
        if health.health is not HostHealth.UP or health.loaded is not None:
            residency.told(board, board.hosts[event.host], event.endpoint, health.loaded, now)
    if reason is None:
        return []
    return [Note(reason, level="INFO" if reason.code is ReasonCode.HOST_UP else "WARNING")]


def _read(board: Board, event: ReadingTaken, now: Now) -> list[Effect]:
    if not _known(board, event.host):
        return []
    reading, dropped = readings.sound(board, event)
    if reading is None:
        return dropped
    host, event = board.hosts[event.host], replace(event, reading=reading)
    for endpoint, models in event.reading.loaded or ():
        residency.told(board, host, endpoint, models, now)
    news = [*dropped, *readings.taken(board, event, now)]
    measures = host.gauge.watching and event.reading.devices
    return [*news, *remedies.relieve(board, host, now)] if measures else news


def _ended(board: Board, event: CallEnded, now: Now) -> list[Effect]:
    """What a call leaves behind where memory is too full is unloaded at once."""
    call = board.calls.get(event.call)
    effects = calls.ended(board, event, now)
    host = board.hosts.get(call.candidate.host) if call else None
    return [*effects, *remedies.relieve(board, host, now)] if host else effects


def _unloaded(board: Board, event: ModelUnloaded, now: Now) -> list[Effect]:
    """The server's answer to Unload."""
    host = board.hosts.get(event.host)
    server = host.servers.get(event.endpoint) if host else None
    if server is None:
        return []
    board.changed(event.host)
    if event.done:
        residency.unloaded(server, event.model, now)
    told: JsonDict = {"model": event.model, "done": event.done, "message": event.message}
    return [Note(because(ReasonCode.UNLOADED, event.host, **told))]


def _paused(board: Board, paused: bool) -> list[Effect]:
    board.paused = paused
    effects = permits.end_waits(board) if paused else []
    board.all_changed()
    code = ReasonCode.PAUSED if paused else ReasonCode.RESUMED
    return [*effects, Note(because(code))]
