"""The verbs on tasks that are there: look at one, wait for it, change it; list many, put many back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Any

from ygg.api import bodies
from ygg.api.callers import Caller, seen
from ygg.api.documents import CancelMany, NewPriority, Retry
from ygg.api.place import place_of
from ygg.api.queries import also_running, filter_of, poll_s, wait_s
from ygg.config import Config
from ygg.errors import Conflict, InvalidInput, NotFound, YggError
from ygg.intake.checking import parse
from ygg.model import FINAL, JsonDict, Priority, RunningView, State, Task
from ygg.ports import AttemptStarted, Control, Filter, Piece

PAGE = 10_000  #: tasks read at once for a verb over all of a state
AT_ONCE = 100  #: cancels on their way at once
OPEN = (State.SCHEDULED, State.QUEUED, State.PROCESSING, State.BLOCKED)  #: what can be cancelled


class Tasks:
    """Over one Control. `config` is asked anew each time: it may be reloaded. Every id may be the end of one; NotFound when it fits no task."""

    def __init__(self, control: Control, config: Callable[[], Config]) -> None:
        self._control, self._config = control, config

    # --- one -----------------------------------------------------------------------------------

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

    async def status(self, task_id: str, query: Mapping[str, Any]) -> JsonDict:
        """GET /v1/async/status/{id}: how far a task is. With `wait` a long poll, as `wait` below."""
        return await self._status(await self.waited(task_id, query))

    async def waited(self, task_id: str, query: Mapping[str, Any]) -> Task:
        """The task; one that has not ended is waited for as long as `wait` of the query says."""
        wait = poll_s(query)
        task = await self._control.archive.get(task_id)
        return await self._control.wait_end(task.id, wait) if wait else task

    async def _status(self, task: Task) -> JsonDict:
        result = await self._control.archive.result(task.id) if task.state in FINAL else None
        running = self._running(task)
        told = result or running
        backend = told.backend if told else self._backend(task)
        body = bodies.status_body(task, running.progress if running else None, backend)
        return body | await place_of(self._control, task)

    async def result(self, task_id: str) -> JsonDict:
        """GET /v1/tasks/{id}/result."""
        return await self.result_of(await self._control.archive.get(task_id))

    async def result_of(self, task: Task) -> JsonDict:
        """NotEnded (409) with the status body before the end."""
        if task.state not in FINAL and task.state is not State.BLOCKED:
            raise NotEnded(task.id, await self._status(task))
        result = await self._control.archive.result(task.id)
        return bodies.result_body(task, result)

    async def wait(self, task_id: str, query: Mapping[str, Any]) -> JsonDict:
        """GET /v1/tasks/{id}/wait: long poll; the task as it is after `timeout` at the latest."""
        timeout_s = wait_s(query)
        task = await self._control.archive.get(task_id)
        return bodies.task_body(await self._control.wait_end(task.id, timeout_s))

    async def follow(self, task_id: str) -> AsyncGenerator[JsonDict, None]:
        """GET /v1/tasks/{id}/follow: what is streamed, then the ended task. NotFound comes before the
        first event, a later error is the last one."""
        task = await self._control.archive.get(task_id)
        return self._events(task.id)

    async def _events(self, task_id: str) -> AsyncGenerator[JsonDict, None]:
        try:
            # the port says iterator; both controls are generators, whose reader must be given back
            async with aclosing(self._control.follow(task_id)) as items:  # type: ignore[type-var]
                async for item in items:
                    yield _event(item)
        except YggError as error:
            yield {"event": "error", **bodies.error_body(error)}

    async def why(self, task_id: str) -> JsonDict:
        """GET /v1/tasks/{id}/why."""
        task = await self._control.archive.get(task_id)
        place = await place_of(self._control, task)
        return {
            "schema": "ygg.why/1",
            "id": task.id,
            "state": task.state,
            "position": place["position_in_queue"] or None,
            "position_is_bound": place["position_is_bound"],
            "estimated_wait_ms": place["estimated_wait_ms"],
            "reasons": [bodies.reason_body(r) for r in self._control.explain(task)],
        }

    async def cancel(self, task_id: str, query: Mapping[str, Any]) -> JsonDict:
        """POST /v1/tasks/{id}/cancel."""
        return bodies.task_body(await self.cancelled(task_id, query))

    async def cancelled(self, task_id: str, query: Mapping[str, Any]) -> Task:
        """The task after the cancel; `running=false` leaves a processing one alone. Conflict when it had
        ended otherwise."""
        running = also_running(query)
        task = await self._control.archive.get(task_id)
        task = await self._control.cancel(task.id, running=running)
        if task.state in FINAL and task.state is not State.CANCELLED:
            raise Conflict(f"task {task.id} ended before it could be cancelled: {task.state}")
        return task

    async def prioritize(self, task_id: str, doc: object, caller: Caller) -> JsonDict:
        """POST /v1/tasks/{id}/priority."""
        wanted = parse(NewPriority, doc)
        caller.check_priority(Priority(wanted.priority))
        task = await self._control.archive.get(task_id)
        return bodies.task_body(await self._control.prioritize(task.id, Priority(wanted.priority)))

    def _backend(self, task: Task) -> str | None:
        """Of the server that it last ran on, as long as hosts.yaml has that."""
        host = self._config().hosts.get(task.host or "")
        ends = host.endpoints if host else ()
        found = (e for e in ends if e.name == task.endpoint or len(ends) == 1)
        return next((e.dialect or e.backend for e in found), None)

    def _running(self, task: Task) -> RunningView | None:
        view = self._control.snapshot() if task.state is State.PROCESSING else None
        return next((r for r in view.running if r.task_id == task.id), None) if view else None

    # --- many ----------------------------------------------------------------------------------

    async def find(self, query: Mapping[str, Any], caller: Caller) -> JsonDict:
        """GET /v1/tasks: newest first, or in queue order."""
        found = await self._control.archive.find(filter_of(query, caller.owner))
        return {"schema": "ygg.tasks/1", "tasks": [bodies.task_body(t) for t in found]}

    async def retry(self, doc: object, caller: Caller) -> JsonDict:
        """POST /v1/tasks/retry."""
        wanted = parse(Retry, doc)
        if (wanted.ids is None) == (wanted.states is None):
            raise InvalidInput("expected either ids or states")
        errors: list[JsonDict] = []
        ids = await self._retry_ids(wanted, errors, caller)
        answers = await self._control.retry(ids)
        retried = [a.id for a in answers if isinstance(a, Task)]
        errors += [
            {"id": i, **bodies.error_body(a)}
            for i, a in zip(ids, answers, strict=True)
            if isinstance(a, YggError)
        ]
        return {"retried": retried, "errors": errors}

    async def cancel_many(self, doc: object, caller: Caller) -> JsonDict:
        """POST /v1/tasks/cancel. What ends by itself meanwhile is left out."""
        wanted = parse(CancelMany, doc)
        states = [State(s) for s in wanted.states or OPEN]
        if not wanted.running:
            states = [s for s in states if s is not State.PROCESSING]
        which = Filter(type=wanted.type, label=wanted.label, caller=caller.owner)
        ids = await self.ids_in(states, which) if states else []
        done = await self.stop(ids, running=wanted.running)
        return {"schema": "ygg.tasks/1", "tasks": done}

    async def stop(self, ids: Sequence[str], *, running: bool = True) -> list[JsonDict]:
        """Cancel these, in this order and many at once; those that were cancelled, or are being stopped."""
        done: list[JsonDict] = []
        for start in range(0, len(ids), AT_ONCE):
            some = ids[start : start + AT_ONCE]
            done += filter(None, await asyncio.gather(*(self._stopped(i, running) for i in some)))
        return done

    async def _stopped(self, task_id: str, running: bool) -> JsonDict | None:
        """The task as it is after the cancel; None where it has ended, is gone or is spared."""
        try:
            task = await self._control.cancel(task_id, running=running)
        except (Conflict, NotFound):
            return None
        return bodies.task_body(task)

    async def _retry_ids(self, wanted: Retry, errors: list[JsonDict], caller: Caller) -> list[str]:
        if wanted.states is not None:
            states = tuple(State(s) for s in wanted.states)
            return await self.ids_in(states, Filter(caller=caller.owner))
        ids = []
        for given in wanted.ids or ():
            try:
                ids.append((await seen(self._control.archive, given, caller)).id)
            except YggError as error:
                errors.append({"id": given, **bodies.error_body(error)})
        return ids

    async def ids_in(self, states: Sequence[State], which: Filter) -> list[str]:
        """Every such task in these states, the oldest first. A page at a time: there is no upper bound."""
        ids: list[str] = []
        which = replace(which, states=tuple(states), limit=PAGE)
        while found := await self._control.archive.find(which):
            ids += [t.id for t in found]
            which = replace(which, before_seq=found[-1].seq)
        return ids[::-1]


class NotEnded(Conflict):
    """The result was asked for before the end; `body` is the status instead."""

    def __init__(self, task_id: str, body: JsonDict) -> None:
        super().__init__(
            f"task {task_id} has not ended: {body['state']}", hint=f"ygg wait {task_id}"
        )
        self.body = body


def _event(item: AttemptStarted | Piece | Task) -> JsonDict:
    match item:
        case AttemptStarted(attempt, host, model):
            return {"event": "attempt", "attempt": attempt, "host": host, "model": model}
        case Piece():
            return {"event": "piece", **bodies.piece_body(item)}
        case Task():
            return {"event": "end", **bodies.task_body(item)}
