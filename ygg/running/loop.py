"""The run loop: feeds events to `step`, performs the effects, owns every asyncio task.

Everything here runs in one event loop and one thread, so the scheduling state needs no lock: `feed` is
the only way in. An effect never waits; what comes of it is fed back as an event from a done-callback.
The loop decides nothing. Waiting is event-driven: a task, a free slot, a due time (one timer, set by
WakeAt) or a signal wakes it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import TypeVar, assert_never

from ygg.core import effects as fx
from ygg.core import events as ev
from ygg.core.board import Board
from ygg.core.step import step
from ygg.errors import IllegalTransition, StoreError, Unavailable, YggError
from ygg.model import (
    FINAL,
    Call,
    End,
    Health,
    Host,
    HostHealth,
    Now,
    Outcome,
    OutcomeKind,
    Policy,
    Reason,
    Task,
    TaskType,
)
from ygg.model import State as TaskState
from ygg.ports import Archive, AttemptStarted, Backends, Piece, Probes, Queue
from ygg.running.calls import run_attempt
from ygg.running.streams import Streams
from ygg.running.watching import watch

log = logging.getLogger("ygg.dispatch")

T = TypeVar("T")
CANCEL_WAIT_S = 10.0  #: how long `cancel` waits for a running call to stop


def wall_clock_ms() -> int:
    return time.time_ns() // 1_000_000


def told(error: BaseException) -> str:
    """What an error says, or what it is."""
    return str(error) or type(error).__name__


class RunLoop:
    """Turns events into steps and effects into store verbs, calls and checks."""

    def __init__(
        self,
        queue: Queue,
        archive: Archive,
        *,
        wall_ms: Callable[[], int] = wall_clock_ms,
        checked: bool = False,
        on_fatal: Callable[[BaseException], None] | None = None,
    ) -> None:
        """`on_fatal` is told of a bug in a step: what the step had decided is lost, so that only a new
        start brings order; without it the bug is raised where the event came from."""
        self.queue = queue
        self._archive = archive
        self._wall_ms = wall_ms
        self._on_fatal = on_fatal
        self._checked = checked  # tests: Board.check() after every step
        self._loop = asyncio.get_running_loop()
        self.board = Board()
        self.streams = Streams()
        self.backends: Backends = {}
        self.probes: Probes = {}
        self._watches: dict[str, list[asyncio.Task[None]]] = {}
        self.log_tail: deque[str] = deque(maxlen=100)
        self._inbox: deque[ev.Event] = deque()
        self._stepping = False
        self._timer: asyncio.TimerHandle | None = None
        self._calls: dict[str, asyncio.Task[Outcome]] = {}
        self._asks: set[asyncio.Future[object]] = set()
        self._waiters: dict[str, set[asyncio.Future[Task]]] = {}
        self._quiet = asyncio.Event()  # set when no call runs and no write is under way
        self._started_ms = wall_ms()
        self._drained = False

    # --- life ----------------------------------------------------------------------------------

    async def recover(self, max_crashes: int) -> None:
        """Give back what a dead owner left processing."""
        began = time.perf_counter()
        found = await self.queue.recover(self._wall_ms(), max_crashes)
        if found.requeued or found.poisoned or found.cancelled:
            log.warning(
                "recovered from a crash in %.3f s: %d tasks back in the queue, %d blocked, %d cancelled",
                time.perf_counter() - began, found.requeued, found.poisoned, found.cancelled,
            )  # fmt: skip

    def own(
        self,
        hosts: Sequence[Host],
        types: Mapping[str, TaskType],
        policy: Policy,
        backends: Backends,
        probes: Probes | None = None,
    ) -> None:
        """Use these hosts from now on; calls that run on others go on."""
        self.backends = backends
        self._use_probes(probes or {})
        probed = {host: any(p.measures for p in ps) for host, ps in self.probes.items() if ps}
        self.feed(ev.HostsOwned(tuple(hosts), types, policy, probed))

    def _use_probes(self, probes: Probes) -> None:
        """Probes that are gone end; new ones of hosts that are watched begin."""
        watched = [host for host in self._watches if probes.get(host) != self.probes.get(host)]
        for host in watched:
            self._watch(host, on=False)
        self.probes = probes
        for host in watched:
            self._watch(host, on=True)

    def retire(self, backends: Backends) -> None:
        """Close the connections of endpoints that left the configuration, once their calls ended."""

        async def close() -> None:
            busy = [t for t in self._calls.values() if not t.done()]
            if busy:
                await asyncio.wait(busy)
            await asyncio.gather(*(b.close() for b in backends.values()))

        if backends:
            self._ask(close(), lambda _: ev.Ticked(), lambda why: ev.Ticked())

    async def drain(self, grace_s: float, hurry: asyncio.Event) -> None:
        """Stop claiming, wait for running calls until `grace_s` or `hurry`, cut the rest, write all
        ends. Never raises for a failing store: what it could not write is recovered at the next start.
        Once it is over, draining again does nothing."""
        if self._drained:
            return
        self._drained = True
        self.feed(ev.DrainAsked())
        await self._until_quiet(grace_s, hurry)
        self.feed(ev.CutAsked())
        await self._until_quiet(CANCEL_WAIT_S, asyncio.Event())
        self._stop_timer()
        for host in list(self._watches):
            self._watch(host, on=False)
        self.streams.close()

    async def _until_quiet(self, grace_s: float, hurry: asyncio.Event) -> None:
        waits = [asyncio.create_task(e.wait()) for e in (self._quiet, hurry)]
        self._note_quiet()
        await asyncio.wait(waits, timeout=grace_s, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()
        await asyncio.gather(*waits, return_exceptions=True)

    def _note_quiet(self) -> None:
        state = self.board
        busy = state.running or state.claiming or state.finishing or self._calls
        if (busy and state.store_retry_at is None) or (busy and (state.running or self._calls)):
            self._quiet.clear()
        else:
            self._quiet.set()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    # --- events in, effects out ----------------------------------------------------------------

    def now(self) -> Now:
        return Now(self._loop.time(), self._wall_ms())

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
        effects = step(self.board, event, self.now())
        if self._checked:
            self.board.check()
        for effect in effects:
            self._perform(effect)
        if isinstance(event, ev.Finished):
            self.settle([t for t in event.tasks if t is not None])
        elif isinstance(event, ev.Promoted):
            for task_id in event.expired:
                self._announce(task_id)

    def _perform(self, effect: fx.Effect) -> None:  # noqa: C901 - one arm per effect
        match effect:
            case fx.Claim(claims):
                self._ask(
                    self.queue.claim(claims, self._wall_ms()),
                    lambda tasks: ev.Claimed(claims, tuple(tasks)),
                    lambda why: ev.StoreFailed(claims=claims, message=told(why)),
                )
            case fx.Start(call):
                self._start(call)
            case fx.Finish(ends):
                self._ask(
                    self.queue.finish(ends, self._wall_ms()),
                    lambda tasks: ev.Finished(ends, tuple(tasks)),
                    lambda why: self._end_failed(ends, why),
                    patient=True,
                )
            case fx.Note(reason, task_id, attempt, level):
                self._log(level, reason, task_id, attempt)
            case fx.WakeAt(at):
                self._stop_timer()
                self._timer = self._loop.call_at(at, self.feed, ev.Ticked())
            case fx.Peek(lane, priority, limit):
                self._ask(
                    self.queue.heads(lane, priority, limit),
                    lambda heads: ev.HeadsSeen(lane, priority, tuple(heads), len(heads) < limit),
                    lambda why: ev.StoreFailed(peeked=(lane, priority), message=told(why)),
                )
            case fx.ListLanes():
                self._ask(
                    self.queue.lanes(),
                    lambda lanes: ev.LanesSeen(tuple(lanes)),
                    lambda why: ev.StoreFailed(message=told(why)),
                )
            case fx.Promote():
                self._ask(
                    self.queue.promote(self._wall_ms()),
                    lambda p: ev.Promoted(p.queued, p.expired, p.next_due_ms),
                    lambda why: ev.StoreFailed(promoting=True, message=told(why)),
                )
            case fx.Cancel(task_id):
                if task_id in self._calls:
                    self._calls[task_id].cancel()
            case fx.CheckHost(host, endpoint):
                self._check(host, endpoint)
            case fx.Watch(host, on):
                self._watch(host, on=on)
            case fx.Unload():
                self._unload(effect)
            case _:
                assert_never(effect)

    def _ask(
        self,
        answer: Awaitable[T],
        ok: Callable[[T], ev.Event],
        failed: Callable[[BaseException], ev.Event],
        *,
        patient: bool = False,
    ) -> None:
        """Feed the event that comes of a store verb. A `patient` one lets the calls that the same
        commit started reach their servers first."""
        future: asyncio.Future[T] = asyncio.ensure_future(answer)

        def done(future: asyncio.Future[T]) -> None:
            self._asks.discard(future)
            if future.cancelled():
                return
            error = future.exception()
            if error is None and patient:
                self._loop.call_soon(self.feed, ok(future.result()))
            elif error is None:
                self.feed(ok(future.result()))
            else:
                if not isinstance(error, YggError):
                    log.error("store verb failed unexpectedly", exc_info=error)
                self.feed(failed(error))

        self._asks.add(future)  # type: ignore[arg-type]
        future.add_done_callback(done)

    @staticmethod
    def _end_failed(ends: tuple[End, ...], why: BaseException) -> ev.Event:
        """An end that is at fault itself would fail for ever, and everything written with it."""
        passing = isinstance(why, StoreError) and not isinstance(why, IllegalTransition)
        if passing or len(ends) > 1:
            return ev.StoreFailed(ends=ends, message=told(why))
        return ev.EndRefused(ends[0], told(why))

    def _log(self, level: str, reason: Reason, task_id: str | None, attempt: int | None) -> None:
        number = logging.getLevelNamesMapping()[level]
        if not log.isEnabledFor(number):
            return
        who = f"{task_id}.{attempt}" if attempt else task_id
        line = f"{who} {reason.text}" if who else reason.text
        self.log_tail.append(line)
        log.handle(logging.LogRecord(log.name, number, "", 0, line, None, None))

    # --- calls and checks ----------------------------------------------------------------------

    def _start(self, call: Call) -> None:
        task_id, attempt = call.task.id, call.task.attempt
        task = self._calls[task_id] = self._loop.create_task(self._run(call))

        def done(task: asyncio.Task[Outcome]) -> None:
            del self._calls[task_id]
            self.streams.drop(task_id)
            outcome = Outcome(OutcomeKind.CANCELLED) if task.cancelled() else task.result()
            self.feed(ev.CallEnded(task_id, attempt, outcome))

        task.add_done_callback(done)

    async def _run(self, call: Call) -> Outcome:
        backend = self.backends.get((call.candidate.host, call.candidate.endpoint))
        if backend is None:
            return Outcome(OutcomeKind.UNREACHABLE, f"{call.candidate.host} left the configuration")
        task_id = call.task.id
        return await run_attempt(call, backend, lambda item: self.streams.put(task_id, item))

    def _check(self, host: str, endpoint: str) -> None:
        backend = self.backends.get((host, endpoint))
        if backend is None:
            gone = Health(HostHealth.DOWN, message="it left the configuration")
            self._loop.call_soon(self.feed, ev.HostChecked(host, endpoint, gone))
        else:
            self._ask(
                backend.check(),
                lambda health: ev.HostChecked(host, endpoint, health),
                lambda why: ev.HostChecked(
                    host, endpoint, Health(HostHealth.DOWN, message=told(why))
                ),
            )

    # --- readings ------------------------------------------------------------------------------

    def _watch(self, host: str, *, on: bool) -> None:
        for task in self._watches.pop(host, []):
            task.cancel()
        if on:
            self._watches[host] = [
                self._loop.create_task(watch(host, probe, self.feed))
                for probe in self.probes.get(host, ())
            ]

    def _unload(self, effect: fx.Unload) -> None:
        host, endpoint, model = effect.host, effect.endpoint, effect.model
        backend = self.backends.get((host, endpoint))
        if backend is None:
            return
        self._ask(
            backend.unload(model),
            lambda done: ev.ModelUnloaded(host, endpoint, model, done),
            lambda why: ev.ModelUnloaded(host, endpoint, model, False, told(why)),
        )

    # --- waiting readers -----------------------------------------------------------------------

    def settle(self, tasks: Sequence[Task]) -> None:
        """Tell readers and waiters of the tasks among these that have ended."""
        for task in tasks:
            if task.state in FINAL or task.state is TaskState.BLOCKED:
                self.streams.end(task.id)
                for waiter in self._waiters.pop(task.id, ()):
                    if not waiter.done():
                        waiter.set_result(task)

    def _announce(self, task_id: str) -> None:
        """An end that did not come through Finish: read the row, then tell."""
        if task_id not in self._waiters and not self.streams.followed(task_id):
            return
        self._ask(
            self.archive.get(task_id),
            lambda task: self._told(task),
            lambda why: ev.Ticked(),
        )

    def _told(self, task: Task) -> ev.Event:
        self.settle([task])
        return ev.TaskLeft(task.id)

    async def wait_end(self, task_id: str, timeout_s: float) -> Task:
        waiter: asyncio.Future[Task] = self._loop.create_future()
        self._waiters.setdefault(task_id, set()).add(waiter)
        try:
            task = await self.archive.get(task_id)
            if task.state in FINAL or task.state is TaskState.BLOCKED:
                return task
            done, _ = await asyncio.wait([waiter], timeout=timeout_s)
            return waiter.result() if done else await self.archive.get(task_id)
        finally:
            waiters = self._waiters.get(task_id, set())
            waiters.discard(waiter)
            if not waiters:
                self._waiters.pop(task_id, None)

    async def follow(self, task_id: str) -> AsyncIterator[AttemptStarted | Piece | Task]:
        reader = self.streams.read(task_id)
        try:
            task = await self.archive.get(task_id)
            while task.state not in FINAL and task.state is not TaskState.BLOCKED:
                items = await reader.take()
                if not items:
                    break
                for item in items:
                    yield item
            task = await self.archive.get(task_id)
            if task.state not in FINAL and task.state is not TaskState.BLOCKED:
                raise Unavailable(
                    "the stream was cut; the task goes on", hint=f"ygg wait {task.id}"
                )
            yield task
        finally:
            self.streams.leave(task_id, reader)

    @property
    def archive(self) -> Archive:
        return self._archive
