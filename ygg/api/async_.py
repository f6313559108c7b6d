"""The mission's /v1/async: one task at a time, within the queue's capacity."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ygg.api import bodies
from ygg.api.aside import aside
from ygg.api.behind import Behind
from ygg.api.callers import Caller
from ygg.api.overseeing import view_of
from ygg.api.pages import page
from ygg.api.place import place_of
from ygg.api.queries import Looking, page_of
from ygg.api.submits import doubts
from ygg.errors import YggError
from ygg.intake.checking import whole
from ygg.intake.sharing import cache_prefix
from ygg.intake.tasks import async_task
from ygg.model import Capacity, HostHealth, JsonDict, State


class AsyncFace:
    """Verbs on one task."""

    def __init__(self, behind: Behind) -> None:
        self._control, self._config, self._wall_ms, self._tasks = behind

    async def submit(self, doc: object, caller: Caller, key: str | None, size: int) -> JsonDict:
        """POST /v1/async/submit: take one task. `key`: of the header, instead of one in the document; `size`: of the body."""
        if key is not None and isinstance(doc, dict):
            doc = {**doc, "idempotency_key": key}
        config = self._config()
        now_ms, doc = self._wall_ms(), caller.with_priority(doc)
        new = await aside(
            size, async_task, doc, config, caller=caller.name, now_ms=now_ms, cache=True
        )
        caller.check_priority(new.priority)
        caller.spend(1)
        capacity = Capacity(config.policy.capacity, single=True)
        (answer,) = await self._control.submit([new], capacity=capacity)
        if isinstance(answer, YggError):
            raise answer
        task = answer.task
        counting = self._control.archive.counts()  # they are read together
        place, counts = await place_of(self._control, task), await counting
        return {
            "status": bodies.STATUS[task.state],
            "state": task.state,
            "task_id": task.id,
            "priority": task.priority.name,
            **bodies.shared_body(answer),
            **place,
            "queue_stats": bodies.counts_body(counts),
            **doubts(task, config),
        }

    async def result(self, task_id: str, query: Mapping[str, Any]) -> JsonDict:
        """GET /v1/async/result/{id}: the answer of an ended or blocked task. Its first read starts the shorter retention. With `wait` a long poll."""
        body = await self._tasks.result_of(await self._tasks.waited(task_id, query))
        if not isinstance(query, Looking):
            await self._control.touch_read(body["task_id"], self._config().policy.read_retention_s)
        return body

    async def cancel(self, task_id: str, query: Mapping[str, Any]) -> JsonDict:
        """DELETE /v1/async/cancel/{id}: cancel it, also a processing one, unless `running` is false."""
        task = await self._tasks.cancelled(task_id, query)
        return {
            "task_id": task.id,
            "status": bodies.STATUS[task.state],
            "state": task.state,
            "message": "Task cancelled successfully"
            if task.state is State.CANCELLED
            else "The call is being stopped",
        }

    async def tasks(self, query: Mapping[str, Any], caller: Caller) -> JsonDict:
        """GET /v1/async/tasks: a page, newest first."""
        return bodies.page_body(*await page(self._control.archive, page_of(query, caller.owner)))

    async def stats(self) -> JsonDict:
        """GET /v1/async/stats, with flat numbers for dashboards at the top level."""
        view = await view_of(self._control)
        queue = bodies.queue_body(view.counts)
        return {
            "timestamp": bodies.iso(self._wall_ms()),
            "queue": queue,
            "performance": bodies.performance_body(view),
            "cache": await self._cache(),
            "queue_depth": queue["queued"],
            "running": queue["processing"],
            "hosts_up": sum(h.health is HostHealth.UP for h in view.hosts),
            "hosts_total": len(view.hosts),
            "store_error": view.store_error,
        }

    async def _cache(self) -> JsonDict:
        """How many answers identical requests would get now."""
        config, now_ms = self._config(), self._wall_ms()
        ttl_s = config.policy.cache_ttl_s
        since_ms = now_ms - round(ttl_s * 1000)
        count = await self._control.archive.lent(cache_prefix(config), since_ms, now_ms)
        return {"cached_responses": count, "cache_ttl_seconds": whole(ttl_s)}
