"""Which models fit: what memory a host could give a model that is not loaded yet.

A model that is in memory fits. Another needs its size out of what is neither foreign nor held by models
in use, or by servers that never let go of theirs; what stands idle the server evicts. At CRITICAL, idle
models not counted, only the smallest model of the host may be loaded. A model of unknown size counts
as fitting: its server decides.
"""

from __future__ import annotations

from ygg.core import pressure
from ygg.core.state import HostState, State
from ygg.model import Candidate, Endpoint, Level, Reason, ReasonCode


def canonical(model: str) -> str:
    """Ollama's `name` and `name:latest` are one model."""
    return model.removesuffix(":latest")


def swaps(endpoint: Endpoint) -> bool:
    """Whether the server changes models on demand: Ollama, llama.cpp's router."""
    return len(endpoint.models) > 1 and endpoint.dialect != "vllm"


def endpoint_of(host: HostState, name: str) -> Endpoint | None:
    return next((e for e in host.host.endpoints if e.name == name), None)


def size_mb(host: HostState, model: str) -> float | None:
    """MiB of a model on this host, as configured."""
    sizes = (e.sizes for e in host.host.endpoints)
    return next((s for known in sizes for m, s in known.items() if canonical(m) == model), None)


def in_use(state: State, host: HostState) -> frozenset[tuple[str, str]]:
    """(endpoint, model) of the calls that run there."""
    running = (state.running[t].call.candidate for t in host.busy if t in state.running)
    claiming = (state.claiming[t].claim.candidate for t in host.busy if t in state.claiming)
    return frozenset((c.endpoint, canonical(c.model)) for c in (*running, *claiming))


def capacity_mb(host: HostState) -> float | None:
    """MiB the model servers could have: all but foreign memory. None when nobody tells."""
    reading = host.gauge.reading
    memory = pressure.memory_of(reading.devices) if reading else None
    total = memory.total_mb if memory else host.host.telemetry.memory_mb
    return None if total is None else total - host.gauge.foreign_mb


def obstacle(state: State, candidate: Candidate) -> Reason | None:
    """Why memory keeps the candidate's model from being loaded now."""
    host = state.hosts[candidate.host]
    return _obstacle(host, candidate, in_use(state, host))


def hopeless(state: State, candidate: Candidate) -> bool:
    """Whether the model would find no room even if no call ran on the host."""
    return _obstacle(state.hosts[candidate.host], candidate, frozenset()) is not None


def _obstacle(
    host: HostState, candidate: Candidate, used: frozenset[tuple[str, str]]
) -> Reason | None:
    server = host.servers[candidate.endpoint]
    model = canonical(candidate.model)
    if not model or (server.loaded is not None and model in server.loaded):
        return None
    need, most = size_mb(host, model), capacity_mb(host)
    if need is None or most is None:
        return None
    room = most - sum(size_mb(host, m) or 0.0 for _, m in used | _fixed(host) if m != model)
    if need > room:
        text = f"{candidate.host}: {model} needs {_gb(need)}, {_gb(max(0.0, room))} can be had"
        return Reason(ReasonCode.MODEL_TOO_LARGE, text, candidate.host)
    return _held_back(host, model, used)


def _fixed(host: HostState) -> frozenset[tuple[str, str]]:
    """(endpoint, model) of what is loaded on servers that keep what they have."""
    return frozenset(
        (e.name, m)
        for e in host.host.endpoints
        if not swaps(e)
        for m in host.servers[e.name].loaded or ()
    )


def _gb(mb: float) -> str:
    return f"{mb / 1024:.1f} GB"


def _held_back(host: HostState, model: str, used: frozenset[tuple[str, str]]) -> Reason | None:
    """At CRITICAL only the smallest model of the host is loaded."""
    sizes = {m: size_mb(host, m) for e in host.host.endpoints for m in map(canonical, e.models)}
    known = {m: s for m, s in sizes.items() if s is not None}
    if len(known) < len(sizes) or not known or level_in_use(host, used) is not Level.CRITICAL:
        return None
    smallest = min(known, key=known.__getitem__)
    if known[model] <= known[smallest]:
        return None
    text = f"{host.host.name}: memory pressure CRITICAL, only {smallest} may be loaded"
    return Reason(ReasonCode.MODEL_HELD_BACK, text, host.host.name)


def level_in_use(host: HostState, used: frozenset[tuple[str, str]]) -> Level:
    """The level without what would be evicted: foreign memory and the models in use."""
    reading = host.gauge.reading
    memory = pressure.memory_of(reading.devices) if reading else None
    if memory is None:
        return Level.LOW
    sizes = [size_mb(host, m) for _, m in used]
    ours = sum(s for s in sizes if s is not None)
    held = host.gauge.foreign_mb + ours if None not in sizes else memory.used_mb
    return pressure.level_of(100 * held / memory.total_mb, host.host.pressure)


def largest(host: HostState) -> str | None:
    """The model that HIGH pressure puts last; None when sizes are not known or there is only one."""
    sizes = {m: size_mb(host, m) for e in host.host.endpoints for m in map(canonical, e.models)}
    known = {m: s for m, s in sizes.items() if s is not None}
    return max(known, key=known.__getitem__) if len(known) > 1 else None
