"""The table of tokens."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import apsw

from ygg.model import Priority, Token
from ygg.model.tokens import Rate, Scope, taken, unknown
from ygg.stores.sqlite.connecting import connected
from ygg.stores.sqlite.rows import fetch
from ygg.stores.sqlite.translating import translate

SCHEMA = 6  #: that brought it
_COLUMNS = (
    "name, digest, scope, created_ms, expires_ms, max_priority, rate_count, rate_s, revoked_ms"
)


def tokens(db: apsw.Connection) -> list[Token]:
    """By name; none from a database that was made before there were any."""
    if db.execute("PRAGMA user_version").get < SCHEMA:
        return []
    return [_token(row) for row in fetch(db, f"SELECT {_COLUMNS} FROM tokens ORDER BY name")]


def any_holds(path: Path) -> bool:
    """Whether this database lets somebody in now. Raises a StoreError."""
    if not path.exists():
        return False
    try:
        with closing(connected(path, 5000)) as db:
            return any(token.live(time.time_ns() // 1_000_000) for token in tokens(db))
    except apsw.Error as error:
        raise translate(error, str(path)) from error


def add(db: apsw.Connection, token: Token) -> None:
    """Raises Conflict where one of that name is not revoked."""
    db.execute("DELETE FROM tokens WHERE name = ? AND revoked_ms IS NOT NULL", (token.name,))
    if fetch(db, "SELECT 1 FROM tokens WHERE name = ?", (token.name,)):
        raise taken(token.name)
    count, period_s = token.rate or (None, None)
    values = (
        token.name, token.digest, token.scope, token.created_ms, token.expires_ms, token.max_priority,
        count, period_s, token.revoked_ms,
    )  # fmt: skip
    db.execute(f"INSERT INTO tokens ({_COLUMNS}) VALUES ({', '.join('?' * len(values))})", values)


def revoke(db: apsw.Connection, name: str, now_ms: int) -> None:
    """Raises NotFound where there is none; one that is revoked stays as it is."""
    if not fetch(db, "SELECT 1 FROM tokens WHERE name = ?", (name,)):
        raise unknown(name)
    sql = "UPDATE tokens SET revoked_ms = ? WHERE name = ? AND revoked_ms IS NULL"
    db.execute(sql, (now_ms, name))


def _token(row: Sequence[Any]) -> Token:
    name, digest, scope, created_ms, expires_ms, best, count, period_s, revoked_ms = row
    rate = None if count is None else Rate(count, period_s)
    return Token(
        name, digest, Scope(scope), created_ms, expires_ms, Priority(best), rate, revoked_ms
    )
