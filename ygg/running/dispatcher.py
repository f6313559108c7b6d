"""The dispatcher as people and programs meet it: the verbs of `ports.Control`, snapshots, housekeeping.

Every verb is a durable write first; the scheduling state hears of it through an event afterwards.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence

from ygg.core import events as ev
from ygg.errors import Draining, YggError, known_host
from ygg.model import (
    Counts,
    Host,
    Lane,
    NewTask,
    Policy,
    Priority,
    Reason,
    Snapshot,
    Submitted,
    Task,
    TaskType,
)
from ygg.model import State as TaskState
from ygg.ports import Backends, Probes
from ygg.running.loop import CANCEL_WAIT_S, RunLoop, log
from ygg.telling import explain as explaining
from ygg.telling import rates
from ygg.telling.minutes import Minutes
from ygg.telling.snapshotting import snapshot

HISTORY_S = 1.0
COUNTS_S = 0.5
SNAPSHOT_S = 0.25  #: readers get a new copy at most this often
STATUS_S = 10.0  #: concurrency status in the log
PRUNE_S = 60.0
LOOK_S = 5.0  #: between two looks that become a row of the minutes


class Dispatcher(RunLoop):
    """One run of the dispatcher over a queue and its hosts. Implements `ports.Control`."""

    _counts = Counts({})
    _counted = float("-inf")
    _drained_hosts: set[str] = set()
    _past: tuple[float, Mapping[str, tuple[float, ...]]] = (float("-inf"), {})
    _snapshot: tuple[float, Snapshot] | None = None

    async def start(
        self,
        hosts: Sequence[Host],
        types: Mapping[str, TaskType],
        policy: Policy,
        backends: Backends,
        probes: Probes | None = None,
    ) -> None:
        """Recover what a dead owner left, then take the first step. Waits for no host."""
        await self.recover(policy.max_crashes)
        await self._count()
        held = await self.queue.holds()
        self._drained_hosts = set(held.drained)
        if held.paused:
            self.feed(ev.DispatchPaused(True))
        self.own(hosts, types, policy, backends, probes)

    def own(
        self,
        hosts: Sequence[Host],
        types: Mapping[str, TaskType],
        policy: Policy,
        backends: Backends,
        probes: Probes | None = None,
    ) -> None:
        super().own(hosts, types, policy, backends, probes)
        for name in self._drained_hosts & self.board.hosts.keys():
            if not self.board.hosts[name].drained:
                self.feed(ev.HostDrained(name, True))

    # --- verbs (ports.Control) -----------------------------------------------------------------

    async def submit(
        self, tasks: Sequence[NewTask], *, capacity: int | None = None, atomic: bool = True
    ) -> list[Submitted | YggError]:
        if self.board.draining:
            raise Draining(
                "ygg is shutting down", hint="submit again in a minute", retry_after_s=60
            )
        answers = await self.queue.submit(tasks, self._wall_ms(), capacity=capacity, atomic=atomic)
        self._entered([a.task for a in answers if isinstance(a, Submitted) and not a.existing])
        return answers

    def _entered(self, tasks: Sequence[Task]) -> None:
        """Tell the core of tasks that wait now."""
        heads = tuple(t.head for t in tasks if t.state is TaskState.QUEUED)
        if heads:
            self.feed(ev.TasksQueued(heads))
        for task in tasks:
            times = [t for t in (task.due_ms, task.deadline_ms) if t is not None]
            if times and task.state is TaskState.SCHEDULED:
                self.feed(ev.DueLearned(min(times)))

    async def cancel(self, task_id: str, *, running: bool = True) -> Task:
        task = await self.queue.cancel(task_id, self._wall_ms(), running=running)
        if task.state is not TaskState.PROCESSING:
            self.feed(ev.TaskLeft(task.id))
            self.settle([task])
            return task
        self.feed(ev.CancelAsked(task.id))
        return await self.wait_end(task.id, CANCEL_WAIT_S)

    async def retry(self, task_ids: Sequence[str]) -> list[Task | YggError]:
        answers = await self.queue.retry(task_ids, self._wall_ms())
        self._entered([a for a in answers if isinstance(a, Task)])
        return answers

    async def prioritize(self, task_id: str, priority: Priority) -> Task:
        task = await self.queue.prioritize(task_id, priority, self._wall_ms())
        self.feed(ev.TaskLeft(task.id))
        self._entered([task])
        return task

    async def touch_read(self, task_id: str, keep_s: float) -> None:
        await self.queue.touch_read(task_id, self._wall_ms(), keep_s)

    async def pause(self, paused: bool) -> None:
        await self.queue.hold(None, paused)
        self.feed(ev.DispatchPaused(paused))
        self._snapshot = None  # who has just paused reads that it is so

    async def drain_host(self, host: str, drained: bool) -> None:
        known_host(host, self.board.hosts)
        await self.queue.hold(host, drained)
        self._drained_hosts.add(host) if drained else self._drained_hosts.discard(host)
        self.feed(ev.HostDrained(host, drained))
        self._snapshot = None

    async def check_hosts(self, names: Collection[str] | None = None) -> Snapshot | None:
        async def one(host: str, endpoint: str) -> None:
            health = await self.backends[host, endpoint].check()
            self.feed(ev.HostChecked(host, endpoint, health))

        asked = [key for key in self.backends if names is None or key[0] in names]
        await asyncio.gather(*(one(h, e) for h, e in asked))
        await self._count()
        self._snapshot = None
        return self._copy()

    def explain(self, task: Task) -> tuple[Reason, ...]:
        return explaining.explain(self.board, task, self.now())

    def rivals(self, lane: Lane) -> tuple[Lane, ...]:
        return explaining.rivals(self.board, lane)

    def wait_estimate_ms(self, task: Task, ahead: int) -> int | None:
        pace = explaining.pace(self.board, task.lane)
        return None if pace is None else pace.wait_ms(ahead)

    # --- snapshots and housekeeping ------------------------------------------------------------

    def snapshot(self, max_age_s: float = SNAPSHOT_S) -> Snapshot:
        """A copy no older than this; the counts in it are refreshed by `housekeeping`."""
        at = self._loop.time()
        if self._snapshot is None or at - self._snapshot[0] >= max_age_s:
            if at - self._counted >= COUNTS_S:
                self._counted = at
                self._ask(self._count(), lambda _: ev.Ticked(), lambda why: ev.Ticked())
            self._snapshot = (at, self._copy())
        return self._snapshot[1]

    async def view(self) -> Snapshot:
        """The same, for readers that may have to wait elsewhere."""
        return self.snapshot()

    async def _count(self) -> None:
        self._counts = await self.archive.counts()

    def _copy(self) -> Snapshot:
        return snapshot(
            self.board,
            self.now(),
            epoch=self.queue.epoch,
            started_ms=self._started_ms,
            counts=self._counts,
            streamed=self.streams.progress(),
            past=self._history(),
            log=self.log_tail,
        )

    def _history(self) -> Mapping[str, tuple[float, ...]]:
        """Worked out once a second."""
        now = self.now()
        if now.mono - self._past[0] >= HISTORY_S:
            views = self._snapshot[1].running if self._snapshot else ()
            self._past = (now.mono, rates.history(self.board.recent, views, now.wall_ms))
        return self._past[1]

    async def report_concurrency(self) -> None:
        """Every 10 s one line: active tasks and free slots of each host, as long as anything runs."""
        was_active = False
        while True:
            await asyncio.sleep(STATUS_S)
            active = len(self.board.running)
            if active or was_active:
                log.info("Active tasks: %d (%s)", active, self.concurrency())
            was_active = bool(active)

    def concurrency(self) -> dict[str, dict[str, object]]:
        """active, available_slots and task ids per host."""
        views = self._copy().hosts
        return {
            h.name: {"active": len(h.running), "available_slots": h.free, "tasks": list(h.running)}
            for h in views
        }

    async def record_minutes(self) -> None:
        """Keep what each host did, minute by minute. The minute that runs when it ends is lost."""
        minutes = Minutes()
        while True:
            await asyncio.sleep(LOOK_S)
            rows = minutes.fold(self.board, self._copy().hosts, self._wall_ms())
            try:
                if rows:
                    await self.queue.record_minutes(rows)
            except YggError as error:
                log.warning("the last minute is not kept: %s", error)

    async def prune(self) -> None:
        """Delete ended tasks past their retention, a small transaction at a time."""
        while True:
            try:
                while await self.queue.prune(self._wall_ms()) > 0:
                    pass
            except YggError as error:
                log.warning("pruning failed: %s", error)
            await asyncio.sleep(PRUNE_S)
