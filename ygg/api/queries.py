"""Queries, checked. Every wrong value is an InvalidInput that names its key.

What may be asked is a mapping of keys to their JSON schemas: it refuses every other key here, and describes its verb in
/openapi.json.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from ygg.api.documents import NewPriority
from ygg.errors import InvalidInput
from ygg.intake.checking import check_text, parse
from ygg.intake.schemas import PRIORITY
from ygg.model import JsonDict, Priority, State
from ygg.ports import Filter

MAX_LIMIT = 10_000  #: tasks in one listing
DEFAULT_LIMIT = 50
MAX_DAYS, DEFAULT_DAYS = 14, 7  #: of the history an advice looks at
MAX_MINUTES, MAX_MINUTES_ALL = 14 * 1440, 1440  #: of history in one answer: of one host, of all
DEFAULT_MINUTES = 60
DEFAULT_WAIT_S, WAIT_MAX_S = 30.0, 60.0  #: of one long poll
MAX_SEQ = 2**63 - 1

Keys = dict[str, JsonDict]


class Looking(dict[str, Any]):
    """The query of a HEAD: nothing is waited for, and nobody has read what is not sent."""


def _text(told: str) -> JsonDict:
    return {"type": "string", "description": told}


def _whole(told: str, most: int, default: int) -> JsonDict:
    bounds = {"minimum": 1, "maximum": most, "default": default}
    return {"type": "integer", "description": told, **bounds}


def _wait(told: str, default: float) -> JsonDict:
    text = f"{told}, {WAIT_MAX_S:g} s at the latest"
    return {"type": "number", "description": text, "minimum": 0, "default": default}


def _flag(told: str, *, default: bool) -> JsonDict:
    return {"type": "boolean", "description": told, "default": default}


_STATES = {"type": "array", "items": {"type": "string", "enum": list(State)}}
_LIMIT = _whole("how many at most", MAX_LIMIT, DEFAULT_LIMIT)
_HOST = _text("of this host alone")
_FAILED: Keys = {
    "type": _text("of this task type"),
    "priority": {**PRIORITY, "description": "of this priority"},
    "host": _text("that ran, or are pinned, there"),
    "label": _text("with this label"),
    "caller": _text("of this caller, where others may be seen"),
    "batch": _text("of this batch"),
    "limit": _LIMIT,
}
_FILTER: Keys = {"state": {**_STATES, "description": "in one of these states"}, **_FAILED}
_CURSOR: Keys = {"cursor": _text("`next_cursor` of the page before") | {"pattern": "^[0-9]{1,19}$"}}
_ORDER = {"type": "string", "enum": ["newest", "queue"], "default": "newest"}
LISTING: Keys = _FILTER | {"order": {**_ORDER, "description": "which come first"}}
PAGE: Keys = _FILTER | _CURSOR
DEAD_LETTERS: Keys = _FAILED | _CURSOR
BATCHES: Keys = {"limit": _LIMIT}
HISTORY: Keys = {
    "host": _HOST,
    "minutes": _whole(
        f"so many back; {MAX_MINUTES_ALL} at most of all hosts", MAX_MINUTES, DEFAULT_MINUTES
    ),
}
TUNING: Keys = {"host": _HOST, "days": _whole("so many back", MAX_DAYS, DEFAULT_DAYS)}
RUNNING: Keys = {"running": _flag("also one that is processing", default=True)}
PROBE: Keys = {"probe": _flag("ask every host first", default=False)}
TIMEOUT: Keys = {"timeout": _wait("seconds to wait for the end", DEFAULT_WAIT_S)}
WAIT: Keys = {"wait": _wait("seconds to wait for the end", 0.0)}
LAST: Keys = {"last_event_id": _text("as the header Last-Event-ID, which counts before it")}

#: What each verb may be asked, by its name.
QUERIES: dict[str, Keys] = {
    "async_status": WAIT,
    "process_file": WAIT,
    "async_result": WAIT,
    "async_stream": LAST,
    "async_cancel": RUNNING,
    "async_tasks": PAGE,
    "async_dead_letters": DEAD_LETTERS,
    "tasks": LISTING,
    "wait_once": TIMEOUT,
    "cancel": RUNNING,
    "batch": WAIT,
    "batches": BATCHES,
    "status": PROBE,
    "history": HISTORY,
    "tuning": TUNING,
}


def filter_of(query: Mapping[str, Any], owner: str | None) -> Filter:
    """`owner`: whose tasks alone may be shown, None for everybody's. Raises InvalidInput for unknown keys and values out of
    range."""
    given = _given(query, LISTING)
    order = given.get("order", "newest")
    if order not in ("newest", "queue"):
        raise InvalidInput(f"order: expected newest or queue, got {order!r:.60}")
    return replace(_filter(given, owner), queue_order=order == "queue")


def page_of(query: Mapping[str, Any], owner: str | None) -> Filter:
    """The same for one page, newest first, from its `cursor` on."""
    given = _given(query, PAGE)
    before = _cursor(given["cursor"]) if "cursor" in given else None
    return replace(_filter(given, owner), before_seq=before)


def dead_letters_of(query: Mapping[str, Any], owner: str | None) -> Filter:
    """The same for a page of failed tasks."""
    _only(query, DEAD_LETTERS)
    return replace(page_of(query, owner), states=(State.FAILED,))


def _cursor(value: object) -> int:
    try:
        return whole("cursor", value, 1, MAX_SEQ)
    except InvalidInput:
        text = f"cursor: expected the next_cursor of an earlier answer, got {value!r:.60}"
        raise InvalidInput(text, hint="leave it out for the newest tasks") from None


def _given(query: Mapping[str, Any], keys: Keys) -> dict[str, Any]:
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
    _only(query, BATCHES)
    return whole("limit", query.get("limit", DEFAULT_LIMIT), 1, MAX_LIMIT)


def history_of(query: Mapping[str, Any]) -> tuple[str | None, int]:
    """Host, None for all, and how many minutes back."""
    most = MAX_MINUTES if query.get("host") is not None else MAX_MINUTES_ALL
    _only(query, HISTORY)
    return query.get("host"), whole("minutes", query.get("minutes", DEFAULT_MINUTES), 1, most)


def tuning_of(query: Mapping[str, Any]) -> tuple[str | None, int]:
    """Host, None for all, and how many days back."""
    _only(query, TUNING)
    return query.get("host"), whole("days", query.get("days", DEFAULT_DAYS), 1, MAX_DAYS)


def also_running(query: Mapping[str, Any]) -> bool:
    """Whether one that is processing is meant too."""
    return _flag_of(query, RUNNING, "running")


def probing(query: Mapping[str, Any]) -> bool:
    """Whether every host is asked first."""
    return _flag_of(query, PROBE, "probe")


def _flag_of(query: Mapping[str, Any], keys: Keys, name: str) -> bool:
    """true or false, also 1, 0, yes, no."""
    _only(query, keys)
    default = keys[name]["default"]
    text = str(query.get(name, default)).lower()
    if text not in ("true", "false", "1", "0", "yes", "no"):
        raise InvalidInput(f"{name}: expected true or false, got {text!r:.60}")
    return text in ("true", "1", "yes")


def wait_s(query: Mapping[str, Any]) -> float:
    """`timeout` of one long poll in seconds; what is longer than WAIT_MAX_S ends there."""
    _only(query, TIMEOUT)
    return _seconds(query, "timeout", DEFAULT_WAIT_S)


def poll_s(query: Mapping[str, Any], usual: float = 0.0, most: float = WAIT_MAX_S) -> float:
    """`wait` of an answer that comes at once unless it is asked to wait, or `usual` says otherwise; bounded the same, or
    by `most`."""
    _only(query, WAIT)
    return _seconds(query, "wait", usual, most)


def last_event(query: Mapping[str, Any]) -> str | None:
    """`last_event_id`, of clients that cannot send the header."""
    _only(query, LAST)
    return query.get("last_event_id")


def _seconds(
    query: Mapping[str, Any], name: str, default: float, most: float = WAIT_MAX_S
) -> float:
    given = query.get(name, default)
    try:
        found = float(given)
    except ValueError:
        found = math.nan
    if not 0 <= found < math.inf:
        raise InvalidInput(f"{name}: expected seconds, got {given!r:.60}")
    return 0.0 if isinstance(query, Looking) else min(found, most)


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


def _only(query: Mapping[str, Any], keys: Keys) -> None:
    for key in query:
        if key not in keys:
            near = difflib.get_close_matches(key[:40], keys, n=1)
            more = f", did you mean {near[0]}?" if near else ""
            raise InvalidInput(f"{key:.60}: unknown key{more}")
