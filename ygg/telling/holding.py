"""What one target is told when: at once, after its quiet hours, or once its messages of the last hour allow another.

What waits is told together, as one message. An urgent event passes both.
"""

from __future__ import annotations

from collections import deque

from ygg.model.notices import Notice, Target

MOST = 200  #: notices that wait; the oldest make room and are counted
HOUR_MS = 3_600_000


class Holding:
    """Of one target. `sent_ms`: when its messages of the last hour left."""

    def __init__(self, target: Target, waiting: tuple[Notice, ...] = ()) -> None:
        self.target = target
        self.waiting: deque[Notice] = deque(waiting, maxlen=MOST)
        self.sent_ms: deque[int] = deque()
        self.dropped = 0

    def add(self, notice: Notice) -> None:
        """One more, if the target wants it."""
        if self.target.wants(notice):
            self.dropped += len(self.waiting) == MOST
            self.waiting.append(notice)

    def due(self, at_ms: int, minute: int) -> tuple[Notice, ...]:
        """What is told now, as one message; it waits no more. `minute`: of the local day."""
        held = self.target.hushed(minute) or self._full(at_ms)
        urgent = tuple(n for n in self.waiting if n.event in self.target.urgent)
        told = urgent if held else tuple(self.waiting)
        if told:
            self.waiting = deque((n for n in self.waiting if n not in told), maxlen=MOST)
            self.sent_ms.append(at_ms)
        return told

    def _full(self, at_ms: int) -> bool:
        while self.sent_ms and at_ms - self.sent_ms[0] >= HOUR_MS:
            self.sent_ms.popleft()
        return len(self.sent_ms) >= self.target.limit
