"""Everything the dispatcher knows, and nothing it could ask for.

`Window`: the first heads of one lane at one priority. It may hold heads that the store has lost in
between (a claim is compare-and-set, so a stale head only costs a refusal), but when `complete` it lacks
none. `unseen` windows therefore stand in the way of worse-ranked tasks until the store answers a Peek.

A slot is taken when a call is chosen and given back when the call is over: the grants of a host are
exactly the calls on it. `checking.check` recomputes every index here.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

from ygg.core.house import Denial, HostState, Track
from ygg.model import (
    Call,
    Candidate,
    End,
    EndView,
    Head,
    Lane,
    Outcome,
    OutcomeKind,
    Permit,
    Policy,
    Priority,
    Reason,
    State,
    Task,
    TaskType,
)

RECENT = 1000  #: ends remembered for rates and the live view
WINDOW = 64  #: heads of one window at most; at least 16, for those who look at what comes next

Place = tuple[str, str]  #: (host, endpoint)
Rank = tuple[float, int]  #: of a waiting task; smaller runs first


# --- what waits -------------------------------------------------------------------------------------


@dataclass(slots=True)
class Window:
    """First heads of one lane at one priority, in the order of the store."""

    heads: list[Head] = field(default_factory=list)
    complete: bool = False
    peeking: bool = False
    beyond: int = 0  #: queued tasks that are not among the heads, right to within a poll

    @property
    def unseen(self) -> bool:
        return not self.heads and not self.complete

    @property
    def queued(self) -> int:
        """Tasks the store has queued here."""
        return len(self.heads) + self.beyond

    def counted(self, queued: int) -> None:
        """Take over how many there are; a complete window knows better."""
        self.beyond = 0 if self.complete else max(0, queued - len(self.heads))


class Reach(NamedTuple):
    """What the route of a lane comes to."""

    kind: str  #: of the hosts it wants: `gpu` or `cpu`; "" without any host
    wanted: tuple[Candidate, ...]  #: those of that kind
    second: frozenset[Place]  #: those of the other kind
    hosts: frozenset[str]
    slots: int  #: configured, of all its hosts
    yields: bool  #: whether it has vLLM servers and others: what the first may take hangs on how the second are


class Offer(NamedTuple):
    """The best head of a lane. No two heads have one rank, so that offers are in order of rank."""

    rank: Rank
    head: Head


@dataclass(slots=True, eq=False)
class LaneState:
    """The waiting tasks of one lane, and where they may run by configuration."""

    lane: Lane
    route: tuple[Candidate, ...]
    reach: Reach
    windows: dict[Priority, Window] = field(default_factory=dict)
    queued: int = 0  #: over all windows
    best: Offer | None = None

    @property
    def window_size(self) -> int:
        """Heads kept per priority: enough for two rounds of every slot the lane reaches."""
        return min(WINDOW, max(16, 2 * self.reach.slots))


# --- what runs --------------------------------------------------------------------------------------


class Phase(Enum):
    """How far a call has come. It holds its slot in each."""

    ACQUIRING = 1  #: permits from outside are asked for, one after another
    CLAIMING = 2  #: the store is asked for its tasks
    RUNNING = 3  #: it is with the backend


@dataclass(slots=True)
class Try:
    """One task of a call."""

    head: Head
    task: Task | None = None  #: the claimed row
    cancelled: OutcomeKind | None = None  #: what it is to end as, once somebody wants it stopped
    reached: int | None = None  #: percent done when it was cut off


@dataclass(slots=True)
class CallState:
    """One call from the moment its slot is taken. `tries` by task id."""

    id: str
    candidate: Candidate
    tries: dict[str, Try]
    rank: Rank
    why: Reason
    width: int = 1
    phase: Phase = Phase.CLAIMING
    needs: tuple[Permit, ...] = ()  #: from outside, in the order in which they are asked for
    asked: int = 0  #: how many of them: all before the last are granted
    give_up_at: float = float("inf")  #: monotonic time by which the last must have been answered
    call: Call | None = None  #: as it was sent
    started: float = 0.0  #: monotonic time at which it was sent
    answered: float | None = (
        None  #: since when the server answers; before that it may load the model
    )
    canary: bool = False  #: ygg's own: it carries no task

    @property
    def caller(self) -> str | None:
        """Whose tasks it carries; None for a canary."""
        return next((attempt.head.lane.caller for attempt in self.tries.values()), None)


class Suspect(NamedTuple):
    """An attempt that failed, perhaps through the server's fault; a canary decides what becomes of its task."""

    task: Task
    candidate: Candidate
    outcome: Outcome


# --- the board --------------------------------------------------------------------------------------


