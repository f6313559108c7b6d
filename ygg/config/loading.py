"""Options that decide how a model is loaded: there is one set of them for each model of a server.

Two types that differ would load the model anew in turns. What one type says holds for all that use the model, which
whoever writes it may not know.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ygg.config.problems import KeyPath, Problems, listed, shown
from ygg.model import LOAD_OPTIONS, Candidate, Endpoint, Host, TaskType


def compare(hosts: Mapping[str, Host], types: Mapping[str, TaskType], problems: Problems) -> None:
    """A problem for each type that differs from another, a note for each that speaks for others."""
    first: dict[tuple[Candidate, str], tuple[str, Any]] = {}
    for name, kind in types.items():
        for key in sorted(LOAD_OPTIONS & kind.options.keys()):
            path = ("task_types", name, "options", key)
            _differs(path, kind, key, first, problems)
            _speaks_for_others(path, kind, key, hosts, types, problems)


def _differs(
    path: KeyPath,
    kind: TaskType,
    key: str,
    first: dict[tuple[Candidate, str], tuple[str, Any]],
    problems: Problems,
) -> None:
    mine = kind.options[key]
    for place in kind.route:
        other, value = first.setdefault((place, key), (kind.name, mine))
        if value != mine:
            where = f"{place.host}/{place.model}".rstrip("/")
            expected = f"{value}, as task type `{other}` has it for {where}"
            hint = "another value would load the model anew for every change of type"
            problems.add(path, expected, shown(mine), hint)


def _speaks_for_others(
    path: KeyPath,
    kind: TaskType,
    key: str,
    hosts: Mapping[str, Host],
    types: Mapping[str, TaskType],
    problems: Problems,
) -> None:
    places = {p for p in kind.route if key not in _server(hosts, p).options}
    if kind.route and not places:
        problems.note(path, "has no effect: the options of its servers say it, and they win")
    silent = (t for t in types.values() if key not in t.options)
    others = [t.name for t in silent if places.intersection(t.route)]
    if others:
        value, who = shown(kind.options[key]), listed(others)
        problems.note(path, f"{value} holds for all tasks of its models, also for those of {who}")


def _server(hosts: Mapping[str, Host], place: Candidate) -> Endpoint:
    return next(e for e in hosts[place.host].endpoints if e.name == place.endpoint)
