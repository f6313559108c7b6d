"""What running calls have streamed so far, for readers who follow a task.

Tokens never enter the scheduling state. Each running call keeps its text (up to `KEEP` characters) so
that a late reader starts at the beginning; each reader has its own buffer and is cut off when it falls
`KEEP` characters behind, so a stuck client cannot hold the daemon's memory.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field

from ygg.ports import AttemptStarted, Piece

KEEP = 1_000_000  #: characters, per call and per reader

Item = AttemptStarted | Piece


class Reader:
    """One follower's buffer. `take` waits for items; an empty answer means that the stream is over."""

    def __init__(self) -> None:
        self._items: deque[Item] = deque()
        self._size = 0
        self._closed = False
        self._wake = asyncio.Event()

    def replay(self, items: list[Item]) -> None:
        """What came before this reader; it does not count against its buffer."""
        self._items.extend(items)
        self._wake.set()

    def put(self, item: Item) -> bool:
        """False when the reader is too far behind and was cut off."""
        self._items.append(item)
        self._size += _size(item)
        if self._size > KEEP:
            self.close()
        self._wake.set()
        return not self._closed

    def close(self) -> None:
        self._closed = True
        self._wake.set()

    async def take(self) -> list[Item]:
        """Everything that has come since the last call; empty once closed."""
        while not self._items and not self._closed:
            self._wake.clear()
            await self._wake.wait()
        items = list(self._items)
        self._items.clear()
        self._size = 0
        return items


def _size(item: Item) -> int:
    return len(item.content) + len(item.thinking) if isinstance(item, Piece) else 0


@dataclass(slots=True)
class _Stream:
    started: AttemptStarted | None = None
    pieces: list[Piece] = field(default_factory=list)
    size: int = 0
    count: int = 0


class Streams:
    """The streams of all running calls and the readers of any task."""

    def __init__(self) -> None:
        self._streams: dict[str, _Stream] = {}
        self._readers: dict[str, set[Reader]] = {}

    def put(self, task_id: str, item: Item) -> None:
        """Record one item of a running call and hand it to the task's readers."""
        if isinstance(item, AttemptStarted):
            self._streams[task_id] = _Stream(item)
        else:
            self._keep(task_id, item)
        if task_id in self._readers:
            self._readers[task_id] = {r for r in self._readers[task_id] if r.put(item)}

    def _keep(self, task_id: str, piece: Piece) -> None:
        stream = self._streams.get(task_id)
        if stream is None:
            stream = self._streams[task_id] = _Stream()
        stream.count += 1
        if stream.size < KEEP:
            stream.pieces.append(piece)
            stream.size += _size(piece)

    def drop(self, task_id: str) -> None:
        """The call is over; readers stay for the next attempt."""
        self._streams.pop(task_id, None)

    def end(self, task_id: str) -> None:
        """The task has ended: its readers see the end of the stream."""
        for reader in self._readers.pop(task_id, ()):
            reader.close()

    def read(self, task_id: str) -> Reader:
        """A new reader that starts with what the running call has streamed so far."""
        reader = Reader()
        stream = self._streams.get(task_id)
        if stream is not None:
            reader.replay([*([stream.started] if stream.started else []), *stream.pieces])
        self._readers.setdefault(task_id, set()).add(reader)
        return reader

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
