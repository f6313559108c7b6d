"""What each verb of the API answers, as plain dictionaries.

No FastAPI here: the HTTP app and the offline desk call the same handlers over a `Control`, so that a
command says the same with a daemon and without one.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from typing import TYPE_CHECKING, Any

from ygg import __version__
from ygg.api import bodies
from ygg.api.intake import async_task, new_task
from ygg.api.schemas import BulkSubmit, NewPriority, Retry, parse
from ygg.errors import Conflict, InvalidInput, YggError
from ygg.model import FINAL, JsonDict, NewTask, Priority, RunningView, State, Submitted, Task
from ygg.ports import AttemptStarted, Control, Filter, Piece

if TYPE_CHECKING:
    from ygg.config import Config

EXACT = 1000  #: positions in the queue are counted to here, then given as a bound
WAIT_MAX_S = 60.0  #: one long poll
RETRY_PAGE = 10_000

_WAITING = (State.QUEUED, State.SCHEDULED)


class Handlers:
    """The verbs over one Control. `config` is asked anew each time: it may be reloaded."""

    def __init__(
        self, control: Control, config: Callable[[], Config], *, about: JsonDict | None = None
    ) -> None:
        self._control, self._config = control, config
        self._about = about or {}

    # --- submit --------------------------------------------------------------------------------

    async def async_submit(self, doc: object, *, caller: str, key: str | None = None) -> JsonDict:
        """POST /v1/async/submit: one task, within the queue's capacity."""
        if key is not None and isinstance(doc, dict):
            doc = {**doc, "idempotency_key": key}
        config = self._config()
        new = async_task(_object(doc), config, caller=caller)
        (answer,) = await self._control.submit([new], capacity=config.policy.capacity)
        if isinstance(answer, YggError):
            raise answer
        task = answer.task
        counts = await self._control.archive.counts()
        return {
            "status": bodies.STATUS[task.state],
            "state": task.state,
            "task_id": task.id,
            "priority": task.priority.name,
            **await self._place(task),
            "queue_stats": bodies.counts_body(counts),
        }

    async def submit(self, doc: object, *, caller: str) -> JsonDict:
        """POST /v1/tasks: many documents; an answer or an error for each, in order."""
        bulk = parse(BulkSubmit, {**_object(doc), "tasks": []})
        docs = _object(doc).get("tasks")
        if not isinstance(docs, list) or len(docs) > RETRY_PAGE:
            raise InvalidInput(f"tasks: expected a list of at most {RETRY_PAGE} documents")
        checked = [self._checked(d, caller) for d in docs]
        good = [c for c in checked if isinstance(c, NewTask)]
        if bulk.atomic and len(good) < len(checked):
            return {"tasks": [_refused(c) for c in checked]}
        stored = iter(await self._control.submit(good, atomic=bulk.atomic) if good else ())
        answers = [next(stored) if isinstance(c, NewTask) else c for c in checked]
        return {"tasks": [_submitted(a) for a in answers]}

    def _checked(self, doc: object, caller: str) -> NewTask | YggError:
        try:
            return new_task(_object(doc), self._config(), caller=caller)
        except YggError as error:
            return error

    # --- one task ------------------------------------------------------------------------------

    async def async_status(self, task_id: str) -> JsonDict:
        """GET /v1/async/status/{id}."""
        task = await self._control.archive.get(task_id)
        result = await self._control.archive.result(task.id) if task.state in FINAL else None
        running = self._running(task)
        backend = result.backend if result else running.backend if running else None
        body = bodies.status_body(task, _progress(running), backend)
        return body | await self._place(task)

    async def async_result(self, task_id: str) -> JsonDict:
        """GET /v1/async/result/{id}; EndMissing (409) with the status body before the end."""
        task = await self._control.archive.get(task_id)
        if task.state not in FINAL and task.state is not State.BLOCKED:
            raise NotEnded(task.id, await self.async_status(task.id))
        result = await self._control.archive.result(task.id)
        return bodies.result_body(task, result)

    async def async_cancel(self, task_id: str, *, running: bool) -> JsonDict:
        """DELETE /v1/async/cancel/{id}."""
        task = await self._cancelled(task_id, running)
        return {
            "task_id": task.id,
            "status": bodies.STATUS[task.state],
            "state": task.state,
            "message": "Task cancelled successfully"
            if task.state is State.CANCELLED
            else "The call is being stopped",
        }

    async def _cancelled(self, task_id: str, running: bool) -> Task:
        task = await self._control.archive.get(task_id)
        task = await self._control.cancel(task.id, running=running)
        if task.state in FINAL and task.state is not State.CANCELLED:
            raise Conflict(f"task {task.id} ended before it could be cancelled: {task.state}")
        return task

    async def cancel(self, task_id: str, *, running: bool) -> JsonDict:
        return bodies.task_body(await self._cancelled(task_id, running))

    async def show(self, task_id: str) -> JsonDict:
        """GET /v1/tasks/{id}: everything of a task but its result."""
        task = await self._control.archive.get(task_id)
        log = await self._control.archive.log(task.id)
        return {
            "schema": "ygg.task/1",
            **bodies.task_body(task),
            "request": task.request,
            "log": [bodies.log_body(row) for row in log],
            "reasons": [bodies.reason_body(r) for r in self._control.explain(task)],
        }

    async def wait(self, task_id: str, timeout_s: float) -> JsonDict:
        """GET /v1/tasks/{id}/wait: long poll; the task as it is after `timeout_s` at the latest."""
        task = await self._control.archive.get(task_id)
        return bodies.task_body(
            await self._control.wait_end(task.id, min(max(timeout_s, 0.0), WAIT_MAX_S))
        )

    async def follow(self, task_id: str) -> AsyncIterator[JsonDict]:
        """GET /v1/tasks/{id}/follow: what is streamed, then the ended task."""
        task = await self._control.archive.get(task_id)
        async for item in self._control.follow(task.id):
            match item:
                case AttemptStarted(attempt, host, model):
                    yield {"event": "attempt", "attempt": attempt, "host": host, "model": model}
                case Piece(content, thinking):
                    yield {"event": "piece", "content": content, "thinking": thinking}
                case Task():
                    yield {"event": "end", **bodies.task_body(item)}

    async def why(self, task_id: str) -> JsonDict:
        """GET /v1/tasks/{id}/why."""
        task = await self._control.archive.get(task_id)
        place = await self._place(task)
        return {
            "schema": "ygg.why/1",
            "id": task.id,
            "state": task.state,
            "position": place["position_in_queue"] or None,
            "position_is_bound": place["position_is_bound"],
            "estimated_wait_ms": place["estimated_wait_ms"],
            "reasons": [bodies.reason_body(r) for r in self._control.explain(task)],
        }

    async def prioritize(self, task_id: str, doc: object) -> JsonDict:
        wanted = parse(NewPriority, doc)
        task = await self._control.archive.get(task_id)
        return bodies.task_body(await self._control.prioritize(task.id, Priority(wanted.priority)))

    # --- many tasks ----------------------------------------------------------------------------

    async def tasks(self, query: Mapping[str, Any]) -> JsonDict:
        """GET /v1/tasks: newest first, or in queue order."""
        found = await self._control.archive.find(_filter(query))
        return {"schema": "ygg.tasks/1", "tasks": [bodies.task_body(t) for t in found]}

    async def retry(self, doc: object) -> JsonDict:
        """POST /v1/tasks/retry."""
        wanted = parse(Retry, doc)
        if (wanted.ids is None) == (wanted.states is None):
            raise InvalidInput("expected either ids or states")
        errors: list[JsonDict] = []
        ids = await self._retry_ids(wanted, errors)
        answers = await self._control.retry(ids)
        retried = [a.id for a in answers if isinstance(a, Task)]
        errors += [
            {"id": i, **bodies.error_body(a)}
            for i, a in zip(ids, answers, strict=True)
            if isinstance(a, YggError)
        ]
        return {"retried": retried, "errors": errors}

    async def _retry_ids(self, wanted: Retry, errors: list[JsonDict]) -> list[str]:
        if wanted.states is not None:
            states = tuple(State(s) for s in wanted.states)
            found = await self._control.archive.find(Filter(states=states, limit=RETRY_PAGE))
            return [t.id for t in reversed(found)]
        ids = []
        for given in wanted.ids or ():
            try:
                ids.append((await self._control.archive.get(given)).id)
            except YggError as error:
                errors.append({"id": given, **bodies.error_body(error)})
        return ids

    # --- the whole -----------------------------------------------------------------------------

    async def stats(self) -> JsonDict:
        """GET /v1/async/stats, with flat numbers for dashboards at the top level."""
        counts = await self._control.archive.counts()
        view = self._control.snapshot()
        queue = bodies.counts_body(counts)
        by_priority = bodies.queue_body(counts)["by_priority"]
        hosts = view.hosts if view else ()
        return {
            "timestamp": bodies.iso(view.at_ms) if view else None,
            "queue": {**queue, "by_priority": by_priority},
            "performance": bodies.performance_body(view),
            "cache": {
                "cached_responses": 0,
                "cache_ttl_seconds": int(self._config().policy.read_retention_s),
            },
            "queue_depth": queue["queued"],
            "running": queue["processing"],
            "hosts_up": sum(h.health == "up" for h in hosts),
            "hosts_total": len(hosts),
        }

    async def status(self, *, probe: bool) -> JsonDict:
        """GET /v1/status: daemon, hosts and queue; `probe` asks every host first."""
        view = await self._control.check_hosts() if probe else self._control.snapshot()
        counts = await self._control.archive.counts()
        daemon = None
        if view is not None and view.epoch:
            daemon = {
                "version": __version__,
                "uptime_s": (view.at_ms - view.started_ms) // 1000,
                "epoch": view.epoch,
                "paused": view.paused,
                "draining": view.draining,
                "stale_ends": view.stale_ends,
                "store_error": view.store_error,
                **self._about,
            }
        return {
            "schema": "ygg.status/1",
            "daemon": daemon,
            "hosts": [bodies.host_body(h) for h in (view.hosts if view else ())],
            "queue": bodies.queue_body(counts),
        }

    async def pause(self, paused: bool) -> JsonDict:
        await self._control.pause(paused)
        return {"paused": paused}

    async def drain_host(self, host: str, drained: bool) -> JsonDict:
        await self._control.drain_host(host, drained)
        return {"host": host, "drained": drained}

    async def read_result(self, task_id: str) -> JsonDict:
        """The result for a client over HTTP: its first read starts the shorter retention."""
        body = await self.async_result(task_id)
        await self._control.touch_read(body["task_id"], self._config().policy.read_retention_s)
        return body

    # --- helpers -------------------------------------------------------------------------------

    def _running(self, task: Task) -> RunningView | None:
        view = self._control.snapshot() if task.state is State.PROCESSING else None
        return next((r for r in view.running if r.task_id == task.id), None) if view else None

    async def _place(self, task: Task) -> JsonDict:
        """position_in_queue and estimated_wait_ms; 0 and null when the task does not wait."""
        if task.state is not State.QUEUED:
            return {"position_in_queue": 0, "position_is_bound": False, "estimated_wait_ms": None}
        lanes = self._control.rivals(task.lane)
        ahead = await self._control.archive.ahead(task, lanes, EXACT)
        return {
            "position_in_queue": min(ahead + 1, EXACT),
            "position_is_bound": ahead >= EXACT,
            "estimated_wait_ms": self._control.wait_estimate_ms(task, ahead),
        }


