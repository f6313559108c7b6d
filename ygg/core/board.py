"""Everything the dispatcher knows, and nothing it could ask for.

`Window`: the first heads of one lane at one priority. It may hold heads that the store has lost in
between (a claim is compare-and-set, so a stale head only costs a refusal), but when `complete` it lacks
none. `unseen` windows therefore stand in the way of worse-ranked tasks until the store answers a Peek.

A slot is taken from the moment a claim is emitted until its call ended or the claim was refused; the
busy set of a host is exactly the claiming plus the running tasks on it. `check()` recomputes that.
"""

from __future__ import annotations

from bisect import insort
from collections import Counter, deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from operator import attrgetter
from typing import NamedTuple

from ygg.model import (
    Call,
    Candidate,
    Claim,
    Device,
    End,
    EndView,
    Head,
    Health,
    Host,
    HostHealth,
    Lane,
    Level,
    OutcomeKind,
    Policy,
    Priority,
    Reading,
    TaskType,
)

RECENT = 1000  #: ends remembered for rates and the live view
_BY_SEQ = attrgetter("seq")


@dataclass(slots=True)
class Window:
    """First heads of one lane at one priority, by seq."""

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
    second: frozenset[str]  #: hosts of the other kind
    hosts: frozenset[str]


@dataclass(slots=True)
class Gauge:
    """What the readings of one host have told. Times are monotonic seconds."""

    probed: bool = False  #: it has probes
    measured: bool = False  #: one of them measures it, so that missing readings limit it
    watching: bool = False
    asked: float = 0.0  #: since when it is watched
    active: float = 0.0  #: when it last had work
    reading: Reading | None = None  #: the newest that tells of devices
    at: float = float("-inf")  #: when that came
    streak: int = 0  #: readings without a gap
    lost: bool = False  #: they had stopped; a limit rises again after `limits.PROVEN` in a row
    error: str = ""  #: what was in the way of the last one; "" when it came
    level: Level | None = None
    full: bool = False  #: too little memory for a new start
    hot: bool = False  #: too hot for a new start
    cool_since: float | None = None
    room_since: float | None = None  #: since when memory is below the stop again
    foreign_mb: float = 0.0
    foreign_seen: int = 0  #: readings in a row that showed more than the loaded models took before
    lean_seen: int = 0  #: readings in a row that showed less
    footprints: dict[frozenset[str], float] = field(default_factory=dict)
    unload_at: float = 0.0  #: no further attempt to free memory before this

    @property
    def devices(self) -> tuple[Device, ...]:
        """Those of the reading that is held; () without one."""
        return self.reading.devices if self.reading else ()


@dataclass(slots=True)
class Server:
    """One endpoint of a host: what the breaker and the busy gate know of it."""

    health: HostHealth = HostHealth.UNKNOWN
    text: str = ""
    info: Health | None = None
    checked: float | None = None  #: monotonic time of the last sign of life or death
    checked_ms: int | None = None
    checking: bool = False
    check_at: float = 0.0  #: when the next health check is due
    probe_s: float = 0.0  #: pause before the next probe while the breaker is open
    busy_until: float = 0.0
    busy_times: int = 0  #: refusals in a row (429, 503, out of memory)
    loaded: frozenset[str] | None = None  #: models in memory, as far as it tells
    told: frozenset[str] | None = None  #: the same in its own words, calls on their way left out
    loaded_at: float = float("-inf")  #: when either last changed
    loaded_for: Priority | None = None  #: of the task for whose sake it last changed
    held_until: float = float("-inf")  #: a model that was just loaded stays until then
    passed_since: float | None = None  #: since when a task that needs another model is passed over
    swap_to: str = ""  #: the model this server drains for
    kept_for: Priority | None = None  #: worse ones wait: a task of this priority needs a change
    together: set[frozenset[str]] = field(default_factory=set)  #: models seen in memory together

    @property
    def open(self) -> bool:
        return self.health in (HostHealth.DOWN, HostHealth.UNAUTHORIZED)


@dataclass(slots=True)
class HostState:
    """One host: its gate, its servers and the tasks on it."""

    host: Host
    servers: dict[str, Server]
    limit: int
    limit_text: str = ""  #: why it is below the configured slots
    regain_at: float | None = None  #: not before this the limit may rise by one
    gauge: Gauge = field(default_factory=Gauge)
    drained: bool = False
    removed: bool = False  #: gone from hosts.yaml; stays until its last call ended
    busy: set[str] = field(default_factory=set)


@dataclass(slots=True)
class Track:
    """How calls to one candidate went: means in which newer ones weigh more."""

    mean_ms: float
    failing: float  #: share of calls that failed


@dataclass(slots=True)
class Claiming:
    claim: Claim
    head: Head


@dataclass(slots=True)
class Running:
    call: Call
    started: float
    cancelled: OutcomeKind | None = None


