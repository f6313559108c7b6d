"""One sick card among others: it is lost, they are read on, and nothing starts above the heat that stops."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core.world import World, card, host, kind
from ygg.core import events as ev
from ygg.core.hosts.cards import GONE
from ygg.model import Device, HeatRule, PressureRule, Reading, ReasonCode, Telemetry
from ygg.telling.explain import explain
from ygg.telling.snapshotting import host_views

LOST = "GPU is lost; reboot"


def measured(slots: int = 4, **rules: object) -> World:
    one = replace(host("a", slots), **rules)  # type: ignore[arg-type]
    return World((one,), {"general": kind("general", "a")}, measured=("a",))


def gpu(index: int, celsius: float | None = 55, used: float = 20, **more: object) -> Device:
    return replace(card(used, celsius), uuid=f"GPU-{index}", index=index, **more)  # type: ignore[arg-type]


def lost(index: int) -> Device:
    return Device(f"GPU-{index}", index, "RTX", error=LOST)


def told(world: World, code: ReasonCode) -> list[str]:
    return [n.reason.text for n in world.notes if n.reason.code is code]


def silent(kind_: str) -> list[Device]:
    """What a reading says of the second card once that tells no temperature."""
    return {"lost": [lost(1)], "none": [gpu(1, None)], "absent": [], "wrong": [gpu(1, 200)]}[kind_]


def test_a_lost_card_takes_no_slot_from_the_others_and_no_heat_is_missed() -> None:
    world = measured()
    world.read("a", gpu(0), gpu(1))
    world.read("a", gpu(0), lost(1))
    assert world.board.hosts["a"].limit == 4
    world.read("a", gpu(0, 91), lost(1))
    task = world.submit("general")
    assert not world.calls
    reason = explain(world.board, world.rows[task], world.now)[0]
    why = "too hot: 91 °C; GPU 1 is lost; starts again at 80 °C or less for 30 s"
    assert reason.text == f"a takes no new start: {why}"
    assert reason.code is ReasonCode.HOST_HOT


def test_a_lost_card_is_told_once_and_so_is_its_return() -> None:
    world = measured()
    for devices in ([gpu(0), gpu(1)], [gpu(0), lost(1)], [gpu(0), lost(1)], [gpu(0), gpu(1)]):
        world.read("a", *devices)
    assert told(world, ReasonCode.CARD_LOST) == [f"a: GPU 1 (RTX) is lost: {LOST}"]
    assert told(world, ReasonCode.CARD_BACK) == ["a: GPU 1 is read again"]


def test_a_card_that_is_not_listed_any_more_is_lost() -> None:
    world = measured()
    world.read("a", gpu(0), gpu(1))
    for _ in range(3):
        world.read("a", gpu(0))
    assert told(world, ReasonCode.CARD_LOST) == [f"a: GPU 1 is lost: {GONE}"]


def test_a_host_whose_slots_are_busy_names_its_lost_card() -> None:
    world = measured(1)
    world.read("a", gpu(0), lost(1))
    world.submit("general")
    reasons = explain(world.board, world.rows[world.submit("general")], world.now)
    assert reasons[1].text == "a: 1 of 1 slot busy, 1 configured (GPU 1 is lost)"


def test_views_name_a_lost_card_and_sum_up_the_others() -> None:
    world = measured()
    world.read("a", gpu(0), lost(1), lost(2))
    (view,) = host_views(world.board, world.now)
    assert view.limit_reason == "GPU 1 and GPU 2 are lost"
    assert [g.error for g in view.gpus] == ["", LOST, LOST]


@pytest.mark.parametrize("how", ["lost", "none", "absent", "wrong"])
def test_what_a_hot_card_does_not_tell_does_not_cool(how: str) -> None:
    world = measured()
    world.read("a", gpu(0), gpu(1, 91))
    task = world.submit("general")
    for _ in range(60):
        world.pass_time(2)
        world.read("a", gpu(0), *silent(how))
    assert not world.calls
    text = explain(world.board, world.rows[task], world.now)[0].text
    assert "too hot: 91 °C when GPU 1 was last read" in text
    for _ in range(40):
        world.pass_time(2)
        world.read("a", gpu(0), gpu(1))
    assert task in world.calls


@pytest.mark.parametrize("how", ["lost", "none", "absent", "wrong"])
def test_a_warm_card_that_falls_silent_holds_nothing(how: str) -> None:
    world = measured()
    world.read("a", gpu(0), gpu(1, 83))
    world.submit("general")
    for _ in range(60):
        world.pass_time(2)
        world.read("a", gpu(0), *silent(how))
    assert world.board.hosts["a"].limit == 4


def test_a_reading_in_which_every_card_is_lost_is_none() -> None:
    world = measured()
    world.read("a", gpu(0), gpu(1))
    world.submit("general")
    for _ in range(20):
        world.pass_time(2)
        world.read("a", lost(0), lost(1))
    assert world.board.hosts["a"].limit == 1
    assert told(world, ReasonCode.READING_MISSED) == [f"a: no reading from nvml: {LOST}"]


def test_impossible_memory_hides_no_heat_and_no_other_card() -> None:
    world = measured()
    world.read("a", gpu(0))
    world.read("a", gpu(0, 91, -20))
    task = world.submit("general")
    assert not world.calls
    assert "too hot: 91 °C" in explain(world.board, world.rows[task], world.now)[0].text
    assert not told(world, ReasonCode.CARD_LOST)
    world = measured()
    world.read("a", gpu(0), gpu(1, 500))
    assert world.board.hosts["a"].condition.heat is not None
    assert world.board.invalid_readings == 1


# --- nothing starts above the heat that stops ----------------------------------------------------------

CARDS = 3
cards = st.one_of(
    st.none(),  # not listed
    st.builds(
        lambda celsius, used, total: {"temperature_c": celsius, "total_mb": total, "free_mb": used},
        st.none() | st.sampled_from((-5.0, 500.0)) | st.floats(20, 110),
        st.none() | st.sampled_from((-1.0, 9000.0)) | st.floats(1000, 8000),
        st.none() | st.sampled_from((0.0, 8192.0)),
    ),
    st.just({"error": LOST}),
)
events = st.one_of(
    st.tuples(*[cards] * CARDS),
    st.sampled_from(("miss", "submit", "submit", "end")),
    st.sampled_from((0.5, 2.0, 11.0, 29.0, 31.0, 65.0)),
)
rules = st.fixed_dictionaries(
    {
        "heat": st.sampled_from((HeatRule(), HeatRule(stop=70, hold_s=0))),
        "pressure": st.sampled_from((PressureRule(), PressureRule(mode="seed"))),
        "telemetry": st.sampled_from(
            [Telemetry(on_unknown=r) for r in ("conservative", "static", "hold")]
        ),
    }
)


class Seen:
    """What a person who writes down each temperature would know."""

    def __init__(self, stop: float, stale_s: float) -> None:
        self.stop, self.stale_s, self.at = stop, stale_s, float("-inf")
        self.newest: dict[str, float] = {}

    def read(self, reading: Reading, now: float) -> None:
        heat = {d.uuid: d.temperature_c for d in reading.devices if d.temperature_c is not None}
        possible = {uuid: c for uuid, c in heat.items() if 0 <= c <= 130}
        if now - self.at >= self.stale_s:
            self.newest.clear()  # the readings of the host had stopped altogether
        if possible:
            self.at = now
        self.newest |= possible

    def too_hot(self, now: float) -> bool:
        """As long as any reading counts."""
        return now - self.at < self.stale_s and max(self.newest.values(), default=0) > self.stop


@given(rules, st.lists(events, max_size=40))
@settings(max_examples=150, deadline=None)
def test_nothing_starts_while_the_newest_reading_of_any_card_is_too_hot(
    rule: dict[str, object], story: list[object]
) -> None:
    world, number = measured(**rule), 0
    one = world.board.hosts["a"].host
    seen = Seen(one.heat.stop, one.telemetry.stale_s)
    world.submit("general")
    for event in story:
        before = set(world.calls)
        if isinstance(event, tuple):
            listed = [(n, c) for n, c in enumerate(event) if c is not None]
            devices = tuple(Device(f"GPU-{n}", n, **fields) for n, fields in listed)
            seen.read(Reading("nvml", devices), world.mono)
            world.read("a", *devices)
        elif event == "miss":
            number += 1
            world.feed(ev.ReadingMissed("a", "nvml", f"gone {number}"))
        elif event == "submit":
            world.submit("general")
        elif event == "end" and world.calls:
            world.end(next(iter(world.calls)))
        elif isinstance(event, float):
            world.pass_time(event)
        if seen.too_hot(world.mono):
            assert set(world.calls) <= before
