"""Where a file that came is going to be worked on, GPU or CPU, and why: said when it comes, and logged.

The rules are those of placement (`ygg/core/placement/kinds.py`), by the figures of that moment; where it ran in the end may
be another place, as it then goes by those of that one.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from ygg.core.placement.kinds import CPU, GPU
from ygg.model import GpuNeed, JsonDict


@dataclass(frozen=True, slots=True)
class Routing:
    """A kind of host, and why it is that one."""

    device: str  #: `gpu` or `cpu`
    why: str

    def as_dict(self) -> JsonDict:
        return {"device": self.device, "why": self.why}


@dataclass(frozen=True, slots=True)
class Seen:
    """The house when the file came: the kinds of host that could work on it, those of them that are up, and who waits. `up`
    is None where nobody knows."""

    could: Collection[str]
    up: Collection[str] | None
    gpu_waiting: int = 0
    cpu_waiting: int = 0
    margin: int = 0


def routed(need: GpuNeed, content: str, seen: Seen) -> Routing:
    """The kind of host for a task with this need, which works on this kind of content."""
    match need:
        case GpuNeed.REQUIRED:
            return Routing(GPU, "GPU required")
        case GpuNeed.NEVER:
            return Routing(CPU, "no GPU requested")
        case GpuNeed.UNNEEDED:
            return _unneeded(f"content type '{content}' doesn't benefit from GPU", seen)
    if CPU not in seen.could:
        return Routing(GPU, "no CPU host runs it")
    if not _has(GPU, seen):
        return Routing(CPU, "GPU requested but no GPU workers available, falling back to CPU")
    if seen.gpu_waiting > seen.cpu_waiting + seen.margin:
        told = f"GPU queue overloaded ({seen.gpu_waiting} vs {seen.cpu_waiting}), using CPU"
        return Routing(CPU, told)
    return Routing(GPU, f"content type '{content}' benefits from GPU")


def _unneeded(why: str, seen: Seen) -> Routing:
    if _has(CPU, seen):
        return Routing(CPU, f"{why}, using CPU")
    return Routing(GPU, f"{why}, but no CPU workers available")


def _has(kind: str, seen: Seen) -> bool:
    """Whether a host of the kind can take it, as far as anybody knows."""
    return kind in (seen.could if seen.up is None else seen.up)


def ran(first: Routing, device: str, host: str) -> Routing:
    """The same once it has run on this host."""
    if device == first.device:
        return first
    return Routing(device, f"{first.why}; it ran on {host}, a {device.upper()} host")
