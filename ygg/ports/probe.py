"""What takes the readings of a host."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from ygg.errors import YggError
from ygg.model import Reading


class ProbeFailed(YggError):
    """No reading came: what is in the way, and with the hint what a person can do about it."""

    code = "probe_failed"


class Probe(Protocol):
    """Takes the readings of one host. Built inside a running event loop; opens nothing before the first
    `sample`, and heals itself: after a failure the next `sample` starts anew."""

    @property
    def name(self) -> str:
        """`nvml`, `ssh`, `ollama_ps` or `static`."""
        ...

    @property
    def measures(self) -> bool:
        """Whether its readings tell of memory or heat, so that their absence limits the host."""
        ...

    async def sample(self) -> Reading:
        """The next reading, no sooner than the host's interval after the last one and received just
        now; the first one at once. Raises ProbeFailed, after the host's timeout at the latest."""
        ...

    async def rest(self) -> None:
        """Stop everything that keeps the GPU or a connection awake until the next `sample`."""
        ...

    async def close(self) -> None:
        """Never raises, never waits for a driver that hangs."""
        ...


Probes = Mapping[str, tuple[Probe, ...]]  #: by host
