"""Recount a database from outside: what must hold after any fault."""

from __future__ import annotations

from pathlib import Path

import apsw

from ygg.model import TRANSITIONS, State


def audit(path: Path) -> None:
    """Audit a database file that may be in use."""
    db = apsw.Connection(str(path))
    try:
        audit_connection(db)
    finally:
        db.close()


def audit_connection(db: apsw.Connection) -> None:
    """AssertionError when the database is not sound: integrity, counters against a recount, legal and
    gapless event logs that end in the row's state, at most one accepted end per attempt."""
    assert db.execute("PRAGMA integrity_check").get == "ok"
    assert db.execute("PRAGMA foreign_key_check").fetchall() == []
    _counters(db)
    _logs(db)


def _counters(db: apsw.Connection) -> None:
    counted = {(a, b, c): n for a, b, c, n in db.execute("SELECT * FROM counters") if n}
    rows = db.execute("SELECT lane, priority, state, count(*) FROM tasks GROUP BY 1, 2, 3")
    assert counted == {(a, b, c): n for a, b, c, n in rows}
    counted = {(a, b): n for a, b, n in db.execute("SELECT * FROM batch_counters") if n}
    rows = db.execute("SELECT batch, state, count(*) FROM tasks WHERE batch NOT NULL GROUP BY 1, 2")
    assert counted == {(a, b): n for a, b, n in rows}


def _logs(db: apsw.Connection) -> None:
    for seq, state in db.execute("SELECT seq, state FROM tasks").fetchall():
        at: str | None = None
        ends: set[int] = set()
        sql = "SELECT attempt, before, after FROM log WHERE task = ? ORDER BY n"
        for attempt, before, after in db.execute(sql, (seq,)).fetchall():
            assert before == at, f"task {seq}: a gap in the log, {at} then {before} -> {after}"
            change = (State(before) if before else None, State(after))
            assert before == after or change in TRANSITIONS, f"task {seq}: {change}"
            if before == "processing" != after:
                assert attempt not in ends, f"task {seq}: two ends of attempt {attempt}"
                ends.add(attempt)
            at = after
        assert at == state, f"task {seq}: is {state}, its log ends in {at}"
