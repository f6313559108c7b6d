"""What readings change: they are digested once into the host's `Condition`, and its limit follows.

What cannot be true in them is dropped and counted.
"""

from __future__ import annotations

from ygg.core.board import Board
from ygg.core.effects import Effect, Note
from ygg.core.events import ReadingMissed, ReadingTaken
from ygg.core.hosts import cards, limits, lowered
from ygg.core.hosts.condition import digested
from ygg.core.house import HostState
from ygg.model import Device, JsonDict, Level, Now, Reading, ReasonCode, Trust, because


def taken(board: Board, event: ReadingTaken, now: Now) -> list[Effect]:
    """Learn from a reading of a host that is watched; notes of the limit, the level and the lost cards when
    they changed. One in which every card is lost is none."""
    host = board.hosts[event.host]
    if not event.reading.devices or not host.gauge.watching:
        return []
    if all(d.error for d in event.reading.devices):
        error = event.reading.devices[0].error
        return missed(board, ReadingMissed(event.host, event.reading.probe, error), now)
    board.retime = True
    reading = cards.whole(host.gauge, event.reading)
    news = _cards(host, reading)
    return [*news, *_measure(host, reading, now), *adjusted(board, host, now)]


def sound(board: Board, event: ReadingTaken) -> tuple[Reading | None, list[Effect]]:
    """What can be true in a reading, None when nothing can; the note of what cannot, which is counted."""
    fault = event.reading.fault()
    if fault is None:
        return event.reading, []
    board.invalid_readings += 1
    note = Note(because(ReasonCode.READING_DROPPED, event.host, fault=fault), level="WARNING")
    return event.reading.sound(), [note]


def _cards(host: HostState, reading: Reading) -> list[Effect]:
    """Notes of cards that are lost since the last reading, or read again."""
    before = {d.uuid for d in cards.lost(host.gauge)}
    news = [d for d in reading.devices if bool(d.error) != (d.uuid in before)]
    return [_card(host.host.name, device) for device in news]


def _card(host: str, device: Device) -> Note:
    card = f"{device.label} ({device.name})" if device.name else device.label
    if device.error:
        lost = because(ReasonCode.CARD_LOST, host, card=card, message=device.error)
        return Note(lost, level="WARNING")
    return Note(because(ReasonCode.CARD_BACK, host, card=card))


def _measure(host: HostState, reading: Reading, now: Now) -> list[Effect]:
    """Take it over; a note when the level changed."""
    gauge, before = host.gauge, host.condition
    since = min(now.mono - gauge.at, host.host.telemetry.fresh_s)
    gauge.reading, gauge.at, gauge.error = reading, now.mono, ""
    cards.remember(gauge, reading.devices, host.host.heat)
    gauge.streak += 1
    gauge.lost = gauge.lost and gauge.streak < limits.PROVEN
    host.condition = found = digested(host, reading, since, now)
    if found.level is before.level or found.level is None or found.memory is None:
        return []
    if before.level is None and found.level is Level.LOW:
        return []
    facts: JsonDict = {"level": found.level.name, "percent": found.memory.percent}
    return [Note(because(ReasonCode.LEVEL, host.host.name, **facts))]


def missed(board: Board, event: ReadingMissed, now: Now) -> list[Effect]:
    """A probe came back with nothing. The limit falls once the newest reading is too old."""
    host = board.hosts[event.host]
    if not host.gauge.watching:
        return []
    gauge, board.retime = host.gauge, True
    news = event.message != gauge.error
    gauge.error, gauge.streak = event.message, 0
    facts: JsonDict = {"probe": event.probe, "message": event.message}
    note = Note(because(ReasonCode.READING_MISSED, event.host, **facts), level="WARNING")
    return [*([note] if news else []), *adjusted(board, host, now)]


def adjusted(board: Board, host: HostState, now: Now) -> list[Effect]:
    """Move the host's limit to what is allowed now; the note when it moved."""
    before, slots = host.condition, host.limit
    moved = limits.adjust(host, board.policy, now)
    if moved or host.condition is not before:
        board.changed(host.host.name)
    return [Note(lowered.moved(host, slots, now))] if moved else []


def follow(board: Board, now: Now) -> list[Effect]:
    """What the passing of time alone changes: readings age, slots come back."""
    effects: list[Effect] = []
    for host in board.hosts.values():
        if not host.removed:
            effects += adjusted(board, host, now)
    return effects


def next_change(host: HostState, now: Now) -> float:
    """When `follow` has something to do for this host, on the monotonic clock."""
    rises = host.limit < host.host.slots and host.regain_at is not None
    regain = host.regain_at if rises and host.regain_at is not None else float("inf")
    known = not host.gauge.measured or limits.trust(host, now) is not Trust.STALE
    times = [limits.changes_at(host), regain if known else float("inf")]
    return min((t for t in times if t > now.mono), default=float("inf"))
