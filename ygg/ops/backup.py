"""`ygg backup`: a checked copy of the database in one file, taken while a daemon runs.

The copy grows in `.NAME.part` beside its target and is renamed when it is whole and on disk: what
stands at the target is always a sound database. A part that a killed backup left is used again by the
next one; its lock tells it from one that is being written.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ygg import paths, private
from ygg.desk import JsonDict
from ygg.errors import Conflict, InvalidInput, YggError


@dataclass(frozen=True, slots=True)
class Backup:
    """A finished copy."""

    source: Path
    path: Path
    size: int
    tasks: int
    took_s: float

    def body(self) -> JsonDict:
        return {
            "schema": "ygg.backup/1",
            "source": str(self.source),
            "path": str(self.path),
            "bytes": self.size,
            "tasks": self.tasks,
            "seconds": round(self.took_s, 3),
        }


def database(socket: str | None, env: Mapping[str, str]) -> Path:
    """The running daemon's database, else the one of the state directory. Raises Unavailable."""
    from ygg.client import connect

    own = paths.state_dir(env) / paths.DATABASE
    remote = connect(socket, env)
    if remote is None:
        return own
    try:
        daemon = remote.status(probe=False)["daemon"] or {}
    finally:
        remote.close()
    return Path(daemon.get("store") or own)


def back_up(
    source: Path, target: Path, *, force: bool, progress: Callable[[int, int], None]
) -> Backup:
    """Copy `source` to `target`; `progress` gets pages done and pages in all.

    Raises NotFound without a database, Conflict when `target` is there and `force` is not given,
    InvalidInput for a target that must not be replaced, YggError when it cannot be written and
    StoreError when the database cannot be read or is damaged.
    """
    from ygg.stores.sqlite import inspecting

    begun = time.monotonic()
    _free(source, target, force)
    with _part(target) as (part, handle):
        tasks = inspecting.copy(source, part, progress)
        os.fsync(handle)
        _free(source, target, force)
        part.replace(target)
        _sync_folder(target.parent)
        size = target.stat().st_size
    return Backup(source, target, size, tasks, time.monotonic() - begun)


def _free(source: Path, target: Path, force: bool) -> None:
    """Whether the target may be written. Never the database, its log, its lock, or a device."""
    if target.parent.resolve() == source.parent.resolve() and target.name in _own(source.name):
        raise InvalidInput(f"{target} belongs to the database itself", hint="name another file")
    if not os.path.lexists(target):
        return
    if _is(target, source):
        raise InvalidInput(f"{target} is the database itself", hint="name another file")
    if not target.is_file():
        raise InvalidInput(f"{target} is no regular file", hint="name a file, such as ygg.bak")
    if not force:
        raise Conflict(
            f"{target} is already there", hint="name another file, or --force replaces it"
        )


def _is(target: Path, source: Path) -> bool:
    try:
        return target.samefile(source)
    except OSError:
        return False


SIDES = ("-wal", "-shm", "-journal")  #: what SQLite keeps beside a database


def _own(name: str) -> tuple[str, ...]:
    return (name, f"{name}.lock", *(f"{name}{side}" for side in SIDES))


@contextmanager
def _part(target: Path) -> Iterator[tuple[Path, int]]:
    """An empty, locked file beside the target; gone afterwards unless it was renamed."""
    part = target.with_name(f".{target.name}.part")
    try:
        handle = _locked(part)
    except OSError as error:
        raise _unwritable(target, error) from error
    try:
        yield part, handle
    except OSError as error:
        raise _unwritable(target, error) from error
    finally:
        _clean(part, handle)
        os.close(handle)


def _locked(part: Path) -> int:
    """Open, lock and empty the file. Conflict while another backup writes it."""
    while True:
        handle = private.opened(part, os.O_RDWR)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _same(handle, part):
                os.ftruncate(handle, 0)
                _drop_sides(part)
                return handle
        except BlockingIOError:
            os.close(handle)
            raise Conflict(f"another backup writes {part}", hint="wait until it is done") from None
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)  # another backup has finished with this file in between


def _clean(part: Path, handle: int) -> None:
    """Remove what was not renamed."""
    if _same(handle, part):
        part.unlink()
        _drop_sides(part)


def _drop_sides(part: Path) -> None:
    for side in SIDES:
        part.with_name(part.name + side).unlink(missing_ok=True)


def _same(handle: int, part: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), part.lstat())
    except FileNotFoundError:
        return False


def _unwritable(target: Path, error: OSError) -> YggError:
    return YggError(
        f"{target} cannot be written: {error.strerror or error}",
        hint="check its directory, free space and permissions; nothing was left behind",
    )


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
