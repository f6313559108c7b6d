"""The verbs on hosts and on the queue as a whole: what there is, and what a person stops and resumes."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any

from ygg import __version__
from ygg.api import bodies
from ygg.api.callers import LOCAL, Caller
from ygg.api.host_bodies import host_body
from ygg.api.queries import probing
from ygg.api.workers import workers_body
from ygg.config import Config
from ygg.errors import Unavailable, known_host
from ygg.model import JsonDict, Snapshot
from ygg.model.transfer import to_plain
from ygg.ports import Control

NOBODY = "no daemon is running"
ENDS_SHOWN = 60  #: recent ends that a live view gets


async def view_of(control: Control) -> Snapshot:
    """What is known now; without a dispatcher what the store and the configuration say. An answer reads all its figures
    from here: they are of one moment."""
    return await control.view() or await control.check_hosts(())


class Overseeing:
    """Over one Control. `about`: what the daemon tells of itself in the status (`store`,
    `socket`, `stalls`). `reload`: None where nothing can be read again."""

    def __init__(
        self,
        control: Control,
        config: Callable[[], Config],
        about: JsonDict,
        reload: Callable[[], Awaitable[list[str]]] | None,
    ) -> None:
        self._control, self._config, self._about = control, config, about
        self._reload = reload

    # --- hosts ---------------------------------------------------------------------------------

    async def hosts(self, caller: Caller) -> JsonDict:
        """GET /v1/hosts: every host as it is known, asking none."""
        view = await view_of(self._control)
        return {"schema": "ygg.hosts/1", "hosts": self._host_bodies(view, caller)}

    async def workers(self) -> JsonDict:
        """GET /api/v1/status/workers: hosts that are up as workers, and the queues they serve."""
        return workers_body(self._there(await self._control.view()))

    async def probe(self, host: str) -> JsonDict:
        """POST /v1/hosts/{host}/probe: ask it now. NotFound for a host that is not configured."""
        known_host(host, self._config().hosts)
        found = self._host_bodies(await self._control.check_hosts((host,)), LOCAL)
        return next(body for body in found if body["name"] == host)

    async def drain_host(self, host: str) -> JsonDict:
        """POST /v1/hosts/{host}/drain. NotFound for a host that is not configured."""
        await self._control.drain_host(host, True)
        return {"host": host, "drained": True}

    async def resume_host(self, host: str) -> JsonDict:
        """POST /v1/hosts/{host}/resume. NotFound for a host that is not configured."""
        await self._control.drain_host(host, False)
        return {"host": host, "drained": False}

    def _host_bodies(self, view: Snapshot, caller: Caller) -> list[JsonDict]:
        """Which tasks run there is told who sees everybody's."""
        known = self._config().hosts
        told = [host_body(h, known.get(h.name), view.at_ms) for h in view.hosts]
        return told if caller.owner is None else [body | {"tasks": None} for body in told]

    # --- the queue -----------------------------------------------------------------------------

    async def queue(self) -> JsonDict:
        """GET /v1/queue: tasks by priority and state, and whether any will start."""
        view = await view_of(self._control)
        return {
            "schema": "ygg.queue/1",
            "paused": view.paused,
            "draining": view.draining,
            "store_error": view.store_error,
            **bodies.queue_body(view.counts),
            "priorities": bodies.priorities_body(view.counts),
        }

    async def pause(self) -> JsonDict:
        """POST /v1/queue/pause."""
        await self._control.pause(True)
        return {"paused": True}

    async def resume(self) -> JsonDict:
        """POST /v1/queue/resume."""
        await self._control.pause(False)
        return {"paused": False}

    # --- the whole -----------------------------------------------------------------------------

    async def status(self, query: Mapping[str, Any], caller: Caller) -> JsonDict:
        """GET /v1/status: daemon, hosts and queue; `probe` asks every host first."""
        probe = probing(query)
        view = await (self._control.check_hosts() if probe else view_of(self._control))
        return {
            "schema": "ygg.status/1",
            "daemon": self._daemon(view) if view.epoch else None,
            "hosts": self._host_bodies(view, caller),
            "queue": bodies.queue_body(view.counts),
        }

    def _daemon(self, view: Snapshot) -> JsonDict:
        return {
            "version": __version__,
            "pid": os.getpid(),
            "uptime_s": (view.at_ms - view.started_ms) // 1000,
            "epoch": view.epoch,
            "paused": view.paused,
            "draining": view.draining,
            "stale_ends": view.stale_ends,
            "store_error": view.store_error,
            "config_error": view.config_error,
            "exposed": view.exposed,
            "notify_error": view.notify_error,
            "store": None,
            "socket": None,
            "listen": [],
            "stalls": None,
            **self._about,
        }

    async def reload(self) -> JsonDict:
        """POST /v1/reload: hosts.yaml is read again. ConfigError when it is wrong: the one of before stays in force."""
        if self._reload is None:
            what = "the legacy loop reads hosts.yaml when it starts" if self._about else NOBODY
            raise Unavailable(what, hint="ygg loop --async")
        return {"schema": "ygg.reload/1", "changes": await self._reload()}

    async def snapshot(self) -> JsonDict:
        """GET /v1/snapshot: what `ygg top` draws."""
        view = self._there(await self._control.view())
        shown = replace(view, recent=view.recent[-ENDS_SHOWN:])
        return {"schema": "ygg.snapshot/1", "version": __version__, "snapshot": to_plain(shown)}

    def _there(self, view: Snapshot | None) -> Snapshot:
        if view is None:
            what = "the legacy loop has no live view" if self._about else NOBODY
            raise Unavailable(what, hint="ygg loop --async")
        return view
