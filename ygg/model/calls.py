"""Calls to backends, health checks and counts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from ygg.model.places import Candidate
from ygg.model.tasks import Task
from ygg.model.words import HostHealth, JsonDict, Priority, State


@dataclass(frozen=True, slots=True)
class CallLimits:
    """Time limits of one call, seconds. `total_s` starts with the first token."""

    connect_s: float
    first_token_s: float
    between_tokens_s: float
    total_s: float
    deadline_ms: int | None = None


class AttemptId(NamedTuple):
    """One try of one task. The number fences the row of the task; it is not unique in the world, as a power
    cut may take back a claim: what leaves ygg is keyed by the call's id."""

    task: str
    number: int

    def __str__(self) -> str:
        return f"{self.task}.{self.number}"


@dataclass(frozen=True, slots=True)
class Attempt:
    """A claimed task as it is sent: `request` is the task's merged over its type's options and system
    prompt."""

    task: Task
    request: JsonDict

    @property
    def id(self) -> AttemptId:
        return AttemptId(self.task.id, self.task.attempt)


@dataclass(frozen=True, slots=True)
class Call:
    """One request to a backend for one attempt or more. Its `width` is the slots it takes of its host. With
    `frames` the pieces of its answer carry the server's own frames."""

    id: str
    candidate: Candidate
    attempts: tuple[Attempt, ...]
    limits: CallLimits
    width: int = 1
    frames: bool = False

    @property
    def attempt(self) -> Attempt:
        """That of a call which carries one, as all do that are sent attempt by attempt. Raises ValueError."""
        (only,) = self.attempts
        return only


class Permit(NamedTuple):
    """What a call needs from outside before it may start: `amount` of what `limiter` hands out for `key`."""

    limiter: str
    key: str = ""
    amount: float = 1.0


class Grant(NamedTuple):
    """One permit held by, or asked for, one call. The same call and permit are the same grant."""

    call: str
    permit: Permit


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
    dialect: str = ""  #: what the server turned out to be, where its protocol does not say


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
