"""Looking at a database file from outside, and copying it: read-only, beside a running daemon."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import apsw

from ygg.errors import NotFound, StoreCorrupt, StoreError, YggError
from ygg.stores.sqlite.connecting import connected
from ygg.stores.sqlite.guarding import disown
from ygg.stores.sqlite.opening import APPLICATION_ID, newest_schema
from ygg.stores.sqlite.translating import translate

PAGES = 1000  #: pages of one step of a copy, about 4 MB
STEPS = 50_000  #: virtual machine steps between two looks at the clock and at signals

Progress = Callable[[int, int], None]  #: pages done, pages in all


@dataclass(frozen=True, slots=True)
class StoreFacts:
    """What a database file tells about itself. `newest_ms` is when its newest task was created."""

    size: int
    log_size: int  #: of the write-ahead log beside it
    schema: int
    newest_schema: int  #: the newest one this ygg knows
    ours: bool  #: made by ygg, not another SQLite database
    newest_ms: int | None


@contextmanager
def reading(path: Path) -> Iterator[apsw.Connection]:
    """A read-only connection. NotFound without a database; StoreError when it cannot be read."""
    present(path)
    try:
        with closing(connected(path, 2000)) as db:
            yield db
    except (apsw.CantOpenError, apsw.ReadOnlyError, apsw.PermissionsError) as error:
        raise _unreadable(path, str(error)) from error
    except apsw.Error as error:
        raise translate(error, str(path)) from error


def present(path: Path) -> None:
    """Raises NotFound without a database, StoreError where it may not be read."""
    try:
        there = path.exists()
    except OSError as error:
        raise _unreadable(path, error.strerror or str(error)) from error
    if not there:
        raise absent(path)
    if not os.access(path, os.R_OK):
        raise _unreadable(path, "permission denied")


def absent(path: Path) -> NotFound:
    return NotFound(f"there is no database at {path} yet", hint="ygg submit creates it")


def _unreadable(path: Path, why: str) -> StoreError:
    try:
        owner = path.owner()
    except (OSError, LookupError):
        owner = "ygg"
    return StoreError(
        f"{path} cannot be read: {why}", hint=f"run it as its owner: sudo -u {owner} ygg ..."
    )


def facts(path: Path) -> StoreFacts:
    """Sizes, schema and newest task. Raises NotFound, StoreError."""
    with reading(path) as db:
        ours = db.execute("PRAGMA application_id").get == APPLICATION_ID
        sql = "SELECT created_ms FROM tasks ORDER BY seq DESC LIMIT 1"
        return StoreFacts(
            size=path.stat().st_size,
            log_size=_size(path.with_name(path.name + "-wal")),
            schema=db.execute("PRAGMA user_version").get,
            newest_schema=newest_schema(),
            ours=ours,
            newest_ms=db.execute(sql).get if ours else None,
        )


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def quick_check(path: Path, limit_s: float) -> str | None:
    """`ok`, what is damaged, or None when `limit_s` was too short. Raises NotFound, StoreError."""
    give_up = time.monotonic() + limit_s
    try:
        with reading(path) as db:
            db.set_progress_handler(lambda: time.monotonic() > give_up, STEPS)
            return str(db.execute("PRAGMA quick_check(1)").get)
    except StoreError as error:
        if isinstance(error.__cause__, apsw.InterruptError):
            return None
        raise


def copy(source: Path, target: Path, progress: Progress) -> int:
    """Copy the database as it is now into the empty file `target`, and check the copy in full.

    Writers go on meanwhile: the copy holds what was committed when it began, in one file without a
    log. Returns how many tasks it holds. Raises NotFound and StoreError for the source, YggError when
    `target` cannot be written, StoreCorrupt when the copy is not sound.
    """
    with reading(source) as origin:
        origin.execute("BEGIN")  # pins one moment: no write of others makes the copy start again
        if origin.execute("PRAGMA application_id").get != APPLICATION_ID:
            raise StoreCorrupt(f"{source} is no database of ygg", hint="set YGG_STATE")
        try:
            with closing(apsw.Connection(str(target))) as db:
                # The caller syncs the file as a whole, and throws it away when it is not.
                db.execute("PRAGMA synchronous = OFF; PRAGMA journal_mode = OFF")
                _pages(origin, db, progress)
                return _verified(db, source)
        except (apsw.FullError, apsw.IOError, apsw.CantOpenError, apsw.ReadOnlyError) as error:
            raise YggError(
                f"{target.parent} cannot be written: {error}",
                hint="check its free space and permissions; nothing was left behind",
            ) from error


def _pages(origin: apsw.Connection, db: apsw.Connection, progress: Progress) -> None:
    with db.backup("main", origin, "main") as work:
        while not work.done:
            work.step(PAGES)
            progress(work.page_count - work.remaining, work.page_count)


def _verified(db: apsw.Connection, source: Path) -> int:
    """The number of tasks of a sound copy, made a single file. Raises StoreCorrupt."""
    db.set_progress_handler(lambda: False, STEPS)  # so that Ctrl-C is heard
    db.execute("PRAGMA journal_mode = DELETE")
    disown(db)
    found = db.execute("PRAGMA integrity_check(1)").get
    if found != "ok":
        raise StoreCorrupt(
            f"the copy of {source} is damaged: {found}",
            hint="the database itself is likely damaged: ygg doctor",
        )
    return int(db.execute("SELECT coalesce(sum(n), 0) FROM counters").get)
