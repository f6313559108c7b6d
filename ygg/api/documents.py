"""The documents of verbs: what a POST says beside tasks."""

from __future__ import annotations

from typing import Annotated, Any, Literal, NamedTuple

from pydantic import Field

from ygg.desk import PART
from ygg.intake.checking import Document
from ygg.intake.schemas import AsyncSubmit, PriorityField, Seconds, TaskDocument, Time
from ygg.model import Priority
from ygg.model.tokens import NAME

MAX_AGE_S = 100 * 366 * 86400.0  #: longer than anything is kept
Ended = Literal["failed", "blocked", "cancelled", "expired"]
Cleaned = Literal["completed", "failed", "cancelled", "expired"]
OnFailing = Literal["stop", "continue"] | None
BatchKey = Annotated[str, Field(min_length=1, max_length=200)] | None
Open = Literal["scheduled", "queued", "processing", "blocked"]


class BulkSubmit(Document):
    """POST /v1/tasks. The documents are counted and checked apart, so that each error names its task. `brief`: of a task
    that was stored its id is enough."""

    tasks: list[Any]
    atomic: bool = False
    brief: bool = False


class Retry(Document):
    """POST /v1/tasks/retry: by id, or every task in these states."""

    ids: Annotated[list[str], Field(max_length=PART, fail_fast=True)] | None = None
    states: Annotated[list[Ended], Field(max_length=100, fail_fast=True)] | None = None


class CancelMany(Document):
    """POST /v1/tasks/cancel: every task that has not ended and is all of this; `running` false leaves alone what
    runs."""

    states: Annotated[list[Open], Field(min_length=1, max_length=100, fail_fast=True)] | None = None
    type: str | None = None
    label: str | None = None
    running: bool = True


class AsyncBatch(Document):
    """POST /v1/async/submit-batch. The requests are counted and checked apart; `timeout_seconds` is for each that names
    none, `on_failure` of a sequence, which stops unless it says otherwise."""

    requests: list[Any]
    timeout_seconds: Seconds | None = None
    process_in_parallel: bool = True
    on_failure: OnFailing = None
    idempotency_key: BatchKey = None


class NewBatch(Document):
    """POST /v1/batches, with documents as those of POST /v1/tasks."""

    tasks: list[Any]
    sequential: bool = False
    on_failure: OnFailing = None
    idempotency_key: BatchKey = None


class NewToken(Document):
    """POST /v1/tokens. `expires`: a duration or a time; `rate`: tasks by time, such as 60/min."""

    name: Annotated[str, Field(pattern=NAME)]
    scope: Literal["read", "submit", "admin"] = "submit"
    expires: Time = None
    max_priority: PriorityField = int(Priority.CRITICAL)
    rate: str | None = None


class Claims(Document):
    """What a JWT may say beside its scope, as tokens have it."""

    max_priority: PriorityField = int(Priority.CRITICAL)
    rate: str | None = None


class Cleanup(Document):
    """POST /v1/async/cleanup: tasks that ended in these states, and so many seconds ago or earlier. Dead letters stay
    until they are named."""

    max_age_seconds: Annotated[float, Field(ge=0, le=MAX_AGE_S)]
    states: Annotated[list[Cleaned], Field(min_length=1, max_length=100, fail_fast=True)] = [
        "completed", "cancelled", "expired",
    ]  # fmt: skip


class NewPriority(Document):
    """POST /v1/tasks/{id}/priority."""

    priority: PriorityField


class Form(NamedTuple):
    """What a verb takes as its body. `each`: what those in its list `key` are, which are checked one by one."""

    document: type[Document]
    key: str = ""
    each: type[Document] = Document
    least: int = 0  #: of them


#: Of each verb that takes one, by its name.
DOCUMENTS: dict[str, Form] = {
    "async_submit": Form(AsyncSubmit),
    "async_submit_batch": Form(AsyncBatch, "requests", AsyncSubmit, 1),
    "submit_part": Form(BulkSubmit, "tasks", TaskDocument),
    "retry": Form(Retry),
    "cancel_many": Form(CancelMany),
    "prioritize": Form(NewPriority),
    "submit_batch": Form(NewBatch, "tasks", TaskDocument, 1),
    "clean": Form(Cleanup),
    "create_token": Form(NewToken),
}
