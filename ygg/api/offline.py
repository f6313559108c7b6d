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
    Generator,
    Mapping,
    Sequence,
)
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from ygg.api.callers import LOCAL
from ygg.api.handlers import Handlers
from ygg.config import Config
from ygg.core.board import Board
from ygg.core.house import HostState, Server
from ygg.desk import Desk
from ygg.errors import StoreLocked, Unavailable, YggError, known_host
from ygg.intake.times import wall_ms
from ygg.model import (
    FINAL,
    Batch,
    Capacity,
    Endpoint,
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
    Token,
    because,
)
from ygg.multipart import incoming
from ygg.ports import Archive, AttemptStarted, Backends, Gap, Moved, Piece, Queue
from ygg.telling import explain as explaining
from ygg.uploads import Uploads
from ygg.verbs import Asked

POLL_S = 0.5


class ClosableArchive(Archive, Protocol):
    """An archive that this desk opened and closes."""

    async def close(self) -> None: ...


Opened = tuple[Queue | None, ClosableArchive]


class OfflineControl:
    """`ports.Control` over a store, with no dispatcher behind it."""

    now_ms = staticmethod(wall_ms)  #: of whoever runs it

    def __init__(
        self,
        queue: Queue | None,
        archive: Archive,
        config: Config,
        backends: Callable[[], Backends],
        uploads: Uploads | None = None,
    ) -> None:
        self._queue, self._archive, self._config, self._backends = queue, archive, config, backends
        self.uploads = uploads

    @property
    def archive(self) -> Archive:
        return self._archive

    def _writing(self) -> Queue:
        if self._queue is None:
            raise Unavailable("this command needs a running daemon", hint="ygg loop --async")
        return self._queue

    def snapshot(self) -> Snapshot | None:
        return None

    async def view(self) -> Snapshot | None:
        return None

    def explain(self, task: Task) -> tuple[Reason, ...]:
        nobody = because(ReasonCode.NO_DISPATCHER)
        match task.state:
            case State.QUEUED:
                return (nobody,)
            case State.PROCESSING:
                return (nobody, because(ReasonCode.NO_DISPATCHER, task.host, ran=task.host))
            case State.SCHEDULED:
                return (nobody, *of_itself(task))
            case _:
                return of_itself(task)

    def rivals(self, lane: Lane) -> tuple[Lane, ...]:
        return (lane,)

    def wait_estimate_ms(self, task: Task, ahead: int) -> int | None:
        return None

    async def submit(
        self,
        tasks: Sequence[NewTask],
        *,
        capacity: Capacity | None = None,
        atomic: bool = True,
        batch: Batch | None = None,
    ) -> list[Submitted | YggError]:
        how: dict[str, Any] = {"capacity": capacity, "atomic": atomic, "batch": batch}
        return await self._writing().submit(tasks, self.now_ms(), **how)

    async def cancel(self, task_id: str, *, running: bool = True) -> Task:
        return await self._writing().cancel(task_id, self.now_ms(), running=running)

    async def retry(self, task_ids: Sequence[str], *, turn: bool = False) -> list[Task | YggError]:
        return await self._writing().retry(task_ids, self.now_ms(), turn=turn)

    async def prioritize(self, task_id: str, priority: Priority) -> Task:
        return await self._writing().prioritize(task_id, priority, self.now_ms())

    async def touch_read(self, task_id: str, keep_s: float) -> None:
        """A person at the database reads as often as they like."""

    async def add_token(self, token: Token) -> None:
        await self._writing().add_token(token)

    async def revoke_token(self, name: str) -> None:
        await self._writing().revoke_token(name, self.now_ms())

    async def clean(self, states: frozenset[State], max_age_s: float) -> dict[State, int]:
        return await self._writing().clean(states, self.now_ms(), max_age_s)

    async def discard(self, task_id: str) -> None:
        await self._writing().discard(task_id, self.now_ms())

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

    async def watch(
        self, task_id: str, quiet_s: float
    ) -> AsyncIterator[AttemptStarted | Piece | Gap | Moved | Task]:
        """Nothing tells of changes here: they are looked for."""
        over = False
        while not over:
            yield Moved()
            task = await self.wait_end(task_id, quiet_s)
            over = task.state in FINAL or task.state is State.BLOCKED
        yield task

    async def check_hosts(self, names: Collection[str] | None = None) -> Snapshot:
        """Ask hosts from here. What is not asked is unknown; pauses come from the store."""
        told = await self._checked(names) if names is None or names else {}
        held = await self._archive.holds()
        views = tuple(_view(h, told, h.name in held.drained) for h in self._config.hosts.values())
        counts, now = await self._archive.counts(), self.now_ms()
        return Snapshot(now, now, 0, held.paused, False, views, (), (), (), counts)

    async def _checked(self, names: Collection[str] | None) -> dict[tuple[str, str], Health]:
        backends = self._backends()
        try:
            keys = [k for k in backends if names is None or k[0] in names]
            found = await asyncio.gather(*(backends[k].check() for k in keys))
            return dict(zip(keys, found, strict=True))
        finally:
            await asyncio.gather(*(b.close() for b in backends.values()))

    async def pause(self, paused: bool) -> None:
        await self._writing().hold(None, paused)

    async def drain_host(self, host: str, drained: bool) -> None:
        known_host(host, self._config.hosts)
        await self._writing().hold(host, drained)


