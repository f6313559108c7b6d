"""Which models Ollama has in memory, as it tells itself.

Its sizes are estimates, so that nothing about memory is read from it. It does not answer while it loads
a model: silence means busy, and is no news.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from typing import Protocol

from ygg.model import Reading, Telemetry
from ygg.ports import ProbeFailed
from ygg.probes.pacing import Pace

BUSY_S = 1.5  #: an answer takes milliseconds unless a model is being loaded


class Server(Protocol):
    """One Ollama server, asked by whoever speaks its protocol."""

    async def loaded(self, limit_s: float) -> tuple[str, ...] | None:
        """The models in memory; None when it does not tell within `limit_s`. Never raises."""
        ...

    async def close(self) -> None: ...


class OllamaPsProbe:
    """Asks all Ollama servers of a host at once. `servers` by endpoint name."""

    name = "ollama_ps"
    measures = False

    def __init__(self, telemetry: Telemetry, servers: Mapping[str, Server]) -> None:
        self._servers = servers
        self._limit_s = min(BUSY_S, telemetry.timeout_s)
        self._pace = Pace(telemetry.interval_s)

    async def sample(self) -> Reading:
        await self._pace.wait()
        asked = (server.loaded(self._limit_s) for server in self._servers.values())
        told = zip(self._servers, await asyncio.gather(*asked), strict=True)
        found = tuple((endpoint, models) for endpoint, models in told if models is not None)
        if not found:
            raise ProbeFailed(
                "Ollama does not tell which models are loaded: busy loading one, or down"
            )
        self._pace.taken()
        return Reading(self.name, loaded=found)

    async def rest(self) -> None:
        """Nothing is awake."""

    async def close(self) -> None:
        for server in self._servers.values():
            with contextlib.suppress(Exception):
                await server.close()
