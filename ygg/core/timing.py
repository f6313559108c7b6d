"""What has become due, and when to look again.

Due are: failed store writes, the pass over due tasks, the safety-net poll, slots to give back and health
checks. `wake` asks for one Ticked at the earliest of them; an idle dispatcher wakes once per poll.
"""

from __future__ import annotations

from dataclasses import replace

from ygg.core import calls, watching
from ygg.core.board import Board
from ygg.core.effects import CheckHost, Effect, Finish, ListLanes, Promote, WakeAt
from ygg.core.hosts import gates, ghosts, limits, readings
from ygg.core.house import HostState
from ygg.core.placement import canaries, lanes, permits, residency
from ygg.model import Now


def due(board: Board, now: Now) -> list[Effect]:
    """Everything whose time has come."""
    effects: list[Effect] = []
    if board.store_retry_at is not None:
        if board.store_retry_at > now.mono:
            return effects
        effects += _store_again(board, now)
    if not board.hosts:
        return effects
    if not board.promoting and _promotion_at(board, now) <= now.mono:
        board.promoting = True
        effects.append(Promote())
    if board.poll_at <= now.mono:
        board.poll_at = now.mono + board.policy.poll_s
        board.all_changed()  # the safety net: whatever was missed is looked at again
        lanes.forget_idle(board)
        residency.forget(board)
        effects += [ListLanes(), *calls.compare(board), *watching.rest(board, now)]
    _passed(board, now)
    effects += readings.follow(board, now)
    effects += permits.overdue(board, now)
    effects += _due_hosts(board, now)
    effects += canaries.due(board, now)
    return effects


def clock_set(board: Board, by_ms: int) -> None:
    """What is remembered by wall-clock times is moved with them."""
    ends = [replace(end, at_ms=end.at_ms + by_ms) for end in board.recent]
    board.recent.clear()
    board.recent.extend(ends)
    board.next_due_ms, board.poll_at, board.retime = None, 0.0, True
    for server in (s for host in board.hosts.values() for s in host.servers.values()):
        if server.checked_ms is not None:
            server.checked_ms += by_ms


def _store_again(board: Board, now: Now) -> list[Effect]:
    """The pause after a store failure is over: write what was refused, then dispatch."""
    board.store_retry_at = None
    effects: list[Effect] = [Finish((end,)) for end in board.unwritten.values()]
    board.unwritten.clear()
    board.all_changed()
    return effects


def _passed(board: Board, now: Now) -> None:
    """Note the hosts that may take work again only because time has passed: pauses that are over, models
    that have stayed long enough, readings that were awaited too long."""
    for host, _ in board.changing:
        board.changed(host)
    for name, state in board.hosts.items():
        closed = len(board.open.get(name, ())) < len(state.servers)
        if closed and (_paused(state) or _waited(state, now)):
            board.changed(name)


def _paused(host: HostState) -> bool:
    return any(server.busy_until > 0 for server in host.servers.values())


def _waited(host: HostState, now: Now) -> bool:
    gauge = host.gauge
    return gauge.measured and gauge.at < gauge.asked and not limits.awaited(host, now)


def _promotion_at(board: Board, now: Now) -> float:
    """Monotonic time of the next pass over due times; the poll makes one too."""
    if board.next_due_ms is None:
        return board.poll_at
    return min(board.poll_at, now.mono + (board.next_due_ms - now.wall_ms) / 1000)


def _due_hosts(board: Board, now: Now) -> list[Effect]:
    effects: list[Effect] = []
    for name, host in board.hosts.items():
        if host.removed:
            continue
        for endpoint, server in host.servers.items():
            gates.calm(server, board.policy, now)
            if server.ghosts:
                effects += ghosts.due(board, host, endpoint, now)
            if not server.checking and server.check_at <= now.mono:
                server.checking = True
                effects.append(CheckHost(name, endpoint))
    return effects


def wake(board: Board, now: Now) -> list[Effect]:
    """WakeAt for the earliest thing to come, when it differs from the last one asked for."""
    board.retime = False
    times = [] if not board.hosts else [board.poll_at, _hosts_change(board, now)]
    times += [permits.next_change(board), canaries.next_change(board, now)]
    if board.store_retry_at is not None:
        times = [board.store_retry_at]
    elif board.next_due_ms is not None and not board.promoting:
        times.append(_promotion_at(board, now))
    at = max(now.mono, min(times, default=float("inf")))
    if at == float("inf") or at == board.wake_at:
        return []
    board.wake_at = at
    return [WakeAt(at)]


def _hosts_change(board: Board, now: Now) -> float:
    times = [float("inf")]
    for host in (h for h in board.hosts.values() if not h.removed):
        times.append(readings.next_change(host, now))
        for server in host.servers.values():
            if not server.checking:
                times.append(server.check_at)
            if server.ghosts:
                times.append(ghosts.next_change(server))
            if server.busy_until > now.mono:
                times.append(server.busy_until)
            elif server.busy_times and (calm := gates.calm_at(server, board.policy)) > now.mono:
                times.append(calm)
    return min(times)
