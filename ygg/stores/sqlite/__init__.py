"""The SQLite store: one writing process, one writer thread, group commit, fenced ends.

`open_store` gives the store of a dispatcher (or, with `dispatcher=False`, of a command that works without
one); `open_archive` reads without a lock.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TypeVar

import apsw

from ygg import locking
from ygg.errors import StoreError, YggError
from ygg.model import (
    Batch,
    BatchView,
    Capacity,
    Claim,
    Counts,
    End,
    Head,
    Holds,
    Lane,
    LogRow,
    MinuteRow,
    NewTask,
    Priority,
    Promoted,
    Pruned,
    Recovery,
    Result,
    RunningRow,
    Scheduled,
    State,
    Submitted,
    Task,
    Token,
)
from ygg.model.lifecycle import SET_ROWS
from ygg.ports import Filter
from ygg.stores.sqlite import guarding, inspecting, opening
from ygg.stores.sqlite import holds as holding
from ygg.stores.sqlite import minutes as history
from ygg.stores.sqlite import tokens as keys
from ygg.stores.sqlite.ledger import Ledger
from ygg.stores.sqlite.reader import Reader
from ygg.stores.sqlite.translating import translate
from ygg.stores.sqlite.verbs import Refused, Verbs
from ygg.stores.sqlite.writer import Writer

__all__ = ["SqliteStore", "open_archive", "open_store"]

T = TypeVar("T")
WEEK_S = 7 * 86400.0


def open_store(
    path: Path,
    *,
    dispatcher: bool = True,
    on_fatal: Callable[[BaseException], None] | None = None,
    retention_s: float = WEEK_S,
    socket: Path | None = None,
) -> SqliteStore:
    """Open the database for writing: takes its lock, checks and migrates it, and with `dispatcher`
    begins a new epoch; `socket` is where it will listen. A dispatcher and a command wait up to `locking.WAIT_S` for
    a command. Raises StoreLocked, StoreNewer, StoreCorrupt, StoreGone or another StoreError."""
    guarding.refuse_lost(path)
    held = locking.lock(path, dispatcher=dispatcher, socket=socket)
    return SqliteStore(path, held, dispatcher, on_fatal, retention_s)


def open_archive(path: Path) -> Reader:
    """Read the database without a lock. Raises NotFound when there is none yet, or nothing in it, StoreError when it
    may not be read."""
    inspecting.present(path)
    if opening.bare(path):
        raise inspecting.absent(path)
    return Reader(path)


class SqliteStore:
    """Implements `Queue` and `Archive`."""

    def __init__(
        self,
        path: Path,
        lock: int,
        dispatcher: bool,
        on_fatal: Callable[[BaseException], None] | None,
        retention_s: float,
    ) -> None:
        """`lock`: the open lock file, which is the store's from now on."""
        self._path, self._lock, self._dispatcher = path, lock, dispatcher
        try:
            self._db = opening.connect(path)
            self._epoch = (
                opening.next_epoch(self._db, guarding.this_process(path))
                if dispatcher
                else opening.current_epoch(self._db)
            )
        except apsw.Error as error:
            os.close(self._lock)
            raise translate(error, str(path)) from error
        except BaseException:
            os.close(self._lock)
            raise
        self._ledger = Ledger(self._db)
        self._verbs = Verbs(self._db, self._ledger, self._epoch, retention_s)
        self._writer = Writer(
            self._db,
            path,
            before_commit=self._ledger.flush,
            after=self._ledger.after,
            on_fatal=on_fatal,
        )
        self._post = self._writer.post
        self._reader = Reader(path)
        self._writer.start()

    # --- Queue ---------------------------------------------------------------------------------

    @property
    def epoch(self) -> int:
        return self._epoch

    def hold(self, host: str | None, held: bool) -> Awaitable[None]:
        return self._post(lambda: holding.hold(self._db, host, held))

    def keep_for(self, retention_s: float) -> None:
        self._verbs.retention_s = retention_s

    def holds(self) -> Awaitable[Holds]:
        return self._post(lambda: holding.holds(self._db), reads=True)

    async def recover(self, now_ms: int, max_crashes: int) -> Recovery:
        found = Recovery(0, 0)
        while True:
            part = await self._post(lambda: self._verbs.recover(now_ms, max_crashes))
            found += part
            if part.total < SET_ROWS:
                return found

    async def submit(
        self,
        tasks: Sequence[NewTask],
        now_ms: int,
        *,
        capacity: Capacity | None = None,
        atomic: bool = True,
        batch: Batch | None = None,
        stored: Callable[[list[Submitted | YggError]], None] | None = None,
    ) -> list[Submitted | YggError]:
        def submit() -> list[Submitted | YggError]:
            return self._verbs.submit(tasks, now_ms, capacity, atomic, batch)

        try:
            return await self._post(submit, committed=stored)
        except Refused as refused:
            return refused.answers

    def lanes(self) -> Awaitable[list[tuple[Lane, Priority, int]]]:
        return self._post(self._verbs.lanes, reads=True)

    def heads(self, lane: Lane, priority: Priority, limit: int) -> Awaitable[list[Head]]:
        return self._post(lambda: self._verbs.heads(lane, priority, limit), reads=True)

    def running(self) -> Awaitable[list[RunningRow]]:
        return self._post(self._verbs.running, reads=True)

    def claim(self, claims: Sequence[Claim], now_ms: int) -> Awaitable[list[Task | None]]:
        return self._post(lambda: self._verbs.claim(claims, now_ms), hasty=True)

    def finish(self, ends: Sequence[End], now_ms: int) -> Awaitable[list[Task | None]]:
        return self._post(lambda: self._verbs.finish(ends, now_ms))

    def cancel(self, task_id: str, now_ms: int, *, running: bool = True) -> Awaitable[Task]:
        return self._post(lambda: self._verbs.cancel(task_id, now_ms, running))

    def promote(
        self, now_ms: int, machine_ms: int | None = None, limit: int = 500
    ) -> Awaitable[Promoted]:
        return self._post(lambda: self._verbs.promote(now_ms, machine_ms, limit))

    async def retry(
        self, task_ids: Sequence[str], now_ms: int, *, turn: bool = False
    ) -> list[Task | YggError]:
        answers: list[Task | YggError] = []
        for start in range(0, len(task_ids), SET_ROWS):
            part = task_ids[start : start + SET_ROWS]
            answers += await self._post(lambda part=part: self._verbs.retry(part, now_ms, turn))  # type: ignore[misc]
        return answers

    def prioritize(self, task_id: str, priority: Priority, now_ms: int) -> Awaitable[Task]:
        return self._post(lambda: self._verbs.prioritize(task_id, priority, now_ms))

    def touch_read(self, task_id: str, now_ms: int, keep_s: float) -> Awaitable[None]:
        return self._post(lambda: self._verbs.touch_read(task_id, now_ms, keep_s))

    async def prune(self, now_ms: int, limit: int = 500) -> int:
        def prune() -> int:
            return self._verbs.prune(now_ms, limit) + history.prune(self._db, now_ms, limit)

        gone = await self._post(prune)
        if not gone:  # once, at the end of a round
            before_s = now_ms / 1000 - self._verbs.retention_s
            await asyncio.to_thread(opening.drop_copies, self._path, before_s)
        return gone

    async def clean(self, states: frozenset[State], now_ms: int, age_s: float) -> dict[State, int]:
        return {state: await self._clean(state, now_ms, age_s) for state in states}

    async def _clean(self, state: State, now_ms: int, age_s: float) -> int:
        total, after = 0, 0
        while True:
            gone, on = await self._post(
                lambda after=after: self._verbs.clean(state, now_ms, age_s, after)  # type: ignore[misc]
            )
            total += gone
            if on is None:
                return total
            after = on

    def discard(self, task_id: str, now_ms: int) -> Awaitable[None]:
        return self._post(lambda: self._verbs.discard(task_id, now_ms))

    def record_minutes(self, rows: Sequence[MinuteRow]) -> Awaitable[None]:
        return self._post(lambda: history.record(self._db, rows))

    def add_token(self, token: Token) -> Awaitable[None]:
        return self._post(lambda: keys.add(self._db, token))

    def revoke_token(self, name: str, now_ms: int) -> Awaitable[None]:
        return self._post(lambda: keys.revoke(self._db, name, now_ms))

    async def close(self) -> None:
        if self._lock < 0:
            return
        self._writer.close()
        await asyncio.to_thread(self._writer.join)
        await self._reader.close()
        await asyncio.to_thread(self._fold_and_close)
        os.close(self._lock)
        self._lock = -1

    def _fold_and_close(self) -> None:
        with contextlib.suppress(apsw.Error):  # a reader may hold it up: the next start folds it in
            if self._dispatcher:
                guarding.disown(self._db)
            self._db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
        self._db.close()

    # --- Archive -------------------------------------------------------------------------------

    async def _durable(self, read: Awaitable[T]) -> T:
        """What was read, once a power cut cannot undo it: whoever is told that a task has ended may count
        on it. Where the disk fails it is told all the same."""
        found = await read
        if not self._writer.settled:
            with contextlib.suppress(StoreError):
                await self._post(lambda: None)
        return found

    def get(self, task_id: str) -> Awaitable[Task]:
        return self._durable(self._reader.get(task_id))

    def find(self, which: Filter) -> Awaitable[list[Task]]:
        return self._durable(self._reader.find(which))

    def log(self, task_id: str) -> Awaitable[list[LogRow]]:
        return self._durable(self._reader.log(task_id))

    def result(self, task_id: str) -> Awaitable[Result | None]:
        return self._durable(self._reader.result(task_id))

    def counts(self) -> Awaitable[Counts]:
        return self._reader.counts()

    def ahead(self, task: Task, lanes: Sequence[Lane], limit: int) -> Awaitable[int]:
        return self._reader.ahead(task, lanes, limit)

    def scheduled(self, limit: int) -> Awaitable[list[Scheduled]]:
        return self._reader.scheduled(limit)

    def verify(self) -> Awaitable[None]:
        return self._reader.verify()

    def minutes(self, host: str | None, since_ms: int) -> Awaitable[list[MinuteRow]]:
        return self._reader.minutes(host, since_ms)

    def batch(self, batch_id: str) -> Awaitable[BatchView]:
        return self._durable(self._reader.batch(batch_id))

    def batches(self, caller: str | None, limit: int) -> Awaitable[list[BatchView]]:
        return self._durable(self._reader.batches(caller, limit))

    def batch_of_key(self, caller: str, key: str) -> Awaitable[Batch | None]:
        return self._durable(self._reader.batch_of_key(caller, key))

    def batch_states(self, batch_id: str) -> Awaitable[list[tuple[str, State]]]:
        return self._durable(self._reader.batch_states(batch_id))

    def lent(self, prefix: str, since_ms: int, now_ms: int) -> Awaitable[int]:
        return self._reader.lent(prefix, since_ms, now_ms)

    def tokens(self) -> Awaitable[list[Token]]:
        return self._durable(self._reader.tokens())

    def pruned(self, task_id: str) -> Awaitable[Pruned | None]:
        return self._reader.pruned(task_id)
