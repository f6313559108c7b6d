"""The legacy dispatcher, kept for comparison: one thread per task type, FIFO, polling every 2 s.

No priorities, no slots: each type's thread takes the oldest task of its type, runs it on the first host
of its route, then the next; when none is left it sleeps. It works on the same store and answers on the same
socket, so `ygg submit`, `ygg status` and the others serve both loops. What needs a board is missing: the live
view, forecasts, and stopping a call that runs.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import threading
import time
from collections.abc import AsyncIterator, Callable, Collection, Coroutine, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from ygg import meant, paths, signalled, wire
from ygg.api.offline import OfflineControl, of_itself
from ygg.core.board import Board
from ygg.core.owning import loading
from ygg.core.placement.candidates import configured
from ygg.core.placement.requests import build_call
from ygg.daemon import tell_left_out
from ygg.logs import set_up_logging
from ygg.model import (
    FINAL,
    Candidate,
    Claim,
    End,
    Head,
    JsonDict,
    Lane,
    OutcomeKind,
    Priority,
    Reason,
    ReasonCode,
    Service,
    Snapshot,
    Task,
    because,
)
from ygg.model import State as TaskState
from ygg.plain import counted
from ygg.ports import Archive, AttemptStarted, Backends, Filter, Piece, Queue
from ygg.running.calls import run_call
from ygg.running.clock import Clock
from ygg.running.scope import close_backends
from ygg.running.streams import Item
from ygg.telling.rates import ends_of
from ygg.uploads import Uploads

if TYPE_CHECKING:
    from ygg.config import Config

log = logging.getLogger("ygg.legacy")

T = TypeVar("T")
POLL_S = 2.0
REMEMBERED = 200  #: ends that the health is judged by
ENDS = (signal.SIGINT, signal.SIGTERM, signal.SIGQUIT, signal.SIGHUP)
_now_ms = Clock().now_ms
WAITS = "the legacy loop takes the oldest task of each type, one at a time"


def run(config_path: str | None) -> int:
    """Run until Ctrl-C or SIGTERM; running calls are waited for."""
    from ygg.config import load_found

    meant.refuse_beside_service(os.environ)
    config = load_found(config_path, os.environ)
    set_up_logging(paths.state_dir(os.environ), console=True)
    log.info(
        "the legacy loop: one thread for each of %d task types, the oldest task first, one at a time; the dispatcher"
        " with priorities and slots is ygg loop --async", len(config.types),
    )  # fmt: skip
    tell_left_out(config)
    asyncio.run(_until_signalled(config, paths.state_dir(os.environ) / paths.DATABASE))
    return 0


async def _until_signalled(config: Config, database: Path) -> None:
    """The loop runs the handlers: one that interrupts another's `set` would wait for itself for ever."""
    stop = threading.Event()
    ends = dict.fromkeys(ENDS, stop.set)
    with signalled.heard(ends):
        await serve(config, database, stop)


async def serve(config: Config, database: Path, stop: threading.Event) -> None:
    """Poll `database` with one thread per task type until `stop` is set.

    The threads do the scheduling; store and HTTP verbs run in this event loop, which they wait for.
    """
    from ygg.api.app import build_app
    from ygg.api.handlers import Handlers
    from ygg.api.server import Door
    from ygg.api.server import serve as served

    door = Door(paths.daemon_socket(os.environ))
    store = wire.open_store(database, config, socket=door.path)
    backends = wire.adapters().backends(config.hosts.values())
    loop = asyncio.get_running_loop()
    uploads = Uploads(database)
    workers = [
        _Worker(name, config, store, store, backends, loop, stop, uploads) for name in config.types
    ]
    control = LegacyControl(
        store, store, config, lambda: wire.adapters().backends(config.hosts.values()), uploads
    )
    about: JsonDict = {"pid": os.getpid(), "store": str(database), "socket": str(door.path)}
    try:
        door.take()  # who is the second one takes no running task away
        await store.recover(_now_ms(), config.policy.max_crashes)
        async with served(build_app(Handlers(control, lambda: config, about=about)), door):
            log.info("ready: %s, socket %s", counted(len(config.hosts), "host"), door.path)
            for worker in workers:
                worker.start()
            await asyncio.gather(*(asyncio.to_thread(w.join) for w in workers))
    finally:
        await close_backends(backends)
        await store.close()
        log.info("stopped; socket %s closed", door.path)


