"""What API and CLI ask of a running dispatcher, or of the store alone."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

from ygg.errors import YggError
from ygg.model import (
    Batch,
    Capacity,
    Extent,
    Lane,
    NewTask,
    Piece,
    Priority,
    Reason,
    Snapshot,
    State,
    Submitted,
    Task,
    Token,
)
from ygg.ports.archive import Archive
from ygg.uploads import Uploads


@dataclass(frozen=True, slots=True)
class AttemptStarted:
    """A follower's stream begins, or begins again: text of earlier attempts is void."""

    attempt: int
    host: str
    model: str


@dataclass(frozen=True, slots=True)
class Gap:
    """So much of the answer came before this follower did, after what is kept of it."""

    size: Extent


@dataclass(frozen=True, slots=True)
class Moved:
    """Time to look at the task: its state has changed, or nothing was to be told for a while."""


class Control(Protocol):
    """Verbs that both the running dispatcher (`loop.Dispatcher`) and the offline desk offer."""

    @property
    def archive(self) -> Archive: ...

    @property
    def uploads(self) -> Uploads | None:
        """Where files of tasks are; None: nowhere."""
        ...

    def snapshot(self) -> Snapshot | None:
        """A frozen copy of the scheduling state, at most 250 ms old; None without a dispatcher."""
        ...

    async def view(self) -> Snapshot | None:
        """The same with what is stored now: its counts fit its lists, and a task that was just submitted is counted."""
        ...

    def explain(self, task: Task) -> tuple[Reason, ...]:
        """Why the task is where it is: best reason first, then one per candidate."""
        ...

    def rivals(self, lane: Lane) -> tuple[Lane, ...]:
        """The lanes that compete with `lane` for a host (itself included): those `ahead` counts."""
        ...

    def wait_estimate_ms(self, task: Task, ahead: int) -> int | None:
        """Expected wait from measured rates; None before anything was measured."""
        ...

    async def submit(
        self,
        tasks: Sequence[NewTask],
        *,
        capacity: Capacity | None = None,
        atomic: bool = True,
        batch: Batch | None = None,
    ) -> list[Submitted | YggError]: ...

    async def cancel(self, task_id: str, *, running: bool = True) -> Task:
        """As `Queue.cancel`; for a processing task returns once the call is stopped and the end is
        stored (10 s at most, then the row with `cancel_requested`)."""
        ...

    async def retry(
        self, task_ids: Sequence[str], *, turn: bool = False
    ) -> list[Task | YggError]: ...

    async def prioritize(self, task_id: str, priority: Priority) -> Task: ...

    async def touch_read(self, task_id: str, keep_s: float) -> None:
        """Note that a result was read over HTTP."""
        ...

    async def add_token(self, token: Token) -> None: ...

    async def revoke_token(self, name: str) -> None: ...

    async def clean(self, states: frozenset[State], max_age_s: float) -> dict[State, int]:
        """As `Queue.clean`, of what ended so many seconds ago or earlier."""
        ...

    async def discard(self, task_id: str) -> None: ...

    async def wait_end(self, task_id: str, timeout_s: float) -> Task:
        """The task once it has ended or is blocked, else as it is after `timeout_s`."""
        ...

    def follow(self, task_id: str) -> AsyncIterator[AttemptStarted | Piece | Task]:
        """What was streamed so far and what comes, then the ended Task. A slow reader loses nothing
        but is cut off when 1 MB behind."""
        ...

    def watch(
        self, task_id: str, quiet_s: float
    ) -> AsyncIterator[AttemptStarted | Piece | Gap | Moved | Task]:
        """The same, and beside it what somebody has to know who is told no piece twice: `Moved` first, whenever the
        state has changed, and when `quiet_s` passed without anything; `Gap` where some of the answer is not kept."""
        ...

    async def check_hosts(self, names: Collection[str] | None = None) -> Snapshot:
        """Ask these hosts (None: every one) now, all at once, 3 s at most; the snapshot after it. Without a dispatcher it
        has hosts and counts alone."""
        ...

    async def pause(self, paused: bool) -> None: ...

    async def drain_host(self, host: str, drained: bool) -> None: ...
