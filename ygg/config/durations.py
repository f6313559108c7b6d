"""Durations as people write them: `60s`, `10m`, `2h`, `7d`, `1h30m`, or a number of seconds."""

from __future__ import annotations

import math
import re

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)", re.ASCII)
_WHOLE = re.compile(rf"(?:{_PART.pattern})+", re.ASCII)
LONGEST_S = 10 * 365 * 86400.0


def seconds(value: object, *, none: bool = False) -> float:
    """Seconds, more than 0 (or, with `none`, 0 as well) and at most ten years. ValueError for anything else."""
    if isinstance(value, str) and len(value) <= 40 and _WHOLE.fullmatch(value):
        total = sum(float(n) * _UNITS[unit] for n, unit in _PART.findall(value))
    elif isinstance(value, int | float) and not isinstance(value, bool):
        total = float(value) if abs(value) <= LONGEST_S else math.inf
    else:
        raise ValueError(f"no duration: {value!r:.60}")
    if not (0 < total <= LONGEST_S or (none and total == 0)):
        raise ValueError(f"out of range: {value!r:.60}")
    return total
