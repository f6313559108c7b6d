"""Taking tasks in: many documents, an answer for each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ygg.api import bodies
from ygg.api.aside import aside
from ygg.api.callers import LOCAL, Caller
from ygg.api.documents import BulkSubmit
from ygg.config import Config
from ygg.desk import PART
from ygg.errors import InvalidInput, LeftOut, YggError
from ygg.intake.checking import an_object, parse
from ygg.intake.matching import doubt
from ygg.intake.tasks import new_task
from ygg.model import Capacity, JsonDict, NewTask, Submitted, Task
from ygg.ports import Control


class Submits:
    """Over one Control. `config` is asked anew each time: it may be reloaded."""

    def __init__(
        self, control: Control, config: Callable[[], Config], wall_ms: Callable[[], int]
    ) -> None:
        self._control, self._config, self._wall_ms = control, config, wall_ms

    async def submit(self, doc: object, caller: Caller = LOCAL, size: int = 0) -> JsonDict:
        """POST /v1/tasks: many documents; an answer or an error for each, in order. `size`: of the body."""
        given = an_object(doc)
        bulk = parse(BulkSubmit, {**given, "tasks": []})
        docs = given.get("tasks")
        if not isinstance(docs, list) or len(docs) > PART:
            raise InvalidInput(f"tasks: expected a list of at most {PART} documents")
        checked = await aside(size, self._all_checked, docs, caller)
        good = [c for c in checked if isinstance(c, NewTask)]
        caller.spend(len(good))
        if bulk.atomic and len(good) < len(checked):
            return {"tasks": [_refused(c) for c in checked]}
        capacity = Capacity(self._config().policy.batch_capacity)
        how: dict[str, Any] = {"atomic": bulk.atomic, "capacity": capacity}
        stored = iter(await self._control.submit(good, **how) if good else ())
        answers = [next(stored) if isinstance(c, NewTask) else c for c in checked]
        told = _brief if bulk.brief else bodies.task_body
        return {"tasks": await aside(size, lambda: [self._submitted(a, told) for a in answers])}

    def _all_checked(self, docs: list[object], caller: Caller) -> list[NewTask | YggError]:
        """Each document's task or error."""
        return [self._checked(doc, caller) for doc in docs]

    def _checked(self, doc: object, caller: Caller) -> NewTask | YggError:
        try:
            doc, name = caller.with_priority(doc), caller.name
            task = new_task(doc, self._config(), caller=name, now_ms=self._wall_ms())
            caller.check_priority(task.priority)
        except YggError as error:
            # ten thousand of them would keep all their frames, and each other
            error.__context__ = None
            return error.with_traceback(None)
        return task

    def _submitted(
        self, answer: Submitted | YggError, told: Callable[[Task], JsonDict]
    ) -> JsonDict:
        if isinstance(answer, YggError):
            return bodies.error_body(answer)
        found = doubts(answer.task, self._config())
        return {**told(answer.task), **bodies.shared_body(answer), **found}


def _brief(task: Task) -> JsonDict:
    return {"id": task.id, "state": task.state}


def doubts(task: Task, config: Config) -> JsonDict:
    """`warning`, where something about a task that was taken looks like a slip."""
    found = doubt(task.lane.type, config)
    return {} if found is None else {"warning": found}


def _refused(checked: NewTask | YggError) -> JsonDict:
    if isinstance(checked, YggError):
        return bodies.error_body(checked)
    return bodies.error_body(LeftOut())
