"""What is the matter in the house that somebody who is not looking wants to be told of: read off one snapshot.

A cause that cannot be judged now, such as the heat of a card that nobody reads, is None: it stays as it was. What a person did,
a pause or a drained host, is no cause.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import NamedTuple

from ygg.model import GpuView, HostHealth, HostView, ReasonCode, Snapshot, State, WaitingView
from ygg.model.notices import Event
from ygg.plain import counted
from ygg.telling.health import checkup
from ygg.telling.troubles import WORDS, ill

COOLER_C = 5.0  #: below its limit, until a card that was hot is hot no more
STUCK = ("no_host_up", "not_processing")  #: findings of the checkup that say why nothing moves
TOLD_AS = {
    ReasonCode.HOST_DOWN: Event.HOST_DOWN,
    ReasonCode.HOST_UNAUTHORIZED: Event.HOST_DOWN,
    ReasonCode.HOST_HOT: Event.HOT,
}


class Cause(NamedTuple):
    """`QUEUE_DRAINED` stands for the work whose end is told, `HOST_DOWN` for a host that is down."""

    event: Event
    host: str = ""


Found = dict[Cause, str | None]


def causes(
    view: Snapshot, known: Collection[Cause], measured: Collection[str], *, moved: bool
) -> Found:
    """Each cause with its text. `known`: those that there were; `measured`: hosts that have been read; `moved`: whether
    a task came to its end since the last look: one that was put off did not."""
    found: Found = {}
    for host in view.hosts:
        found |= {Cause(event, host.name): text for event, text in _of_host(host, known, measured)}
    if _works(view):
        found[Cause(Event.QUEUE_DRAINED)] = ""
    if not moved and _waits(view):
        found[Cause(Event.NOTHING_MOVES)] = _stuck(view)
    return found


def read(view: Snapshot, measured: Collection[str]) -> tuple[str, ...]:
    """The hosts that have been read by now."""
    return tuple(h.name for h in view.hosts if h.name in measured or _fresh(h))


def _of_host(
    host: HostView, known: Collection[Cause], measured: Collection[str]
) -> Iterator[tuple[Event, str | None]]:
    if host.drained:
        yield from ((e, None) for e in (Event.HOST_DOWN, Event.HOT, Event.TELEMETRY_LOST))
        return
    if host.health is not HostHealth.UP:
        yield Event.HOST_DOWN, ill(host) if host.health in WORDS else None
    yield from _heat(host, hot=Cause(Event.HOT, host.name) in known)
    yield from _readings(host, measured)


def _heat(host: HostView, *, hot: bool) -> Iterator[tuple[Event, str | None]]:
    cards = [g for g in _fresh(host) if g.temperature_c is not None]
    if not cards:
        yield Event.HOT, None
        return
    over = [text for g in cards if (text := _too_hot(host, g, hot=hot))]
    if over:
        yield Event.HOT, over[0]


def _too_hot(host: HostView, gpu: GpuView, *, hot: bool) -> str:
    limit = gpu.limit_c if host.heat_c is None else host.heat_c[2]
    assert gpu.temperature_c is not None
    if limit is None or gpu.temperature_c < limit - hot * COOLER_C:
        return ""
    return f"{gpu.temperature_c:g} °C, its limit is {limit:g} °C: nothing new starts until it is cooler"


def _readings(host: HostView, measured: Collection[str]) -> Iterator[tuple[Event, str | None]]:
    lost = [f"{g.name or f'card {g.index}'}: {g.error}" for g in host.gpus if g.error]
    if lost:
        yield Event.TELEMETRY_LOST, "; ".join(lost)
    elif not host.gpus and host.name in measured and host.running and host.health is HostHealth.UP:
        yield Event.TELEMETRY_LOST, host.limit_reason or "no reading"
    elif not _fresh(host):
        yield Event.TELEMETRY_LOST, None  # it rests, or has not been read yet


def _fresh(host: HostView) -> list[GpuView]:
    return [g for g in host.gpus if not g.stale and not g.error]


def _runs(view: Snapshot) -> bool:
    return bool(view.running or view.counts.state(State.PROCESSING))


def _works(view: Snapshot) -> bool:
    """Whether there is work: a task that waits for its own time is none yet."""
    return bool(_waits(view) or _runs(view) or view.counts.state(State.QUEUED))


def _waits(view: Snapshot) -> list[WaitingView]:
    """What waits for a host, or to be tried again."""
    again = (w for w in view.scheduled if w.reason.code is ReasonCode.BACKING_OFF)
    return [*view.waiting, *again]


def _stuck(view: Snapshot) -> str | None:
    """Why, where it is not a person who stopped it; what runs may come to its end yet."""
    waits = _waits(view)
    if _runs(view) or view.paused or all(w.reason.code is ReasonCode.HOST_DRAINED for w in waits):
        return None
    told = [f.text for f in checkup(view).findings if f.code in STUCK]
    if told:
        return told[0]
    tasks = counted(max(len(waits), view.counts.state(State.QUEUED)), "task")
    return f"waiting: {tasks}; the first one: {waits[0].reason.text}"


def explained(view: Snapshot, told: Collection[Event]) -> tuple[Event, ...]:
    """The events from which it follows that nothing moves, where they were told and explain each task that waits."""
    events = {TOLD_AS.get(w.reason.code) for w in _waits(view)}
    known = {e for e in events if e is not None and e in told}
    return tuple(sorted(known)) if known == events else ()
