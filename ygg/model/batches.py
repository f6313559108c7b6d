"""Batches: tasks that one caller submitted together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from ygg.errors import InvalidInput, NotFound
from ygg.model.words import FINAL, State

#: When a task is due whose turn comes with the end of the one before: later than any time that a person may say.
NEVER_MS = 253_370_764_800_000  # 9999-01-01T00:00Z


class OnFailure(StrEnum):
    """What becomes of the rest of a sequence when one of its tasks fails or expires."""

    STOP = "stop"  #: it is cancelled
    CONTINUE = "continue"


@dataclass(frozen=True, slots=True)
class Batch:
    """`on_failure`: of a sequence, whose tasks run one after another; None: they wait for nothing but a slot."""

    id: str
    caller: str
    total: int
    created_ms: int
    on_failure: OnFailure | None = None
    idempotency_key: str | None = None
    body_hash: str = ""  #: same key and hash is the same submit


@dataclass(frozen=True, slots=True)
class BatchView:
    """A batch and its tasks by state. Those that were deleted since count in the state they ended in."""

    batch: Batch
    counts: Mapping[State, int]

    @property
    def ended(self) -> int:
        return sum(self.counts.get(state, 0) for state in FINAL)

    @property
    def over(self) -> bool:
        """Whether none of it will run unless a person acts: all have ended or are blocked."""
        return self.ended + self.counts.get(State.BLOCKED, 0) == self.batch.total


def unknown(batch_id: str) -> NotFound:
    """What who means one is told."""
    return NotFound(f"no batch {batch_id:.100}", hint="ygg batch list")


def several(end: str, ids: list[str]) -> InvalidInput:
    """What who means one by the end of its id is told."""
    return InvalidInput(f"{end} fits several batches: {', '.join(ids)}", hint="give more of the id")
