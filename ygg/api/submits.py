"""Taking tasks in: one by the mission's endpoint, many by ygg's own."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from ygg.api import bodies
from ygg.api.documents import BulkSubmit
from ygg.desk import PART
from ygg.errors import InvalidInput, LeftOut, YggError
from ygg.intake.checking import an_object, parse
from ygg.intake.tasks import async_task, new_task
from ygg.model import JsonDict, NewTask, ReasonCode, State, Submitted, Task
from ygg.ports import Control

if TYPE_CHECKING:
    from ygg.config import Config

EXACT = 1000  #: positions in the queue are counted to here, then given as a bound
_FLOWING = frozenset(
    {
        ReasonCode.NEXT,
        ReasonCode.BEHIND,
        ReasonCode.HOST_FULL,
        ReasonCode.GPU_PREFERRED,
        ReasonCode.CPU_PREFERRED,
    }
)
BREATH = 100  #: documents checked before the event loop gets a turn


def wall_clock_ms() -> int:
    return time.time_ns() // 1_000_000


class Submits:
    """The verbs that store new tasks. `config` is asked anew each time: it may be reloaded."""

    def __init__(
        self,
        control: Control,
        config: Callable[[], Config],
        *,
        about: JsonDict | None = None,
        wall_ms: Callable[[], int] = wall_clock_ms,
    ) -> None:
        """`about`: what the daemon tells of itself in the status (`store`, `socket`)."""
        self._control, self._config = control, config
        self._about, self._wall_ms = about or {}, wall_ms

    async def async_submit(self, doc: object, *, caller: str, key: str | None = None) -> JsonDict:
        """POST /v1/async/submit: one task, within the queue's capacity."""
        if key is not None and isinstance(doc, dict):
            doc = {**doc, "idempotency_key": key}
        config = self._config()
        new = async_task(doc, config, caller=caller, now_ms=self._wall_ms())
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
        given = an_object(doc)
        bulk = parse(BulkSubmit, {**given, "tasks": []})
        docs = given.get("tasks")
        if not isinstance(docs, list) or len(docs) > PART:
            raise InvalidInput(f"tasks: expected a list of at most {PART} documents")
        checked = await self._all_checked(docs, caller)
        good = [c for c in checked if isinstance(c, NewTask)]
        if bulk.atomic and len(good) < len(checked):
            return {"tasks": [_refused(c) for c in checked]}
        stored = iter(await self._control.submit(good, atomic=bulk.atomic) if good else ())
        answers = [next(stored) if isinstance(c, NewTask) else c for c in checked]
        return {"tasks": [_submitted(a) for a in answers]}

    async def _all_checked(self, docs: list[object], caller: str) -> list[NewTask | YggError]:
        """Each document's task or error; the dispatcher gets its turns in between."""
        checked = []
        for n, doc in enumerate(docs, 1):
            checked.append(self._checked(doc, caller))
            if n % BREATH == 0:
                await asyncio.sleep(0)
        return checked

    def _checked(self, doc: object, caller: str) -> NewTask | YggError:
        try:
            return new_task(doc, self._config(), caller=caller, now_ms=self._wall_ms())
        except YggError as error:
            return error

    async def _place(self, task: Task) -> JsonDict:
        """position_in_queue and estimated_wait_ms; 0 and null when the task does not wait."""
        if task.state is not State.QUEUED:
            return {"position_in_queue": 0, "position_is_bound": False, "estimated_wait_ms": None}
        lanes = self._control.rivals(task.lane)
        ahead = await self._control.archive.ahead(task, lanes, EXACT)
        return {
            "position_in_queue": min(ahead + 1, EXACT),
            "position_is_bound": ahead >= EXACT,
            "estimated_wait_ms": self._estimate_ms(task, ahead),
        }

    def _estimate_ms(self, task: Task, ahead: int) -> int | None:
        """Measured rates say nothing of a pause, or of when a host that is down comes back."""
        best = next(iter(self._control.explain(task)), None)
        flows = best is not None and best.code in _FLOWING
        return self._control.wait_estimate_ms(task, ahead) if flows else None


def _submitted(answer: Submitted | YggError) -> JsonDict:
    if isinstance(answer, YggError):
        return bodies.error_body(answer)
    return {**bodies.task_body(answer.task), "existing": answer.existing}


def _refused(checked: NewTask | YggError) -> JsonDict:
    if isinstance(checked, YggError):
        return bodies.error_body(checked)
    return bodies.error_body(LeftOut())
