"""A day in which everything goes wrong once: each thing is told once to each target, whatever the others do."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests.notify.day import PAGE, played, table
from tests.notify.scene import Told
from ygg.model.notices import Event


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Told:
    return played(tmp_path_factory.mktemp("day"))


def hours(day: Told, name: str) -> list[tuple[float, list[Event]]]:
    return [
        (round(when / 3600, 1), [n.event for n in letter.notices])
        for when, to, letter in day.letters
        if to == name
    ]


def test_each_thing_is_told_once(day: Told) -> None:
    assert hours(day, "phone") == [
        (0.1, [Event.QUEUE_DRAINED]),
        (3.1, [Event.HOT]),
        (8.3, [Event.HOST_DOWN]),
        (11.0, [Event.HOST_UP]),
        (13.0, [Event.DEAD_LETTER]),
        (16.2, [Event.NOTHING_MOVES]),
        (17.0, [Event.QUEUE_DRAINED]),
        (19.0, [Event.TELEMETRY_LOST]),
        (20.1, [Event.QUEUE_DRAINED]),
    ]


def test_the_night_is_quiet_but_for_heat_and_what_waited_is_told_at_its_end(day: Told) -> None:
    told = hours(day, "bedside")
    assert told[:2] == [(3.1, [Event.HOT]), (7.0, [Event.QUEUE_DRAINED])]
    assert told[2:] == hours(day, "phone")[2:]


def test_a_target_that_hangs_gets_nothing_and_costs_the_others_nothing(day: Told) -> None:
    tries = Counter(name for _, name, _ in day.tries)
    assert hours(day, "dead") == []
    assert tries["dead"] == 1
    assert tries["phone"] == tries["bedside"] == 9


def test_all_dead_letters_are_in_one_message(day: Told) -> None:
    (letter,) = (le for _, to, le in day.letters if to == "phone" and "dead" in le.title)
    assert letter.title == "40 dead letters"


def test_the_page_shows_this_day(day: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    assert table(day) in Path(PAGE).read_text(encoding="utf-8")
