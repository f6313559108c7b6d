"""What each verb may answer, by its name: what no row of the table says."""

from __future__ import annotations

from typing import NamedTuple

from ygg.api.openapi import house_shapes as house
from ygg.api.openapi import task_shapes as tasks
from ygg.api.openapi.schema import ERROR, Schema


class Answer(NamedTuple):
    """`shape`: of the body, where it is well; of a stream `events`, by name. `conflict`: why 409 may come, with the body
    `contradicts`; `found`: whether what the query or the document names may be none (404); `submits`:
    whether a rate of the caller counts it (429)."""

    shape: Schema | None = None
    events: dict[str, Schema] | None = None
    conflict: str = ""
    contradicts: Schema = ERROR
    found: bool = False
    submits: bool = False
    later: Schema | None = None  #: of 202: it takes longer
    kinds: tuple[str, ...] = ("application/json",)  #: media types of the body


_ENDED = "it has ended otherwise"
_NOT_FAILED = "it is not failed"
_KEY = "the idempotency key was used for another document"
_NOT_YET = "it has not ended: its status"

ANSWERS: dict[str, Answer] = {
    "async_submit": Answer(tasks.ACCEPTED, conflict=_KEY, submits=True),
    "async_submit_batch": Answer(tasks.BATCH_ACCEPTED, conflict=_KEY, submits=True),
    "async_status": Answer(tasks.TASK_STATUS),
    "async_result": Answer(tasks.RESULT, conflict=_NOT_YET, contradicts=tasks.TASK_STATUS),
    "async_stream": Answer(events=tasks.STREAM),
    "async_cancel": Answer(tasks.CANCELLED, conflict=_ENDED),
    "async_tasks": Answer(tasks.PAGE),
    "async_stats": Answer(tasks.STATS),
    "async_health": Answer(tasks.HEALTH),
    "healthz": Answer(house.ALIVE),
    "readyz": Answer(house.READY),
    "metrics": Answer(house.METRICS, kinds=("text/plain", "application/openmetrics-text")),
    "openapi": Answer(house.OPENAPI),
    "async_dead_letters": Answer(tasks.PAGE),
    "async_retry": Answer(tasks.TASK, conflict=_NOT_FAILED),
    "process_file": Answer(tasks.PROCESSED, conflict=_KEY, submits=True, later=tasks.IN_PROCESS),
    "submit_part": Answer(tasks.SUBMITTED, submits=True),
    "tasks": Answer(tasks.TASKS),
    "retry": Answer(tasks.RETRIED),
    "cancel_many": Answer(tasks.TASKS),
    "show": Answer(tasks.SHOWN),
    "result": Answer(tasks.RESULT, conflict=_NOT_YET, contradicts=tasks.TASK_STATUS),
    "wait_once": Answer(tasks.TASK),
    "follow": Answer(events=tasks.FOLLOW),
    "why": Answer(tasks.WHY),
    "cancel": Answer(tasks.TASK, conflict=_ENDED),
    "prioritize": Answer(tasks.TASK, conflict="it has ended"),
    "submit_batch": Answer(tasks.BATCH_MADE, conflict=_KEY, submits=True),
    "batch": Answer(tasks.BATCH_STATUS),
    "batches": Answer(tasks.BATCHES),
    "cancel_batch": Answer(tasks.BATCH),
    "retry_batch": Answer(tasks.BATCH),
    "clean": Answer(tasks.CLEANED),
    "discard": Answer(tasks.DISCARDED, conflict=_NOT_FAILED),
    "snapshot": Answer(house.SNAPSHOT),
    "status": Answer(house.HOUSE),
    "reload": Answer(house.RELOADED),
    "queue": Answer(house.QUEUE),
    "pause": Answer(house.PAUSED),
    "resume": Answer(house.PAUSED),
    "hosts": Answer(house.HOSTS),
    "workers": Answer(house.WORKERS),
    "probe_host": Answer(house.HOST),
    "drain_host": Answer(house.DRAINED),
    "resume_host": Answer(house.DRAINED),
    "gpu_status": Answer(house.GPU_STATUS),
    "memory_forecast": Answer(house.FORECAST),
    "history": Answer(house.HISTORY, found=True),
    "tuning": Answer(house.TUNING, found=True),
    "create_token": Answer(house.TOKEN_MADE, conflict="there is a token of that name"),
    "tokens": Answer(house.TOKENS),
    "revoke_token": Answer(house.REVOKED),
}
