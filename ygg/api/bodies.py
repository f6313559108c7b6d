"""Records to JSON bodies: pure functions, shared by the API and the offline desk.

`status` is one of the mission's six words, `state` is ygg's own. Times are ISO 8601 in UTC; what is not
known is null.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import NamedTuple

from ygg.desk import error_body as error_body
from ygg.model import (
    BatchView,
    Counts,
    JsonDict,
    LogRow,
    Piece,
    Priority,
    Reason,
    Result,
    Snapshot,
    State,
    Submitted,
    Task,
    ToolCall,
    ToolDelta,
)
from ygg.model.batches import NEVER_MS
from ygg.telling import rates

STATUS = {
    State.SCHEDULED: "queued",
    State.QUEUED: "queued",
    State.PROCESSING: "processing",
    State.COMPLETED: "completed",
    State.CANCELLED: "cancelled",
    State.FAILED: "failed",
    State.EXPIRED: "failed",
    State.BLOCKED: "failed",
}


class Accepted(JsonDict):
    """An answer before the end of what was asked for: HTTP 202."""


class Page(NamedTuple):
    """An answer that is no JSON: its bytes, and their media type."""

    content: bytes
    kind: str


def iso(at_ms: int | None) -> str | None:
    if at_ms is None:
        return None
    text = datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


def task_body(task: Task) -> JsonDict:
    """Everything of a task but its request, result and log."""
    return {
        "id": task.id,
        "state": task.state,
        "status": STATUS[task.state],
        "type": task.lane.type,
        "priority": int(task.priority),
        "priority_name": task.priority.name,
        "operation": task.operation,
        "title": task.title,
        "labels": list(task.labels),
        "caller": task.lane.caller,
        "attempt": task.attempt,
        "errors": task.errors,
        "deferrals": task.deferrals,
        "crashes": task.crashes,
        "host": task.host,
        "endpoint": task.endpoint,
        "model": task.model,
        "pinned_host": task.lane.host,
        "pinned_model": task.lane.model,
        "gpu": task.lane.gpu,
        "content_type": task.content_type,
        "reason": task.reason,
        "error": task.error,
        "created_at": iso(task.created_ms),
        "queued_at": iso(task.queued_ms),
        "started_at": iso(task.started_ms),
        "finished_at": iso(task.finished_ms),
        "due_at": None if task.due_ms == NEVER_MS else iso(task.due_ms),
        "deadline_at": iso(task.deadline_ms),
        "timeout_s": task.timeout_s,
        "batch": task.batch,
        "cancel_requested": task.cancel_requested,
        "cached": task.cached,
    }


def shared_body(answer: Submitted) -> JsonDict:
    """What a submit had no run of its own for."""
    return {
        "cached": answer.task.cached,
        "existing": answer.existing,
        "coalesced": answer.joined,
    }


def page_body(tasks: list[Task], cursor: str | None) -> JsonDict:
    """Some of a listing, and what to go on with: null on its last page."""
    listed = [task_body(task) for task in tasks]
    return {"schema": "ygg.tasks/1", "tasks": listed, "next_cursor": cursor}


def batch_body(view: BatchView) -> JsonDict:
    """A batch and its tasks by the mission's words; together they are the total. 100 percent only once all have ended."""
    counts, total = view.counts, view.batch.total
    by = {word: sum(counts.get(s, 0) for s in State if STATUS[s] == word) for word in _WORDS}
    percent = min(99, round(100 * view.ended / total)) if view.ended < total else 100
    how = view.batch.on_failure
    return {
        "batch_id": view.batch.id,
        "total_tasks": total,
        **{f"{word}_tasks": n for word, n in by.items()},
        "progress_percent": percent,
        "over": view.over,
        "states": {str(s): counts.get(s, 0) for s in State},
        "process_in_parallel": how is None,
        "on_failure": how,
        "caller": view.batch.caller,
        "created_at": iso(view.batch.created_ms),
    }


_WORDS = ("completed", "failed", "cancelled", "processing", "queued")


def log_body(row: LogRow) -> JsonDict:
    return {
        "at": iso(row.at_ms),
        "attempt": row.attempt,
        "from": row.before,
        "to": row.after,
        "reason": row.reason,
        "host": row.host,
        "detail": row.detail,
    }


def state_body(row: LogRow) -> JsonDict:
    """A change of state, in the words of the status."""
    return {
        "state": row.after,
        "status": STATUS[row.after],
        "at": iso(row.at_ms),
        "attempt": row.attempt,
        "host": row.host,
        "reason": row.reason,
        "detail": row.detail,
    }


