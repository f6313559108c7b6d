"""The Archive port: reads on read-only connections in a small thread pool, in short transactions."""

from __future__ import annotations

import asyncio
import math
import re
import threading
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import apsw

from ygg.errors import InvalidInput, NotFound, StoreCorrupt, StoreError
from ygg.model import (
    Batch,
    BatchView,
    Counts,
    Holds,
    Lane,
    LogRow,
    MinuteRow,
    Priority,
    Pruned,
    Result,
    Scheduled,
    State,
    Task,
    Token,
)
from ygg.model.batches import NEVER_MS
from ygg.ports import Filter
from ygg.stores.sqlite import batches as together
from ygg.stores.sqlite import caching, inspecting
from ygg.stores.sqlite import holds as holding
from ygg.stores.sqlite import minutes as history
from ygg.stores.sqlite import pruned as deleted
from ygg.stores.sqlite import tokens as keys
from ygg.stores.sqlite.connecting import connected
from ygg.stores.sqlite.reading import Reads
from ygg.stores.sqlite.rows import (
    PLAIN_COLUMNS,
    RESULT_COLUMNS,
    TASK_COLUMNS,
    fetch,
    parse_lane,
    to_log,
    to_result,
    to_task,
)
from ygg.stores.sqlite.translating import translate

T = TypeVar("T")
READERS = 2
MIN_SUFFIX = 4
FEW = 64  #: tasks behind one
RANKED = 3  #: the schema that brought `rank` and `call`
WHOLE = 4  #: the schema whose results are whole messages

_TASKS = f"SELECT {TASK_COLUMNS.replace('id,', 'tasks.id,', 1)}, lanes.key FROM tasks"
_JOIN = " JOIN lanes ON lanes.id = tasks.lane"


