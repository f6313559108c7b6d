"""What answers on tasks and batches look like: the shape of each body of `bodies` and of the handlers that make one.

A key that is named is always there; what may be null says so.
"""

from __future__ import annotations

from ygg.api.openapi.schema import (
    ANY,
    COMPONENTS,
    COUNT,
    COUNT_,
    COUNTS,
    ERROR,
    FLAG,
    NUMBER,
    NUMBER_,
    PERCENT,
    PRIORITY,
    REASON,
    REASON_,
    SHARE_,
    STATE,
    STATES,
    STATES_OF_ALL,
    STATUS,
    TEXT,
    TEXT_,
    TIME,
    TIME_,
    WHOLE,
    by_name,
    each,
    exactly,
    listed,
    named,
    null_or,
    obj,
    one,
    schema_of,
    words,
)
from ygg.model import GpuNeed, Operation
from ygg.model.batches import OnFailure

# --- tasks -----------------------------------------------------------------------------------------

_TASK = {
    "id": TEXT,
    "state": STATE,
    "status": STATUS,
    "type": TEXT,
    "priority": {"type": "integer", "minimum": 0, "maximum": 4},
    "priority_name": PRIORITY,
    "operation": words(Operation),
    "title": TEXT,
    "labels": listed(TEXT),
    "caller": TEXT,
    **each(("attempt", "errors", "deferrals", "crashes"), COUNT),
    **each(("host", "endpoint", "model", "pinned_host", "pinned_model"), TEXT_),
    "gpu": words(GpuNeed),
    "content_type": TEXT_,
    "reason": REASON_,
    "error": TEXT_,
    "created_at": TIME,
    **each(("queued_at", "started_at", "finished_at", "due_at", "deadline_at"), TIME_),
    "timeout_s": NUMBER_,
    "batch": TEXT_,
    "cancel_requested": FLAG,
    "cached": FLAG,
}
TASK = named("Task", obj(_TASK))
TASKS = obj({**schema_of("tasks"), "tasks": listed(TASK)})
PAGE = obj({**schema_of("tasks"), "tasks": listed(TASK), "next_cursor": TEXT_})
_WARNED = {"warning": TEXT}
_SHARED = each(("cached", "existing", "coalesced"), FLAG)
_SUBMITTED = named("SubmittedTask", obj({**_TASK, **_SHARED}, _WARNED))
_BRIEF = named("StoredTask", obj({k: _TASK[k] for k in ("id", "state")} | _SHARED, _WARNED))
SUBMITTED = obj({"tasks": listed(one(_SUBMITTED, _BRIEF, ERROR))})
_LOG = obj(
    {
        "at": TIME,
        "attempt": COUNT,
        "from": null_or(STATE),
        "to": STATE,
        "reason": REASON,
        "host": TEXT_,
        "detail": TEXT_,
    }
)
_REASON = named(
    "Reason",
    obj(
        {
            "code": REASON,
            "text": TEXT,
            "host": TEXT_,
            "until_ms": null_or(WHOLE),
            "facts": ANY,
            "until_at": TIME_,
        }
    ),
)
SHOWN = obj(
    {
        **schema_of("task"),
        **_TASK,
        "request": ANY,
        "log": listed(_LOG),
        "reasons": listed(_REASON),
    }
)
WHY = obj(
    {
        **schema_of("why"),
        "id": TEXT,
        "state": STATE,
        "position": null_or({"type": "integer", "minimum": 1}),
        "position_is_bound": FLAG,
        "estimated_wait_ms": NUMBER_,
        "reasons": listed(_REASON),
    }
)
_PLACE = {"position_in_queue": COUNT, "position_is_bound": FLAG, "estimated_wait_ms": NUMBER_}
RETRIED = obj(
    {
        "retried": listed(TEXT),
        "errors": listed(obj({"id": TEXT, **COMPONENTS["Error"]["properties"]})),
    }
)

# --- /v1/async -------------------------------------------------------------------------------------

