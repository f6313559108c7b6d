"""Those who wait for the end of a task, or follow what it streams."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import cast

from ygg.core import events as ev
from ygg.errors import Unavailable
from ygg.model import FINAL, State, Task
from ygg.ports import Archive, AttemptStarted, Piece
from ygg.running.streams import Item, Streams


def over(task: Task) -> bool:
    """Whether it goes no further by itself."""
    return task.state in FINAL or task.state is State.BLOCKED


def moved(event: ev.Event) -> Iterable[str]:
    """The tasks whose states have changed, as the event tells, by the hand of the dispatcher."""
    match event:
        case ev.Claimed(tasks=tasks) | ev.Finished(tasks=tasks):
            return (task.id for task in tasks if task is not None)
        case ev.Promoted(queued=heads):
            return (head.id for head in heads)
        case _:
            return ()


class Waiting:
    """Readers of one dispatcher."""

    def __init__(self, archive: Archive, streams: Streams) -> None:
        self._archive, self._streams = archive, streams
        self._waiters: dict[str, set[asyncio.Future[Task | None]]] = {}
        self._closed = False

    def tell(self, tasks: Iterable[Task]) -> None:
        """Tell readers and waiters of the tasks among these that are over."""
        for task in tasks:
            if over(task):
                self._streams.end(task.id)
                for waiter in self._waiters.pop(task.id, ()):
                    if not waiter.done():
                        waiter.set_result(task)

    def close(self) -> None:
        """Nothing ends any more: who waits gets the task as it is, now and from now on."""
        self._closed = True
        for waiter in (w for waiters in self._waiters.values() for w in waiters if not w.done()):
            waiter.set_result(None)

    def asked_for(self, task_id: str) -> bool:
        """Whether anybody waits for it."""
        return task_id in self._waiters or self._streams.followed(task_id)

    async def tell_of(self, task_id: str) -> None:
        """The same for a task whose end was written elsewhere: its row is read first."""
        self.tell([await self._archive.get(task_id)])

    async def wait_end(self, task_id: str, timeout_s: float) -> Task:
        """The task once it is over, else as it is after `timeout_s`, or once nothing ends any more."""
        waiter: asyncio.Future[Task | None] = asyncio.get_running_loop().create_future()
        self._waiters.setdefault(task_id, set()).add(waiter)
        try:
            task = await self._archive.get(task_id)
            if over(task) or self._closed:
                return task
            done, _ = await asyncio.wait([waiter], timeout=timeout_s)
            ended = waiter.result() if done else None
            return ended or await self._archive.get(task_id)
        finally:
            waiters = self._waiters.get(task_id, set())
            waiters.discard(waiter)
            if not waiters:
                self._waiters.pop(task_id, None)

    def follow(self, task_id: str) -> AsyncIterator[AttemptStarted | Piece | Task]:
        """What was streamed so far and what comes, then the ended task."""
        # a reader that is not watching gets neither gaps nor moves
        return cast("AsyncIterator[AttemptStarted | Piece | Task]", self.watch(task_id, None))

    async def watch(self, task_id: str, quiet_s: float | None) -> AsyncIterator[Item | Task]:
        """The same, with gaps and moves where `quiet_s` is said."""
        reader = self._streams.read(task_id, watching=quiet_s is not None)
        try:
            task = await self._archive.get(task_id)
            while not over(task):
                items = await reader.take(quiet_s)
                if not items:
                    break
                for item in items:
                    yield item
            task = await self._archive.get(task_id)
            if not over(task):
                raise Unavailable(
                    "the stream was cut; the task goes on", hint=f"ygg wait {task.id}"
                )
            yield task
        finally:
            self._streams.leave(task_id, reader)
