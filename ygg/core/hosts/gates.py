"""When a host may take one more call, and what its servers' answers do to that.

The gate of a host is its limit (`limits`): the configured slots, less what heat, memory, lost readings
or an out-of-memory answer withdrew. Inside it each server has slots of its own: a call passes both. On top of
them each server has a breaker (down,
unauthorised: closed again only by a good health check, tried after 1, 2, 4 … 60 s; the pause starts over
when a call has completed or two checks in a row were good) and a busy gate (429, 503, out of memory: no
start before `busy_until`, then one call at a time until one completes or `regain_slot_s` have passed).
A sick host is charged here, never its tasks.
"""

from __future__ import annotations

from typing import NamedTuple

from ygg.core.board import Board
from ygg.core.hosts import ghosts, limits, lowered, sickness
from ygg.core.house import HostState, Server
from ygg.model import (
    Candidate,
    Health,
    HostHealth,
    JsonDict,
    Now,
    Outcome,
    OutcomeKind,
    Policy,
    Reason,
    ReasonCode,
    because,
)

_DOWN = {
    OutcomeKind.UNREACHABLE: HostHealth.DOWN,
    OutcomeKind.UNAUTHORIZED: HostHealth.UNAUTHORIZED,
}


class Taken(NamedTuple):
    """Slots that a call cannot have: of its host, and of its endpoint."""

    host: int
    endpoint: int


def limit(host: HostState) -> int:
    """Slots the host has now."""
    if len(host.servers) != 1:
        return host.limit
    (server,) = host.servers.values()
    return room(host, server)


def room(host: HostState, server: Server) -> int:
    """Slots one of its servers has now."""
    own = host.limit if server.slots is None else min(host.limit, server.slots)
    return min(own, 1) if server.busy_times else own


def free(host: HostState, now: Now) -> int:
    """Slots open for a new call now, as far as no reading is awaited."""
    servers = sum(free_of(host, server, now) for server in host.servers.values())
    return min(servers, max(0, limit(host) - host.busy))


def free_of(host: HostState, server: Server, now: Now) -> int:
    """The same of one of its servers, what the others have taken aside."""
    if host.drained or server.open or server.busy_until > now.mono:
        return 0
    return max(0, room(host, server) - server.busy)


def stopped(host: HostState) -> bool:
    """Whether its readings allow no start at all."""
    return host.gauge.measured and host.limit == 0


def up(board: Board, candidate: Candidate, now: Now) -> bool:
    """Whether the candidate could take work, slots aside."""
    host = board.hosts.get(candidate.host)
    server = host.servers.get(candidate.endpoint) if host else None
    if host is None or server is None or host.drained or stopped(host) or server.open:
        return False
    return sickness.obstacle(host, candidate, now) is None


def obstacle(host: HostState | None, candidate: Candidate, taken: Taken, now: Now) -> Reason | None:
    """Why the candidate takes no call at this moment, so many slots being taken; None when it does."""
    name = candidate.host
    if host is None or candidate.endpoint not in host.servers:
        return because(ReasonCode.NO_HOST, name)
    if host.drained:
        return because(ReasonCode.HOST_DRAINED, name)
    server = host.servers[candidate.endpoint]
    if server.open:
        return _down_reason(name, server, now)
    if server.busy_until > now.mono:
        until_ms = _wall(server.busy_until, now)
        return because(ReasonCode.HOST_BUSY, name, until_ms, message=server.text)
    if limits.awaited(host, now):
        return because(ReasonCode.MEASURING, name)
    if len(host.servers) > 1 and not stopped(host) and taken.endpoint >= room(host, server):
        return _endpoint_full(host, candidate, server, taken.endpoint, now)
    return _full(host, taken.host, now) if taken.host >= limit(host) else None


def _endpoint_full(
    host: HostState, candidate: Candidate, server: Server, busy: int, now: Now
) -> Reason:
    most = room(host, server)
    if busy - ghosts.width(server) < most:
        return ghosts.reason(host, now)
    facts: JsonDict = {"busy": busy, "limit": most, "slots": server.slots or most}
    facts |= {"why": server.text if server.busy_times else "", "endpoint": candidate.endpoint}
    return because(ReasonCode.HOST_FULL, candidate.host, **facts)


def _full(host: HostState, busy: int, now: Now) -> Reason:
    """No slot is open: none is allowed, all are busy, or calls that were cut off have not left."""
    name, condition = host.host.name, host.condition
    if stopped(host):
        code = ReasonCode.HOST_HOT if condition.hot else ReasonCode.HOST_PRESSED
        code = code if condition.hot or condition.full else ReasonCode.LIMIT
        return because(code, name, lowered.until_ms(host, now), why=lowered.told(host, now))
    if busy - ghosts.width(*host.servers.values()) < limit(host):
        return ghosts.reason(host, now)
    facts: JsonDict = {"busy": busy, "limit": limit(host), "slots": host.host.slots}
    facts["why"] = lowered.told(host, now)
    return because(ReasonCode.HOST_FULL, name, **facts)


