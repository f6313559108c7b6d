"""A reading digested into the condition of its host: level, fullness, heat, foreign memory.

Levels, heat and fullness have hysteresis, and foreign memory is learned: what a reading means depends on the
condition before it.
"""

from __future__ import annotations

from ygg.core.hosts import cards, heat, models, pressure
from ygg.core.house import Condition, Gauge, Heat, HostState, Memory
from ygg.model import Now, PressureRule, Reading

SETTLE_S = 30.0  #: memory is no measure for so long after another model was loaded
SEEN = 3  #: readings in a row that must show more, or less, than the loaded models took before
DIP = 0.02  #: share of the card by which a reading may fall and still be believed at once
FORGETS = 0.005 / 60  #: share of the card per second by which what they took is forgotten
ROOM_S = 30.0  #: below the stop for so long, starts resume though it is not far below


def digested(host: HostState, reading: Reading, since: float, now: Now) -> Condition:
    """What the reading says, `since` seconds after the last one. What it does not tell stays as it was."""
    rule, before = host.host.pressure, host.condition
    warmth = cards.heat_of(host.gauge, reading, host.host.heat)
    hot = before.hot if warmth is None else _hot(host, warmth, now)
    memory = pressure.memory_of(reading.devices)
    if memory is None:
        kept = (before.level, before.full, hot, before.foreign_mb)
        return Condition(None, warmth, *kept)
    level = pressure.level_of(memory.percent, rule, before.level)
    full = _full(host.gauge, before.full, memory.percent, rule, now)
    return Condition(memory, warmth, level, full, hot, _foreign(host, memory, since, now))


def _hot(host: HostState, found: Heat, now: Now) -> bool:
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


def _foreign(host: HostState, memory: Memory, since: float, now: Now) -> float:
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
        return _before(host, memory)
    return _learned_foreign(host, memory, since)


def _learned_foreign(host: HostState, memory: Memory, seconds: float) -> float:
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
    return max(0.0, beyond) if not much or gauge.foreign_seen >= SEEN else _before(host, memory)


def _before(host: HostState, memory: Memory) -> float:
    """What was foreign before; of a host that has lost a card, no more than the others hold."""
    return min(host.condition.foreign_mb, memory.used_mb)
