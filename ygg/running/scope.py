"""A dispatcher with the drivers and probes it uses: started, given another configuration, drained, closed.

Whatever ends it, calls end before their connections close; the store is closed by whoever opened it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from ygg.config import Config
from ygg.model import Endpoint, Host
from ygg.ports import Archive, Backend, Backends, Probe, Probes, Queue
from ygg.running.dispatcher import Dispatcher
from ygg.uploads import Uploads


@dataclass(frozen=True, slots=True)
class Adapters:
    """What builds the driver of an endpoint of a host, and the probes of hosts. Called inside the event
    loop that will use them."""

    backend: Callable[[Endpoint, str], Backend]
    probes: Callable[[Iterable[Host]], dict[str, tuple[Probe, ...]]]

    def backends(self, hosts: Iterable[Host]) -> dict[tuple[str, str], Backend]:
        """One driver per endpoint."""
        return {(h.name, e.name): self.backend(e, h.name) for h in hosts for e in h.endpoints}


@dataclass(slots=True)
class Scope:
    """A running dispatcher with what surrounds it."""

    dispatcher: Dispatcher
    config: Config
    adapters: Adapters
    hurry: asyncio.Event  #: set it to cut the drain short

    async def reload(self, config: Config) -> None:
        """Use another configuration from now on; calls under way keep their connections, and hosts that
        stay as they are their probes."""
        old = dict(self.dispatcher.backends)
        backends = self._backends(config, old)
        probes, unused = self._probes(config)
        self.config = config
        self.dispatcher.loop.queue.keep_for(config.policy.retention_s)
        hosts = tuple(config.hosts.values())
        self.dispatcher.own(hosts, config.types, config.policy, backends, probes)
        stay = backends.values()
        self.dispatcher.retire({key: b for key, b in old.items() if b not in stay})
        await close_probes(unused)

    def _backends(self, config: Config, old: Backends) -> Backends:
        """The drivers of another configuration, those of unchanged endpoints as they are."""

        def driver(host: str, endpoint: Endpoint) -> Backend:
            now = old.get((host, endpoint.name))
            if now is not None and _unchanged(now.endpoint, endpoint):
                return now
            return self.adapters.backend(endpoint, host)

        hosts = config.hosts.values()
        return {(h.name, e.name): driver(h.name, e) for h in hosts for e in h.endpoints}

    def _probes(self, config: Config) -> tuple[Probes, Probes]:
        """The probes of another configuration, and those of this one that it does not use."""
        old, before = self.dispatcher.probes, self.config.hosts
        stay = {n for n, h in config.hosts.items() if n in before and _reads_alike(before[n], h)}
        changed = [h for n, h in config.hosts.items() if n not in stay]
        kept = {n: probes for n, probes in old.items() if n in stay}
        unused = {n: probes for n, probes in old.items() if n not in stay}
        return kept | self.adapters.probes(changed), unused


def _reads_alike(old: Host, new: Host) -> bool:
    """Whether the probes of a host may stay."""
    same = (old.kind, old.telemetry, old.endpoints) == (new.kind, new.telemetry, new.endpoints)
    return same and all(e.api_key_file is None for e in new.endpoints)


def _unchanged(old: Endpoint, new: Endpoint) -> bool:
    """An endpoint with a key is built anew: the key may have been rotated in the same file."""
    return old == new and new.api_key_file is None


@asynccontextmanager
async def dispatching(
    queue: Queue,
    archive: Archive,
    config: Config,
    adapters: Adapters,
    *,
    database: Path | None = None,
    checked: bool = False,
    on_fatal: Callable[[BaseException], None] | None = None,
) -> AsyncIterator[Scope]:
    """A started dispatcher over a store; drains and closes all but the store on the way out. `database`: beside which
    files of tasks are, None for nowhere."""
    uploads = None if database is None else Uploads(database)
    dispatcher = Dispatcher(queue, archive, uploads=uploads, checked=checked, on_fatal=on_fatal)
    hosts = tuple(config.hosts.values())
    backends, probes = adapters.backends(hosts), adapters.probes(hosts)
    scope = Scope(dispatcher, config, adapters, asyncio.Event())
    try:
        await dispatcher.start(hosts, config.types, config.policy, backends, probes)
        try:
            yield scope
        finally:
            await dispatcher.drain(scope.config.policy.drain_s, scope.hurry)
    finally:
        await close_probes(dispatcher.probes or probes)
        await close_backends(dispatcher.backends or backends)


async def close_backends(backends: Backends) -> None:
    await asyncio.gather(*(b.close() for b in backends.values()), return_exceptions=True)


async def close_probes(probes: Probes) -> None:
    """All at once; none waits for a driver or a machine that hangs."""
    every = (probe for of_host in probes.values() for probe in of_host)
    await asyncio.gather(*(probe.close() for probe in every), return_exceptions=True)
