"""The verbs on batches: tasks that are submitted together, all or none, and looked after as one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from ygg.api import bodies
from ygg.api.aside import aside
from ygg.api.behind import Behind
from ygg.api.callers import Caller
from ygg.api.documents import AsyncBatch, NewBatch
from ygg.api.pace import left_ms
from ygg.api.queries import batches_of, poll_s
from ygg.api.tasks import OPEN
from ygg.desk import PART
from ygg.errors import Conflict, InvalidInput, YggError
from ygg.intake.batches import checked
from ygg.intake.checking import an_object, hash_of, parse
from ygg.intake.tasks import async_task, new_task, task_id
from ygg.model import Batch, BatchView, Capacity, JsonDict, NewTask, State
from ygg.model.batches import OnFailure
from ygg.model.words import FINAL
from ygg.ports import Filter
from ygg.running.waiting import over

PREFIX = "batch-"
AGAIN = (State.FAILED, State.CANCELLED, State.EXPIRED, State.BLOCKED)  #: what a retry tries again


class _Asked(NamedTuple):
    """What both forms of a submit say."""

    docs: list[Any]
    made: Callable[..., NewTask]  #: from each document
    where: str  #: they stand in the body
    on_failure: OnFailure | None  #: of a sequence
    key: str | None


class Batches:
    """Verbs on batches. Every id may be the end of one."""

    def __init__(self, behind: Behind) -> None:
        self._control, self._config, self._wall_ms, self._tasks = behind

    # --- submit --------------------------------------------------------------------------------

    async def submit_async(
        self, doc: object, caller: Caller, key: str | None, size: int
    ) -> JsonDict:
        """POST /v1/async/submit-batch: take many tasks, all or none."""
        given = parse(AsyncBatch, _rest(doc, "requests", key))
        every = {"timeout_seconds": given.timeout_seconds} if given.timeout_seconds else {}
        docs = [every | d if isinstance(d, dict) else d for d in _listed(doc, "requests")]
        how = _how(not given.process_in_parallel, given.on_failure, "process_in_parallel is false")
        asked = _Asked(docs, async_task, "requests", how, given.idempotency_key)
        batch, ids = await self._submitted(doc, asked, caller, size)
        return {
            "batch_id": batch.id,
            "total_tasks": batch.total,
            "task_ids": ids,
            "message": "Batch submitted successfully",
        }

    async def submit(self, doc: object, caller: Caller, key: str | None, size: int) -> JsonDict:
        """POST /v1/batches."""
        given = parse(NewBatch, _rest(doc, "tasks", key))
        how = _how(given.sequential, given.on_failure, "sequential is true")
        asked = _Asked(_listed(doc, "tasks"), new_task, "tasks", how, given.idempotency_key)
        batch, ids = await self._submitted(doc, asked, caller, size)
        return {"schema": "ygg.batch/1", "batch_id": batch.id, "task_ids": ids}

    async def _submitted(
        self, doc: object, asked: _Asked, caller: Caller, size: int
    ) -> tuple[Batch, list[str]]:
        """The batch and the ids of its tasks. Raises what is wrong with one of them: nothing is stored then."""
        batch, tasks = await aside(size, self._made, doc, asked, caller)
        known = await self._known(batch)
        if known is not None:
            return known, [i for i, _ in await self._control.archive.batch_states(known.id)]
        caller.spend(batch.total)
        capacity = Capacity(self._config().policy.batch_capacity)
        answers = await self._control.submit(tasks, batch=batch, capacity=capacity)
        for answer in answers:
            if isinstance(answer, YggError):
                raise answer
        return batch, [task.id for task in tasks]

    def _made(self, doc: object, asked: _Asked, caller: Caller) -> tuple[Batch, list[NewTask]]:
        config, now_ms = self._config(), self._wall_ms()
        id_ = PREFIX + task_id(now_ms)

        def one(given: object, n: int) -> NewTask:
            document = caller.with_priority(given)
            task = asked.made(document, config, caller=caller.name, now_ms=now_ms)
            caller.check_priority(task.priority)
            return checked(task, id_, sequence=asked.on_failure is not None, first=not n)

        tasks = _each(asked, one)
        body_hash = hash_of(doc) if asked.key is not None else ""
        how = asked.on_failure
        return Batch(id_, caller.name, len(tasks), now_ms, how, asked.key, body_hash), tasks

    async def _known(self, batch: Batch) -> Batch | None:
        """The batch that was submitted with the same key. Raises Conflict for another one."""
        if batch.idempotency_key is None:
            return None
        known = await self._control.archive.batch_of_key(batch.caller, batch.idempotency_key)
        if known is not None and known.body_hash != batch.body_hash:
            text = (
                f"idempotency key {batch.idempotency_key!r} was used for another batch ({known.id})"
            )
            raise Conflict(text, hint="use a new key for a new batch")
        return known

    # --- look after ----------------------------------------------------------------------------

    async def status(self, batch_id: str, query: Mapping[str, Any]) -> JsonDict:
        """GET /v1/async/batch-status/{id}; with `wait` a long poll until none of it runs or waits."""
        view = await self._over(batch_id, poll_s(query))
        states = await self._control.archive.batch_states(view.batch.id)
        return {
            **bodies.batch_body(view),
            "estimated_completion_ms": await left_ms(self._control, view),
            "task_statuses": {task_id: bodies.STATUS[state] for task_id, state in states},
        }

    async def _over(self, batch_id: str, wait_s: float) -> BatchView:
        """The batch once it is over, else as it is after so many seconds."""
        archive, clock = self._control.archive, asyncio.get_running_loop().time
        view, give_up = await archive.batch(batch_id), clock() + wait_s
        while not view.over and clock() < give_up:
            for id_, state in await archive.batch_states(view.batch.id):
                if state in FINAL or state is State.BLOCKED:
                    continue
                task = await self._control.wait_end(id_, max(0.0, give_up - clock()))
                if not over(task):  # the time is up, or nothing ends any more
                    return await archive.batch(view.batch.id)
            view = await archive.batch(view.batch.id)
        return view

    async def list(self, query: Mapping[str, Any], caller: Caller) -> JsonDict:
        """GET /v1/batches: the newest first."""
        found = await self._control.archive.batches(caller.owner, batches_of(query))
        return {"schema": "ygg.batches/1", "batches": [bodies.batch_body(v) for v in found]}

    async def cancel(self, batch_id: str) -> JsonDict:
        """POST /v1/batches/{id}/cancel: all of it that has not ended; the last ones first, so that none takes its turn
        meanwhile."""
        id_ = (await self._control.archive.batch(batch_id)).batch.id
        ids = await self._tasks.ids_in(OPEN, Filter(batch=id_))
        await self._tasks.stop(ids[::-1])
        return bodies.batch_body(await self._control.archive.batch(id_))

    async def retry(self, batch_id: str) -> JsonDict:
        """POST /v1/batches/{id}/retry: all of it that has not completed; a sequence one after another."""
        batch = (await self._control.archive.batch(batch_id)).batch
        ids = await self._tasks.ids_in(AGAIN, Filter(batch=batch.id))
        first = ids if batch.on_failure is None else ids[:1]
        await self._control.retry(first)
        if batch.on_failure is not None and ids[1:]:
            await self._control.retry(ids[1:], turn=True)
        return bodies.batch_body(await self._control.archive.batch(batch.id))


def _rest(doc: object, listed: str, key: str | None) -> JsonDict:
    """Of the body, with the key of the header: its documents are checked apart, so that each error names its own."""
    header = {} if key is None else {"idempotency_key": key}
    return {**an_object(doc), listed: [], **header}


def _listed(doc: object, key: str) -> list[Any]:
    docs = an_object(doc).get(key)
    if not isinstance(docs, list) or not 0 < len(docs) <= PART:
        raise InvalidInput(f"{key}: expected a list of 1 to {PART} documents")
    return docs


def _how(sequence: bool, on_failure: str | None, when: str) -> OnFailure | None:
    if sequence:
        return OnFailure(on_failure or OnFailure.STOP)
    if on_failure is not None:
        raise InvalidInput(f"on_failure: says nothing unless {when}")
    return None


def _each(asked: _Asked, one: Callable[[object, int], NewTask]) -> list[NewTask]:
    tasks = []
    for n, given in enumerate(asked.docs):
        try:
            tasks.append(one(given, n))
        except YggError as error:
            error.message = f"{asked.where}[{n}]: {error.message}; nothing was stored"
            error.args = (error.message,)
            raise
    return tasks
