"""A frozen copy of the board for readers. Tokens, counts and log lines come from the loop."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from ygg.core.board import Board, CallState, Try
from ygg.core.hosts import gates, ghosts, limits, lowered, models, sickness
from ygg.core.house import HostState, Server
from ygg.core.placement import kinds, turns
from ygg.core.placement.ranking import rank
from ygg.core.placement.rounds import Round
from ygg.model import (
    Counts,
    Device,
    Endpoint,
    EndpointView,
    GpuView,
    HeatRule,
    HostHealth,
    HostView,
    Lane,
    LogView,
    Now,
    RunningView,
    Scheduled,
    SickView,
    Snapshot,
    Trust,
    WaitingView,
)
from ygg.telling import rates
from ygg.telling.explain import why_scheduled, why_waiting
from ygg.telling.pacing import Plan
from ygg.telling.working import Worked

NEXT_UP = 40  #: waiting tasks shown with their reasons


def snapshot(
    board: Board,
    now: Now,
    *,
    epoch: int,
    started_ms: int,
    counts: Counts,
    streamed: Mapping[str, int],
    scheduled: Iterable[Scheduled] = (),
    worked: Worked | None = None,
    log: Iterable[LogView] = (),
    config_error: str | None = None,
    exposed: str | None = None,
    notify_error: str | None = None,
    uncounted: str | None = None,
    cut_off_ms: int | None = None,
) -> Snapshot:
    """Copy what readers may see. `streamed`: pieces that the running calls have streamed, by task id; `worked`: what is
    worked out already, kept from one snapshot to the next; `uncounted`: why the counts are of some time ago."""
    worked = worked or Worked()
    calls = [_running(board, c, t, now, streamed) for c in board.running for t in c.tries.values()]
    worked.renew(board, calls, now)
    plan = worked.plan(board, now)
    running = tuple(replace(run, progress=worked.progress(run)) for run in calls)
    worked.told(running)
    queues = kinds.lengths(Round(board, now))
    return Snapshot(
        at_ms=now.wall_ms,
        started_ms=started_ms,
        epoch=epoch,
        paused=board.paused,
        draining=board.stopping,
        hosts=tuple(_with_rates(h, running, worked, now.wall_ms) for h in host_views(board, now)),
        running=running,
        waiting=_waiting(board, now, plan),
        recent=tuple(board.recent),
        counts=counts,
        stale_ends=board.stale_ends,
        store_error=board.store_error or uncounted,
        config_error=config_error,
        exposed=exposed,
        notify_error=notify_error,
        log=tuple(log),
        per_minute=rates.per_minute(board.recent, running, now.wall_ms),
        drain_ms=plan.drain_ms,
        gpu_waiting=queues.gpu,
        cpu_waiting=queues.cpu,
        scheduled=tuple(_scheduled(task) for task in scheduled),
        cut_off_ms=cut_off_ms,
    )


def _with_rates(
    host: HostView, running: Iterable[RunningView], worked: Worked, at_ms: int
) -> HostView:
    return replace(
        host,
        tokens_per_s=rates.tokens_per_s(host.name, running, at_ms),
        history=worked.history.get(host.name, ()),
        trend=worked.trend(host.name),
    )


def host_views(board: Board, now: Now) -> tuple[HostView, ...]:
    """Every host, without what is streamed there."""
    return tuple(
        host_view(h, (task for call in h.grants for task in board.calls[call].tries), now)
        for h in board.hosts.values()
    )


def host_view(host: HostState, running: Iterable[str], now: Now) -> HostView:
    """One host as readers see it. `running`: ids of the tasks of its calls."""
    servers = host.servers
    worst = min(servers.values(), key=lambda s: _ORDER.index(s.health))
    pauses = [_pause_ends(s, now) for s in servers.values()]
    info = worst.info
    return HostView(
        name=host.host.name,
        kind=host.host.kind,
        slots=host.host.slots,
        limit=gates.limit(host),
        free=gates.free(host, now),
        running=tuple(sorted(running)),
        health=worst.health,
        health_text=worst.text,
        drained=host.drained,
        busy_until_ms=None if None in pauses else min(p for p in pauses if p is not None),
        checked_ms=worst.checked_ms,
        latency_ms=info.latency_ms if info else None,
        version=info.version if info else None,
        backend="+".join(e.backend for e in host.host.endpoints),
        models=info.models if info and info.models is not None else host.host.models,
        loaded=_loaded(host),
        gpus=_gpus(host, now),
        limit_reason=lowered.told(host, now),
        limit_cause=lowered.cause(host, now),
        ghosts=ghosts.width(*servers.values()),
        level=host.condition.level.name if host.condition.level is not None else None,
        sick=_sick(host, now),
        endpoints=tuple(_endpoint(host, e, now) for e in host.host.endpoints if e.name in servers),
        heat_c=_heat(host.host.heat),
        ask_at_ms=_asked_again(worst, now) if worst.open else None,
    )


def _endpoint(host: HostState, endpoint: Endpoint, now: Now) -> EndpointView:
    server = host.servers[endpoint.name]
    return EndpointView(
        endpoint.name,
        host.host.kind_of(endpoint.name),
        endpoint.slots or host.host.slots,
        gates.room(host, server),
        server.busy,
        server.health,
        server.text,
        gates.free_of(host, server, now),
        _pause_ends(server, now),
    )


def _pause_ends(server: Server, now: Now) -> int | None:
    """When a server that said it is busy is asked again."""
    left_s = server.busy_until - now.mono
    return now.wall_ms + round(left_s * 1000) if left_s > 0 else None


def _sick(host: HostState, now: Now) -> tuple[SickView, ...]:
    return tuple(
        SickView(
            endpoint,
            model,
            proof.sick,
            now.wall_ms + round(max(0.0, proof.ask_at - now.mono) * 1000),
        )
        for endpoint, server in host.servers.items()
        for model, proof in sickness.sick(server).items()
    )


def _loaded(host: HostState) -> tuple[str, ...] | None:
    """Models in memory on any of its servers; None when none of them tells."""
    told = any(s.loaded is not None for s in host.servers.values())
    return tuple(sorted(models.loaded(host))) if told else None


def _gpus(host: HostState, now: Now) -> tuple[GpuView, ...]:
    """The newest reading card by card; none once it says nothing any more."""
    gauge = host.gauge
    trust = limits.trust(host, now)
    if gauge.reading is None or trust is Trust.UNKNOWN:
        return ()
    level = host.condition.level.name if host.condition.level is not None else None
    age = now.mono - gauge.at
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
            error=d.error,
            uuid=d.uuid,
        )
        for d in gauge.reading.devices
    )


def _asked_again(server: Server, now: Now) -> int:
    return now.wall_ms + round(max(0.0, server.check_at - now.mono) * 1000)


def _heat(rule: HeatRule) -> tuple[float, float, float] | None:
    return None if rule.mode == "card" else (rule.normal, rule.throttle, rule.stop)


def _limit_c(device: Device) -> float | None:
    """Where the card slows itself down, as it tells."""
    if device.max_c is not None or device.temperature_c is None or device.margin_c is None:
        return device.max_c
    return device.temperature_c + device.margin_c


_ORDER = (HostHealth.UNAUTHORIZED, HostHealth.DOWN, HostHealth.UNKNOWN, HostHealth.UP)


def _running(
    board: Board, call: CallState, attempt: Try, now: Now, streamed: Mapping[str, int]
) -> RunningView:
    task, sent = attempt.task, call.call
    assert task is not None
    assert sent is not None
    endpoint = models.endpoint_of(board.hosts[call.candidate.host], call.candidate.endpoint)
    limit = next(a.request.get("max_tokens") for a in sent.attempts if a.task.id == task.id)
    return RunningView(
        task_id=task.id,
        attempt=task.attempt,
        type=task.lane.type,
        title=task.title,
        priority=task.priority,
        host=call.candidate.host,
        model=call.candidate.model,
        backend=(endpoint.dialect or endpoint.backend) if endpoint else "",
        started_ms=_wall_ms(call.started, now),
        timeout_s=sent.limits.total_s,
        tokens=streamed.get(task.id, 0),
        max_tokens=limit if isinstance(limit, int) else None,
        endpoint=call.candidate.endpoint
        if len(board.hosts[call.candidate.host].servers) > 1
        else "",
        first_ms=None if call.answered is None else _wall_ms(call.answered, now),
    )


def _wall_ms(mono: float, now: Now) -> int:
    return now.wall_ms - round((now.mono - mono) * 1000)


def _waiting(board: Board, now: Now, plan: Plan) -> tuple[WaitingView, ...]:
    heads = turns.next_up(board, now, NEXT_UP)
    places = dict.fromkeys((h.lane, h.priority) for h in heads)
    best = {(h.lane, h.priority): rank(h, board.policy) for h in reversed(heads)}
    lanes = {
        (lane, priority): _Lane(
            Round(board, now, priority, best[lane, priority], lane.caller), lane
        )
        for lane, priority in places
    }
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
                plan.wait_ms(head.lane, head.priority, ahead),
                head.title,
            )
        )
    return tuple(views)


def _scheduled(task: Scheduled) -> WaitingView:
    return WaitingView(
        task.id, task.type, task.priority, task.created_ms, why_scheduled(task),
        title=task.title, due_ms=task.due_ms,
    )  # fmt: skip


class _Lane:
    """What the waiting tasks of one lane and priority share."""

    def __init__(self, turn: Round, lane: Lane) -> None:
        state = turn.board.lanes[lane]
        self.reason, self.hosts = why_waiting(turn, state), state.reach.hosts
