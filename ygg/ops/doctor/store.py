"""Is the database sound, is there room for it, and is the SQLite under it a good one?"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

from apsw import sqlite_lib_version

from ygg.errors import NotFound, StoreCorrupt, YggError
from ygg.ops.doctor.checks import Check, Maker, Probe
from ygg.stores.sqlite import inspecting

CHECK_S = 2.0  #: for the integrity check: longer ones are left to `ygg backup`
LOG_MAX = (
    64 * 1024 * 1024
)  #: the writer folds the log at 4 MB: much more means a reader holds it up
FREE_LOW, FREE_LEAST = 1_000_000_000, 100_000_000
SQLITE_LEAST = (3, 51, 3)  #: the first release without the WAL-reset bug

Where = Callable[[], Awaitable[Path]]  #: the daemon's database, else that of the state directory


def probes(where: Where) -> list[Probe]:
    async def off_loop(work: Callable[[Path], list[Check]]) -> list[Check]:
        return await asyncio.to_thread(work, await where())

    return [
        Probe("integrity", "store", lambda: off_loop(integrity)),
        Probe("database", "store", lambda: off_loop(state)),
        Probe("disk", "store", lambda: off_loop(disk)),
        Probe("sqlite", "store", sqlite),
    ]


def integrity(database: Path) -> list[Check]:
    """SQLite's quick_check, for as long as there is time."""
    of = Maker("integrity", "store")
    try:
        found = inspecting.quick_check(database, CHECK_S)
    except NotFound:
        return []
    except StoreCorrupt as error:
        return [of.error(error.message, fix=RESTORE)]
    except YggError as error:
        return [of.warning(error.message, fix=error.hint)]
    if found is None:
        text = f"not checked to the end: it takes longer than {CHECK_S:g} s"
        return [of.ok(text, fix="ygg backup FILE checks the whole copy")]
    if found != "ok":
        return [of.error(f"{database} is damaged: {found}", fix=RESTORE)]
    return [of.ok(f"{database} is sound")]


RESTORE = "stop the daemon, move the file away and put a backup in its place"


def state(database: Path) -> list[Check]:
    """Schema and write-ahead log."""
    of = Maker("database", "store")
    try:
        facts = inspecting.facts(database)
    except NotFound:
        return [of.ok(f"no database at {database} yet: the first task makes it")]
    except YggError as error:
        return [of.warning(error.message, fix=error.hint)]
    if not facts.ours:
        text = f"{database} is an SQLite database, but not one of ygg's"
        return [of.error(text, fix="move it away, or set YGG_STATE to another directory")]
    return [_schema(facts), _log(facts)]


def _schema(facts: inspecting.StoreFacts) -> Check:
    of = Maker("schema", "store")
    if facts.schema > facts.newest_schema:
        text = f"schema {facts.schema}, but this ygg knows only {facts.newest_schema}"
        return of.error(text, fix="upgrade ygg, or restore the backup made before the upgrade")
    if facts.schema < facts.newest_schema:
        return of.ok(f"schema {facts.schema}: the next start makes it {facts.newest_schema}")
    return of.ok(f"schema {facts.schema}, {facts.size / 1e6:,.1f} MB")


def _log(facts: inspecting.StoreFacts) -> Check:
    of = Maker("log", "store")
    if facts.log_size > LOG_MAX:
        text = f"the write-ahead log is {facts.log_size / 1e6:,.0f} MB: it is not being folded in"
        why = "a program that keeps the database open for reading holds it up"
        return of.warning(text, why, "end long reads of the database, or restart the daemon")
    return of.ok(f"write-ahead log of {facts.log_size / 1e6:,.1f} MB")


def disk(database: Path) -> list[Check]:
    """Room and permission where the database is, or will be."""
    of = Maker("disk", "store")
    folder = _existing(database.parent)
    try:
        numbers = os.statvfs(folder)
    except OSError as error:
        return [of.error(f"{folder} cannot be looked at: {error.strerror}")]
    free = numbers.f_bavail * numbers.f_frsize
    text = f"{free / 1e9:,.1f} GB free at {folder}"
    if free < FREE_LEAST:
        return [of.error(f"only {free / 1e6:,.0f} MB free at {folder}", fix=ROOM)]
    if free < FREE_LOW:
        return [of.warning(text, fix=ROOM)]
    if not os.access(folder, os.W_OK | os.X_OK):
        return [of.warning(f"{text}, but you may not write there", fix=OWNER)]
    return [of.ok(text)]


ROOM = "free some space, or set YGG_STATE to a larger disk; a full disk refuses new tasks"
OWNER = "use the daemon, or be its user: sudo -u ygg ygg ..."


def _existing(folder: Path) -> Path:
    """The folder, or the nearest one above it that is there."""
    return next((p for p in (folder, *folder.parents) if os.path.lexists(p)), Path("/"))


async def sqlite() -> list[Check]:
    of = Maker("sqlite", "store")
    version = sqlite_lib_version()
    if tuple(int(n) for n in version.split(".")) < SQLITE_LEAST:
        least = ".".join(map(str, SQLITE_LEAST))
        text = (
            f"SQLite {version} can damage a database in WAL mode; {least} is the first that cannot"
        )
        return [of.error(text, fix="pip install --upgrade apsw")]
    return [of.ok(f"SQLite {version}")]
