"""How many slots a host has now: the limit of its gate, moved by heat, memory and lost readings.

Lowering is immediate. Raising goes one slot at a time, no sooner than `regain_slot_s` after the last
change, and only on fresh readings; after readings were lost only once `PROVEN` of them came in a row, and
without any to what `on_unknown` allows. A limit is never below 0 nor above the configured slots, and
lowering it never touches a running call.
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from ygg.core.hosts import heat, pressure
from ygg.core.house import NOTHING, Condition, HostState
from ygg.model import Host, Now, Policy, Trust

PROVEN = 3  #: readings in a row that end a loss


class Cause(Enum):
    """What holds a limit down."""

    NONE = "none"
    BLIND = "blind"  #: nothing is known of the host
    HOT = "hot"  #: too hot for a new start
    WARM = "warm"
    FULL = "full"  #: too little memory for a new start
    PRESSED = "pressed"  #: others use its memory


class Allowed(NamedTuple):
    """The most slots something allows, and what it is."""

    slots: int
    cause: Cause = Cause.NONE


# --- trust ------------------------------------------------------------------------------------------


def awaited(host: HostState, now: Now) -> bool:
    """Whether the first reading since the host is watched is still to come."""
    gauge = host.gauge
    if not gauge.measured or (gauge.watching and gauge.at >= gauge.asked):
        return False
    late = now.mono >= gauge.asked + host.host.telemetry.fresh_s
    return not gauge.watching or not (late or gauge.error)


def trust(host: HostState, now: Now) -> Trust:
    """What the newest reading of a measured host is worth. A host that rests keeps what it had."""
    gauge, telemetry = host.gauge, host.host.telemetry
    if not gauge.watching:
        return Trust.STALE
    if gauge.at < gauge.asked:
        return Trust.STALE if awaited(host, now) else Trust.UNKNOWN
    if now.mono >= gauge.at + telemetry.stale_s:
        return Trust.UNKNOWN
    return Trust.FRESH if now.mono - gauge.at <= telemetry.fresh_s else Trust.STALE


def changes_at(host: HostState) -> float:
    """When `trust` falls to UNKNOWN unless a reading comes, on the monotonic clock."""
    gauge, telemetry = host.gauge, host.host.telemetry
    if not gauge.measured or not gauge.watching:
        return float("inf")
    if gauge.at < gauge.asked:
        return gauge.asked + telemetry.fresh_s
    return gauge.at + telemetry.stale_s


# --- what is allowed ----------------------------------------------------------------------------------


def allowed(host: HostState, now: Now) -> Allowed:
    """The most slots the host may have now."""
    full = Allowed(host.host.slots)
    if not host.gauge.measured:
        return full
    if trust(host, now) is Trust.UNKNOWN:
        return _unknown(host)
    heated, pressed = _heat(host.host, host.condition), _memory(host.host, host.condition)
    return min(full, heated, pressed, key=lambda a: a.slots)


def _unknown(host: HostState) -> Allowed:
    slots = {"conservative": 1, "hold": 0}.get(host.host.telemetry.on_unknown, host.host.slots)
    return Allowed(min(slots, host.host.slots), Cause.BLIND)


def _heat(host: Host, condition: Condition) -> Allowed:
    if condition.hot:
        return Allowed(0, Cause.HOT)
    if condition.heat is None:
        return Allowed(host.slots)
    return Allowed(heat.slots(host.slots, condition.heat, host.heat), Cause.WARM)


def _memory(host: Host, condition: Condition) -> Allowed:
    found = condition.memory
    if found is None or condition.level is None:
        return Allowed(host.slots)
    if condition.full:
        return Allowed(0, Cause.FULL)
    share = condition.foreign_mb / found.total_mb
    return Allowed(pressure.slots(host.slots, condition.level, share, host.pressure), Cause.PRESSED)


# --- the limit moves ----------------------------------------------------------------------------------


def adjust(host: HostState, policy: Policy, now: Now) -> bool:
    """Move the limit towards what is allowed; whether it moved."""
    gauge, before = host.gauge, host.limit
    if gauge.measured and trust(host, now) is Trust.UNKNOWN:
        _lose(host)
    most = allowed(host, now)
    if most.slots < before:
        host.limit, host.withdrawn = most.slots, ""
    elif most.slots > before and _may_rise(host, now):
        host.limit += 1
    if host.limit == before:
        return False
    _moved(host, policy, now)
    return True


def _moved(host: HostState, policy: Policy, now: Now) -> None:
    host.regain_at = now.mono + policy.regain_slot_s
    if host.limit == host.host.slots:
        host.withdrawn = ""


def _lose(host: HostState) -> None:
    """A reading that says nothing any more is not held: neither its heat nor its memory count."""
    gauge, host.condition = host.gauge, NOTHING
    gauge.lost, gauge.streak, gauge.reading = True, 0, None
    gauge.cool_since = gauge.room_since = None
    gauge.cards.clear()


def _may_rise(host: HostState, now: Now) -> bool:
    if host.regain_at is not None and host.regain_at > now.mono:
        return False
    if not host.gauge.measured:
        return True
    found = trust(host, now)  # where nothing is known any more, its own rule says how far
    return found is Trust.UNKNOWN or (found is Trust.FRESH and not host.gauge.lost)


def withdraw(host: HostState, policy: Policy, now: Now, text: str) -> bool:
    """Take one slot for a reason no reading shows; the last one stays. Whether one was taken."""
    if host.limit <= 1:
        return False
    host.limit -= 1
    host.withdrawn = text
    _moved(host, policy, now)
    return True
