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
from collections.abc import Iterator
from pathlib import Path

from ygg import disks, private
from ygg.errors import StoreError

FOLDER = "uploads"  #: in the state directory
HEAD = 8192  #: bytes that tell what a file is
COMING = ".part-"  #: how names of files begin that are not whole


class Part:
    """A file while it comes: its bytes go to the disk, what is told of it is worked out on the way."""

    def __init__(self, path: Path) -> None:
        """Raises OSError."""
        self.path, self.size, self.head = path, 0, b""
        self._digest, self._text = hashlib.sha256(), True
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._file = os.fdopen(private.opened(path, os.O_WRONLY | os.O_EXCL), "wb", buffering=0)

    def write(self, data: bytes) -> None:
        """Raises StoreError for a disk that takes no more."""
        self.size += len(data)
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


class Uploads:
    """The files beside one database. Of the processes that use it only the owner of its database writes."""

    def __init__(self, database: Path) -> None:
        self.folder = database.parent / FOLDER
        self._coming: set[str] = set()  #: names that no task has yet

    def begin(self) -> Part:
        """A new file, to be written; `end` follows whatever happens. Raises StoreError."""
        name = COMING + secrets.token_hex(8)
        with told(self.folder):
            private.folder(self.folder)
            part = Part(self.folder / name)
        self._coming.add(name)
        return part

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
        self._coming -= {part.path.name, task_id}

    def drop(self, task_id: str) -> None:
        """Remove a file whose task is not there. Never raises."""
        with contextlib.suppress(OSError):
            (self.folder / task_id).unlink(missing_ok=True)

    def content(self, task_id: str) -> bytes:
        """All of a task's file. Raises OSError."""
        return (self.folder / task_id).read_bytes()

    def names(self) -> list[str]:
        """Tasks whose files are here, and files that came to nothing; without those that are coming in."""
        try:
            found = [entry.name for entry in os.scandir(self.folder)]
        except FileNotFoundError:
            return []
        return [name for name in found if name not in self._coming]


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
