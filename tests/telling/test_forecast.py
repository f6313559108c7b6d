"""The line through the readings of memory, and the level it leads to."""

from __future__ import annotations

import pytest

from ygg.model import Level, PressureRule
from ygg.telling.forecast import SPAN_MS, Forecast, Point, forecast, slope

NOW = 1_800_000_000_000
TOTAL = 10_000.0
RULE = PressureRule()


def line(start_mb: float, mb_per_minute: float, minutes: int = 10) -> list[Point]:
    """A reading per minute, the last one now."""
    return [
        Point(NOW - (minutes - n) * 60_000, start_mb + n * mb_per_minute)
        for n in range(minutes + 1)
    ]


def told(points: list[Point], rule: PressureRule = RULE) -> Forecast:
    return forecast(points, TOTAL, rule, NOW)


@pytest.mark.parametrize(
    ("start", "per_minute", "level", "next_level", "minutes"),
    [
        (3000, 100, Level.LOW, "NORMAL", 10),
        (4000, 100, Level.NORMAL, "HIGH", 20),
        (4999, 100, Level.NORMAL, "HIGH", 10.01),
        (6000, 100, Level.HIGH, "CRITICAL", 15),
        (8000, 50, Level.CRITICAL, "STOP", 20),
        (9000, 50, Level.CRITICAL, None, None),
        (3000, 5, Level.LOW, "NORMAL", 390),
        (3000, 4.9, Level.LOW, None, None),
        (3000, 0, Level.LOW, None, None),
        (9000, -100, Level.HIGH, None, None),
    ],
)
def test_the_next_level_and_when_it_comes(
    start: float, per_minute: float, level: Level, next_level: str | None, minutes: float | None
) -> None:
    found = told(line(start, per_minute))
    assert (found.level, found.next_level) == (level, next_level)
    assert found.minutes == (None if minutes is None else pytest.approx(minutes))
    assert found.trend == pytest.approx(per_minute)


def test_a_host_with_its_own_levels_is_measured_by_them() -> None:
    rule = PressureRule(normal=20, high=35, critical=60, stop=100)
    assert told(line(2000, 100), rule).next_level == "HIGH"
    full = told(line(8000, 100), rule)
    assert (full.level, full.next_level, full.minutes) == (Level.CRITICAL, None, None)


@pytest.mark.parametrize(
    ("points", "known"),
    [
        (line(3000, 100, 4), True),
        (line(3000, 100, 3), False),
        (line(3000, 100, 10)[::3], False),
        ([p._replace(at_ms=NOW - n * 1000) for n, p in enumerate(line(3000, 9, 20))], False),
        (line(3000, 100, 0), False),
    ],
    ids=["five", "four", "four-over-ten-minutes", "in-seconds", "one"],
)
def test_too_little_gives_no_trend_but_what_is_used(points: list[Point], known: bool) -> None:
    points = sorted(points)
    found = told(points)
    assert (found.trend is not None) == known
    assert found.used_percent == pytest.approx(100 * points[-1].used_mb / TOTAL)
    assert found.samples == len(points)


def test_what_is_older_than_half_an_hour_does_not_count() -> None:
    old = [Point(NOW - SPAN_MS - n, 9000.0) for n in range(50, -1, -1)]
    found = told(old + line(3000, 100))
    assert (found.samples, found.span_s) == (11, 600)
    assert found.trend == pytest.approx(100)
    assert told(old) == Forecast(None, None, None, None, None, 0, 0.0)


def test_nothing_known_is_nothing_told() -> None:
    assert told([]).used_percent is None
    assert forecast(line(3000, 100), None, RULE, NOW).used_percent is None


def test_the_line_is_the_one_of_least_squares() -> None:
    points = [Point(n * 60_000, used) for n, used in enumerate((10.0, 30.0, 20.0, 40.0))]
    assert slope(points) == pytest.approx(8.0)
    assert slope([Point(0, 1.0), Point(0, 2.0)]) is None
