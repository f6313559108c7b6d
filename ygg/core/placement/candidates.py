"""Where the tasks of a lane may run by configuration.

The candidates are the route of the type, narrowed by the task's pins and to the servers that are there for such tasks.
A pin to a host or model outside the route is honoured with whatever the configuration has there, and sound goes to
whoever takes it where no server of the route does. The kind of host that the task wants
comes first, in the order of the route within one kind.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from ygg.core.board import Board, LaneState
from ygg.model import Candidate, GpuNeed, Host, Lane, Service, TaskType, names

GENERAL = "general"

#: The kinds of host that may run a task, the wanted one first.
KINDS = {
    GpuNeed.REQUIRED: ("gpu",),
    GpuNeed.PREFERRED: ("gpu", "cpu"),
    GpuNeed.UNNEEDED: ("cpu", "gpu"),
    GpuNeed.NEVER: ("cpu",),
}


def type_of(board: Board, name: str) -> TaskType | None:
    """The task type of that name; an unknown one runs as `general` and keeps its name."""
    return board.types.get(name) or board.types.get(GENERAL)


def of_lane(board: Board, lane: Lane) -> tuple[Candidate, ...]:
    """Every candidate of the lane by configuration, refused ones included."""
    hosts = {name: h.host for name, h in board.hosts.items()}
    return configured(type_of(board, lane.type), hosts, lane)


def wanted_kind(state: LaneState) -> str:
    """The kind of host its tasks want: `gpu` or `cpu`."""
    return state.reach.kind or KINDS[state.lane.gpu][0]


def configured(
    task_type: TaskType | None, hosts: Mapping[str, Host], lane: Lane
) -> tuple[Candidate, ...]:
    """The candidates of a lane whose tasks are of this type."""
    route = task_type.route if task_type else ()
    named = {name: host for name, host in hosts.items() if lane.host in (None, name)}
    found = tuple(c for c in route if c.host in named and _takes(named[c.host], lane, c))
    kinds = KINDS[lane.gpu]
    allowed = _by_kind(hosts, found, kinds)
    if not allowed and (_pinned(lane) or lane.service is not Service.TEXT):
        outside = (c for host in named.values() for c in _on_host(host, lane))
        allowed = _by_kind(hosts, outside, kinds)
    return allowed


def _by_kind(
    hosts: Mapping[str, Host], found: Iterable[Candidate], kinds: tuple[str, ...]
) -> tuple[Candidate, ...]:
    """Those on these kinds of host, the first kind first."""
    by_kind: dict[str, list[Candidate]] = {kind: [] for kind in kinds}
    for candidate in found:
        kind = hosts[candidate.host].kind_of(candidate.endpoint)
        if kind in by_kind:
            by_kind[kind].append(candidate)
    return tuple(c for kind in kinds for c in by_kind[kind])


def _pinned(lane: Lane) -> bool:
    return (lane.host or lane.model) is not None


def _takes(host: Host, lane: Lane, candidate: Candidate) -> bool:
    """Whether the endpoint is there for such tasks, and the lane's pin to a model, however it is spelled, allows
    this candidate."""
    endpoint = next(e for e in host.endpoints if e.name == candidate.endpoint)
    if lane.service not in endpoint.serves:
        return False
    return lane.model is None or names.own(endpoint, lane.model) == candidate.model


def _on_host(host: Host, lane: Lane) -> Iterator[Candidate]:
    """Candidates outside the route: every endpoint that lists the pinned model, or by default the first model of each
    endpoint."""
    model = lane.model
    for endpoint in host.endpoints:
        if lane.service not in endpoint.serves:
            continue
        models = endpoint.models or host.models
        if model is None:
            yield Candidate(host.name, endpoint.name, models[0] if models else "")
        elif (own := names.own(endpoint, model)) in models or not models:
            yield Candidate(host.name, endpoint.name, own)
