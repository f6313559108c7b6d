"""Calls to backends, health checks and counts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ygg.model.places import Candidate
from ygg.model.tasks import Task
from ygg.model.words import HostHealth, JsonDict, Priority, State


@dataclass(frozen=True, slots=True)
class CallLimits:
    """Time limits of one call, seconds. `total_s` starts when the model is loaded."""

    connect_s: float
    first_token_s: float
    between_tokens_s: float
    total_s: float
    deadline_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Call:
    """One request to a backend for one attempt of one task."""

    task: Task
    candidate: Candidate
    request: JsonDict  #: the task's request merged over its type's options and system prompt
    limits: CallLimits

    @property
    def id(self) -> str:
        """`<task>.<attempt>`, sent to the server as X-Ygg-Task."""
        return f"{self.task.id}.{self.task.attempt}"


@dataclass(frozen=True, slots=True)
class Health:
    """What a check of an endpoint found."""

    health: HostHealth
    latency_ms: float | None = None
    version: str | None = None
    models: tuple[str, ...] | None = None
    loaded: tuple[str, ...] | None = None
    slots: int | None = None  #: the server's own parallelism, where it tells
    message: str = ""


@dataclass(frozen=True, slots=True)
class Counts:
    """Tasks by (priority, state), from the store's counters."""

    by: Mapping[tuple[Priority, State], int]

    def state(self, state: State) -> int:
        return sum(n for (_, s), n in self.by.items() if s is state)

    def priority(self, priority: Priority, *states: State) -> int:
        return sum(self.by.get((priority, s), 0) for s in states)

    @property
    def total(self) -> int:
        return sum(self.by.values())
