"""The rhythm of one host's readings."""

from __future__ import annotations

import asyncio


class Pace:
    """The first reading at once, the next ones `interval_s` after the one before."""

    def __init__(self, interval_s: float) -> None:
        self._interval_s = interval_s
        self._due = float("-inf")  # on the loop's clock

    async def wait(self, early_s: float = 0.0) -> float:
        """Until the next reading is due, or `early_s` before; how long it is then still to be, in
        seconds."""
        now = asyncio.get_running_loop().time
        if self._due - early_s > now():
            await asyncio.sleep(self._due - early_s - now())
        return max(0.0, self._due - now())

    def taken(self) -> None:
        """A reading came just now."""
        self._due = asyncio.get_running_loop().time() + self._interval_s
