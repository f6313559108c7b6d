"""A Config as plain data for `ygg config show`, and the differences between two for a reload."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from ygg.config import notifying
from ygg.config.inert import INERT
from ygg.config.records import Config, Said
from ygg.model import Api, Endpoint, Host, JsonDict, Metrics, Policy, Privacy, TaskType
from ygg.model.notices import Target

HIDDEN = "***"
_SECRET = re.compile(
    r"api_?key|secret|passw(or)?d|authorization|bearer|^(auth_?)?token$", re.IGNORECASE
)


def describe(config: Config) -> JsonDict:
    """Every setting with its value in force, durations in seconds. Options that look like
    credentials are hidden; of key files only the path is told."""
    body = settings(*_parts(config))
    return {
        "schema": "ygg.config/1",
        "source": str(config.source),
        "fingerprint": config.fingerprint,
        **(
            {"environment": {s.name: _said(s) for s in config.environment}}
            if config.environment
            else {}
        ),
        **{section: _hide(part) for section, part in body.items()},
    }


def _said(said: Said) -> JsonDict:
    return {
        "sets": said.key or None,
        "value": said.value,
        "used": said.used,
        "why": said.why or None,
    }


def _parts(
    config: Config,
) -> tuple[
    Mapping[str, Host], Mapping[str, TaskType], Policy, Privacy, Api, Metrics, tuple[Target, ...]
]:
    c = config
    return c.hosts, c.types, c.policy, c.privacy, c.api, c.metrics, c.notify


def settings(
    hosts: Mapping[str, Host],
    types: Mapping[str, TaskType],
    policy: Policy,
    privacy: Privacy,
    api: Api,
    metrics: Metrics,
    notify: tuple[Target, ...],
) -> JsonDict:
    """The keys of hosts.yaml with all defaults filled in: reads back as the same Config."""
    return {
        "hosts": {name: _host(host) for name, host in hosts.items()},
        "task_types": {name: _type(kind) for name, kind in types.items()},
        "policies": {k: v for k, v in _record(policy).items() if ("policies", k) not in INERT},
        "privacy": _record(privacy),
        "api": _record(api),
        "metrics": _record(metrics),
        "notify": [notifying.body(target) for target in notify],
    }


def differences(old: Config, new: Config) -> list[str]:
    """What a reload changes, one line each for the log: `hosts.surtr.slots: 2 -> 3`."""
    before, after = (settings(*_parts(c)) for c in (old, new))
    lines = [*_entries("host", before["hosts"], after["hosts"])]
    lines += _entries("task type", before["task_types"], after["task_types"])
    told = ({t["name"]: t for t in part["notify"]} for part in (before, after))
    lines += _entries("notify", *told)
    for section in ("policies", "privacy", "api", "metrics"):
        lines += _changes(section, before[section], after[section])
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
        "telemetry": _record(host.telemetry),
        "pressure": _record(host.pressure),
        "heat": _record(host.heat),
        "endpoints": endpoints,
    }


def _endpoint(endpoint: Endpoint) -> JsonDict:
    return {
        "backend": endpoint.backend,
        "url": endpoint.url,
        "models": [_model(name, endpoint.sizes) for name in endpoint.models],
        "dialect": endpoint.dialect,
        "api_key_file": endpoint.api_key_file,
        "options": dict(endpoint.options),
        "slots": endpoint.slots,
        "kind": endpoint.kind,
        "serves": list(endpoint.serves),
    }


def _type(kind: TaskType) -> JsonDict:
    return {
        "route": [{k: v for k, v in c._asdict().items() if v} for c in kind.route],
        "choose": kind.choose,
        "gpu": kind.gpu,
        "cache": kind.cache,
        "options": dict(kind.options),
        "system": kind.system,
        "timeout": kind.timeout_s,
        "retries": kind.retries,
        "match": {"labels": list(kind.match_labels), "titles": list(kind.match_titles)},
    }


def _model(name: str, sizes: Mapping[str, float]) -> str | JsonDict:
    size = sizes.get(name)
    return name if size is None else {"name": name, "memory": f"{size:g}MB"}


def _record(record: Any) -> JsonDict:
    """A record of numbers under the keys of hosts.yaml: `timeout_s` is `timeout` there."""
    found: JsonDict = {}
    for f in fields(record):
        value = getattr(record, f.name)
        if is_dataclass(value):
            found[f.name] = _record(value)
        elif f.name.endswith("_mb"):
            found[f.name.removesuffix("_mb")] = None if value is None else f"{value:g}MB"
        else:
            found[f.name.removesuffix("_s")] = list(value) if isinstance(value, tuple) else value
    return found


def _hide(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {k: HIDDEN if _secret(k, v) else _hide(v) for k, v in value.items()}
    return [_hide(part) for part in value] if isinstance(value, list) else value


def _secret(key: object, value: object) -> bool:
    named = isinstance(key, str) and key not in ("api_key_file", "secret_file", "password_file")
    return named and isinstance(value, str) and bool(_SECRET.search(str(key)))
