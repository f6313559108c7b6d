"""What a call holds while it exists: its slot, and permits that live elsewhere.

1. The slot is taken when the call is chosen; then permits from outside are asked for, one after another; then
   the tasks are claimed. Whatever becomes of it, `settle` ends the call: the slot is free, and each permit
   that was asked for gets exactly one Settle, be it granted, denied or never answered.
2. A limiter that does not answer within `ACQUIRE_S` counts as one that denied. What was denied is not asked for
   again before the limiter's own time, or after 1, 2, 4 … 60 s.
3. While a call waits for a permit it holds its slot only against worse-ranked tasks (`Round.displaces`): a better
   one takes it. A pause, a shutdown or the end of its task ends the wait at once.
"""

from __future__ import annotations

from collections.abc import Iterable

from ygg.core.board import Board, CallState, Phase
from ygg.core.effects import Acquire, ClaimTasks, Effect, Note, Settle
from ygg.core.hosts import gates, ghosts
from ygg.core.house import Denial, HostState
from ygg.core.placement import lanes
from ygg.core.placement.rounds import Round
from ygg.model import Claim, Grant, JsonDict, Now, Permit, Reason, ReasonCode, Usage, because

ACQUIRE_S = 0.5  #: a limiter answers within this time, or not at all
DENIED_MAX_S = 60.0  #: longest pause after a denial that names no time


def take(board: Board, call: CallState) -> None:
    """The call gets its slot."""
    host = board.hosts[call.candidate.host]
    board.calls[call.id] = call
    board.call_of.update(dict.fromkeys(call.tries, call.id))
    host.grants[call.id] = call.width
    _count(host, call, call.width)
    board.changed(host.host.name)
    call.needs = () if call.canary else board.needs.get(call.candidate[:2], ())
    if call.needs:
        call.phase = Phase.ACQUIRING
        board.acquiring[call.id] = None


def settle(board: Board, call: CallState, used: Usage | None = None) -> list[Effect]:
    """The call is over: everything it held is given back, or was `used`."""
    del board.calls[call.id]
    board.acquiring.pop(call.id, None)
    for task_id in call.tries:
        board.call_of.pop(task_id, None)
    host = board.hosts[call.candidate.host]
    _count(host, call, -host.grants.pop(call.id))
    board.changed(host.host.name)
    if host.removed and not host.grants:
        del board.hosts[host.host.name]
        board.forget_gone()
        lanes.reroute(board)
    return [Settle(Grant(call.id, permit), used) for permit in call.needs[: call.asked]]


def _count(host: HostState, call: CallState, slots: int) -> None:
    host.busy += slots
    server = host.servers.get(call.candidate.endpoint)
    if server is not None:
        server.busy += slots


def recount(board: Board) -> None:
    """After a change of the configuration: what calls and ghosts take of each host and endpoint."""
    for host in board.hosts.values():
        for server in host.servers.values():
            server.busy = ghosts.width(server)
        host.busy = sum(host.grants.values()) + ghosts.width(*host.servers.values())
    for call in board.calls.values():
        host = board.hosts[call.candidate.host]
        if call.candidate.endpoint in host.servers:
            host.servers[call.candidate.endpoint].busy += call.width


def give_back(board: Board, call: CallState) -> list[Effect]:
    """End a call whose tasks were not claimed; they keep their places."""
    effects = settle(board, call)
    for attempt in call.tries.values():
        lanes.insert(board, attempt.head)
    return effects


# --- permits from outside ---------------------------------------------------------------------------


def ask_next(board: Board, call: CallState, now: Now) -> Effect:
    """The next step of a call that has its slot: the next permit, or with all of them its tasks."""
    if call.asked < len(call.needs):
        permit = call.needs[call.asked]
        call.asked += 1
        call.give_up_at, board.retime = now.mono + ACQUIRE_S, True
        return Acquire(Grant(call.id, permit))
    if board.acquiring.pop(call.id, call) is None:
        board.changed(call.candidate.host)  # nobody takes its slot any more
    call.phase, call.give_up_at = Phase.CLAIMING, float("inf")
    return ClaimTasks(claims(call))


