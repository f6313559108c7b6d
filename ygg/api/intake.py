"""From a checked document to a NewTask: type, lane, times, ids and the hash of the body."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ygg.api.schemas import MAX_TIMEOUT_S, AsyncSubmit, TaskDocument, parse
from ygg.errors import InvalidInput
from ygg.model import GpuNeed, JsonDict, Lane, NewTask, Operation, Priority

if TYPE_CHECKING:
    from ygg.config import Config

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32: no i, l, o, u
_REQUEST_KEYS = ("system", "max_tokens", "temperature", "options")


def new_id(now_ms: int, entropy: bytes) -> str:
    """A time-ordered id: 9 characters of the time, a dash, 6 of `entropy` (at least 4 bytes)."""
    return f"{_base32(now_ms, 9)}-{_base32(int.from_bytes(entropy[:4], 'big') & 0x3FFFFFFF, 6)}"


def _base32(value: int, width: int) -> str:
    digits = ""
    for _ in range(width):
        value, rest = divmod(value, 32)
        digits = _ALPHABET[rest] + digits
    return digits


def new_task(
    doc: Mapping[str, Any], config: Config, *, caller: str, now_ms: int | None = None
) -> NewTask:
    """Check one submit document and make it a task. Raises InvalidInput."""
    checked = parse(TaskDocument, doc)
    return _task(checked, checked.type, checked.timeout, doc, config, caller, now_ms)


def async_task(
    doc: Mapping[str, Any], config: Config, *, caller: str, now_ms: int | None = None
) -> NewTask:
    """The same for POST /v1/async/submit, whose tasks get `api_timeout` unless they say otherwise."""
    checked = parse(AsyncSubmit, doc)
    timeout = checked.timeout_seconds or config.policy.api_timeout_s
    return _task(checked, checked.agent_type, timeout, doc, config, caller, now_ms)


def _task(
    checked: TaskDocument | AsyncSubmit,
    kind: str | None,
    timeout: str | float | None,
    doc: Mapping[str, Any],
    config: Config,
    caller: str,
    now_ms: int | None,
) -> NewTask:
    now = time.time_ns() // 1_000_000 if now_ms is None else now_ms
    kind = kind or config.detect_type(checked.labels, checked.title)
    lane = Lane(kind, checked.host, checked.model, GpuNeed(checked.gpu), caller)
    generate = isinstance(checked, TaskDocument) and checked.operation == "generate"
    return NewTask(
        id=new_id(now, os.urandom(4)),
        lane=lane,
        request=_request(checked, generate),
        priority=Priority(checked.priority),
        operation=Operation.GENERATE if generate else Operation.CHAT,
        title=checked.title,
        labels=tuple(checked.labels),
        timeout_s=_duration("timeout", timeout),
        not_before_ms=_moment("not_before", checked.not_before, now),
        deadline_ms=_deadline(checked.deadline, now),
        retention_s=_duration("retention", checked.retention),
        idempotency_key=checked.idempotency_key,
        body_hash=_hash(doc),
        content_type=checked.content_type,
    )


def _request(checked: TaskDocument | AsyncSubmit, generate: bool) -> JsonDict:
    given = {k: v for k in _REQUEST_KEYS if (v := getattr(checked, k)) is not None}
    prompt = checked.prompt if isinstance(checked, TaskDocument) else None
    if generate:
        return {"prompt": prompt, **given}
    if prompt is not None:
        return {"messages": [{"role": "user", "content": prompt}], **given}
    return {"messages": [m.model_dump() for m in checked.messages or ()], **given}


def _hash(doc: Mapping[str, Any]) -> str:
    text = json.dumps(doc, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


# --- times ----------------------------------------------------------------------------------------


def _duration(name: str, value: str | float | None) -> float | None:
    """Seconds of `90`, `"90"`, `"10m"`, `"1h30m"`; above 0, a week at most."""
    if value is None:
        return None
    from ygg.config.durations import seconds

    try:
        found = seconds(float(value) if isinstance(value, str) and value.isdecimal() else value)
    except ValueError as error:
        raise InvalidInput(f"{name}: {error}") from None
    if not 0 < found <= MAX_TIMEOUT_S:
        raise InvalidInput(f"{name}: expected more than 0 and at most 7 days, got {value}")
    return found


def _moment(name: str, value: str | float | None, now_ms: int) -> int | None:
    """Wall-clock milliseconds of an ISO 8601 time (UTC when it names no zone), or of a duration
    from now."""
    if value is None:
        return None
    if isinstance(value, str) and "-" in value[1:]:
        try:
            at = datetime.fromisoformat(value)
        except ValueError:
            raise InvalidInput(
                f"{name}: expected a time such as 2026-01-31T18:00Z, got {value}"
            ) from None
        at = at if at.tzinfo is not None else at.replace(tzinfo=UTC)
        return round(at.timestamp() * 1000)
    wait = _duration(name, value)
    return None if wait is None else now_ms + round(wait * 1000)


def _deadline(value: str | float | None, now_ms: int) -> int | None:
    at = _moment("deadline", value, now_ms)
    if at is not None and at <= now_ms:
        raise InvalidInput("deadline: it has already passed")
    return at
