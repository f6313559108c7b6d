"""The one thread that makes durable what the writer has committed, and answers it then.

A commit writes to the write-ahead log and does not wait for the disk. Whoever is promised that his write is kept
has his answer after a sync of the log that began after his commit: the log is one file, so one sync makes all
before it durable. While it runs the writer commits the next groups. What was answered without one (claims) is
synced with the next that comes, or by itself once it is `HASTE_S` old.
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
from typing import Any, NamedTuple

from ygg.errors import OutcomeUnknown

log = logging.getLogger("ygg.store")

HASTE_S = 0.1  #: a claim is durable 0.2 s after its answer; the rest of that is for the sync

Operation = Callable[[], Any]


@dataclass(slots=True, eq=False)
class Job:
    """An operation and who waits for it. A `hasty` one goes first; neither that nor one that `reads` waits for
    the disk. `committed` is told the result before the sync."""

    operation: Operation
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


def answer(jobs: Iterable[Job]) -> None:
    """Resolve their futures, all in one wake-up of their event loop."""
    _in_loops(_resolve, jobs)


def announce(jobs: Iterable[Job]) -> None:
    """Tell those who want to know before the sync."""
    wanted = [job for job in jobs if job.committed is not None and job.error is None]
    _in_loops(_committed, wanted)


def _in_loops(tell: Callable[[list[Job]], None], jobs: Iterable[Job]) -> None:
    by_loop: dict[asyncio.AbstractEventLoop, list[Job]] = {}
    for job in jobs:
        by_loop.setdefault(job.loop, []).append(job)
    for loop, found in by_loop.items():
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(tell, found)


def _resolve(jobs: list[Job]) -> None:
    for job in jobs:
        if job.future.done():
            continue
        if job.error is not None:
            job.future.set_exception(job.error)
        else:
            job.future.set_result(job.result)


def _committed(jobs: list[Job]) -> None:
    for job in jobs:
        if job.committed is not None:
            job.committed(job.result)


class LogFile:
    """The write-ahead log of a database that this process has open. SQLite takes no lock on it, so that it may
    be opened beside SQLite; it stays the same file as long as somebody has the database open."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd: int | None = None

    def sync(self) -> None:
        """Wait until everything written to it is on the disk. Raises OSError."""
        if self._fd is None:
            self._fd = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
            folder = os.open(self._path.parent, os.O_RDONLY | os.O_CLOEXEC)
            try:
                os.fsync(folder)  # the name of a new file is as durable as what is in it
            finally:
                os.close(folder)
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
    """Takes what is committed, in order, and answers it after a sync."""

    def __init__(self, path: str, sync: Callable[[], None]) -> None:
        super().__init__(name="ygg-sync", daemon=True)
        self._path, self._sync_log = path, sync
        self._queue: SimpleQueue[_Part | None] = SimpleQueue()
        self._since: float | None = None  # since when the log holds what no sync has reached
        self._reached = 0
        self._closing = self._failing = False
        self.durable = 0  #: the number of the last part that is, and all before it

    def take(self, number: int, jobs: list[Job], *, written: bool) -> None:
        """A part was committed just now, and these wait; none where everybody has his answer already."""
        self._queue.put(_Part(number, jobs, time.monotonic() if written else None))

    def close(self) -> None:
        """Take no more; the thread ends once all is durable and answered."""
        self._queue.put(None)

    def run(self) -> None:
        while not self._closing:
            jobs = self._gather()
            if self._since is not None:
                self._sync(jobs)
            else:
                self._keep(jobs)

    def _gather(self) -> list[Job]:
        """Who waits for the next sync, once there is a reason for one."""
        jobs: list[Job] = []
        while not self._closing:
            try:
                part = self._queue.get(timeout=0.0 if jobs else self._patience())
            except Empty:
                break
            if part is None:
                self._closing = True
            else:
                self._reached, self._since = part.number, self._since or part.written
                jobs += part.jobs
                if self._since is None:  # nothing to wait for
                    break
        return jobs

    def _patience(self) -> float | None:
        """How long to wait for somebody who needs a sync before there is one anyway."""
        if self._since is None:
            return None
        return max(0.0, self._since + HASTE_S - time.monotonic())

    def _sync(self, jobs: list[Job]) -> None:
        try:
            self._sync_log()
        except Exception as error:  # noqa: BLE001 - whatever it was, somebody waits
            self._failed(jobs, error)
            answer(jobs)
        else:
            self._since, self._failing = None, False
            self._keep(jobs)

    def _keep(self, jobs: list[Job]) -> None:
        """All that was taken is durable."""
        self.durable = self._reached
        answer(jobs)

    def _failed(self, jobs: list[Job], error: Exception) -> None:
        """The disk is in trouble: it is told once, and tried again in a while."""
        if not self._failing:
            log.error("%s: %s", self._path, error)
        self._since, self._failing = time.monotonic(), True
        for job in jobs:
            job.error = job.error or _unknown(self._path, error)


def _unknown(path: str, error: Exception) -> OutcomeUnknown:
    return OutcomeUnknown(
        f"{path}: {error}; what was asked for may be done or not",
        hint="see what the queue holds, and whether the disk is well",
    )
