"""The frozen copy of the dispatcher that CLI, API and live view are drawn from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from operator import attrgetter

from ygg.model.calls import Counts
from ygg.model.reasons import Reason
from ygg.model.words import HostHealth, Priority, State

BUCKET_S, BUCKETS = 10, 12  #: the history of a host: two minutes
RETURNING = "returning"  #: nothing holds a limit any more: slots come back one by one
HELD = ("blind", "hot", "warm", "full", "pressed", RETURNING)  #: why a limit is lowered


@dataclass(frozen=True, slots=True)
class GpuView:
    """The newest reading of one GPU; every figure the card does not report is None."""

    index: int = 0
    name: str = ""
    used_mb: float | None = None
    total_mb: float | None = None
    level: str | None = None  #: of memory pressure: LOW, NORMAL, HIGH, CRITICAL
    temperature_c: float | None = None
    limit_c: float | None = None  #: where the card slows itself down
    power_w: float | None = None
    age_s: float = 0.0
    stale: bool = False  #: too old to be trusted for more than lowering a limit
    utilization: float | None = None  #: percent
    error: str = ""  #: why it cannot be read: it is lost
    uuid: str = ""  #: what stays the same while indexes move


def memory_of(gpus: Sequence[GpuView], *, whole: bool = False) -> tuple[float, float] | None:
    """MiB used and in all over those cards of a host that tell both, as pressure is measured; None when none does.
    `whole`: None as well where one that is not lost does not; what is kept for days is of the same cards throughout."""
    known = [(g.used_mb, g.total_mb) for g in gpus if g.used_mb is not None and g.total_mb]
    if not known or (whole and len(known) < sum(not g.error for g in gpus)):
        return None
    return sum(used for used, _ in known), sum(total for _, total in known)


def hottest(gpus: Iterable[GpuView]) -> GpuView | None:
    """The hottest card of those that tell their temperature."""
    known = (g for g in gpus if g.temperature_c is not None)
    return max(known, key=attrgetter("temperature_c"), default=None)


@dataclass(frozen=True, slots=True)
class Trend:
    """How far the readings of a host have moved within the last minute; None where nothing is known of it."""

    temperature_c: float | None = None
    used_mb: float | None = None


@dataclass(frozen=True, slots=True)
class SickView:
    """A model that fails on a host whoever asks, and when ygg asks it again."""

    endpoint: str
    model: str
    message: str
    ask_at_ms: int


@dataclass(frozen=True, slots=True)
class EndpointView:
    """One model server of a host. `slots` is what it runs at once by configuration, `limit` how many it may now."""

    name: str
    kind: str
    slots: int
    limit: int
    busy: int
    health: HostHealth
    text: str
    free: int = 0  #: slots that are open for a call now
    busy_until_ms: int | None = None  #: it said that it is busy: asked again then


@dataclass(frozen=True, slots=True)
class HostView:
    """One host as readers see it."""

    name: str
    kind: str
    slots: int
    limit: int
    running: tuple[str, ...]  #: task ids
    health: HostHealth
    health_text: str
    drained: bool
    busy_until_ms: int | None  #: all its servers are busy: the first is asked again then
    checked_ms: int | None
    latency_ms: float | None
    version: str | None
    backend: str
    models: tuple[str, ...]
    loaded: tuple[str, ...] | None = None
    gpus: tuple[GpuView, ...] = ()
    tokens_per_s: float | None = None  #: of the calls that stream now
    history: tuple[
        float, ...
    ] = ()  #: tokens per second in the last buckets of `BUCKET_S`, oldest first
    limit_reason: str = ""  #: why the limit is below the configured slots; lost cards
    limit_cause: str = ""  #: why the limit is below them in one word of `HELD`
    level: str | None = None  #: memory pressure of the host: LOW, NORMAL, HIGH, CRITICAL
    sick: tuple[SickView, ...] = ()
    endpoints: tuple[EndpointView, ...] = ()
    ghosts: int = 0  #: slots of calls that were cut off and have not left their server yet
    free: int = 0  #: slots that are open for a call now: none while it is down, drained or pauses
    heat_c: tuple[float, float, float] | None = (
        None  #: where it is warm, slows down and stops; None: by the card
    )
    trend: Trend = Trend()
    ask_at_ms: int | None = None  #: when a host that is down is asked again


@dataclass(frozen=True, slots=True)
class RunningView:
    """One call in flight. `tokens` counts the pieces streamed so far."""

    task_id: str
    attempt: int
    type: str
    title: str
    priority: Priority
    host: str
    model: str
    backend: str
    started_ms: int
    timeout_s: float
    tokens: int = 0
    max_tokens: int | None = None
    first_ms: int | None = None  #: when the first piece came; until then the model may be loading
    endpoint: str = ""  #: of its host, where that has several
    progress: int | None = None  #: percent, 99 at most; None where nothing says how long it will be

    def rate(self, at_ms: int) -> float | None:
        """Tokens per second since the first one."""
        if self.first_ms is None or at_ms <= self.first_ms or not self.tokens:
            return None
        return self.tokens * 1000 / (at_ms - self.first_ms)


@dataclass(frozen=True, slots=True)
class WaitingView:
    """One of the next tasks, with the reason it waits."""

    task_id: str
    type: str
    priority: Priority
    created_ms: int
    reason: Reason
    expected_ms: int | None = None  #: until it starts, from measured rates
    title: str = ""
    due_ms: int | None = None  #: of a scheduled task: it waits for this time of the wall clock


@dataclass(frozen=True, slots=True)
class EndView:
    """How one attempt ended lately. A `state` that is not final: its task waits again, or for a person."""

    task_id: str
    at_ms: int
    state: State
    reason: str
    host: str | None
    took_ms: int | None
    wait_ms: int | None
    output_tokens: int | None = None
    type: str = ""
    title: str = ""
    priority: Priority = Priority.NORMAL
    detail: str = ""  #: what was in the way, in words


@dataclass(frozen=True, slots=True)
class LogView:
    """A line of the log, and the task that it is about."""

    at_ms: int
    text: str
    level: str = "INFO"
    task_id: str = ""
    type: str = ""
    title: str = ""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A frozen copy of the dispatcher's state for CLI, API, metrics and live view."""

    at_ms: int
    started_ms: int
    epoch: int
    paused: bool
    draining: bool
    hosts: tuple[HostView, ...]
    running: tuple[RunningView, ...]
    waiting: tuple[WaitingView, ...]
    recent: tuple[EndView, ...]
    counts: Counts
    stale_ends: int = 0
    store_error: str | None = None
    config_error: str | None = None  #: what is wrong with hosts.yaml; an older one is in force
    exposed: str | None = None  #: where anybody may do everything
    notify_error: str | None = None  #: which targets of `notify` cannot be told, and why
    log: tuple[LogView, ...] = ()
    per_minute: float | None = None  #: tasks completed per minute of work, idle time aside
    drain_ms: int | None = None  #: until the last waiting task starts: the longest `expected_ms`
    gpu_waiting: int = 0  #: queued tasks that wait for a GPU host
    cpu_waiting: int = 0
    scheduled: tuple[WaitingView, ...] = ()  #: those that are due first
    cut_off_ms: int | None = None  #: while draining: when the calls that still run are cut off
