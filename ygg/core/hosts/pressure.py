"""Memory pressure of a host -> its level, and how many slots memory allows. Pure arithmetic.

Pressure is used / total over all cards of the host, with used = total - free: drivers disagree on any
other "used". A model server that keeps its models in memory is doing its work, so the slots shrink only
for memory that is not its (mode `foreign`); mode `seed` applies the mission's table to used / total
whoever holds it.

Foreign memory comes from the processes the driver names, where it names a model server among them or
no model is loaded; else from what the same set of loaded models took at its leanest, as learned.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from ygg.core.house import Memory
from ygg.model import Device, Level, PressureRule, Process, Telemetry

#: Calls at the same time by level, as the mission's example has them.
SEED = {Level.LOW: 4, Level.NORMAL: 2, Level.HIGH: 2, Level.CRITICAL: 1}


def memory_of(devices: Iterable[Device]) -> Memory | None:
    """None when no card tells both its total and its free memory."""
    known = [
        (d.total_mb, d.free_mb) for d in devices if d.total_mb is not None and d.free_mb is not None
    ]
    if not known:
        return None
    total = sum(t for t, _ in known)
    return Memory(total - sum(f for _, f in known), total)


def level_of(percent: float, rule: PressureRule, before: Level | None = None) -> Level:
    """The level of that pressure; one that was reached is left `hysteresis` below where it began."""
    level = Level.LOW
    for step, start in _starts(rule).items():
        sticky = rule.hysteresis if before is not None and before >= step else 0.0
        if percent >= start - sticky:
            level = step
    return level


def left_below(level: Level, rule: PressureRule) -> float | None:
    """The percentage below which that level ends; None for the lowest."""
    start = _starts(rule).get(level)
    return None if start is None else start - rule.hysteresis


def _starts(rule: PressureRule) -> dict[Level, float]:
    """Where each level begins, the lowest left out."""
    return {Level.NORMAL: rule.normal, Level.HIGH: rule.high, Level.CRITICAL: rule.critical}


def full(percent: float, rule: PressureRule) -> bool:
    """Whether new starts stop for want of memory."""
    return rule.stop < 100 and percent >= rule.stop


def relieved(percent: float, rule: PressureRule) -> bool:
    """Whether there is so much room again that starts resume at once."""
    return percent < rule.stop - rule.hysteresis


def slots(configured: int, level: Level, foreign_share: float, rule: PressureRule) -> int:
    """The slots memory allows, `full` aside. `foreign_share` is of the total, 0 to 1."""
    if rule.mode == "seed":
        return min(configured, SEED[level])
    if foreign_share * 100 < rule.foreign_from:
        return configured
    return max(1, math.ceil(configured * (1 - foreign_share)))


def named_foreign(
    memory: Memory, processes: Iterable[Process] | None, telemetry: Telemetry, *, loaded: bool
) -> float | None:
    """MiB that belong to no model server, by the driver's list of processes; None when the list cannot
    be trusted: a model is loaded, but no server is named."""
    if processes is None:
        return None
    ours = sum(p.used_mb for p in processes if is_server(p.name, telemetry))
    if not ours and loaded:
        return None
    return max(0.0, memory.used_mb - ours)


def is_server(name: str, telemetry: Telemetry) -> bool:
    """Whether a process of that name or path is a model server."""
    words = name.split()
    return bool(words) and words[0].rpartition("/")[2] in telemetry.servers
