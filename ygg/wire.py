"""The composition root, the only module that names concrete stores, backends and probes: everything else
meets them as ports. Imports are made where they are used: `ygg submit` loads only what it needs.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ygg import paths
from ygg.client import connect
from ygg.config import Config, load_found
from ygg.desk import Desk
from ygg.errors import ConfigError, NotFound
from ygg.model import Endpoint, Host

if TYPE_CHECKING:
    from ygg.api.server import Door
    from ygg.ports import Backend, Probe
    from ygg.probes.login import HostKey as HostKey
    from ygg.running.scope import Adapters, Scope
    from ygg.stores.sqlite import SqliteStore

KNOWN_HOSTS = "known_hosts"  #: in the state directory: host keys that `ygg hosts trust` wrote
Fatal = Callable[[BaseException], None] | None


def backend(endpoint: Endpoint, host: str) -> Backend:
    """The driver an endpoint names. Call inside the event loop that will use it."""
    match endpoint.backend:
        case "ollama":
            from ygg.backends.ollama import OllamaBackend

            return OllamaBackend(endpoint, host=host)
        case "openai":
            from ygg.backends.openai import OpenAIBackend

            return OpenAIBackend(endpoint, host=host)
        case other:
            raise ConfigError(f"host {host}: unknown backend {other!r}", hint="ollama or openai")


def adapters(known_hosts: Path | None = None, env: Mapping[str, str] = os.environ) -> Adapters:
    """What builds drivers and probes. `known_hosts`: ygg's own, by default in the state directory."""
    from ygg.running.scope import Adapters

    return Adapters(backend, lambda hosts: build_probes(hosts, known_hosts, env))


def build_probes(
    hosts: Iterable[Host], known_hosts: Path | None = None, env: Mapping[str, str] = os.environ
) -> dict[str, tuple[Probe, ...]]:
    """What takes readings of each host. Call inside the event loop that will use them."""
    from ygg.backends.ollama import LoadedModels
    from ygg.probes import building

    file = known_hosts or paths.state_dir(env) / KNOWN_HOSTS
    return {h.name: building.build(h, env, file, LoadedModels) for h in hosts}


def telemetry_source(host: Host) -> str:
    """Where the readings of a host come from: what `auto` means for it, else what is configured."""
    from ygg.probes import building

    return building.source_of(host)


async def host_key(host: Host, known_hosts: Path) -> HostKey:
    """The SSH host key that a host's machine shows now, and what is known of it. Raises ProbeFailed."""
    from ygg.probes import login

    return await login.host_key(login.login_of(host, os.environ, known_hosts))


def open_store(database: Path, config: Config, **how: Any) -> SqliteStore:
    """The durable queue at `database`; `how` as `sqlite.open_store` takes it. Raises a StoreError."""
    from ygg.stores import sqlite

    return sqlite.open_store(database, retention_s=config.policy.retention_s, **how)


@asynccontextmanager
async def running(
    config: Config,
    database: Path,
    *,
    on_fatal: Fatal = None,
    checked: bool = False,
    door: Door | None = None,
    env: Mapping[str, str] = os.environ,
) -> AsyncIterator[Scope]:
    """A started dispatcher over `database`; drains and closes everything on the way out. Its `door` is taken before
    anything is recovered. Raises StoreError, also when another process owns the database, and Unavailable as `Door`."""
    from ygg.running.scope import dispatching

    store = open_store(database, config, on_fatal=on_fatal, socket=door and door.path)
    try:
        if door is not None:
            door.take()
        build = adapters(database.parent / KNOWN_HOSTS, env)
        more: dict[str, Any] = {"database": database, "checked": checked, "on_fatal": on_fatal}
        async with dispatching(store, store, config, build, **more) as scope:
            yield scope
    finally:
        await store.close()


def tokens_hold(env: Mapping[str, str]) -> bool:
    """Whether the database has a token that lets somebody in. Raises a StoreError where that cannot be read."""
    from ygg.stores.sqlite import tokens

    return tokens.any_holds(paths.state_dir(env) / paths.DATABASE)


def offline_desk(config_path: str | None, *, write: bool) -> Desk:
    """A desk on the database, for when no daemon runs. Writing takes the lock; reading does not."""
    from ygg.api.offline import Offline, Opened
    from ygg.stores.memory import MemoryStore
    from ygg.stores.sqlite import open_archive

    config = load_found(config_path, os.environ)
    database = paths.state_dir(os.environ) / paths.DATABASE

    def opened() -> Opened:
        if write:
            return (store := open_store(database, config, dispatcher=False)), store
        try:
            return None, open_archive(database)
        except NotFound:
            return None, MemoryStore()  # nothing was ever submitted: there is nothing to read

    asked = (lambda: adapters().backends(config.hosts.values())), lambda: connect(None, os.environ)
    return Desk(Offline(config, database, opened, *asked))


async def ask(endpoint: Endpoint, path: str, timeout_s: float) -> tuple[int, str, dict[str, Any]]:
    """Status, Server header and JSON object of one small GET. Raises as `backends.http.ask`."""
    from ygg.backends.http import ask

    return await ask(endpoint, path, timeout_s)


def key_headers(endpoint: Endpoint) -> dict[str, str]:
    """What every request to an endpoint carries. ConfigError when its API key cannot be read."""
    from ygg.backends.http import authorization

    return dict(authorization(endpoint))
