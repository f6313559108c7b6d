"""A frozen copy of the board for readers. Tokens, counts and log lines come from the loop."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from heapq import nsmallest

from ygg.core.board import Board, HostState, Running
from ygg.core.hosts import gates, limits, readings
from ygg.core.placement import kinds, links
from ygg.core.placement.ranking import rank
from ygg.model import (
    Counts,
    Device,
    GpuView,
    Head,
    HostHealth,
    HostView,
    Lane,
    Now,
    Priority,
    ReasonCode,
    RunningView,
    Snapshot,
    Streamed,
    Trust,
    WaitingView,
)
from ygg.telling import rates
from ygg.telling.explain import KEPT, pace, why_waiting

NEXT_UP = 20  #: waiting tasks shown with their reasons


def snapshot(
    board: Board,
    now: Now,
    *,
    epoch: int,
    started_ms: int,
    counts: Counts,
    streamed: Mapping[str, Streamed],
    past: Mapping[str, tuple[float, ...]],
    log: Iterable[str] = (),
) -> Snapshot:
    """Copy what readers may see. `streamed`: how far the running calls have come, by task id; `past`: what
    `rates.history` says, which costs too much for every frame."""
    running = tuple(_running(board, r, now, streamed) for r in board.running.values())
    per_minute = rates.per_minute(board.recent, now.wall_ms)
    queues = kinds.lengths(board)
    return Snapshot(
        at_ms=now.wall_ms,
        started_ms=started_ms,
        epoch=epoch,
        paused=board.paused,
        draining=board.draining,
        hosts=tuple(
            _with_rates(host_view(h, now), running, past, now.wall_ms) for h in board.hosts.values()
        ),
        running=running,
        waiting=_waiting(board, now),
        recent=tuple(board.recent),
        counts=counts,
        stale_ends=board.stale_ends,
        store_error=board.store_error,
        log=tuple(log),
        per_minute=per_minute,
        drain_ms=rates.drain_ms(counts, len(running), per_minute),
        gpu_waiting=queues.gpu,
        cpu_waiting=queues.cpu,
    )


def _with_rates(
    host: HostView,
    running: Iterable[RunningView],
    past: Mapping[str, tuple[float, ...]],
    at_ms: int,
) -> HostView:
    return replace(
        host,
        tokens_per_s=rates.tokens_per_s(host.name, running, at_ms),
        history=past.get(host.name, ()),
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
        loaded=_loaded(host),
        gpus=_gpus(host, now),
        limit_reason=host.limit_text,
        level=host.gauge.level.name if host.gauge.level is not None else None,
    )


def _loaded(host: HostState) -> tuple[str, ...] | None:
    """Models in memory on any of its servers; None when none of them tells."""
    told = any(s.loaded is not None for s in host.servers.values())
    return tuple(sorted(readings.loaded_models(host))) if told else None


def _gpus(host: HostState, now: Now) -> tuple[GpuView, ...]:
    """The newest reading card by card; none once it says nothing any more."""
    gauge = host.gauge
    trust = limits.trust(host, now)
    if gauge.reading is None or trust is Trust.UNKNOWN:
        return ()
    age, level = now.mono - gauge.at, gauge.level.name if gauge.level is not None else None
    return tuple(
        GpuView(
            index=d.index,
            name=d.name,
            used_mb=None if d.total_mb is None or d.free_mb is None else d.total_mb - d.free_mb,
            total_mb=d.total_mb,
            level=level,
            temperature_c=d.temperature_c,
            limit_c=_limit_c(d),
            power_w=d.power_w,
            age_s=round(age, 1),
            stale=trust is not Trust.FRESH,
            utilization=d.utilization,
        )
        for d in gauge.reading.devices
    )


def _limit_c(device: Device) -> float | None:
    """Where the card slows itself down, as it tells."""
    if device.max_c is not None or device.temperature_c is None or device.margin_c is None:
        return device.max_c
    return device.temperature_c + device.margin_c


_ORDER = (HostHealth.UNAUTHORIZED, HostHealth.DOWN, HostHealth.UNKNOWN, HostHealth.UP)


def _running(
    board: Board, running: Running, now: Now, streamed: Mapping[str, Streamed]
) -> RunningView:
    call = running.call
    host = board.hosts[call.candidate.host].host
    endpoint = next((e for e in host.endpoints if e.name == call.candidate.endpoint), None)
    limit = call.request.get("max_tokens")
    count, first = streamed.get(call.task.id, Streamed(0, None))
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
        tokens=count,
        max_tokens=limit if isinstance(limit, int) else None,
        first_ms=None if first is None else now.wall_ms - round((now.mono - first) * 1000),
    )


def _waiting(board: Board, now: Now) -> tuple[WaitingView, ...]:
    def key(head: Head) -> tuple[float, int]:
        return rank(head, board.policy)

    heads = nsmallest(NEXT_UP, board.where.values(), key=key)
    places = dict.fromkeys((h.lane, h.priority) for h in heads)
    lanes = {place: _Lane(board, *place, now) for place in places}
    views, before = [], list[_Lane]()
    for head in heads:
        lane = lanes[head.lane, head.priority]
        ahead = sum(lane is other or bool(lane.hosts & other.hosts) for other in before)
        before.append(lane)
        views.append(
            WaitingView(
                head.id,
                head.lane.type,
                head.priority,
                head.created_ms,
                lane.reason,
                lane.expected_ms(ahead),
            )
        )
    return tuple(views)


class _Lane:
    """What the waiting tasks of one lane and priority share."""

    def __init__(self, board: Board, lane: Lane, priority: Priority, now: Now) -> None:
        self.reason = why_waiting(board, lane, priority, now)
        self.hosts = {c.host for c in links.all_candidates(board, lane)}
        flows = self.reason.code in (ReasonCode.NEXT, ReasonCode.HOST_FULL, *KEPT)
        self._pace = pace(board, lane) if flows else None

    def expected_ms(self, ahead: int) -> int | None:
        return None if self._pace is None else self._pace.wait_ms(ahead)
