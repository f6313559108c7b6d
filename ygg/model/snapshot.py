"""The frozen copy of the dispatcher that CLI, API and live view are drawn from."""

from __future__ import annotations

from dataclasses import dataclass

from ygg.model.calls import Counts
from ygg.model.words import HostHealth, Priority, Reason, State


@dataclass(frozen=True, slots=True)
class HostView:
    """One host as readers see it."""

    name: str
    kind: str
    slots: int
    limit: int
    running: tuple[str, ...]  #: task ids
    health: HostHealth
    health_text: str
    drained: bool
    busy_until_ms: int | None
    checked_ms: int | None
    latency_ms: float | None
    version: str | None
    backend: str
    models: tuple[str, ...]

    @property
    def free(self) -> int:
        return max(0, self.limit - len(self.running))


@dataclass(frozen=True, slots=True)
class RunningView:
    """One call in flight. `tokens` counts the pieces streamed so far."""

    task_id: str
    attempt: int
    type: str
    title: str
    priority: Priority
    host: str
    model: str
    backend: str
    started_ms: int
    timeout_s: float
    tokens: int = 0
    max_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class WaitingView:
    """One of the next tasks, with the reason it waits."""

    task_id: str
    type: str
    priority: Priority
    created_ms: int
    reason: Reason


@dataclass(frozen=True, slots=True)
class EndView:
    """One recent end."""

    task_id: str
    at_ms: int
    state: State
    reason: str
    host: str | None
    took_ms: int | None
    wait_ms: int | None
    output_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A frozen copy of the dispatcher's state for CLI, API, metrics and live view."""

    at_ms: int
    started_ms: int
    epoch: int
    paused: bool
    draining: bool
    hosts: tuple[HostView, ...]
    running: tuple[RunningView, ...]
    waiting: tuple[WaitingView, ...]
    recent: tuple[EndView, ...]
    counts: Counts
    stale_ends: int = 0
    store_error: str | None = None
    log: tuple[str, ...] = ()
