"""The verbs on tasks that have ended: dead letters, and the removal of what nobody needs any more."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ygg.api import bodies
from ygg.api.callers import Caller
from ygg.api.documents import Cleanup
from ygg.api.pages import page
from ygg.api.queries import dead_letters_of
from ygg.errors import YggError
from ygg.intake.checking import parse
from ygg.model import JsonDict, State, Task
from ygg.model.cases import Refusal, decide, row_of
from ygg.model.lifecycle import DISCARD
from ygg.ports import Control


class Ended:
    """Over one Control. Every id may be the end of one; NotFound when it fits no task."""

    def __init__(self, control: Control) -> None:
        self._control = control

    async def clean(self, doc: object) -> JsonDict:
        """POST /v1/async/cleanup. `by_state`: of every state that was asked for."""
        wanted = parse(Cleanup, doc)
        states = frozenset(State(s) for s in wanted.states)
        gone = await self._control.clean(states, wanted.max_age_seconds)
        by_state = {str(s): gone[s] for s in State if s in states}
        return {"removed": sum(by_state.values()), "by_state": by_state}

    async def dead_letters(self, query: Mapping[str, Any], caller: Caller) -> JsonDict:
        """GET /v1/async/dead-letters: a page of failed tasks, newest first."""
        which = dead_letters_of(query, caller.owner)
        return bodies.page_body(*await page(self._control.archive, which))

    async def retry(self, task_id: str) -> JsonDict:
        """POST /v1/async/dead-letters/{id}/retry: the task as it waits now. Conflict where it is not failed."""
        task = await self._control.archive.get(task_id)
        _check_dead(task)
        (answer,) = await self._control.retry([task.id])
        if isinstance(answer, YggError):
            raise answer
        return bodies.task_body(answer)

    async def discard(self, task_id: str) -> JsonDict:
        """DELETE /v1/async/dead-letters/{id}. Conflict where it is not failed."""
        task = await self._control.archive.get(task_id)
        await self._control.discard(task.id)
        return {"task_id": task.id, "removed": 1}


def _check_dead(task: Task) -> None:
    """Conflict, as from a removal, where it is no dead letter."""
    case = decide(DISCARD, row_of(task), {})
    if isinstance(case, Refusal):
        raise case.error(task.id, task.state)