def claims(call: CallState) -> tuple[Claim, ...]:
    heads = (attempt.head for attempt in call.tries.values())
    return tuple(Claim(h.id, h.version, call.candidate, call.why, call.id) for h in heads)


def granted(board: Board, grant: Grant, now: Now) -> list[Effect]:
    """A call that was given up has settled the grant already: then the answer comes too late."""
    call = _waiting_for(board, grant)
    if call is None:
        return []
    if board.denials.pop(grant.permit, None) is not None:
        _asked_again(board, grant.permit)
    if not gates.up(board, call.candidate, now):
        return give_back(board, call)
    return [ask_next(board, call, now)]


def denied(
    board: Board, grant: Grant, message: str, retry_s: float | None, now: Now
) -> list[Effect]:
    """Its call gives back what it had; nobody asks again for a while."""
    call = _waiting_for(board, grant)
    if call is None:
        return []
    known = board.denials.get(grant.permit)
    times = known.times + 1 if known else 1
    pause = min(DENIED_MAX_S, 2.0 ** (times - 1)) if retry_s is None else retry_s
    board.denials[grant.permit] = Denial(now.mono + pause, message, times)
    board.retime = True
    reason = _denied(call, grant.permit, message, pause, now)
    return [*give_back(board, call), Note(reason, next(iter(call.tries)))]


def _denied(call: CallState, permit: Permit, message: str, pause: float, now: Now) -> Reason:
    until_ms = now.wall_ms + round(pause * 1000)
    facts: JsonDict = {"limiter": permit.limiter, "message": message}
    return because(ReasonCode.DENIED, call.candidate.host, until_ms, **facts)


def _waiting_for(board: Board, grant: Grant) -> CallState | None:
    call = board.calls.get(grant.call)
    needed = call.needs[call.asked - 1] if call and call.asked else None
    if call is None or call.phase is not Phase.ACQUIRING or needed != grant.permit:
        return None
    return call


def overdue(board: Board, now: Now) -> list[Effect]:
    """Limiters that did not answer count as having denied; denials end."""
    effects: list[Effect] = []
    for call in [board.calls[call] for call in board.acquiring]:
        if call.give_up_at <= now.mono:
            grant = Grant(call.id, call.needs[call.asked - 1])
            effects += denied(board, grant, "no answer", None, now)
    for permit, denial in board.denials.items():
        if not denial.over and denial.until <= now.mono:
            denial.over = True
            _asked_again(board, permit)
    return effects


def _asked_again(board: Board, permit: Permit) -> None:
    for (host, _), needs in board.needs.items():
        if permit in needs:
            board.changed(host)


def next_change(board: Board) -> float:
    """When `overdue` has something to do, on the monotonic clock."""
    times = [board.calls[call].give_up_at for call in board.acquiring]
    times += [denial.until for denial in board.denials.values() if not denial.over]
    return min(times, default=float("inf"))


def end_waits(board: Board, calls: Iterable[str] | None = None) -> list[Effect]:
    """These calls (None: all) wait for permits no longer; their tasks keep their places."""
    wanted = list(board.acquiring) if calls is None else [c for c in calls if c in board.acquiring]
    return [effect for call in wanted for effect in give_back(board, board.calls[call])]


def giving_way(turn: Round, host: HostState, new: CallState) -> list[CallState]:
    """The worst-ranked calls that wait for permits there, as many as must end so that the new one finds its slots, at
    its endpoint and at the host."""
    server = host.servers[new.candidate.endpoint]
    inside = new.width - (gates.room(host, server) - server.busy)
    missing = new.width - (gates.limit(host) - host.busy)
    if max(inside, missing) <= 0:
        return []
    waiting = [c for c in (turn.board.calls[name] for name in host.grants) if turn.displaces(c)]
    waiting.sort(key=lambda call: call.rank, reverse=True)
    found: list[CallState] = []
    for call in (c for c in waiting if c.candidate.endpoint == new.candidate.endpoint):
        if sum(c.width for c in found) < inside:
            found.append(call)
    for call in (c for c in waiting if c not in found):
        if sum(c.width for c in found) < missing:
            found.append(call)
    return found
