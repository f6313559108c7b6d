"""The verbs on hosts and on the queue as a whole."""

from __future__ import annotations

from ygg.api import bodies
from ygg.api.submits import Submits
from ygg.api.workers import workers_body
from ygg.errors import Unavailable, known_host
from ygg.model import JsonDict, Snapshot


class Overseeing(Submits):
    """What there is, and what a person stops and resumes."""

    async def _view(self) -> Snapshot | None:
        """What is known now; without a dispatcher what the store and the configuration say."""
        return self._control.snapshot() or await self._control.check_hosts(())

    def _host_bodies(self, view: Snapshot | None) -> list[JsonDict]:
        known = self._config().hosts
        return [bodies.host_body(h, known.get(h.name)) for h in (view.hosts if view else ())]

    async def hosts(self) -> JsonDict:
        """GET /v1/hosts: every host as it is known, asking none."""
        return {"schema": "ygg.hosts/1", "hosts": self._host_bodies(await self._view())}

    async def workers(self) -> JsonDict:
        """GET /api/v1/status/workers: hosts that are up as workers, and the queues they serve."""
        view = self._control.snapshot()
        if view is None:
            raise Unavailable("no daemon is running", hint="ygg loop --async")
        return workers_body(view)

    async def probe(self, host: str) -> JsonDict:
        """POST /v1/hosts/{host}/probe: ask it now. NotFound for a host that is not configured."""
        known_host(host, self._config().hosts)
        found = self._host_bodies(await self._control.check_hosts((host,)))
        return next(body for body in found if body["name"] == host)

    async def probe_all(self) -> JsonDict:
        """Ask every host now, all at once."""
        view = await self._control.check_hosts()
        return {"schema": "ygg.hosts/1", "hosts": self._host_bodies(view)}

    async def drain_host(self, host: str, drained: bool) -> JsonDict:
        """POST /v1/hosts/{host}/drain and /resume. NotFound for a host that is not configured."""
        await self._control.drain_host(host, drained)
        return {"host": host, "drained": drained}

    async def queue(self) -> JsonDict:
        """GET /v1/queue: tasks by priority and state, and whether any will start."""
        view = await self._view()
        counts = await self._control.archive.counts()
        return {
            "schema": "ygg.queue/1",
            "paused": bool(view and view.paused),
            "draining": bool(view and view.draining),
            **bodies.queue_body(counts),
            "priorities": bodies.priorities_body(counts),
        }

    async def pause(self, paused: bool) -> JsonDict:
        """POST /v1/queue/pause and /resume."""
        await self._control.pause(paused)
        return {"paused": paused}
