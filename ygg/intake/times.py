"""Durations and moments as people write them. Every wrong one is an InvalidInput that names its key."""

from __future__ import annotations

import time
from datetime import UTC, datetime

from ygg.config.durations import LONGEST_S, seconds
from ygg.errors import InvalidInput


def wall_ms() -> int:
    """Now, in milliseconds of the wall clock."""
    return time.time_ns() // 1_000_000


def written_seconds(value: str | float) -> float:
    """Seconds of `90`, `"90"`, `"1.5"`, `"10m"`, `"1h30m"`; above 0, ten years at most. ValueError."""
    bare = isinstance(value, str) and value.isascii() and value.replace(".", "", 1).isdecimal()
    return seconds(float(value) if bare else value)


def duration(name: str, value: str | float | None, longest_s: float = LONGEST_S) -> float | None:
    """Seconds, as `written_seconds`, at most `longest_s`; None stays None."""
    if value is None:
        return None
    try:
        found = written_seconds(value)
    except ValueError as error:
        raise InvalidInput(f"{name}: {error}") from None
    if found > longest_s:
        raise InvalidInput(f"{name}: expected at most {longest_s / 86400:g} days, got {value}")
    return found


def moment(name: str, value: str | float | None, now_ms: int) -> int | None:
    """Wall-clock milliseconds of an ISO 8601 time (UTC when it names no zone), or of a duration
    from now; ten years ahead at most."""
    at = _iso_ms(value) if isinstance(value, str) else None
    if at is None:
        try:
            wait = duration(name, value)
        except InvalidInput:
            expected = "a time such as 2026-01-31T18:00Z or a duration such as 10m"
            raise InvalidInput(f"{name}: expected {expected}, got {value!r:.60}") from None
        at = None if wait is None else now_ms + round(wait * 1000)
    if at is not None and at > now_ms + LONGEST_S * 1000:
        raise InvalidInput(f"{name}: more than ten years ahead")
    return at


def _iso_ms(text: str) -> int | None:
    """None when `text` is no such time. Bare digits are seconds, not a date."""
    if text.isdecimal():
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    at = at if at.tzinfo is not None else at.replace(tzinfo=UTC)
    return max(0, round(at.timestamp() * 1000))


def deadline(value: str | float | None, now_ms: int, starts_ms: int | None) -> int | None:
    """A moment that leaves time to run: after now, and after `starts_ms`."""
    at = moment("deadline", value, now_ms)
    if at is not None and at <= now_ms:
        raise InvalidInput("deadline: it has already passed")
    if at is not None and starts_ms is not None and at <= starts_ms:
        raise InvalidInput("deadline: it is before not_before, the task could never run")
    return at
