"""Readings for the pretended hosts of `virtual`, and a past for them."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from tests.shell.virtual import START_MS, House
from ygg.model import Device, MinuteRow, Reading

CARD = Device(
    "GPU-1", 0, "RTX 4070", total_mb=12288.0, free_mb=4915.0, temperature_c=63.0, max_c=90.0,
    power_w=141.5, utilization=82.0,
)  # fmt: skip
PAST = MinuteRow(
    "surtr", START_MS, 12, 1, 1, 0.9, 3, 2, 41_000, 95_000, 7373.0, 12288.0, 0.62, 66.0, 44.0
)


class FakeProbe:
    """Reads the same cards every `interval_s`."""

    name, measures = "nvml", True

    def __init__(self, *devices: Device) -> None:
        self.devices, self.interval_s = devices, 2.0
        self._pause = 0.0

    async def sample(self) -> Reading:
        await asyncio.sleep(self._pause)
        self._pause = self.interval_s
        return Reading(self.name, self.devices)

    async def rest(self) -> None:
        self._pause = 0.0

    async def close(self) -> None: ...


def measure(home: House, host: str, *devices: Device) -> FakeProbe:
    """From now on the host has a probe that reads these cards."""
    dispatcher, probe = home.dispatcher, FakeProbe(*devices)
    hosts = tuple(h.host for h in dispatcher.board.hosts.values())
    dispatcher.own(
        hosts, dispatcher.board.types, dispatcher.board.policy, dispatcher.backends,
        {**dispatcher.probes, host: (probe,)},
    )  # fmt: skip
    return probe


def past(count: int, before_ms: int = START_MS, **fields: object) -> list[MinuteRow]:
    """That many minutes of work on `surtr`, the last one just over."""
    first = before_ms - count * 60_000
    rows = [replace(PAST, minute_ms=first + n * 60_000) for n in range(count)]
    return [replace(r, **fields) for r in rows]  # type: ignore[arg-type]
