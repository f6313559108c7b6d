"""A few threads that read. Each takes what waits, one after the other, and whoever waits for answers is woken once
for all that there are by then: under load a small read costs a small part of a wake-up.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ygg.stores.sqlite.syncing import Job


class Reads:
    """`threads` of them. One event loop at a time asks."""

    def __init__(self, threads: int) -> None:
        self._threads, self._busy = threads, 0
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="ygg-read")
        # Of `_waiting` with `_busy`: nothing waits while nobody is busy.
        self._lock = threading.Lock()
        self._waiting: deque[Job] = deque()
        self._done: deque[Job] = deque()
        self._woken = False

    def ask(self, work: Callable[[], Any]) -> asyncio.Future[Any]:
        """What `work` returns or raises."""
        loop = asyncio.get_running_loop()
        read = Job(work, loop, loop.create_future())
        with self._lock:
            self._waiting.append(read)
            starts = self._busy < self._threads
            self._busy += starts
        if starts:
            self._pool.submit(self._serve)
        return read.future

    def close(self) -> None:
        """Ends once all that was asked is read."""
        self._pool.shutdown(wait=True)

    # --- in a thread ---------------------------------------------------------------------------

    def _serve(self) -> None:
        while (read := self._next()) is not None:
            try:
                read.result = read.operation()
            except BaseException as error:  # noqa: BLE001 - who asked is told
                read.error = error
            self._done.append(read)
            if not self._woken:
                self._woken = True
                with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                    read.loop.call_soon_threadsafe(self._tell)

    def _next(self) -> Job | None:
        with self._lock:
            if self._waiting:
                return self._waiting.popleft()
            self._busy -= 1
            return None

    # --- in the loop ---------------------------------------------------------------------------

    def _tell(self) -> None:
        """Before it looks it asks to be woken again: what is done later is not overlooked."""
        self._woken = False
        while self._done:
            self._done.popleft().tell()
