"""What must not happen behind the back of who has a database open: the file deleted, replaced, or used by two.

The lock proves that nobody else has it, unless somebody removes the lock file. So a dispatcher also writes into
the database who it is, before it changes anything else, and takes that out when it closes. Whoever finds it
there looks whether that process lives; and where it does not, whether its log is still there.

A file that is gone goes on working for whoever has it open, and so does the log: what is written is lost at the
end of the process. Before each commit they are compared, by `stat`, with the files that were opened.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from pathlib import Path
from typing import Any, NamedTuple

import apsw

from ygg import private
from ygg.errors import StoreGone, StoreLocked
from ygg.locking import Identity, identify
from ygg.stores.sqlite.rows import fetch

SIDES = ("", "-wal", "-shm")
BOOT = Path("/proc/sys/kernel/random/boot_id")


class Guard:
    """Compares the files at `path` with those that SQLite opened there."""

    def __init__(self, path: Path) -> None:
        self._paths = [path.with_name(path.name + side) for side in SIDES]
        self._opened = {p: found for p in self._paths if (found := _there(p)) is not None}

    def check(self) -> None:
        """Raises StoreGone where one of them is another file by now, or none."""
        for path in self._paths:
            try:
                now, opened = _there(path), self._opened.get(path)
            except OSError:
                continue  # trouble with looking is no proof that it is gone
            if opened is None and now is not None:
                self._opened[path] = now  # SQLite makes the log when it first needs it
            elif now != opened:
                was = "was deleted" if now is None else "was replaced by another file"
                raise StoreGone(f"{path} {was} while ygg had it open", hint="ygg doctor")


def _there(path: Path) -> Identity | None:
    """None where nothing is. Raises OSError where that cannot be seen."""
    try:
        return identify(path)
    except (FileNotFoundError, NotADirectoryError):
        return None


def rescue(db: apsw.Connection, path: Path) -> Path:
    """Copy all that the open database holds into a new file beside its place. Raises OSError, apsw.Error."""
    private.folder(path.parent)
    stamp = time.strftime("%Y%m%d-%H%M%S")
    target = path.with_name(f"{path.name}.rescued-{stamp}")
    copy(db, target)
    return target


def copy(db: apsw.Connection, target: Path) -> None:
    """All that the open database holds in a new file, which nobody has. Raises OSError, apsw.Error."""
    private.made(target)
    db.execute("VACUUM INTO ?", (str(target),))
    with contextlib.closing(apsw.Connection(str(target))) as other:
        disown(other)


def refuse_lost(path: Path) -> None:
    """Raises StoreGone where there is no database, but what was rescued from one: a new, empty one would look
    as if the tasks had never been."""
    if os.access(path, os.F_OK):
        return
    rescued = sorted(path.parent.glob(f"{path.name}.rescued-*"))
    if rescued:
        raise StoreGone(
            f"{path} was deleted while ygg ran; its tasks are in {rescued[-1]}",
            hint=f"mv {rescued[-1]} {path}; or move it elsewhere to begin with an empty queue",
        )


# --- who has it ------------------------------------------------------------------------------------


class Process(NamedTuple):
    """A process, told from a later one that has its number, and the database file that it had open."""

    boot: str
    process: int
    started: str
    inode: int

    @property
    def lives(self) -> bool:
        """Whether it runs now, on this machine, and is not this process."""
        if self.process == os.getpid() or self.boot != _boot():
            return False
        with contextlib.suppress(PermissionError):  # another user's: it is there
            try:
                os.kill(self.process, 0)
            except ProcessLookupError:
                return False
        return self.started == _started(self.process)


def this_process(path: Path) -> Process:
    return Process(_boot(), os.getpid(), _started(os.getpid()), identify(path).inode)


def owner(db: apsw.Connection) -> Process | None:
    """The dispatcher that has not closed the database; None where each has."""
    rows = fetch(db, "SELECT value FROM meta WHERE key = 'owner'")
    if not rows:
        return None
    told: dict[str, Any] = json.loads(rows[0][0])
    return Process(**told)


def refuse_owned(db: apsw.Connection, path: Path, *, log_there: bool) -> None:
    """Raises StoreLocked where the dispatcher that had it last lives, whatever became of its lock, and StoreGone
    where it was killed and its log is missing."""
    last = owner(db)
    if last is None:
        return
    if last.lives:
        raise StoreLocked(
            f"{path} is in use by another ygg (process {last.process}), whose lock file was removed",
            hint=f"stop it first: kill {last.process}",
        )
    wal = path.with_name(f"{path.name}-wal")
    if last.inode == identify(path).inode and not log_there:
        raise StoreGone(
            f"{wal} is missing: it holds the last writes of a ygg that was killed",
            hint=f"put it back; or, to go on without them: touch {wal}",
        )


def own(db: apsw.Connection, me: Process) -> None:
    """Write down that this process has it. Inside a transaction."""
    sql = "INSERT OR REPLACE INTO meta (key, value) VALUES ('owner', ?)"
    db.execute(sql, (json.dumps(me._asdict()),))


def disown(db: apsw.Connection) -> None:
    db.execute("DELETE FROM meta WHERE key = 'owner'")


def _boot() -> str:
    try:
        return BOOT.read_text().strip()
    except OSError:  # no Linux
        return ""


def _started(process: int) -> str:
    """When the process began, in ticks since the machine did (proc(5), field 22); empty where nobody tells."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""
