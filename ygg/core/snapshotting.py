"""A frozen copy of the state for readers. Tokens, counts and log lines come from the loop."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from heapq import nsmallest

from ygg.core import gates
from ygg.core.explain import why_waiting
from ygg.core.ranking import rank
from ygg.core.state import HostState, Running, State
from ygg.model import (
    Counts,
    Head,
    HostHealth,
    HostView,
    Now,
    RunningView,
    Snapshot,
    WaitingView,
)

NEXT_UP = 20  #: waiting tasks shown with their reasons


def snapshot(
    state: State,
    now: Now,
    *,
    epoch: int,
    started_ms: int,
    counts: Counts,
    tokens: Mapping[str, int],
    log: Iterable[str] = (),
) -> Snapshot:
    """Copy what readers may see. `tokens`: pieces streamed so far, by task id."""
    return Snapshot(
        at_ms=now.wall_ms,
        started_ms=started_ms,
        epoch=epoch,
        paused=state.paused,
        draining=state.draining,
        hosts=tuple(host_view(h, now) for h in state.hosts.values()),
        running=tuple(_running(state, r, now, tokens) for r in state.running.values()),
        waiting=_waiting(state, now),
        recent=tuple(state.recent),
        counts=counts,
        stale_ends=state.stale_ends,
        store_error=state.store_error,
        log=tuple(log),
    )


def host_view(host: HostState, now: Now) -> HostView:
    """One host as readers see it."""
    servers = host.servers
    worst = min(servers.values(), key=lambda s: _ORDER.index(s.health))
    pauses = [s.busy_until for s in servers.values() if s.busy_until > now.mono]
    info = worst.info
    return HostView(
        name=host.host.name,
        kind=host.host.kind,
        slots=host.host.slots,
        limit=gates.limit(host),
        running=tuple(sorted(host.busy)),
        health=worst.health,
        health_text=worst.text,
        drained=host.drained,
        busy_until_ms=now.wall_ms + round((max(pauses) - now.mono) * 1000) if pauses else None,
        checked_ms=worst.checked_ms,
        latency_ms=info.latency_ms if info else None,
        version=info.version if info else None,
        backend="+".join(e.backend for e in host.host.endpoints),
        models=info.models if info and info.models is not None else host.host.models,
    )


_ORDER = (HostHealth.UNAUTHORIZED, HostHealth.DOWN, HostHealth.UNKNOWN, HostHealth.UP)


def _running(state: State, running: Running, now: Now, tokens: Mapping[str, int]) -> RunningView:
    call = running.call
    host = state.hosts[call.candidate.host].host
    endpoint = next((e for e in host.endpoints if e.name == call.candidate.endpoint), None)
    limit = call.request.get("max_tokens")
    return RunningView(
        task_id=call.task.id,
        attempt=call.task.attempt,
        type=call.task.lane.type,
        title=call.task.title,
        priority=call.task.priority,
        host=call.candidate.host,
        model=call.candidate.model,
        backend=endpoint.backend if endpoint else "",
        started_ms=now.wall_ms - round((now.mono - running.started) * 1000),
        timeout_s=call.limits.total_s,
        tokens=tokens.get(call.task.id, 0),
        max_tokens=limit if isinstance(limit, int) else None,
    )


def _waiting(state: State, now: Now) -> tuple[WaitingView, ...]:
    def key(head: Head) -> tuple[float, int]:
        return rank(head, state.policy)

    heads = nsmallest(NEXT_UP, state.where.values(), key=key)
    reasons = {h.lane: why_waiting(state, h.lane, now) for h in heads}
    return tuple(
        WaitingView(h.id, h.lane.type, h.priority, h.created_ms, reasons[h.lane]) for h in heads
    )
