"""The one thread that writes: group commit.

Operations wait in a queue; the thread takes all that wait (at most `GROUP`), runs them in one BEGIN
IMMEDIATE … COMMIT and hands them to the syncer, which answers them once they are durable. There is no linger:
while one group is in its sync the next ones are written. When one of them fails, or the group as a whole (disk
full, I/O error), it is rolled back and each of its operations runs once more in a transaction of its own: so
that who fails fails alone, and what still fits is done.

Operations that were posted as *hasty* (claims, and nothing else) do not wait for the disk: those that wait
are a group of their own, which goes first and is answered at its commit. A claim that a power cut undoes is a
task that was never started. They overtake what was posted before them and is not answered yet, which nobody
can have relied on: a claim names the version of its row, so it is refused where an answered write has
changed it. What only reads for the dispatcher does not wait either. Everybody else does, also who has written
nothing: he may be told of what another has written just before.

The log is folded here and not by SQLite inside COMMIT: an error of folding can never be taken for one of the
commit. Before each part the files are looked at: where they are gone, nothing more is acknowledged, and what
is known is saved.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import TypeVar

import apsw

from ygg.errors import OutcomeUnknown, StoreError, StoreGone, YggError
from ygg.stores.sqlite.guarding import Guard, rescue
from ygg.stores.sqlite.syncing import Job, LogFile, Syncer, announce, answer, unknown
from ygg.stores.sqlite.translating import translate

log = logging.getLogger("ygg.store")

T = TypeVar("T")
GROUP = 256
FOLD_PAGES = 1000  #: pages of log after which it is folded into the database, SQLite's own default
IDLE_CHECKPOINT_S = 5.0  #: with nothing to write for this long it is folded and truncated


class Writer(threading.Thread):
    """Runs operations on the writing connection. `before_commit` and `after` keep what the owner caches in step
    with the transaction; `on_fatal` is told when the thread itself dies. `sync` makes the log durable."""

    def __init__(
        self,
        connection: apsw.Connection,
        path: Path,
        *,
        before_commit: Callable[[], None],
        after: Callable[[bool], None],
        on_fatal: Callable[[BaseException], None] | None = None,
        sync: Callable[[], None] | None = None,
    ) -> None:
        super().__init__(name="ygg-store", daemon=True)
        self._connection, self._path = connection, str(path)
        self._guard = Guard(path)
        self._before_commit, self._after, self._on_fatal = before_commit, after, on_fatal
        self._queue: SimpleQueue[Job | None] = SimpleQueue()
        self._closing = False
        self._dead: BaseException | None = None
        self._unfolded, self._wal_pages = False, 0  # since the last checkpoint
        self._written = False  # by the part that runs
        self._begun = 0  # parts, the one that runs included
        self._over = False  # nobody looks into the queue any more
        self._log = LogFile(Path(connection.filename_wal))
        self._syncer = Syncer(self._path, sync or self._log.sync, self._sync_failed)
        connection.execute("PRAGMA synchronous = NORMAL")  # a commit does not sync, folding does
        connection.set_wal_hook(self._noted)

    # --- callers' side -------------------------------------------------------------------------

    def post(
        self,
        operation: Callable[[], T],
        *,
        hasty: bool = False,
        reads: bool = False,
        committed: Callable[[T], None] | None = None,
    ) -> asyncio.Future[T]:
        """Run `operation` in the writer's next group; the future resolves when it is durable, or at its COMMIT
        when it is hasty or only reads. `committed` is told the result at the COMMIT in any case."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        if self._closing or self._dead is not None:
            future.set_exception(self._ended())
        else:
            self._queue.put(Job(operation, loop, future, hasty, reads, committed))
            if self._over:
                self._refuse([])
        return future

    @property
    def settled(self) -> bool:
        """Whether everything that a reader can have seen by now is durable."""
        return self._syncer.durable == self._begun

    def close(self) -> None:
        """Take no more operations; the thread ends once those that wait are done."""
        if not self._closing:
            self._closing = True
            self._queue.put(None)

    def start(self) -> None:
        self._syncer.start()
        super().start()

    # --- the thread ----------------------------------------------------------------------------

    def run(self) -> None:
        parts: deque[list[Job]] = deque()
        try:
            while (group := self._next_group()) is not None:
                parts.extend(_parts(group))
                while parts:
                    self._run_part(parts[0])
                    parts.popleft()
                if self._wal_pages >= FOLD_PAGES:
                    self._checkpoint(apsw.SQLITE_CHECKPOINT_PASSIVE)
        except StoreGone as error:
            self._die(self._rescued(error))
        except BaseException as error:
            log.critical("the writer thread died", exc_info=error)
            self._die(error)
        self._over = True
        self._refuse([job for part in parts for job in part])
        self._syncer.close()
        self._syncer.join()
        self._log.close()

    def _next_group(self) -> list[Job] | None:
        """Everything that waits; an empty list after an idle checkpoint; None when closed."""
        try:
            first = self._queue.get(timeout=IDLE_CHECKPOINT_S if self._unfolded else None)
        except Empty:
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

    def _run_part(self, part: list[Job]) -> None:
        """Write it, and see that everybody is answered when it is time."""
        self._guard.check()
        self._begun, self._written = self._begun + 1, False
        self._run_group(part)
        waiting = [job for job in part if job.promises]
        answer(job for job in part if not job.promises)
        announce(waiting)
        self._syncer.take(self._begun, waiting, written=self._written)

    def _run_group(self, group: list[Job]) -> None:
        error = self._transaction(group)
        if error is None:
            return
        if len(group) == 1:
            group[0].error = self._told(error)
            return
        for job in group:
            alone = self._transaction([job])
            if alone is not None:
                job.error = self._told(error if isinstance(error, OutcomeUnknown) else alone)

    def _transaction(self, group: list[Job]) -> Exception | None:
        """The group in one BEGIN … COMMIT; the error for which nothing of it was done."""
        connection = self._connection
        try:
            connection.execute("BEGIN IMMEDIATE")
            for job in group:
                job.result = job.operation()
            self._before_commit()
            self._commit()
        except Exception as error:  # noqa: BLE001 - an operation may raise anything
            with contextlib.suppress(apsw.Error):
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
            self._after(False)
            return error
        self._after(True)
        return None

    def _told(self, error: Exception) -> Exception:
        """What its caller is told of it."""
        found = translate(error, self._path)
        if not isinstance(found, YggError):
            log.error("store operation failed", exc_info=error)
        return found

    def _commit(self) -> None:
        try:
            self._connection.execute("COMMIT")
        except apsw.IOError as error:
            raise unknown(self._path, error) from error

    def _noted(self, _: apsw.Connection, __: str, pages: int) -> int:
        """Something was written and committed."""
        self._unfolded, self._written, self._wal_pages = True, True, pages
        return apsw.SQLITE_OK

    def _checkpoint(self, mode: int) -> None:
        """Fold the log into the database. A failure costs nothing: the log stays and is tried again."""
        self._wal_pages = 0
        with contextlib.suppress(apsw.Error):
            self._connection.wal_checkpoint(mode=mode)

    def _sync_failed(self, error: BaseException) -> None:
        """Told by the syncer, in its thread: nothing more can be promised."""
        self._die(error)
        self._queue.put(None)

    def _rescued(self, gone: StoreGone) -> StoreGone:
        """The database is not where it was: save what is known beside it."""
        try:
            saved = rescue(self._connection, Path(self._path))
        except (OSError, apsw.Error) as error:
            return StoreGone(f"{gone.message}; its tasks could not be saved: {error}")
        return StoreGone(f"{gone.message}; all tasks were saved to {saved}")

    def _die(self, error: BaseException) -> None:
        self._dead = error
        if self._on_fatal is not None:
            with contextlib.suppress(RuntimeError):  # the loop is closed
                self._on_fatal(error)

    def _refuse(self, left: list[Job]) -> None:
        """Answer those whose operations nobody will run."""
        with contextlib.suppress(Empty):
            while True:
                job = self._queue.get_nowait()
                left += [job] if job is not None else []
        for job in left:
            job.error = self._ended()
        answer(left)

    def _ended(self) -> StoreError:
        if self._dead is None:
            return StoreError(f"{self._path} is closed", hint="is ygg shutting down?")
        return StoreError(
            f"{self._path}: nothing is stored any more: {self._dead}", hint="ygg doctor"
        )


def _parts(group: list[Job]) -> list[list[Job]]:
    """The hasty ones, then the others."""
    parts = [[job for job in group if job.hasty], [job for job in group if not job.hasty]]
    return [part for part in parts if part]
