"""Memory -> level and slots."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ygg.core.hosts import pressure
from ygg.core.hosts.pressure import (
    Memory,
    full,
    level_of,
    memory_of,
    named_foreign,
    relieved,
    slots,
)
from ygg.model import Device, Level, PressureRule, Process, Telemetry

RULE, SEED = PressureRule(), PressureRule(mode="seed")
percents = st.floats(0, 100)


@pytest.mark.parametrize(
    ("percent", "level"),
    [(0, 0), (49.9, 0), (50, 1), (69.9, 1), (70, 2), (84.9, 2), (85, 3), (94, 3), (100, 3)],
)
def test_the_levels_begin_where_the_mission_has_them(percent: float, level: int) -> None:
    assert level_of(percent, RULE) is Level(level)


@pytest.mark.parametrize(
    ("percent", "before", "level"),
    [
        (68, Level.HIGH, Level.HIGH), (66.9, Level.HIGH, Level.NORMAL), (68, Level.NORMAL, Level.NORMAL),
        (83, Level.CRITICAL, Level.CRITICAL), (60, Level.CRITICAL, Level.NORMAL), (46, Level.NORMAL, Level.LOW),
    ],
)  # fmt: skip
def test_a_level_is_left_only_well_below_its_beginning(
    percent: float, before: Level, level: Level
) -> None:
    assert level_of(percent, RULE, before) is level


def test_starts_stop_at_95_and_resume_at_once_below_92() -> None:
    assert [full(p, RULE) for p in (94.9, 95)] == [False, True]
    assert [relieved(p, RULE) for p in (92, 91.9)] == [False, True]
    assert not full(100, PressureRule(stop=100))


@pytest.mark.parametrize(
    ("level", "allowed"), [(Level.LOW, 4), (Level.NORMAL, 2), (Level.HIGH, 2), (Level.CRITICAL, 1)]
)
def test_seed_applies_the_table_whoever_holds_the_memory(level: Level, allowed: int) -> None:
    assert slots(8, level, 0.0, SEED) == allowed
    assert slots(1, level, 0.0, SEED) == 1


@pytest.mark.parametrize(("foreign", "allowed"), [(0, 4), (0.09, 4), (0.1, 4), (0.3, 3), (0.75, 1), (1, 1)])  # fmt: skip
def test_slots_shrink_with_the_share_that_others_hold_and_never_for_our_own(
    foreign: float, allowed: int
) -> None:
    assert slots(4, Level.CRITICAL, foreign, RULE) == allowed


def test_used_is_total_less_free_over_all_cards() -> None:
    two = [
        Device("a", total_mb=8192, free_mb=7571),
        Device("b", total_mb=8192, free_mb=621),
        Device("c", total_mb=8192),
    ]
    assert memory_of(two) == Memory(8192, 16384)
    assert memory_of([Device("c", total_mb=8192)]) is None


def test_memory_of_processes_that_are_no_model_server_is_foreign() -> None:
    memory, telemetry = Memory(7000, 8192), Telemetry()
    ours = Process(1, "/usr/local/lib/ollama/llama-server --port 1", 5000)
    game = Process(2, "Cyberpunk2077.exe", 1500)
    assert named_foreign(memory, [ours, game], telemetry, loaded=True) == 2000
    assert named_foreign(memory, [game], telemetry, loaded=False) == 7000
    # ours is not in the list though it runs: the names cannot be read, as in a container
    assert named_foreign(memory, [game], telemetry, loaded=True) is None
    assert named_foreign(memory, None, telemetry, loaded=True) is None


@given(percents, percents, st.none() | st.sampled_from(Level))
def test_a_fuller_card_is_never_at_a_lower_level(
    one: float, other: float, before: Level | None
) -> None:
    low, high = sorted((one, other))
    assert level_of(low, RULE, before) <= level_of(high, RULE, before)
    assert full(high, RULE) or not full(low, RULE)
    assert relieved(low, RULE) or not relieved(high, RULE)


@given(st.integers(1, 64), st.floats(0, 1), st.floats(0, 1), st.sampled_from((RULE, SEED)))
def test_more_foreign_memory_never_means_more_slots(
    configured: int, one: float, other: float, rule: PressureRule
) -> None:
    less, more = sorted((one, other))
    for level in Level:
        high, low = slots(configured, level, less, rule), slots(configured, level, more, rule)
        assert 1 <= low <= high <= configured


def test_the_seed_table_is_the_missions() -> None:
    assert list(pressure.SEED.values()) == [4, 2, 2, 1]
