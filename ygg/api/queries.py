"""Queries of GET requests, checked. Every wrong value is an InvalidInput that names its key."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
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
DEFAULT_WAIT_S, WAIT_MAX_S = 30.0, 60.0  #: of one long poll
MAX_SEQ = 2**63 - 1
_KEYS = frozenset({"state", "type", "priority", "host", "label", "caller", "batch", "limit"})


def filter_of(query: Mapping[str, Any], owner: str | None) -> Filter:
    """`owner`: whose tasks alone may be shown, None for everybody's. Raises InvalidInput for unknown keys and values out of
    range."""
    given = _given(query, _KEYS | {"order"})
    order = given.get("order", "newest")
    if order not in ("newest", "queue"):
        raise InvalidInput(f"order: expected newest or queue, got {order!r:.60}")
    return replace(_filter(given, owner), queue_order=order == "queue")


def page_of(query: Mapping[str, Any], owner: str | None) -> Filter:
    """The same for one page, newest first, from its `cursor` on."""
    given = _given(query, _KEYS | {"cursor"})
    before = _cursor(given["cursor"]) if "cursor" in given else None
    return replace(_filter(given, owner), before_seq=before)


def dead_letters_of(query: Mapping[str, Any], owner: str | None) -> Filter:
    """The same for a page of failed tasks."""
    _only(query, (_KEYS - {"state"}) | {"cursor"})
    return replace(page_of(query, owner), states=(State.FAILED,))


def _cursor(value: object) -> int:
    try:
        return whole("cursor", value, 1, MAX_SEQ)
    except InvalidInput:
        text = f"cursor: expected the next_cursor of an earlier answer, got {value!r:.60}"
        raise InvalidInput(text, hint="leave it out for the newest tasks") from None


def _given(query: Mapping[str, Any], keys: frozenset[str]) -> dict[str, Any]:
    given = {k: v for k, v in query.items() if v is not None and v != []}
    _only(given, keys)
    check_text(given)
    return given


def _filter(given: Mapping[str, Any], owner: str | None) -> Filter:
    return Filter(
        states=states(given.get("state", ())),
        type=given.get("type"),
        priority=_priority(given["priority"]) if "priority" in given else None,
        host=given.get("host"),
        label=given.get("label"),
        caller=given.get("caller") if owner is None else owner,
        batch=given.get("batch"),
        limit=whole("limit", given.get("limit", DEFAULT_LIMIT), 1, MAX_LIMIT),
    )


def batches_of(query: Mapping[str, Any]) -> int:
    """How many of them."""
    _only(query, frozenset({"limit"}))
    return whole("limit", query.get("limit", DEFAULT_LIMIT), 1, MAX_LIMIT)


def history_of(query: Mapping[str, Any]) -> tuple[str | None, int]:
    """Host, None for all, and how many minutes back."""
    most = MAX_MINUTES if query.get("host") is not None else MAX_MINUTES_ALL
    return _host_and("minutes", query, DEFAULT_MINUTES, most)


def tuning_of(query: Mapping[str, Any]) -> tuple[str | None, int]:
    """Host, None for all, and how many days back."""
    return _host_and("days", query, DEFAULT_DAYS, MAX_DAYS)


def _host_and(
    name: str, query: Mapping[str, Any], default: int, most: int
) -> tuple[str | None, int]:
    _only(query, frozenset({"host", name}))
    return query.get("host"), whole(name, query.get(name, default), 1, most)


def flag(query: Mapping[str, Any], name: str, *, default: bool) -> bool:
    """true or false, also 1, 0, yes, no."""
    text = str(query.get(name, default)).lower()
    if text not in ("true", "false", "1", "0", "yes", "no"):
        raise InvalidInput(f"{name}: expected true or false, got {text!r:.60}")
    return text in ("true", "1", "yes")


def wait_s(query: Mapping[str, Any]) -> float:
    """`timeout` of one long poll in seconds; what is longer than WAIT_MAX_S ends there."""
    return _seconds(query, "timeout", DEFAULT_WAIT_S)


def poll_s(query: Mapping[str, Any]) -> float:
    """`wait` of an answer that comes at once unless it is asked to wait; bounded the same."""
    _only(query, frozenset({"wait"}))
    return _seconds(query, "wait", 0.0)


def last_event(query: Mapping[str, Any]) -> str | None:
    """`last_event_id`, of clients that cannot send the header."""
    _only(query, frozenset({"last_event_id"}))
    return query.get("last_event_id")


def _seconds(query: Mapping[str, Any], name: str, default: float) -> float:
    given = query.get(name, default)
    try:
        found = float(given)
    except ValueError:
        found = math.nan
    if not 0 <= found < math.inf:
        raise InvalidInput(f"{name}: expected seconds, got {given!r:.60}")
    return min(found, WAIT_MAX_S)


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
