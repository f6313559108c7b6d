"""Where a task may run, and why not elsewhere: one ordered tuple of links answers both.

A link is `(round, lane, candidate) -> Reason | None`: a reason that the candidate takes no task of the lane now,
or None. The first candidate that all links pass is chosen; why a task is not on a candidate is the first "no"
of that candidate. No link writes to the board. They stand in the order of what they read: the lane and the
pair, its first task, what is sick, the kinds of host and of server, the host's gate, its models and memory, what limiters said.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice

from ygg.core.board import LaneState, Rank
from ygg.core.hosts import gates, sickness
from ygg.core.placement import fitting, kinds, order, residency
from ygg.core.placement.ranking import unseen_rank
from ygg.core.placement.rounds import Round
from ygg.model import Candidate, JsonDict, Reason, ReasonCode, because

Link = Callable[[Round, LaneState, Candidate], Reason | None]
NAMED = 4  #: candidates passed over that the reason of a start names


def held(turn: Round, state: LaneState, candidate: Candidate) -> Reason | None:
    """The host is kept for better-ranked tasks that the store has not shown yet."""
    if not turn.board.unseen:
        return None
    if turn.barriers is None:
        turn.barriers = list(_barriers(turn))
    if any(rank < turn.rank and candidate.host in hosts for rank, hosts in turn.barriers):
        return because(ReasonCode.UNSEEN, candidate.host)
    return None


def _barriers(turn: Round) -> Iterator[tuple[Rank, frozenset[str]]]:
    for lane, priority in turn.board.unseen:
        state = turn.board.lanes[lane]
        hosts = frozenset(c.host for c in open_to(turn, state))
        yield unseen_rank(priority, turn.board.policy), hosts


def refused(turn: Round, state: LaneState, candidate: Candidate) -> Reason | None:
    """It has refused these tasks for good: unknown model, context too long."""
    if candidate.key not in state.lane.refused:
        return None
    model = candidate.model or "its model"
    return because(ReasonCode.CANDIDATE_REFUSED, candidate.host, model=model)


def avoided(turn: Round, state: LaneState, candidate: Candidate) -> Reason | None:
    """They have just failed there: it is used only when no other is up."""
    if candidate.key not in state.lane.avoid or not _fresh(turn, state):
        return None
    return because(ReasonCode.CANDIDATE_AVOIDED, candidate.host)


def _fresh(turn: Round, state: LaneState) -> bool:
    out = (*state.lane.refused, *state.lane.avoid)
    return any(c.key not in out and gates.up(turn.board, c, turn.now) for c in state.route)


def apart(turn: Round, state: LaneState, candidate: Candidate) -> Reason | None:
    """The first of them has failed along with others, and enough of those run there now."""
    failed = turn.board.apart
    own = failed.get(state.best.head.id) if failed and state.best else None
    if own is None:
        return None
    beside = [failed[t] for call in turn.calls(candidate[:2]) for t in call.tries if t in failed]
    if len(beside) < max(1, min([own, *beside]) // sickness.SHARE):
        return None
    return because(ReasonCode.APART, candidate.host, running=len(beside))


def sick(turn: Round, state: LaneState, candidate: Candidate) -> Reason | None:
    """Its model fails there whoever asks, or is being asked whether it does."""
    return sickness.obstacle(turn.board.hosts.get(candidate.host), candidate, turn.now)


def kind(turn: Round, state: LaneState, candidate: Candidate) -> Reason | None:
    """The host could take it, but is kept for tasks that want its kind."""
    if candidate[:2] not in state.reach.second or not kinds.spared(turn, state, candidate):
        return None
    if not kinds.usable(turn, candidate):
        return None  # a later link says why
    return kinds.spared_reason(turn, state, candidate.host)


def level(turn: Round, state: LaneState, candidate: Candidate) -> Reason | None:
    """From HIGH on vLLM, which never lets go of its memory, gets nothing that another server of the route can do at
    all, even if that has to wait or to change models for it."""
    found = order.held_back(turn.board, candidate)
    if found is None:
        return None
    others = (c for c in state.route if not order.vllm(turn.board, c))
    other = next(
        (c for c in others if gates.up(turn.board, c, turn.now) and could(turn, state, c)), None
    )
    if other is None:
        return None
    facts: JsonDict = {"level": found.name, "other": _name(turn, other)}
    return because(ReasonCode.SERVER_HELD_BACK, candidate.host, **facts)


def gate(turn: Round, state: LaneState, candidate: Candidate) -> Reason | None:
    """Gone, drained, down, pausing, or without a free slot."""
    host = turn.board.hosts.get(candidate.host)
    taken = turn.taken(host, candidate.endpoint) if host else gates.Taken(0, 0)
    return gates.obstacle(host, candidate, taken, turn.now)


def swap(turn: Round, state: LaneState, candidate: Candidate) -> Reason | None:
    """Its server has to change models first, or waits to."""
    if fitting.hopeless(turn, candidate):
        return None  # `memory` says why
    return residency.obstacle(turn, candidate, could)


def memory(turn: Round, state: LaneState, candidate: Candidate) -> Reason | None:
    """The model finds no room."""
    return fitting.obstacle(turn, candidate)


def rate(turn: Round, state: LaneState, candidate: Candidate) -> Reason | None:
    """A limiter has said no, and until when."""
    board, now = turn.board, turn.now
    for permit in board.needs.get(candidate[:2], ()):
        denial = board.denials.get(permit)
        if denial is not None and not denial.over:
            until_ms = now.wall_ms + round((denial.until - now.mono) * 1000)
            facts: JsonDict = {"limiter": permit.limiter, "message": denial.message}
            return because(ReasonCode.DENIED, candidate.host, until_ms, **facts)
    return None


LINKS: tuple[Link, ...] = (
    held,
    refused,
    avoided,
    apart,
    sick,
    kind,
    level,
    gate,
    swap,
    memory,
    rate,
)


def could(turn: Round, state: LaneState, candidate: Candidate) -> bool:
    """Whether tasks of the lane would run there if its gate were open and the server had the model in memory,
    or nothing in use."""
    asked = (refused, avoided, apart, sick, kind, rate)
    fits = not fitting.hopeless(turn, candidate)
    return fits and all(link(turn, state, candidate) is None for link in asked)


def first_no(turn: Round, state: LaneState, candidate: Candidate) -> Reason | None:
    """Why the candidate takes no task of the lane now; None when it does."""
    for link in LINKS:
        reason = link(turn, state, candidate)
        if reason is not None:
            return reason
    return None


def answer(turn: Round, state: LaneState, candidate: Candidate) -> Reason:
    """The first "no" of the candidate, or that it could take a task of the lane."""
    found = first_no(turn, state, candidate)
    return found or because(ReasonCode.NEXT, candidate.host, step="host")


def open_to(turn: Round, state: LaneState) -> tuple[Candidate, ...]:
    """The candidates that have not refused the tasks and whose hosts are not kept for others."""
    asked = (refused, avoided)
    return tuple(
        c
        for c in order.best_first(turn.board, state)
        if all(link(turn, state, c) is None for link in asked) and not kinds.spared(turn, state, c)
    )


def _name(turn: Round, choice: Candidate) -> str:
    """Of a host with several servers the one it is."""
    several = len(turn.board.hosts[choice.host].servers) > 1
    return f"{choice.host}/{choice.endpoint}" if several else choice.host


# --- the reason of a start --------------------------------------------------------------------------


def chosen(turn: Round, state: LaneState, choice: Candidate, before: Iterable[Candidate]) -> Reason:
    """Why it went there: of the candidates ranked before it the first few with their "no", the others as a
    number."""
    ahead = list(before)
    passed = tuple(answer(turn, state, c) for c in islice(ahead, NAMED))
    gpu, cpu = kinds.lengths(turn)
    return because(
        ReasonCode.CHOSEN,
        choice.host,
        where=f"{_name(turn, choice)} {choice.model}".rstrip(),
        kind=turn.board.hosts[choice.host].host.kind_of(choice.endpoint).upper(),
        gpu=gpu,
        cpu=cpu,
        aside=kinds.aside(turn, state, choice),
        passed=passed,
        further=len(ahead) - len(passed),
        decided=order.decided(turn.board, state, choice, ahead),
    )
