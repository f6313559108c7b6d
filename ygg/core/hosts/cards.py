"""The cards of one host from reading to reading: what is wrong with one of them is that card's.

A card that tells neither memory nor heat, or is not listed any more, is *lost*. What it does not tell does not
cool: one that was too hot counts as that until it tells something else, or until the readings of its
host have stopped altogether.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from ygg.core.hosts import heat
from ygg.core.house import Gauge, Heat
from ygg.model import Device, HeatRule, Reading

GONE = "the reading does not list it any more"


def whole(gauge: Gauge, reading: Reading) -> Reading:
    """The reading with the cards that it does not list any more."""
    listed = {d.uuid for d in reading.devices}
    gone = (d for uuid, d in gauge.cards.items() if uuid not in listed)
    lost = tuple(Device(d.uuid, d.index, d.name, error=GONE) for d in gone)
    return replace(reading, devices=(*reading.devices, *lost)) if lost else reading


def remember(gauge: Gauge, devices: Iterable[Device], rule: HeatRule) -> None:
    """Keep each card as it is now, with the heat that it does not take back."""
    for device in devices:
        before = gauge.cards.get(device.uuid)
        if before is not None or not device.error or device.temperature_c is not None:
            gauge.cards[device.uuid] = _kept(before, device, rule)


def _kept(before: Device | None, device: Device, rule: HeatRule) -> Device:
    if device.temperature_c is not None or before is None or not _hot(before, rule):
        return device
    return replace(
        device, temperature_c=before.temperature_c, margin_c=before.margin_c, max_c=before.max_c
    )


def _hot(device: Device, rule: HeatRule) -> bool:
    found = heat.heat_of((device,), rule)
    return found is not None and heat.too_hot(found, rule)


def heat_of(gauge: Gauge, reading: Reading, rule: HeatRule) -> Heat | None:
    """The hottest of the cards, those included that were too hot when they last told."""
    found, told = heat.heat_of(gauge.cards.values(), rule), heat.heat_of(reading.devices, rule)
    if found is None or (told is not None and heat.too_hot(told, rule)):
        return found
    silent = {d.uuid for d in reading.devices if d.temperature_c is None}
    names = [c.label for uuid, c in gauge.cards.items() if uuid in silent and _hot(c, rule)]
    return replace(found, silent=names[0]) if names else found


def lost(gauge: Gauge) -> tuple[Device, ...]:
    """Those of the newest reading that are lost."""
    return tuple(d for d in gauge.reading.devices if d.error) if gauge.reading else ()
