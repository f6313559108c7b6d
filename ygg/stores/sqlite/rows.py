"""Rows of the database to records and back."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import fields
from functools import lru_cache
from typing import Any

import apsw

from ygg.model import Head, Lane, LogRow, Operation, Priority, Result, State, Task, Usage

Row = Sequence[Any]

#: Columns of a Task in the order `to_task` reads them.
TASK_COLUMNS = (
    "id, seq, version, priority, state, operation, request, title, labels, timeout_s, due_ms, "
    "deadline_ms, retention_s, idempotency_key, batch, content_type, attached, source, source_ref, "
    "source_version, attempt, errors, deferrals, crashes, epoch, host, endpoint, model, "
    "cancel_requested, reason, error, created_ms, queued_ms, started_ms, finished_ms, rank, call, lane"
)
LANE = 37  #: where `lane` stands among them
HEAD_COLUMNS = "id, seq, version, created_ms, deadline_ms, rank"


_USAGE = tuple(f.name for f in fields(Usage))


def fetch(db: apsw.Connection, sql: str, values: Sequence[Any] = ()) -> list[Row]:
    """All rows of a statement. Only a statement read to its end has taken effect."""
    return [*db.execute(sql, values)]


parse_lane = lru_cache(maxsize=4096)(Lane.parse)


def dumps(value: object) -> str:
    """Compact JSON; NaN and infinities are refused (ValueError)."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def to_task(row: Row, lane: Lane) -> Task:
    """A row of TASK_COLUMNS as a Task."""
    return Task(
        id=row[0], seq=row[1], version=row[2], lane=lane, priority=Priority(row[3]),
        state=State(row[4]), operation=Operation(row[5]), request=json.loads(row[6]), title=row[7],
        labels=() if row[8] == "[]" else tuple(json.loads(row[8])), timeout_s=row[9], due_ms=row[10],
        deadline_ms=row[11], retention_s=row[12], idempotency_key=row[13], batch=row[14],
        content_type=row[15], attached=bool(row[16]), source=row[17], source_ref=row[18],
        source_version=row[19], attempt=row[20], errors=row[21], deferrals=row[22], crashes=row[23],
        epoch=row[24], host=row[25], endpoint=row[26], model=row[27], cancel_requested=bool(row[28]),
        reason=row[29], error=row[30], created_ms=row[31], queued_ms=row[32], started_ms=row[33],
        finished_ms=row[34], rank=row[35], call=row[36],
    )  # fmt: skip


def to_head(row: Row, lane: Lane, priority: Priority) -> Head:
    return Head(row[0], row[1], row[2], lane, priority, row[3], row[4], row[5])


def to_log(row: Row) -> LogRow:
    before = None if row[2] is None else State(row[2])
    return LogRow(row[0], row[1], before, State(row[3]), row[4], row[5], row[6])


def to_result(row: Row) -> Result:
    return Result(
        content=row[0], thinking=row[1], stop_reason=row[2], model=row[3], backend=row[4],
        usage=Usage(**json.loads(row[5])),
    )  # fmt: skip


def result_values(result: Result) -> tuple[str | None, ...]:
    """Values for content, thinking, stop_reason, model, backend, usage."""
    usage = {k: v for k in _USAGE if (v := getattr(result.usage, k)) is not None}
    return (
        result.content, result.thinking, result.stop_reason, result.model, result.backend, dumps(usage),
    )  # fmt: skip
