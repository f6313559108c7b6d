"""Rates as people write them: tasks by time."""

from __future__ import annotations

import re

from ygg.errors import InvalidInput
from ygg.model.tokens import Rate

UNITS = {"s": 1.0, "sec": 1.0, "min": 60.0, "m": 60.0, "h": 3600.0, "hour": 3600.0, "d": 86400.0, "day": 86400.0}  # fmt: skip
MOST = 1_000_000  #: tasks of a rate


def rate(text: str | None) -> Rate | None:
    """`60/min`, `10/s`, `1000/h`, `5000/d`. Raises InvalidInput."""
    if text is None:
        return None
    found = re.fullmatch(r"([1-9][0-9]{0,6})/([a-z]+)", text)
    if found is None or found[2] not in UNITS or int(found[1]) > MOST:
        expected = "tasks by time such as 60/min, 10/s, 1000/h or 5000/d"
        raise InvalidInput(f"rate: expected {expected}, got {text!r:.60}")
    return Rate(int(found[1]), UNITS[found[2]])


def spelled(rate: Rate) -> str:
    """As `rate` reads it."""
    return f"{rate.tasks}/{next(unit for unit in ('s', 'min', 'h', 'd') if UNITS[unit] == rate.period_s)}"
