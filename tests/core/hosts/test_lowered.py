"""What is said of a lowered limit is made from the newest reading, and says when it ends."""

from __future__ import annotations

import pytest

from tests.core.hosts.test_limits import measured, readings
from tests.core.world import World, card
from ygg.core import events as ev
from ygg.core.hosts import lowered
from ygg.model import Device, HeatRule, PressureRule, Process, ReasonCode, Telemetry
from ygg.model import OutcomeKind as K
from ygg.model.snapshot import HELD, RETURNING
from ygg.telling.explain import explain

GB = 1024


def said(world: World) -> str:
    return lowered.told(world.board.hosts["a"], world.now)


def hot(world: World, *celsius: float) -> str:
    """What is said after readings of these temperatures, two seconds apart."""
    for degrees in celsius:
        world.pass_time(2)
        world.read("a", card(celsius=degrees))
    return said(world)


def watched(**rules: object) -> World:
    world = measured(**rules)  # type: ignore[arg-type]
    world.read("a", card())
    world.submit("general")
    return world


def test_a_hot_host_tells_the_newest_temperature_and_since_when_it_is_cool_enough() -> None:
    world = watched()
    ends = "starts again at 80 °C or less for 30 s"
    assert hot(world, 86) == f"too hot: 86 °C; {ends}"
    assert hot(world, 93) == f"too hot: 93 °C; {ends}"
    assert hot(world, 81) == f"too hot: 81 °C; {ends}"
    assert hot(world, 79) == f"too hot; {ends}; now 79 °C, 0 s"
    assert hot(world, 78, 77, 77, 76, 75, 79) == f"too hot; {ends}; now 79 °C, 12 s"


def test_a_waiting_task_says_the_same_and_until_when() -> None:
    world = watched()
    hot(world, 93, 93)
    task = world.submit("general")
    first = explain(world.board, world.rows[task], world.now)[0]
    assert (first.code, first.until_ms) == (ReasonCode.HOST_HOT, None)
    assert first.text == f"a takes no new start: {said(world)}"
    hot(world, 79, 79)
    cooling = explain(world.board, world.rows[task], world.now)[0]
    assert cooling.until_ms == world.now.wall_ms + 28_000


def test_a_warm_host_tells_what_gives_its_slots_back() -> None:
    assert hot(watched(), 81, 82) == "82 °C; all slots again at 65 °C or less"


@pytest.mark.parametrize(
    ("device", "text"),
    [
        (card(celsius=91, max_c=90), "too hot: 91 °C, -1 below the card's limit; starts again at 10 or more below the card's limit for 30 s"),
        (card(celsius=88, max_c=90), "88 °C, 2 below the card's limit; all slots again at more than 3 below the card's limit"),
    ],
    ids=["hot", "warm"],
)  # fmt: skip
def test_by_the_card_its_own_limit_is_what_counts(device: Device, text: str) -> None:
    world = watched(heat=HeatRule(mode="card"))
    world.read("a", device)
    assert said(world) == text


def test_slots_that_come_back_say_when_the_next_one_does() -> None:
    world = watched()
    hot(world, 81, 50)
    assert said(world) == "coming back slot by slot; the next slot in 28 s"
    assert lowered.until_ms(world.board.hosts["a"], world.now) == world.now.wall_ms + 28_000


def test_a_full_memory_tells_how_full_it_is_now() -> None:
    world = watched()
    ends = "starts again below 92 %, or below 95 % for 30 s"
    world.read("a", card(96))
    assert said(world) == f"memory full: 96 %; {ends}"
    readings(world, 6, card(93))
    assert said(world) == f"memory full; {ends}; now 93 %, 4 s"


def test_memory_that_others_use_is_told_with_what_is_allowed() -> None:
    world = watched()
    ours, game = Process(1, "ollama", 500), Process(2, "/games/doom", 0.75 * 8 * GB)
    world.read("a", card(90), processes=(ours, game))
    assert said(world) == "6.7 GB of memory used by others; all slots again below 0.8 GB"


def test_by_the_table_the_level_and_where_it_ends_are_told() -> None:
    world = watched(pressure=PressureRule(mode="seed"))
    world.read("a", card(75))
    world.read("a", card(78))
    assert said(world) == "memory 78 % used, HIGH; more slots below 67 %"


def test_a_host_that_cannot_be_read_says_why_and_what_ends_it() -> None:
    world = watched(telemetry=Telemetry(on_unknown="conservative"))
    world.feed(ev.ReadingMissed("a", "nvml", "no route to host"))
    world.pass_time(31)
    assert said(world) == "no reading: no route to host; slots come back after 3 readings in a row"
    world.read("a", card())
    assert said(world) == "coming back slot by slot; the next slot after 3 readings in a row"


def test_a_reading_that_is_not_fresh_says_how_old_it_is() -> None:
    world = watched()
    hot(world, 93)
    world.pass_time(14)
    assert said(world).startswith("too hot: 93 °C 14 s ago; ")


def test_a_slot_that_a_server_was_too_full_for_says_so_until_all_are_back() -> None:
    world = watched()
    world.fail(next(iter(world.calls)), K.OUT_OF_MEMORY)
    assert said(world) == "out of memory; the next slot in 30 s"
    world.read("a", card(celsius=50))
    readings(world, 32, card())
    assert (said(world), world.board.hosts["a"].withdrawn) == ("", "")


def test_a_limit_that_readings_lower_forgets_what_a_server_was_too_full_for() -> None:
    world = watched()
    world.fail(next(iter(world.calls)), K.OUT_OF_MEMORY)
    assert hot(world, 91, 50, *[50] * 15).startswith("coming back slot by slot")


def test_a_change_is_noted_in_the_same_words() -> None:
    world = watched()
    hot(world, 93)
    (note,) = [n.reason for n in world.notes if n.reason.code is ReasonCode.LIMIT]
    assert note.text == f"a: limit 4 -> 0: {said(world)}"


def test_a_word_says_what_holds_the_limit() -> None:
    def word(world: World) -> str:
        return lowered.cause(world.board.hosts["a"], world.now)

    world = watched()
    assert word(world) == ""
    hot(world, 93)
    assert word(world) == "hot"
    hot(world, 60, *[60] * 16)
    assert (said(world), word(world)) != ("", ""), "slots come back one by one"
    assert word(world) == RETURNING
    hot(world, *[60] * 200)
    assert (said(world), word(world)) == ("", "")
    hot(world, 82)
    assert word(world) == "warm"
    world = watched()
    world.pass_time(300)
    assert word(world) == "blind"
    world = watched()
    world.pass_time(2)
    world.read("a", card(used=99))
    assert word(world) == "full"
    world = watched(pressure=PressureRule(mode="seed"))
    world.pass_time(2)
    world.read("a", card(used=75))
    assert word(world) == "pressed"
    assert {"hot", "warm", "blind", "full", "pressed", RETURNING} == set(HELD)
