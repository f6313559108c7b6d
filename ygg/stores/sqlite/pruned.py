"""The table of what was deleted: the newest tasks that a store pruned."""

from __future__ import annotations

from collections.abc import Iterable

import apsw

from ygg.model import Pruned, State
from ygg.model.tasks import PRUNED_KEPT
from ygg.stores.sqlite.rows import fetch

_COLUMNS = "id, state, finished_ms, read_ms, pruned_ms"
_RECORD = f"INSERT OR REPLACE INTO pruned ({_COLUMNS}) VALUES (?, ?, ?, ?, ?)"
_FORGET = "DELETE FROM pruned WHERE seq <= (SELECT max(seq) FROM pruned) - ?"
BY_ID = f"SELECT {_COLUMNS} FROM pruned WHERE id = ?"
_BY_SUFFIX = f"SELECT {_COLUMNS} FROM pruned WHERE substr(id, -?1) = ?2 LIMIT 2"


def record(db: apsw.Connection, gone: Iterable[Pruned]) -> None:
    """Remember them, and no more than the newest `PRUNED_KEPT`."""
    for task in gone:
        db.execute(_RECORD, (task.id, task.state, task.finished_ms, task.read_ms, task.pruned_ms))
    db.execute(_FORGET, (PRUNED_KEPT,))


def find(db: apsw.Connection, task_id: str, least_suffix: int) -> Pruned | None:
    """By id, or by a suffix that fits one alone; none from a database that was made before there were any."""
    if db.execute("PRAGMA user_version").get < 5:
        return None
    rows = fetch(db, BY_ID, (task_id,))
    if not rows and len(task_id) >= least_suffix:
        rows = fetch(db, _BY_SUFFIX, (len(task_id), task_id))
    if len(rows) != 1:
        return None
    ((id_, state, *times),) = rows
    return Pruned(id_, State(state), *times)
