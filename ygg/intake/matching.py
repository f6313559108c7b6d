"""What a document asks for against what hosts.yaml has: type, host, model, kind of host.

A task that no host could ever run is refused here: it would wait for ever.
"""

from __future__ import annotations

import difflib

from ygg.config import Config
from ygg.core.placement.candidates import configured
from ygg.core.placement.kinds import needed
from ygg.errors import InvalidInput
from ygg.intake.schemas import Submission
from ygg.model import GpuNeed, Lane


def lane_of(asked: Submission, config: Config, caller: str) -> Lane:
    """Where the task may run. InvalidInput when a pin or a need leads nowhere."""
    kind = asked.type or config.detect_type(asked.labels, asked.title)
    _known(asked.host, config)
    need = needed(
        asked.gpu or config.type_of(kind).gpu, asked.content_type, config.policy.gpu_content_types
    )
    lane = Lane(kind, asked.host, asked.model, need, caller)
    _served(lane, config)
    return lane


def _known(host: str | None, config: Config) -> None:
    if host is not None and host not in config.hosts:
        near = difflib.get_close_matches(host, config.hosts, n=1)
        hint = f"did you mean {near[0]}?" if near else f"hosts: {', '.join(config.hosts)}"
        raise InvalidInput(f"host: no host {host!r} in the configuration", hint=hint)


def _served(lane: Lane, config: Config) -> None:
    """A kind of host that is needed must be able to run it."""
    wanted = {GpuNeed.REQUIRED: "gpu", GpuNeed.NEVER: "cpu"}.get(lane.gpu)
    if wanted is None or configured(config.type_of(lane.type), config.hosts, lane):
        return
    pins = [f"with {lane.model}"] if lane.model else []
    pins += [f"on {lane.host}"] if lane.host else []
    what = " ".join([f"type {lane.type}", *pins])
    named = [name for name, host in config.hosts.items() if host.kind == wanted]
    hint = f"{wanted.upper()} hosts: {', '.join(named) or 'none in hosts.yaml'}"
    raise InvalidInput(f"gpu: {lane.gpu}, but no {wanted.upper()} host runs {what}", hint=hint)
