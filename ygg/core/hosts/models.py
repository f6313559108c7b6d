"""The models of a host: how large they are, and which are in memory."""

from __future__ import annotations

from collections.abc import Iterable

from ygg.core.house import HostState
from ygg.model import Endpoint


def endpoint_of(host: HostState, name: str) -> Endpoint | None:
    return next((e for e in host.host.endpoints if e.name == name), None)


def swaps(endpoint: Endpoint) -> bool:
    """Whether the server changes models on demand: Ollama, llama.cpp's router."""
    return len(endpoint.models) > 1 and endpoint.dialect != "vllm"


def size_mb(host: HostState, model: str) -> float | None:
    """MiB of a model on this host, as configured."""
    sizes = (e.sizes for e in host.host.endpoints)
    return next((s for known in sizes for m, s in known.items() if m == model), None)


def sizes_mb(host: HostState, models: Iterable[str]) -> float | None:
    """The configured sizes of these models together; None when one is not known."""
    found = [size_mb(host, model) for model in models]
    return None if None in found else sum(s for s in found if s is not None)


def known_sizes(host: HostState) -> tuple[dict[str, float], bool]:
    """MiB of the models of this host that tell their size, and whether all do."""
    models = {m for e in host.host.endpoints for m in e.models}
    known = {m: s for m in models if (s := size_mb(host, m)) is not None}
    return known, len(known) == len(models)


def largest(host: HostState) -> str | None:
    """The model that HIGH pressure puts last; None when sizes are not known or there is only one."""
    known, _ = known_sizes(host)
    return max(known, key=known.__getitem__) if len(known) > 1 else None


def loaded(host: HostState) -> frozenset[str]:
    """All models in memory, as far as the servers of the host tell."""
    return frozenset(m for s in host.servers.values() for m in s.loaded or ())


def capacity_mb(host: HostState) -> float | None:
    """MiB the model servers could have: all but foreign memory. None when nobody tells."""
    memory = host.condition.memory
    total = memory.total_mb if memory else host.host.telemetry.memory_mb
    return None if total is None else total - host.condition.foreign_mb
