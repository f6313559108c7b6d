"""What can be read of the queue, beside the one that writes."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from typing import Protocol

from ygg.model import (
    Batch,
    BatchView,
    Counts,
    Holds,
    Lane,
    LogRow,
    MinuteRow,
    Priority,
    Pruned,
    Result,
    Scheduled,
    State,
    Task,
    Token,
)


@dataclass(frozen=True, slots=True)
class Filter:
    """Which tasks a listing shows; None means any. Newest first, or with `queue_order` by (priority, rank, seq)."""

    states: tuple[State, ...] = ()
    type: str | None = None
    priority: Priority | None = None
    host: str | None = None
    label: str | None = None
    caller: str | None = None
    batch: str | None = None
    before_seq: int | None = None
    limit: int = 50
    queue_order: bool = False


class Archive(Protocol):
    """Reads. Short transactions on read-only connections. What is told of a task is durable: a read that has seen
    a write which is not yet waits for its sync, and for nothing else."""

    def get(self, task_id: str) -> Awaitable[Task]:
        """By id, or by a suffix of at least 4 characters that fits one alone. `NotFound`; `InvalidInput` when several do."""
        ...

    def find(self, which: Filter) -> Awaitable[list[Task]]: ...

    def log(self, task_id: str) -> Awaitable[list[LogRow]]: ...

    def result(self, task_id: str) -> Awaitable[Result | None]: ...

    def counts(self) -> Awaitable[Counts]:
        """From counters, at the same cost whatever the depth."""
        ...

    def holds(self) -> Awaitable[Holds]:
        """What a person has stopped, as `Queue.holds`."""
        ...

    def ahead(self, task: Task, lanes: Sequence[Lane], limit: int) -> Awaitable[int]:
        """How many queued tasks of `lanes` come before `task` by (priority, rank, seq), counted to `limit`."""
        ...

    def scheduled(self, limit: int) -> Awaitable[list[Scheduled]]:
        """The scheduled tasks that are due first."""
        ...

    def verify(self) -> Awaitable[None]:
        """Read everything once. `StoreCorrupt` when what is stored is damaged; it may take seconds."""
        ...

    def minutes(self, host: str | None, since_ms: int) -> Awaitable[list[MinuteRow]]:
        """What this host, or with None every one, did in the minutes from `since_ms` on; by minute, then host."""
        ...

    def batch(self, batch_id: str) -> Awaitable[BatchView]:
        """By id, or by a suffix of at least 4 characters that fits one alone. `NotFound`; `InvalidInput` when several
        do. At the same cost whatever its size."""
        ...

    def batches(self, caller: str | None, limit: int) -> Awaitable[list[BatchView]]:
        """The newest ones of this caller, or with None of all."""
        ...

    def batch_of_key(self, caller: str, key: str) -> Awaitable[Batch | None]:
        """What a caller has submitted with an idempotency key."""
        ...

    def batch_states(self, batch_id: str) -> Awaitable[list[tuple[str, State]]]:
        """Its tasks that were not deleted, in their order: id and state."""
        ...

    def lent(self, prefix: str, since_ms: int, now_ms: int) -> Awaitable[int]:
        """How many different answers identical tasks would get that came after `since_ms`, up to `now_ms`: those whose
        key begins so."""
        ...

    def tokens(self) -> Awaitable[list[Token]]:
        """All that were given out, the revoked ones too, by name."""
        ...

    def pruned(self, task_id: str) -> Awaitable[Pruned | None]:
        """Of a task that was deleted: by id, or by a suffix that fits one alone. None of old ones."""
        ...
