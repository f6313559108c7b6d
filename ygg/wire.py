"""The only module that names concrete stores and backends: everything else meets them as ports.

`running` is the nested scope of a dispatcher, used by the daemon, the demo and the benchmarks alike:
the store outside, the backends and the calls inside. Whatever ends it, calls end before the store closes.
"""

from __future__ import annotations

import asyncio
import os
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
    from ygg.ports import Backend, Backends, Probe, Probes
    from ygg.probes.login import HostKey as HostKey
    from ygg.stores.sqlite import SqliteStore
    from ygg.stores.sqlite.reading import Progress as Progress
    from ygg.stores.sqlite.reading import StoreFacts as StoreFacts

DATABASE = "ygg.db"
KNOWN_HOSTS = "known_hosts"  #: in the state directory: host keys that `ygg hosts trust` wrote
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


def build_probes(
    hosts: Iterable[Host], known_hosts: Path | None = None
) -> dict[str, tuple[Probe, ...]]:
    """What takes readings of each host. Call inside the event loop that will use them. `known_hosts`:
    ygg's own file, by default that of the state directory."""
    from ygg import paths
    from ygg.probes import building

    file = known_hosts or paths.state_dir(os.environ) / KNOWN_HOSTS
    return {h.name: building.build(h, os.environ, file, _OllamaServer) for h in hosts}


def telemetry_source(host: Host) -> str:
    """Where the readings of a host come from: what `auto` means for it, else what is configured."""
    from ygg.probes import building

    return building.source_of(host)


async def host_key(host: Host, known_hosts: Path) -> HostKey:
    """The SSH host key that a host's machine shows now, and what is known of it. `known_hosts`: ygg's own
    file. Raises ProbeFailed."""
    from ygg.probes import login

    return await login.host_key(login.login_of(host, os.environ, known_hosts))


async def close_probes(probes: Probes) -> None:
    """All at once; none waits for a driver or a machine that hangs."""
    every = (probe for of_host in probes.values() for probe in of_host)
    await asyncio.gather(*(probe.close() for probe in every), return_exceptions=True)


class _OllamaServer:
    """What the probe of loaded models asks."""

    def __init__(self, endpoint: Endpoint) -> None:
        from ygg.backends.http import Http

        self._endpoint, self._http = endpoint, Http(endpoint)

    async def loaded(self, limit_s: float) -> tuple[str, ...] | None:
        from ygg.backends.ollama import loaded_models

        return await loaded_models(self._http, self._endpoint, limit_s)

    async def close(self) -> None:
        await self._http.close()


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
    known_hosts: Path | None = None

    async def reload(self, config: Config) -> None:
        """Use another configuration from now on; calls under way keep their connections, and hosts that
        stay as they are their probes."""
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
        probes, unused = self._probes(config)
        self.config = config
        self.dispatcher.queue.keep_for(config.policy.retention_s)
        hosts = tuple(config.hosts.values())
        self.dispatcher.own(hosts, config.types, config.policy, backends, probes)
        gone = {key: b for key, b in old.items() if b not in keep.values()}
        self.dispatcher.retire(gone)
        await close_probes(unused)

    def _probes(self, config: Config) -> tuple[Probes, Probes]:
        """The probes of another configuration, and those of this one that it does not use."""
        old, before = self.dispatcher.probes, self.config.hosts
        stay = {n for n, h in config.hosts.items() if n in before and _reads_alike(before[n], h)}
        changed = [h for n, h in config.hosts.items() if n not in stay]
        kept = {n: probes for n, probes in old.items() if n in stay}
        unused = {n: probes for n, probes in old.items() if n not in stay}
        return kept | build_probes(changed, self.known_hosts), unused


def _reads_alike(old: Host, new: Host) -> bool:
    """Whether the probes of a host may stay."""
    same = (old.kind, old.telemetry, old.endpoints) == (new.kind, new.telemetry, new.endpoints)
    return same and all(e.api_key_file is None for e in new.endpoints)


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
        known_hosts = database.parent / KNOWN_HOSTS
        probes = build_probes(config.hosts.values(), known_hosts)
        hurry = asyncio.Event()
        try:
            hosts = tuple(config.hosts.values())
            await dispatcher.start(hosts, config.types, config.policy, backends, probes)
            scope = Scope(dispatcher, config, hurry, known_hosts)
            try:
                yield scope
            finally:
                await dispatcher.drain(scope.config.policy.drain_s, hurry)
        finally:
            await close_probes(dispatcher.probes or probes)
            await close_backends(dispatcher.backends or backends)
    finally:
        await store.close()


def desk(*, socket: str | None, config: str | None, write: bool) -> Desk:
    """The running daemon, or with none the database itself (`write` takes its lock)."""
    from ygg.client import connect

    remote = connect(socket, os.environ)
    return remote if remote is not None else offline_desk(config, write=write)


def offline_desk(config_path: str | None, *, write: bool) -> Desk:
    """A desk on the database, for when no daemon runs. Writing takes the lock; reading does not."""
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
