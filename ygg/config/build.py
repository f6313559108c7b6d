"""Plain data -> Config: shapes through the forms, then what one key says of another.

Everything wrong is collected. Hosts and types with a wrong shape are left out of the second check,
so that one mistake is told once; a route to such a host is not a mistake.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from ygg.config import forms
from ygg.config.problems import KeyPath, Problems, listed, near, shown, ticked
from ygg.config.records import GENERAL, ApiConfig, Config
from ygg.config.show import settings
from ygg.model import Candidate, Endpoint, Host, Policy, TaskType

_SERVER_KEYS = ("backend", "url", "models", "dialect", "api_key_file", "options")
_WORDS = {
    "string_type": "text",
    "string_unicode": "text",
    "int_type": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "too_short": "at least one entry",
}


def build(data: Any, problems: Problems, source: Path) -> Config:
    """The Config of plain data. Raises one ConfigError with every problem, those already in
    `problems` included."""
    form = _shape(data, problems)
    builder = _Builder(problems, source, data)
    parts = builder.parts(form) if form is not None else None
    problems.check()
    assert parts is not None  # without a form there are problems
    hosts, types, policy, api = parts
    print_ = hashlib.sha256(json.dumps(settings(hosts, types, policy, api)).encode()).hexdigest()
    return Config(
        MappingProxyType(hosts), MappingProxyType(types), policy, api, source, print_[:16]
    )


# --- shapes ---------------------------------------------------------------------------------------


def _shape(data: Any, problems: Problems) -> forms.FileForm | None:
    """The form of the sound parts; None when the file is wrong at its top."""
    try:
        return forms.FileForm.model_validate(data)
    except ValidationError as error:
        errors = error.errors(include_url=False, include_context=True)
    for detail in errors:
        _note(detail, problems)
    return _salvage(data, {_path(detail)[:2] for detail in errors})


def _salvage(data: Any, broken: set[KeyPath]) -> forms.FileForm | None:
    """The file without its broken hosts, types and sections."""
    if not isinstance(data, dict) or () in broken:
        return None
    rest: dict[str, Any] = {}
    for section in ("hosts", "task_types"):
        entries = data.get(section)
        if not isinstance(entries, dict):
            return None
        rest[section] = {k: v for k, v in entries.items() if (section, k) not in broken}
    try:
        return forms.FileForm.model_validate(rest)
    except ValidationError:
        return None


def _path(detail: ErrorDetails) -> KeyPath:
    """Where the error is. Pydantic marks an error of a key itself with a last step `[key]`."""
    path = detail["loc"]
    return path[:-1] if path and path[-1] == "[key]" else path


def _note(detail: ErrorDetails, problems: Problems) -> None:
    path, kind = _path(detail), detail["type"]
    if any(p.path == path for p in problems.found):
        return
    if kind == "extra_forbidden":
        _unknown_key(path, problems)
    elif kind == "missing":
        problems.add(path[:-1], f"the key `{path[-1]}`", "none")
    else:
        expected = _WORDS.get(kind, detail["msg"])
        hint = detail.get("ctx", {}).get("hint", "")
        problems.add(path, expected, shown(detail["input"]), hint)


def _unknown_key(path: KeyPath, problems: Problems) -> None:
    word, form = str(path[-1]), forms.form_at(path[:-1])
    known = list(form.model_fields) if form else []
    problems.add(path, "a known key", ticked(word), near(word, known) or f"known: {listed(known)}")


# --- meaning --------------------------------------------------------------------------------------

Parts = tuple[dict[str, Host], dict[str, TaskType], Policy, ApiConfig]


@dataclass(slots=True)
class _Builder:
    """Turns forms into records; `names` are all hosts of the file, also those with a wrong shape."""

    problems: Problems
    source: Path
    data: Any
    hosts: dict[str, Host] = field(default_factory=dict)
    wrong: set[str] = field(default_factory=set)

    def parts(self, form: forms.FileForm) -> Parts:
        if not self.data["hosts"]:
            self.problems.add(("hosts",), "at least one host", "none")
        for name, host in form.hosts.items():
            self.hosts[name] = self._host(name, host)
        policy = _policy(form.policies)
        types = {n: self._type(n, t, policy) for n, t in form.task_types.items()}
        named = self.data["task_types"]
        if GENERAL not in named:
            got = listed(named) if named else "none"
            hint = "tasks of unknown types run on its route"
            self.problems.add(("task_types",), f"a type named `{GENERAL}`", got, hint)
        api = ApiConfig(form.api.listen, self._file(form.api.token_file))
        return self.hosts, types, policy, api

    def _host(self, name: str, form: forms.HostForm) -> Host:
        path: KeyPath = ("hosts", name)
        before = len(self.problems.found)
        servers = self._servers(path, form)
        endpoints = tuple(self._endpoint(p, n, f) for p, n, f in servers)
        if len(self.problems.found) > before:
            self.wrong.add(name)
        # The core falls back on the host's models for a server that names none: only right when all do.
        every = all(e.models for e in endpoints)
        models = dict.fromkeys(m for e in endpoints for m in e.models) if every else ()
        return Host(name, form.slots, endpoints, form.kind, tuple(models), tuple(form.tags))

    def _servers(
        self, path: KeyPath, form: forms.HostForm
    ) -> list[tuple[KeyPath, str, forms.EndpointForm]]:
        """The endpoints of a host; its short form is one endpoint named after its backend."""
        short = [key for key in _SERVER_KEYS if key in form.model_fields_set]
        if form.endpoints:
            for key in short:
                where = "below one of the endpoints"
                self.problems.add((*path, key), f"`{key}` {where}", f"`{key}` beside `endpoints`")
            return [((*path, "endpoints", n), n, f) for n, f in form.endpoints.items()]
        if form.url is None and form.backend is None:
            self.problems.add(path, "`url` and `backend`, or `endpoints`", "none")
        elif form.url is None or form.backend is None:
            key = "url" if form.url is None else "backend"
            self.problems.add(path, f"the key `{key}`", "none")
        else:
            single = {key: getattr(form, key) for key in short}
            return [(path, form.backend, forms.EndpointForm(**single))]
        return []

    def _endpoint(self, path: KeyPath, name: str, form: forms.EndpointForm) -> Endpoint:
        url = form.url
        if form.backend == "openai":
            url = url.removesuffix("/v1")
        elif not form.models:
            self.problems.add(path, "`models` with at least one model", "none")
        if form.dialect and form.backend != "openai":
            self.problems.add((*path, "dialect"), "`dialect` only with openai", form.backend)
        self._once((*path, "models"), form.models)
        key_file = self._file(form.api_key_file)
        models = tuple(form.models)
        return Endpoint(name, form.backend, url, models, form.dialect, key_file, form.options)

    def _type(self, name: str, form: forms.TypeForm, policy: Policy) -> TaskType:
        path: KeyPath = ("task_types", name, "route")
        found = [self._candidate((*path, n), c) for n, c in enumerate(form.route)]
        route = [c for c in found if c is not None]
        if len(route) == len(found):
            self._once(path, [c.key for c in route])
        return TaskType(
            name=name,
            route=tuple(route),
            options=form.options,
            system=form.system,
            timeout_s=form.timeout or policy.timeout_s,
            retries=form.retries,
            match_labels=tuple(form.match.labels),
            match_titles=tuple(form.match.titles),
        )

    def _candidate(self, path: KeyPath, form: forms.CandidateForm) -> Candidate | None:
        """The place in full, None when it cannot be resolved."""
        host = self.hosts.get(form.host)
        if host is None or form.host in self.wrong:
            names = self.data["hosts"]
            if form.host not in names:
                self._unknown(path, "a host of this file", form.host, names)
            return None
        endpoints = host.endpoints
        if form.endpoint is not None:
            endpoints = tuple(e for e in endpoints if e.name == form.endpoint)
            if not endpoints:
                names = [e.name for e in host.endpoints]
                self._unknown(path, f"an endpoint of {host.name}", form.endpoint, names)
                return None
        endpoint = _serving(endpoints, form.model)
        if endpoint is None:
            models = [m for e in endpoints for m in e.models]
            self._unknown(path, f"a model of {host.name}", form.model or "", models)
            return None
        first = endpoint.models[0] if endpoint.models else ""
        return Candidate(host.name, endpoint.name, form.model or first)

    def _unknown(self, path: KeyPath, expected: str, word: str, known: Iterable[str]) -> None:
        self.problems.add(
            path, expected, ticked(word), near(word, known) or f"known: {listed(known)}"
        )

    def _once(self, path: KeyPath, entries: list[str]) -> None:
        for n, entry in enumerate(entries):
            if entry in entries[:n]:
                self.problems.add((*path, n), "each entry once", f"{ticked(entry)} a second time")

    def _file(self, name: str | None) -> str | None:
        """A file named in the configuration: relative to it, `~` is the home of the process."""
        if name is None:
            return None
        return str((self.source.absolute().parent / Path(name).expanduser()).absolute())


def _serving(endpoints: tuple[Endpoint, ...], model: str | None) -> Endpoint | None:
    """The first endpoint that lists the model, else the first that lists none and takes any."""
    if model is None:
        return endpoints[0]
    listing = (e for e in endpoints if model in e.models)
    return next(listing, None) or next((e for e in endpoints if not e.models), None)


def _policy(form: forms.PolicyForm) -> Policy:
    """Policy's fields are the form's keys; durations there end in `_s`."""
    known: Mapping[str, object] = Policy.__dataclass_fields__
    values: dict[str, Any] = {}
    for key, value in form:
        name = key if key in known else f"{key}_s"
        values[name] = tuple(value) if isinstance(value, list) else value
    return Policy(**values)