class LegacyControl(OfflineControl):
    """What the API asks of this loop: the store, and the little that is known beside it."""

    now_ms = staticmethod(_now_ms)

    def __init__(
        self,
        queue: Queue,
        archive: Archive,
        config: Config,
        backends: Callable[[], Backends],
        uploads: Uploads,
    ) -> None:
        super().__init__(queue, archive, config, backends, uploads)
        self._epoch, self._started_ms = queue.epoch, _now_ms()

    def explain(self, task: Task) -> tuple[Reason, ...]:
        if task.state is TaskState.QUEUED:
            return (because(ReasonCode.NEXT, said=WAITS),)
        if task.state is TaskState.PROCESSING:
            return (because(ReasonCode.CHOSEN, task.host, said=f"it runs on {task.host}"),)
        return of_itself(task)

    async def cancel(self, task_id: str, *, running: bool = True) -> Task:
        return await super().cancel(task_id, running=False)

    async def follow(self, task_id: str) -> AsyncIterator[AttemptStarted | Piece | Task]:
        """The answer in one piece, once it is there."""
        task = await self.wait_end(task_id, float("inf"))
        for item in await self._answer(task):
            yield item

    async def watch(self, task_id: str, quiet_s: float) -> AsyncIterator[Item | Task]:
        """The same, with moves before it."""
        async for item in super().watch(task_id, quiet_s):
            for one in await self._answer(item) if isinstance(item, Task) else (item,):
                yield one

    async def _answer(self, task: Task) -> list[AttemptStarted | Piece | Task]:
        """What an ended task was answered, and the task."""
        result = await self.archive.result(task.id)
        if result is None or task.host is None:
            return [task]
        started = AttemptStarted(task.attempt, task.host, result.model)
        return [started, Piece(result.content, result.thinking or ""), task]

    async def check_hosts(self, names: Collection[str] | None = None) -> Snapshot:
        """With the ends that the store remembers: failures and times are judged by them."""
        view = await super().check_hosts(names)
        ended = await self.archive.find(Filter(states=tuple(FINAL), limit=REMEMBERED))
        view = replace(view, epoch=self._epoch, started_ms=self._started_ms)
        return replace(view, recent=ends_of(ended))


class _Worker(threading.Thread):
    """Runs the tasks of one type, one after the other."""

    def __init__(
        self,
        kind: str,
        config: Config,
        queue: Queue,
        archive: Archive,
        backends: Backends,
        loop: asyncio.AbstractEventLoop,
        stop: threading.Event,
        uploads: Uploads,
    ) -> None:
        super().__init__(name=f"legacy-{kind}")
        self.kind, self.queue, self.archive, self.backends = kind, queue, archive, backends
        self.loop, self.stop, self.uploads = loop, stop, uploads
        self.board = Board(policy=config.policy, types=config.types, loading=loading(config.types))
        self.known: Mapping[str, object] = config.types
        self.hosts = config.hosts

    def run(self) -> None:
        while not self.stop.is_set():
            if not self._wait_for(self._take_one()):
                self.stop.wait(POLL_S)

    def _wait_for(self, work: Coroutine[object, object, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result()

    async def _take_one(self) -> bool:
        """Claim and run the oldest task of the type; False when there is none."""
        await self.queue.promote(_now_ms())
        holds = await self.archive.holds()
        head = None if holds.paused else await self._oldest()
        candidate = self._place(head.lane) if head else None
        if head is None or candidate is None or candidate.host in holds.drained:
            return False
        claim = Claim(head.id, head.version, candidate)
        task = (await self.queue.claim([claim], _now_ms()))[0]
        if task is not None:
            await self._run(task, candidate)
        return True

    def _place(self, lane: Lane) -> Candidate | None:
        """The first of the route; of what it does not serve the first that does."""
        kind = self.board.types[self.kind]
        if lane.service is Service.TEXT:
            return kind.route[0]
        return next(iter(configured(kind, self.hosts, lane)), None)

    async def _oldest(self) -> Head | None:
        lanes = {lane for lane, _, _ in await self.queue.lanes() if self._mine(lane)}
        heads = [h for lane in lanes for p in Priority for h in await self.queue.heads(lane, p, 1)]
        return min(heads, key=lambda h: h.seq, default=None)

    def _mine(self, lane: Lane) -> bool:
        name = lane.type if lane.type in self.known else "general"
        return name == self.kind

    async def _run(self, task: Task, candidate: Candidate) -> None:
        call = build_call(self.board, f"legacy-{task.id}.{task.attempt}", candidate, [task])
        backend = self.backends[candidate.host, candidate.endpoint]
        where = f"{candidate.host} {candidate.model}".rstrip()
        log.info("%s.%d %s -> %s", task.id, task.attempt, task.lane.type, where)
        began = time.monotonic()
        ran = await run_call(call, backend, lambda _, __: None, self.uploads)
        (outcome,) = ran.values()
        done = outcome.kind is OutcomeKind.COMPLETED
        end = End(
            task.id,
            task.attempt,
            TaskState.COMPLETED if done else TaskState.FAILED,
            ReasonCode.COMPLETED if done else ReasonCode.ERROR_BUDGET,
            outcome.message or None,
            outcome.result,
        )
        await self.queue.finish([end], _now_ms())
        why = "" if done else f": {outcome.message or outcome.kind}"
        log.log(
            logging.INFO if done else logging.WARNING, "%s.%d %s on %s after %.2f s%s",
            task.id, task.attempt, end.state, where, time.monotonic() - began, why,
        )  # fmt: skip
