"""The one thread that makes durable what the writer has committed, and answers it then.

A commit writes to the write-ahead log and does not wait for the disk. Whoever is promised that his write is kept
has his answer after a sync of the log that began after his commit: the log is one file, so one sync makes all
before it durable. While it runs the writer commits the next groups. What was answered without one (claims) is
synced with the next that comes, or by itself once it is `HASTE_S` old.

A sync that fails is the end: the kernel tells it once and may have dropped what was not written, so that no later
sync says anything about what came before it. Who waits is told that the outcome is unknown, and the owner
that the store is dead; the next start folds the log, which writes it anew.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, NamedTuple, TypeVar

from ygg.errors import OutcomeUnknown

log = logging.getLogger("ygg.store")

HASTE_S = 0.1  #: a claim is durable 0.2 s after its answer; the rest of that is for the sync

T = TypeVar("T")


@dataclass(slots=True, eq=False)
class Job:
    """An operation and who waits for it. A `hasty` one goes first; neither that nor one that `reads` waits for
    the disk. `committed` is told the result before the sync."""

    operation: Callable[[], Any]
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[Any]
    hasty: bool = False
    reads: bool = False
    committed: Callable[[Any], None] | None = None
    result: Any = None
    error: BaseException | None = None

    @property
    def promises(self) -> bool:
        """Whether its answer says that something is kept."""
        return not (self.hasty or self.reads)

    def tell(self) -> None:
        """Resolve its future, in the loop of that."""
        if self.future.done():
            return
        if self.error is not None:
            self.future.set_exception(self.error)
        else:
            self.future.set_result(self.result)


def answer(jobs: Iterable[Job]) -> None:
    """Resolve their futures, all in one wake-up of their event loop."""
    by_loop: dict[asyncio.AbstractEventLoop, list[Job]] = {}
    for job in jobs:
        by_loop.setdefault(job.loop, []).append(job)
    for loop, found in by_loop.items():
        _soon(loop, _resolve, found)


def announce(jobs: Iterable[Job]) -> None:
    """Tell those who want to know before the sync."""
    for job in jobs:
        if job.committed is not None and job.error is None:
            _soon(job.loop, job.committed, job.result)


def _soon(loop: asyncio.AbstractEventLoop, tell: Callable[[T], object], what: T) -> None:
    with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
        loop.call_soon_threadsafe(tell, what)


def _resolve(jobs: list[Job]) -> None:
    for job in jobs:
        job.tell()


def unknown(path: str, error: BaseException) -> OutcomeUnknown:
    """What is told where an error came when the work was done."""
    return OutcomeUnknown(
        f"{path}: {error}; what was asked for may be done or not",
        hint="see whether the disk is well, and then what the queue holds",
    )


class LogFile:
    """The write-ahead log of a database that this process has open. SQLite takes no lock on it, so that it may
    be opened beside SQLite; it stays the same file as long as somebody has the database open. SQLite itself syncs
    the folder of a new one."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd: int | None = None

    def sync(self) -> None:
        """Wait until everything written to it is on the disk. Raises OSError."""
        if self._fd is None:
            self._fd = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
        os.fdatasync(self._fd)

    def close(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None


class _Part(NamedTuple):
    number: int
    jobs: list[Job]
    written: float | None  #: when; None where it has changed nothing


class Syncer(threading.Thread):
    """Takes what is committed, in order, and answers it after a sync; `failed` is told of the one that failed."""

    def __init__(
        self, path: str, sync: Callable[[], None], failed: Callable[[BaseException], None]
    ) -> None:
        super().__init__(name="ygg-sync", daemon=True)
        self._path, self._sync, self._failed = path, sync, failed
        self._queue: SimpleQueue[_Part | None] = SimpleQueue()
        self._jobs: list[Job] = []  # who waits for the next sync
        # Since when the log holds what no sync has reached; an owner that was killed may have left some.
        self._since: float | None = time.monotonic()
        self._reached = 0
        self._closing = False
        self.durable = -1  #: the number of the last part that is, and all before it

    def take(self, number: int, jobs: list[Job], *, written: bool) -> None:
        """A part was committed just now, and these wait; none where everybody has his answer already."""
        self._queue.put(_Part(number, jobs, time.monotonic() if written else None))

    def close(self) -> None:
        """Take no more; the thread ends once all is durable and answered."""
        self._queue.put(None)

    def run(self) -> None:
        try:
            while not self._closing:
                self._gather()
                if self._since is not None:
                    self._sync()
                    self._since = None
                self.durable = self._reached
                self._answer()
        except BaseException as error:  # noqa: BLE001 - the last line: tell the owner and the waiters
            self._give_up(error)

    def _gather(self) -> None:
        """Take who waits, until there is a reason for a sync or nothing to wait for."""
        while not self._closing:
            try:
                part = self._queue.get(timeout=0.0 if self._jobs else self._patience())
            except Empty:
                break
            self._take(part)
            if self._since is None:
                break

    def _take(self, part: _Part | None) -> None:
        if part is None:
            self._closing = True
            return
        self._reached, self._since = part.number, self._since or part.written
        self._jobs += part.jobs

    def _patience(self) -> float | None:
        """How long to wait for somebody who needs a sync before there is one anyway."""
        if self._since is None:
            return None
        return max(0.0, self._since + HASTE_S - time.monotonic())

    def _answer(self) -> None:
        jobs, self._jobs = self._jobs, []
        answer(jobs)

    def _give_up(self, error: BaseException) -> None:
        log.critical("%s cannot be made durable: %s", self._path, error)
        self._failed(error)
        while True:
            for job in self._jobs:
                job.error = job.error or unknown(self._path, error)
            self._answer()
            if self._closing:
                return
            self._take(self._queue.get())
