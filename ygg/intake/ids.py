"""Ids of tasks: ordered by time, unique in one process by counting, among processes by chance."""

from __future__ import annotations

import os
from itertools import count

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32: no i, l, o, u
_PAIRS = [a + b for a in _ALPHABET for b in _ALPHABET]
_RANDOM = 1 << 30  #: six characters of an id


def new_id(now_ms: int, random_bits: int) -> str:
    """A time-ordered id: 9 characters of the time, a dash, 6 characters of 30 random bits."""
    return f"{_base32(now_ms, 9)}-{_base32(random_bits % _RANDOM, 6)}"


def made_ms(task_id: str) -> int | None:
    """When a task got this id; None for what is no whole id."""
    time, dash, bits = task_id.partition("-")
    if not dash or len(time) != 9 or len(bits) != 6 or not set(time + bits) <= set(_ALPHABET):
        return None
    value = 0
    for digit in time:
        value = 32 * value + _ALPHABET.index(digit)
    return value


class Ids:
    """Ids of one process: they count up from a random start, so that the ends of a million in a row differ."""

    def __init__(self) -> None:
        self._bits = count(int.from_bytes(os.urandom(4), "big"))

    def new(self, now_ms: int) -> str:
        """From any thread."""
        return new_id(now_ms, next(self._bits))


def _base32(value: int, width: int) -> str:
    digits = ""
    while len(digits) < width:
        value, rest = divmod(value, 1024)
        digits = _PAIRS[rest] + digits
    return digits[-width:]
