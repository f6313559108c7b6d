"""Files that nobody else may read: directories are 0700 and files 0600, whatever the umask.

Everything ygg keeps holds prompts and answers. Links are never followed at the last step, so that what
somebody else planted beside a file cannot lead a write astray.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import tempfile
from collections.abc import Callable
from pathlib import Path

OTHERS = 0o077
FLAGS = os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW


def folder(path: Path) -> None:
    """Make the directory with those above it that are missing; one that is there is closed to others. Raises
    OSError."""
    missing = [p for p in (path, *path.parents) if not p.exists()]
    for part in reversed(missing):
        with contextlib.suppress(FileExistsError):
            part.mkdir(mode=0o700)
            part.chmod(0o700)
    if not missing:
        close(path)


def close(path: Path) -> None:
    """Take from others what they may do with a file or directory of ours. One that is not ours, a shared directory
    such as /tmp and the home stay as they are."""
    with contextlib.suppress(OSError):
        found = path.lstat()
        ours = found.st_uid == os.geteuid() and not stat.S_ISLNK(found.st_mode)
        if ours and found.st_mode & OTHERS and not found.st_mode & stat.S_ISVTX and not _home(path):
            path.chmod(stat.S_IMODE(found.st_mode) & ~OTHERS)


def _home(path: Path) -> bool:
    return path in (Path(path.anchor), Path.home())


def opened(path: Path, flags: int) -> int:
    """A descriptor of the file, made 0600 where it is new. Raises OSError, also where `path` is a link."""
    try:
        handle = os.open(path, flags | FLAGS | os.O_EXCL, 0o600)
    except FileExistsError:
        if flags & os.O_EXCL:
            raise
        handle = os.open(path, flags | FLAGS, 0o600)
    try:
        _owned(handle, path)
        return handle
    except OSError:
        os.close(handle)
        raise


def _owned(handle: int, path: Path) -> None:
    """Close it to others. Raises PermissionError where it is somebody else's, who could open it again."""
    found, me = os.fstat(handle), os.geteuid()
    if found.st_uid == me:
        os.fchmod(handle, 0o600 | stat.S_IMODE(found.st_mode) & ~OTHERS)
    elif me != 0:
        raise PermissionError(errno.EPERM, "it belongs to another user", str(path))


def made(path: Path) -> None:
    """Make an empty file where there is none. Raises OSError."""
    with contextlib.suppress(FileExistsError):
        os.close(opened(path, os.O_WRONLY | os.O_EXCL))


def put(
    path: Path,
    content: str | bytes,
    *,
    mode: int = 0o600,
    check: Callable[[Path], object] | None = None,
) -> None:
    """The whole content in place in one move, synced, or nothing changed: also where `check`, which is shown the new
    file, raises. A file that was there keeps its mode. Raises OSError."""
    handle, name = tempfile.mkstemp(prefix=f".{path.name[:100]}.", dir=path.parent)
    part = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            os.fchmod(handle, _mode(path, mode))
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(handle)
        if check is not None:
            check(part)
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def _mode(path: Path, otherwise: int) -> int:
    try:
        return stat.S_IMODE(path.stat().st_mode)
    except FileNotFoundError:
        return otherwise
