"""Changing a model costs seconds: when a server may, and who goes first until then.

1. Among tasks of one priority those whose model is loaded go first, but nobody is passed over for longer
   than `max_wait_s`; a better priority is never passed over.
2. A model that was just loaded stays `min_hold_s`, unless a better priority needs another.
3. Before the change the server drains: calls with the old model end, no new ones start, and its slots
   are idle on purpose.
4. Models that fit together need no change: by their sizes, or because the server had them in memory at
   the same time.

Only for servers that change models on demand and tell what is loaded. A round of dispatch asks in order of
rank, so whoever is best ranked decides first.
"""

from __future__ import annotations

from ygg.core.board import Board, HostState, Server
from ygg.core.placement import fitting, kinds
from ygg.core.placement.fitting import canonical
from ygg.model import Candidate, Now, Priority, Reason, ReasonCode


def begin_round(board: Board) -> None:
    """Forget the changes that were wanted: the best-ranked tasks ask again."""
    for host in board.hosts.values():
        for server in host.servers.values():
            server.swap_to, server.kept_for = "", None


def concerns(board: Board, candidate: Candidate) -> bool:
    """Whether the candidate needs a change of models."""
    host = board.hosts[candidate.host]
    endpoint, server = (
        fitting.endpoint_of(host, candidate.endpoint),
        host.servers[candidate.endpoint],
    )
    if endpoint is None or server.loaded is None or not fitting.swaps(endpoint):
        return False
    model = canonical(candidate.model)
    others = server.loaded - {model}
    return (
        model not in server.loaded
        and bool(others)
        and not _together(host, server, {model, *others})
    )


def obstacle(board: Board, candidate: Candidate, priority: Priority, now: Now) -> Reason | None:
    """Why the candidate's server takes no call with this model now."""
    host = board.hosts[candidate.host]
    server, model = host.servers[candidate.endpoint], canonical(candidate.model)
    if server.swap_to and server.swap_to != model:
        return _idle(candidate, f"it drains to change to {server.swap_to}")
    if server.kept_for is not None and priority > server.kept_for:
        return _idle(candidate, "a better-ranked task waits for another model")
    if not concerns(board, candidate):
        return None
    if now.mono < _held_until(board, server, priority):
        held = ", ".join(sorted(server.loaded or ()))
        return _idle(candidate, f"{held} stays a while, just loaded", server.held_until, now)
    if _in_use(board, host, candidate):
        return _idle(candidate, f"calls with another model end first, then {model}")
    return None


def _idle(
    candidate: Candidate, why: str, until: float | None = None, now: Now | None = None
) -> Reason:
    text = f"{candidate.host}: slot idle on purpose: swap pending: {why}"
    ms = None if until is None or now is None else now.wall_ms + round((until - now.mono) * 1000)
    return Reason(ReasonCode.SWAP_PENDING, text, candidate.host, ms)


def _held_until(board: Board, server: Server, priority: Priority) -> float:
    better = server.loaded_for is not None and priority < server.loaded_for
    return float("-inf") if better else server.held_until


def _together(host: HostState, server: Server, models: set[str]) -> bool:
    """Whether these models can be in memory at the same time."""
    sizes = [fitting.size_mb(host, m) for m in models]
    most = fitting.capacity_mb(host)
    if most is not None and None not in sizes:
        return sum(s for s in sizes if s is not None) <= most
    return any(models <= seen for seen in server.together)


def _in_use(board: Board, host: HostState, candidate: Candidate) -> bool:
    """Whether calls with other models run on the server."""
    model = canonical(candidate.model)
    used = fitting.in_use(board, host)
    return any(e == candidate.endpoint and m != model for e, m in used)


# --- one round ----------------------------------------------------------------------------------------


def yields(board: Board, candidate: Candidate, priority: Priority, now: Now) -> bool:
    """Whether a task that needs a change lets tasks of the same priority with a loaded model go first."""
    server = board.hosts[candidate.host].servers[candidate.endpoint]
    if not _warm_waits(board, candidate, priority):
        return False
    if server.passed_since is None:
        server.passed_since = now.mono
    if now.mono - server.passed_since >= board.policy.residency.max_wait_s:
        return False
    server.kept_for = priority if server.kept_for is None else min(server.kept_for, priority)
    return True


def _warm_waits(board: Board, candidate: Candidate, priority: Priority) -> bool:
    """Whether tasks of this priority wait that may run here now and whose model is in memory."""
    server = board.hosts[candidate.host].servers[candidate.endpoint]
    warm = server.loaded or frozenset()
    return any(
        bool(window.heads)
        and place[:2] == candidate[:2]
        and canonical(place.model) in warm
        and not kinds.spared(board, lane, place)
        for lane, windows in board.lanes.items()
        for window in (windows.get(priority),)
        if window is not None
        for place in board.routes.get(lane, ())
    )


def want(board: Board, candidate: Candidate) -> None:
    """The best-ranked task needs a change: its server drains."""
    board.hosts[candidate.host].servers[candidate.endpoint].swap_to = canonical(candidate.model)


def forget(board: Board) -> None:
    """Nobody is passed over any more on servers whose tasks all have their models."""
    for name, host in board.hosts.items():
        for endpoint, server in host.servers.items():
            if server.passed_since is not None and not _cold_waits(board, name, endpoint):
                server.passed_since = None


def _cold_waits(board: Board, host: str, endpoint: str) -> bool:
    waiting = {head.lane for head in board.where.values()}
    places = (c for lane in waiting for c in board.routes.get(lane, ()))
    return any(c[:2] == (host, endpoint) and concerns(board, c) for c in places)


# --- what is loaded -----------------------------------------------------------------------------------


def started(board: Board, candidate: Candidate, priority: Priority, now: Now) -> None:
    """A call is on its way and loads its model; what does not fit beside it is evicted."""
    host = board.hosts[candidate.host]
    server, model = host.servers[candidate.endpoint], canonical(candidate.model)
    if not model or server.loaded is None or model in server.loaded:
        return
    changes = concerns(board, candidate)
    server.loaded = frozenset({model}) if changes else server.loaded | {model}
    server.loaded_at, server.loaded_for = now.mono, priority
    server.held_until = now.mono + board.policy.residency.min_hold_s
    server.passed_since = None


def told(
    board: Board, host: HostState, endpoint: str, models: frozenset[str] | None, now: Now
) -> None:
    """A server tells what is in memory. Models of calls that run count as loaded whether it names them
    yet or not; what is not known to fit beside them is on its way out."""
    server = host.servers.get(endpoint)
    if server is None:
        return
    if models is not None and len(models) > 1:
        server.together.add(models)
    if models != server.told:
        server.told, server.loaded_at = models, now.mono
    used = frozenset(m for e, m in fitting.in_use(board, host) if e == endpoint and m)
    if models is not None and not used <= models:
        whole = models | used
        models = whole if _together(host, server, set(whole)) else used
    server.loaded = models
