"""Heat -> slots."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ygg.core.hosts.heat import cooled, heat_of, slots, too_hot
from ygg.core.house import Heat
from ygg.model import Device, HeatRule

LIMITS, CARD = HeatRule(), HeatRule(mode="card")


def at(celsius: float, *, margin: float = 40, slowed: bool = False) -> Heat:
    return Heat(celsius, margin, slowed)


@pytest.mark.parametrize(
    ("celsius", "four", "three"),
    [
        (20, 4, 3), (64.9, 4, 3), (65, 4, 3),
        (66, 4, 3), (73, 3, 3), (75, 3, 2), (80, 2, 2),
        (80.1, 2, 1), (85, 2, 1), (99, 2, 1),
    ],
)  # fmt: skip
def test_the_slots_fall_as_the_mission_says(celsius: float, four: int, three: int) -> None:
    assert (slots(4, at(celsius), LIMITS), slots(3, at(celsius), LIMITS)) == (four, three)


@pytest.mark.parametrize(
    ("celsius", "stops", "resumes"), [(80, False, True), (80.5, False, False), (85, False, False), (85.1, True, False)]
)  # fmt: skip
def test_starts_stop_above_85_and_may_resume_5_below(
    celsius: float, stops: bool, resumes: bool
) -> None:
    assert (too_hot(at(celsius), LIMITS), cooled(at(celsius), LIMITS)) == (stops, resumes)


@pytest.mark.parametrize(
    ("margin", "allowed", "stops"), [(40, 4, False), (7, 4, False), (3.1, 4, False), (3, 2, False), (0, 2, True), (-4, 2, True)]
)  # fmt: skip
def test_by_the_card_only_its_own_margin_counts(margin: float, allowed: int, stops: bool) -> None:
    heat = at(90, margin=margin)
    assert (slots(4, heat, CARD), too_hot(heat, CARD)) == (allowed, stops)
    assert cooled(heat, CARD) == (margin >= 10)


def test_a_card_that_slows_itself_down_has_half_its_slots() -> None:
    for rule in (LIMITS, CARD):
        assert slots(4, at(40, slowed=True), rule) == 2
        assert slots(1, at(40, slowed=True), rule) == 1


@pytest.mark.parametrize(
    ("device", "margin"),
    [
        (Device("a", temperature_c=28, margin_c=59), 59),  # Hopper tells a margin only
        (Device("a", temperature_c=83, max_c=90), 7),  # GeForce tells an absolute limit only
        (Device("a", temperature_c=83), 5),
    ],
)
def test_the_margin_is_the_cards_own_else_to_its_limit_else_to_an_assumed_one(
    device: Device, margin: float
) -> None:
    found = heat_of([device], CARD)
    assert found is not None
    assert found.margin_c == margin


def test_the_hottest_of_several_cards_counts_and_silent_ones_do_not() -> None:
    cards = [
        Device("a", temperature_c=50, reasons=0x20),
        Device("b", temperature_c=84),
        Device("c"),
    ]
    assert heat_of(cards, LIMITS) == Heat(84, 4, True)
    assert heat_of([Device("c")], LIMITS) is None


def test_the_software_power_cap_is_no_slowdown() -> None:
    assert not Device("a", reasons=0x04).slowed
    assert all(Device("a", reasons=bit).slowed for bit in (0x08, 0x20, 0x40, 0x80))


temperatures = st.floats(0, 130)


@given(st.integers(1, 64), temperatures, temperatures, st.booleans())
def test_a_hotter_card_never_has_more_slots(
    configured: int, one: float, other: float, card: bool
) -> None:
    rule = CARD if card else LIMITS
    cool, hot = (heat_of([Device("a", temperature_c=t)], rule) for t in sorted((one, other)))
    assert cool is not None
    assert hot is not None
    assert 1 <= slots(configured, hot, rule) <= slots(configured, cool, rule) <= configured
    assert too_hot(hot, rule) or not too_hot(cool, rule)
