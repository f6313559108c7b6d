"""More slots for a host, or fewer? The mission's rules, applied to the minutes that were kept.

Only minutes count in which the host had work and as many slots as it has now: after a change the advice
starts anew. A figure is what 9 of 10 of its minutes stay at or below, so that a single bad one decides
nothing. More slots are advised only while memory is known to be free, and never for minutes in which
heat, memory or lost readings had lowered the limit: there the slots were not what tasks waited for.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from ygg.model import MinuteRow
from ygg.plain import counted

FULL = 90.0  #: percent of GPU memory used: above it fewer slots
ROOM = 85.0  #: above it there is no room for one more
LONG_S = 60.0  #: tasks that wait longer want more slots
IDLE = 50.0  #: a GPU less busy than this percent while tasks wait could do more
BUSY = 85.0  #: a GPU this busy gains little from more
HELD_BACK = 50.0  #: percent of the minutes with a lowered limit, that the slots are not to blame
MOST = 0.9  #: of the minutes
NEEDED = 30  #: minutes with work
NEEDED_OF_A_KIND = 10  #: minutes with a reading, with a start, with a queue


class Verdict(StrEnum):
    FEWER = "fewer"
    MORE = "more"
    FINE = "fine"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Figures:
    """What an advice rests on. None where too little was measured."""

    minutes: int  #: with work and this many slots
    other_minutes: int  #: with work and another number of slots
    first_ms: int | None
    last_ms: int | None
    running: float | None  #: calls at the same time, mean
    memory_percent: float | None  #: in 9 of 10 minutes at most
    memory_max_percent: float | None
    wait_s: float | None  #: the longest of a minute, in 9 of 10 minutes at most
    wait_mean_s: float | None
    wait_max_s: float | None
    started: int
    utilization_percent: float | None  #: mean
    waiting_minutes: int  #: in which tasks waited although every slot was allowed
    waiting_utilization_percent: float | None  #: mean of those
    limited_percent: float | None  #: of the minutes: the limit was below the slots


@dataclass(frozen=True, slots=True)
class Advice:
    """For one host: what to do with its slots, and why. `to` is None where no number follows."""

    host: str
    slots: int
    verdict: Verdict
    to: int | None
    text: str
    figures: Figures


def advise(host: str, slots: int, rows: Sequence[MinuteRow]) -> Advice:
    """From the minutes of this host, which has that many slots now."""
    figures = measure(slots, rows)
    verdict, text = _judged(slots, figures)
    to = {Verdict.FEWER: slots - 1, Verdict.MORE: slots + 1}.get(verdict)
    return Advice(host, slots, verdict, to or None, text, figures)


# --- figures ----------------------------------------------------------------------------------------


def measure(slots: int, rows: Sequence[MinuteRow]) -> Figures:
    """The figures of the minutes with work and this many slots."""
    worked = [r for r in rows if r.worked]
    mine = [r for r in worked if r.slots == slots]
    open_ = [r for r in mine if r.limit >= slots]
    started = [r for r in open_ if r.started]
    shares = [100 * r.used_share for r in mine if r.used_share is not None]
    longest = [r.wait_max_ms / 1000 for r in started if r.wait_max_ms is not None]
    queued = [r for r in open_ if r.waiting]
    return Figures(
        minutes=len(mine),
        other_minutes=len(worked) - len(mine),
        first_ms=min((r.minute_ms for r in mine), default=None),
        last_ms=max((r.minute_ms for r in mine), default=None),
        running=_mean([r.running for r in mine]),
        memory_percent=_most(shares),
        memory_max_percent=_rounded(max(shares, default=None)),
        wait_s=_most(longest),
        wait_mean_s=_mean_wait(started),
        wait_max_s=_rounded(max(longest, default=None)),
        started=sum(r.started for r in mine),
        utilization_percent=_mean(_busy(mine)),
        waiting_minutes=len(queued),
        waiting_utilization_percent=_mean(_busy(queued), NEEDED_OF_A_KIND),
        limited_percent=_mean([100.0 * (r.limit < slots) for r in mine]),
    )


def _most(values: Sequence[float]) -> float | None:
    """What most of them stay at or below."""
    if len(values) < NEEDED_OF_A_KIND:
        return None
    return _rounded(sorted(values)[math.ceil(MOST * len(values)) - 1])


def _mean(values: Sequence[float], needed: int = 1) -> float | None:
    return _rounded(sum(values) / len(values)) if len(values) >= needed else None


def _mean_wait(started: Sequence[MinuteRow]) -> float | None:
    tasks = sum(r.started for r in started)
    waited = sum(r.started * (r.wait_ms or 0) for r in started)
    return _rounded(waited / tasks / 1000) if tasks else None


def _busy(rows: Sequence[MinuteRow]) -> list[float]:
    return [r.utilization for r in rows if r.utilization is not None]


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 1)


# --- the rules --------------------------------------------------------------------------------------


def _judged(slots: int, of: Figures) -> tuple[Verdict, str]:
    if of.minutes < NEEDED:
        return Verdict.UNKNOWN, _too_little(slots, of)
    if of.memory_percent is not None and of.memory_percent > FULL:
        text = f"GPU memory is above {FULL:.0f} %"
        least = ", and one slot is the least: try a smaller model or context"
        return Verdict.FEWER, text if slots > 1 else text + least
    wish = _wish(of)
    if not wish:
        return Verdict.FINE, _content(slots, of)
    if of.memory_percent is None:
        text = f"{wish}; whether memory is free is not known: no reading tells it"
        return Verdict.UNKNOWN, text
    if of.memory_percent > ROOM:
        return Verdict.FINE, f"{wish}, but memory has no room for one more slot"
    return Verdict.MORE, f"{wish}, and memory is free{_doubt(of)}"


def _too_little(slots: int, of: Figures) -> str:
    text = f"not enough history yet: {of.minutes} of {NEEDED} minutes with work"
    return text + (f" since it has {counted(slots, 'slot')}" if of.other_minutes else "")


def _wish(of: Figures) -> str:
    """What asks for more slots; empty when nothing does."""
    late = of.wait_s is not None and of.wait_s > LONG_S
    idle = of.waiting_utilization_percent
    wishes = ["tasks waited longer than 1 min"] if late else []
    if idle is not None and idle < IDLE:
        wishes.append(f"the GPU was {idle:.0f} % busy while tasks waited")
    return " and ".join(wishes)


def _content(slots: int, of: Figures) -> str:
    if of.limited_percent is not None and of.limited_percent >= HELD_BACK:
        return (
            f"its limit was below {slots} in {of.limited_percent:.0f} % of the minutes:"
            " heat, memory or lost readings hold it back, not the slots"
        )
    return "memory, waits and use are within bounds"


def _doubt(of: Figures) -> str:
    busy = of.waiting_utilization_percent
    if busy is None or busy < BUSY:
        return ""
    return f"; but the GPU is {busy:.0f} % busy already: compare tokens/s afterwards"
