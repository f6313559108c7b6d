"""What is known of hosts: their gate, their servers, what readings and limiters said.

Without a reading that can be trusted nothing is known of a host's condition, and nothing stops a start.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from ygg.model import Device, Health, Host, HostHealth, Level, Operation, Priority, Reading

# --- readings ---------------------------------------------------------------------------------------


class Memory(NamedTuple):
    """MiB over all cards of a host."""

    used_mb: float
    total_mb: float

    @property
    def percent(self) -> float:
        return 100 * self.used_mb / self.total_mb


@dataclass(frozen=True, slots=True)
class Heat:
    """The hottest card of one reading. `margin_c`: degrees left to its own limit. `silent`: the card that
    was so hot when it last told, and does not tell now."""

    celsius: float
    margin_c: float
    slowed: bool
    silent: str = ""


@dataclass(frozen=True, slots=True)
class Condition:
    """What the newest reading says of a host, digested once: whoever asks whether it is hot, full or used by
    others reads this one value."""

    memory: Memory | None = None
    heat: Heat | None = None
    level: Level | None = None
    full: bool = False  #: too little memory for a new start
    hot: bool = False  #: too hot for a new start
    foreign_mb: float = 0.0  #: MiB that are not the model servers'


NOTHING = Condition()


@dataclass(slots=True)
class Gauge:
    """How the readings of one host come in, and what is remembered of them. Times are monotonic seconds."""

    probed: bool = False  #: it has probes
    measured: bool = False  #: one of them measures it, so that missing readings limit it
    watching: bool = False
    asked: float = 0.0  #: since when it is watched
    active: float = 0.0  #: when it last had work
    reading: Reading | None = None  #: the newest that tells of devices
    at: float = float("-inf")  #: when that came
    #: by uuid, as `cards.remember` keeps them
    cards: dict[str, Device] = field(default_factory=dict)
    streak: int = 0  #: readings without a gap
    lost: bool = False  #: they had stopped; a limit rises again after `limits.PROVEN` in a row
    error: str = ""  #: what was in the way of the last one; "" when it came
    cool_since: float | None = None
    room_since: float | None = None  #: since when memory is below the stop again
    foreign_seen: int = 0  #: readings in a row that showed more than the loaded models took before
    lean_seen: int = 0  #: readings in a row that showed less
    footprints: dict[frozenset[str], float] = field(default_factory=dict)
    unloads: dict[tuple[str, str], float] = field(
        default_factory=dict
    )  #: by (endpoint, model): not asked to be unloaded again before this


# --- hosts ------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Ghost:
    """A call that was cut off before its first token, as long as its server may be at work on it. Times are
    monotonic."""

    width: int
    since: float
    until: float  #: believed to have left by then
    caller: str | None = None  #: whose task it carried


@dataclass(slots=True)
class Proof:
    """What calls with one model on one server have shown. Times are monotonic seconds."""

    worked: float = float("-inf")  #: when one last completed
    blamed: str | None = None  #: id of the task that has failed since
    sick: str = ""  #: what the last canary said; "" while it is well
    ask_at: float = float("-inf")  #: when the next canary is due
    retry_s: float = 0.0  #: pause before the one after it
    canary: str = ""  #: id of the one that asks now
    operation: Operation = Operation.CHAT  #: what it asks for: that of the task that failed


@dataclass(slots=True)
class Server:
    """One endpoint of a host: its slots, and what the breaker and the busy gate know of it."""

    slots: int | None = None  #: what it runs at once; None: as many as its host
    busy: int = 0  #: widths of the calls on it, and of its ghosts
    health: HostHealth = HostHealth.UNKNOWN
    text: str = ""
    info: Health | None = None
    checked: float | None = None  #: monotonic time of the last sign of life or death
    checked_ms: int | None = None
    checking: bool = False
    check_at: float = 0.0  #: when the next health check is due
    retry_s: float = 0.0  #: pause before the next check while the breaker is open
    busy_until: float = 0.0
    busy_times: int = 0  #: refusals in a row (429, 503, out of memory)
    loaded: frozenset[str] | None = None  #: models in memory, as far as it tells
    told: frozenset[str] | None = None  #: the same in its own words, calls on their way left out
    loaded_at: float = float("-inf")  #: when either last changed
    stays_until: float = float("-inf")  #: tasks of a model that was just loaded go first until then
    passed_since: float | None = None  #: since when a task that needs another model is passed over
    swap_to: str = ""  #: the model this server drains for
    kept_for: Priority | None = None  #: worse ones wait: a task of this priority needs a change
    together: set[frozenset[str]] = field(default_factory=set)  #: models seen in memory together
    proofs: dict[str, Proof] = field(default_factory=dict)  #: by model
    fallen: dict[str, float] = field(default_factory=dict)  #: tasks that have just failed, and when
    ghosts: dict[str, Ghost] = field(default_factory=dict)  #: by call id, the oldest first
    inside_at: float = 0.0  #: with ghosts: when it is to be asked how many requests are inside
    inside_asked: bool = False  #: that question is under way
    served: dict[str, int] = field(
        default_factory=dict
    )  #: by caller, the longest ago first: which of all starts its newest here was

    @property
    def changing(self) -> bool:
        """Whether it prepares to change its models, or is kept from it for a while."""
        return bool(self.swap_to) or self.kept_for is not None

    @property
    def open(self) -> bool:
        return self.health in (HostHealth.DOWN, HostHealth.UNAUTHORIZED)


@dataclass(slots=True)
class HostState:
    """One host: its gate, its servers and the calls on it."""

    host: Host
    servers: dict[str, Server]
    limit: int
    withdrawn: str = ""  #: why a slot was taken that no reading asked for; "" once all are back
    regain_at: float | None = None  #: not before this the limit may rise by one
    gauge: Gauge = field(default_factory=Gauge)
    condition: Condition = NOTHING
    drained: bool = False
    removed: bool = False  #: gone from hosts.yaml; stays until its last call ended
    grants: dict[str, int] = field(default_factory=dict)  #: width by call id
    busy: int = 0  #: their sum, and that of the ghosts


@dataclass(slots=True)
class Track:
    """How calls to one candidate went: means in which newer ones weigh more."""

    mean_ms: float
    failing: float  #: share of calls that failed


@dataclass(slots=True)
class Denial:
    """What a limiter said no to, and until when (monotonic) it is not asked again."""

    until: float
    message: str
    times: int = 1  #: in a row
    over: bool = False  #: it may be asked again; kept to count them
