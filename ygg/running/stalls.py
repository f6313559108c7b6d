"""Watches the event loop from a thread: when it stands still, the log says where, and the count is kept.

A loop that stands still holds up everybody: no task starts, no client is answered. A machine that stands still
(suspended, out of memory, a guest that gets no time) looks the same from inside, but for the watch being late
itself: that is told apart.
"""

from __future__ import annotations

import asyncio
import logging
import selectors
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import PurePath
from typing import TypedDict

log = logging.getLogger("ygg.stalls")

LOOK_S, PATIENCE_S = 0.25, 0.75  #: together a second: a longer stall is always seen
FRAMES = 12  #: of the stack, the innermost
#: What the loop's thread is in while the loop waits: asyncio's in its selector, uvloop's in no Python of its own.
AT_REST = {asyncio.Runner.run.__code__, selectors.DefaultSelector.select.__code__}


class Stalls(TypedDict):
    """How often the loop, or the whole machine, stood still for about a second or more; how long at worst. `busy_s`: the
    most processor time that the loop was seen to take before it had time for others, looked at four times a second."""

    loop: int
    machine: int
    longest_s: float
    busy_s: float


@contextmanager
def watched(told: Callable[[float], None] = lambda _: None) -> Iterator[Stalls]:
    """Watch the running loop for the length of a `with`. `told`: hears at each look, in the thread of the watch, how many
    seconds the loop took to have time for others; 0 while it waits."""
    watch = _Watch(asyncio.get_running_loop(), told)
    watch.start()
    try:
        yield watch.seen
    finally:
        watch.end.set()


class _Watch(threading.Thread):
    """Looks at the loop four times a second, and asks it for a sign of life unless it waits for something to do."""

    def __init__(self, loop: asyncio.AbstractEventLoop, told: Callable[[float], None]) -> None:
        super().__init__(name="ygg-stalls", daemon=True)
        self.seen = Stalls(loop=0, machine=0, longest_s=0.0, busy_s=0.0)
        self.end = threading.Event()
        self._loop, self._watched, self._lag = loop, threading.get_ident(), told
        self._clock = time.pthread_getcpuclockid(self._watched)

    def run(self) -> None:
        while True:
            late_s, busy_s = self._timed(self.end, LOOK_S)
            if self.end.is_set():
                return
            if late_s > PATIENCE_S:
                self._late(late_s, busy_s)
            elif self._waits():
                self._lag(0.0)
            else:
                self._ask()

    def _waits(self) -> bool:
        """Whether the loop is at rest: then it is not woken."""
        frame = sys._current_frames().get(self._watched)
        return frame is not None and frame.f_code in AT_REST

    def _timed(self, event: threading.Event, limit_s: float) -> tuple[float, float]:
        """Wait; how much later than asked it ended, and the processor time that was used meanwhile."""
        began, used = time.monotonic(), time.process_time()
        event.wait(limit_s)
        return time.monotonic() - began - limit_s, time.process_time() - used

    def _ask(self) -> None:
        alive, began, used = threading.Event(), time.monotonic(), self._used_s()
        try:
            self._loop.call_soon_threadsafe(alive.set)
        except RuntimeError:  # closed: the watch is over
            self.end.set()
            return
        late_s, busy_s = self._timed(alive, PATIENCE_S)
        if late_s > PATIENCE_S:
            self._late(late_s, busy_s)
        elif not alive.is_set():
            self._stands_still(alive, began)
        self._lag(time.monotonic() - began)
        if alive.is_set():
            self.seen["busy_s"] = round(max(self.seen["busy_s"], self._used_s() - used), 3)

    def _used_s(self) -> float:
        """Processor time of the loop's own thread: what others have on a full machine is no part of it."""
        return time.clock_gettime(self._clock)

    def _stands_still(self, alive: threading.Event, began: float) -> None:
        where = self._where()
        log.warning("the event loop stands still: %s", where)
        while not alive.wait(LOOK_S) and not self.end.is_set():
            pass
        took_s = time.monotonic() - began
        self.seen["loop"] += 1
        self._told(took_s, f"the event loop stood still for {took_s:.1f} s: {where}")

    def _late(self, late_s: float, busy_s: float) -> None:
        """This thread did not get its turn: the interpreter was held by us, or nothing here ran at all."""
        if busy_s > late_s / 2:
            self.seen["loop"] += 1
            self._told(late_s, f"the event loop stood still for {late_s:.1f} s: {self._where()}")
        else:
            self.seen["machine"] += 1
            self._told(late_s, f"this machine, or this process, stood still for {late_s:.1f} s")

    def _told(self, took_s: float, text: str) -> None:
        self.seen["longest_s"] = round(max(self.seen["longest_s"], took_s), 1)
        log.warning("%s", text)

    def _where(self) -> str:
        """The stack of the loop's thread, the innermost first."""
        frame = sys._current_frames().get(self._watched)
        stack = traceback.extract_stack(frame)[-FRAMES:] if frame is not None else []
        return " < ".join(
            f"{f.name} ({PurePath(f.filename).name}:{f.lineno})" for f in reversed(stack)
        )
