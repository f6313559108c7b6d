"""Rows of the database to records and back."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from functools import lru_cache
from typing import Any

import apsw

from ygg.model import (
    Head,
    JsonDict,
    Lane,
    LogRow,
    Operation,
    Priority,
    Result,
    State,
    Task,
    ToolCall,
    Usage,
)

Row = Sequence[Any]

#: What a write is logged and counted by; never the request.
LIGHT_COLUMNS = "id, seq, version, priority, state, batch, attempt, host, reason, lane"
LANE = 9  #: where `lane` stands among them
#: Columns of a Task in the order `to_task` reads them.
TASK_COLUMNS = (
    f"{LIGHT_COLUMNS}, operation, request, title, labels, timeout_s, due_ms, deadline_ms, retention_s, "
    "idempotency_key, content_type, attached, source, source_ref, source_version, errors, deferrals, "
    "crashes, epoch, endpoint, model, cancel_requested, error, created_ms, queued_ms, started_ms, "
    "finished_ms, rank, call, cached_from"
)
PLAIN_COLUMNS = "content, thinking, stop_reason, model, backend, usage"  #: those of every schema
RESULT_COLUMNS = f"{PLAIN_COLUMNS}, tool_calls, logprobs, embeddings"
HEAD_COLUMNS = "id, seq, version, created_ms, deadline_ms, rank, title"


#: By their value; looking them up so is several times faster than calling the enum.
STATES = {s.value: s for s in State}
_PRIORITIES, _OPERATIONS = {int(p): p for p in Priority}, {o.value: o for o in Operation}
_USAGE = tuple(f.name for f in fields(Usage))


def fetch(
    db: apsw.Connection, sql: str, values: Sequence[Any] | Mapping[str, Any] = ()
) -> list[Row]:
    """All rows of a statement. Only a statement read to its end has taken effect."""
    return [*db.execute(sql, values)]


parse_lane = lru_cache(maxsize=4096)(Lane.parse)


#: Compact JSON; NaN and infinities are refused (ValueError).
dumps = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode


def to_task(row: Row, lane: Lane, request: JsonDict | None = None) -> Task:
    """A row of TASK_COLUMNS as a Task. `request`: where it is known already."""
    return Task(
        id=row[0], seq=row[1], version=row[2], lane=lane, priority=_PRIORITIES[row[3]],
        state=STATES[row[4]], batch=row[5], attempt=row[6], host=row[7], reason=row[8],
        operation=_OPERATIONS[row[10]], request=json.loads(row[11]) if request is None else request, title=row[12],
        labels=() if row[13] == "[]" else tuple(json.loads(row[13])), timeout_s=row[14],
        due_ms=row[15], deadline_ms=row[16], retention_s=row[17], idempotency_key=row[18],
        content_type=row[19], attached=bool(row[20]), source=row[21], source_ref=row[22],
        source_version=row[23], errors=row[24], deferrals=row[25], crashes=row[26], epoch=row[27],
        endpoint=row[28], model=row[29], cancel_requested=bool(row[30]), error=row[31],
        created_ms=row[32], queued_ms=row[33], started_ms=row[34], finished_ms=row[35],
        rank=row[36], call=row[37], cached_from=row[38],
    )  # fmt: skip


def to_head(row: Row, lane: Lane, priority: Priority) -> Head:
    return Head(row[0], row[1], row[2], lane, priority, *row[3:])


def to_log(row: Row) -> LogRow:
    before = None if row[2] is None else State(row[2])
    return LogRow(row[0], row[1], before, State(row[3]), row[4], row[5], row[6])


def to_result(row: Row) -> Result:
    """A row of RESULT_COLUMNS as a Result."""
    return Result(
        content=row[0], thinking=row[1], stop_reason=row[2], model=row[3], backend=row[4],
        usage=Usage(**json.loads(row[5])), tool_calls=tuple(ToolCall(**c) for c in _listed(row[6])),
        logprobs=tuple(_listed(row[7])), embeddings=tuple(map(tuple, _listed(row[8]))),
    )  # fmt: skip


def _listed(text: str | None) -> list[Any]:
    return [] if text is None else json.loads(text)


def result_values(result: Result) -> tuple[str | None, ...]:
    """Values for RESULT_COLUMNS."""
    usage = {k: v for k in _USAGE if (v := getattr(result.usage, k)) is not None}
    return (
        result.content, result.thinking, result.stop_reason, result.model, result.backend, dumps(usage),
        dumps([asdict(c) for c in result.tool_calls]) if result.tool_calls else None,
        dumps(result.logprobs) if result.logprobs else None,
        dumps(result.embeddings) if result.embeddings else None,
    )  # fmt: skip
