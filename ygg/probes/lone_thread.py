"""One thread for calls that may never come back."""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


class Stuck(Exception):
    """An earlier call has not come back for `since_s` seconds."""

    def __init__(self, since_s: float) -> None:
        super().__init__(f"no answer for {since_s:.0f} s")


class LoneThread:
    """Runs one job at a time. Nobody waits for it longer than he wants: neither the loop nor the
    interpreter's end. The thread begins with the first call."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._under_way: asyncio.Future[None] | None = None
        self._since = 0.0

    async def call(self, job: Callable[[], T], limit_s: float) -> T:
        """What the job returns or raises. TimeoutError when it takes too long; as long as it then still
        runs, Stuck, and no other job is begun."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + limit_s
        await self._free(limit_s)
        self._since, answers = loop.time(), list[T | BaseException]()
        self._under_way = over = loop.create_future()
        self._begin(lambda: _run(job, answers, loop, over))
        await asyncio.wait({over}, timeout=deadline - loop.time())
        if not over.done():
            raise TimeoutError
        if isinstance(answer := answers[0], BaseException):
            raise answer
        return answer

    async def _free(self, limit_s: float) -> None:
        """A call whose caller went away may need a moment to come back; one that took too long already is
        not waited for again."""
        if self._under_way is None or self._under_way.done():
            return
        age = asyncio.get_running_loop().time() - self._since
        await asyncio.wait({self._under_way}, timeout=max(0.0, limit_s - age))
        if not self._under_way.done():
            raise Stuck(age)

    def _begin(self, job: Callable[[], None]) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name=self._name, daemon=True)
            self._thread.start()
        self._jobs.put(job)

    def post(self, job: Callable[[], None]) -> None:
        """Run a job that raises nothing after those before it, if there were any; nobody hears of it."""
        if self._thread is not None:
            self._jobs.put(job)

    def end(self) -> None:
        """No more jobs: the thread ends after those it has."""
        if self._thread is not None:
            self._thread = None
            self._jobs.put(None)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            job()


def _run(
    job: Callable[[], T],
    answers: list[T | BaseException],
    loop: asyncio.AbstractEventLoop,
    over: asyncio.Future[None],
) -> None:
    try:
        answers.append(job())
    except BaseException as error:  # noqa: BLE001 - it belongs to whoever asked
        answers.append(error)
    with contextlib.suppress(RuntimeError):  # the loop is closed: nobody wants to know
        loop.call_soon_threadsafe(over.set_result, None)
