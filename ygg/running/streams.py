"""What running calls have streamed so far, for readers of a task.

Tokens never enter the scheduling state. Each running call keeps its text (up to `KEEP` characters) so
that a late reader starts at the beginning. Each reader has its own buffer. A *follower* looks on: it is
cut off when it falls `KEEP` characters behind, and nobody waits for it. An *attached* reader is the
client the answer is for: the call waits until it has room again, so nothing is lost and no more than
`BUFFER` characters and a piece wait in memory; one that takes nothing for `GONE_S` is gone.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field

from ygg.model import Extent, Piece
from ygg.ports import AttemptStarted, Gap, Moved

KEEP = 1_000_000  #: characters, per call and per follower
BUFFER = 65_536  #: characters that wait for an attached reader before the call does
GONE_S = 30.0  #: for which an attached reader may take nothing while the call waits for it

Item = AttemptStarted | Piece | Gap | Moved


class Reader:
    """One reader's buffer. `take` waits for items; an empty answer means that the stream is over.

    Attached ones tell `on_delivery` when they take some of the answer. Pieces that only have a frame
    go to readers with `frames`, gaps and moves to those that are `watching`.
    """

    def __init__(
        self,
        on_delivery: Callable[[], None] | None = None,
        *,
        frames: bool = False,
        watching: bool = False,
    ) -> None:
        self.frames, self.watching = frames, watching
        self._on_delivery = on_delivery
        self._items: deque[Item] = deque()
        self._size = 0
        self._closed = False
        self._wake = asyncio.Event()
        self._taken = asyncio.Event()

    @property
    def attached(self) -> bool:
        return self._on_delivery is not None

    def replay(self, items: list[Item]) -> None:
        """What came before this reader; it does not count against its buffer."""
        self._items.extend(items)
        self._wake.set()

    def put(self, item: Item) -> bool:
        """False when the reader is gone, or too far behind and was cut off."""
        if isinstance(item, Piece) and not item.token and not self.frames:
            return not self._closed
        self._items.append(item)
        self._size += _size(item)
        if self._size > KEEP and not self.attached:
            self.close()
        self._wake.set()
        return not self._closed

    @property
    def full(self) -> bool:
        """Whether the call has to wait for it."""
        return self.attached and self._size > BUFFER and not self._closed

    async def room(self) -> None:
        """Wait until it is full no more; it is cut off when it takes nothing for too long."""
        while self.full:
            self._taken.clear()
            try:
                async with asyncio.timeout(GONE_S):
                    await self._taken.wait()
            except TimeoutError:
                self.close()

    def void(self) -> None:
        """Forget what was not taken: another attempt begins."""
        self._items.clear()
        self._size = 0

    def close(self) -> None:
        self._closed = True
        self._wake.set()
        self._taken.set()

    async def take(self, quiet_s: float | None = None) -> list[Item]:
        """Everything that has come since the last call; a move where nothing came for `quiet_s`; empty once closed."""
        try:
            async with asyncio.timeout(quiet_s):
                await self._something()
        except TimeoutError:
            return [Moved()]
        items = list(self._items)
        self.void()
        self._taken.set()
        if self._on_delivery is not None and any(isinstance(i, Piece) for i in items):
            self._on_delivery()
        return items

    async def _something(self) -> None:
        while not self._items and not self._closed:
            self._wake.clear()
            await self._wake.wait()


def _size(item: Item) -> int:
    return item.size + len(item.frame or b"") if isinstance(item, Piece) else 0


async def _room(readers: Sequence[Reader]) -> None:
    for reader in readers:
        await reader.room()


@dataclass(slots=True)
class _Stream:
    started: AttemptStarted | None = None
    pieces: list[Piece] = field(default_factory=list)
    size: int = 0
    count: int = 0
    lost: Extent = field(default_factory=Extent)  #: what came after `pieces` were full
    delivered: bool = False


def _before(stream: _Stream, watching: bool) -> list[Item]:
    """What a reader gets of it that comes now."""
    items: list[Item] = [Moved()] if watching else []
    items += [stream.started] if stream.started else []
    items += stream.pieces
    if watching and stream.lost != Extent():
        items.append(Gap(stream.lost))
    return items


class Streams:
    """The streams of all running calls and the readers of any task."""

    def __init__(self) -> None:
        self._streams: dict[str, _Stream] = {}
        self._readers: dict[str, set[Reader]] = {}

    def put(self, task_id: str, item: AttemptStarted | Piece) -> Awaitable[None] | None:
        """Record one item of a running call and hand it to the task's readers. What to wait for before
        the next one, when an attached reader is full."""
        if isinstance(item, AttemptStarted):
            self._streams[task_id] = _Stream(item)
        else:
            self._keep(task_id, item)
        if task_id not in self._readers:
            return None
        readers = self._readers[task_id] = {r for r in self._readers[task_id] if r.put(item)}
        full = [r for r in readers if r.full]
        return _room(full) if full else None

    def _keep(self, task_id: str, piece: Piece) -> None:
        stream = self._streams.get(task_id)
        if stream is None:
            stream = self._streams[task_id] = _Stream()
        stream.count += piece.token
        if stream.size < KEEP:
            stream.pieces.append(piece)
            stream.size += _size(piece)
        else:
            stream.lost = stream.lost.plus(piece)

    def moved(self, task_ids: Iterable[str]) -> None:
        """The states of these tasks have changed."""
        for task_id in task_ids:
            for reader in self._readers.get(task_id, ()):
                if reader.watching:
                    reader.put(Moved())

    def drop(self, task_id: str, *, whole: bool = True) -> bool:
        """The call is over; readers stay for the next attempt. Whether some of the answer was delivered:
        if not, and it is not `whole`, nobody gets what is left of it."""
        stream = self._streams.pop(task_id, None)
        delivered = stream is not None and stream.delivered
        if not whole and not delivered:
            for reader in self._readers.get(task_id, ()):
                if reader.attached:
                    reader.void()
        return delivered

    def end(self, task_id: str) -> None:
        """The task has ended: its readers see the end of the stream."""
        for reader in self._readers.pop(task_id, ()):
            reader.close()

    def read(self, task_id: str, *, watching: bool = False) -> Reader:
        """A new follower that starts with what the running call has streamed so far."""
        return self._join(task_id, Reader(watching=watching))

    def attach(self, task_id: str, *, frames: bool = False) -> Reader:
        """A new attached reader, which starts there too. `frames`: with the server's own frames, of calls
        that start from now on."""
        return self._join(task_id, Reader(lambda: self._delivered(task_id), frames=frames))

    def _join(self, task_id: str, reader: Reader) -> Reader:
        reader.replay(_before(self._streams.get(task_id, _Stream()), reader.watching))
        self._readers.setdefault(task_id, set()).add(reader)
        return reader

    def _delivered(self, task_id: str) -> None:
        stream = self._streams.get(task_id)
        if stream is not None:
            stream.delivered = True

    def framed(self, task_id: str) -> bool:
        """Whether a reader wants the server's own frames."""
        return any(r.frames for r in self._readers.get(task_id, ()))

    def leave(self, task_id: str, reader: Reader) -> None:
        readers = self._readers.get(task_id)
        if readers is not None:
            readers.discard(reader)
            if not readers:
                del self._readers[task_id]

    def followed(self, task_id: str) -> bool:
        return task_id in self._readers

    def progress(self) -> dict[str, int]:
        """How many pieces each running attempt has streamed, by task id."""
        return {task_id: stream.count for task_id, stream in self._streams.items()}

    def close(self) -> None:
        for task_id in list(self._readers):
            self.end(task_id)
