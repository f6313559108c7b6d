"""From a document to a NewTask."""

from __future__ import annotations

from ygg.config import Config
from ygg.intake import times
from ygg.intake.checking import hash_of, parse
from ygg.intake.ids import Ids
from ygg.intake.matching import lane_of
from ygg.intake.schemas import MAX_TIMEOUT_S, AsyncSubmit, Recording, Submission, TaskDocument
from ygg.intake.sharing import shared
from ygg.intake.titles import first_words
from ygg.model import JsonDict, NewTask, Operation, Priority

_REQUEST_KEYS = ("system", "max_tokens", "temperature", "options")
_ids = Ids()


def new_task(doc: object, config: Config, *, caller: str, now_ms: int | None = None) -> NewTask:
    """Check one submit document and make it a task. Raises InvalidInput."""
    return _task(parse(TaskDocument, doc), doc, config, caller, now_ms)


def recording(doc: object, config: Config, *, caller: str, now_ms: int | None = None) -> NewTask:
    """The same for a file with sound in it, which is to be written down."""
    return _task(parse(Recording, doc), doc, config, caller, now_ms)


def async_task(
    doc: object, config: Config, *, caller: str, now_ms: int | None = None, cache: bool = False
) -> NewTask:
    """The same for POST /v1/async/submit, whose tasks get `api_timeout` unless they say otherwise, and with `cache` an
    answer of the cache."""
    return _task(parse(AsyncSubmit, doc), doc, config, caller, now_ms, cache=cache)


def _task(
    asked: Submission, doc: object, config: Config, caller: str, now_ms: int | None, *, cache: bool = False
) -> NewTask:  # fmt: skip
    now = times.wall_ms() if now_ms is None else now_ms
    lane = lane_of(asked, config, caller)
    starts = times.moment("not_before", asked.not_before, now)
    request = _request(asked)
    return NewTask(
        id=task_id(now),
        lane=lane,
        request=request,
        priority=Priority(asked.priority),
        operation=asked.does,
        title=asked.title or (first_words(request) if config.privacy.titles else ""),
        labels=tuple(asked.labels),
        timeout_s=_timeout(asked, config),
        not_before_ms=starts,
        deadline_ms=times.deadline(asked.deadline, now, starts),
        retention_s=times.duration("retention", asked.retention),
        idempotency_key=asked.idempotency_key,
        body_hash=hash_of(doc) if asked.idempotency_key is not None else "",
        content_type=asked.content_type,
        sharing=shared(asked, lane, request, config, unasked=cache),
    )


def _timeout(asked: Submission, config: Config) -> float | None:
    if isinstance(asked, AsyncSubmit):
        return asked.timeout_seconds or config.policy.api_timeout_s
    return times.duration("timeout", asked.timeout, MAX_TIMEOUT_S)


def _request(asked: Submission) -> JsonDict:
    return {**_work(asked), **{k: v for k in _REQUEST_KEYS if (v := getattr(asked, k)) is not None}}


def _work(asked: Submission) -> JsonDict:
    """What the operation works on. A prompt to chat about becomes a message."""
    if isinstance(asked, Recording):
        return {} if asked.prompt is None else {"prompt": asked.prompt}
    if isinstance(asked, TaskDocument):
        if asked.input is not None:
            return {"input": asked.input}
        if asked.does is not Operation.CHAT:
            return {"prompt": asked.prompt}
        if asked.prompt is not None:
            return {"messages": [{"role": "user", "content": asked.prompt}]}
    return {"messages": [m.model_dump() for m in asked.messages or ()]}


def task_id(now_ms: int) -> str:
    """One that no other task of this process has."""
    return _ids.new(now_ms)
