"""The terminal driver of the live view: the alternate screen, a few frames a second, nothing left behind.

Drawn only on a real terminal. `console.is_terminal` is no test for that: FORCE_COLOR makes it true for a
pipe. rich's Live has the screen and draws the first frame of each size; after it only rows that changed
are written. With nothing running there is one look a second. A resize is drawn once it has settled. Ctrl-Z gives the terminal back before it stops the process.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self, TextIO

from ygg import logs
from ygg.errors import YggError
from ygg.model import Snapshot
from ygg.view import keys
from ygg.view.frame import Row
from ygg.view.render import render
from ygg.view.text import duration
from ygg.view.ui import Action, Ui, press

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult
    from rich.live import Live

log = logging.getLogger("ygg.view")

BUSY_S, IDLE_S, SETTLE_S = 0.25, 1.0, 0.1
BEGIN_SYNC, END_SYNC = "\x1b[?2026h", "\x1b[?2026l"  #: terminals that know it show a frame at once

Source = Callable[[], Awaitable[Snapshot]]
Act = Callable[[Action], Awaitable[str]]  #: performs an action; what to say of it


def wanted() -> bool:
    """Whether stdout is a terminal that can show a screen."""
    return keys.foreground(sys.stdout) and os.environ.get("TERM", "dumb") not in ("dumb", "")


def ascii_only() -> bool:
    return "utf" not in (sys.stdout.encoding or "").lower()


class _Rows:
    """Rows as a rich renderable: one segment a span."""

    def __init__(self, rows: list[Row]) -> None:
        self.rows = rows

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        from rich.segment import Segment

        last = len(self.rows) - 1
        for place, row in enumerate(self.rows):
            for text, style in row.spans:
                yield Segment(text, console.get_style(style) if style else None)
            if place < last:
                yield Segment.line()


class LiveView:
    """Shows snapshots and obeys keys until the block ends; `q` calls `leave`. `asks`: that stops the dispatcher, so that
    the first `q` asks."""

    def __init__(
        self,
        source: Source,
        act: Act,
        leave: Callable[[], None],
        *,
        ascii_: bool = False,
        readonly: bool = False,
        asks: bool = False,
    ) -> None:
        self._source, self._act, self._leave = source, act, leave
        self._ascii = ascii_ or ascii_only()
        self._colour = not os.environ.get("NO_COLOR")
        self.ui = Ui(readonly=readonly, asks=asks)
        self._wake = asyncio.Event()
        self._view: Snapshot | None = None
        self._last: tuple[tuple[int, int], list[Row]] | None = None
        self._terminal: ExitStack | None = (
            None  #: what gives the terminal back; None while it is not ours
        )
        self._acts: set[asyncio.Task[None]] = set()

    # --- life ----------------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        self._take_terminal()
        for number, handler in self._handlers().items():
            self._loop.add_signal_handler(number, handler)
        self._task = asyncio.create_task(self._draw_often())
        return self

    async def __aexit__(self, *_: object) -> None:
        for number in self._handlers():
            self._loop.remove_signal_handler(number)
        for task in (self._task, *self._acts):
            task.cancel()
        await asyncio.gather(self._task, *self._acts, return_exceptions=True)
        self._give_terminal_back()

    def _handlers(self) -> dict[signal.Signals, Callable[[], None]]:
        return {signal.SIGWINCH: self._resized, signal.SIGTSTP: self._suspend}

    def _take_terminal(self) -> None:
        from rich.console import Console
        from rich.live import Live

        self._console = Console()
        self._pen = Console()  # the other one draws the whole frame with whatever it prints
        self._codes: dict[str, tuple[str, str, str]] = {}
        self._live: Live = Live(
            console=self._console, screen=True, auto_refresh=False,
            redirect_stdout=False, redirect_stderr=False,
        )  # fmt: skip
        with ExitStack() as stack:
            self._live.start()
            stack.callback(self._live.stop)
            if keys.foreground(sys.stdin):
                stack.enter_context(keys.unbuffered())
                self._loop.add_reader(sys.stdin.fileno(), self._typed)
                stack.callback(self._loop.remove_reader, sys.stdin.fileno())
            self._terminal = stack.pop_all()
        self._last = None
        self._wake.set()

    def _give_terminal_back(self) -> None:
        terminal, self._terminal = self._terminal, None
        if terminal is not None:
            with contextlib.suppress(*keys.GONE):
                terminal.close()

    def _suspend(self) -> None:
        """Ctrl-Z: the shell gets its terminal; `fg` comes back to a fresh screen."""
        self._give_terminal_back()
        before = time.monotonic()
        os.kill(os.getpid(), signal.SIGSTOP)
        stood = time.monotonic() - before
        if self.ui.asks:  # it is the dispatcher itself that has stood still
            text = f"ygg was stopped for {duration(stood)}: nothing started, and no answer was read"
            log.warning("%s", text)
            self.ui = replace(self.ui, note=text)
        self._resume()

    def _resume(self) -> None:
        """After `bg` the work goes on unseen, until `fg`."""
        if keys.foreground(sys.stdout):
            self._take_terminal()
        else:
            self._loop.call_later(BUSY_S, self._resume)

    def _resized(self) -> None:
        self._loop.call_later(SETTLE_S, self._wake.set)

    # --- frames --------------------------------------------------------------------------------

    async def _draw_often(self) -> None:
        try:
            while True:
                await self._look()
                self._draw()
                busy = self._view is not None and self._view.running
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(BUSY_S if busy else IDLE_S):
                        await self._wake.wait()
                self._wake.clear()
        except OSError as error:
            log.info("the terminal of the live view is gone, the work goes on: %s", error)
            self._give_terminal_back()
        except Exception:  # the work goes on without its picture
            log.exception("the live view stopped")
            self._give_terminal_back()

    async def _look(self) -> None:
        """A new snapshot; with none to be had the last one stays, and the footer says so."""
        try:
            self._view = await self._source()
            self.ui = replace(self.ui, old="")
        except YggError as error:
            self.ui = replace(self.ui, old=error.message)

    def _draw(self) -> None:
        if self._view is None or self._terminal is None:
            return
        size = self._console.size
        shape = (size.width, size.height)
        rows = render(self._view, *shape, ascii=self._ascii, colour=self._colour, ui=self.ui)
        before, self._last = self._last, (shape, rows)
        if before is None or before[0] != shape:
            self._live.update(_Rows(rows), refresh=True)
        elif before[1] != rows:
            self._write_changed(before[1], rows)

    def _write_changed(self, before: list[Row], rows: list[Row]) -> None:
        """Only the rows that differ, each at its place: a fifth of the work and of the bytes."""
        changed = [
            f"\x1b[{n};1H{''.join(self._styled(*span) for span in row.spans)}"
            for n, (old, row) in enumerate(zip(before, rows, strict=True), 1)
            if row != old
        ]
        self._console.file.write(f"{BEGIN_SYNC}{''.join(changed)}{END_SYNC}")
        self._console.file.flush()

    def _styled(self, text: str, style: str) -> str:
        """The text with the codes that rich writes for this style on this terminal."""
        if style not in self._codes:
            with self._pen.capture() as codes:
                self._pen.print("x", style=style, end="", highlight=False)
            self._codes[style] = codes.get().partition("x")
        before, _, after = self._codes[style]
        return f"{before}{text}{after}"

    # --- keys ----------------------------------------------------------------------------------

    def _typed(self) -> None:
        typed = keys.read()
        if not typed:  # it is gone: nobody types there any more
            self._loop.remove_reader(sys.stdin.fileno())
        for key in keys.names(typed):
            self._press(key)

    def _press(self, key: str) -> None:
        if self._view is None:
            return
        self.ui, action = press(self.ui, key, self._view)
        self._draw()
        if action is None:
            return
        if action.verb == "quit":
            self._leave()
            return
        task = self._loop.create_task(self._perform(action))
        self._acts.add(task)
        task.add_done_callback(self._acts.discard)

    async def _perform(self, action: Action) -> None:
        try:
            note = await self._act(action)
        except YggError as error:
            note = f"{error.message}; {error.hint}" if error.hint else error.message
        self.ui = replace(self.ui, note=note)
        self._wake.set()


def acting(
    pause: Callable[[bool], Awaitable[Any]], drain_host: Callable[[str, bool], Awaitable[Any]]
) -> Act:
    """Actions of the view as verbs of whoever can perform them."""

    async def act(action: Action) -> str:
        if action.verb in ("pause", "resume"):
            await pause(action.verb == "pause")
            return f"dispatch is {action.verb}d"
        drained = action.verb == "drain"
        await drain_host(action.host, drained)
        return (
            f"{action.host}: running calls go on, no new ones start"
            if drained
            else f"{action.host} takes tasks again"
        )

    return act


@contextlib.contextmanager
def log_lines(stream: TextIO) -> Iterator[None]:
    """Plain log lines instead of the view, for pipes and dumb terminals."""
    logger = logging.getLogger("ygg")
    handler = logs.Console(stream)
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
