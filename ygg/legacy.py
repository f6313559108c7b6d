"""The legacy dispatcher, kept for comparison: one thread per task type, FIFO, polling every 2 s.

No priorities, no slots: each type's thread takes the oldest task of its type, runs it on the first host
of its route, then the next; when none is left it sleeps. It works on the same store, so `ygg submit`
and `ygg status` serve both loops.
"""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from collections.abc import Coroutine, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from ygg import paths, wire
from ygg.core.board import Board
from ygg.core.owning import loading
from ygg.core.placement.requests import build_call
from ygg.daemon import tell_left_out
from ygg.model import Claim, End, Head, Lane, OutcomeKind, Priority, ReasonCode, Task
from ygg.model import State as TaskState
from ygg.ports import Backends, Queue
from ygg.running.calls import run_call
from ygg.running.scope import close_backends

if TYPE_CHECKING:
    from ygg.config import Config

T = TypeVar("T")
POLL_S = 2.0


def run(config_path: str | None) -> int:
    """Run until Ctrl-C or SIGTERM; running calls are waited for."""
    from ygg.config import load_found

    config = load_found(config_path, os.environ)
    tell_left_out(config)
    asyncio.run(_until_signalled(config, paths.state_dir(os.environ) / paths.DATABASE))
    return 0


async def _until_signalled(config: Config, database: Path) -> None:
    """The loop runs the handlers: one that interrupts another's `set` would wait for itself for ever."""
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await serve(config, database, stop)


async def serve(config: Config, database: Path, stop: threading.Event) -> None:
    """Poll `database` with one thread per task type until `stop` is set.

    The threads do the scheduling; store and HTTP verbs run in this event loop, which they wait for.
    """
    store = wire.open_store(database, config)
    backends = wire.adapters().backends(config.hosts.values())
    loop = asyncio.get_running_loop()
    await store.recover(_now_ms(), config.policy.max_crashes)
    workers = [_Worker(name, config, store, backends, loop, stop) for name in config.types]
    for worker in workers:
        worker.start()
    try:
        await asyncio.gather(*(asyncio.to_thread(w.join) for w in workers))
    finally:
        await close_backends(backends)
        await store.close()


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


class _Worker(threading.Thread):
    """Runs the tasks of one type, one after the other."""

    def __init__(
        self,
        kind: str,
        config: Config,
        queue: Queue,
        backends: Backends,
        loop: asyncio.AbstractEventLoop,
        stop: threading.Event,
    ) -> None:
        super().__init__(name=f"legacy-{kind}")
        self.kind, self.queue, self.backends, self.loop, self.stop = (
            kind,
            queue,
            backends,
            loop,
            stop,
        )
        self.board = Board(policy=config.policy, types=config.types, loading=loading(config.types))
        self.known: Mapping[str, object] = config.types

    def run(self) -> None:
        while not self.stop.is_set():
            if not self._wait_for(self._take_one()):
                self.stop.wait(POLL_S)

    def _wait_for(self, work: Coroutine[object, object, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result()

    async def _take_one(self) -> bool:
        """Claim and run the oldest task of the type; False when there is none."""
        await self.queue.promote(_now_ms())
        head = await self._oldest()
        if head is None:
            return False
        candidate = self.board.types[self.kind].route[0]
        claim = Claim(head.id, head.version, candidate)
        task = (await self.queue.claim([claim], _now_ms()))[0]
        if task is not None:
            await self._run(task)
        return True

    async def _oldest(self) -> Head | None:
        lanes = {lane for lane, _, _ in await self.queue.lanes() if self._mine(lane)}
        heads = [h for lane in lanes for p in Priority for h in await self.queue.heads(lane, p, 1)]
        return min(heads, key=lambda h: h.seq, default=None)

    def _mine(self, lane: Lane) -> bool:
        name = lane.type if lane.type in self.known else "general"
        return name == self.kind

    async def _run(self, task: Task) -> None:
        candidate = self.board.types[self.kind].route[0]
        call = build_call(self.board, f"legacy-{task.id}.{task.attempt}", candidate, [task])
        backend = self.backends[candidate.host, candidate.endpoint]
        (outcome,) = (await run_call(call, backend, lambda _, __: None)).values()
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