@dataclass(slots=True)
class Board:
    """What one dispatcher knows. Only `step` changes it. `run` names this run in the ids of its calls."""

    run: str = ""
    serial: int = 0  #: of the newest call
    starts: int = 0  #: of all callers, to tell whose was the last (`Server.served`)
    policy: Policy = field(default_factory=Policy)
    types: Mapping[str, TaskType] = field(default_factory=dict)
    loading: tuple[TaskType, ...] = ()  #: those that say how models are loaded
    hosts: dict[str, HostState] = field(default_factory=dict)
    needs: Mapping[Place, tuple[Permit, ...]] = field(default_factory=dict)
    denials: dict[Permit, Denial] = field(default_factory=dict)
    # What waits. `lanes` holds those with tasks; the rest are indexes over it.
    lanes: dict[Lane, LaneState] = field(default_factory=dict)
    where: dict[str, Head] = field(default_factory=dict)  #: heads in windows, by task id
    serving: dict[str, dict[LaneState, None]] = field(default_factory=dict)  #: by host
    unseen: dict[tuple[Lane, Priority], None] = field(default_factory=dict)
    single: dict[str, int] = field(
        default_factory=dict
    )  #: queued in lanes of one kind of host, by it
    mixed: dict[LaneState, None] = field(default_factory=dict)  #: lanes of both kinds
    avoiding: dict[LaneState, None] = field(default_factory=dict)  #: lanes that avoid a candidate
    open: dict[str, set[str]] = field(default_factory=dict)  #: endpoints that take a call, by host
    changing: dict[Place, None] = field(
        default_factory=dict
    )  #: servers with `swap_to` or `kept_for`
    # What runs.
    calls: dict[str, CallState] = field(default_factory=dict)
    call_of: dict[str, str] = field(default_factory=dict)  #: by task id
    acquiring: dict[str, None] = field(default_factory=dict)  #: calls that wait for permits
    suspects: dict[str, Suspect] = field(default_factory=dict)  #: by task id
    apart: dict[str, int] = field(
        default_factory=dict
    )  #: tasks that failed together, and how many: a server runs few of them at a time
    suspected: dict[str, int] = field(
        default_factory=dict
    )  #: how often, by id of a task that waits
    compared: frozenset[str] | None = None  #: calls that ran when the store was asked what it holds
    finishing: dict[str, End] = field(default_factory=dict)  #: ends on their way to the store
    unwritten: dict[str, End] = field(default_factory=dict)  #: ends the store could not take yet
    # Where to look in the next round: a host that changed, a lane whose tasks changed.
    changed_hosts: dict[str, None] = field(default_factory=dict)
    changed_lanes: dict[Lane, None] = field(default_factory=dict)
    resting: set[str] = field(default_factory=set)  #: probed hosts that are not watched
    paused: bool = False
    stopping: bool = False  #: shutdown began
    promoting: bool = False
    sequences: bool = False  #: tasks wait for others of their batch
    promote_again: bool = False  #: one has ended while a pass over due tasks was under way
    next_due_ms: int | None = None
    poll_at: float = 0.0
    store_retry_at: float | None = None
    store_error: str | None = None
    store_told: tuple[str, float] = (
        "",
        0.0,
    )  #: what of it was last said to people, and when (monotonic)
    store_failures: int = 0  #: since then
    wake_at: float | None = None
    retime: bool = True  #: something may be due sooner than `wake_at`
    stale_ends: int = 0
    invalid_readings: int = 0
    tracks: dict[str, Track] = field(default_factory=dict)  #: by candidate key
    past_ms: Mapping[str, float] = field(
        default_factory=dict
    )  #: mean run time of a call in earlier runs, by host
    recent: deque[EndView] = field(default_factory=lambda: deque(maxlen=RECENT))
    ended: Counter[State] = field(default_factory=Counter)  #: how attempts of this run ended

    @property
    def running(self) -> list[CallState]:
        """The calls that are with a backend."""
        return [c for c in self.calls.values() if c.phase is Phase.RUNNING]

    def changed(self, host: str) -> None:
        """Something of this host is not as it was: the next round asks whoever may use it."""
        self.changed_hosts[host] = None

    def forget_gone(self) -> None:
        """Hosts or servers are gone: no index names them any more."""
        self.resting &= self.hosts.keys()
        self.open = {name: found for name, found in self.open.items() if name in self.hosts}
        self.changing = {
            (name, endpoint): None
            for name, host in self.hosts.items()
            for endpoint, server in host.servers.items()
            if server.changing
        }

    def all_changed(self) -> None:
        self.changed_hosts.update(dict.fromkeys(self.hosts))
        self.changed_lanes.update(dict.fromkeys(self.lanes))

    def windows(self) -> Iterator[tuple[Lane, Priority, Window]]:
        for lane, state in self.lanes.items():
            for priority, window in state.windows.items():
                yield lane, priority, window
