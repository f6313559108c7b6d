"""What the dispatcher should do next: the outputs of `step`, named in the imperative."""

from __future__ import annotations

from dataclasses import dataclass

from ygg.model import AttemptId, Call, Claim, End, Grant, Lane, Priority, Reason, Task, Usage


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
class ListRunning:
    """Ask the store which tasks it holds for running here."""


@dataclass(frozen=True, slots=True)
class Promote:
    """Let the store move due tasks to queued and overdue ones to expired."""


@dataclass(frozen=True, slots=True)
class Acquire:
    """Ask a limiter for a permit. It answers Granted or Denied, late or never."""

    grant: Grant


@dataclass(frozen=True, slots=True)
class Settle:
    """Each Acquire ends in one of these: the permit was used (so much), or with None it is given back, be it
    granted, denied or never answered. An acquire under way is given up."""

    grant: Grant
    used: Usage | None = None


@dataclass(frozen=True, slots=True)
class ClaimTasks:
    """Claim these tasks; the slots of their calls are taken already. The tasks of a call stand together."""

    claims: tuple[Claim, ...]


@dataclass(frozen=True, slots=True)
class Start:
    """Send this call to its backend."""

    call: Call


@dataclass(frozen=True, slots=True)
class Cancel:
    """Stop a call, or one attempt of it (None: all): its stream is closed once no attempt wants it."""

    call: str
    attempt: AttemptId | None = None


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
class AskInside:
    """Ask one endpoint how many requests are inside it."""

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
class Tell:
    """Tell whoever waits for them that these tasks went as far as they go; those that ended `elsewhere` have
    to be read first."""

    ended: tuple[Task, ...] = ()
    elsewhere: tuple[str, ...] = ()


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


StoreEffect = (
    Peek | ListLanes | ListRunning | Promote | ClaimTasks | Finish
)  #: what the store is asked for

Effect = (
    Peek
    | ListLanes
    | ListRunning
    | Promote
    | Acquire
    | Settle
    | ClaimTasks
    | Start
    | Cancel
    | Finish
    | CheckHost
    | AskInside
    | Watch
    | Unload
    | Tell
    | WakeAt
    | Note
)
