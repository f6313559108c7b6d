"""NVML's answers as a reading. Every call here may block: `nvml.py` makes them in a thread.

A function that the library or the card does not know leaves its field out. Only "not supported" for the
memory means that a card shares the machine's; anything else leaves it unknown. An error of one card is that
card's: the others are read on. Only when none tells anything the driver itself is taken for sick.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import starmap
from pathlib import Path
from typing import Any

import pynvml as nvml

from ygg.model import Device, Process, Reading
from ygg.ports import ProbeFailed
from ygg.probes import smi

MIB = 1024 * 1024
HIGHEST_C = 130  #: a limit beyond it is none; newer cards give negative ones in an unsigned number

#: NVML's numbers, which never change; a package that shadows nvidia-ml-py may not name all of them.
NOT_SUPPORTED = 3
GPU_MAX = 3  #: the threshold: highest operating temperature
GPU_SENSOR = 0

#: Errors of a card, and of the driver as a whole, after which nothing more is asked; what a person can do.
LOST = {
    11: "the GPU's interrupts do not arrive: look into dmesg for NVRM",
    15: "the GPU fell off the bus: reboot; look into dmesg for Xid",
    16: "the GPU wants a reset: reboot this machine",
}
SICK = LOST | {
    1: "it is opened anew with the next reading",  # uninitialized
    9: "load the NVIDIA driver: sudo modprobe nvidia, or reboot",
    12: "install the NVIDIA driver here, or set telemetry of this host",
    18: "the driver was upgraded while it ran: reboot this machine",
}
NO_ANSWER = "this card does not answer: look into dmesg for NVRM and Xid, or reboot"
HUNG = "a driver that hangs needs a reboot; look into dmesg for NVRM and Xid"
NO_DEVICES = (
    "nvidia-smi tells more; in a service, /dev/nvidia* must be allowed and exist at its start"
)


@dataclass(frozen=True, slots=True)
class _Card:
    """What stays as it is while the library is open."""

    handle: Any
    uuid: str
    index: int
    name: str
    max_c: float | None


class Driver:
    """The library, opened by the first reading and again after the errors that need it. `meminfo` is
    where the machine's own memory is told."""

    def __init__(self, meminfo: Path = Path("/proc/meminfo")) -> None:
        self._meminfo = meminfo
        self._open = False
        self._count = 0
        self._cards: dict[int, _Card] = {}
        self._stale: set[int] = set()  #: indexes whose handle is to be had anew

    def read(self) -> Reading:
        """Raises ProbeFailed when no card can be read."""
        try:
            if not self._open:
                self._begin()
            found = [self._read(index) for index in range(self._count)]
        except nvml.NVMLError as error:
            raise self._failed(error) from None
        told = [answer for answer in found if isinstance(answer, Device)]
        if not told:
            raise self._failed(found[0])
        devices = tuple(starmap(self._told, enumerate(found)))
        return Reading("nvml", devices, _processes(self._cards[d.index] for d in told))

    def close(self) -> None:
        """Let go of the driver. Raises nothing."""
        if self._open:
            self._open, self._cards = False, {}
            self._stale.clear()
            with contextlib.suppress(nvml.NVMLError):
                nvml.nvmlShutdown()

    def _begin(self) -> None:
        nvml.nvmlInit()
        self._open = True
        self._count = nvml.nvmlDeviceGetCount()
        if not self._count:
            self.close()
            raise ProbeFailed("NVML: the driver sees no GPU", hint=NO_DEVICES)

    def _failed(self, error: nvml.NVMLError) -> ProbeFailed:
        """The driver is sick: it is opened anew with the next reading."""
        self.close()
        return ProbeFailed(f"NVML: {_said(error)}", hint=SICK.get(error.value, NO_DEVICES))

    def _read(self, index: int) -> Device | nvml.NVMLError:
        """One card, or the error that is in the way of it. A card that was lost may come back."""
        try:
            if index not in self._cards or index in self._stale:
                self._cards[index] = _card(index)
                self._stale.discard(index)
            return self._device(self._cards[index])
        except nvml.NVMLError as error:
            self._stale.add(index)
            return error

    def _told(self, index: int, answer: Device | nvml.NVMLError) -> Device:
        """The card, a lost one with what is in the way."""
        if isinstance(answer, Device):
            return answer
        card, fix = self._cards.get(index), LOST.get(answer.value, NO_ANSWER)
        uuid, name = (card.uuid, card.name) if card else (f"GPU {index}", "")
        return Device(uuid, index, name, error=f"{_said(answer)}; {fix}")

    def _device(self, card: _Card) -> Device:
        handle = card.handle
        total, free, unified = self._memory(handle)
        temperature = _number(_temperature(handle))
        if total is None and temperature is None and not unified:
            nvml.nvmlDeviceGetMemoryInfo(handle)  # raises what is in the way
        milliwatts = _ask("nvmlDeviceGetPowerUsage", handle)
        rates = _ask("nvmlDeviceGetUtilizationRates", handle)
        return Device(
            uuid=card.uuid,
            index=card.index,
            name=card.name,
            total_mb=total,
            free_mb=free,
            unified=unified,
            temperature_c=temperature,
            margin_c=_number(_ask("nvmlDeviceGetMarginTemperature", handle)),
            max_c=card.max_c,
            reasons=_whole(_reasons(handle)),
            power_w=None if milliwatts is None else milliwatts / 1000,
            utilization=None if rates is None else float(rates.gpu),
        )

    def _memory(self, handle: Any) -> tuple[float | None, float | None, bool]:
        """Total and free MiB, and whether they are the machine's own."""
        try:
            info = nvml.nvmlDeviceGetMemoryInfo(handle)
        except nvml.NVMLError as error:
            if error.value in SICK:
                raise
            if error.value != NOT_SUPPORTED:
                return None, None, False
            info = None
        if info is not None and info.total:
            return info.total / MIB, info.free / MIB, False
        return *self._shared(), True

    def _shared(self) -> tuple[float | None, float | None]:
        try:
            return smi.meminfo(self._meminfo.read_text(encoding="ascii")) or (None, None)
        except OSError:
            return None, None


