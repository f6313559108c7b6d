"""How many slots a host has now: the limit of its gate, moved by heat, memory and lost readings.

Lowering is immediate. Raising goes one slot at a time, no sooner than `regain_slot_s` after the last
change, and only on fresh readings; after readings were lost only once `PROVEN` of them came in a row, and
without any to what `on_unknown` allows. A limit is never below 0 nor above the configured slots, and
lowering it never touches a running call.
"""

from __future__ import annotations

from typing import NamedTuple

from ygg.core.hosts import cards, heat, pressure
from ygg.core.house import NOTHING, Condition, HostState
from ygg.model import Host, Now, Policy, Reason, ReasonCode, Trust, because

PROVEN = 3  #: readings in a row that end a loss


class Allowed(NamedTuple):
    """The most slots something allows, and what it is."""

    slots: int
    text: str = ""


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
    why = f": {host.gauge.error}" if host.gauge.error else ""
    return Allowed(min(slots, host.host.slots), f"no reading{why}")


def _heat(host: Host, condition: Condition) -> Allowed:
    found = condition.heat
    if found is None:
        return Allowed(0, "was too hot") if condition.hot else Allowed(host.slots)
    text = heat.described(found, host.heat)
    return (
        Allowed(0, f"too hot: {text}")
        if condition.hot
        else Allowed(heat.slots(host.slots, found, host.heat), text)
    )


def _memory(host: Host, condition: Condition) -> Allowed:
    found = condition.memory
    if found is None or condition.level is None:
        return Allowed(host.slots)
    if condition.full:
        return Allowed(0, f"memory {found.percent:.0f} % used")
    share = condition.foreign_mb / found.total_mb
    slots = pressure.slots(host.slots, condition.level, share, host.pressure)
    if host.pressure.mode == "seed":
        return Allowed(slots, f"memory {found.percent:.0f} % used, {condition.level.name}")
    gb = condition.foreign_mb / 1024
    return Allowed(slots, f"{gb:.1f} GB of memory used by others")


def told(host: HostState) -> str:
    """Why the limit is below the configured slots, and which cards are lost; "" when nothing is the matter."""
    low = host.limit < host.host.slots
    names = " and ".join(d.label for d in cards.lost(host.gauge))
    plural = "are" if " and " in names else "is"
    parts = (host.limit_text if low else "", f"{names} {plural} lost" if names else "")
    return "; ".join(part for part in parts if part)


# --- the limit moves ----------------------------------------------------------------------------------


def adjust(host: HostState, policy: Policy, now: Now) -> Reason | None:
    """Move the limit towards what is allowed; the reason when it moved."""
    gauge, before = host.gauge, host.limit
    if gauge.measured and trust(host, now) is Trust.UNKNOWN:
        _lose(host)
    most = allowed(host, now)
    if most.slots < before:
        host.limit, host.limit_text = most
    elif most.slots > before and _may_rise(host, now):
        host.limit += 1
        host.limit_text = most.text if host.limit == most.slots else "coming back slot by slot"
    if host.limit == before:
        if most.slots == before:  # what keeps it there may be another now
            host.limit_text = most.text
        return None
    host.regain_at = now.mono + policy.regain_slot_s
    return _moved(host, before)


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


def _moved(host: HostState, before: int) -> Reason:
    name, all_back = host.host.name, host.limit == host.host.slots
    if all_back:
        host.limit_text = ""
    return because(ReasonCode.LIMIT, name, before=before, limit=host.limit, why=host.limit_text)


def withdraw(host: HostState, policy: Policy, now: Now, text: str) -> Reason | None:
    """Take one slot for a reason no reading shows; the last one stays."""
    if host.limit <= 1:
        return None
    host.limit -= 1
    host.limit_text, host.regain_at = text, now.mono + policy.regain_slot_s
    return _moved(host, host.limit + 1)
