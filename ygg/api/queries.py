"""Queries of GET requests, checked. Every wrong value is an InvalidInput that names its key."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any

from ygg.api.documents import NewPriority
from ygg.errors import InvalidInput
from ygg.intake.checking import check_text, parse
from ygg.model import Priority, State
from ygg.ports import Filter

MAX_LIMIT = 10_000  #: tasks in one listing
DEFAULT_LIMIT = 50
MAX_DAYS, DEFAULT_DAYS = 14, 7  #: of the history an advice looks at
MAX_MINUTES, MAX_MINUTES_ALL = 14 * 1440, 1440  #: of history in one answer: of one host, of all
DEFAULT_MINUTES = 60
_KEYS = frozenset(
    {"state", "type", "priority", "host", "label", "caller", "batch", "limit", "order"}
)


def filter_of(query: Mapping[str, Any]) -> Filter:
    """Raises InvalidInput for unknown keys and values out of range."""
    given = {k: v for k, v in query.items() if v is not None and v != []}
    _only(given, _KEYS)
    check_text(given, "")
    order = given.get("order", "newest")
    if order not in ("newest", "queue"):
        raise InvalidInput(f"order: expected newest or queue, got {order!r:.60}")
    return Filter(
        states=states(given.get("state", ())),
        type=given.get("type"),
        priority=_priority(given["priority"]) if "priority" in given else None,
        host=given.get("host"),
        label=given.get("label"),
        caller=given.get("caller"),
        batch=given.get("batch"),
        limit=whole("limit", given.get("limit", DEFAULT_LIMIT), 1, MAX_LIMIT),
        queue_order=order == "queue",
    )


def history_of(query: Mapping[str, Any]) -> tuple[str | None, int]:
    """Host, None for all, and how many minutes back."""
    given = {k: v for k, v in query.items() if v is not None}
    _only(given, frozenset({"host", "minutes"}))
    most = MAX_MINUTES if "host" in given else MAX_MINUTES_ALL
    return given.get("host"), whole("minutes", given.get("minutes", DEFAULT_MINUTES), 1, most)


def tuning_of(query: Mapping[str, Any]) -> tuple[str | None, int]:
    """Host, None for all, and how many days back."""
    given = {k: v for k, v in query.items() if v is not None}
    _only(given, frozenset({"host", "days"}))
    return given.get("host"), whole("days", given.get("days", DEFAULT_DAYS), 1, MAX_DAYS)


def states(value: str | Iterable[str]) -> tuple[State, ...]:
    """State words; one alone or several."""
    words = [value] if isinstance(value, str) else list(value)
    unknown = [w for w in words if w not in set(State)]
    if unknown:
        raise InvalidInput(f"state: no state {unknown[0]!r:.60}", hint=f"one of {', '.join(State)}")
    return tuple(State(w) for w in words)


def whole(name: str, value: object, least: int, most: int) -> int:
    """A whole number within bounds, as text or number."""
    text = str(value)
    if not (text.isascii() and text.isdecimal() and len(text) < 20 and least <= int(text) <= most):
        raise InvalidInput(f"{name}: expected {least} to {most}, got {text:.60}")
    return int(text)


def _priority(value: object) -> Priority:
    return Priority(parse(NewPriority, {"priority": value}).priority)


def _only(query: Mapping[str, Any], keys: frozenset[str]) -> None:
    for key in query:
        if key not in keys:
            near = difflib.get_close_matches(key[:40], keys, n=1)
            more = f", did you mean {near[0]}?" if near else ""
            raise InvalidInput(f"{key:.60}: unknown key{more}")