def _said(error: nvml.NVMLError) -> str:
    return smi.plain(str(error))


# --- one question ---------------------------------------------------------------------------------------


def _ask(function: str, *args: Any) -> Any:
    """The answer; None when library, driver or card do not tell. Raises NVMLError for a sick card or driver."""
    ask: Callable[..., Any] | None = getattr(nvml, function, None)
    if ask is None:
        return None
    try:
        return ask(*args)
    except UnicodeDecodeError:
        return None
    except nvml.NVMLError as error:
        if error.value in SICK:
            raise
        return None


def _first(*asks: Callable[[], Any]) -> Any:
    """The first answer that is one: newer functions first, those that are to go away after them."""
    return next((answer for ask in asks if (answer := ask()) is not None), None)


def _temperature(handle: Any) -> Any:
    names = ("nvmlDeviceGetTemperatureV", "nvmlDeviceGetTemperature")
    return _first(*(partial(_ask, name, handle, GPU_SENSOR) for name in names))


def _reasons(handle: Any) -> Any:
    kinds = ("Event", "Throttle")
    return _first(
        *(partial(_ask, f"nvmlDeviceGetCurrentClocks{kind}Reasons", handle) for kind in kinds)
    )


def _card(index: int) -> _Card:
    handle = nvml.nvmlDeviceGetHandleByIndex(index)
    limit = _number(_ask("nvmlDeviceGetTemperatureThreshold", handle, GPU_MAX))
    return _Card(
        handle,
        uuid=_text(_ask("nvmlDeviceGetUUID", handle)) or f"GPU {index}",
        index=index,
        name=_text(_ask("nvmlDeviceGetName", handle)),
        max_c=limit if limit is not None and 0 < limit <= HIGHEST_C else None,
    )


def _number(value: Any) -> float | None:
    return None if value is None or value >= smi.BLANK else float(value)


def _whole(value: Any) -> int | None:
    return None if value is None or value >= smi.BLANK else int(value)


def _text(value: Any) -> str:
    raw = value.decode(errors="replace") if isinstance(value, bytes) else value
    return smi.plain(raw or "")


# --- processes ------------------------------------------------------------------------------------------


def _processes(cards: Iterable[_Card]) -> tuple[Process, ...] | None:
    """Who holds memory; None when no card tells, or none of its processes' memory."""
    try:
        told = [entries for card in cards if (entries := _running(card.handle)) is not None]
        found = [_process(pid, used) for entries in told for pid, used in entries.items()]
    except nvml.NVMLError:  # what a card has told of itself counts all the same
        return None
    return smi.known(found) if told else None


def _running(handle: Any) -> dict[int, int | None] | None:
    """Bytes by process on one card; one that computes and draws is listed twice and counts once."""
    lists = [
        _ask(f"nvmlDeviceGet{kind}RunningProcesses", handle) for kind in ("Compute", "Graphics")
    ]
    if all(found is None for found in lists):
        return None
    return {entry.pid: entry.usedGpuMemory for entry in _entries(lists)}


def _entries(lists: Iterable[Any]) -> Iterator[Any]:
    for found in lists:
        yield from found or ()


def _process(pid: int, used: int | None) -> Process | None:
    if used is None or used >= smi.BLANK:
        return None
    return Process(pid, _text(_ask("nvmlSystemGetProcessName", pid)), used / MIB)