def of_itself(task: Task) -> tuple[Reason, ...]:
    """The reasons that need no dispatcher to be known."""
    return explaining.explain(Board(), task, Now(0.0, wall_ms()))


def _view(host: Host, told: Mapping[tuple[str, str], Health], drained: bool) -> HostView:
    from ygg.telling.snapshotting import host_view

    servers = {e.name: _server(e, told.get((host.name, e.name))) for e in host.endpoints}
    state = HostState(host, servers, host.slots, drained=drained)
    return host_view(state, (), Now(0.0, wall_ms()))


def _server(endpoint: Endpoint, health: Health | None) -> Server:
    if health is None:
        return Server(endpoint.slots)
    loaded = None if health.loaded is None else frozenset(health.loaded)
    found = Server(endpoint.slots, health=health.health, text=health.message, info=health)
    return replace(found, checked_ms=wall_ms(), loaded=loaded)


def _given(asked: Asked) -> JsonDict:
    """What the handler takes of what is sent."""
    sent = dict(asked.sent)
    form = sent.pop("upload", None)
    told = {"doc": sent, "size": 0, "query": sent, "caller": LOCAL, "key": None}
    if form is not None:
        told["upload"] = incoming(form)
    return {name: told[name] for name in asked.verb.takes}


class Offline:
    """A Carrier to the database. Each verb opens it, works and closes it again."""

    online = False

    def __init__(
        self,
        config: Config,
        database: Path,
        open_: Callable[[], Opened],
        backends: Callable[[], Backends],
        daemon: Callable[[], Desk | None],
    ) -> None:
        """`open_`: the queue, None for reading alone, and the archive; `backends`: of the hosts, built when
        a verb asks them; `daemon`: one that has started meanwhile."""
        self._config, self._open, self._backends, self._daemon = config, open_, backends, daemon
        self._uploads = Uploads(database)
        self.where = f"database {database} (no daemon is running)"

    def close(self) -> None:
        """Nothing is kept open between verbs."""

    def answer(self, asked: Asked) -> Any:
        try:
            return asyncio.run(self._answer(asked))
        except StoreLocked:
            desk = self._daemon()
            if desk is None:
                raise
            with closing(desk):
                return desk.ask(asked)

    def events(self, asked: Asked) -> Generator[JsonDict, None, None]:
        yield from self.answer(asked)

    async def _answer(self, asked: Asked) -> Any:
        queue, archive = self._open()
        try:
            control = OfflineControl(queue, archive, self._config, self._backends, self._uploads)
            given = _given(asked)
            answer = await Handlers(control, lambda: self._config).of(
                asked.verb, asked.target, given
            )
            return [event async for event in answer] if asked.verb.streams else answer
        finally:
            await archive.close()
