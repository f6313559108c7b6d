"""Readings of GPUs, as probes take them. Memory in MiB, temperatures in degrees Celsius, power in watts,
utilisation in percent; None where the card or the driver does not tell.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import IntEnum, IntFlag, StrEnum


class Level(IntEnum):
    """Memory pressure of a host: LOW < 50 <= NORMAL < 70 <= HIGH < 85 <= CRITICAL % of used / total."""

    LOW = 0
    NORMAL = 1
    HIGH = 2
    CRITICAL = 3


class Trust(StrEnum):
    """What the age of a reading allows."""

    FRESH = "fresh"  #: may raise and lower a limit
    STALE = "stale"  #: may only lower one
    UNKNOWN = "unknown"  #: says nothing any more


class Slowdown(IntFlag):
    """Bits of `clocks_event_reasons.active` by which a card says that it slows itself down for its own
    protection. The software power cap (0x04) is not among them: idle cards show it."""

    HARDWARE = 0x08
    SOFTWARE_THERMAL = 0x20
    HARDWARE_THERMAL = 0x40
    POWER_BRAKE = 0x80


SLOWED = (
    Slowdown.HARDWARE | Slowdown.SOFTWARE_THERMAL | Slowdown.HARDWARE_THERMAL | Slowdown.POWER_BRAKE
)


@dataclass(frozen=True, slots=True)
class Device:
    """One GPU in one reading. `uuid` is its key: indexes move when a card is added or lost."""

    uuid: str
    index: int = 0
    name: str = ""
    total_mb: float | None = None
    free_mb: float | None = None  #: pressure is 1 - free / total: drivers disagree on "used"
    unified: bool = False  #: shares the machine's memory; free is what the kernel calls available
    temperature_c: float | None = None
    margin_c: float | None = (
        None  #: degrees left to the card's own thermal limit, as it reports them
    )
    max_c: float | None = None  #: highest operating temperature the card reports
    reasons: int | None = None  #: bits of clocks_event_reasons.active
    power_w: float | None = None
    utilization: float | None = None
    error: str = ""  #: why it tells neither memory nor heat, and what a person can do: it is lost

    @property
    def label(self) -> str:
        """How people call it."""
        return f"GPU {self.index}"

    @property
    def slowed(self) -> bool:
        """Whether the card slows itself down for its own protection."""
        return bool((self.reasons or 0) & SLOWED)

    def fault(self) -> str | None:
        """What cannot be true of it; None for a sound one."""
        temperature, total, free = self.temperature_c, self.total_mb, self.free_mb
        if temperature is not None and not 0 <= temperature <= 130:
            return f"{self.label} at {temperature:g} °C"
        if (total is not None and not total > 0) or (free is not None and not free >= 0):
            return f"{self.label} with {free} of {total} MiB free"
        if total is not None and free is not None and free > total:
            return f"{self.label} with {free:g} of {total:g} MiB free"
        return None

    def sound(self) -> Device:
        """Without what cannot be true; the rest of what it tells stays."""
        fault = self.fault()
        if fault is None:
            return self
        if Device("", temperature_c=self.temperature_c).fault() is None:
            return replace(self, total_mb=None, free_mb=None)
        if Device("", total_mb=self.total_mb, free_mb=self.free_mb).fault() is None:
            return replace(self, temperature_c=None, margin_c=None)
        return Device(self.uuid, self.index, self.name, error=f"cannot be true: {fault}")


@dataclass(frozen=True, slots=True)
class Process:
    """One process that holds memory of a GPU."""

    pid: int
    name: str
    used_mb: float


@dataclass(frozen=True, slots=True)
class Reading:
    """One sample of one host by one probe. Its age counts from its receipt, on our own clock.

    `processes` is None where the probe cannot tell them, () where none holds memory. `loaded` maps
    endpoint names to the models in memory there, for sources that ask the model server.
    """

    probe: str  #: that took it
    devices: tuple[Device, ...] = ()
    processes: tuple[Process, ...] | None = None
    loaded: tuple[tuple[str, tuple[str, ...]], ...] | None = None

    def fault(self) -> str | None:
        """What cannot be true in it; None for a sound reading."""
        return next((fault for d in self.devices if (fault := d.fault()) is not None), None)

    def sound(self) -> Reading | None:
        """Without what cannot be true: a fault of one card is that card's. None when every card has one
        and none tells its temperature."""
        devices = tuple(d.sound() for d in self.devices)
        if all(d.fault() for d in self.devices) and all(d.temperature_c is None for d in devices):
            return None
        return replace(self, devices=devices)
