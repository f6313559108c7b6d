"""One owner for a database: a lock file that is named by the database's device and inode.

`flock` on `locks/DEV-INO` beside the database is held for the process's life: whoever has it knows that the
last owner is dead. The name comes from `stat`, so that whatever path or link leads to the file, the lock is
the same. The file says who has it and on which socket he listens, so that a command finds its daemon whatever
its environment. Nothing here, nor anywhere in a process that has the database open, opens the database itself
but SQLite: closing any descriptor of a file drops every POSIX lock that the process has on it. The next program
that closes the database then takes itself for the last one and deletes the log under its owner, with all
that the owner acknowledges from then on.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from pathlib import Path
from typing import NamedTuple

from ygg import disks, private
from ygg.errors import StoreError, StoreLocked

WAIT_S = 10.0  #: how long a daemon that starts and a command that writes wait for each other
POLL_S = 0.05
DISPATCHER, COMMAND = "dispatcher", "command"
FOLDER = "locks"


class Identity(NamedTuple):
    """What a file is, whatever it is called."""

    device: int
    inode: int

    @property
    def name(self) -> str:
        return f"{self.device:x}-{self.inode:x}"


class Owner(NamedTuple):
    """Who holds a database, as he says himself; a command listens on no socket, nor does `ygg loop --no-async`."""

    process: int
    role: str
    database: Path
    socket: Path | None = None
    user: int = -1  #: whom the lock file belongs to

    @property
    def serves(self) -> bool:
        return self.role == DISPATCHER

    def __str__(self) -> str:
        return f"{self.process} {self.role}\n{self.database}\n{self.socket or ''}\n"


def lock(path: Path, *, dispatcher: bool, socket: Path | None = None) -> int:
    """Own the database, which is created empty where there is none; the open lock file, which tells of `socket`.

    Two dispatchers do not wait for each other, and no command for a dispatcher: it is there to be asked. Raises
    StoreLocked, which names the owner's process, and StoreError where the directory cannot be written or the
    database has a second name.
    """
    real = Path(os.path.realpath(path))
    me = Owner(os.getpid(), DISPATCHER if dispatcher else COMMAND, real, socket)
    give_up = time.monotonic() + WAIT_S
    try:
        private.folder(real.parent)
        private.folder(real.parent / FOLDER)
        while True:
            if not real.exists() and (has := owner(real)) is not None:
                raise _locked(path, has)  # it was deleted under him: he saves what he knows
            identity = _identity(real)
            handle = _flocked(path, real.parent / FOLDER / identity.name, give_up, me)
            if _identity(real) == identity:
                return _alone(path, handle)
            os.close(handle)  # another file was put there meanwhile
    except OSError as error:
        raise disks.told(error, real.parent) or StoreError(
            f"{real.parent} cannot be written: {error.strerror}",
            hint="check its owner and permissions, or set YGG_STATE to another directory",
        ) from error


def owner(path: Path) -> Owner | None:
    """Who has the database now, be it deleted or replaced since; None where nobody has, or where that cannot be
    seen."""
    found = _of_file(path)
    if found is not None:
        return found
    real = Path(os.path.realpath(path))
    with contextlib.suppress(OSError):
        for lock_path in (real.parent / FOLDER).iterdir():
            found = _holder(lock_path)
            if found is not None and found.database == real:
                return found
    return None


def held(path: Path, process: int) -> bool:
    """Whether this process has the very file that is at `path`."""
    found = _of_file(path)
    return found is not None and found.process == process


def _of_file(path: Path) -> Owner | None:
    """Who has the very file that is there."""
    with contextlib.suppress(OSError):
        real = Path(os.path.realpath(path))
        return _holder(real.parent / FOLDER / identify(real).name)
    return None


def _holder(lock_path: Path) -> Owner | None:
    """Who holds this lock now. Raises OSError where it cannot be looked at."""
    handle = os.open(lock_path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        # Shared and for a moment: who takes the lock just now looks twice before he gives up.
        return None if _taken(handle, fcntl.LOCK_SH) else _owner(handle)
    finally:
        os.close(handle)


def identify(path: Path) -> Identity:
    """What the file at `path` is. Raises OSError."""
    found = os.stat(path)  # noqa: PTH116 - half the time of Path.stat, and a store asks before each commit
    return Identity(found.st_dev, found.st_ino)


def _identity(path: Path) -> Identity:
    """Of the database at `path`, made now if there is none: a new file, which nobody has open yet."""
    if not path.exists():
        private.made(path)
    return identify(path)


def _flocked(path: Path, lock_path: Path, give_up: float, me: Owner) -> int:
    """The lock file, open and locked, with its owner in it."""
    handle = private.opened(lock_path, os.O_RDWR)
    try:
        before: Owner | None = None
        while not _taken(handle, fcntl.LOCK_EX):
            has = _owner(handle)
            serves = has is not None and has.serves and has == before
            if time.monotonic() >= give_up or serves:
                raise _locked(path, has)
            before = has
            time.sleep(POLL_S)
        os.ftruncate(handle, 0)
        os.pwrite(handle, str(me).encode("utf-8", "surrogateescape"), 0)
    except BaseException:
        os.close(handle)
        raise
    return handle


def _taken(handle: int, how: int) -> bool:
    try:
        fcntl.flock(handle, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _owner(handle: int) -> Owner | None:
    """Who holds it, by what he has written; None while he has not."""
    said = os.pread(handle, 16_384, 0).decode("utf-8", "surrogateescape")
    who, database, socket, *_ = [*said.split("\n"), "", ""]
    process, _, role = who.partition(" ")
    if not process.isdecimal() or not role:
        return None
    where = Path(socket) if socket else None
    return Owner(int(process), role, Path(database), where, os.fstat(handle).st_uid)


def _locked(path: Path, owner: Owner | None) -> StoreLocked:
    who = f" (process {owner.process})" if owner is not None else ""
    return StoreLocked(
        f"{path} is in use by another ygg{who}",
        hint="stop it first (systemctl stop ygg, or Ctrl-C where it runs), or talk to it: ygg status",
    )


def _alone(path: Path, handle: int) -> int:
    """The handle, if the database has one name only: SQLite keeps a log for each name, so that two owners
    that came by two names would not see each other's."""
    found = path.stat()
    if found.st_nlink > 1:
        os.close(handle)
        raise StoreError(
            f"{path} has {found.st_nlink} names (hard links); a database can be used by one only",
            hint=f"remove the others: find / -xdev -inum {found.st_ino}",
        )
    return handle
