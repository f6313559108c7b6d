"""Open a database file safely, once its lock is held: checks, migrations, a new epoch.

Schema files are numbered; each runs in one transaction with its `user_version`, after a `VACUUM INTO`
copy of an existing database. A file that is newer, foreign or damaged is refused and left as it is.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from importlib import resources
from pathlib import Path

import apsw

from ygg.errors import StoreCorrupt, StoreNewer
from ygg.stores.sqlite import guarding
from ygg.stores.sqlite.connecting import connected
from ygg.stores.sqlite.rows import fetch
from ygg.stores.sqlite.translating import translate

APPLICATION_ID = 0x79676731  # "ygg1": tells our files from other SQLite databases


def connect(path: Path) -> apsw.Connection:
    """The writing connection, checked and migrated. Raises a StoreError."""
    fresh = not path.exists() or path.stat().st_size == 0
    log_there = path.with_name(f"{path.name}-wal").exists()
    try:
        db = apsw.Connection(str(path))
    except (apsw.Error, OSError) as error:
        raise translate(error, str(path)) from error
    try:
        _prepare(db)
        if fresh or _never_begun(db):
            db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        else:
            _check(db, path)
            guarding.refuse_owned(db, path, log_there=log_there)
        migrate(db, path, fresh)
        guarding.disown(db)  # who had it last is dead; in the log with what he left there
        fold(db)
    except apsw.Error as error:
        db.close()
        raise translate(error, str(path)) from error
    except BaseException:
        db.close()
        raise
    return db


def _prepare(db: apsw.Connection) -> None:
    db.set_busy_timeout(5000)
    for pragma in (
        "journal_mode = WAL",
        "synchronous = FULL",
        "foreign_keys = ON",
        "trusted_schema = OFF",
        "mmap_size = 0",
        "wal_autocheckpoint = 0",  # the writer does it, after it has answered
    ):
        db.execute(f"PRAGMA {pragma}")


def fold(db: apsw.Connection) -> None:
    """Write what the last owner left in the log into the database, synced: he may have been killed before his
    sync, or have ended because one failed. A reader may be in the way, who does no harm."""
    with contextlib.suppress(apsw.BusyError):
        db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)


def _check(db: apsw.Connection, path: Path) -> None:
    """Ours, not newer than we are, and sound at first sight."""
    if db.execute("PRAGMA application_id").get != APPLICATION_ID:
        raise StoreCorrupt(
            f"{path} is an SQLite database, but not one of ygg's",
            hint="move it away, or set YGG_STATE to another directory",
        )
    version = db.execute("PRAGMA user_version").get
    newest = newest_schema()
    if version > newest:
        raise StoreNewer(
            f"{path} has schema {version}, this ygg knows {newest}",
            hint="upgrade ygg, or restore the backup made before the upgrade",
        )
    found = db.execute("PRAGMA quick_check(1)").get if _small(path) else "ok"
    if found != "ok":
        raise StoreCorrupt(
            f"{path} is damaged: {found}",
            hint="move it away and restore a backup; ygg never overwrites it",
        )


def _never_begun(db: apsw.Connection) -> bool:
    """The header of a database whose first start was killed before anything was in it."""
    marks = [db.execute(f"PRAGMA {name}").get for name in ("application_id", "user_version")]
    return marks == [0, 0] and not db.execute("SELECT count(*) FROM sqlite_schema").get


def bare(path: Path) -> bool:
    """Whether a database has no table yet. What is wrong with one that cannot be read its reader says."""
    try:
        with contextlib.closing(connected(path, 5000)) as db:
            return not db.execute("SELECT count(*) FROM sqlite_schema").get
    except apsw.Error:
        return False


def _small(path: Path) -> bool:
    """quick_check costs 0.5 s at a million rows; larger files are checked by `ygg doctor`."""
    return path.stat().st_size < 50_000_000


def newest_schema() -> int:
    """The newest schema this ygg knows."""
    return len(list(_schema_files()))


def _schema_files() -> Iterator[tuple[int, str]]:
    folder = resources.files("ygg.stores.sqlite")
    names = sorted(f.name for f in folder.iterdir() if f.name.endswith(".sql"))
    for name in names:
        yield int(name.removesuffix(".sql")), (folder / name).read_text(encoding="utf-8")


def migrate(db: apsw.Connection, path: Path, fresh: bool) -> None:
    """Run the schema files above `user_version`, each in one transaction, after a copy of what there is."""
    version = db.execute("PRAGMA user_version").get
    newer = [(number, sql) for number, sql in _schema_files() if number > version]
    if newer and not fresh and version > 0:
        _backup(db, path, version)
    for number, sql in newer:
        db.execute("BEGIN IMMEDIATE")
        try:
            db.execute(sql)
            db.execute(f"PRAGMA user_version = {number}")
            db.execute("COMMIT")
        except BaseException:
            if db.in_transaction:
                db.execute("ROLLBACK")
            raise


def _backup(db: apsw.Connection, path: Path, version: int) -> None:
    target = path.with_name(f"{path.name}.schema{version}.bak")
    target.unlink(missing_ok=True)
    guarding.copy(db, target)


def drop_copies(path: Path, before_s: float) -> None:
    """Delete the copies of before a migration that are older: they hold what is pruned from the database."""
    for copy in path.parent.glob(f"{path.name}.schema*.bak"):
        with contextlib.suppress(OSError):
            if copy.stat().st_mtime < before_s:
                copy.unlink()


def next_epoch(db: apsw.Connection, me: guarding.Process) -> int:
    """Count one more run of a dispatcher and note which process it is, in the database file itself."""
    db.execute("BEGIN IMMEDIATE")
    sql = (
        "INSERT INTO meta (key, value) VALUES ('epoch', 1)"
        " ON CONFLICT (key) DO UPDATE SET value = value + 1 RETURNING value"
    )
    epoch: int = fetch(db, sql)[0][0]
    guarding.own(db, me)
    db.execute("COMMIT")
    fold(db)
    return epoch


def current_epoch(db: apsw.Connection) -> int:
    epoch: int | None = db.execute("SELECT value FROM meta WHERE key = 'epoch'").get
    return epoch or 0
