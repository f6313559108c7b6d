"""What the newest readings say of a host, digested once, when a reading comes.

Whoever asks whether a host is hot, full or used by others (its limit, the gate, reasons, views, history)
reads this one value; only `readings` makes it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from ygg.core.hosts.heat import Heat
from ygg.core.hosts.pressure import Memory
from ygg.model import Level, Reading


@dataclass(frozen=True, slots=True)
class Condition:
    """Without a reading that can be trusted nothing is known, and nothing stops a start."""

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
    streak: int = 0  #: readings without a gap
    lost: bool = False  #: they had stopped; a limit rises again after `limits.PROVEN` in a row
    error: str = ""  #: what was in the way of the last one; "" when it came
    cool_since: float | None = None
    room_since: float | None = None  #: since when memory is below the stop again
    foreign_seen: int = 0  #: readings in a row that showed more than the loaded models took before
    lean_seen: int = 0  #: readings in a row that showed less
    footprints: dict[frozenset[str], float] = field(default_factory=dict)
    unload_at: float = 0.0  #: no further attempt to free memory before this
