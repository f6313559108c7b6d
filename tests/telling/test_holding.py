"""What one target is told when: quiet hours, messages an hour, what waits."""

from __future__ import annotations

import pytest

from ygg.model.notices import EVENTS, Event, Notice, Target, TargetKind
from ygg.telling.holding import HOUR_MS, MOST, Holding

NOON, NIGHT = 12 * 60, 23 * 60
QUIET = (22 * 60, 7 * 60)


def target(**more: object) -> Target:
    return Target("phone", TargetKind.NTFY, **more)  # type: ignore[arg-type]


def notice(event: Event = Event.HOST_DOWN, title: str = "a is down", **more: object) -> Notice:
    return Notice(event, 0, title, **more)  # type: ignore[arg-type]


def holding(*notices: Notice, **more: object) -> Holding:
    found = Holding(target(**more))
    for one in notices:
        found.add(one)
    return found


def test_what_waits_is_told_at_once_together_and_once() -> None:
    one, two = notice(), notice(Event.HOST_UP)
    held = holding(one, two)
    assert held.due(0, NOON) == (one, two)
    assert held.due(0, NOON) == ()


def test_a_target_hears_what_it_asked_for_and_not_what_follows_from_it() -> None:
    follows = notice(Event.NOTHING_MOVES, follows=(Event.HOST_DOWN,))
    assert not target().wants(follows)
    assert target(events=(Event.NOTHING_MOVES,)).wants(follows)
    assert not target(events=(Event.HOT,)).wants(notice())
    assert target(events=(Event.HOT,)).wants(notice(Event.TEST))
    assert holding(follows).waiting == holding().waiting


@pytest.mark.parametrize(
    ("quiet", "minute", "hushed"),
    [
        (QUIET, 22 * 60 - 1, False), (QUIET, 22 * 60, True), (QUIET, 0, True), (QUIET, 7 * 60 - 1, True),
        (QUIET, 7 * 60, False), ((60, 120), 60, True), ((60, 120), 120, False), ((60, 120), 59, False), (None, 0, False),
    ],
)  # fmt: skip
def test_quiet_hours_begin_and_end_to_the_minute(
    quiet: tuple[int, int] | None, minute: int, hushed: bool
) -> None:
    assert target(quiet=quiet).hushed(minute) is hushed


def test_in_quiet_hours_only_what_is_urgent_is_told_the_rest_at_their_end() -> None:
    hot, others = notice(Event.HOT), [notice(), notice(Event.HOST_UP), notice(Event.BLOCKED)]
    held = holding(*others[:2], hot, others[2], quiet=QUIET)
    assert held.due(0, NIGHT) == (hot,)
    assert held.due(0, NIGHT) == ()
    assert held.due(0, NOON) == tuple(others)


def test_which_events_are_urgent_is_said_by_the_target() -> None:
    assert holding(notice(), quiet=QUIET, urgent=EVENTS).due(0, NIGHT)
    assert not holding(notice(Event.HOT), quiet=QUIET, urgent=()).due(0, NIGHT)


def test_beyond_its_messages_an_hour_the_rest_waits_and_is_told_together() -> None:
    held = holding(limit=3)
    told = []
    for n in range(10):
        held.add(notice(title=f"{n}"))
        told.append(len(held.due(n * 60_000, NOON)))
    assert told == [1, 1, 1, 0, 0, 0, 0, 0, 0, 0]
    assert held.due(HOUR_MS - 1, NOON) == ()
    assert [n.title for n in held.due(HOUR_MS, NOON)] == [str(n) for n in range(3, 10)]


def test_what_is_urgent_passes_the_limit() -> None:
    held = holding(notice(), limit=1)
    assert held.due(0, NOON)
    held.add(notice(Event.HOT))
    held.add(notice())
    assert [n.event for n in held.due(1, NOON)] == [Event.HOT]


def test_the_oldest_make_room_and_are_counted() -> None:
    held = holding(*(notice(title=str(n)) for n in range(MOST + 3)), quiet=QUIET)
    assert held.dropped == 3
    assert [n.title for n in held.due(0, NOON)] == [str(n) for n in range(3, MOST + 3)]