ACCEPTED = obj(
    {
        "status": STATUS,
        "state": STATE,
        "task_id": TEXT,
        "priority": PRIORITY,
        **_SHARED,
        **_PLACE,
        "queue_stats": obj(STATES_OF_ALL),
    },
    _WARNED,
)
_STATUS = {
    "task_id": TEXT,
    "status": STATUS,
    "state": STATE,
    "agent_type": TEXT,
    "priority": PRIORITY,
    "created_at": TIME,
    "started_at": TIME_,
    "completed_at": TIME_,
    "progress_percent": null_or(PERCENT),
    "cached": FLAG,
    **each(("model_selected", "backend", "host"), TEXT_),
    "attempt": COUNT,
    "reason": REASON_,
    "error": TEXT_,
    **_PLACE,
}
TASK_STATUS = named("TaskStatus", obj(_STATUS))
_FUNCTION = obj({"name": TEXT, "arguments": TEXT})
_CALL = {"id": TEXT_, "type": exactly("function"), "function": _FUNCTION}
_MESSAGE = obj(
    {"content": TEXT, "stop_reason": TEXT_},
    {
        "thinking": TEXT,
        "tool_calls": listed(obj(_CALL)),
        "logprobs": listed({}),
        "embeddings": listed(listed(NUMBER)),
    },
)
_RESULT = {
    "task_id": TEXT,
    "status": STATUS,
    "state": STATE,
    "result": null_or(_MESSAGE),
    "cached": FLAG,
    **each(("model_used", "backend", "host"), TEXT_),
    **each(("inference_time_ms", "tokens_generated", "prompt_tokens"), COUNT_),
    **each(("queue_wait_time_ms", "total_time_ms"), COUNT_),
    "reason": REASON_,
    "error": TEXT_,
}
RESULT = named("Result", obj(_RESULT))
_ROUTED = {"routing": obj({"device": words("gpu", "cpu"), "why": TEXT})}
PROCESSED = named("Processed", obj({**_RESULT, **_ROUTED}))
IN_PROCESS = named("InProcess", obj({**_STATUS, **_ROUTED}))
CANCELLED = obj({"task_id": TEXT, "status": STATUS, "state": STATE, "message": TEXT})
_RATES = ("avg_processing_time_ms", "throughput_tasks_per_minute", "avg_wait_time_ms")
STATS = obj(
    {
        "timestamp": TIME,
        "queue": obj(COUNTS),
        "performance": obj(each(_RATES, NUMBER_)),
        "cache": obj({"cached_responses": COUNT, "cache_ttl_seconds": NUMBER}),
        **each(("queue_depth", "running", "hosts_up", "hosts_total"), COUNT),
        "store_error": TEXT_,
    }
)
HEALTH = obj(
    {
        "status": exactly("ok"),
        "health": words("healthy", "degraded", "unhealthy"),
        "queue_depth": COUNT_,
        "processing": COUNT_,
        "failed_rate_percent": SHARE_,
        "avg_latency_ms": NUMBER_,
        "reasons": listed(obj({"code": TEXT, "text": TEXT})),
    }
)
_DELTA = obj({"index": WHOLE, **_CALL})
_TOLD = {"content": TEXT, "thinking": TEXT}
_PIECE = {"tool_calls": listed(_DELTA)}
_ATTEMPT = {"attempt": COUNT, "host": TEXT, "model": TEXT}
_MOVED = {
    "state": STATE,
    "status": STATUS,
    "at": TIME,
    "attempt": COUNT,
    "host": TEXT_,
    "reason": REASON,
    "detail": TEXT_,
}
STREAM = {
    "state": obj(_MOVED, _PLACE),
    "attempt": obj(_ATTEMPT),
    "token": obj(_TOLD, _PIECE),
    "gap": obj(each(("content", "thinking", "tool_calls"), COUNT)),
    "result": RESULT,
    "error": ERROR,
}
FOLLOW = {
    "attempt": obj({"event": exactly("attempt"), **_ATTEMPT}),
    "piece": obj({"event": exactly("piece"), **_TOLD}, _PIECE),
    "end": obj({"event": exactly("end"), **_TASK}),
    "error": obj({"event": exactly("error"), **COMPONENTS["Error"]["properties"]}),
}

# --- batches, what has ended -----------------------------------------------------------------------

_WORDS = ("total", "completed", "failed", "cancelled", "processing", "queued")
_BATCH = {
    "batch_id": TEXT,
    **{f"{word}_tasks": COUNT for word in _WORDS},
    "progress_percent": PERCENT,
    "over": FLAG,
    "states": obj(STATES),
    "process_in_parallel": FLAG,
    "on_failure": null_or(words(OnFailure)),
    "caller": TEXT,
    "created_at": TIME,
}
BATCH = named("Batch", obj(_BATCH))
BATCH_STATUS = obj({**_BATCH, "estimated_completion_ms": NUMBER_, "task_statuses": by_name(STATUS)})
BATCHES = obj({**schema_of("batches"), "batches": listed(BATCH)})
_IDS = listed(TEXT)
BATCH_MADE = obj({**schema_of("batch"), "batch_id": TEXT, "task_ids": _IDS})
BATCH_ACCEPTED = obj({"batch_id": TEXT, "total_tasks": COUNT, "task_ids": _IDS, "message": TEXT})
CLEANED = obj({"removed": COUNT, "by_state": by_name(COUNT)})
DISCARDED = obj({"task_id": TEXT, "removed": COUNT})
