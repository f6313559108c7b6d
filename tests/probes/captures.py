"""What nvidia-smi said of real cards, field by field, and a stand-in that says it again.

The values are of the lines that drivers 590 to 610 printed for these cards.
"""

from __future__ import annotations

from typing import Any

Card = dict[str, str]

RTX_4080_SUPER: Card = {
    "uuid": "GPU-4080aaaa-0000-0000-0000-000000000001",
    "index": "0",
    "count": "1",
    "pci.bus_id": "00000000:01:00.0",
    "name": "NVIDIA GeForce RTX 4080 SUPER",
    "memory.total": "16376",
    "memory.free": "15024",
    "temperature.gpu": "41",
    "temperature.gpu.tlimit": "[N/A]",
    "clocks_event_reasons.active": "0x0000000000000001",
    "power.draw": "14.73",
    "utilization.gpu": "3",
}
RTX_2080_SUPER: Card = RTX_4080_SUPER | {
    "uuid": "GPU-2080bbbb-0000-0000-0000-000000000002",
    "pci.bus_id": "00000000:0C:00.0",
    "name": "NVIDIA GeForce RTX 2080 SUPER",
    "memory.total": "8192",
    "memory.free": "7571",
    "temperature.gpu": "33",
    "temperature.gpu.tlimit": "N/A",
    "power.draw": "39.17",
    "utilization.gpu": "0",
}
H200: Card = RTX_4080_SUPER | {
    "uuid": "GPU-h200cccc-0000-0000-0000-000000000003",
    "pci.bus_id": "00000000:4B:00.0",
    "name": "NVIDIA H200",
    "memory.total": "143771",
    "memory.free": "143158",
    "temperature.gpu": "28",
    "temperature.gpu.tlimit": "59",
    "clocks_event_reasons.active": "0x0000000000000004",
    "power.draw": "76.40",
}
H200_MIG: Card = H200 | {
    "uuid": "GPU-h200dddd-0000-0000-0000-000000000004",
    "utilization.gpu": "[N/A]",
}
GB10: Card = RTX_4080_SUPER | {
    "uuid": "GPU-gb10eeee-0000-0000-0000-000000000005",
    "pci.bus_id": "0000000F:01:00.0",
    "name": "NVIDIA GB10",
    "memory.total": "[N/A]",
    "memory.free": "[N/A]",
    "temperature.gpu": "39",
    "temperature.gpu.tlimit": "[Not Supported]",
    "power.draw": "3.74",
}


def several(*cards: Card) -> list[Card]:
    """As one machine would tell of them."""
    return [c | {"index": str(n), "count": str(len(cards))} for n, c in enumerate(cards)]


GEFORCE_LIMITS = """
==============NVSMI LOG==============

Attached GPUs                             : 1
GPU {bus}
    Temperature
        GPU Current Temp                  : 41 C
        GPU T.Limit Temp                  : N/A
        GPU Shutdown Temp                 : 101 C
        GPU Slowdown Temp                 : 96 C
        GPU Max Operating Temp            : 90 C
        GPU Target Temperature            : 84 C
        Memory Current Temp               : N/A
        Memory Max Operating Temp         : N/A
"""
GEFORCE_LIMITS_610 = """
Attached GPUs                                          : 1
GPU {bus}
    Temperature
        GPU Current Temp                               : 33 C
        GPU Current T.Limit Temp                       : N/A
        GPU Shutdown Temp                              : 100 C
        GPU Slowdown Temp                              : 97 C
        GPU Max Operating Temp                         : 89 C
        GPU Target Temperature Specification           : 84 C
        Memory Current Temp                            : N/A
        Memory Max Operating Temp                      : N/A
"""
HOPPER_LIMITS = """
GPU {bus}
    Temperature
        GPU Current Temp                  : 28 C
        GPU T.Limit Temp                  : 59 C
        GPU Shutdown T.Limit Temp         : -8 C
        GPU Slowdown T.Limit Temp         : -2 C
        GPU Max Operating T.Limit Temp    : 0 C
        GPU Target Temperature            : N/A
        Memory Current Temp               : 41 C
        Memory Max Operating T.Limit Temp : 0 C
"""
HOPPER_LIMITS_610 = """
GPU {bus}
    Temperature
        GPU Current Temp                                : 52 C
        GPU Current T.Limit Temp                        : 35 C
        GPU Shutdown T.Limit Temp Specification         : -8 C
        GPU Slowdown T.Limit Temp Specification         : -2 C
        GPU Max Operating T.Limit Temp Specification    : 0 C
        GPU Target Temperature Specification            : N/A
"""


def of(text: str, card: Card) -> str:
    return text.format(bus=card["pci.bus_id"])


def line(card: Card, fields: tuple[str, ...]) -> str:
    """As `--format=csv,noheader,nounits` prints it."""
    return ", ".join(card[field] for field in fields)


def machine(*cards: Card, **more: Any) -> dict[str, Any]:
    """What the stand-in is told: cards, limits, processes and how it misbehaves (see fake_smi)."""
    every = several(*(cards or (RTX_4080_SUPER,)))
    limits = "".join(of(GEFORCE_LIMITS, card) for card in every)
    return {"cards": every, "limits": limits, "processes": "", "mode": "", **more}
