"""The dispatcher as people and programs meet it: the verbs of `ports.Control`, and snapshots.

Every verb is a write first, answered when it is durable; the board hears of it through an event. A snapshot takes no step.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence

from ygg.core import events as ev
from ygg.core.board import Board
from ygg.errors import Draining, StoreError, YggError, known_host
from ygg.model import (
    FINAL,
    Batch,
    Capacity,
    Counts,
    Host,
    Lane,
    NewTask,
    Permit,
    Policy,
    Priority,
    Reason,
    Scheduled,
    Snapshot,
    Submitted,
    Task,
    TaskType,
    Token,
)
from ygg.model import State as TaskState
from ygg.model.batches import NEVER_MS
from ygg.model.history import KEPT_MS
from ygg.plain import counted
from ygg.ports import (
    Archive,
    AttemptStarted,
    Backends,
    Filter,
    Gap,
    Limiter,
    Moved,
    Piece,
    Probes,
    Queue,
)
from ygg.running.asking import log
from ygg.running.clock import Clock
from ygg.running.loop import CANCEL_WAIT_S, RunLoop
from ygg.telling import explain as explaining
from ygg.telling import pacing, rates
from ygg.telling.snapshotting import NEXT_UP, snapshot
from ygg.telling.tally import Tally
from ygg.telling.working import Worked
from ygg.uploads import Uploads

COUNTS_S = 0.5
REMEMBERED = 60  #: ends of earlier runs: as many as a live view gets
SNAPSHOT_S = 0.25  #: readers get a new copy at most this often


class Dispatcher:
    """One run of the dispatcher: a loop over a queue and its hosts. Implements `ports.Control`."""

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
        """Arguments as of `RunLoop`."""
        self._loop = RunLoop(
            queue,
            archive,
            limiters=limiters,
            clock=clock,
            uploads=uploads,
            checked=checked,
            on_fatal=on_fatal,
        )
        self._queue, self._archive, self._now_ms = queue, archive, self._loop.clock.now_ms
        self._mono = asyncio.get_running_loop().time
        self._started = self._mono()
        self._counts, self._counted = Counts({}), float("-inf")
        self._uncounted: str | None = None
        self._scheduled: Sequence[Scheduled] = ()
        self.config_error: str | None = None  #: what the snapshot tells of hosts.yaml
        self.exposed: str | None = None  #: and of addresses where nobody is asked who he is
        self.notify_error: str | None = None  #: and of targets that cannot be told
        self._cut_off_ms: int | None = None
        self._drained_hosts: set[str] = set()
        self._worked = Worked()
        self._snapshot: tuple[float, Snapshot] | None = None

    @property
    def archive(self) -> Archive:
        return self._archive

    @property
    def uploads(self) -> Uploads | None:
        return self._loop.uploads

    @property
    def board(self) -> Board:
        return self._loop.board

    @property
    def loop(self) -> RunLoop:
        return self._loop

    @property
    def tally(self) -> Tally:
        """What this run has counted."""
        return self._loop.tally

    # --- life ----------------------------------------------------------------------------------

    async def start(
        self,
        hosts: Sequence[Host],
        types: Mapping[str, TaskType],
        policy: Policy,
        backends: Backends,
        probes: Probes | None = None,
        needs: Mapping[tuple[str, str], tuple[Permit, ...]] | None = None,
    ) -> None:
        """Recover what a dead owner left, then take the first step. Waits for no host."""
        await self._recover(policy.max_crashes)
        await self._count()
        held = await self._queue.holds()
        self._drained_hosts = set(held.drained)
        if held.paused:
            self._loop.feed(ev.DispatchPaused(True))
        self.own(hosts, types, policy, backends, probes, needs)
        self._loop.asks.run(self._remember(), log.debug)

    async def _remember(self) -> None:
        """What the last days tell of the hosts; of one that did nothing in them, whatever is kept. And what ended
        last. Nothing waits for it."""
        now_ms = self._now_ms()
        rows = await self._archive.minutes(None, now_ms - pacing.DAYS_MS)
        for idle in self.board.hosts.keys() - pacing.past_of(rows).keys():
            rows += await self._archive.minutes(idle, now_ms - KEPT_MS)
        ended = await self._archive.find(Filter(states=tuple(FINAL), limit=REMEMBERED))
        began_ms = now_ms - round((self._mono() - self._started) * 1000)
        ends = rates.ends_of(t for t in ended if (t.finished_ms or now_ms) < began_ms)
        self._loop.feed(ev.PastLearned(pacing.past_of(rows), ends))

    async def _recover(self, max_crashes: int) -> None:
        began = time.perf_counter()
        found = await self._queue.recover(self._now_ms(), max_crashes)
        if found.requeued or found.poisoned or found.cancelled:
            log.warning(
                "recovered from a crash in %.3f s: %s back in the queue, %d blocked, %d cancelled",
                time.perf_counter() - began, counted(found.requeued, "task"), found.poisoned, found.cancelled,
            )  # fmt: skip

    def own(
        self,
        hosts: Sequence[Host],
        types: Mapping[str, TaskType],
        policy: Policy,
        backends: Backends,
        probes: Probes | None = None,
        needs: Mapping[tuple[str, str], tuple[Permit, ...]] | None = None,
    ) -> None:
        """Use these hosts from now on; calls that run on others go on. `needs`: permits from outside of
        each call to (host, endpoint)."""
        self._loop.drivers.backends = backends
        self._loop.watches.use(probes or {})
        probed = {h: any(p.measures for p in ps) for h, ps in (probes or {}).items() if ps}
        drained = frozenset(self._drained_hosts)
        self._loop.feed(ev.HostsOwned(tuple(hosts), types, policy, probed, needs or {}, drained))

    @property
    def backends(self) -> Backends:
        return self._loop.drivers.backends

    @property
    def probes(self) -> Probes:
        return self._loop.watches.probes

    def retire(self, backends: Backends) -> None:
        """Close the connections of endpoints that left the configuration, once their calls ended."""
        self._loop.drivers.retire(backends)

    async def drain(self, grace_s: float, hurry: asyncio.Event) -> None:
        """As `RunLoop.drain`."""
        self._cut_off_ms = self._loop.now().wall_ms + round(grace_s * 1000)
        self._snapshot = None
        await self._loop.drain(grace_s, hurry, self._reached)

    def _reached(self) -> Mapping[str, int]:
        return {r.task_id: r.progress for r in self._copy().running if r.progress is not None}

    # --- verbs (ports.Control) -----------------------------------------------------------------

    async def submit(
        self,
        tasks: Sequence[NewTask],
        *,
        capacity: Capacity | None = None,
        atomic: bool = True,
        batch: Batch | None = None,
    ) -> list[Submitted | YggError]:
        if self.board.stopping:
            raise Draining(
                "ygg is shutting down", hint="submit again in a minute", retry_after_s=60
            )
        answers = await self._queue.submit(
            [self._loop.clock.placed(t) for t in tasks],
            self._now_ms(),
            capacity=capacity,
            atomic=atomic,
            batch=batch,
            stored=self._stored,
        )
        self.tally.taken(tasks, answers)
        return answers

    def _stored(self, answers: list[Submitted | YggError]) -> None:
        """They may start while their submit is still on its way to the disk: if a power cut undoes it, nobody
        has been told that they exist."""
        self._entered([a.task for a in answers if isinstance(a, Submitted) and not a.existing])

    def _entered(self, tasks: Sequence[Task]) -> None:
        """Tell the core of tasks that wait now."""
        heads = tuple(t.head for t in tasks if t.state is TaskState.QUEUED)
        if heads:
            self._loop.feed(ev.TasksQueued(heads))
        for task in tasks:
            due_ms = self._now_ms() if task.due_ms == NEVER_MS else task.due_ms
            times = [t for t in (due_ms, task.deadline_ms) if t is not None]
            if times and task.state is TaskState.SCHEDULED:
                self._loop.feed(ev.DueLearned(min(times)))

    async def cancel(self, task_id: str, *, running: bool = True) -> Task:
        at_ms = self._now_ms()
        task = await self._queue.cancel(task_id, at_ms, running=running)
        if task.state is not TaskState.PROCESSING:
            over = task if task.finished_ms == at_ms else None  # it had been cancelled before
            self._loop.feed(ev.TaskLeft(task.id, over))
            return task
        self._loop.feed(ev.CancelAsked(task.id))
        return await self.wait_end(task.id, CANCEL_WAIT_S)

    async def retry(self, task_ids: Sequence[str], *, turn: bool = False) -> list[Task | YggError]:
        answers = await self._queue.retry(task_ids, self._now_ms(), turn=turn)
        self._entered([a for a in answers if isinstance(a, Task)])
        return answers

    async def prioritize(self, task_id: str, priority: Priority) -> Task:
        task = await self._queue.prioritize(task_id, priority, self._now_ms())
        self._loop.feed(ev.TaskLeft(task.id))
        self._entered([task])
        return task

    async def touch_read(self, task_id: str, keep_s: float) -> None:
        await self._queue.touch_read(task_id, self._now_ms(), keep_s)

    async def add_token(self, token: Token) -> None:
        await self._queue.add_token(token)

    async def revoke_token(self, name: str) -> None:
        await self._queue.revoke_token(name, self._now_ms())

    async def clean(self, states: frozenset[TaskState], max_age_s: float) -> dict[TaskState, int]:
        return await self._queue.clean(states, self._now_ms(), max_age_s)

    async def discard(self, task_id: str) -> None:
        await self._queue.discard(task_id, self._now_ms())

    async def pause(self, paused: bool) -> None:
        await self._queue.hold(None, paused)
        self._loop.feed(ev.DispatchPaused(paused))
        self._snapshot = None  # who has just paused reads that it is so

    async def drain_host(self, host: str, drained: bool) -> None:
        known_host(host, self.board.hosts)
        await self._queue.hold(host, drained)
        self._drained_hosts.add(host) if drained else self._drained_hosts.discard(host)
        self._loop.feed(ev.HostDrained(host, drained))
        self._snapshot = None

    async def check_hosts(self, names: Collection[str] | None = None) -> Snapshot:
        async def one(host: str, endpoint: str) -> None:
            health = await self.backends[host, endpoint].check()
            self._loop.feed(ev.HostChecked(host, endpoint, health))

        asked = [key for key in self.backends if names is None or key[0] in names]
        await asyncio.gather(*(one(h, e) for h, e in asked))
        await self._recount()
        self._snapshot = None  # what the hosts have just said is read by others too
        return self._copy()

    def explain(self, task: Task) -> tuple[Reason, ...]:
        return explaining.explain(self.board, task, self._loop.now())

    def rivals(self, lane: Lane) -> tuple[Lane, ...]:
        return explaining.rivals(self.board, lane)

    def wait_estimate_ms(self, task: Task, ahead: int) -> int | None:
        plan = self._worked.plan(self.board, self._loop.now())
        return plan.wait_ms(task.lane, task.priority, ahead)

    async def wait_end(self, task_id: str, timeout_s: float) -> Task:
        return await self._loop.waiting.wait_end(task_id, timeout_s)

    def follow(self, task_id: str) -> AsyncIterator[AttemptStarted | Piece | Task]:
        return self._loop.waiting.follow(task_id)

    def watch(
        self, task_id: str, quiet_s: float
    ) -> AsyncIterator[AttemptStarted | Piece | Gap | Moved | Task]:
        return self._loop.waiting.watch(task_id, quiet_s)

    # --- snapshots -----------------------------------------------------------------------------

    def snapshot(self, max_age_s: float = SNAPSHOT_S) -> Snapshot:
        """A copy no older than this; the counts in it are refreshed in the background."""
        at = self._mono()
        if self._snapshot is None or at - self._snapshot[0] >= max_age_s:
            if at - self._counted >= COUNTS_S:
                self._loop.asks.run(self._recount(), log.debug)
            self._snapshot = (at, self._copy())
        return self._snapshot[1]

    async def view(self) -> Snapshot:
        """The same with what is stored now."""
        await self._recount()
        return self.snapshot()

    async def _recount(self) -> None:
        """What the store cannot tell just now stays as it was, and a snapshot says so."""
        failed = None
        try:
            await self._count()
        except StoreError as error:
            failed = str(error)
        if failed != self._uncounted:
            self._uncounted, self._snapshot = failed, None

    async def _count(self) -> None:
        self._counted = self._mono()
        stored = await self._archive.counts(), await self._archive.scheduled(NEXT_UP)
        if stored != (self._counts, self._scheduled):
            self._snapshot = None
        self._counts, self._scheduled = stored

    def _copy(self) -> Snapshot:
        now = self._loop.now()
        return snapshot(
            self.board,
            now,
            epoch=self._queue.epoch,
            started_ms=now.wall_ms - round((now.mono - self._started) * 1000),
            counts=self._counts,
            scheduled=self._scheduled,
            uncounted=self._uncounted,
            streamed=self._loop.streams.progress(),
            worked=self._worked,
            log=self._loop.log_tail,
            config_error=self.config_error,
            exposed=self.exposed,
            notify_error=self.notify_error,
            cut_off_ms=self._cut_off_ms,
        )
