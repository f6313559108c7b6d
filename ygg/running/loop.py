"""The run loop: feeds events to `step` and performs the effects.

Everything here runs in one event loop and one thread, so the board needs no lock: `feed` is the only
way in. An effect never waits; what comes of it is fed back as an event. The loop decides nothing. Waiting is
event-driven: a task, a free slot, a due time (one timer, set by WakeAt) or a signal wakes it.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections import deque
from collections.abc import Callable, Mapping
from typing import assert_never

from ygg.core import effects as fx
from ygg.core import events as ev
from ygg.core.board import Board
from ygg.core.checking import check
from ygg.core.step import step
from ygg.errors import IllegalTransition, OutcomeUnknown, StoreError
from ygg.model import End, LogView, Now, Reason, Task
from ygg.ports import Archive, Limiter, Queue
from ygg.running.asking import Asks, log, told
from ygg.running.clock import Clock
from ygg.running.drivers import Drivers
from ygg.running.limiters import Limiters
from ygg.running.streams import Streams
from ygg.running.waiting import Waiting, moved
from ygg.running.watching import Watches
from ygg.telling.naming import named
from ygg.telling.tally import Tally
from ygg.uploads import Uploads

CANCEL_WAIT_S = 10.0  #: how long `cancel` waits for a running call to stop
LOG_KEPT = 100  #: lines for the live view
LEVELS = logging.getLevelNamesMapping()


class RunLoop:
    """Turns events into steps and effects into store verbs, calls and checks."""

    def __init__(
        self,
        queue: Queue,
        archive: Archive,
        *,
        limiters: Mapping[str, Limiter] | None = None,
        clock: Clock | None = None,
        uploads: Uploads | None = None,
        checked: bool = False,
        on_fatal: Callable[[BaseException], None] | None = None,
    ) -> None:
        """`on_fatal` is told of a bug in a step: what the step had decided is lost, so that only a new
        start brings order; without it the bug is raised where the event came from."""
        self.queue, self.clock = queue, clock or Clock()
        self._on_fatal = on_fatal
        self._checked = checked  # tests: every index is recomputed after each step
        self._loop = asyncio.get_running_loop()
        self.board = Board(run=secrets.token_hex(6))
        self.streams = Streams()
        self.asks = Asks(self.feed)
        self.uploads = uploads
        self.drivers = Drivers(self.feed, self.asks, self.streams, uploads=uploads)
        self.limiters = Limiters(self.feed, limiters or {})
        self.watches = Watches(self.feed)
        self.waiting = Waiting(archive, self.streams)
        self.log_tail: deque[LogView] = deque(maxlen=LOG_KEPT)
        self.tally = Tally()
        self._inbox: deque[ev.Event] = deque()
        self._stepping = False
        self._timer: asyncio.TimerHandle | None = None
        self._quiet = asyncio.Event()  # set when no call runs and no write is under way
        self._drained = False

    def now(self) -> Now:
        return Now(self._loop.time(), self.clock.now_ms())

    def take_over_clock(self) -> int:
        """Go by the machine's clock; by how many milliseconds that changes the time. For when no task waits or runs."""
        by_ms = self.clock.take_over()
        if by_ms:
            self.feed(ev.ClockSet(by_ms))
        return by_ms

    # --- the end -------------------------------------------------------------------------------

    async def drain(
        self,
        grace_s: float,
        hurry: asyncio.Event,
        reached: Callable[[], Mapping[str, int]] = dict,
    ) -> None:
        """Stop claiming, wait for running calls until `grace_s` or `hurry`, cut the rest, write all
        ends. `reached` tells how far those are that are cut, in percent, by task id. Never raises for a failing store: what it could not write is recovered at the next start.
        Once it is over, draining again does nothing."""
        if self._drained:
            return
        self._drained = True
        self.feed(ev.ShutdownAsked())
        await self._until_quiet(grace_s, hurry)
        self.feed(ev.CutAsked(reached()))
        await self._until_quiet(CANCEL_WAIT_S, asyncio.Event())
        self._stop_timer()
        self.watches.stop()
        await self.limiters.close(1.0)
        self.streams.close()
        self.waiting.close()

    async def _until_quiet(self, grace_s: float, hurry: asyncio.Event) -> None:
        waits = [asyncio.create_task(e.wait()) for e in (self._quiet, hurry)]
        self._note_quiet()
        await asyncio.wait(waits, timeout=grace_s, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()
        await asyncio.gather(*waits, return_exceptions=True)

    def _note_quiet(self) -> None:
        """A store that fails is not waited for, but calls that run are."""
        board = self.board
        writes = board.store_retry_at is None and (board.calls or board.finishing)
        if writes or self.drivers.busy:
            self._quiet.clear()
        else:
            self._quiet.set()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    # --- events in, effects out ----------------------------------------------------------------

    def feed(self, event: ev.Event) -> None:
        """Take in one event. Events fed while a step runs wait their turn."""
        self._inbox.append(event)
        if self._stepping:
            return
        self._stepping = True
        try:
            while self._inbox:
                self._step(self._inbox.popleft())
        except Exception as bug:
            if self._on_fatal is None:
                raise
            self._on_fatal(bug)
        finally:
            self._stepping = False
        self._note_quiet()

    def _step(self, event: ev.Event) -> None:
        now = self.now()
        self.streams.moved(moved(event))
        self.tally.hear(event, self.board, now)
        effects = step(self.board, event, now)
        if self._checked:
            check(self.board, now)
        for effect in effects:
            self._perform(effect)

    def _perform(self, effect: fx.Effect) -> None:  # noqa: C901 - one arm per effect
        match effect:
            case (
                fx.ClaimTasks()
                | fx.Finish()
                | fx.Peek()
                | fx.ListLanes()
                | fx.ListRunning()
                | fx.Promote()
            ):
                self._ask_store(effect)
            case fx.Start(call):
                self.drivers.start(call)
            case fx.Note(reason, task_id, attempt, level):
                self._log(level, reason, task_id, attempt)
            case fx.WakeAt(at):
                self._stop_timer()
                self._timer = self._loop.call_at(at, self.feed, ev.Ticked())
            case fx.Tell(ended, elsewhere):
                self._tell(ended, elsewhere)
            case fx.Cancel(call_id, attempt_id):
                self.drivers.cancel(call_id, attempt_id)
            case fx.Acquire(grant):
                self.limiters.acquire(grant)
            case fx.Settle(grant, used):
                self.limiters.settle(grant, used)
            case fx.CheckHost(host, endpoint):
                self.drivers.check(host, endpoint)
            case fx.AskInside(host, endpoint):
                self.drivers.inside(host, endpoint)
            case fx.Watch(host, on):
                self.watches.watch(host, on=on)
            case fx.Unload(host, endpoint, model):
                self.drivers.unload(host, endpoint, model)
            case _:
                assert_never(effect)

    def _ask_store(self, effect: fx.StoreEffect) -> None:
        ask, queue = self.asks.ask, self.queue
        match effect:
            case fx.ClaimTasks(claims):
                ask(
                    queue.claim(claims, self.clock.now_ms()),
                    lambda tasks: ev.Claimed(claims, tuple(tasks)),
                    lambda why: ev.StoreFailed(
                        claims=claims, unknown=isinstance(why, OutcomeUnknown), message=told(why)
                    ),
                )
            case fx.Finish(ends):
                ask(
                    queue.finish(ends, self.clock.now_ms()),
                    lambda tasks: ev.Finished(ends, tuple(tasks)),
                    lambda why: _end_failed(ends, why),
                    patient=True,
                )
            case fx.Peek(lane, priority, limit):
                ask(
                    queue.heads(lane, priority, limit),
                    lambda heads: ev.HeadsSeen(lane, priority, tuple(heads), len(heads) < limit),
                    lambda why: ev.StoreFailed(peeked=(lane, priority), message=told(why)),
                )
            case fx.ListLanes():
                ask(
                    queue.lanes(),
                    lambda lanes: ev.LanesSeen(tuple(lanes)),
                    lambda why: ev.StoreFailed(message=told(why)),
                )
            case fx.ListRunning():
                ask(
                    queue.running(),
                    lambda rows: ev.RunningSeen(tuple(rows)),
                    lambda why: ev.StoreFailed(listing=True, message=told(why)),
                )
            case fx.Promote():
                ask(
                    queue.promote(self.clock.now_ms(), self.clock.machine_ms()),
                    lambda p: ev.Promoted(
                        p.queued, p.expired, p.next_due_ms, p.stopped, p.sequences
                    ),
                    lambda why: ev.StoreFailed(promoting=True, message=told(why)),
                )
            case _:
                assert_never(effect)

    def _tell(self, ended: tuple[Task, ...], elsewhere: tuple[str, ...]) -> None:
        self.waiting.tell(ended)
        for task_id in elsewhere:
            if self.waiting.asked_for(task_id):
                self.asks.run(self.waiting.tell_of(task_id))

    def _log(self, level: str, reason: Reason, task_id: str | None, attempt: int | None) -> None:
        number = LEVELS[level]
        if not log.isEnabledFor(number):
            return
        who = f"{task_id}.{attempt}" if attempt else task_id
        line = f"{who} {reason.text}" if who else reason.text
        kind, title = named(self.board, task_id) if task_id else ("", "")
        self.log_tail.append(
            LogView(self.clock.now_ms(), reason.text, level, task_id or "", kind, title)
        )
        log.handle(logging.LogRecord(log.name, number, "", 0, line, None, None))


def _end_failed(ends: tuple[End, ...], why: BaseException) -> ev.Event:
    """An end that is at fault itself would fail for ever, and everything written with it."""
    passing = isinstance(why, StoreError) and not isinstance(why, IllegalTransition)
    if passing or len(ends) > 1:
        return ev.StoreFailed(ends=ends, message=told(why))
    return ev.EndRefused(ends[0], told(why))
