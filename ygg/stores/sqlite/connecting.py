"""A connection that reads alone."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

import apsw

from ygg import disks

SIDE_FILES = (
    apsw.CantOpenError,
    apsw.ReadOnlyError,
    apsw.IOError,
)  #: what it takes to make one says


def connected(path: Path, busy_ms: int) -> apsw.Connection:
    """A read-only connection, which has looked at the file. To read beside a writer SQLite makes a file of its own
    there; on a disk that takes none, a database with nothing in its log is read as it is. Raises
    apsw.Error."""
    try:
        return _ready(apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY), busy_ms)
    except SIDE_FILES:
        if _logged(path) or disks.looked(path) is None:
            raise
    as_it_is = f"file:{quote(str(path.absolute()))}?immutable=1"
    flags = apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI
    return _ready(apsw.Connection(as_it_is, flags=flags), busy_ms)


def _logged(path: Path) -> bool:
    """Whether its log holds something."""
    wal = path.with_name(f"{path.name}-wal")
    return wal.exists() and wal.stat().st_size > 0


def _ready(db: apsw.Connection, busy_ms: int) -> apsw.Connection:
    try:
        db.set_busy_timeout(busy_ms)
        for pragma in ("query_only = ON", "mmap_size = 0", "schema_version"):
            db.execute(f"PRAGMA {pragma}").fetchall()
    except BaseException:
        db.close()
        raise
    return db
