"""Exceptions of SQLite, and of binding values, in ygg's words."""

from __future__ import annotations

from pathlib import Path

import apsw

from ygg import disks
from ygg.errors import InvalidInput, StoreCorrupt, StoreError, StoreLocked


def translate(error: Exception, path: str) -> Exception:
    """An exception of SQLite or of binding values, in ygg's words. Others pass through."""
    match error:
        case apsw.FullError():
            return disks.full(path)
        case apsw.CorruptError() | apsw.NotADBError():
            return StoreCorrupt(
                f"{path} is not a healthy ygg database: {error}",
                hint="move it away and restore a backup; ygg never overwrites it",
            )
        case apsw.ReadOnlyError() | apsw.CantOpenError() | apsw.PermissionsError():
            return disks.looked(Path(path)) or StoreError(
                f"{path} cannot be written: {error}", hint="check owner and permissions"
            )
        case apsw.BusyError() | apsw.LockedError():
            return StoreLocked(
                f"{path} is in use by another program", hint="close it and try again"
            )
        case UnicodeEncodeError():
            return InvalidInput("the text holds lone surrogates, which are no valid Unicode")
        case OverflowError():
            return InvalidInput("a number is outside the range of 64 bits")
        case apsw.IOError():
            return disks.looked(Path(path)) or StoreError(
                f"{path}: {error}", hint="look at the disk: dmesg"
            )
        case apsw.Error():
            return StoreError(f"{path}: {error}")
        case _:
            return error
