"""A disk whose power can fail: an SQLite VFS that knows what was synced.

Files live in memory. A write goes to the volatile image; a sync copies the image to the durable one. At
a cut each 512-byte sector written since the last sync survives, is lost, or is torn, by a seeded draw,
in any combination: what a drive without a battery may do. Directory entries are durable at once, as
SQLite creates its files once and syncs them.
"""

from __future__ import annotations

import itertools
import random
import threading
from collections.abc import Callable

import apsw

SECTOR = 512
_names = itertools.count(1)


class Disk(apsw.VFS):
    """One simulated disk, registered as an SQLite VFS under `name`."""

    def __init__(self, seed: int = 0) -> None:
        self.name = f"powercut-{next(_names)}"
        self.live: dict[str, bytearray] = {}
        self.durable: dict[str, bytearray] = {}
        self.dirty: dict[str, set[int]] = {}
        self.random = random.Random(seed)
        self.writes_left: int | None = None  # the power fails at this many writes and syncs
        self.cuts = 0
        self.frozen = False  # while the connections of the dead process are put away
        self.deaf = False  # syncs fail, as on a drive that drops off its bus
        self.syncs = 0
        self.synced = threading.Event()  # set by each sync
        self.lock = threading.Lock()  # one thread writes while another syncs
        super().__init__(self.name, "")

    def tick(self) -> None:
        if self.writes_left is not None:
            self.writes_left -= 1
            if self.writes_left < 0:
                raise apsw.IOError("power cut")

    def cut(self) -> None:
        """Fail the power: what is left is what was synced plus some of what was not."""
        for name, image in list(self.live.items()):
            kept = self.durable.setdefault(name, bytearray())
            for sector in sorted(self.dirty.get(name, ())):
                self._maybe_keep(image, kept, sector)
            self.live[name] = bytearray(kept)
            self.dirty[name] = set()
        self.live = {n: i for n, i in self.live.items() if not n.endswith("-shm")}
        self.writes_left = None
        self.cuts += 1

    def kill(self) -> None:
        """End the process that has the files open. The machine goes on: nothing written is lost."""
        self.live = {n: i for n, i in self.live.items() if not n.endswith("-shm")}
        self.cuts += 1

    def _maybe_keep(self, image: bytearray, kept: bytearray, sector: int) -> None:
        fate = self.random.random()
        if fate < 0.4:
            return
        start = sector * SECTOR
        size = SECTOR if fate < 0.9 else self.random.randrange(1, SECTOR)
        piece = image[start : start + size]
        if len(kept) < start + len(piece):
            kept.extend(bytes(start + len(piece) - len(kept)))
        kept[start : start + len(piece)] = piece

    def log_sync(self, path: str) -> Callable[[], None]:
        """What makes the log of this database durable, for the process that has it open now."""
        file = DiskFile(self, f"{path}-wal")
        return lambda: file.xSync(0)

    # --- VFS -----------------------------------------------------------------------------------

    def xOpen(self, name, flags):  # type: ignore[no-untyped-def]
        path = (
            name.filename()
            if isinstance(name, apsw.URIFilename)
            else (name or f"temp-{next(_names)}")
        )
        flags[1] = flags[0]
        self.live.setdefault(path, bytearray())
        return DiskFile(self, path)

    def xDelete(self, name: str, syncdir: bool) -> None:
        if self.frozen:
            return
        self.live.pop(name, None)
        self.durable.pop(name, None)
        self.dirty.pop(name, None)

    def xAccess(self, name: str, flags: int) -> bool:
        return name in self.live

    def xFullPathname(self, name: str) -> str:
        return name


class DiskFile:
    """One open file of a Disk, with the locks and the shared memory of a single process."""

    def __init__(self, disk: Disk, path: str) -> None:
        self.disk, self.path, self.born = disk, path, disk.cuts

    def _dead(self) -> bool:
        """Opened before the last cut: the process that holds it is gone, and so are its writes."""
        return self.born != self.disk.cuts

    def xRead(self, amount: int, offset: int) -> bytes:
        return bytes(self.disk.live[self.path][offset : offset + amount])

    def xWrite(self, data: bytes, offset: int) -> None:
        if self._dead():
            return
        self.disk.tick()
        first, last = offset // SECTOR, (offset + len(data) - 1) // SECTOR
        with self.disk.lock:
            image = self.disk.live[self.path]
            if len(image) < offset + len(data):
                image.extend(bytes(offset + len(data) - len(image)))
            image[offset : offset + len(data)] = data
            self.disk.dirty.setdefault(self.path, set()).update(range(first, last + 1))

    def xTruncate(self, size: int) -> None:
        if self._dead():
            return
        self.disk.tick()
        del self.disk.live[self.path][size:]

    def xSync(self, flags: int) -> None:
        if self._dead():
            return
        self.disk.tick()
        if self.disk.deaf:  # as Linux does: told once, and never written
            self.disk.dirty[self.path] = set()
            raise apsw.IOError("no such device")
        self.disk.syncs += 1
        self.disk.synced.set()
        with self.disk.lock:
            self.disk.durable[self.path] = bytearray(self.disk.live[self.path])
            self.disk.dirty[self.path] = set()

    def xFileSize(self) -> int:
        return len(self.disk.live[self.path])

    def xLock(self, level: int) -> None:
        pass

    def xUnlock(self, level: int) -> None:
        pass

    def xCheckReservedLock(self) -> bool:
        return False

    def xFileControl(self, op: int, ptr: int) -> bool:
        return False

    def xSectorSize(self) -> int:
        return SECTOR

    def xDeviceCharacteristics(self) -> int:
        return 0

    def xClose(self) -> None:
        pass