def reason_body(reason: Reason) -> JsonDict:
    return {**reason.as_dict(), "until_at": iso(reason.until_ms)}


def status_body(task: Task, progress: int | None, backend: str | None) -> JsonDict:
    """GET /v1/async/status, without the place in the queue."""
    return {
        "task_id": task.id,
        "status": STATUS[task.state],
        "state": task.state,
        "agent_type": task.lane.type,
        "priority": task.priority.name,
        "created_at": iso(task.created_ms),
        "started_at": iso(task.started_ms),
        "completed_at": iso(task.finished_ms),
        "progress_percent": 100 if task.state is State.COMPLETED else progress,
        "cached": task.cached,
        "model_selected": task.model or None,
        "backend": backend,
        "host": task.host,
        "attempt": task.attempt,
        "reason": task.reason,
        "error": task.error,
    }


def result_body(task: Task, result: Result | None) -> JsonDict:
    """GET /v1/async/result of an ended task."""
    usage = result.usage if result else None
    return {
        "task_id": task.id,
        "status": STATUS[task.state],
        "state": task.state,
        "result": _answer(result),
        "cached": task.cached,
        "model_used": result.model if result else None,
        "backend": result.backend if result else None,
        "host": task.host,
        "inference_time_ms": _whole(usage.total_ms) if usage else None,
        "tokens_generated": usage.output_tokens if usage else None,
        "prompt_tokens": usage.prompt_tokens if usage else None,
        "queue_wait_time_ms": _between(task.created_ms, task.started_ms),
        "total_time_ms": _between(task.created_ms, task.finished_ms),
        "reason": task.reason,
        "error": task.error,
    }


def _answer(result: Result | None) -> JsonDict | None:
    """The message; what it does not have is left out, but for its text."""
    if result is None:
        return None
    more = {
        "thinking": result.thinking,
        "tool_calls": [tool_call_body(call) for call in result.tool_calls] or None,
        "logprobs": list(result.logprobs) or None,
        "embeddings": list(map(list, result.embeddings)) or None,
    }
    told = {k: v for k, v in more.items() if v is not None}
    return {"content": result.content, "stop_reason": result.stop_reason, **told}


def tool_call_body(call: ToolCall | ToolDelta) -> JsonDict:
    """As clients of the OpenAI protocol know it: a whole call, or a delta with its place as `index`."""
    function = {"name": call.name, "arguments": call.arguments}
    place = {"index": call.place} if isinstance(call, ToolDelta) else {}
    return {**place, "id": call.id or None, "type": "function", "function": function}


def piece_body(piece: Piece) -> JsonDict:
    """Some of an answer as it came."""
    calls = [tool_call_body(delta) for delta in piece.tool_calls]
    told = {"content": piece.content, "thinking": piece.thinking}
    return told | ({"tool_calls": calls} if calls else {})


def _whole(ms: float | None) -> int | None:
    return None if ms is None else round(ms)


def _between(start_ms: int | None, end_ms: int | None) -> int | None:
    """0 where the clock was set back between two runs."""
    return None if start_ms is None or end_ms is None else max(0, end_ms - start_ms)


def counts_body(counts: Counts) -> JsonDict:
    """`queue_stats`: every state has its own count, and together they are the total."""
    by_state = dict.fromkeys(map(str, State), 0)
    for (_, state), n in counts.by.items():
        by_state[state] += n
    return {"total_tasks": counts.total, **by_state}


def queue_body(counts: Counts) -> JsonDict:
    """The same, and the queued tasks by priority."""
    by_priority = {p.name: counts.priority(p, State.QUEUED) for p in Priority}
    return {**counts_body(counts), "by_priority": by_priority}


def priorities_body(counts: Counts) -> JsonDict:
    """How many tasks of each priority are in each state."""
    return {p.name: {str(s): counts.priority(p, s) for s in State} for p in Priority}


def performance_body(snapshot: Snapshot) -> JsonDict:
    """Means over the remembered ends; null before anything was measured."""
    rate = snapshot.per_minute
    return {
        "avg_processing_time_ms": rates.mean_took_ms(snapshot.recent),
        "throughput_tasks_per_minute": None if rate is None else round(rate, 2),
        "avg_wait_time_ms": rates.mean_wait_ms(snapshot.recent),
    }
