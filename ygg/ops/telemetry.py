"""Takes one reading of a host now: for `ygg hosts probe`, doctor and init."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from ygg import wire
from ygg.desk import JsonDict
from ygg.model import Device, Host, Process, Reading, Telemetry
from ygg.ports import Probe, ProbeFailed
from ygg.running.scope import close_probes


@dataclass(frozen=True, slots=True)
class Taken:
    """What one probe of a host had to say: a reading, or why there is none."""

    source: str
    measures: bool  #: it tells of memory and heat
    took_s: float
    reading: Reading | None = None
    error: ProbeFailed | None = None

    def body(self) -> JsonDict:
        """As JSON: temperatures in °C, memory in MiB, power in W, utilisation in percent."""
        found: JsonDict = {"source": self.source, "took_ms": round(1000 * self.took_s)}
        if self.error is not None:
            return found | {"error": self.error.message, "hint": self.error.hint}
        reading = self.reading or Reading(self.source)
        return found | {
            "fault": reading.fault(),
            "devices": [_device(d) for d in reading.devices],
            "processes": _processes(reading.processes),
            "loaded": None if reading.loaded is None else dict(reading.loaded),
        }


def _device(device: Device) -> JsonDict:
    fields = {name: getattr(device, name) for name in Device.__slots__}
    return fields | {"slowed": device.slowed}


def _processes(found: Iterable[Process] | None) -> list[JsonDict] | None:
    if found is None:
        return None
    return [{"pid": p.pid, "name": p.name, "used_mb": p.used_mb} for p in found]


async def take(host: Host, known_hosts: Path | None = None) -> list[Taken]:
    """One sample of each probe of a host, all at once, the measuring one first. `known_hosts`: ygg's own
    file, by default that of the state directory."""
    probes = wire.build_probes([host], known_hosts)
    try:
        return list(await asyncio.gather(*(_take(probe) for probe in probes[host.name])))
    finally:
        await close_probes(probes)


async def _take(probe: Probe) -> Taken:
    begun = time.monotonic()
    try:
        reading = await probe.sample()
    except ProbeFailed as error:
        took_s = time.monotonic() - begun
        return Taken(probe.name, probe.measures, took_s, error=error)
    return Taken(probe.name, probe.measures, time.monotonic() - begun, reading)


async def own_card_tells_its_limit(limit_s: float = 3.0) -> bool:
    """Whether this machine has a GPU that says how far it is from its thermal limit."""
    telemetry = Telemetry(source="nvml", timeout_s=limit_s)
    taken = await take(replace(Host("here", 1, ()), telemetry=telemetry))
    cards = [d for t in taken if t.reading is not None for d in t.reading.devices]
    return any(d.max_c is not None or d.margin_c is not None for d in cards)
