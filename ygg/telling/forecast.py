"""Where the memory of a host is going: a straight line through the last readings, and the next level on it.

A line is a poor picture of memory that moves in steps, as models come and go; it tells of what grows
slowly: contexts, caches, a leak. So it takes some minutes to say anything, and small slopes are none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from ygg.core.hosts.pressure import level_of
from ygg.model import Level, PressureRule

SPAN_MS = 30 * 60_000  #: readings of the last half hour count
LEAST, LEAST_MS = 5, 4 * 60_000  #: so many readings, over so long
FLAT = 0.0005  #: of the total per minute: less is no trend
STOP = "STOP"  #: above CRITICAL: from there on nothing new starts


class Point(NamedTuple):
    """Memory in use at a moment, in MiB."""

    at_ms: int
    used_mb: float


@dataclass(frozen=True, slots=True)
class Forecast:
    """`trend` is in MiB per minute. None where it is not known, or where no level will be reached."""

    used_percent: float | None
    level: Level | None
    trend: float | None
    next_level: str | None
    minutes: float | None  #: until then
    samples: int
    span_s: float  #: over which they were taken


def forecast(
    points: Sequence[Point], total_mb: float | None, rule: PressureRule, now_ms: int
) -> Forecast:
    """From the readings known, oldest first; those older than `SPAN_MS` are left out."""
    points = [p for p in points if p.at_ms > now_ms - SPAN_MS]
    span_ms = points[-1].at_ms - points[0].at_ms if points else 0
    basis = (len(points), span_ms / 1000)
    if not points or not total_mb:
        return Forecast(None, None, None, None, None, *basis)
    percent = 100 * points[-1].used_mb / total_mb
    level = level_of(percent, rule)
    known = len(points) >= LEAST and span_ms >= LEAST_MS
    trend = slope(points) if known else None
    step = _next(percent, rule)
    if trend is None or trend < FLAT * total_mb or step is None:
        return Forecast(percent, level, trend, None, None, *basis)
    name, start = step
    minutes = max(0.0, (start - percent) / 100 * total_mb / trend)
    return Forecast(percent, level, trend, name, minutes, *basis)


def slope(points: Sequence[Point]) -> float | None:
    """Least squares, MiB per minute; None where all readings are of one moment."""
    first = points[0].at_ms
    times = [(p.at_ms - first) / 60_000 for p in points]
    mean_time = sum(times) / len(times)
    mean_used = sum(p.used_mb for p in points) / len(points)
    spread = sum((t - mean_time) ** 2 for t in times)
    if not spread:
        return None
    shared = sum(
        (t - mean_time) * (p.used_mb - mean_used) for t, p in zip(times, points, strict=True)
    )
    return shared / spread


def _next(percent: float, rule: PressureRule) -> tuple[str, float] | None:
    """The first level above, and where it begins; None above all of them. A `stop` of 100 is none."""
    starts = (
        (Level.NORMAL.name, rule.normal),
        (Level.HIGH.name, rule.high),
        (Level.CRITICAL.name, rule.critical),
        (STOP, rule.stop),
    )
    return next(((name, start) for name, start in starts if percent < start < 100), None)
