"""How much memory the bodies of all requests together may take while they come in and are worked on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ygg.errors import Unavailable

MOST = 256 * 1024 * 1024  #: bytes of all bodies together: four of the largest
SMALL = 65_536  #: bytes of one body that are always taken
AGAIN_S = 5.0


class Busy(Unavailable):
    """So many large bodies are on their way that no other one is taken."""

    code = "busy"


class Bodies:
    """What is held of bodies, all requests together. `most`: bytes."""

    def __init__(self, most: int = MOST) -> None:
        self._most, self._held = most, 0

    @contextmanager
    def one(self) -> Iterator[Callable[[int], None]]:
        """For the length of a request: what is called with the bytes of each piece of its body. It raises Busy where there
        is no room for a large one."""
        mine = 0

        def take(size: int) -> None:
            nonlocal mine
            mine += size
            self._held += size
            if self._held > self._most and mine > SMALL:
                text = "too many large bodies are on their way to the daemon"
                raise Busy(text, hint="send it again in a while", retry_after_s=AGAIN_S)

        try:
            yield take
        finally:
            self._held -= mine
