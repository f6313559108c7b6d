"""Which models fit: what memory a host could give a model that is not loaded yet.

A model that is in memory fits. Another needs its size out of what is neither foreign nor held by models
in use, or by servers that never let go of theirs; what stands idle the server evicts. At CRITICAL, idle
models not counted, only the smallest model of the host may be loaded. A model of unknown size counts
as fitting: its server decides.
"""

from __future__ import annotations

from ygg.core.board import Board, HostState
from ygg.core.hosts import pressure
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


def _sizes(host: HostState) -> tuple[dict[str, float], bool]:
    """MiB of the models of this host that tell their size, and whether all do."""
    models = {canonical(m) for e in host.host.endpoints for m in e.models}
    known = {m: s for m in models if (s := size_mb(host, m)) is not None}
    return known, len(known) == len(models)


def in_use(board: Board, host: HostState) -> frozenset[tuple[str, str]]:
    """(endpoint, model) of the calls that run there."""
    running = (board.running[t].call.candidate for t in host.busy if t in board.running)
    claiming = (board.claiming[t].claim.candidate for t in host.busy if t in board.claiming)
    return frozenset((c.endpoint, canonical(c.model)) for c in (*running, *claiming))


def capacity_mb(host: HostState) -> float | None:
    """MiB the model servers could have: all but foreign memory. None when nobody tells."""
    memory = pressure.memory_of(host.gauge.devices)
    total = memory.total_mb if memory else host.host.telemetry.memory_mb
    return None if total is None else total - host.gauge.foreign_mb


def obstacle(board: Board, candidate: Candidate) -> Reason | None:
    """Why memory keeps the candidate's model from being loaded now."""
    host = board.hosts[candidate.host]
    if not _to_be_loaded(host, candidate):
        return None
    return _obstacle(host, candidate, in_use(board, host))


def hopeless(board: Board, candidate: Candidate) -> bool:
    """Whether the model would find no room even if no call ran on the host."""
    host = board.hosts[candidate.host]
    return _to_be_loaded(host, candidate) and _obstacle(host, candidate, frozenset()) is not None


def _to_be_loaded(host: HostState, candidate: Candidate) -> bool:
    """Whether its model is not in memory. Without any model named there is nothing to load."""
    loaded = host.servers[candidate.endpoint].loaded
    return bool(candidate.model) and canonical(candidate.model) not in (loaded or ())


def _obstacle(
    host: HostState, candidate: Candidate, used: frozenset[tuple[str, str]]
) -> Reason | None:
    model = canonical(candidate.model)
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
    known, whole = _sizes(host)
    if not known or not whole or level_in_use(host, used) is not Level.CRITICAL:
        return None
    smallest = min(known, key=known.__getitem__)
    if known[model] <= known[smallest]:
        return None
    text = f"{host.host.name}: memory pressure CRITICAL, only {smallest} may be loaded"
    return Reason(ReasonCode.MODEL_HELD_BACK, text, host.host.name)


def level_in_use(host: HostState, used: frozenset[tuple[str, str]]) -> Level:
    """The level without what would be evicted: foreign memory and the models in use."""
    memory = pressure.memory_of(host.gauge.devices)
    if memory is None:
        return Level.LOW
    sizes = [size_mb(host, m) for _, m in used]
    ours = sum(s for s in sizes if s is not None)
    held = host.gauge.foreign_mb + ours if None not in sizes else memory.used_mb
    return pressure.level_of(100 * held / memory.total_mb, host.host.pressure)


def largest(host: HostState) -> str | None:
    """The model that HIGH pressure puts last; None when sizes are not known or there is only one."""
    known, _ = _sizes(host)
    return max(known, key=known.__getitem__) if len(known) > 1 else None