@dataclass(slots=True)
class Board:
    """What one dispatcher knows. Only `step` changes it."""

    policy: Policy = field(default_factory=Policy)
    types: Mapping[str, TaskType] = field(default_factory=dict)
    hosts: dict[str, HostState] = field(default_factory=dict)
    lanes: dict[Lane, dict[Priority, Window]] = field(default_factory=dict)
    where: dict[str, Head] = field(default_factory=dict)  #: heads in windows, by task id
    routes: dict[Lane, tuple[Candidate, ...]] = field(default_factory=dict)
    reaches: dict[Lane, Reach] = field(default_factory=dict)  #: of the lanes in `routes`
    lengths: dict[str | None, tuple[int, int]] | None = None  #: of queues, kept between two claims
    claiming: dict[str, Claiming] = field(default_factory=dict)
    running: dict[str, Running] = field(default_factory=dict)
    finishing: dict[str, End] = field(default_factory=dict)  #: ends on their way to the store
    unwritten: dict[str, End] = field(default_factory=dict)  #: ends the store could not take yet
    cancel_wanted: set[str] = field(default_factory=set)
    resting: set[str] = field(default_factory=set)  #: probed hosts that are not watched
    paused: bool = False
    draining: bool = False
    promoting: bool = False
    next_due_ms: int | None = None
    poll_at: float = 0.0
    store_retry_at: float | None = None
    store_error: str | None = None
    wake_at: float | None = None
    retime: bool = True  #: something may be due sooner than `wake_at`
    stale_ends: int = 0
    invalid_readings: int = 0
    tracks: dict[str, Track] = field(default_factory=dict)  #: by candidate key
    recent: deque[EndView] = field(default_factory=lambda: deque(maxlen=RECENT))

    # --- windows -------------------------------------------------------------------------------

    @property
    def window_size(self) -> int:
        """Heads kept per lane and priority: enough for two rounds of every slot in the house."""
        return max(16, 2 * sum(h.host.slots for h in self.hosts.values()))

    def window(self, lane: Lane, priority: Priority) -> Window:
        """The window of a lane at a priority; a new one is complete only for a lane known empty."""
        windows = self.lanes.get(lane)
        if windows is None:
            windows = self.lanes[lane] = {}
        found = windows.get(priority)
        if found is None:
            found = windows[priority] = Window(complete=True)
        return found

    def insert(self, head: Head) -> None:
        """Put a head in its window, or count it where it lies beyond; not when it is on its way."""
        if head.id in self.claiming or head.id in self.running:
            return
        self.remove(head.id)
        window = self.window(head.lane, head.priority)
        if not (
            window.complete or window.peeking or (window.heads and head.seq < window.heads[-1].seq)
        ):
            window.beyond += 1
            return
        insort(window.heads, head, key=_BY_SEQ)
        self.where[head.id] = head
        while len(window.heads) > 2 * self.window_size:
            del self.where[window.heads.pop().id]
            window.complete = False
            window.beyond += 1

    def remove(self, task_id: str) -> None:
        """Take a head out of its window, if it is in one."""
        head = self.where.pop(task_id, None)
        if head is not None:
            self.lanes[head.lane][head.priority].heads.remove(head)

    def windows(self) -> Iterator[tuple[Lane, Priority, Window]]:
        for lane, windows in self.lanes.items():
            for priority, window in windows.items():
                yield lane, priority, window

    def forget_idle_lanes(self) -> None:
        """Drop lanes that hold nothing: tasks come with their lane, so nothing is lost."""
        idle = [
            lane
            for lane, windows in self.lanes.items()
            if all(w.complete and not w.heads and not w.peeking for w in windows.values())
        ]
        for lane in idle:
            del self.lanes[lane]
            self.routes.pop(lane, None)
            self.reaches.pop(lane, None)

    def know_route(self, lane: Lane, route: tuple[Candidate, ...]) -> None:
        """Keep where a lane's tasks may run, the kind of host they want first."""
        self.routes[lane], self.reaches[lane] = route, self._reach(route)

    def forget_routes(self) -> None:
        self.routes.clear()
        self.reaches.clear()

    def _reach(self, route: tuple[Candidate, ...]) -> Reach:
        kind = self.hosts[route[0].host].host.kind if route else ""
        wanted = tuple(c for c in route if self.hosts[c.host].host.kind == kind)
        hosts = frozenset(c.host for c in route)
        return Reach(kind, wanted, hosts - {c.host for c in wanted}, hosts)

    # --- invariants ----------------------------------------------------------------------------

    def check(self) -> None:
        """Recompute every index and bound; AssertionError names the first that is off."""
        self._check_windows()
        held: dict[str, set[str]] = {name: set() for name in self.hosts}
        for task_id, item in self.claiming.items():
            held.setdefault(item.claim.candidate.host, set()).add(task_id)
        for task_id, run in self.running.items():
            held.setdefault(run.call.candidate.host, set()).add(task_id)
        for name, host in self.hosts.items():
            assert host.busy == held[name], f"{name}: busy {host.busy} but held {held[name]}"
            assert 0 <= host.limit <= host.host.slots, f"{name}: limit {host.limit}"
            rests = host.gauge.probed and not host.gauge.watching and not host.removed
            assert rests == (name in self.resting), f"{name}: resting {rests}"
        assert not self.claiming.keys() & self.running.keys(), "a task both claiming and running"
        assert self.lengths is None, "lengths of queues are kept beyond a round of dispatch"
        reaches = {lane: self._reach(route) for lane, route in self.routes.items()}
        assert self.reaches == reaches, "what lanes reach is not what their routes say"
        for lane, reach in reaches.items():
            first = self.routes[lane][: len(reach.wanted)]
            assert first == reach.wanted, f"{lane}: kinds of host mixed in its route"

    def _check_windows(self) -> None:
        seen: Counter[str] = Counter()
        for lane, priority, window in self.windows():
            assert window.heads == sorted(window.heads, key=_BY_SEQ), f"{lane} out of order"
            assert window.beyond == 0 if window.complete else window.beyond >= 0, f"{lane} counts"
            for head in window.heads:
                assert (head.lane, head.priority) == (lane, priority), f"{head} in a wrong window"
                assert self.where.get(head.id) == head, f"{head} not in the index"
                seen[head.id] += 1
        assert seen == Counter(self.where.keys()), "index and windows differ"
        both = self.where.keys() & (self.claiming.keys() | self.running.keys())
        assert not both, f"waiting and started: {both}"
