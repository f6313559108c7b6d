"""`ygg loop` on an event loop that measures its turns: `python -m tests.soak.measured FILE` writes to FILE, as JSON,
the processor time of the longest one so far, what took longest in it, and how many objects the collector spares."""

from __future__ import annotations

import asyncio
import gc
import json
import selectors
import sys
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from ygg import daemon
from ygg.running import evented

WARM_TURNS = 200  #: of the start, which imports and opens files


class _Turns(selectors.DefaultSelector):  # type: ignore[valid-type, misc]
    """A turn of the loop lies between two looks at what is ready."""

    def __init__(self, report: Path) -> None:
        super().__init__()
        self._report = report
        self.longest_s, self.turns, self._began = 0.0, 0, time.thread_time()
        self.slowest, self._steps = "", list[tuple[float, str]]()

    def select(self, timeout: float | None = None) -> Any:
        took_s = time.thread_time() - self._began
        self.turns += 1
        if self.turns > WARM_TURNS and took_s > self.longest_s:
            self.longest_s, self.slowest = took_s, max(self._steps, default=(0.0, ""))[1]
            self.write()
        self._steps.clear()
        try:
            return super().select(timeout)
        finally:
            self._began = time.thread_time()

    def write(self) -> None:
        found = {
            "longest_turn_s": self.longest_s,
            "turns": self.turns,
            "slowest": self.slowest,
            "frozen": gc.get_freeze_count(),
        }
        fresh = self._report.with_suffix(".new")
        fresh.write_text(json.dumps(found))
        fresh.replace(self._report)

    def step(self, handle: asyncio.Handle) -> None:
        began = time.thread_time()
        RUN(handle)
        took_s = time.thread_time() - began
        if took_s > SLOW_S:
            self._steps.append((took_s, f"{took_s:.3f} s: {_named(handle)}"))


def _named(handle: asyncio.Handle) -> str:
    """The task that went on in it, as far as it is known."""
    callback = handle._callback  # type: ignore[attr-defined]
    return f"{getattr(callback, '__self__', handle)!r}"[:500]


RUN = asyncio.Handle._run
SLOW_S = 0.02


def main(report: Path) -> int:
    turns = _Turns(report)
    asyncio.Handle._run = lambda handle: turns.step(handle)  # type: ignore[method-assign]

    def run(job: Coroutine[Any, Any, Any]) -> Any:
        with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(turns)) as runner:
            return runner.run(job)

    evented.run = run
    try:
        return daemon.run(None, view=False)
    finally:
        turns.write()


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
