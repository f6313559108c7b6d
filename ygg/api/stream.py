"""One task as server-sent events: its states, what it says, its result."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from typing import Any

from ygg.api.async_ import AsyncFace
from ygg.api.place import place_of
from ygg.api.queries import last_event
from ygg.api.resuming import Resuming, before_end, changes
from ygg.api.sse import Event
from ygg.model import LogRow, Piece, State, Task
from ygg.ports import AttemptStarted, Control, Gap, Moved

QUIET_S = 15.0  #: then a comment shows that the connection lives
Item = AttemptStarted | Piece | Gap | Moved | Task


class Stream:
    """Over one Control and the results of /v1/async."""

    def __init__(self, control: Control, results: AsyncFace) -> None:
        self._control, self._results = control, results

    async def stream(
        self, task_id: str, query: Mapping[str, Any], last: str | None
    ) -> AsyncGenerator[Event | str, None] | None:
        """GET /v1/async/stream/{id}: what the client has not had since the event `last`, else of the query; None where it
        has had everything. NotFound comes before the first event, a later error is the last one."""
        asked = last_event(query)
        task = await self._control.archive.get(task_id)
        rows = await self._changes(task.id)
        client = Resuming(task.id, rows, last or asked)
        return None if client.over(rows) else self._events(task.id, client)

    async def _events(self, task_id: str, client: Resuming) -> AsyncGenerator[Event | str, None]:
        # the port says iterator; the controls are generators, whose reader must be given back
        async with aclosing(self._control.watch(task_id, QUIET_S)) as items:  # type: ignore[type-var]
            async for item in items:
                for told in await self._told(task_id, item, client):
                    yield told

    async def _told(self, task_id: str, item: Item, client: Resuming) -> list[Event | str]:
        match item:
            case Moved():
                rows = before_end(await self._changes(task_id))
                return [*await self._states(task_id, rows, client)] or ["nothing new"]
            case Task():
                states = client.states(await self._changes(task_id))
                return [*states, client.result(await self._results.result(task_id, {}))]
            case _:
                event = client.item(item)
                return [] if event is None else [event]

    async def _states(self, task_id: str, rows: Sequence[LogRow], client: Resuming) -> list[Event]:
        """Those that it was not told, the place in the queue with the newest."""
        events = client.states(rows)
        if events and rows[-1].after is State.QUEUED:
            task = await self._control.archive.get(task_id)
            events[-1].data.update(await place_of(self._control, task))
        return events

    async def _changes(self, task_id: str) -> list[LogRow]:
        return changes(await self._control.archive.log(task_id))
