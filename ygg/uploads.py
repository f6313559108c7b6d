"""Files that came with a task, each beside the database under the id of its task, readable by us alone.

Nothing that a client says becomes a path. A file is written under another name while it comes, and gets its own when it is
whole and on the disk; from then on it is kept as long as its task.
"""

from __future__ import annotations

import codecs
import contextlib
import hashlib
import os
import secrets
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from ygg import disks, private
from ygg.errors import StoreError, UploadsFull

FOLDER = "uploads"  #: in the state directory
HEAD = 8192  #: bytes that tell what a file is
FULL_S = 60.0  #: files whose tasks are gone are removed as often
COMING = ".part-"  #: how names of files begin that are not whole


class Part:
    """A file while it comes: its bytes go to the disk, what is told of it is worked out on the way."""

    def __init__(self, path: Path, enter: Callable[[Part, int], None]) -> None:
        """`enter` counts bytes that are to be written, and may refuse them. Raises OSError."""
        self.path, self.size, self.head, self._enter = path, 0, b"", enter
        self._digest, self._text = hashlib.sha256(), True
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._file = os.fdopen(private.opened(path, os.O_WRONLY | os.O_EXCL), "wb", buffering=0)

    def write(self, data: bytes) -> None:
        """Raises StoreError for a disk that takes no more, UploadsFull where no more is to be kept."""
        self._enter(self, len(data))
        self.head += data[: HEAD - len(self.head)]
        self._digest.update(data)
        self._text = self._text and self._reads(data)
        with told(self.path):
            self._all(data)

    def _all(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[self._file.write(view) :]

    def _reads(self, data: bytes, *, final: bool = False) -> bool:
        """Whether it is text so far. A NUL byte is in none that a model or the database takes."""
        try:
            self._decoder.decode(data, final)
        except UnicodeDecodeError:
            return False
        return b"\0" not in data

    @property
    def is_text(self) -> bool:
        """Whether all of it is UTF-8 text; asked once it is whole."""
        return self._text and self._reads(b"", final=True)

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()

    def sync(self) -> None:
        """All of it is on the disk. Raises StoreError."""
        with told(self.path), self._file:
            os.fsync(self._file.fileno())

    def leave(self) -> None:
        """It is not wanted, or has got its name."""
        self._file.close()
        self.path.unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class Kept:
    """A file as it stands in a request: its bytes are read when they are sent. `says`: what stands before its base64,
    where it is sent as text."""

    path: Path
    size: int  #: bytes
    media: str
    says: str = ""

    @property
    def as_url(self) -> Kept:
        """It stands as a URL that holds its content."""
        return replace(self, says=f"data:{self.media};base64,")


class Uploads:
    """The files beside one database. Of the processes that use it only the owner of its database writes."""

    def __init__(self, database: Path) -> None:
        self.folder = database.parent / FOLDER
        self._coming: set[str] = set()  #: names that no task has yet
        self._parts: set[Part] = set()
        self._room, self._lock = 0, threading.Lock()  #: bytes that may come now

    def begin(self, most: int) -> Part:
        """A new file, to be written; `end` follows whatever happens. `most`: bytes that all files together may have.
        Raises StoreError."""
        name = COMING + secrets.token_hex(8)
        with told(self.folder), self._lock:
            private.folder(self.folder)
            part = Part(self.folder / name, self._enter)
            self._coming.add(name)
            self._parts.add(part)
            kept = sum(_size(e) for e in os.scandir(self.folder) if e.name not in self._coming)
            self._room = most - kept - sum(part.size for part in tuple(self._parts))
        return part

    def _enter(self, part: Part, size: int) -> None:
        with self._lock:
            if size > self._room:
                raise UploadsFull(
                    "the files that are kept with tasks take all the room there is for them",
                    hint="delete ended tasks, or raise policies.upload_total; a file goes with its task",
                    retry_after_s=FULL_S,
                )
            self._room -= size
            part.size += size

    def keep(self, part: Part, task_id: str) -> None:
        """It is the file of this task, which may be submitted now. Raises StoreError."""
        part.sync()
        self._coming.add(task_id)
        with told(part.path):
            part.path.replace(self.folder / task_id)
            _sync_folder(self.folder)

    def end(self, part: Part, task_id: str | None) -> None:
        """Its way in is over; without a task it is removed when `prune` comes."""
        part.leave()
        self._parts.discard(part)
        self._coming -= {part.path.name, task_id}

    def drop(self, task_id: str) -> None:
        """Remove a file whose task is not there. Never raises."""
        with contextlib.suppress(OSError):
            (self.folder / task_id).unlink(missing_ok=True)

    def kept(self, task_id: str, media: str) -> Kept:
        """A task's file, which is of this kind. Raises OSError."""
        path = self.folder / task_id
        return Kept(path, path.stat().st_size, media)

    def names(self) -> list[str]:
        """Tasks whose files are here, and files that came to nothing; without those that are coming in."""
        try:
            found = [entry.name for entry in os.scandir(self.folder)]
        except FileNotFoundError:
            return []
        return [name for name in found if name not in self._coming]


def _size(entry: os.DirEntry[str]) -> int:
    """Bytes of a file; 0 for one that has just gone."""
    try:
        return entry.stat(follow_symlinks=False).st_size
    except FileNotFoundError:
        return 0


@contextlib.contextmanager
def told(path: Path) -> Iterator[None]:
    """What a disk does not take, in our words."""
    try:
        yield
    except OSError as error:
        trouble = disks.told(error, path)
        raise trouble or StoreError(
            f"{path.parent}: {error.strerror}", hint="look at that directory; nothing was stored"
        ) from error


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
