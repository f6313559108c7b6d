"""What hosts.yaml says of a card that nothing can read."""

from __future__ import annotations

from ygg.model import Device, Reading, Telemetry
from ygg.probes.pacing import Pace


class StaticProbe:
    """The configured memory, as a card of which nothing else is known."""

    name = "static"
    measures = False

    def __init__(self, telemetry: Telemetry) -> None:
        total = telemetry.memory_mb
        devices = () if total is None else (Device("static", total_mb=total),)
        self._reading = Reading(self.name, devices)
        self._pace = Pace(telemetry.interval_s)

    async def sample(self) -> Reading:
        await self._pace.wait()
        self._pace.taken()
        return self._reading

    async def rest(self) -> None:
        """Nothing is awake."""

    async def close(self) -> None:
        """Nothing is open."""