class NotEnded(Conflict):
    """The result was asked for before the end; `body` is the status instead."""

    def __init__(self, task_id: str, body: JsonDict) -> None:
        super().__init__(
            f"task {task_id} has not ended: {body['state']}", hint=f"ygg wait {task_id}"
        )
        self.body = body


def _object(doc: object) -> JsonDict:
    if not isinstance(doc, dict):
        raise InvalidInput("expected a JSON object")
    return doc


def _submitted(answer: Submitted | YggError) -> JsonDict:
    if isinstance(answer, YggError):
        return bodies.error_body(answer)
    return {**bodies.task_body(answer.task), "existing": answer.existing}


def _refused(checked: NewTask | YggError) -> JsonDict:
    if isinstance(checked, YggError):
        return bodies.error_body(checked)
    return bodies.error_body(Conflict("not stored: another task of this submit was refused"))


def _progress(running: RunningView | None) -> int | None:
    """Pieces streamed of the most allowed; null when no limit was asked for."""
    if running is None or running.max_tokens is None:
        return None
    return min(99, running.tokens * 100 // running.max_tokens)


def _filter(query: Mapping[str, Any]) -> Filter:
    try:
        states = tuple(State(s) for s in _listed(query.get("state")))
        priority = query.get("priority")
        limit = int(query.get("limit") or 50)
        return Filter(
            states=states,
            type=query.get("type"),
            priority=None if priority is None else _priority(priority),
            host=query.get("host"),
            label=query.get("label"),
            batch=query.get("batch"),
            limit=max(1, min(limit, RETRY_PAGE)),
            queue_order=query.get("order") == "queue",
        )
    except ValueError as error:
        raise InvalidInput(str(error), hint=f"states: {', '.join(State)}") from None


def _listed(value: str | list[str] | None) -> list[str]:
    if value is None:
        return []
    return [value] if isinstance(value, str) else value


def _priority(value: object) -> Priority:
    return Priority(parse(NewPriority, {"priority": value}).priority)
