"""Hosts to JSON bodies, as `bodies` does the rest."""

from __future__ import annotations

from ygg.api.bodies import iso
from ygg.model import Endpoint, Host, HostHealth, HostView, JsonDict, SickView
from ygg.model.transfer import to_plain
from ygg.telling.troubles import troubles


def host_body(host: HostView, known: Host | None, at_ms: int) -> JsonDict:
    """A host as it is now. `known` is what hosts.yaml says of it: None once it is gone from there."""
    up = {HostHealth.UP: True, HostHealth.UNKNOWN: None}.get(host.health, False)
    return {
        "name": host.name,
        "kind": host.kind,
        "reachable": up,
        "health": host.health,
        "message": host.health_text,
        "latency_ms": host.latency_ms,
        "backend": host.backend,
        "version": host.version,
        "models": list(host.models),
        "loaded": None if host.loaded is None else list(host.loaded),
        "slots": host.slots,
        "limit": host.limit,
        "limit_reason": host.limit_reason or None,
        "memory_pressure": host.level,
        "in_flight": len(host.running),
        "ghosts": host.ghosts,
        "available_slots": host.free,
        "tasks": list(host.running),
        "breaker": "open" if up is False else "closed",
        "gpus": to_plain(host.gpus),
        "tokens_per_s": host.tokens_per_s,
        "drained": host.drained,
        "busy_until": iso(host.busy_until_ms),
        "checked_at": iso(host.checked_ms),
        "sick": [_sick_body(s) for s in host.sick],
        "troubles": list(troubles(host, at_ms)),
        "endpoints": [_endpoint_body(e, host) for e in (known.endpoints if known else ())],
    }


def _sick_body(sick: SickView) -> JsonDict:
    return {
        "endpoint": sick.endpoint,
        "model": sick.model,
        "message": sick.message,
        "asked_again_at": iso(sick.ask_at_ms),
    }


def _endpoint_body(endpoint: Endpoint, host: HostView) -> JsonDict:
    body = {"name": endpoint.name, "backend": endpoint.backend, "url": endpoint.url}
    view = next((e for e in host.endpoints if e.name == endpoint.name), None)
    if view is None:
        return body
    state = {"kind": view.kind, "slots": view.slots, "limit": view.limit, "in_flight": view.busy}
    state["available_slots"] = min(view.free, host.free)
    state["busy_until"] = iso(view.busy_until_ms)
    return body | state | {"health": view.health, "message": view.text}
