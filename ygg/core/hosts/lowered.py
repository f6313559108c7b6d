"""What is said of a limit below the configured slots: made from the newest reading whenever somebody asks, never kept.

It says what holds the limit down, which cards are lost, and when it ends: what has to be read for that, and since
when it is.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

from ygg.core.hosts import cards, heat, limits, pressure
from ygg.core.hosts.condition import ROOM_S
from ygg.core.hosts.limits import PROVEN, Cause
from ygg.core.house import HostState
from ygg.model import Now, Reason, ReasonCode, Trust, because
from ygg.model.reasons import gb
from ygg.model.snapshot import RETURNING
from ygg.plain import percent


class _Said(NamedTuple):
    """`ends` is what has to come true; `until` when time alone ends it, on the monotonic clock."""

    what: str = ""
    ends: str = ""
    until: float | None = None


def told(host: HostState, now: Now) -> str:
    """Why the limit is below the configured slots, which cards are lost, and when it ends; "" when nothing is the
    matter."""
    said = _said(host, now)
    return "; ".join(part for part in (said.what, _lost(host), said.ends) if part)


def cause(host: HostState, now: Now) -> str:
    """What holds the limit down, one of `model.snapshot.HELD`; "" when it is not below the configured slots."""
    if host.limit >= host.host.slots:
        return ""
    most = limits.allowed(host, now)
    return RETURNING if most.slots > host.limit or most.cause is Cause.NONE else most.cause.value


def until_ms(host: HostState, now: Now) -> int | None:
    """Wall-clock time at which a slot comes back if readings stay as they are; None where they have to change."""
    until = _said(host, now).until
    return None if until is None else now.wall_ms + round((until - now.mono) * 1000)


def moved(host: HostState, before: int, now: Now) -> Reason:
    """The reason of a limit that was `before`."""
    why = told(host, now) if host.limit < host.host.slots else ""
    return because(ReasonCode.LIMIT, host.host.name, before=before, limit=host.limit, why=why)


def _lost(host: HostState) -> str:
    names = " and ".join(d.label for d in cards.lost(host.gauge))
    return f"{names} {'are' if ' and ' in names else 'is'} lost" if names else ""


def _said(host: HostState, now: Now) -> _Said:
    if host.limit >= host.host.slots:
        return _Said()
    most = limits.allowed(host, now)
    return _rising(host, now) if most.slots > host.limit else _CAUSES[most.cause](host, now)


def _rising(host: HostState, now: Now) -> _Said:
    """Nothing holds it any more: slots come back one by one."""
    what = host.withdrawn or "coming back slot by slot"
    if host.gauge.lost:
        return _Said(what, f"the next slot after {PROVEN} readings in a row")
    if host.regain_at is None or host.regain_at <= now.mono:
        return _Said(what, "the next slot with the next reading" if host.gauge.measured else "")
    return _Said(what, f"the next slot in {_seconds(host.regain_at - now.mono)}", host.regain_at)


def _blind(host: HostState, _: Now) -> _Said:
    why = f": {host.gauge.error}" if host.gauge.error else ""
    return _Said(f"no reading{why}", f"slots come back after {PROVEN} readings in a row")


def _hot(host: HostState, now: Now) -> _Said:
    rule = host.host.heat
    ends = f"starts again {heat.cool_at(rule)} for {rule.hold_s:g} s"
    return _held("too hot", _heat(host, now), ends, host.gauge.cool_since, rule.hold_s, now)


def _warm(host: HostState, now: Now) -> _Said:
    found = host.condition.heat
    assert found is not None
    return _Said(_heat(host, now), f"all slots again {heat.well_at(found, host.host.heat)}")


def _heat(host: HostState, now: Now) -> str:
    found = host.condition.heat
    return "" if found is None else heat.described(found, host.host.heat) + _age(host, now)


def _full(host: HostState, now: Now) -> _Said:
    rule = host.host.pressure
    ends = f"starts again below {rule.stop - rule.hysteresis:g} %, or below {rule.stop:g} % for {ROOM_S:g} s"
    return _held("memory full", _used(host, now), ends, host.gauge.room_since, ROOM_S, now)


def _pressed(host: HostState, now: Now) -> _Said:
    rule, condition = host.host.pressure, host.condition
    if rule.mode == "seed" and condition.level is not None:
        floor = pressure.left_below(condition.level, rule)
        ends = f"more slots below {floor:g} %" if floor is not None else ""
        return _Said(f"memory {_used(host, now)} used, {condition.level.name}", ends)
    assert condition.memory is not None
    most = gb(rule.foreign_from / 100 * condition.memory.total_mb)
    what = f"{gb(condition.foreign_mb)} of memory used by others{_age(host, now)}"
    return _Said(what, f"all slots again below {most}")


def _used(host: HostState, now: Now) -> str:
    found = host.condition.memory
    return "" if found is None else f"{percent(*found)} %{_age(host, now)}"


def _held(what: str, value: str, ends: str, since: float | None, hold_s: float, now: Now) -> _Said:
    """Something that ends once readings were good for so long; `since`: since when they are."""
    if since is None:
        return _Said(f"{what}: {value}" if value else f"was {what}", ends)
    return _Said(what, f"{ends}; now {value}, {_seconds(now.mono - since)}", since + hold_s)


def _age(host: HostState, now: Now) -> str:
    """That of a reading which is no longer fresh."""
    if limits.trust(host, now) is Trust.FRESH:
        return ""
    return f" {_seconds(now.mono - host.gauge.at)} ago"


def _seconds(span: float) -> str:
    return f"{math.ceil(span)} s"


_CAUSES: dict[Cause, Callable[[HostState, Now], _Said]] = {
    Cause.NONE: _rising,
    Cause.BLIND: _blind,
    Cause.HOT: _hot,
    Cause.WARM: _warm,
    Cause.FULL: _full,
    Cause.PRESSED: _pressed,
}
