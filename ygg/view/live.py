"""The terminal driver of the live view: the alternate screen, a few frames a second, nothing left behind.

Drawn only on a real terminal. `console.is_terminal` is no test for that: FORCE_COLOR makes it true for a
pipe. Frames equal to the last are skipped; the screen is redrawn once a second when nothing runs.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Self, TextIO

from ygg.model import Snapshot
from ygg.view.render import Row, render

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult
    from rich.live import Live

BUSY_S, IDLE_S = 0.25, 1.0


def wanted() -> bool:
    """Whether stdout is a terminal that can show a screen."""
    return sys.stdout.isatty() and os.environ.get("TERM", "dumb") not in ("dumb", "")


def _ascii_only() -> bool:
    return "utf" not in (sys.stdout.encoding or "").lower()


class _Rows:
    """Rows as a rich renderable: one segment a row."""

    def __init__(self, rows: list[Row]) -> None:
        self.rows = rows

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        from rich.segment import Segment

        last = len(self.rows) - 1
        for place, row in enumerate(self.rows):
            yield Segment(row.text, console.get_style(row.style) if row.style else None)
            if place < last:
                yield Segment.line()


class LiveView:
    """Shows snapshots until the block ends."""

    def __init__(self, snapshot: Callable[[], Snapshot]) -> None:
        self._snapshot = snapshot
        self._last: tuple[tuple[int, int], list[Row]] | None = None

    async def __aenter__(self) -> Self:
        from rich.console import Console
        from rich.live import Live

        self._console = Console()
        self._live: Live = Live(
            console=self._console, screen=True, auto_refresh=False,
            redirect_stdout=False, redirect_stderr=False,
        )  # fmt: skip
        self._live.start()
        self._task = asyncio.create_task(self._draw_often())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task
        self._live.stop()

    async def _draw_often(self) -> None:
        while True:
            view = self._snapshot()
            self._draw(view)
            await asyncio.sleep(BUSY_S if view.running else IDLE_S)

    def _draw(self, view: Snapshot) -> None:
        size = self._console.size
        shape = (size.width, size.height)
        rows = render(view, *shape, plain=_ascii_only())
        if (shape, rows) != self._last:
            self._last = (shape, rows)
            self._live.update(_Rows(rows), refresh=True)


@contextlib.contextmanager
def log_lines(stream: TextIO) -> Iterator[None]:
    """Plain log lines instead of the view, for pipes and dumb terminals."""
    logger = logging.getLogger("ygg")
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(message)s", "%H:%M:%S"))
    level, propagate = logger.level, logger.propagate
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
        logger.propagate = propagate
