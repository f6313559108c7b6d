"""From a checked document to a NewTask: type, lane, times, ids and the hash of the body."""

from __future__ import annotations

import difflib
import hashlib
import json
import os
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ygg.api.schemas import MAX_TIMEOUT_S, AsyncSubmit, TaskDocument, parse
from ygg.config.durations import LONGEST_S
from ygg.core.placement.candidates import configured
from ygg.core.placement.kinds import needed
from ygg.errors import InvalidInput
from ygg.model import GpuNeed, JsonDict, Lane, NewTask, Operation, Priority

if TYPE_CHECKING:
    from ygg.config import Config

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32: no i, l, o, u
_REQUEST_KEYS = ("system", "max_tokens", "temperature", "options")
_RANDOM = 1 << 30  #: six characters of an id


def new_id(now_ms: int, random_bits: int) -> str:
    """A time-ordered id: 9 characters of the time, a dash, 6 characters of 30 random bits."""
    return f"{_base32(now_ms, 9)}-{_base32(random_bits % _RANDOM, 6)}"


class _Ids:
    """Ids of one process: two of the same millisecond never meet, they count up from a random start."""

    def __init__(self) -> None:
        self._last_ms, self._bits = -1, 0

    def new(self, now_ms: int) -> str:
        same = now_ms == self._last_ms
        self._bits = self._bits + 1 if same else int.from_bytes(os.urandom(4), "big")
        self._last_ms = now_ms
        return new_id(now_ms, self._bits)


_ids = _Ids()


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
    return _task(checked, checked.type, checked.timeout, doc, config, caller, _now(now_ms))


def async_task(
    doc: Mapping[str, Any], config: Config, *, caller: str, now_ms: int | None = None
) -> NewTask:
    """The same for POST /v1/async/submit, whose tasks get `api_timeout` unless they say otherwise."""
    checked = parse(AsyncSubmit, doc)
    timeout = checked.timeout_seconds or config.policy.api_timeout_s
    return _task(checked, checked.agent_type, timeout, doc, config, caller, _now(now_ms))


def _now(given_ms: int | None) -> int:
    return time.time_ns() // 1_000_000 if given_ms is None else given_ms


def _task(
    checked: TaskDocument | AsyncSubmit,
    kind: str | None,
    timeout: str | float | None,
    doc: Mapping[str, Any],
    config: Config,
    caller: str,
    now: int,
) -> NewTask:
    kind = kind or config.detect_type(checked.labels, checked.title)
    _known_host(checked.host, config)
    lane = Lane(kind, checked.host, checked.model, _need(checked, kind, config), caller)
    _served(lane, config)
    starts = _moment("not_before", checked.not_before, now)
    generate = isinstance(checked, TaskDocument) and checked.operation == "generate"
    return NewTask(
        id=_ids.new(now),
        lane=lane,
        request=_request(checked, generate),
        priority=Priority(checked.priority),
        operation=Operation.GENERATE if generate else Operation.CHAT,
        title=checked.title,
        labels=tuple(checked.labels),
        timeout_s=_duration("timeout", timeout, MAX_TIMEOUT_S),
        not_before_ms=starts,
        deadline_ms=_deadline(checked.deadline, now, starts),
        retention_s=_duration("retention", checked.retention),
        idempotency_key=checked.idempotency_key,
        body_hash=_hash(doc),
        content_type=checked.content_type,
    )


def _known_host(name: str | None, config: Config) -> None:
    """A pin to a host nobody knows would wait for ever."""
    if name is not None and name not in config.hosts:
        near = difflib.get_close_matches(name, config.hosts, n=1)
        hint = f"did you mean {near[0]}?" if near else f"hosts: {', '.join(config.hosts)}"
        raise InvalidInput(f"host: no host {name!r} in the configuration", hint=hint)


def _need(checked: TaskDocument | AsyncSubmit, kind: str, config: Config) -> GpuNeed:
    said = checked.gpu or config.type_of(kind).gpu
    return needed(said, checked.content_type, config.policy.gpu_content_types)


def _served(lane: Lane, config: Config) -> None:
    """So would a task that needs a kind of host which cannot run it."""
    wanted = {GpuNeed.REQUIRED: "gpu", GpuNeed.NEVER: "cpu"}.get(lane.gpu)
    if wanted is None or configured(config.type_of(lane.type), config.hosts, lane):
        return
    pins = [f"with {lane.model}"] if lane.model else []
    pins += [f"on {lane.host}"] if lane.host else []
    what = " ".join([f"type {lane.type}", *pins])
    named = [name for name, host in config.hosts.items() if host.kind == wanted]
    hint = f"{wanted.upper()} hosts: {', '.join(named) or 'none in hosts.yaml'}"
    raise InvalidInput(f"gpu: {lane.gpu}, but no {wanted.upper()} host runs {what}", hint=hint)


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


def _duration(name: str, value: str | float | None, longest_s: float = LONGEST_S) -> float | None:
    """Seconds of `90`, `"90"`, `"10m"`, `"1h30m"`; above 0, ten years at most."""
    if value is None:
        return None
    from ygg.config.durations import seconds

    try:
        found = seconds(float(value) if isinstance(value, str) and value.isdecimal() else value)
    except ValueError as error:
        raise InvalidInput(f"{name}: {error}") from None
    if found > longest_s:
        raise InvalidInput(f"{name}: expected at most {longest_s / 86400:g} days, got {value}")
    return found


def _moment(name: str, value: str | float | None, now_ms: int) -> int | None:
    """Wall-clock milliseconds of an ISO 8601 time (UTC when it names no zone), or of a duration
    from now; ten years ahead at most."""
    at = _iso_ms(value) if isinstance(value, str) else None
    if at is None:
        try:
            wait = _duration(name, value)
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


def _deadline(value: str | float | None, now_ms: int, starts_ms: int | None) -> int | None:
    at = _moment("deadline", value, now_ms)
    if at is not None and at <= now_ms:
        raise InvalidInput("deadline: it has already passed")
    if at is not None and starts_ms is not None and at <= starts_ms:
        raise InvalidInput("deadline: it is before not_before, the task could never run")
    return at
