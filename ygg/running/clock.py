"""Wall-clock times of one run that pass as time does, whatever is done to the machine's clock.

A run takes the time once, at its start, and counts on from there by a clock that nobody sets and that runs while
the machine sleeps. So every duration between two times of a run is right, and a clock that is set ends no back-off
and no deadline. What differs from the machine's clock since then is taken over when no task waits or runs.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from ygg.model import NewTask

STEP_MS = 2000  #: what the machine's clock must differ by to have been set: less is being put right slowly


def machine_ms() -> int:
    """Now, by the machine's wall clock."""
    return time.time_ns() // 1_000_000


def steady_s() -> float:
    """Seconds that pass evenly, also while the machine sleeps where it can tell."""
    boot = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if boot is None else time.clock_gettime(boot)


class Clock:
    """The clock of one run, in milliseconds since the Unix epoch."""

    def __init__(
        self, machine: Callable[[], int] = machine_ms, steady: Callable[[], float] = steady_s
    ) -> None:
        self.machine_ms, self._steady_s = machine, steady
        self._begun_ms, self._begun = machine(), steady()

    def now_ms(self) -> int:
        return self._begun_ms + round((self._steady_s() - self._begun) * 1000)

    @property
    def off_ms(self) -> int:
        """By how much the machine's clock was set since: forward is positive, small differences are 0."""
        off = self.machine_ms() - self.now_ms()
        return off if abs(off) >= STEP_MS else 0

    def take_over(self) -> int:
        """Go by the machine's clock from now on; by how much the time has changed."""
        by = self.off_ms
        self._begun_ms += by
        return by

    def placed(self, task: NewTask) -> NewTask:
        """A task whose times were said by the machine's clock, on this one. Where that was set forward, what is
        not to start before a time keeps it: such a task is looked for by both clocks."""
        if task.not_before_ms is None and task.deadline_ms is None:
            return task
        off = self.off_ms
        if not off:
            return task
        return replace(
            task,
            not_before_ms=_plus(task.not_before_ms, max(0, -off)),
            deadline_ms=_plus(task.deadline_ms, -off),
        )


def _plus(at_ms: int | None, ms: int) -> int | None:
    return None if at_ms is None else at_ms + ms
