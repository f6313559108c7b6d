"""A Config as plain data for `ygg config show`, and the differences between two for a reload."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

from ygg.config.records import ApiConfig, Config
from ygg.model import Endpoint, Host, JsonDict, Policy, TaskType

HIDDEN = "***"
_SECRET = re.compile(
    r"api_?key|secret|passw(or)?d|authorization|bearer|^(auth_?)?token$", re.IGNORECASE
)


def describe(config: Config) -> JsonDict:
    """Every setting with its value in force, durations in seconds. Options that look like
    credentials are hidden; of key files only the path is told."""
    body = settings(config.hosts, config.types, config.policy, config.api)
    return {
        "schema": "ygg.config/1",
        "source": str(config.source),
        "fingerprint": config.fingerprint,
        **{section: _hide(part) for section, part in body.items()},
    }


def settings(
    hosts: Mapping[str, Host], types: Mapping[str, TaskType], policy: Policy, api: ApiConfig
) -> JsonDict:
    """The keys of hosts.yaml with all defaults filled in: reads back as the same Config."""
    return {
        "hosts": {name: _host(host) for name, host in hosts.items()},
        "task_types": {name: _type(kind) for name, kind in types.items()},
        "policies": {_key(name): _plain(value) for name, value in asdict(policy).items()},
        "api": asdict(api),
    }


def differences(old: Config, new: Config) -> list[str]:
    """What a reload changes, one line each for the log: `hosts.surtr.slots: 2 -> 3`."""
    before, after = (settings(c.hosts, c.types, c.policy, c.api) for c in (old, new))
    lines = [*_entries("host", before["hosts"], after["hosts"])]
    lines += _entries("task type", before["task_types"], after["task_types"])
    lines += _changes("policies", before["policies"], after["policies"])
    listen = _changes("api", before["api"], after["api"])
    lines += [f"{line} (at the next start)" for line in listen]
    kept = [[n for n in a if n in b] for a, b in ((old.types, new.types), (new.types, old.types))]
    if kept[0] != kept[1]:
        lines.append(f"task types in another order: {', '.join(kept[1])}")
    return lines


def _entries(what: str, old: JsonDict, new: JsonDict) -> Iterator[str]:
    """Lines for named entries: those that left, came, or changed."""
    yield from (f"{what} {name} removed" for name in old if name not in new)
    for name, entry in new.items():
        if name not in old:
            yield f"{what} {name} added"
        else:
            yield from _changes(f"{what} {name}", old[name], entry)


def _changes(where: str, old: JsonDict, new: JsonDict) -> Iterator[str]:
    before, after = dict(_leaves(_hide(old))), dict(_leaves(_hide(new)))
    for key in dict.fromkeys([*before, *after]):
        was, now = before.get(key), after.get(key)
        if was != now:
            yield f"{where}: {key} {_short(was)} -> {_short(now)}"


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for key, part in value.items():
            yield from _leaves(part, f"{path}.{key}" if path else key)
    else:
        yield path, value


def _short(value: Any) -> str:
    if value is None:
        return "not set"
    if isinstance(value, list):
        return f"[{', '.join(_short(part) for part in value)}]"
    if isinstance(value, dict):
        return "/".join(str(part) for part in value.values() if part)
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _host(host: Host) -> JsonDict:
    endpoints = {endpoint.name: _endpoint(endpoint) for endpoint in host.endpoints}
    return {
        "kind": host.kind,
        "slots": host.slots,
        "tags": list(host.tags),
        "endpoints": endpoints,
    }


def _endpoint(endpoint: Endpoint) -> JsonDict:
    return {
        "backend": endpoint.backend,
        "url": endpoint.url,
        "models": list(endpoint.models),
        "dialect": endpoint.dialect,
        "api_key_file": endpoint.api_key_file,
        "options": dict(endpoint.options),
    }


def _type(kind: TaskType) -> JsonDict:
    return {
        "route": [{k: v for k, v in c._asdict().items() if v} for c in kind.route],
        "options": dict(kind.options),
        "system": kind.system,
        "timeout": kind.timeout_s,
        "retries": kind.retries,
        "match": {"labels": list(kind.match_labels), "titles": list(kind.match_titles)},
    }


def _key(name: str) -> str:
    """`timeout_s` of Policy is `timeout` in hosts.yaml."""
    return name.removesuffix("_s")


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _hide(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {k: HIDDEN if _secret(k, v) else _hide(v) for k, v in value.items()}
    return [_hide(part) for part in value] if isinstance(value, list) else value


def _secret(key: object, value: object) -> bool:
    named = isinstance(key, str) and key not in ("api_key_file", "token_file")
    return named and isinstance(value, str) and bool(_SECRET.search(str(key)))
