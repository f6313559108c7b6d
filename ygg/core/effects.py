"""What the dispatcher should do next: the outputs of `step`, named in the imperative."""

from __future__ import annotations

from dataclasses import dataclass

from ygg.model import Call, End, Lane, OutcomeKind, Priority, Reason
from ygg.model import Claim as ClaimItem


@dataclass(frozen=True, slots=True)
class Peek:
    """Ask the store for the first heads of a lane at a priority."""

    lane: Lane
    priority: Priority
    limit: int


@dataclass(frozen=True, slots=True)
class ListLanes:
    """Ask the store which lanes have queued tasks."""


@dataclass(frozen=True, slots=True)
class Promote:
    """Let the store move due tasks to queued and overdue ones to expired."""


@dataclass(frozen=True, slots=True)
class Claim:
    """Claim these tasks; a slot is already reserved for each."""

    claims: tuple[ClaimItem, ...]


@dataclass(frozen=True, slots=True)
class Start:
    """Send this call to its backend."""

    call: Call


@dataclass(frozen=True, slots=True)
class Cancel:
    """Close the call's stream; it ends with outcome `why`."""

    task_id: str
    attempt: int
    why: OutcomeKind


@dataclass(frozen=True, slots=True)
class Finish:
    """Write these ends."""

    ends: tuple[End, ...]


@dataclass(frozen=True, slots=True)
class CheckHost:
    """Ask one endpoint whether it is well."""

    host: str
    endpoint: str


@dataclass(frozen=True, slots=True)
class Watch:
    """Take readings of a host from now on, or let its probes rest."""

    host: str
    on: bool


@dataclass(frozen=True, slots=True)
class Unload:
    """Free the memory of a model that no call uses."""

    host: str
    endpoint: str
    model: str


@dataclass(frozen=True, slots=True)
class WakeAt:
    """Feed Ticked at this monotonic time unless an event comes first. Replaces the last one."""

    at: float


@dataclass(frozen=True, slots=True)
class Note:
    """Tell people: one decision with its reason. `level` is a logging level name."""

    reason: Reason
    task_id: str | None = None
    attempt: int | None = None
    level: str = "INFO"


Effect = (
    Peek
    | ListLanes
    | Promote
    | Claim
    | Start
    | Cancel
    | Finish
    | CheckHost
    | Watch
    | Unload
    | WakeAt
    | Note
)
