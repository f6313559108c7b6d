"""Readings, forecasts, history and advice as JSON bodies: pure functions. What is not known is null.

A host's memory is that of its cards together, of those that tell it; its temperature is that of the hottest, its
power their sum, its use their mean. The house is summed up in the same way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from ygg.api.bodies import iso
from ygg.core.placement.order import suits
from ygg.model import Endpoint, GpuView, Host, HostView, JsonDict, Level, MinuteRow, Policy
from ygg.model.snapshot import hottest, memory_of
from ygg.model.transfer import to_plain
from ygg.plain import tenths
from ygg.telling.forecast import Forecast
from ygg.telling.tuning import NEEDED, Advice


def status_body(
    hosts: Sequence[HostView], known: Callable[[str], Host | None], policy: Policy
) -> JsonDict:
    """GET /v1/gpu/status: the house, then host by host. `known`: what hosts.yaml says of a host."""
    bodies = [_host_body(h, known(h.name), policy) for h in hosts]
    memory = [m for h in hosts if (m := memory_of(h.gpus)) is not None]
    return {
        "memory_pressure": worst(b["memory_pressure"] for b in bodies),
        **_memory(sum(u for u, _ in memory), sum(t for _, t in memory)),
        **_figures([g for h in hosts for g in h.gpus]),
        "slots": sum(h.slots for h in hosts),
        "limit": sum(h.limit for h in hosts),
        "running": sum(len(h.running) for h in hosts),
        "hosts_read": sum(b["fresh"] for b in bodies),
        "hosts": bodies,
    }


def worst(levels: Iterable[str | None]) -> str | None:
    known = [Level[level] for level in levels if level is not None]
    return max(known).name if known else None


def _host_body(host: HostView, known: Host | None, policy: Policy) -> JsonDict:
    level = host.level if host.gpus else None
    return {
        "name": host.name,
        "kind": host.kind,
        "memory_pressure": level,
        **_memory(*(memory_of(host.gpus) or (0.0, 0.0))),
        **_figures(host.gpus),
        "age_s": max((g.age_s for g in host.gpus), default=None),
        "fresh": bool(host.gpus) and not any(g.stale for g in host.gpus),
        "stale": any(g.stale for g in host.gpus),
        "slots": host.slots,
        "limit": host.limit,
        "limit_reason": host.limit_reason or None,
        "running": len(host.running),
        "preferred_backend": preferred_backend(level, known.endpoints if known else ()),
        "bundle_size": None if level is None else policy.bundle_sizes[Level[level]],
        "devices": [_device_body(g) for g in host.gpus],
    }


def _device_body(gpu: GpuView) -> JsonDict:
    return {
        "index": gpu.index,
        "name": gpu.name or None,
        "memory_pressure": gpu.level,
        **_memory(*(memory_of((gpu,)) or (0.0, 0.0))),
        **_figures((gpu,)),
        "temperature_limit_c": gpu.limit_c,
        "age_s": gpu.age_s,
        "stale": gpu.stale,
        "error": gpu.error or None,
    }


def _memory(used: float, total: float) -> JsonDict:
    known = total > 0
    return {
        "memory_used_mb": _rounded(used) if known else None,
        "memory_total_mb": _rounded(total) if known else None,
        "memory_used_percent": tenths(100 * used / total) if known else None,
    }


def _figures(gpus: Sequence[GpuView]) -> JsonDict:
    power = [g.power_w for g in gpus if g.power_w is not None]
    busy = [g.utilization for g in gpus if g.utilization is not None]
    card = hottest(gpus)
    return {
        "temperature_c": card and card.temperature_c,
        "power_w": _rounded(sum(power)) if power else None,
        "utilization_percent": _rounded(sum(busy) / len(busy)) if busy else None,
    }


def preferred_backend(level: str | None, endpoints: Sequence[Endpoint]) -> str | None:
    """The server of this host that dispatch prefers at that level: vLLM at LOW, another one above; where
    there is none of that sort, the first."""
    if level is None or not endpoints:
        return None
    wanted = (e for e in endpoints if suits(e, Level[level]))
    found = next(wanted, endpoints[0])
    return found.dialect or found.backend


def _rounded(value: float | None, digits: int = 1) -> float | None:
    return None if value is None else round(value, digits)


# --- forecast, history, advice ------------------------------------------------------------------------


def forecast_body(host: str, found: Forecast) -> JsonDict:
    """One host of GET /v1/gpu/memory-forecast."""
    return {
        "name": host,
        "memory_used_percent": None if found.used_percent is None else tenths(found.used_percent),
        "memory_pressure": None if found.level is None else found.level.name,
        "trend_mb_per_minute": _rounded(found.trend),
        "next_level": found.next_level,
        "minutes_to_next_level": _rounded(found.minutes),
        "basis": {"samples": found.samples, "span_s": found.span_s},
    }


def minute_body(row: MinuteRow) -> JsonDict:
    """One minute of GET /v1/history."""
    share = row.used_share
    return {
        "host": row.host,
        "at": iso(row.minute_ms),
        "samples": row.samples,
        "slots": row.slots,
        "limit": row.limit,
        "running": row.running,
        "waiting": row.waiting,
        "started": row.started,
        "wait_ms": row.wait_ms,
        "wait_max_ms": row.wait_max_ms,
        "memory_used_mb": row.used_mb,
        "memory_total_mb": row.total_mb,
        "memory_used_percent": None if share is None else tenths(100 * share),
        "temperature_c": row.temperature_c,
        "utilization_percent": row.utilization,
    }


def advice_body(advice: Advice) -> JsonDict:
    """One host of GET /v1/tuning. `change` is the key of hosts.yaml to change, from what to what."""
    figures = to_plain(advice.figures)
    times = {"first_at": iso(figures.pop("first_ms")), "last_at": iso(figures.pop("last_ms"))}
    key = f"hosts.{advice.host}.slots"
    return {
        "host": advice.host,
        "advice": advice.verdict,
        "text": advice.text,
        "slots": advice.slots,
        "slots_advised": advice.to,
        "change": None if advice.to is None else f"{key}: {advice.slots} -> {advice.to}",
        "figures": {**figures, "minutes_needed": NEEDED, **times},
    }
