"""The table of minutes: what each host did and showed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import astuple, fields

import apsw

from ygg.model import MinuteRow
from ygg.model.history import KEPT_MS
from ygg.stores.sqlite.rows import fetch

_NAMES = tuple(f.name for f in fields(MinuteRow))
_COLUMNS = ", ".join(f'"{name}"' for name in _NAMES)


def record(db: apsw.Connection, rows: Iterable[MinuteRow]) -> None:
    for row in rows:
        db.execute(_RECORD, astuple(row))


def minutes(db: apsw.Connection, host: str | None, since_ms: int) -> list[MinuteRow]:
    """From the oldest to the newest; none from a database that was made before there were any."""
    if db.execute("PRAGMA user_version").get < 2:
        return []
    return [MinuteRow(*row) for row in fetch(db, SINCE, (since_ms, host))]


def prune(db: apsw.Connection, now_ms: int, limit: int) -> int:
    """Delete up to `limit` rows that are too old; how many went."""
    old = fetch(db, OLD, (now_ms - KEPT_MS, limit))
    for key in old:
        db.execute("DELETE FROM minutes WHERE minute_ms = ? AND host = ?", key)
    return len(old)


_RECORD = f"INSERT OR REPLACE INTO minutes ({_COLUMNS}) VALUES ({', '.join('?' * len(_NAMES))})"
SINCE = (
    f"SELECT {_COLUMNS} FROM minutes WHERE minute_ms >= ?1 AND (?2 IS NULL OR host = ?2)"
    " ORDER BY minute_ms, host"
)
OLD = "SELECT minute_ms, host FROM minutes WHERE minute_ms < ? ORDER BY minute_ms, host LIMIT ?"
