"""The only module that names concrete stores and backends: everything else meets them as ports.

`running` is the nested scope of a dispatcher, used by the daemon, the demo and the benchmarks alike:
the store outside, the backends and the calls inside. Whatever ends it, calls end before the store closes.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from ygg.errors import ConfigError
from ygg.model import Endpoint, Host

if TYPE_CHECKING:
    from ygg.config import Config
    from ygg.desk import Desk
    from ygg.dispatcher import Dispatcher
    from ygg.ports import Backend, Backends
    from ygg.stores.sqlite import SqliteStore
    from ygg.stores.sqlite.reading import Progress as Progress
    from ygg.stores.sqlite.reading import StoreFacts as StoreFacts

DATABASE = "ygg.db"
T = TypeVar("T")


def run(main: Coroutine[Any, Any, T]) -> T:
    """asyncio.run, on uvloop where it is installed: a fifth less work per task."""
    try:
        from uvloop import new_event_loop
    except ImportError:
        return asyncio.run(main)
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        return runner.run(main)


def backend(endpoint: Endpoint, host: str) -> Backend:
    """The driver an endpoint names."""
    match endpoint.backend:
        case "ollama":
            from ygg.backends.ollama import OllamaBackend

            return OllamaBackend(endpoint, host=host)
        case "openai":
            from ygg.backends.openai import OpenAIBackend

            return OpenAIBackend(endpoint, host=host)
        case other:
            raise ConfigError(f"host {host}: unknown backend {other!r}", hint="ollama or openai")


def build_backends(hosts: Iterable[Host]) -> dict[tuple[str, str], Backend]:
    """One driver per endpoint. Call inside the event loop that will use them."""
    return {(h.name, e.name): backend(e, h.name) for h in hosts for e in h.endpoints}


async def close_backends(backends: Backends) -> None:
    await asyncio.gather(*(b.close() for b in backends.values()), return_exceptions=True)


def open_store(
    database: Path,
    config: Config,
    *,
    dispatcher: bool = True,
    on_fatal: Callable[[BaseException], None] | None = None,
) -> SqliteStore:
    """The durable queue at `database`. Raises a StoreError."""
    from ygg.stores import sqlite

    return sqlite.open_store(
        database,
        dispatcher=dispatcher,
        on_fatal=on_fatal,
        retention_s=config.policy.retention_s,
    )


@dataclass(slots=True)
class Scope:
    """A running dispatcher with what surrounds it."""

    dispatcher: Dispatcher
    config: Config
    hurry: asyncio.Event  #: set it to cut the drain short

    async def reload(self, config: Config) -> None:
        """Use another configuration from now on; calls under way keep their connections."""
        old = dict(self.dispatcher.backends)
        keep = {
            (h.name, e.name): old[h.name, e.name]
            for h in config.hosts.values()
            for e in h.endpoints
            if (h.name, e.name) in old and _unchanged(old[h.name, e.name].endpoint, e)
        }
        fresh = [
            (h, e)
            for h in config.hosts.values()
            for e in h.endpoints
            if (h.name, e.name) not in keep
        ]
        backends = keep | {(h.name, e.name): backend(e, h.name) for h, e in fresh}
        self.config = config
        self.dispatcher.queue.keep_for(config.policy.retention_s)
        self.dispatcher.own(tuple(config.hosts.values()), config.types, config.policy, backends)
        gone = {key: b for key, b in old.items() if b not in keep.values()}
        self.dispatcher.retire(gone)


def _unchanged(old: Endpoint, new: Endpoint) -> bool:
    """An endpoint with a key is built anew: the key may have been rotated in the same file."""
    return old == new and new.api_key_file is None


@asynccontextmanager
async def running(
    config: Config,
    database: Path,
    *,
    on_fatal: Callable[[BaseException], None] | None = None,
    checked: bool = False,
) -> AsyncIterator[Scope]:
    """A started dispatcher over `database`; drains and closes everything on the way out.

    Raises StoreError when the database cannot be opened or another process owns it.
    """
    from ygg.dispatcher import Dispatcher

    store = open_store(database, config, on_fatal=on_fatal)
    try:
        dispatcher = Dispatcher(store, store, checked=checked, on_fatal=on_fatal)
        backends = build_backends(config.hosts.values())
        hurry = asyncio.Event()
        try:
            hosts = tuple(config.hosts.values())
            await dispatcher.start(hosts, config.types, config.policy, backends)
            scope = Scope(dispatcher, config, hurry)
            try:
                yield scope
            finally:
                await dispatcher.drain(scope.config.policy.drain_s, hurry)
        finally:
            await close_backends(dispatcher.backends or backends)
    finally:
        await store.close()


def desk(*, socket: str | None, config: str | None, write: bool) -> Desk:
    """The running daemon, or with none the database itself (`write` takes its lock)."""
    import os

    from ygg.client import connect

    remote = connect(socket, os.environ)
    return remote if remote is not None else offline_desk(config, write=write)


def offline_desk(config_path: str | None, *, write: bool) -> Desk:
    """A desk on the database, for when no daemon runs. Writing takes the lock; reading does not."""
    import os

    from ygg import paths
    from ygg.api.offline import OfflineDesk, Opened
    from ygg.config import load_found
    from ygg.stores.sqlite import open_archive

    config = load_found(config_path, os.environ)
    database = paths.state_dir(os.environ) / DATABASE

    def opened() -> Opened:
        if write:
            store = open_store(database, config, dispatcher=False)
            return store, store
        if not database.exists():
            from ygg.stores.memory import MemoryStore

            return None, MemoryStore()  # nothing was ever submitted: there is nothing to read
        return None, open_archive(database)

    return OfflineDesk(config, database, opened, lambda: build_backends(config.hosts.values()))


# --- what doctor, init and backup ask ---------------------------------------------------------------


def sqlite_version() -> str:
    """Of the SQLite that ygg runs on."""
    import apsw

    return apsw.sqlite_lib_version()


def store_facts(database: Path) -> StoreFacts:
    """What the database tells about itself, read-only. Raises NotFound, StoreError."""
    from ygg.stores.sqlite import reading

    return reading.facts(database)


def quick_check(database: Path, limit_s: float) -> str | None:
    """`ok`, what is damaged, or None when there was no time. Raises NotFound, StoreError."""
    from ygg.stores.sqlite import reading

    return reading.quick_check(database, limit_s)


def copy_database(database: Path, target: Path, progress: Progress) -> int:
    """A checked copy in the empty file `target`; its number of tasks. Raises as `reading.copy`."""
    from ygg.stores.sqlite import reading

    return reading.copy(database, target, progress)


async def ask(endpoint: Endpoint, path: str, timeout_s: float) -> tuple[int, str, dict[str, Any]]:
    """Status, Server header and JSON object ({} for anything else) of one small GET.

    Raises CallFailed without an answer, ConfigError when the API key cannot be read.
    """
    from ygg.backends.http import Http

    http = Http(endpoint, reuse=False)
    try:
        got = await http.get(path, timeout_s)
    finally:
        await http.close()
    return got.status, got.server, got.data


def key_headers(endpoint: Endpoint) -> dict[str, str]:
    """What every request to an endpoint carries. ConfigError when its API key cannot be read."""
    from ygg.backends.http import authorization

    return dict(authorization(endpoint))


def same_model(one: str, other: str) -> bool:
    """Whether two names mean one model to llama.cpp."""
    from ygg.backends import openai

    return openai.same_model(one, other)
