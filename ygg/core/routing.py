"""Where a task may run, and which of those places takes it now.

The candidates of a lane are its type's route, narrowed by the task's pins; a pin to a host or model
outside the route is honoured with whatever the configuration has there. Candidates that refused the
task (unknown model, context too long) are out for good; one where it has just failed is used only
when no other is up. First usable candidate in route order wins.
"""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from dataclasses import replace

from ygg.core import gates
from ygg.core.state import State
from ygg.model import (
    Call,
    CallLimits,
    Candidate,
    GpuNeed,
    Host,
    Lane,
    Now,
    Policy,
    Reason,
    ReasonCode,
    Task,
    TaskType,
)

GENERAL = "general"


def type_of(state: State, name: str) -> TaskType | None:
    """The task type of that name; an unknown one runs as `general` and keeps its name."""
    return state.types.get(name) or state.types.get(GENERAL)


def all_candidates(state: State, lane: Lane) -> tuple[Candidate, ...]:
    """Every candidate of the lane by configuration, refused ones included; cached per lane."""
    found = state.routes.get(lane)
    if found is None:
        found = state.routes[lane] = _candidates(state, lane)
    return found


def _candidates(state: State, lane: Lane) -> tuple[Candidate, ...]:
    kind = type_of(state, lane.type)
    route = kind.route if kind else ()
    serving = {name for name, h in state.hosts.items() if _serves(h.host, lane)}
    fitting = tuple(c for c in route if c.host in serving and lane.model in (None, c.model))
    if fitting or (lane.host is None and lane.model is None):
        return fitting
    hosts = (h.host for name, h in state.hosts.items() if name in serving)
    return tuple(c for host in hosts for c in _on_host(host, lane.model))


def _serves(host: Host, lane: Lane) -> bool:
    """Whether the lane's pins to a host and to a kind of host allow this one."""
    kinds = {GpuNeed.REQUIRED: ("gpu",), GpuNeed.NEVER: ("cpu",)}.get(lane.gpu, ("gpu", "cpu"))
    return lane.host in (None, host.name) and host.kind in kinds


def _on_host(host: Host, model: str | None) -> Iterator[Candidate]:
    """A pinned host or model outside the route: every endpoint that lists the model, or by default
    the first model of each endpoint."""
    for endpoint in host.endpoints:
        models = endpoint.models or host.models
        if model is None:
            yield Candidate(host.name, endpoint.name, models[0] if models else "")
        elif model in models or not models:
            yield Candidate(host.name, endpoint.name, model)


def candidates(state: State, lane: Lane) -> tuple[Candidate, ...]:
    """The candidates that have not refused the task, best first, avoided ones last or left out."""
    allowed = tuple(c for c in all_candidates(state, lane) if c.key not in lane.refused)
    if not lane.avoid:
        return allowed
    fresh = tuple(c for c in allowed if c.key not in lane.avoid)
    return fresh if any(gates.up(state, c) for c in fresh) else allowed


def choose(
    state: State, lane: Lane, now: Now, held: AbstractSet[str] = frozenset()
) -> Candidate | None:
    """The first candidate that takes a call now; `held` hosts are kept for better tasks."""
    for candidate in candidates(state, lane):
        if candidate.host not in held and gates.obstacle(state, candidate, now) is None:
            return candidate
    return None


def chosen_reason(state: State, lane: Lane, choice: Candidate, now: Now) -> Reason:
    """Why it went there: every better candidate with its obstacle."""
    passed: list[str] = []
    for candidate in all_candidates(state, lane):
        if candidate == choice:
            break
        obstacle = reject_reason(state, lane, candidate, now)
        passed.append(obstacle.text if obstacle else f"{candidate.host} passed over")
    where = f"{choice.host} {choice.model}".rstrip()
    text = f"{where}; {'; '.join(passed)}" if passed else f"{where}: first choice"
    return Reason(ReasonCode.CHOSEN, text, choice.host)


def reject_reason(state: State, lane: Lane, candidate: Candidate, now: Now) -> Reason | None:
    """Why this candidate does not take a task of the lane now."""
    if candidate.key in lane.refused:
        text = f"{candidate.host} refused it with {candidate.model or 'its model'}"
        return Reason(ReasonCode.CANDIDATE_REFUSED, text, candidate.host)
    if candidate.key in lane.avoid and candidate not in candidates(state, lane):
        text = f"{candidate.host} has just failed it"
        return Reason(ReasonCode.CANDIDATE_AVOIDED, text, candidate.host)
    return gates.obstacle(state, candidate, now)


def build_call(state: State, task: Task, candidate: Candidate) -> Call:
    """The call for a claimed task: its request over its type's system prompt and options."""
    kind = type_of(state, task.lane.type)
    request = dict(task.request)
    if kind is not None:
        request["options"] = {**kind.options, **request.get("options", {})}
        if kind.system is not None:
            request.setdefault("system", kind.system)
    return Call(task, candidate, request, _limits(task, kind, state.policy))


def _limits(task: Task, kind: TaskType | None, policy: Policy) -> CallLimits:
    total = task.timeout_s or (kind.timeout_s if kind else policy.timeout_s)
    return CallLimits(
        policy.connect_s, policy.first_token_s, policy.between_tokens_s, total, task.deadline_ms
    )


def settled_lane(lane: Lane) -> Lane:
    """The lane once the task may go anywhere again that did not refuse it."""
    return replace(lane, avoid=()) if lane.avoid else lane
