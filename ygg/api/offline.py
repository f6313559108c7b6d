"""The same verbs without a daemon: straight on the database.

Writing takes the database's lock for the length of one command, so it can never run beside a daemon;
reading takes none. Nothing is dispatched here and no orphan is recovered.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import (
    AsyncIterator,
    Callable,
    Collection,
    Coroutine,
    Iterator,
    Mapping,
    Sequence,
)
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from ygg.api.handlers import Handlers
from ygg.core.board import Board, HostState, Server
from ygg.desk import in_parts, raise_told, waited
from ygg.errors import Unavailable, YggError, known_host
from ygg.model import (
    FINAL,
    Counts,
    Health,
    Host,
    HostView,
    JsonDict,
    Lane,
    NewTask,
    Now,
    Priority,
    Reason,
    ReasonCode,
    Snapshot,
    State,
    Submitted,
    Task,
    because,
)
from ygg.ports import Archive, AttemptStarted, Backends, Piece, Queue
from ygg.telling import explain as explaining

if TYPE_CHECKING:
    from ygg.config import Config

T = TypeVar("T")
POLL_S = 0.5


class ClosableArchive(Archive, Protocol):
    """An archive that this desk opened and closes."""

    async def close(self) -> None: ...


Opened = tuple[Queue | None, ClosableArchive]


class OfflineControl:
    """`ports.Control` over a store, with no dispatcher behind it."""

    def __init__(
        self, queue: Queue | None, archive: Archive, config: Config, backends: Backends
    ) -> None:
        self._queue, self._archive, self._config, self._backends = queue, archive, config, backends

    @property
    def archive(self) -> Archive:
        return self._archive

    def _writing(self) -> Queue:
        if self._queue is None:
            raise Unavailable("this command needs a running daemon", hint="ygg loop --async")
        return self._queue

    def snapshot(self) -> Snapshot | None:
        return None

    def explain(self, task: Task) -> tuple[Reason, ...]:
        nobody = because(ReasonCode.NO_DISPATCHER)
        match task.state:
            case State.QUEUED:
                return (nobody,)
            case State.PROCESSING:
                return (nobody, because(ReasonCode.NO_DISPATCHER, task.host, ran=task.host))
            case State.SCHEDULED:
                return (nobody, *_of_itself(task))
            case _:
                return _of_itself(task)

    def rivals(self, lane: Lane) -> tuple[Lane, ...]:
        return (lane,)

    def wait_estimate_ms(self, task: Task, ahead: int) -> int | None:
        return None

    async def submit(
        self, tasks: Sequence[NewTask], *, capacity: int | None = None, atomic: bool = True
    ) -> list[Submitted | YggError]:
        return await self._writing().submit(tasks, _now_ms(), capacity=capacity, atomic=atomic)

    async def cancel(self, task_id: str, *, running: bool = True) -> Task:
        return await self._writing().cancel(task_id, _now_ms(), running=running)

    async def retry(self, task_ids: Sequence[str]) -> list[Task | YggError]:
        return await self._writing().retry(task_ids, _now_ms())

    async def prioritize(self, task_id: str, priority: Priority) -> Task:
        return await self._writing().prioritize(task_id, priority, _now_ms())

    async def touch_read(self, task_id: str, keep_s: float) -> None:
        """A person at the database reads as often as they like."""

    async def wait_end(self, task_id: str, timeout_s: float) -> Task:
        give_up = time.monotonic() + timeout_s
        while True:
            task = await self._archive.get(task_id)
            over = task.state in FINAL or task.state is State.BLOCKED
            if over or time.monotonic() >= give_up:
                return task
            await asyncio.sleep(min(POLL_S, max(0.0, give_up - time.monotonic())))

    async def follow(self, task_id: str) -> AsyncIterator[AttemptStarted | Piece | Task]:
        task = await self._archive.get(task_id)
        if task.state not in FINAL and task.state is not State.BLOCKED:
            raise Unavailable("no daemon is running, nothing will stream", hint="ygg loop --async")
        yield task

    async def check_hosts(self, names: Collection[str] | None = None) -> Snapshot | None:
        """Ask hosts from here. What is not asked is unknown; pauses come from the store."""
        keys = [k for k in self._backends if names is None or k[0] in names]
        found = await asyncio.gather(*(self._backends[k].check() for k in keys))
        held = await self._archive.holds()
        told = dict(zip(keys, found, strict=True))
        views = tuple(_view(h, told, h.name in held.drained) for h in self._config.hosts.values())
        now = _now_ms()
        return Snapshot(now, now, 0, held.paused, False, views, (), (), (), Counts({}))

    async def pause(self, paused: bool) -> None:
        await self._writing().hold(None, paused)

    async def drain_host(self, host: str, drained: bool) -> None:
        known_host(host, self._config.hosts)
        await self._writing().hold(host, drained)


def _of_itself(task: Task) -> tuple[Reason, ...]:
    """The reasons that need no dispatcher to be known."""
    return explaining.explain(Board(), task, Now(0.0, _now_ms()))


def _view(host: Host, told: Mapping[tuple[str, str], Health], drained: bool) -> HostView:
    from ygg.telling.snapshotting import host_view

    servers = {e.name: _server(told.get((host.name, e.name))) for e in host.endpoints}
    state = HostState(host, servers, host.slots, drained=drained)
    return host_view(state, (), Now(0.0, _now_ms()))


def _server(health: Health | None) -> Server:
    if health is None:
        return Server()
    loaded = None if health.loaded is None else frozenset(health.loaded)
    return Server(health.health, health.message, health, checked_ms=_now_ms(), loaded=loaded)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


class OfflineDesk:
    """A Desk on the database. Each verb opens it, works and closes it again."""

    online = False

    def __init__(
        self,
        config: Config,
        database: Path,
        open_: Callable[[], Opened],
        backends: Callable[[], Backends],
    ) -> None:
        self._config, self._open, self._backends = config, open_, backends
        self.where = f"database {database} (no daemon is running)"

    def close(self) -> None:
        """Nothing is kept open between verbs."""

    def _run(self, work: Callable[[Handlers], Coroutine[Any, Any, T]], *, hosts: bool = False) -> T:
        async def main() -> T:
            queue, archive = self._open()
            backends: Backends = {}
            try:
                backends = self._backends() if hosts else {}
                control = OfflineControl(queue, archive, self._config, backends)
                return await work(Handlers(control, lambda: self._config))
            finally:
                await asyncio.gather(*(b.close() for b in backends.values()))
                await archive.close()

        return asyncio.run(main())

    def submit(self, docs: list[Any], *, atomic: bool = False) -> list[JsonDict]:
        def part(docs: list[Any]) -> list[JsonDict]:
            doc = {"tasks": docs, "atomic": atomic}
            found: list[JsonDict] = self._run(lambda h: h.submit(doc, caller="local"))["tasks"]
            return found

        return in_parts(part, docs, atomic=atomic)

    def tasks(self, **query: Any) -> JsonDict:
        return self._run(lambda h: h.tasks(query))

    def show(self, task_id: str) -> JsonDict:
        return self._run(lambda h: h.show(task_id))

    def result(self, task_id: str) -> JsonDict:
        return self._run(lambda h: h.async_result(task_id))

    def wait(self, task_id: str, timeout_s: float) -> JsonDict:
        return waited(lambda left: self._run(lambda h: h.wait(task_id, left)), timeout_s)

    def follow(self, task_id: str) -> Iterator[JsonDict]:
        async def all_of(handlers: Handlers) -> list[JsonDict]:
            return [event async for event in await handlers.follow(task_id)]

        for event in self._run(all_of):
            raise_told(event)
            yield event

    def cancel(self, task_id: str, *, running: bool = True) -> JsonDict:
        return self._run(lambda h: h.cancel(task_id, running=running))

    def retry(self, ids: list[str] | None = None, *, states: list[str] | None = None) -> JsonDict:
        doc = {"ids": ids} if states is None else {"states": states}
        return self._run(lambda h: h.retry(doc))

    def prioritize(self, task_id: str, priority: int | str) -> JsonDict:
        return self._run(lambda h: h.prioritize(task_id, {"priority": priority}))

    def why(self, task_id: str) -> JsonDict:
        return self._run(lambda h: h.why(task_id))

    def status(self, *, probe: bool = True) -> JsonDict:
        return self._run(lambda h: h.status(probe=probe), hosts=probe)

    def hosts(self) -> JsonDict:
        return self._run(lambda h: h.hosts())

    def probe(self, host: str | None = None) -> list[JsonDict]:
        if host is None:
            found: list[JsonDict] = self._run(lambda h: h.probe_all(), hosts=True)["hosts"]
            return found
        return [self._run(lambda h: h.probe(host), hosts=True)]

    def drain_host(self, host: str, drained: bool) -> JsonDict:
        return self._run(lambda h: h.drain_host(host, drained))

    def queue(self) -> JsonDict:
        return self._run(lambda h: h.queue())

    def tuning(self, host: str | None = None, *, days: int = 7) -> JsonDict:
        return self._run(lambda h: h.tuning({"host": host, "days": days}))

    def pause(self, paused: bool) -> JsonDict:
        return self._run(lambda h: h.pause(paused))
