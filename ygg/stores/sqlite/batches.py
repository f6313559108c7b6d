"""The table of batches: what was submitted together, how far it is, and whose turn is next."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import apsw

from ygg.model import State
from ygg.model.batches import Batch, BatchView, OnFailure, several, unknown
from ygg.stores.sqlite.rows import STATES, fetch

SCHEMA = 7  #: that brought it
_DELETED = ("completed", "failed", "cancelled", "expired")
_COLUMNS = "id, caller, total, created_ms, on_failure, idempotency_key, body_hash"
_VIEW = f"SELECT {_COLUMNS}, {', '.join(_DELETED)} FROM batches"
_OPEN = "batch = batches.id AND state IN ('scheduled', 'queued', 'processing', 'blocked')"

#: Sequences of which nothing waits, runs or needs a person but what waits for its turn; whether they are to stop.
IDLE = (
    "SELECT id, coalesce(on_failure = 'stop' AND (failed + expired > 0 OR EXISTS (SELECT 1 FROM batch_counters"
    " WHERE batch = batches.id AND state IN ('failed', 'expired') AND n > 0)), 0)"
    " FROM batches INDEXED BY open_batches WHERE open AND NOT EXISTS (SELECT 1 FROM tasks INDEXED BY batch_open"
    f" WHERE {_OPEN} AND (reason IS 'batch_turn') = 0)"
)
#: Who waits for a turn, the first one first.
TURNS = (
    "SELECT seq FROM tasks INDEXED BY batch_open WHERE batch = ? AND state IN ('scheduled', 'queued', 'processing',"
    " 'blocked') AND (reason IS 'batch_turn') = 1 ORDER BY seq LIMIT ?"
)
STATES_OF = "SELECT id, state FROM tasks INDEXED BY by_batch WHERE batch = ? ORDER BY seq"
ANY_OPEN = (
    "SELECT 1 FROM batches INDEXED BY open_batches WHERE open AND EXISTS (SELECT 1 FROM tasks INDEXED BY batch_open"
    f" WHERE {_OPEN} AND (reason IS 'batch_turn') = 1) LIMIT 1"
)


def add(db: apsw.Connection, batch: Batch) -> None:
    values = (
        batch.id, batch.caller, batch.total, batch.created_ms, batch.on_failure, batch.idempotency_key,
        batch.body_hash, int(batch.on_failure is not None),
    )  # fmt: skip
    db.execute(
        f"INSERT INTO batches ({_COLUMNS}, open) VALUES ({', '.join('?' * len(values))})", values
    )


def by_key(db: apsw.Connection, caller: str, key: str) -> Batch | None:
    """What a caller has submitted with this key."""
    sql = f"SELECT {_COLUMNS} FROM batches WHERE caller = ? AND idempotency_key = ?"
    return next((_batch(row) for row in fetch(db, sql, (caller, key))), None)


def any_open(db: apsw.Connection) -> bool:
    """Whether tasks wait for others of their batch."""
    return bool(fetch(db, ANY_OPEN))


def set_open(db: apsw.Connection, batch_id: str, *, open_: bool) -> None:
    db.execute("UPDATE batches SET open = ? WHERE id = ?", (int(open_), batch_id))


def deleted(db: apsw.Connection, gone: Mapping[tuple[str, State], int]) -> None:
    """So many tasks of these batches were deleted; a batch goes with its last one."""
    for (batch_id, state), n in gone.items():
        sql = f"UPDATE batches SET {state} = {state} + ? WHERE id = ?"
        db.execute(sql, (n, batch_id))
    for batch_id in {batch_id for batch_id, _ in gone}:
        sql = f"DELETE FROM batches WHERE id = ? AND {' + '.join(_DELETED)} >= total"
        db.execute(sql, (batch_id,))


def view(db: apsw.Connection, batch_id: str, least_suffix: int) -> BatchView:
    """By id, or by the end of one that fits it alone. Raises NotFound, and InvalidInput where it fits several."""
    rows = fetch(db, f"{_VIEW} WHERE id = ?", (batch_id,)) if _there(db) else []
    if not rows and len(batch_id) >= least_suffix and _there(db):
        rows = fetch(db, f"{_VIEW} WHERE substr(id, -?1) = ?2 LIMIT 3", (len(batch_id), batch_id))
    if not rows:
        raise unknown(batch_id)
    if len(rows) > 1:
        raise several(batch_id, [row[0] for row in rows])
    return _view(db, rows[0])


def views(db: apsw.Connection, caller: str | None, limit: int) -> list[BatchView]:
    """The newest, of one caller or of all."""
    if not _there(db):
        return []
    sql = f"{_VIEW} WHERE ?1 IS NULL OR caller = ?1 ORDER BY created_ms DESC, id DESC LIMIT ?2"
    return [_view(db, row) for row in fetch(db, sql, (caller, limit))]


def states(db: apsw.Connection, batch_id: str) -> list[tuple[str, State]]:
    """Its tasks that are still there, in their order, each with its state."""
    return [(task_id, STATES[state]) for task_id, state in fetch(db, STATES_OF, (batch_id,))]


def _there(db: apsw.Connection) -> bool:
    version: int = db.execute("PRAGMA user_version").get
    return version >= SCHEMA


def _view(db: apsw.Connection, row: Any) -> BatchView:
    batch = _batch(row[:-4])
    counts = Counter({State(s): n for s, n in zip(_DELETED, row[-4:], strict=True)})
    sql = "SELECT state, n FROM batch_counters WHERE batch = ?"
    counts.update({STATES[state]: n for state, n in fetch(db, sql, (batch.id,))})
    return BatchView(batch, +counts)


def _batch(row: Any) -> Batch:
    id_, caller, total, created_ms, on_failure, key, body_hash = row
    how = None if on_failure is None else OnFailure(on_failure)
    return Batch(id_, caller, total, created_ms, how, key, body_hash)
