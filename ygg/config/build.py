"""Plain data -> Config: its shape through the forms, then what one key says of another.

Everything wrong is collected. A route to a host whose shape is wrong is not a second mistake.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field, fields, replace
from itertools import pairwise
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

from ygg.config import (
    forms,
    host_forms,
    inert,
    keys,
    loading,
    notifying,
    policy_forms,
    proving,
    values,
)
from ygg.config.addresses import address
from ygg.config.problems import KeyPath, Problems, known_words, listed, near, ticked
from ygg.config.records import GENERAL, Config
from ygg.config.shapes import shape
from ygg.config.show import settings
from ygg.model import (
    Api,
    Candidate,
    Endpoint,
    HeatRule,
    Host,
    Metrics,
    Policy,
    PressureRule,
    Privacy,
    Residency,
    Service,
    TaskType,
    Telemetry,
    names,
)
from ygg.model.notices import Target

_SERVER_KEYS = ("backend", "url", "models", "dialect", "api_key_file", "options", "serves")


def build(
    data: Any,
    problems: Problems,
    source: Path,
    *,
    strict: bool = False,
    copy_of: Path | None = None,
) -> Config:
    """The Config of plain data. Raises one ConfigError with every problem, those already in
    `problems` included. `strict`: a setting without effect, and a named file that cannot be read, are problems too.
    `copy_of`: the file that `source` is a copy of: names of files are relative to that."""
    data, idle = inert.split(data)
    problems.found += idle if strict else ()
    form = shape(data, problems)
    builder = _Builder(problems, copy_of or source, data, strict)
    parts = builder.parts(form) if form is not None else None
    problems.check()
    assert parts is not None  # without a form there are problems
    hosts, types, policy, privacy, api, metrics, notify = parts
    print_ = hashlib.sha256(json.dumps(settings(*parts)).encode()).hexdigest()
    left_out = tuple(problems.text(p) for p in idle)
    return Config(
        MappingProxyType(hosts), MappingProxyType(types), policy, source, print_[:16], left_out,
        tuple(problems.notes), privacy, api, metrics=metrics, notify=notify,
    )  # fmt: skip


Parts = tuple[
    dict[str, Host], dict[str, TaskType], Policy, Privacy, Api, Metrics, tuple[Target, ...]
]


@dataclass(slots=True)
class _Builder:
    """Turns forms into records; `names` are all hosts of the file, also those with a wrong shape."""

    problems: Problems
    source: Path
    data: Any
    strict: bool = False
    hosts: dict[str, Host] = field(default_factory=dict)
    wrong: set[str] = field(default_factory=set)

    def parts(self, form: forms.FileForm) -> Parts:
        if not self.data["hosts"]:
            self.problems.add(("hosts",), "at least one host", "none")
        for name, host in form.hosts.items():
            self.hosts[name] = self._host(name, host)
        policy = _policy(form.policies)
        types = {n: self._type(n, t, policy) for n, t in form.task_types.items()}
        loading.compare(self.hosts, types, self.problems)
        self._reads(types.get(GENERAL))
        named = self.data["task_types"]
        if GENERAL not in named:
            got = listed(named) if named else "none"
            hint = "tasks of unknown types run on its route"
            self.problems.add(("task_types",), f"a type named `{GENERAL}`", got, hint)
        privacy, metrics = Privacy(form.privacy.titles), self._metrics(form)
        told = notifying.Notifying(self.problems, self.source, self.strict).targets(form.notify)
        return self.hosts, types, policy, privacy, self._api(form.api), metrics, told

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
        return Host(
            name=name,
            slots=self._slots(path, form, endpoints),
            endpoints=endpoints,
            kind=form.kind,
            models=tuple(models),
            tags=tuple(form.tags),
            telemetry=self._telemetry((*path, "telemetry"), form.telemetry),
            pressure=self._pressure((*path, "pressure"), form.pressure),
            heat=self._heat((*path, "heat"), form.heat),
        )

    def _slots(self, path: KeyPath, form: forms.HostForm, endpoints: tuple[Endpoint, ...]) -> int:
        """Those of the host, else the sum of its endpoints'."""
        if form.slots is not None:
            return form.slots
        told = any(p.path == (*path, "slots") for p in self.problems.found)
        if not told and (not form.endpoints or any(e.slots is None for e in endpoints)):
            each = ", or `slots` of each endpoint" if form.endpoints else ""
            self.problems.add(path, f"the key `slots`{each}", "none")
        return min(values.SLOTS_MAX, sum(e.slots or 0 for e in endpoints))

    def _telemetry(self, path: KeyPath, form: host_forms.TelemetryForm) -> Telemetry:
        if form.source == "ssh" and form.ssh is None:
            self.problems.add(path, "the key `ssh`: where to log in", "none")
        return _record(Telemetry, form)

    def _pressure(self, path: KeyPath, form: host_forms.PressureForm) -> PressureRule:
        self._rising(path, form, "normal", "high", "critical", "stop")
        return _record(PressureRule, form)

    def _heat(self, path: KeyPath, form: host_forms.HeatForm) -> HeatRule:
        self._rising(path, form, "normal", "throttle", "stop")
        self._rising(path, form, "stop_margin", "hot_margin", "cool_margin")
        return _record(HeatRule, form)

    def _rising(self, path: KeyPath, form: host_forms.Form, *keys: str) -> None:
        """Each of these numbers must be above the one before."""
        for low, high in pairwise(keys):
            if getattr(form, low) >= getattr(form, high):
                below = f"a number above `{low}` ({getattr(form, low):g})"
                self.problems.add((*path, high), below, f"{getattr(form, high):g}")

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
        if form.backend == "ollama" and not form.models:
            self.problems.add(path, "`models` with at least one model", "none")
        if form.dialect and form.backend != "openai":
            self.problems.add((*path, "dialect"), "`dialect` only with openai", form.backend)
        if Service.TRANSCRIPTION in form.serves and form.backend != "openai":
            hint = "an Ollama that listens is asked as openai too, by another endpoint with its url"
            self.problems.add((*path, "serves"), "`text` alone, or openai", form.backend, hint)
        dialect = names.dialect_of(form.backend, form.dialect)
        models, sizes = self._models((*path, "models"), form.models, dialect)
        return Endpoint(
            name=name,
            backend=form.backend,
            url=form.url.removesuffix("/v1"),
            models=models,
            dialect=form.dialect,
            api_key_file=self._key_file((*path, "api_key_file"), form.api_key_file),
            options=form.options,
            sizes=sizes,
            slots=form.slots,
            kind=form.kind,
            serves=tuple(form.serves),
        )

    def _models(
        self, path: KeyPath, given: list[host_forms.ModelForm], dialect: str
    ) -> tuple[tuple[str, ...], dict[str, float]]:
        """Each model once, under the first of its spellings, and the sizes that are given."""
        self._once(path, [m.name for m in given])
        first: dict[str, str] = {}
        sizes: dict[str, float] = {}
        for n, form in enumerate(given):
            name = first.setdefault(names.canonical(form.name, dialect), form.name)
            size = sizes.setdefault(name, form.memory) if form.memory is not None else None
            if size != form.memory and name != form.name:
                expected = f"{size:g}MB, as the same model has it under the name {ticked(name)}"
                self.problems.add((*path, n, "memory"), expected, f"{form.memory:g}MB")
        return tuple(first.values()), sizes

    def _type(self, name: str, form: forms.TypeForm, policy: Policy) -> TaskType:
        path: KeyPath = ("task_types", name, "route")
        found = [self._candidates((*path, n), c) for n, c in enumerate(form.route)]
        if all(found):
            self._once(path, [_written(c, p[0]) for c, p in zip(form.route, found, strict=True)])
        route = dict.fromkeys(c for places in found for c in places)
        if all(found):
            self._kind_there(
                name, form.gpu, {self.hosts[c.host].kind_of(c.endpoint) for c in route}
            )
        return TaskType(
            name=name,
            route=tuple(route),
            options=form.options,
            system=form.system,
            timeout_s=form.timeout or policy.timeout_s,
            retries=form.retries,
            match_labels=tuple(form.match.labels),
            match_titles=tuple(form.match.titles),
            choose=form.choose,
            gpu=form.gpu,
            cache=form.cache,
        )

    def _reads(self, general: TaskType | None) -> None:
        """Whatever is asked in text may come to it."""
        route = general.route if general else ()
        servers = [e for c in route for e in self.hosts[c.host].endpoints if e.name == c.endpoint]
        if servers and not any(Service.TEXT in e.serves for e in servers):
            expected = "a server that serves `text`: tasks of unknown types run there"
            self.problems.add(("task_types", GENERAL, "route"), expected, "none")

    def _kind_there(self, name: str, gpu: str, kinds: set[str]) -> None:
        """A type that needs one kind of host must have one in its route."""
        wanted = {"required": "gpu", "never": "cpu"}.get(gpu)
        if wanted is not None and wanted not in kinds:
            expected = f"`preferred`, or a host with `kind: {wanted}` in the route"
            self.problems.add(("task_types", name, "gpu"), expected, ticked(gpu))

    def _candidates(self, path: KeyPath, form: forms.CandidateForm) -> tuple[Candidate, ...]:
        """The places in full, one for each server that has the model; () when there is none."""
        host = self.hosts.get(form.host)
        if host is None or form.host in self.wrong:
            hosts = self.data["hosts"]
            if form.host not in hosts:
                self._unknown(path, "a host of this file", form.host, hosts)
            return ()
        endpoints = host.endpoints
        if form.endpoint is not None:
            endpoints = tuple(e for e in endpoints if e.name == form.endpoint)
            if not endpoints:
                there = [e.name for e in host.endpoints]
                self._unknown(path, f"an endpoint of {host.name}", form.endpoint, there)
                return ()
        first = endpoints[0].models[0] if endpoints[0].models else ""
        model = form.model or first
        serving = _serving(endpoints, model)
        if not serving:
            models = [m for e in endpoints for m in e.models]
            self._unknown(path, f"a model of {host.name}", model, models)
        return tuple(Candidate(host.name, e.name, names.own(e, model)) for e in serving)

    def _unknown(self, path: KeyPath, expected: str, word: str, known: Iterable[str]) -> None:
        hint = near(word, known) or known_words(known)
        self.problems.add(path, expected, ticked(word), hint)

    def _once(self, path: KeyPath, entries: list[str]) -> None:
        for n, entry in enumerate(entries):
            if entry in entries[:n]:
                self.problems.add((*path, n), "each entry once", f"{ticked(entry)} a second time")

    def _key_file(self, path: KeyPath, name: str | None) -> str | None:
        """A key's file: relative to the configuration, `~` is the home of the process."""
        if name is None:
            return None
        place = keys.place(self.source, name)
        if self.strict:
            with self.problems.told(path, "a file that holds an API key"):
                keys.api_key(place)
        return str(place)

    def _api(self, form: forms.ApiForm) -> Api:
        proof = proving.Proving(self.problems, self.source, self.strict)
        return replace(_record(Api, form), jwt=proof.jwt(form.jwt), tls=proof.tls(form.tls))

    def _metrics(self, form: forms.FileForm) -> Metrics:
        taken = {address(text).port for text in form.api.listen}
        for n, text in enumerate(form.metrics.listen):
            if address(text).port in taken:
                path: KeyPath = ("metrics", "listen", n)
                hint = "it serves /metrics as it is, with a token; or 9420, say"
                self.problems.add(path, "a port that api.listen does not use", ticked(text), hint)
        return _record(Metrics, form.metrics)


def _serving(endpoints: tuple[Endpoint, ...], model: str) -> tuple[Endpoint, ...]:
    """The endpoints that list the model, else the first that lists none and takes any."""
    listing = tuple(e for e in endpoints if names.own(e, model) in e.models)
    return listing or tuple(e for e in endpoints if not e.models)[:1]


def _written(form: forms.CandidateForm, place: Candidate) -> str:
    """A place of a route as the file spells its model: another spelling of it there is no mistake."""
    return place._replace(model=form.model or place.model).key


Record = TypeVar("Record")


def _record(kind: type[Record], form: host_forms.Form) -> Record:
    """A record whose fields are the form's keys; durations there end in `_s`, memory in `_mb`."""
    known = {f.name for f in fields(kind)}  # type: ignore[arg-type]
    values: dict[str, Any] = {}
    for key, value in form:
        name = next(n for n in (key, f"{key}_s", f"{key}_mb") if n in known)
        values[name] = tuple(value) if isinstance(value, list) else value
    return kind(**values)


def _policy(form: policy_forms.PolicyForm) -> Policy:
    return replace(_record(Policy, form), residency=_record(Residency, form.residency))
