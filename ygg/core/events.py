"""What can happen to the dispatcher: the inputs of `step`, named in the past tense."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from ygg.model import (
    AttemptId,
    Claim,
    End,
    EndView,
    Grant,
    Head,
    Health,
    Host,
    Lane,
    Outcome,
    Permit,
    Policy,
    Priority,
    Reading,
    RunningRow,
    Task,
    TaskType,
    Usage,
)


@dataclass(frozen=True, slots=True)
class HostsOwned:
    """The hosts this dispatcher may use, at start and whenever the configuration changes."""

    hosts: tuple[Host, ...]
    types: Mapping[str, TaskType]
    policy: Policy
    probed: Mapping[str, bool] = field(default_factory=dict)  #: hosts with probes: do they measure?
    needs: Mapping[tuple[str, str], tuple[Permit, ...]] = field(default_factory=dict)
    #: permits from outside of each call to (host, endpoint), in the order in which they are asked for
    drained: Collection[str] = ()  #: those that a person took out of dispatch; new ones begin so


@dataclass(frozen=True, slots=True)
class LanesSeen:
    """Lanes and priorities that have queued tasks, and how many, as the store counts them."""

    lanes: tuple[tuple[Lane, Priority, int], ...]


@dataclass(frozen=True, slots=True)
class RunningSeen:
    """Answer to ListRunning: every task that is processing under this dispatcher's epoch."""

    rows: tuple[RunningRow, ...]


@dataclass(frozen=True, slots=True)
class HeadsSeen:
    """Answer to Peek. `complete`: the lane has no further tasks at this priority."""

    lane: Lane
    priority: Priority
    heads: tuple[Head, ...]
    complete: bool


@dataclass(frozen=True, slots=True)
class TasksQueued:
    """Tasks became queued in the store: submitted, retried, or changed there."""

    heads: tuple[Head, ...]


@dataclass(frozen=True, slots=True)
class TaskLeft:
    """A queued task left the queue by someone else's hand, or its row changed. `ended`: the row of one that
    was cancelled."""

    task_id: str
    ended: Task | None = None


@dataclass(frozen=True, slots=True)
class DueLearned:
    """A task was scheduled for, or has a deadline at, this wall-clock time."""

    due_ms: int


@dataclass(frozen=True, slots=True)
class Promoted:
    """Answer to Promote: what became queued, what expired, and when the next task is due."""

    queued: tuple[Head, ...]
    expired: tuple[str, ...]
    next_due_ms: int | None
    stopped: tuple[str, ...] = ()  #: of sequences in which a task failed
    sequences: bool = False  #: tasks wait for others of their batch


@dataclass(frozen=True, slots=True)
class Claimed:
    """Answer to ClaimTasks; None where the store refused."""

    claims: tuple[Claim, ...]
    tasks: tuple[Task | None, ...]


@dataclass(frozen=True, slots=True)
class Granted:
    """Answer to Acquire."""

    grant: Grant


@dataclass(frozen=True, slots=True)
class Denied:
    """Answer to Acquire: not before `retry_s` seconds from now (None: the limiter does not say)."""

    grant: Grant
    message: str
    retry_s: float | None = None


@dataclass(frozen=True, slots=True)
class CallStarted:
    """The server has begun to answer a call: its model is loaded."""

    call: str


@dataclass(frozen=True, slots=True)
class CallEnded:
    """A call is over and its connection closed. `usage` is that of all its attempts."""

    call: str
    outcomes: Mapping[AttemptId, Outcome]
    usage: Usage


@dataclass(frozen=True, slots=True)
class Finished:
    """Answer to Finish; None where the end was stale."""

    ends: tuple[End, ...]
    tasks: tuple[Task | None, ...]


@dataclass(frozen=True, slots=True)
class StoreFailed:
    """A store verb failed: nothing it was asked happened, or with `unknown` perhaps it did. The same effect
    is due again later."""

    claims: tuple[Claim, ...] = ()
    ends: tuple[End, ...] = ()
    peeked: tuple[Lane, Priority] | None = None
    promoting: bool = False
    listing: bool = False
    unknown: bool = False
    message: str = ""


@dataclass(frozen=True, slots=True)
class EndRefused:
    """The store will never take this end as it is: text it cannot hold, a change it forbids."""

    end: End
    message: str


@dataclass(frozen=True, slots=True)
class CancelAsked:
    """Someone cancelled a task that is processing; the store has noted the wish."""

    task_id: str


@dataclass(frozen=True, slots=True)
class HostChecked:
    """Answer to CheckHost."""

    host: str
    endpoint: str
    health: Health


@dataclass(frozen=True, slots=True)
class InsideTold:
    """Answer to AskInside: requests that are inside a server (None: not known now). Not `tells`: it has no word
    for it."""

    host: str
    endpoint: str
    inside: int | None
    tells: bool = True


@dataclass(frozen=True, slots=True)
class ReadingTaken:
    """A probe took a reading of a host."""

    host: str
    reading: Reading


@dataclass(frozen=True, slots=True)
class ReadingMissed:
    """A probe that measures could take none."""

    host: str
    probe: str
    message: str


@dataclass(frozen=True, slots=True)
class ModelUnloaded:
    """Answer to Unload; `done` is False where the server cannot, or did not."""

    host: str
    endpoint: str
    model: str
    done: bool
    message: str = ""


@dataclass(frozen=True, slots=True)
class DispatchPaused:
    """The operator stopped or resumed all starts."""

    paused: bool


@dataclass(frozen=True, slots=True)
class HostDrained:
    """The operator took a host out of dispatch, or put it back."""

    host: str
    drained: bool


@dataclass(frozen=True, slots=True)
class ShutdownAsked:
    """Shutdown began: no further claims."""


@dataclass(frozen=True, slots=True)
class CutAsked:
    """The drain is over: stop the calls that still run. `reached`: how far they are, in percent, by task id."""

    reached: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ClockSet:
    """Wall-clock times are another by so much from now on: the machine's clock was taken over."""

    by_ms: int


@dataclass(frozen=True, slots=True)
class PastLearned:
    """How long a call to each host took in the last days, in milliseconds, for forecasts of what comes; and the last
    ends of earlier runs, oldest first."""

    mean_ms: Mapping[str, float]
    ends: tuple[EndView, ...] = ()


@dataclass(frozen=True, slots=True)
class Ticked:
    """Time has passed."""


Event = (
    HostsOwned
    | LanesSeen
    | RunningSeen
    | HeadsSeen
    | TasksQueued
    | TaskLeft
    | DueLearned
    | Promoted
    | Granted
    | Denied
    | Claimed
    | CallStarted
    | CallEnded
    | Finished
    | StoreFailed
    | EndRefused
    | CancelAsked
    | HostChecked
    | InsideTold
    | ReadingTaken
    | ReadingMissed
    | ModelUnloaded
    | DispatchPaused
    | HostDrained
    | ShutdownAsked
    | CutAsked
    | ClockSet
    | PastLearned
    | Ticked
)
