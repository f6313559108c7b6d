"""The one thread that writes: group commit with a savepoint per operation.

Operations wait in a queue; the thread takes all that wait (at most `GROUP`), runs them in one BEGIN
IMMEDIATE … COMMIT and only then resolves their futures, all in one wake-up of the event loop. There is
no linger: while one group is in its fsync the next one gathers. An operation that fails is rolled
back to its savepoint and fails alone. When the group itself fails (disk full, I/O error), each of
its operations is tried once more in a transaction of its own, so that those that still fit are done.

Operations that were posted as *hasty* (claims, and nothing else) do not wait for the disk: those that wait
are a group of their own, which goes first and is not synced. A claim that a power cut undoes is a task
that was never started. They overtake what was posted before them and is not answered yet, which nobody
can have relied on: a claim names the version of its row, so it is refused where an answered write has
changed it. The log is one file and a sync of it makes all before it durable: the next group that is
synced does that, or the thread itself once the oldest hasty group is `HASTE_S` old.

The log is folded here and not by SQLite inside COMMIT: the waiters have their answer first, and an
error of folding can never be taken for one of the commit.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

import apsw

from ygg.errors import OutcomeUnknown, StoreError, YggError
from ygg.stores.sqlite.translating import translate

log = logging.getLogger("ygg.store")

T = TypeVar("T")
GROUP = 256
FOLD_PAGES = 1000  #: pages of log after which it is folded into the database, SQLite's own default
HASTE_S = 0.1  #: a claim is durable 0.2 s after its answer; the rest of that is for the sync
IDLE_CHECKPOINT_S = 5.0  #: with nothing to write for this long it is folded and truncated

NORMAL = 1  #: of PRAGMA synchronous: commits are written to the log, and not synced
_MARK = (
    "INSERT INTO meta (key, value) VALUES ('synced', 1)"
    " ON CONFLICT (key) DO UPDATE SET value = value + 1"
)

Operation = Callable[[], Any]
Outcome = tuple[Any, BaseException | None]


@dataclass(slots=True)
class _Job:
    operation: Operation
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[Any]
    hasty: bool
    result: Any = None
    error: BaseException | None = field(default=None)


class Writer(threading.Thread):
    """Runs operations on the writing connection. `on_commit` and `on_rollback` keep what the owner
    caches in step with the transaction; `on_fatal` is told when the thread itself dies."""

    def __init__(
        self,
        connection: apsw.Connection,
        path: str,
        *,
        before_commit: Callable[[], None],
        after: Callable[[bool], None],
        on_fatal: Callable[[BaseException], None] | None = None,
    ) -> None:
        super().__init__(name="ygg-store", daemon=True)
        self._connection, self._path = connection, path
        self._before_commit, self._after, self._on_fatal = before_commit, after, on_fatal
        self._queue: SimpleQueue[_Job | None] = SimpleQueue()
        self._closing = False
        self._dead: BaseException | None = None
        self._unfolded, self._wal_pages = False, 0  # since the last checkpoint
        self._full = self._level = connection.execute("PRAGMA synchronous").get
        self._unsynced: float | None = None  # since when the log holds what no sync has reached
        connection.set_wal_hook(self._noted)

    # --- callers' side -------------------------------------------------------------------------

    def post(self, operation: Callable[[], T], *, hasty: bool = False) -> asyncio.Future[T]:
        """Run `operation` in the writer's next group; the future resolves after COMMIT, and unless it is
        hasty after its sync."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        if self._closing or self._dead is not None:
            future.set_exception(
                StoreError(f"{self._path} is closed", hint="is ygg shutting down?")
            )
        else:
            self._queue.put(_Job(operation, loop, future, hasty))
        return future

    def close(self) -> None:
        """Take no more operations; the thread ends once those that wait are done."""
        if not self._closing:
            self._closing = True
            self._queue.put(None)

    # --- the thread ----------------------------------------------------------------------------

    def run(self) -> None:
        group: list[_Job] | None = []
        try:
            while (group := self._next_group()) is not None:
                for part in _parts(group):
                    self._run_group(part)
                    self._resolve(part)
                if self._overdue():
                    self._sync()
                if self._wal_pages >= FOLD_PAGES:
                    self._checkpoint(apsw.SQLITE_CHECKPOINT_PASSIVE)
            if self._unsynced is not None:
                self._sync()
        except BaseException as error:  # noqa: BLE001 - the last line: tell the owner and the waiters
            self._die(error, group or [])

    def _next_group(self) -> list[_Job] | None:
        """Everything that waits; an empty list when it is time to sync or after an idle checkpoint; None
        when closed."""
        try:
            first = self._queue.get(timeout=self._patience())
        except Empty:
            if self._unsynced is None:
                self._unfolded = False
                self._checkpoint(apsw.SQLITE_CHECKPOINT_TRUNCATE)
            return []
        if first is None:
            return None
        group = [first]
        while len(group) < GROUP:
            try:
                job = self._queue.get_nowait()
            except Empty:
                break
            if job is None:
                self._queue.put(None)
                break
            group.append(job)
        return group

    def _patience(self) -> float | None:
        """How long to wait for work before there is something else to do."""
        if self._unsynced is not None:
            return max(0.0, self._unsynced + HASTE_S - time.monotonic())
        return IDLE_CHECKPOINT_S if self._unfolded else None

    def _overdue(self) -> bool:
        return self._unsynced is not None and time.monotonic() >= self._unsynced + HASTE_S

    def _run_group(self, group: list[_Job]) -> None:
        error = self._transaction(group)
        if error is None:
            return
        if len(group) == 1:
            group[0].error = translate(error, self._path)
            return
        for job in group:
            job.result = job.error = None
            alone = self._transaction([job])
            if alone is not None:
                worse = error if isinstance(error, OutcomeUnknown) else alone
                job.error = translate(worse, self._path)

    def _transaction(self, group: list[_Job]) -> BaseException | None:
        """The group, which is hasty as a whole or not at all, in one transaction; see `_committed`."""

        def work() -> None:
            for job in group:
                self._savepoint(job)

        return self._committed(work, hasty=group[0].hasty)

    def _committed(self, work: Callable[[], object], *, hasty: bool) -> BaseException | None:
        """One BEGIN … COMMIT around `work`, synced unless hasty; the error when the transaction as a
        whole failed."""
        connection = self._connection
        try:
            self._set_level(hasty=hasty)
            connection.execute("BEGIN IMMEDIATE")
            work()
            self._before_commit()
            self._commit()
        except (apsw.Error, StoreError) as error:
            with contextlib.suppress(apsw.Error):
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
            self._after(False)
            return error
        self._after(True)
        return None

    def _set_level(self, *, hasty: bool) -> None:
        """Whether commits sync from now on. SQLite takes it between transactions only."""
        level = min(self._full, NORMAL) if hasty else self._full
        if level != self._level:
            self._connection.execute(f"PRAGMA synchronous = {level}")
            self._level = level

    def _commit(self) -> None:
        try:
            self._connection.execute("COMMIT")
        except apsw.IOError as error:
            raise OutcomeUnknown(
                f"{self._path}: {error}; what was asked for may be done or not",
                hint="see what the queue holds, and whether the disk is well",
            ) from error

    def _sync(self) -> None:
        """Make durable what hasty groups have written: a sync comes with a write only, so write a little."""
        if self._committed(lambda: self._connection.execute(_MARK), hasty=False) is not None:
            self._unsynced = time.monotonic()  # the disk is in trouble: not again at once

    def _savepoint(self, job: _Job) -> None:
        connection = self._connection
        connection.execute("SAVEPOINT op")
        try:
            job.result = job.operation()
        except Exception as error:
            if not connection.in_transaction:  # SQLite gave up the whole transaction (disk full)
                raise
            if isinstance(error, apsw.FullError | apsw.IOError | apsw.CorruptError):
                raise
            connection.execute("ROLLBACK TO op")
            job.error = translate(error, self._path)
            if not isinstance(job.error, YggError):
                log.exception("store operation failed")
        connection.execute("RELEASE op")

    def _resolve(self, group: list[_Job]) -> None:
        by_loop: dict[asyncio.AbstractEventLoop, list[_Job]] = {}
        for job in group:
            by_loop.setdefault(job.loop, []).append(job)
        for loop, jobs in by_loop.items():
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(_tell, jobs)

    def _noted(self, _: apsw.Connection, __: str, pages: int) -> int:
        """Something was written and committed."""
        self._unfolded, self._wal_pages = True, pages
        if self._level == self._full:
            self._unsynced = None
        elif self._unsynced is None:
            self._unsynced = time.monotonic()
        return apsw.SQLITE_OK

    def _checkpoint(self, mode: int) -> None:
        """Fold the log into the database. A failure costs nothing: the log stays and is tried again."""
        self._wal_pages = 0
        with contextlib.suppress(apsw.Error):
            self._connection.wal_checkpoint(mode=mode)

    def _die(self, error: BaseException, group: list[_Job]) -> None:
        self._dead = error
        left = group
        with contextlib.suppress(Empty):
            while (job := self._queue.get_nowait()) is not None:
                left.append(job)
        for job in left:
            job.error = StoreError(f"{self._path}: the writer died: {error}")
        self._resolve(left)
        log.critical("the writer thread died", exc_info=error)
        if self._on_fatal is not None:
            self._on_fatal(error)


def _parts(group: list[_Job]) -> list[list[_Job]]:
    """The hasty ones, then the others."""
    parts = [[job for job in group if job.hasty], [job for job in group if not job.hasty]]
    return [part for part in parts if part]


def _tell(jobs: list[_Job]) -> None:
    for job in jobs:
        if job.future.done():
            continue
        if job.error is not None:
            job.future.set_exception(job.error)
        else:
            job.future.set_result(job.result)
