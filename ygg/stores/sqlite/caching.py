"""Answers that identical tasks share: found by `alike`, copied where they are lent."""

from __future__ import annotations

from typing import NamedTuple

import apsw

from ygg.model import NewTask
from ygg.stores.sqlite.rows import RESULT_COLUMNS

SCHEMA = 8  #: that brought it; `lends` is the milliseconds from its end on (1 in rows of before 9)

#: The newest answer that is lent, no older than ?2.
LENDER = (
    "SELECT tasks.seq, tasks.id, tasks.model FROM tasks INDEXED BY identical CROSS JOIN results ON task = tasks.seq"
    " WHERE alike = ?1 AND state = 'completed' AND finished_ms > ?2 AND finished_ms <= ?3 AND lends"
    " ORDER BY finished_ms DESC, tasks.seq DESC LIMIT 1"
)
#: A task that runs, else one that waits for a slot, else one that is to be tried again.
TWIN = (
    "SELECT id FROM tasks INDEXED BY identical WHERE alike = ? AND state IN ('processing', 'queued', 'scheduled')"
    " AND caller = ? AND NOT cancel_requested AND (state <> 'scheduled' OR attempt > 0)"
    " ORDER BY state, finished_ms, seq LIMIT 1"
)
COPY = f"INSERT INTO results (task, {RESULT_COLUMNS}) SELECT ?, {RESULT_COLUMNS} FROM results WHERE task = ?"
COUNT = (
    "SELECT count(DISTINCT alike) FROM tasks INDEXED BY lent WHERE lends AND state = 'completed'"
    " AND finished_ms > ?1 AND finished_ms <= ?2 AND alike >= ?3 AND alike < ?3 || '~'"
)


class Lender(NamedTuple):
    """The task whose answer another one gets."""

    seq: int
    id: str
    model: str | None


def lender(db: apsw.Connection, task: NewTask, now_ms: int) -> Lender | None:
    """Whose answer the task gets; None where it has to run."""
    shares = task.sharing
    if shares is None or shares.fresh_s is None or task.waits:
        return None
    since_ms = now_ms - round(shares.fresh_s * 1000)
    row = db.execute(LENDER, (shares.key, since_ms, now_ms)).fetchone()
    return None if row is None else Lender(*row)


def twin(db: apsw.Connection, task: NewTask) -> str | None:
    """The id of the task that will do for it; None where it needs one of its own."""
    shares = task.sharing
    if shares is None or not shares.join or task.waits:
        return None
    row = db.execute(TWIN, (shares.key, task.lane.caller)).fetchone()
    return None if row is None else str(row[0])


def count(db: apsw.Connection, prefix: str, since_ms: int, now_ms: int) -> int:
    """How many different answers that came in this time are lent; their keys begin so."""
    if db.execute("PRAGMA user_version").get < SCHEMA:
        return 0
    found: int = db.execute(COUNT, (since_ms, now_ms, prefix)).get
    return found
