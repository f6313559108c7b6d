"""GET /api/v1/status/workers: hosts as workers on two queues.

A worker is a host that is up. GPU hosts serve `gpu-tasks`, CPU hosts `celery`; a queue's length is the number
of queued tasks that wait for such a host.
"""

from __future__ import annotations

from collections.abc import Iterable

from ygg.model import HostHealth, HostView, JsonDict, Snapshot

QUEUES = {"gpu": "gpu-tasks", "cpu": "celery"}  #: by kind of host


def workers_body(view: Snapshot) -> JsonDict:
    """Every worker, both queues, and whether a GPU host would take a call now."""
    up = [h for h in view.hosts if h.health is HostHealth.UP]
    count = {kind: sum(h.kind == kind for h in up) for kind in QUEUES}
    waiting = {"gpu": view.gpu_waiting, "cpu": view.cpu_waiting}
    return {
        "workers": {"total": len(up), **count, "details": {h.name: _worker(h) for h in up}},
        "queues": {
            name: {"length": waiting[kind], "workers": count[kind]} for kind, name in QUEUES.items()
        },
        "gpu_available": _gpu_available(up),
    }


def _worker(host: HostView) -> JsonDict:
    """`max_tasks` is the limit now, not the configured slots."""
    return {
        "type": host.kind,
        "active_tasks": len(host.running),
        "max_tasks": host.limit,
        "queues": [QUEUES[host.kind]],
    }


def _gpu_available(up: Iterable[HostView]) -> bool:
    """Whether a GPU host has a free slot and neither a person nor its server holds it back."""
    return any(h.kind == "gpu" and h.free > 0 for h in up)
