"""How the limit of a gate moves."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core.world import World, card, host, kind
from tests.sizes import examples
from ygg.core import effects as fx
from ygg.core import events as ev
from ygg.core.hosts.limits import allowed
from ygg.model import Device, HeatRule, Host, PressureRule, ReasonCode, Telemetry
from ygg.model import OutcomeKind as K


def measured(slots: int = 4, **rules: object) -> World:
    one: Host = replace(host("a", slots), **rules)  # type: ignore[arg-type]
    return World((one,), {"general": kind("general", "a")}, measured=("a",))


def limit(world: World) -> int:
    return world.board.hosts["a"].limit


def readings(world: World, seconds: float, *devices: Device) -> list[int]:
    """The limit after each of the readings of so many seconds, one every two."""
    seen = []
    for _ in range(round(seconds / 2)):
        world.pass_time(2)
        world.read("a", *devices)
        seen.append(limit(world))
    return seen


def test_heat_takes_slots_at_once_and_gives_them_back_one_per_half_minute() -> None:
    world = measured()
    world.read("a", card(celsius=50))
    assert limit(world) == 4
    world.read("a", card(celsius=81))
    assert limit(world) == 2
    world.submit("general")  # keeps it watched
    seen = readings(world, 90, card(celsius=50))
    assert [seen.index(n) for n in (3, 4)] == [14, 29]  # after 30 and 60 s
    assert "a: limit 4 -> 2: 81 °C; all slots again at 65 °C or less" in [
        n.reason.text for n in world.notes
    ]


def test_above_85_nothing_starts_until_it_was_5_below_for_half_a_minute() -> None:
    world = measured()
    world.read("a", card(celsius=86))
    task = world.submit("general")
    assert limit(world) == 0
    assert task not in world.calls
    readings(world, 60, card(celsius=81))
    readings(world, 28, card(celsius=79))
    readings(world, 4, card(celsius=81))
    readings(world, 28, card(celsius=79))
    assert (limit(world), task in world.calls) == (0, False)
    readings(world, 4, card(celsius=79))
    assert (limit(world), task in world.calls) == (1, True)


def test_a_withdrawn_slot_stops_no_running_call() -> None:
    world = measured()
    world.read("a", card())
    tasks = [world.submit("general") for _ in range(4)]
    world.read("a", card(celsius=90))
    assert sorted(world.calls) == sorted(tasks)
    assert not world.cancels


def test_a_host_full_of_its_own_models_at_83_degrees_keeps_its_slots_by_the_card() -> None:
    world = measured(heat=HeatRule(mode="card"))
    ours = {"loaded": (("main", ("m",)),)}
    for _ in range(30):
        world.pass_time(2)
        world.read("a", card(75, 83, max_c=90), **ours)
    assert limit(world) == 4


def test_at_95_percent_nothing_starts() -> None:
    world = measured()
    world.read("a", card(94))
    assert limit(world) == 4
    world.read("a", card(95))
    task = world.submit("general")
    assert (limit(world), task in world.calls) == (0, False)
    readings(world, 28, card(93))
    readings(world, 2, card(96))
    readings(world, 28, card(93))
    assert (limit(world), task in world.calls) == (0, False)
    readings(world, 4, card(93))
    assert limit(world) == 1, "below 95 for half a minute"


def test_well_below_95_percent_starts_resume_at_once() -> None:
    world = measured()
    world.read("a", card(96))
    world.submit("general")
    readings(world, 40, card(96))
    assert readings(world, 2, card(91)) == [1]


def test_seed_lowers_by_used_memory_alone() -> None:
    world = measured(8, pressure=PressureRule(mode="seed"))
    seen = []
    for used in (40, 60, 75, 90):
        world.read("a", card(used))
        seen.append(limit(world))
    assert seen == [4, 2, 2, 1]


def test_a_claim_on_its_way_to_a_host_that_got_too_hot_keeps_its_place() -> None:
    world = measured()
    world.read("a", card())
    world.feed(ev.DispatchPaused(True))
    task = world.submit("general")
    world.feed(ev.DispatchPaused(False), settle=False)
    (claim,) = [e for e in world.todo if isinstance(e, fx.ClaimTasks)]
    world.todo.clear()
    world.read("a", card(celsius=90))
    world.perform(claim)
    world.settle()
    assert task not in world.calls
    assert (world.rows[task].state, world.rows[task].reason) == ("queued", "withdrawn")


# --- lost readings ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("rule", "left"), [("conservative", 1), ("static", 4), ("hold", 0)])
def test_without_readings_for_half_a_minute_the_rule_for_the_unknown_holds(
    rule: str, left: int
) -> None:
    world = measured(telemetry=Telemetry(on_unknown=rule))
    world.read("a", card())
    world.submit("general")  # keeps it watched
    world.pass_time(29)
    assert limit(world) == 4
    world.pass_time(2)
    assert limit(world) == left


def test_a_reading_that_says_nothing_any_more_holds_no_host() -> None:
    world = measured()
    world.read("a", card(99, celsius=95))
    task = world.submit("general")
    world.pass_time(29)
    assert task not in world.calls
    world.pass_time(32)  # unknown after 30 s; the one slot comes back 30 s after the last change
    assert (limit(world), task in world.calls) == (1, True)
    assert world.board.hosts["a"].gauge.reading is None


def test_a_stale_reading_raises_no_limit() -> None:
    world = measured()
    world.read("a", card(celsius=81))
    world.submit("general")
    world.pass_time(2)
    world.read("a", card(celsius=50))
    world.pass_time(28.5)  # 30 s after the change, but the reading is 28 s old
    assert limit(world) == 2


def test_after_a_loss_three_readings_in_a_row_raise_it_again() -> None:
    world = measured()
    world.read("a", card())
    world.submit("general")
    world.pass_time(61)
    assert limit(world) == 1
    assert readings(world, 6, card()) == [1, 1, 2]


def test_a_miss_between_readings_starts_the_count_anew() -> None:
    world = measured()
    world.read("a", card())
    world.submit("general")
    world.pass_time(61)
    readings(world, 4, card())
    world.feed(ev.ReadingMissed("a", "nvml", "the driver hangs"))
    assert readings(world, 6, card()) == [1, 1, 2]


def test_a_host_without_a_probe_keeps_its_slots() -> None:
    world = World((host("a", 4),), {"general": kind("general", "a")})
    world.submit("general")
    world.pass_time(300)
    assert limit(world) == 4


def test_impossible_readings_are_dropped_and_counted() -> None:
    world = measured()
    world.read("a", card())
    for wrong in (card(celsius=200), card(celsius=-3), card(total=0), card(-20)):
        world.read("a", wrong)
    assert world.board.invalid_readings == 4
    assert limit(world) == 4
    assert world.notes[-1].reason.code is ReasonCode.READING_DROPPED
    assert "dropped" in world.notes[-1].reason.text


# --- properties -----------------------------------------------------------------------------------------

cards = st.builds(
    card,
    st.floats(0, 100),
    st.none() | st.floats(20, 100),
    max_c=st.none() | st.just(90.0),
    reasons=st.sampled_from((None, 0, 0x04, 0x20)),
)
events = st.one_of(
    cards, st.sampled_from(("miss", "submit", "end", "oom", "long")), st.floats(0.5, 40)
)
rules = st.fixed_dictionaries(
    {
        "heat": st.sampled_from((HeatRule(), HeatRule(mode="card"))),
        "pressure": st.sampled_from((PressureRule(), PressureRule(mode="seed"))),
        "telemetry": st.sampled_from([Telemetry(on_unknown=r) for r in ("conservative", "hold")]),
    }
)


def happen(world: World, event: object) -> None:
    if isinstance(event, Device):
        world.read("a", event)
    elif event == "miss":
        world.feed(ev.ReadingMissed("a", "nvml", "gone"))
    elif event == "submit":
        world.submit("general")
    elif event in ("end", "oom") and world.calls:
        task = next(iter(world.calls))
        world.end(task) if event == "end" else world.fail(task, K.OUT_OF_MEMORY)
    elif isinstance(event, float) or event == "long":
        world.pass_time(event if isinstance(event, float) else 120)


@given(st.integers(1, 8), rules, st.lists(events, max_size=40))
@settings(max_examples=examples(60, 1000), deadline=None)
def test_a_limit_stays_within_its_bounds_and_rises_slowly_one_by_one(
    slots: int, rule: dict[str, object], story: list[object]
) -> None:
    world = measured(slots, **rule)
    before, changed = limit(world), float("-inf")
    for event in story:
        seconds = 120.0 if event == "long" else event
        for part in [0.5] * round(seconds * 2) if isinstance(seconds, float) else [event]:
            happen(world, part)
            now = limit(world)
            assert 0 <= now <= slots
            if now > before:
                assert now == before + 1
                assert world.mono - changed >= 29.5  # seen up to half a second late
            if now != before:
                before, changed = now, world.mono


@given(st.integers(1, 8), rules, st.lists(events, max_size=12), cards, cards)
@settings(max_examples=150, deadline=None)
def test_a_hotter_or_fuller_reading_never_leaves_a_higher_limit(
    slots: int, rule: dict[str, object], story: list[object], one: Device, other: Device
) -> None:
    if one.temperature_c is None or other.temperature_c is None:
        return
    cool, hot = sorted((one.temperature_c, other.temperature_c))
    free, tight = sorted((one.free_mb or 0, other.free_mb or 0), reverse=True)
    better = replace(one, temperature_c=cool, free_mb=free)
    worse = replace(one, temperature_c=hot, free_mb=tight)
    ends = []
    for reading in (better, worse):
        world = measured(slots, **rule)
        for event in story:
            happen(world, event)
        world.read("a", reading)
        ends.append((limit(world), allowed(world.board.hosts["a"], world.now).slots))
    assert ends[0][0] >= ends[1][0]
    assert ends[0][1] >= ends[1][1]


def test_a_first_reading_that_does_not_come_is_waited_for_no_longer_than_one_is_fresh() -> None:
    world = measured()
    task = world.submit("general")
    fresh_s = world.board.hosts["a"].host.telemetry.fresh_s
    world.pass_time(fresh_s - 0.1)
    assert task not in world.calls, "it is awaited"
    world.pass_time(0.1)
    assert task in world.calls, "what is allowed with none"
