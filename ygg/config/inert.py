"""Settings that ygg knows but cannot do anything with yet.

Such a setting is never taken in silence: `ygg config check` and a reload refuse it; a daemon that starts
with one leaves it out, says so and goes on. It leaves this table on the day it works.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ygg.config.problems import Problem, shown

#: What has no effect, and why, with what to do instead.
INERT: Mapping[tuple[str, str], str] = {
    (
        "api",
        "token_file",
    ): "the unix socket asks for no token, its file mode says who may connect: remove the key",
    ("policies", "bundle_sizes"): "each call carries one task: remove the key",
}


def split(data: Any) -> tuple[Any, list[Problem]]:
    """The file's data without its settings that have no effect, and a problem for each of them."""
    problems: list[Problem] = []
    for section, key in INERT:
        part = data.get(section) if isinstance(data, dict) else None
        if isinstance(part, dict) and key in part:
            rest = {k: v for k, v in part.items() if k != key}
            data = data | {section: rest}
            problems += [_problem((section, key), part[key])] if part[key] is not None else []
    return data, problems


def _problem(path: tuple[str, str], value: Any) -> Problem:
    return Problem(path, "no such setting", shown(value), f"it has no effect: {INERT[path]}")
