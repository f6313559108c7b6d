"""Heat of a host -> how many slots it may have. Pure arithmetic over the newest reading.

`limits` (the mission's constants): below `normal` all slots; from there to `throttle` the share falls
evenly to half; above `throttle` half, rounded down, one at least; above `stop` none until the card was
`cool` degrees below it for `hold_s`. `card`: the same by the degrees left to the card's own limit, for
cards that regulate to 83 °C under load by design. A card that says it slows itself down counts as
throttled in both.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from ygg.core.house import Heat
from ygg.model import Device, HeatRule


def heat_of(devices: Iterable[Device], rule: HeatRule) -> Heat | None:
    """None when no card tells its temperature."""
    known = [d for d in devices if d.temperature_c is not None]
    if not known:
        return None
    celsius = max(d.temperature_c for d in known if d.temperature_c is not None)
    return Heat(celsius, min(_margin(d, rule) for d in known), any(d.slowed for d in known))


def _margin(device: Device, rule: HeatRule) -> float:
    """As the card reports it, else to its highest operating temperature, else to an assumed one."""
    if device.margin_c is not None:
        return device.margin_c
    assert device.temperature_c is not None
    return (device.max_c or rule.assumed_max) - device.temperature_c


def too_hot(heat: Heat, rule: HeatRule) -> bool:
    """Whether new starts stop."""
    return heat.margin_c <= rule.stop_margin if _card(rule) else heat.celsius > rule.stop


def cooled(heat: Heat, rule: HeatRule) -> bool:
    """Whether the card is so cool that starts may resume, once it has been for `hold_s`."""
    if _card(rule):
        return heat.margin_c >= rule.cool_margin
    return heat.celsius <= rule.stop - rule.cool


def slots(configured: int, heat: Heat, rule: HeatRule) -> int:
    """The slots such heat allows, `too_hot` aside: 1 to `configured`."""
    half = max(1, configured // 2)
    if heat.slowed or _throttled(heat, rule):
        return half
    if _card(rule) or heat.celsius <= rule.normal:
        return configured
    fall = (heat.celsius - rule.normal) / (2 * (rule.throttle - rule.normal))
    return max(1, math.ceil(configured * (1 - fall)))


def _throttled(heat: Heat, rule: HeatRule) -> bool:
    return heat.margin_c <= rule.hot_margin if _card(rule) else heat.celsius > rule.throttle


def cool_at(rule: HeatRule) -> str:
    """What `cooled` asks for, in words."""
    if _card(rule):
        return f"at {rule.cool_margin:g} or more below the card's limit"
    return f"at {rule.stop - rule.cool:g} °C or less"


def well_at(heat: Heat, rule: HeatRule) -> str:
    """What gives back all slots, in words."""
    if heat.slowed:
        return "once it slows itself down no more"
    if _card(rule):
        return f"at more than {rule.hot_margin:g} below the card's limit"
    return f"at {rule.normal:g} °C or less"


def _card(rule: HeatRule) -> bool:
    return rule.mode == "card"


def described(heat: Heat, rule: HeatRule) -> str:
    """`83 °C`, `83 °C, 7 below the card's limit`, `… slowing itself down`."""
    text = f"{heat.celsius:.0f} °C"
    if _card(rule):
        text += f", {heat.margin_c:g} below the card's limit"
    if heat.silent:
        text += f" when {heat.silent} was last read"
    return f"{text}, slowing itself down" if heat.slowed else text
