"""A day of heat waves, games, dying probes, hung drivers and reboots: limits hold, nothing gets stuck."""

from __future__ import annotations

from statistics import median

import pytest

from tests.soak.day import DAY_S, Day, Findings, Oracle, with_rules
from ygg.model import HeatRule, PressureRule

HOUR_S = 3600.0
IDLE_S = 120.0  #: the 30 s of cool readings, the 30 s to the next slot, and a reading awaited


def sound(found: Findings) -> None:
    assert found.starts_with_reading > found.completed / 2
    assert found.hot_starts == [], "a start above 85 °C"
    assert found.full_starts == [], "a start above 95 % of memory"
    assert found.early_raises == [], "a raise sooner than 30 s after a change"
    assert found.longest_idle_s <= IDLE_S, "a host is stuck"


def lived(seed: int, seconds: float) -> float:
    """Throughput against the oracle's."""
    named = seed % 2 == 0  # whether the driver tells whose memory it is
    found = Day(seed, named=named).run(seconds)
    sound(found)
    return found.completed / Oracle(seed, named=named).run(seconds).completed


def test_two_hours_of_trouble_break_no_limit_and_cost_little() -> None:
    assert median(lived(seed, 2 * HOUR_S) for seed in range(3)) >= 0.85


def test_other_rules_hold_as_well() -> None:
    for rules in ({"heat": HeatRule(throttle=70, stop=75)}, {"pressure": PressureRule("seed")}):
        hosts = with_rules(Day(0, named=True).hosts, **rules)
        sound(Day(0, hosts, named=True).run(HOUR_S))


@pytest.mark.soak
def test_twenty_days_of_trouble_break_no_limit_and_cost_little() -> None:
    assert median(lived(seed, DAY_S) for seed in range(20)) >= 0.85
