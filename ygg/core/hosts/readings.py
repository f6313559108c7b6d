"""What readings change: they are digested once into the host's `Condition`, and its limit follows.

Readings that cannot be true are dropped and counted.
"""

from __future__ import annotations

from ygg.core.board import Board, HostState
from ygg.core.effects import Effect, Note
from ygg.core.events import ReadingMissed, ReadingTaken
from ygg.core.hosts import heat, limits, models, pressure
from ygg.core.hosts.condition import Condition, Gauge
from ygg.model import JsonDict, Level, Now, PressureRule, Reading, ReasonCode, Trust, because

SETTLE_S = 30.0  #: memory is no measure for so long after another model was loaded
SEEN = 3  #: readings in a row that must show more, or less, than the loaded models took before
DIP = 0.02  #: share of the card by which a reading may fall and still be believed at once
FORGETS = 0.005 / 60  #: share of the card per second by which what they took is forgotten
ROOM_S = 30.0  #: below the stop for so long, starts resume though it is not far below


def taken(board: Board, event: ReadingTaken, now: Now) -> list[Effect]:
    """Learn from a reading of a host that is watched; notes of the limit and the level when they changed."""
    host = board.hosts[event.host]
    if not event.reading.devices or not host.gauge.watching:
        return []
    board.retime = True
    return [*_measure(host, event.reading, now), *adjusted(board, host, now)]


def impossible(board: Board, event: ReadingTaken) -> list[Effect]:
    """The note of a reading that cannot be true, which is counted; nothing for any other."""
    fault = event.reading.fault()
    if fault is None:
        return []
    board.invalid_readings += 1
    return [Note(because(ReasonCode.READING_DROPPED, event.host, fault=fault), level="WARNING")]


def _measure(host: HostState, reading: Reading, now: Now) -> list[Effect]:
    """Take it over; a note when the level changed."""
    gauge, before = host.gauge, host.condition
    since = min(now.mono - gauge.at, host.host.telemetry.fresh_s)
    gauge.reading, gauge.at, gauge.error = reading, now.mono, ""
    gauge.streak += 1
    gauge.lost = gauge.lost and gauge.streak < limits.PROVEN
    host.condition = found = _digested(host, reading, since, now)
    if found.level is before.level or found.level is None or found.memory is None:
        return []
    if before.level is None and found.level is Level.LOW:
        return []
    facts: JsonDict = {"level": found.level.name, "percent": found.memory.percent}
    return [Note(because(ReasonCode.LEVEL, host.host.name, **facts))]


def _digested(host: HostState, reading: Reading, since: float, now: Now) -> Condition:
    """What the reading says, `since` seconds after the last one. What it does not tell stays as it was."""
    rule, before = host.host.pressure, host.condition
    warmth = heat.heat_of(reading.devices, host.host.heat)
    hot = before.hot if warmth is None else _hot(host, warmth, now)
    memory = pressure.memory_of(reading.devices)
    if memory is None:
        kept = (before.level, before.full, hot, before.foreign_mb)
        return Condition(None, warmth, *kept)
    level = pressure.level_of(memory.percent, rule, before.level)
    full = _full(host.gauge, before.full, memory.percent, rule, now)
    return Condition(memory, warmth, level, full, hot, _foreign(host, memory, since, now))


def _hot(host: HostState, found: heat.Heat, now: Now) -> bool:
    """Too hot or not: starts stop at once and resume after `hold_s` of cool readings."""
    gauge, rule, hot = host.gauge, host.host.heat, host.condition.hot
    if heat.too_hot(found, rule):
        gauge.cool_since = None
        return True
    if not hot or not heat.cooled(found, rule):
        gauge.cool_since = None
        return hot
    gauge.cool_since = now.mono if gauge.cool_since is None else gauge.cool_since
    return now.mono - gauge.cool_since < rule.hold_s


def _full(gauge: Gauge, before: bool, percent: float, rule: PressureRule, now: Now) -> bool:
    """Full or not: starts stop at once, and resume well below the stop, or below it for a while."""
    if pressure.full(percent, rule):
        gauge.room_since = None
        return True
    if not before:
        return False
    gauge.room_since = now.mono if gauge.room_since is None else gauge.room_since
    waits = now.mono - gauge.room_since < ROOM_S
    return waits and not pressure.relieved(percent, rule)


def _foreign(host: HostState, memory: pressure.Memory, since: float, now: Now) -> float:
    """MiB that are not the model servers'."""
    gauge = host.gauge
    assert gauge.reading is not None
    servers = host.servers.values()
    named = pressure.named_foreign(
        memory,
        gauge.reading.processes,
        host.host.telemetry,
        loaded=any(s.loaded for s in servers),
    )
    if named is not None:
        return named
    if any(s.loaded is None for s in servers):
        return 0.0  # nothing tells what should be in memory
    if now.mono - max(s.loaded_at for s in servers) < SETTLE_S:
        return host.condition.foreign_mb
    return _learned_foreign(host, memory, since)


def _learned_foreign(host: HostState, memory: pressure.Memory, seconds: float) -> float:
    """What is used beyond what the same loaded models took before, once it was seen often enough.

    The expectation falls to what was seen leaner several times in a row and slowly forgets: one that was
    learned too low would else count our own memory as foreign for ever."""
    gauge, key = host.gauge, models.loaded(host)
    expected = gauge.footprints.get(key)
    if expected is None:
        expected = models.sizes_mb(host, key) or memory.used_mb
    expected += FORGETS * memory.total_mb * seconds
    beyond = memory.used_mb - expected
    lean = beyond < -DIP * memory.total_mb
    gauge.lean_seen = gauge.lean_seen + 1 if lean else 0
    learns = beyond < 0 and (not lean or gauge.lean_seen >= SEEN)
    gauge.footprints[key] = memory.used_mb if learns else expected
    much = beyond >= host.host.pressure.foreign_from / 100 * memory.total_mb
    gauge.foreign_seen = gauge.foreign_seen + 1 if much else 0
    return max(0.0, beyond) if not much or gauge.foreign_seen >= SEEN else host.condition.foreign_mb


def missed(board: Board, event: ReadingMissed, now: Now) -> list[Effect]:
    """A probe came back with nothing. The limit falls once the newest reading is too old."""
    host = board.hosts[event.host]
    if not host.gauge.watching:
        return []
    gauge, board.retime = host.gauge, True
    news = event.message != gauge.error
    gauge.error, gauge.streak = event.message, 0
    facts: JsonDict = {"source": event.source, "message": event.message}
    note = Note(because(ReasonCode.READING_MISSED, event.host, **facts), level="WARNING")
    return [*([note] if news else []), *adjusted(board, host, now)]


def adjusted(board: Board, host: HostState, now: Now) -> list[Effect]:
    """Move the host's limit to what is allowed now; the note when it moved."""
    reason = limits.adjust(host, board.policy, now)
    if reason is None:
        return []
    board.changed(host.host.name)
    return [Note(reason)]


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
