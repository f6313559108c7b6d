"""The same for hosts, the queue as a whole, readings and tokens: `host_bodies`, `gauges` and their handlers."""

from __future__ import annotations

from dataclasses import fields

from ygg.api.openapi.schema import (
    ANY,
    COUNT,
    COUNT_,
    COUNTS,
    FLAG,
    LEVEL_,
    NUMBER,
    NUMBER_,
    PRIORITY,
    STATES,
    TEXT,
    TEXT_,
    TIME,
    TIME_,
    WHOLE,
    Schema,
    by_name,
    each,
    exactly,
    listed,
    named,
    null_or,
    obj,
    schema_of,
    words,
)
from ygg.model import HostHealth, Level, Priority
from ygg.model.snapshot import GpuView
from ygg.model.tokens import Scope
from ygg.telling.tuning import Figures

# --- hosts and the queue ---------------------------------------------------------------------------

_SICK = obj({**each(("endpoint", "model", "message"), TEXT), "asked_again_at": TIME})
_HEALTH = words(HostHealth)
_ENDPOINT = obj(
    each(("name", "backend", "url"), TEXT),
    {
        "kind": TEXT,
        **each(("slots", "limit", "in_flight", "available_slots"), COUNT),
        "busy_until": TIME_,
        "health": _HEALTH,
        "message": TEXT,
    },
)
_CARD = {
    **each((f.name for f in fields(GpuView)), NUMBER_),
    "index": COUNT,
    "name": TEXT,
    "level": LEVEL_,
    "age_s": NUMBER,
    "stale": FLAG,
    "error": TEXT,
    "uuid": TEXT,
}
HOST = named(
    "Host",
    obj(
        {
            "name": TEXT,
            "kind": words("gpu", "cpu"),
            "reachable": null_or(FLAG),
            "health": _HEALTH,
            "message": TEXT,
            "latency_ms": NUMBER_,
            "backend": TEXT,
            "version": TEXT_,
            "models": listed(TEXT),
            "loaded": null_or(listed(TEXT)),
            "slots": COUNT,
            "limit": COUNT,
            "limit_reason": TEXT_,
            "memory_pressure": LEVEL_,
            **each(("in_flight", "ghosts", "available_slots"), COUNT),
            "tasks": null_or(listed(TEXT)),
            "breaker": words("open", "closed"),
            "gpus": listed(obj(_CARD)),
            "tokens_per_s": NUMBER_,
            "drained": FLAG,
            "busy_until": TIME_,
            "checked_at": TIME_,
            "sick": listed(_SICK),
            "troubles": listed(TEXT),
            "endpoints": listed(_ENDPOINT),
        }
    ),
)
HOSTS = obj({**schema_of("hosts"), "hosts": listed(HOST)})
_STALLS = obj({"loop": COUNT, "machine": COUNT, "longest_s": NUMBER})
_DAEMON = obj(
    {
        "version": TEXT,
        **each(("pid", "uptime_s", "epoch", "stale_ends"), WHOLE),
        **each(("paused", "draining"), FLAG),
        **each(
            ("store_error", "config_error", "exposed", "notify_error", "store", "socket"), TEXT_
        ),
        "listen": listed(TEXT),
        "stalls": null_or(_STALLS),
    }
)
HOUSE = obj(
    {
        **schema_of("status"),
        "daemon": null_or(_DAEMON),
        "hosts": listed(HOST),
        "queue": obj(COUNTS),
    }
)
SNAPSHOT = obj({**schema_of("snapshot"), "version": TEXT, "snapshot": ANY})
QUEUE = obj(
    {
        **schema_of("queue"),
        "paused": FLAG,
        "draining": FLAG,
        "store_error": TEXT_,
        **COUNTS,
        "priorities": obj(each(Priority.__members__, obj(STATES))),
    }
)
PAUSED = obj({"paused": FLAG})
DRAINED = obj({"host": TEXT, "drained": FLAG})
RELOADED = obj({**schema_of("reload"), "changes": listed(TEXT)})
_WORKER = obj(
    {"type": words("gpu", "cpu"), "active_tasks": COUNT, "max_tasks": COUNT, "queues": listed(TEXT)}
)
_LENGTH = obj({"length": COUNT, "workers": COUNT})
WORKERS = obj(
    {
        "workers": obj({**each(("total", "gpu", "cpu"), COUNT), "details": by_name(_WORKER)}),
        "queues": obj(each(("gpu-tasks", "celery"), _LENGTH)),
        "gpu_available": FLAG,
    }
)

