"""Which of the places that could take a task is the best: a ranking of candidates.

`order` (default): the hosts of the route in their order. On one host the level decides: at HIGH and above
the largest model comes last; then the models in their order, and for one model on several servers vLLM
at LOW and llama.cpp (which Ollama runs) from NORMAL on, the quicker and the sounder one. `best`: the same
over the whole route, with models that are loaded before others, and route order last.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from dataclasses import dataclass

from ygg.core.board import Board, LaneState
from ygg.core.hosts import models
from ygg.core.house import Track
from ygg.core.placement.candidates import type_of
from ygg.model import Candidate, Endpoint, Level, Outcome, OutcomeKind

ORDER = (
    "host",
    "last",
    "model",
    "wrong",
    "pace",
    "failing",
)  #: parts of a rank, as they are compared
BEST = ("last", "wrong", "cold", "pace", "failing", "place")
ASKED = "its task asks for it"
WEIGHT = 0.2  #: of the newest call in the means
FAILURES = frozenset({OutcomeKind.ERROR, OutcomeKind.TIMEOUT, OutcomeKind.OUT_OF_MEMORY})


def best_first(board: Board, state: LaneState) -> tuple[Candidate, ...]:
    """Every candidate of the lane, best first, but the kind of host it wants before the other."""
    task_type = type_of(board, state.lane.type)
    best = task_type is not None and task_type.choose == "best"
    if len(state.route) < 2 or (not best and len(state.reach.hosts) == len(state.route)):
        return state.route
    second = state.reach.second
    found = tuple(sorted(state.route, key=_Rank(board, state.route, second, best=best)))
    return tuple(sorted(found, key=lambda c: c[:2] in second)) if second else found


def decided(
    board: Board, state: LaneState, choice: Candidate, before: Collection[Candidate]
) -> str:
    """What put the choice in front of the first candidate of the route that is not among those ranked `before` it, in
    words; "" where it is that one."""
    task_type = type_of(board, state.lane.type)
    route = task_type.route if task_type else ()
    if choice not in route:
        return ASKED
    first = next(c for c in route if c not in before)
    if first == choice:
        return ""
    kind, other = (_kind(board, c) for c in (choice, first))
    if kind != other:
        return f"its task {'wants a' if kind == 'gpu' else 'needs no'} GPU"
    if first not in state.route:
        return ASKED
    best = task_type is not None and task_type.choose == "best"
    return _WORDS[_Rank(board, state.route, state.reach.second, best=best).decides(choice, first)](
        board, choice
    )


def _kind(board: Board, candidate: Candidate) -> str:
    return board.hosts[candidate.host].host.kind_of(candidate.endpoint)


@dataclass
class _Rank:
    board: Board
    candidates: tuple[Candidate, ...]
    second: Collection[
        tuple[str, str]
    ]  #: of the kind that the lane wants less: a host with both stands for two
    best: bool

    def __post_init__(self) -> None:
        numbered = [(self._place(c), c.model, n) for n, c in enumerate(self.candidates)]
        self.hosts = {place: n for place, _, n in reversed(numbered)}
        self.models = {(place, model): n for place, model, n in reversed(numbered)}

    def _place(self, candidate: Candidate) -> tuple[str, bool]:
        return candidate.host, candidate[:2] in self.second

    def __call__(self, candidate: Candidate) -> tuple[float, ...]:
        last, wrong = last_at_level(self.board, candidate), not preferred(self.board, candidate)
        pace, failing = _pace(self.board.tracks.get(candidate.key))
        if self.best:
            cold = not loaded(self.board, candidate)
            return (last, wrong, cold, pace, failing, self.candidates.index(candidate))
        place = self._place(candidate)
        first = self.hosts[place], last, self.models[place, candidate.model]
        return (*first, wrong, pace, failing)

    def decides(self, better: Candidate, worse: Candidate) -> str:
        """The first part in which they differ."""
        parts = zip(BEST if self.best else ORDER, self(better), self(worse), strict=True)
        return next(name for name, one, other in parts if one != other)


def last_at_level(board: Board, candidate: Candidate) -> bool:
    """Whether memory pressure puts this model behind smaller ones."""
    host = board.hosts.get(candidate.host)
    level = host.condition.level if host else None
    if host is None or level is None or level < Level.HIGH:
        return False
    return candidate.model == models.largest(host)


def preferred(board: Board, candidate: Candidate) -> bool:
    """Whether its server is the kind the level prefers; without a level all are."""
    host = board.hosts.get(candidate.host)
    endpoint = models.endpoint_of(host, candidate.endpoint) if host else None
    if host is None or endpoint is None or host.condition.level is None:
        return True
    return suits(endpoint, host.condition.level)


def suits(endpoint: Endpoint, level: Level) -> bool:
    """The mission's rule: vLLM while pressure is LOW, llama.cpp from NORMAL on."""
    return (endpoint.dialect == "vllm") == (level is Level.LOW)


def held_back(board: Board, candidate: Candidate) -> Level | None:
    """The level that keeps new work from its server; None where none does."""
    host = board.hosts.get(candidate.host)
    level = host.condition.level if host else None
    return level if level is not None and level >= Level.HIGH and vllm(board, candidate) else None


def vllm(board: Board, candidate: Candidate) -> bool:
    """Whether its server is vLLM."""
    host = board.hosts.get(candidate.host)
    endpoint = models.endpoint_of(host, candidate.endpoint) if host else None
    return endpoint is not None and endpoint.dialect == "vllm"


def loaded(board: Board, candidate: Candidate) -> bool:
    """Whether the model is in memory there."""
    host = board.hosts.get(candidate.host)
    server = host.servers.get(candidate.endpoint) if host else None
    known = server.loaded if server else None
    return known is not None and candidate.model in known


def _pace(track: Track | None) -> tuple[float, float]:
    """Rough steps, so that two of a kind do not take turns being a little quicker."""
    if track is None:
        return 0.0, 0.0
    return float(round(math.log2(max(1.0, track.mean_ms)))), round(track.failing, 1)


def _level(board: Board, choice: Candidate) -> str:
    level = board.hosts[choice.host].condition.level
    return f"at memory pressure {level.name if level else 'unknown'}"


def _server(board: Board, choice: Candidate) -> str:
    endpoint = models.endpoint_of(board.hosts[choice.host], choice.endpoint)
    assert endpoint is not None
    return f"{endpoint.dialect or endpoint.backend} {_level(board, choice)}"


#: What decided, by the part of a rank.
_WORDS: dict[str, Callable[[Board, Candidate], str]] = {
    "host": lambda _, choice: f"its route names {choice.host} earlier",
    "model": lambda _, choice: f"its route names {choice.model or 'its model'} earlier",
    "last": lambda board, choice: f"a smaller model {_level(board, choice)}",
    "wrong": _server,
    "cold": lambda *_: "its model is in memory",
    "pace": lambda *_: "the quicker one of late",
    "failing": lambda *_: "the sounder one of late",
}


def learn(board: Board, candidate: Candidate, outcome: Outcome, took_ms: float) -> None:
    """Remember how a call went; what says nothing of the server (a cancellation) is left out."""
    failed = outcome.kind in FAILURES
    if not failed and outcome.kind is not OutcomeKind.COMPLETED:
        return
    track = board.tracks.get(candidate.key)
    if track is None:
        track = board.tracks[candidate.key] = Track(took_ms, float(failed))
    track.failing += WEIGHT * (failed - track.failing)
    if not failed:
        track.mean_ms += WEIGHT * (took_ms - track.mean_ms)
