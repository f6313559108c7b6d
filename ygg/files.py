"""Files that a setting or a flag names: regular ones, with a limit, so that reading them ends.

Standard library only. A network's disk may still keep whoever reads waiting: not for the event loop's thread.
"""

from __future__ import annotations

import errno
import re
import stat
from pathlib import Path
from typing import BinaryIO

KNOWN_HOSTS_MAX = 4 * 1024 * 1024  #: bytes of one known_hosts file
_HANDED = re.compile(r"/dev/(stdin|fd/\d+)|/proc/self/fd/\d+")  #: a shell's `<(command)` is one
_KINDS = {
    stat.S_IFIFO: "a pipe",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
}


def read(path: Path, most: int) -> bytes:
    """All of a file. Raises as `opened`, and OSError for more than `most` bytes."""
    with opened(path) as file:
        return whole(file, most)


def whole(stream: BinaryIO, most: int) -> bytes:
    """All that comes. OSError for more than `most` bytes, read no further."""
    data = stream.read(most + 1)
    if len(data) > most:
        raise OSError(errno.EFBIG, f"it is longer than {most // 1024:,} KiB")
    return data


def opened(path: Path) -> BinaryIO:
    """A regular file, or a pipe that the shell handed over as /dev/fd/N.

    Raises OSError, whose strerror is for people, for what is not there, may not be read or is something
    else: it would wait for a writer, or never end. ValueError for a NUL byte in the name."""
    _check(path, path.stat().st_mode)  # before it is opened: that alone may wait, or do something
    return path.open("rb")


def _check(path: Path, mode: int) -> None:
    kind = stat.S_IFMT(mode)
    handed = kind == stat.S_IFIFO and _HANDED.fullmatch(str(path))
    if kind == stat.S_IFDIR:
        raise IsADirectoryError(errno.EISDIR, "it is a directory", str(path))
    if kind != stat.S_IFREG and not handed:
        text = f"it is {_KINDS.get(kind, 'something else')}, no regular file"
        raise OSError(errno.EINVAL, text, str(path))
