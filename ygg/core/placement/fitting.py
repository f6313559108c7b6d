"""Which models fit: what memory a host could give a model that is not loaded yet.

A model that is in memory fits. Another needs its size out of what is neither foreign nor held by models
in use, or by servers that never let go of theirs; what stands idle the server evicts. At CRITICAL, idle
models not counted, only the smallest model of the host may be loaded. A model of unknown size counts
as fitting: its server decides.
"""

from __future__ import annotations

from collections.abc import Collection

from ygg.core.board import Board
from ygg.core.hosts import models, pressure
from ygg.core.house import HostState
from ygg.core.placement.rounds import Round
from ygg.model import Candidate, Level, Reason, ReasonCode, because

Used = frozenset[tuple[str, str]]  #: (endpoint, model)


def in_use(board: Board, host: HostState, gone: Collection[str] = ()) -> Used:
    """(endpoint, model) of the calls on the host, but for these."""
    places = (board.calls[call].candidate for call in host.grants if call not in gone)
    return frozenset((c.endpoint, c.model) for c in places)


def obstacle(turn: Round, candidate: Candidate) -> Reason | None:
    """Why memory keeps the candidate's model from being loaded now."""
    host = turn.board.hosts[candidate.host]
    if not _to_be_loaded(host, candidate):
        return None
    return _obstacle(host, candidate, in_use(turn.board, host, turn.gone))


def hopeless(turn: Round, candidate: Candidate) -> bool:
    """Whether the model would find no room even if no call ran on the host."""
    found = turn.room.get(candidate)
    if found is None:
        host = turn.board.hosts[candidate.host]
        found = turn.room[candidate] = (
            not _to_be_loaded(host, candidate)
            or obstacle(turn.without(host.grants), candidate) is None
        )
    return not found


def _to_be_loaded(host: HostState, candidate: Candidate) -> bool:
    """Whether its model is not in memory. Without any model named there is nothing to load."""
    loaded = host.servers[candidate.endpoint].loaded
    return bool(candidate.model) and candidate.model not in (loaded or ())


def _obstacle(host: HostState, candidate: Candidate, used: Used) -> Reason | None:
    model = candidate.model
    need, most = models.size_mb(host, model), models.capacity_mb(host)
    if need is None or most is None:
        return None
    held = used | _fixed(host)
    room = most - sum(models.size_mb(host, m) or 0.0 for _, m in held if m != model)
    if need > room:
        code, room = ReasonCode.MODEL_TOO_LARGE, max(0.0, room)
        return because(code, candidate.host, model=model, need_mb=need, room_mb=room)
    return _held_back(host, model, used)


def _fixed(host: HostState) -> Used:
    """(endpoint, model) of what is loaded on servers that keep what they have."""
    return frozenset(
        (e.name, m)
        for e in host.host.endpoints
        if not models.swaps(e)
        for m in host.servers[e.name].loaded or ()
    )


def _held_back(host: HostState, model: str, used: Used) -> Reason | None:
    """At CRITICAL only the smallest model of the host is loaded."""
    known, whole = models.known_sizes(host)
    if not known or not whole or level_in_use(host, used) is not Level.CRITICAL:
        return None
    smallest = min(known, key=known.__getitem__)
    if known[model] <= known[smallest]:
        return None
    return because(ReasonCode.MODEL_HELD_BACK, host.host.name, smallest=smallest)


def level_in_use(host: HostState, used: Used) -> Level:
    """The level without what would be evicted: foreign memory and the models in use."""
    memory = host.condition.memory
    if memory is None:
        return Level.LOW
    ours = models.sizes_mb(host, (m for _, m in used))
    held = memory.used_mb if ours is None else host.condition.foreign_mb + ours
    return pressure.level_of(100 * held / memory.total_mb, host.host.pressure)
