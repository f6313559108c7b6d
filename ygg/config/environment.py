"""Settings that the environment may say: each counts where hosts.yaml does not say it.

The names are those of the mission's deployments, but for `YGG_INTERRUPTED`, which the systemd unit sets.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import pairwise
from typing import Any, NamedTuple

from ygg.config.durations import seconds
from ygg.config.records import Config, Said
from ygg.errors import ConfigError
from ygg.model import Priority


class _Setting(NamedTuple):
    """`read` makes the value of the text, or a ValueError that says what was expected."""

    section: str
    key: str
    field: str  #: of the section's record
    read: Callable[[str], Any]


def _whole(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and 1 <= int(text) <= 10**7):
        raise ValueError("a whole number from 1 to 10000000")
    return int(text)


def _seconds(text: str) -> float:
    try:
        return seconds(float(text) if text.replace(".", "", 1).isdecimal() else text)
    except ValueError:
        raise ValueError("seconds above 0, or a duration such as 5m") from None


def _flag(text: str) -> bool:
    if text.lower() not in ("true", "false", "1", "0"):
        raise ValueError("true or false")
    return text.lower() in ("true", "1")


def _fate(text: str) -> str:
    if text not in ("block", "requeue"):
        raise ValueError("block or requeue")
    return text


SETTINGS: Mapping[str, _Setting] = {
    "YGG_INTERRUPTED": _Setting("policies", "interrupted", "interrupted", _fate),
    "MAX_QUEUE_SIZE": _Setting("policies", "capacity", "capacity", _whole),
    "DEFAULT_TASK_TIMEOUT_S": _Setting("policies", "api_timeout", "api_timeout_s", _seconds),
    "RESULT_TTL_SECONDS": _Setting("policies", "read_retention", "read_retention_s", _seconds),
    "ALLOW_INSECURE_DEV": _Setting("api", "insecure", "insecure", _flag),
}
WEIGHTS = "PRIORITY_WEIGHTS"
BUNDLES = ("MAX_BATCH_SIZE", "BATCH_TIMEOUT_MS")


def applied(config: Config, data: Mapping[str, Any], env: Mapping[str, str]) -> Config:
    """The configuration with what the environment says beside `data`, the plain data of hosts.yaml. What was found is
    told in `Config.environment`. Raises ConfigError."""
    said = [_said(name, data, env[name]) for name in SETTINGS if env.get(name)]
    for one in (s for s in said if s.used):
        setting = SETTINGS[one.name]
        record = "policy" if setting.section == "policies" else setting.section
        changed = replace(getattr(config, record), **{setting.field: one.value})
        config = replace(config, **{record: changed})
    if env.get(WEIGHTS):
        said.append(_weights(env[WEIGHTS]))
    idle = "each call carries one task: it has no effect"
    said += [Said(name, "", env[name], used=False, why=idle) for name in BUNDLES if env.get(name)]
    return replace(config, environment=tuple(said))


def _said(name: str, data: Mapping[str, Any], text: str) -> Said:
    setting = SETTINGS[name]
    key = f"{setting.section}.{setting.key}"
    try:
        value = setting.read(text)
    except ValueError as expected:
        raise ConfigError(f"${name}: expected {expected}, got {text!r:.60}") from None
    own = (data.get(setting.section) or {}).get(setting.key)
    why = "" if own is None else f"hosts.yaml says {own}"
    return Said(name, key, value, used=own is None, why=why)


def _weights(text: str) -> Said:
    """Weights say an order alone, and ygg has one. Raises ConfigError for another."""
    expected = 'JSON such as {"CRITICAL": 0, "HIGH": 10, "NORMAL": 20, "LOW": 30}'
    try:
        weights = json.loads(text)
        known = [float(weights[p.name]) for p in Priority if p.name in weights]
        sound = len(known) == len(weights) > 0
    except (TypeError, ValueError):
        sound = False
    if not sound:
        raise ConfigError(f"${WEIGHTS}: expected {expected}, got {text!r:.80}")
    if any(better >= worse for better, worse in pairwise(known)):
        names = ", ".join(Priority.__members__)
        raise ConfigError(
            f"${WEIGHTS}: says another order than {names}, which is the only one there is",
            hint="remove it; priorities of tasks say what goes first",
        )
    return Said(WEIGHTS, "", text, used=True, why="the order it says is the one there is")