# --- readings --------------------------------------------------------------------------------------

_MEMORY = {"memory_used_mb": NUMBER_, "memory_total_mb": NUMBER_, "memory_used_percent": NUMBER_}
_FIGURES = each(("temperature_c", "power_w", "utilization_percent"), NUMBER_)
_READ = {"memory_pressure": LEVEL_, **_MEMORY, **_FIGURES}
_SLOTS = each(("slots", "limit", "running"), COUNT)
_DEVICE = obj(
    {
        "index": COUNT,
        "name": TEXT_,
        **_READ,
        "temperature_limit_c": NUMBER_,
        "age_s": NUMBER,
        "stale": FLAG,
        "error": TEXT_,
    }
)
_GPU_HOST = obj(
    {
        "name": TEXT,
        "kind": words("gpu", "cpu"),
        **_READ,
        "age_s": NUMBER_,
        "fresh": FLAG,
        "stale": FLAG,
        **_SLOTS,
        "limit_reason": TEXT_,
        "preferred_backend": TEXT_,
        "bundle_size": COUNT_,
        "devices": listed(_DEVICE),
    }
)
GPU_STATUS = obj(
    {
        "timestamp": TIME,
        "gpu": obj({**_READ, **_SLOTS, "hosts_read": COUNT, "hosts": listed(_GPU_HOST)}),
    }
)
_FORECAST = obj(
    {
        "name": TEXT,
        "memory_used_percent": NUMBER_,
        "memory_pressure": LEVEL_,
        "trend_mb_per_minute": NUMBER_,
        "next_level": null_or(words(*Level.__members__, "STOP")),
        "minutes_to_next_level": NUMBER_,
        "basis": obj({"samples": COUNT, "span_s": NUMBER}),
    }
)
FORECAST = obj({"timestamp": TIME, "memory_pressure": LEVEL_, "hosts": listed(_FORECAST)})
_MINUTE = obj(
    {
        "host": TEXT,
        "at": TIME,
        **each(("samples", "slots", "limit", "waiting", "started"), COUNT),
        **each(("wait_ms", "wait_max_ms"), COUNT_),
        "running": NUMBER,
        **_MEMORY,
        **each(("temperature_c", "utilization_percent"), NUMBER_),
    }
)
HISTORY = obj({**schema_of("history"), "minutes": listed(_MINUTE)})
_MEASURED = {f.name: NUMBER_ if "None" in str(f.type) else COUNT for f in fields(Figures)}
_TIMES = ("first_ms", "last_ms")  #: told as `first_at`, `last_at`
_ADVICE = obj(
    {
        "host": TEXT,
        "advice": words("more", "fewer", "fine", "unknown"),
        "text": TEXT,
        "slots": COUNT,
        "slots_advised": COUNT_,
        "change": TEXT_,
        "figures": obj(
            {
                **{k: v for k, v in _MEASURED.items() if k not in _TIMES},
                "minutes_needed": COUNT,
                "first_at": TIME_,
                "last_at": TIME_,
            }
        ),
    }
)
TUNING = obj({**schema_of("tuning"), "days": COUNT, "hosts": listed(_ADVICE)})

# --- tokens, and the rest --------------------------------------------------------------------------

_TOKEN = {
    "name": TEXT,
    "scope": words(Scope),
    "state": words("live", "expired", "revoked"),
    "max_priority": PRIORITY,
    "rate": TEXT_,
    "created_at": TIME,
    "expires_at": TIME_,
    "revoked_at": TIME_,
}
TOKEN = named("Token", obj(_TOKEN))
TOKEN_MADE = obj({**schema_of("token"), "token": TEXT, **_TOKEN})
TOKENS = obj({**schema_of("tokens"), "tokens": listed(TOKEN)})
REVOKED = obj({"name": TEXT, "revoked": FLAG})
ALIVE = obj({"status": exactly("ok")})
READY = obj({"status": exactly("ready")})
METRICS: Schema = {"type": "string", "description": "Prometheus' text format"}
OPENAPI = obj({"openapi": TEXT, "info": ANY, "paths": ANY, "components": ANY})
