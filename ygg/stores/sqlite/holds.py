"""What a person has stopped, kept in `meta` so that it survives restarts."""

from __future__ import annotations

import apsw

from ygg.model import Holds
from ygg.stores.sqlite.rows import fetch

_DISPATCH, _HOST = "held", "held:"


def hold(db: apsw.Connection, host: str | None, held: bool) -> None:
    """Stop or resume one host; None is dispatch as a whole."""
    key = _DISPATCH if host is None else _HOST + host
    if held:
        db.execute("INSERT OR IGNORE INTO meta (key, value) VALUES (?, 1)", (key,))
    else:
        db.execute("DELETE FROM meta WHERE key = ?", (key,))


def holds(db: apsw.Connection) -> Holds:
    keys = {str(key) for (key,) in fetch(db, "SELECT key FROM meta WHERE key GLOB 'held*'")}
    hosts = frozenset(k.removeprefix(_HOST) for k in keys if k.startswith(_HOST))
    return Holds(_DISPATCH in keys, hosts)
