"""Changing a model costs seconds: when a server may, and who goes first until then.

1. Among tasks of one priority those whose model is loaded go first, but nobody is passed over for longer
   than `max_wait_s`, or than `min_hold_s` after the load; a better priority is never passed over.
2. A slot is kept only for a task that could start there at once but for the models: for a model that nobody
   waits for, or whose tasks something else holds back, none is.
3. Before the change the server drains: calls with the old model end, no new ones start, and its slots
   are idle on purpose.
4. Models that fit together need no change: by their sizes, or because the server had them in memory at
   the same time.

Only for servers that change models on demand and tell what is loaded. A pass asks in order of rank, so
whoever is best ranked decides first: what it wants done is noted in the round (`remedies`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ygg.core.board import Board, LaneState
from ygg.core.hosts import models
from ygg.core.house import HostState, Server
from ygg.core.placement import fitting
from ygg.core.placement.rounds import Round
from ygg.model import Candidate, Now, Policy, Reason, ReasonCode, because

#: Whether tasks of the lane could start there but for the models; the server's gate, open to the one asked for,
#: is open to them.
Could = Callable[[Round, LaneState, Candidate], bool]


def concerns(board: Board, candidate: Candidate) -> bool:
    """Whether the candidate needs a change of models."""
    host = board.hosts[candidate.host]
    server = host.servers[candidate.endpoint]
    if server.loaded is None:
        return False
    model = candidate.model
    others = server.loaded - {model}
    if model in server.loaded or not others:
        return False
    endpoint = models.endpoint_of(host, candidate.endpoint)
    if endpoint is None or not models.swaps(endpoint):
        return False
    return not _together(host, server, {model, *others})


def obstacle(turn: Round, candidate: Candidate, could: Could) -> Reason | None:
    """Why the candidate's server takes no call with this model now."""
    place, model = candidate[:2], candidate.model
    draining, kept = turn.swap_to(place), turn.kept_for(place)
    if draining and draining != model:
        return _idle(candidate, f"it drains to change to {draining}")
    if kept is not None and turn.priority > kept:
        return _idle(candidate, "a better-ranked task waits for another model")
    if not concerns(turn.board, candidate):
        return None
    if yields(turn, candidate, could):
        return _idle(candidate, "tasks whose model is loaded go first for a while")
    if in_the_way(turn.board, candidate):
        return _idle(candidate, f"calls with another model end first, then {model}")
    return None


def _idle(candidate: Candidate, why: str) -> Reason:
    return because(ReasonCode.SWAP_PENDING, candidate.host, why=why)


def _together(host: HostState, server: Server, wanted: set[str]) -> bool:
    """Whether these models can be in memory at the same time."""
    sizes, most = models.sizes_mb(host, wanted), models.capacity_mb(host)
    if most is not None and sizes is not None:
        return sizes <= most
    return any(wanted <= seen for seen in server.together)


def in_the_way(board: Board, candidate: Candidate) -> bool:
    """Whether calls with other models, which do not fit beside it, run on the server."""
    if not concerns(board, candidate):
        return False
    model = candidate.model
    used = fitting.in_use(board, board.hosts[candidate.host])
    return any(e == candidate.endpoint and m != model for e, m in used)


def yields(turn: Round, candidate: Candidate, could: Could) -> bool:
    """Whether a task that needs a change lets tasks of the same priority with a loaded model go first."""
    server = turn.board.hosts[candidate.host].servers[candidate.endpoint]
    if turn.now.mono >= patient_until(server, turn.board.policy):
        return False
    return _warm_waits(turn, candidate, could)


def patient_until(server: Server, policy: Policy) -> float:
    """Until when a task may be passed over there, on the monotonic clock."""
    since = server.passed_since
    if since is None:
        return float("inf")
    return max(since + policy.residency.max_wait_s, server.stays_until)


def _warm_waits(turn: Round, candidate: Candidate, could: Could) -> bool:
    """Whether tasks of this priority wait that could start here and whose model is in memory."""
    board = turn.board
    warm = board.hosts[candidate.host].servers[candidate.endpoint].loaded or frozenset()
    return any(
        place[:2] == candidate[:2] and place.model in warm and could(turn, state, place)
        for state in board.serving.get(candidate.host, ())
        if (window := state.windows.get(turn.priority)) is not None and window.heads
        for place in state.route
    )


def forget(board: Board) -> None:
    """Nobody is passed over any more on servers whose tasks all have their models."""
    for name, host in board.hosts.items():
        for endpoint, server in host.servers.items():
            if server.passed_since is not None and not _cold_waits(board, name, endpoint):
                server.passed_since = None


def _cold_waits(board: Board, host: str, endpoint: str) -> bool:
    waiting = (state for state in board.serving.get(host, ()) if state.best is not None)
    places = (c for state in waiting for c in state.route)
    return any(c[:2] == (host, endpoint) and concerns(board, c) for c in places)


# --- what is loaded -----------------------------------------------------------------------------------


def started(board: Board, candidate: Candidate, now: Now) -> None:
    """A call is on its way and loads its model; what does not fit beside it is evicted."""
    host = board.hosts[candidate.host]
    server, model = host.servers[candidate.endpoint], candidate.model
    if not model or server.loaded is None or model in server.loaded:
        return
    changes = concerns(board, candidate)
    server.loaded = frozenset({model}) if changes else server.loaded | {model}
    server.loaded_at = now.mono
    server.stays_until = now.mono + board.policy.residency.min_hold_s
    server.passed_since = None


def told(
    board: Board, host: HostState, endpoint: str, named: Iterable[str] | None, now: Now
) -> None:
    """A server tells what is in memory. Models of calls that run count as loaded whether it names them
    yet or not; what is not known to fit beside them is on its way out."""
    server = host.servers.get(endpoint)
    if server is None:
        return
    found = None if named is None else frozenset(named)
    if found is not None and len(found) > 1:
        server.together.add(found)
    if found != server.told:
        server.told, server.loaded_at = found, now.mono
    used = frozenset(m for e, m in fitting.in_use(board, host) if e == endpoint and m)
    if found is not None and not used <= found:
        whole = found | used
        found = whole if _together(host, server, set(whole)) else used
    server.loaded = found


def unloaded(server: Server, model: str, now: Now) -> None:
    """A model is not in memory any more."""
    server.loaded = (server.loaded or frozenset()) - {model}
    server.loaded_at = now.mono
