"""What is done for the best-ranked task that found no place: what would make a link pass.

A server drains, so that it can change to the model; or its loaded model is kept for a while, for tasks that
need no change. Models that no call uses are unloaded where memory is too full for any start.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

from ygg.core.board import Board, LaneState
from ygg.core.effects import Effect, Unload
from ygg.core.house import HostState
from ygg.core.placement import fitting, links, residency
from ygg.core.placement.rounds import Round
from ygg.model import Candidate, Now, Reason, ReasonCode

UNLOAD_S = 30.0  #: between two attempts to unload one model


def change_models(
    turn: Round, state: LaneState, passed: Iterable[tuple[Candidate, Reason]]
) -> None:
    """Servers that would take the task but for their models prepare for it, in its order of candidates and no more
    of them than tasks wait."""
    wanting = (c for c, reason in passed if reason.code is ReasonCode.SWAP_PENDING)
    for candidate in islice((c for c in wanting if _waits(turn, state, c)), state.queued):
        _prepare(turn, candidate)


def _waits(turn: Round, state: LaneState, candidate: Candidate) -> bool:
    """Whether the models are all that is in the way, and nobody better-ranked is first."""
    if turn.swap_to(candidate[:2]) or not residency.concerns(turn.board, candidate):
        return False
    return links.could(turn, state, candidate)


def _prepare(turn: Round, candidate: Candidate) -> None:
    place = candidate[:2]
    turn.decided.add(place)
    if not residency.yields(turn, candidate, links.could):
        turn.swaps[place] = candidate.model
    else:
        turn.kept[place] = min(turn.kept.get(place, turn.priority), turn.priority)


def decided(turn: Round) -> None:
    """Write down what a pass decided on the models of servers."""
    for host, endpoint in turn.decided:
        server = turn.board.hosts[host].servers[endpoint]
        place = (host, endpoint)
        server.swap_to, server.kept_for = turn.swaps.get(place, ""), turn.kept.get(place)
        if server.kept_for is not None and server.passed_since is None:
            server.passed_since = turn.now.mono
        if server.changing:
            turn.board.retime |= place not in turn.board.changing
            turn.board.changing[place] = None
        else:
            turn.board.changing.pop(place, None)


def relieve(board: Board, host: HostState, now: Now) -> list[Effect]:
    """Memory is too full for any start: free what no call uses, as soon as none does."""
    if not host.condition.full or host.removed:
        return []
    used, tried = fitting.in_use(board, host), host.gauge.unloads
    idle = [
        (endpoint, model)
        for endpoint, server in host.servers.items()
        for model in sorted(server.loaded or ())
        if (endpoint, model) not in used and tried.get((endpoint, model), 0.0) <= now.mono
    ]
    tried.update(dict.fromkeys(idle, now.mono + UNLOAD_S))
    return [Unload(host.host.name, endpoint, model) for endpoint, model in idle]
