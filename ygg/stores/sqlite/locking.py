"""One owner for a database: a lock file that is named by the database's device and inode.

`flock` on `locks/DEV-INO` beside the database is held for the process's life: whoever has it knows that the
last owner is dead. The name comes from `stat`, so that whatever path or link leads to the file, the lock is
the same. Nothing here, nor anywhere in a process that has the database open, opens the database itself but
SQLite: closing any descriptor of a file drops every POSIX lock that the process has on it. The next program
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

from ygg.errors import StoreError, StoreLocked

WAIT_S = 10.0  #: how long a daemon that starts and a command that writes wait for each other
POLL_S = 0.05
DISPATCHER, COMMAND = "dispatcher", "command"


class Identity(NamedTuple):
    """What a file is, whatever it is called."""

    device: int
    inode: int

    @property
    def name(self) -> str:
        return f"{self.device:x}-{self.inode:x}"


def lock(path: Path, *, dispatcher: bool) -> int:
    """Own the database, which is created empty where there is none; the open lock file.

    A dispatcher does not wait for another one. Raises StoreLocked, which names the owner's process, and
    StoreError where the directory cannot be written or the database has a second name.
    """
    real = Path(os.path.realpath(path))
    give_up = time.monotonic() + WAIT_S
    try:
        folder = real.parent / "locks"
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        while True:
            identity = _identity(real)
            handle = _flocked(path, folder / identity.name, give_up, dispatcher=dispatcher)
            if _identity(real) == identity:
                return _alone(path, handle)
            os.close(handle)  # another file was put there meanwhile
    except OSError as error:
        raise StoreError(
            f"{real.parent} cannot be written: {error.strerror}",
            hint="check its owner and permissions, or set YGG_STATE to another directory",
        ) from error


def _identity(path: Path) -> Identity:
    """Of the database at `path`, made now if there is none: a new file, which nobody has open yet."""
    with contextlib.suppress(FileExistsError):
        if not path.exists():
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))
    found = path.stat()
    return Identity(found.st_dev, found.st_ino)


def _flocked(path: Path, lock_path: Path, give_up: float, *, dispatcher: bool) -> int:
    """The lock file, open and locked, with process and role of its owner in it."""
    role = DISPATCHER if dispatcher else COMMAND
    handle = os.open(lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        while not _taken(handle):
            owner, its_role = _owner(handle)
            if time.monotonic() >= give_up or role == its_role == DISPATCHER:
                raise _locked(path, owner)
            time.sleep(POLL_S)
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"{os.getpid()} {role}\n".encode(), 0)
    except BaseException:
        os.close(handle)
        raise
    return handle


def _taken(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _owner(handle: int) -> tuple[str, str]:
    """Process and role of who holds it; empty while it has not said so yet."""
    said = os.pread(handle, 64, 0).decode("ascii", "replace").split()
    return (said[0], said[1]) if len(said) == 2 else ("", "")


def _locked(path: Path, owner: str) -> StoreLocked:
    return StoreLocked(
        f"{path} is in use by another ygg{f' (process {owner})' if owner else ''}",
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