class Reader:
    """Reads of one database file; safe beside a writing daemon and without one."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._reads = Reads(READERS)
        self._local = threading.local()
        self._open: list[apsw.Connection] = []
        self._closed = False

    def _read(self, work: Callable[[apsw.Connection], T]) -> asyncio.Future[T]:
        """Asked at once, whether or not it is awaited. Raises StoreError."""
        if self._closed:
            raise StoreError(f"{self._path} is closed")
        return self._reads.ask(lambda: self._run(work))

    def _run(self, work: Callable[[apsw.Connection], T]) -> T:
        try:
            return work(self._connection())
        except apsw.Error as error:
            raise translate(error, str(self._path)) from error

    def _connection(self) -> apsw.Connection:
        db: apsw.Connection | None = getattr(self._local, "db", None)
        if db is None:
            db = connected(self._path, 5000)
            self._local.db = db
            self._open.append(db)
        return db

    async def close(self) -> None:
        self._closed = True
        self._reads.close()
        for db in self._open:
            db.close()

    # --- Archive -------------------------------------------------------------------------------

    def get(self, task_id: str) -> Awaitable[Task]:
        return self._read(lambda db: _get(db, task_id))

    def find(self, which: Filter) -> Awaitable[list[Task]]:
        return self._read(lambda db: _find(db, which))

    def log(self, task_id: str) -> Awaitable[list[LogRow]]:
        return self._read(lambda db: [to_log(r) for r in db.execute(_LOG, (task_id,))])

    async def result(self, task_id: str) -> Result | None:
        def read(db: apsw.Connection) -> Result | None:
            whole = db.execute("PRAGMA user_version").get >= WHOLE
            row = db.execute(_RESULT if whole else _PLAIN_RESULT, (task_id,)).fetchone()
            return None if row is None else to_result(row)

        return await self._read(read)

    def counts(self) -> Awaitable[Counts]:
        return self._read(_counts)

    def holds(self) -> Awaitable[Holds]:
        return self._read(holding.holds)

    def ahead(self, task: Task, lanes: Sequence[Lane], limit: int) -> Awaitable[int]:
        return self._read(lambda db: _ahead(db, task, lanes, limit))

    def scheduled(self, limit: int) -> Awaitable[list[Scheduled]]:
        return self._read(lambda db: [_due(row) for row in fetch(db, SCHEDULED, (limit,))])

    async def verify(self) -> None:
        """On a connection of its own: the others would read what they remember."""
        found = await asyncio.to_thread(inspecting.quick_check, self._path, math.inf)
        if found != "ok":
            raise StoreCorrupt(
                f"{self._path} is damaged: {found}",
                hint="stop ygg, move the file away and restore a backup; ygg never overwrites it",
            )

    def minutes(self, host: str | None, since_ms: int) -> Awaitable[list[MinuteRow]]:
        return self._read(lambda db: history.minutes(db, host, since_ms))

    def batch(self, batch_id: str) -> Awaitable[BatchView]:
        return self._read(lambda db: together.view(db, batch_id, MIN_SUFFIX))

    def batches(self, caller: str | None, limit: int) -> Awaitable[list[BatchView]]:
        return self._read(lambda db: together.views(db, caller, limit))

    def batch_of_key(self, caller: str, key: str) -> Awaitable[Batch | None]:
        return self._read(lambda db: together.by_key(db, caller, key))

    def batch_states(self, batch_id: str) -> Awaitable[list[tuple[str, State]]]:
        return self._read(lambda db: together.states(db, batch_id))

    def lent(self, prefix: str, since_ms: int, now_ms: int) -> Awaitable[int]:
        return self._read(lambda db: caching.count(db, prefix, since_ms, now_ms))

    def tokens(self) -> Awaitable[list[Token]]:
        return self._read(keys.tokens)

    def pruned(self, task_id: str) -> Awaitable[Pruned | None]:
        return self._read(lambda db: deleted.find(db, task_id, MIN_SUFFIX))


def _known(db: apsw.Connection, sql: str) -> str:
    """The statement, without the columns that a database has not yet that no daemon has brought up to
    date."""
    version = db.execute("PRAGMA user_version").get
    if version < caching.SCHEMA:
        sql = sql.replace("cached_from", "NULL")
    if version >= RANKED:
        return sql
    return re.sub(r"\bcall\b", "NULL", re.sub(r"\brank\b", "(0 + 0)", sql))


def _get(db: apsw.Connection, task_id: str) -> Task:
    row = db.execute(_known(db, f"{_TASKS}{_JOIN} WHERE tasks.id = ?"), (task_id,)).fetchone()
    if row is None and len(task_id) >= MIN_SUFFIX:
        row = _by_suffix(db, task_id)
    if row is None:
        raise NotFound(f"no task {task_id}", hint="ygg list")
    return _task(row)


def _by_suffix(db: apsw.Connection, suffix: str) -> Sequence[object] | None:
    sql = f"{_TASKS}{_JOIN} WHERE substr(tasks.id, -?1) = ?2 LIMIT 3"
    rows = db.execute(_known(db, sql), (len(suffix), suffix)).fetchall()
    if len(rows) > 1:
        ids = ", ".join(str(r[0]) for r in rows)
        raise InvalidInput(f"{suffix} fits several tasks: {ids}", hint="give more of the id")
    return rows[0] if rows else None


def _task(row: Sequence[object]) -> Task:
    return to_task(row, parse_lane(str(row[-1])))


def _find(db: apsw.Connection, which: Filter) -> list[Task]:
    """Without a state filter by seq; with one, one index scan per state, merged."""
    states = which.states or (None,)
    rows: list[Sequence[object]] = []
    for state in states:
        where, values = _conditions(which, state)
        index = " INDEXED BY by_state" if state is not None else ""
        order = "priority, rank, seq" if which.queue_order else "seq DESC"
        sql = f"{_TASKS}{index}{_JOIN} WHERE {where} ORDER BY {order} LIMIT ?"
        rows += db.execute(_known(db, sql), (*values, which.limit)).fetchall()
    tasks = [_task(r) for r in rows]
    if which.queue_order:
        tasks.sort(key=lambda t: (t.priority, t.rank, t.seq))
    else:
        tasks.sort(key=lambda t: -t.seq)
    return tasks[: which.limit]


def _conditions(which: Filter, state: State | None) -> tuple[str, list[object]]:
    wanted: list[tuple[str, object | None]] = [
        ("state = ?", state),
        ("type = ?", which.type),
        ("priority = ?", None if which.priority is None else int(which.priority)),
        ("host = ?", which.host),
        ("caller = ?", which.caller),
        ("batch = ?", which.batch),
        ("seq < ?", which.before_seq),
        ("EXISTS (SELECT 1 FROM json_each(labels) WHERE value = ?)", which.label),
    ]
    used = [(sql, value) for sql, value in wanted if value is not None]
    return " AND ".join(sql for sql, _ in used) or "TRUE", [value for _, value in used]


def _counts(db: apsw.Connection) -> Counts:
    sql = "SELECT priority, state, sum(n) FROM counters GROUP BY priority, state"
    return Counts({(Priority(p), State(s)): n for p, s, n in fetch(db, sql) if n})


def _due(row: Sequence[Any]) -> Scheduled:
    return Scheduled(row[0], row[1], Priority(row[2]), *row[3:])


def _ahead(db: apsw.Connection, task: Task, lanes: Sequence[Lane], limit: int) -> int:
    total = 0
    for lane in lanes:
        total += _ahead_in(db, task, lane, limit)
        if total >= limit:
            return limit
    return total


def _ahead_in(db: apsw.Connection, task: Task, lane: Lane, limit: int) -> int:
    """By the counters, less what comes behind where that is little, as it is for a new task; else counted."""
    ((number, better, same),) = db.execute(WAITING, (lane.key, task.priority))
    if number is None:
        return 0
    values = (number, task.priority, task.rank, task.seq)
    behind = db.execute(_known(db, BEHIND), values).get if same else 0
    if behind <= FEW:
        return int(better + same - behind)
    counted = db.execute(_known(db, AHEAD), (*values, limit)).get
    return int(better + counted)


SCHEDULED = (
    "SELECT id, type, priority, title, created_ms, due_ms, attempt, errors, deferrals, error"
    f" FROM tasks INDEXED BY due WHERE state = 'scheduled' AND due_ms < {NEVER_MS} ORDER BY due_ms, seq LIMIT ?"
)
WAITING = (
    "SELECT lanes.id, coalesce(sum(n) FILTER (WHERE priority < ?2), 0),"
    " coalesce(sum(n) FILTER (WHERE priority = ?2), 0) FROM lanes LEFT JOIN counters"
    " ON lane = lanes.id AND priority <= ?2 AND state = 'queued' WHERE key = ?1"
)
# Two ranges each: of a comparison of (rank, seq) SQLite takes the rank alone to the index.
_RANGE = (
    "SELECT 1 FROM (SELECT 1 FROM tasks INDEXED BY claim"
    " WHERE state = 'queued' AND lane = ?1 AND priority = ?2 AND {} LIMIT {})"
)
AHEAD = "SELECT count(*) FROM ({} UNION ALL {})".format(
    _RANGE.format("rank < ?3", "?5"), _RANGE.format("rank = ?3 AND seq < ?4", "?5")
)
BEHIND = "SELECT count(*) FROM ({} UNION ALL {})".format(
    _RANGE.format("rank > ?3", FEW + 1), _RANGE.format("rank = ?3 AND seq >= ?4", FEW + 1)
)
_LOG = (
    "SELECT at_ms, attempt, before, after, reason, log.host, detail FROM log"
    " WHERE task = (SELECT seq FROM tasks WHERE id = ?) ORDER BY n"
)
_OF_TASK = "FROM results WHERE task = (SELECT seq FROM tasks WHERE id = ?)"
_RESULT = f"SELECT {RESULT_COLUMNS} {_OF_TASK}"
_PLAIN_RESULT = f"SELECT {PLAIN_COLUMNS}, NULL, NULL, NULL {_OF_TASK}"