def _down_reason(name: str, server: Server, now: Now) -> Reason:
    down = server.health is HostHealth.DOWN
    code = ReasonCode.HOST_DOWN if down else ReasonCode.HOST_UNAUTHORIZED
    return because(code, name, _wall(server.check_at, now), message=server.text)


def _wall(at: float, now: Now) -> int:
    return now.wall_ms + round((at - now.mono) * 1000)


# --- what answers do ------------------------------------------------------------------------------


def learn(board: Board, candidate: Candidate, outcome: Outcome, now: Now) -> Reason | None:
    """Learn from the end of a call; the reason when it changed what the host may do."""
    host = board.hosts.get(candidate.host)
    server = host.servers.get(candidate.endpoint) if host else None
    if host is None or server is None:
        return None
    kind = outcome.kind
    board.retime |= kind is not OutcomeKind.COMPLETED
    if kind in _DOWN:
        return _open(server, _DOWN[kind], outcome.message, candidate.host, board.policy, now)
    if kind in (OutcomeKind.BUSY, OutcomeKind.OUT_OF_MEMORY):
        return _pause(host, server, outcome, board.policy, now)
    if kind is OutcomeKind.COMPLETED:
        server.busy_times, server.retry_s = 0, 0.0
        _alive(server, board.policy, now)
    return None


def checked(board: Board, name: str, endpoint: str, health: Health, now: Now) -> Reason | None:
    """Learn from a health check; the reason when the host came up or went down."""
    host = board.hosts.get(name)
    server = host.servers.get(endpoint) if host else None
    if server is None:
        return None
    server.checking, board.retime = False, True
    if health.health is HostHealth.UNKNOWN:  # it could not be asked, which is no fault of its own
        server.check_at = now.mono + board.policy.probe_max_s
        return None
    if health.health is not HostHealth.UP:
        return _open(server, health.health, health.message, name, board.policy, now)
    was = server.health
    server.info = health
    if server.busy_until <= now.mono:
        server.text = ""  # else it says why the server asked for a pause
    _alive(server, board.policy, now)
    if was is HostHealth.UP:  # twice in a row: not one that only says so between failing calls
        server.retry_s = 0.0
    if was is HostHealth.UP:
        return None
    return because(ReasonCode.HOST_UP, name)


def _alive(server: Server, policy: Policy, now: Now) -> None:
    server.health = HostHealth.UP
    server.checked, server.checked_ms = now.mono, now.wall_ms
    server.check_at = now.mono + policy.check_every_s


def _open(
    server: Server, health: HostHealth, text: str, name: str, policy: Policy, now: Now
) -> Reason | None:
    """Open the breaker, or wait longer before the next probe of one that is open."""
    news = server.health is not health
    if server.open and server.check_at > now.mono:
        server.text = text
        return None
    server.health, server.text = health, text
    server.checked, server.checked_ms = now.mono, now.wall_ms
    server.retry_s = min(policy.probe_max_s, max(policy.probe_min_s, 2 * server.retry_s))
    server.check_at = now.mono + server.retry_s
    return _down_reason(name, server, now) if news else None


def _pause(
    host: HostState, server: Server, outcome: Outcome, policy: Policy, now: Now
) -> Reason | None:
    server.busy_times += 1
    server.text = outcome.message
    pause = asked_s(outcome, policy)
    if pause is None:
        pause = min(policy.probe_max_s, policy.probe_min_s * 2.0 ** (server.busy_times - 1))
    server.busy_until = max(server.busy_until, now.mono + pause)
    if outcome.kind is not OutcomeKind.OUT_OF_MEMORY:
        return None
    before = host.limit
    taken = limits.withdraw(host, policy, now, "out of memory")
    return lowered.moved(host, before, now) if taken else None


def asked_s(outcome: Outcome, policy: Policy) -> float | None:
    """The pause that a server has asked for, in seconds; None where it says none, or one that is over."""
    said = outcome.retry_after_s
    return max(said, policy.probe_min_s) if said else None


def resume(host: HostState, now: Now) -> None:
    """A person says that the host may be tried: one call at a time until one completes, as after any pause; a
    server that was found down is looked at now."""
    for server in host.servers.values():
        server.busy_until = min(server.busy_until, now.mono)
        if server.open:
            server.check_at = now.mono


def calm(server: Server, policy: Policy, now: Now) -> None:
    """Forget refusals that are long past: nothing may have been sent there since."""
    if server.busy_times and calm_at(server, policy) <= now.mono:
        server.busy_times = 0


def calm_at(server: Server, policy: Policy) -> float:
    """When refusals are forgotten, on the monotonic clock."""
    return server.busy_until + policy.regain_slot_s
