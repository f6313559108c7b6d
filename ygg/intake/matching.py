"""What a document asks for against what hosts.yaml has: type, host, model, kind of host.

A task that no host could ever run is refused here: it would wait for ever.
"""

from __future__ import annotations

import difflib
from dataclasses import replace
from functools import lru_cache

from ygg.config import GENERAL, Config
from ygg.core.placement.candidates import configured
from ygg.core.placement.kinds import needed
from ygg.errors import InvalidInput
from ygg.intake.schemas import Submission
from ygg.model import GpuNeed, Lane, Service


def lane_of(asked: Submission, config: Config, caller: str) -> Lane:
    """Where the task may run. InvalidInput when a pin or a need leads nowhere."""
    kind = asked.type or config.detect_type(asked.labels, asked.title)
    does = asked.does.service
    return _lane(config, kind, asked.host, asked.model, asked.gpu, asked.content_type, caller, does)


@lru_cache(1024)  # of a thousand documents most ask for the same
def _lane(
    config: Config, kind: str, host: str | None, model: str | None, gpu: str | None,
    content_type: str | None, caller: str, service: Service,
) -> Lane:  # fmt: skip
    _known(host, config)
    need = needed(gpu or config.type_of(kind).gpu, content_type, config.policy.gpu_content_types)
    lane = Lane(kind, host, model, need, caller, service=service)
    _served(lane, config)
    return lane


def doubt(kind: str, config: Config) -> str | None:
    """What to tell whoever names a type that hosts.yaml does not have: it is taken, but may be a slip."""
    if kind in config.types:
        return None
    near = difflib.get_close_matches(kind, config.types, n=1)
    known = f"did you mean {near[0]}?" if near else f"types: {', '.join(config.types)}"
    return f"no task type {kind!r} in the configuration, it runs as {GENERAL}: {known}"


def _known(host: str | None, config: Config) -> None:
    if host is not None and host not in config.hosts:
        near = difflib.get_close_matches(host, config.hosts, n=1)
        hint = f"did you mean {near[0]}?" if near else f"hosts: {', '.join(config.hosts)}"
        raise InvalidInput(f"host: no host {host!r} in the configuration", hint=hint)


def _served(lane: Lane, config: Config) -> None:
    """Some host, of the kind that is needed, must be able to run it."""
    kind = config.type_of(lane.type)
    if configured(kind, config.hosts, lane):
        return
    anywhere = replace(lane, gpu=GpuNeed.PREFERRED)
    if configured(kind, config.hosts, anywhere):
        raise _no_kind(lane, config)
    if lane.model is not None:
        raise _no_model(lane, config)
    raise _no_service(lane, config)


def _no_kind(lane: Lane, config: Config) -> InvalidInput:
    wanted = "cpu" if lane.gpu is GpuNeed.NEVER else "gpu"
    pins = [f"with {lane.model}"] if lane.model else []
    pins += [f"on {lane.host}"] if lane.host else []
    what = " ".join([f"type {lane.type}", *pins])
    named = [
        name
        for name, host in config.hosts.items()
        if any(host.kind_of(e.name) == wanted for e in host.endpoints)
    ]
    hint = f"{wanted.upper()} hosts: {', '.join(named) or 'none in hosts.yaml'}"
    text = f"gpu: {lane.gpu}, but no {wanted.upper()} host runs {what}"
    return InvalidInput(text, hint=hint)


def _no_service(lane: Lane, config: Config) -> InvalidInput:
    there = [
        name
        for name, host in config.hosts.items()
        if any(lane.service in e.serves for e in host.endpoints)
    ]
    where = f"type {lane.type}" if lane.host is None else f"host {lane.host}"
    hint = f"hosts that do: {', '.join(there) or 'none in hosts.yaml'}"
    return InvalidInput(f"no server of {where} serves {lane.service}", hint=hint)


def _no_model(lane: Lane, config: Config) -> InvalidInput:
    model, host, service = lane.model or "", lane.host, lane.service
    places = [h for h in config.hosts.values() if host in (None, h.name)]
    servers = [e for h in places for e in h.endpoints if service in e.serves]
    models = list(dict.fromkeys(m for e in servers for m in e.models))
    near = difflib.get_close_matches(model, models, n=1)
    hint = f"did you mean {near[0]}?" if near else f"models: {', '.join(models)}"
    where = "no host" if host is None else f"host {host}"
    has = "has" if host is None else "does not have"
    return InvalidInput(f"model: {where} {has} {model!r}", hint=hint)
