"""What is wrong with a disk: full, or mounted so that nothing can be written. Trouble that ends without a restart."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import NamedTuple

from ygg.errors import StoreError, StoreFull, StoreReadOnly

LEAST_BYTES = 65_536  #: SQLite needs more than that to begin
FULL = (errno.ENOSPC, errno.EDQUOT)


def told(error: OSError, path: Path) -> StoreError | None:
    """The error in our words, where it is one of the disk that `path` is or would be on."""
    if error.errno in FULL:
        return full(path)
    return read_only(path) if error.errno == errno.EROFS else None


def looked(path: Path) -> StoreError | None:
    """The same by looking at the disk, for errors that say too little. None where nothing is wrong with it, or nothing
    can be seen."""
    there = next((p for p in (path, *path.parents) if p.exists()), path)
    try:
        disk = os.statvfs(there)
    except OSError:
        return None
    if disk.f_flag & os.ST_RDONLY:
        return read_only(path)
    no_files = disk.f_files > 0 and disk.f_favail == 0
    return full(path) if no_files or disk.f_bavail * disk.f_frsize < LEAST_BYTES else None


class Room(NamedTuple):
    """Bytes of a disk: those that may still be written, and all."""

    free: int
    size: int


def room(path: Path) -> Room | None:
    """Of the disk that `path` is on; None where it cannot be looked at."""
    try:
        disk = os.statvfs(path)
    except OSError:
        return None
    return Room(disk.f_bavail * disk.f_frsize, disk.f_blocks * disk.f_frsize)


def full(path: Path | str) -> StoreFull:
    return StoreFull(f"{path}: the disk is full", hint="free some space; nothing was stored")


def read_only(path: Path | str) -> StoreReadOnly:
    return StoreReadOnly(
        f"{path}: the disk is mounted read-only",
        hint="mount it writable (dmesg may say why it is not), or set YGG_STATE to another directory",
    )
