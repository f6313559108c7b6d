"""GPU or CPU: which kind of host takes a task now.

A task that prefers a GPU goes to a CPU host only when no GPU host of its candidates is usable (down, no
access, drained, too hot, too full, no room for the model; all slots busy is usable), or when the tasks
that wait for a GPU and could use this CPU host are more than those that wait for this CPU host, by more
than `overflow_margin`.
A task whose content does not profit (UNNEEDED) goes to a GPU host only when no CPU host of its candidates
is usable. `required` and `never` have one kind only.

A task waits for the kind it wants, or for the other one while no host of the wanted kind is usable. The
lengths are of queued tasks, those of the store that no window shows included.
"""

from __future__ import annotations

from collections.abc import Collection

from ygg.core.board import LaneState
from ygg.core.hosts import gates
from ygg.core.placement import candidates, fitting
from ygg.core.placement.rounds import Queues, Round
from ygg.model import Candidate, GpuNeed, Reason, ReasonCode, because

GPU, CPU = "gpu", "cpu"
TEXT = "text"  #: the content of a task that names none: work for a language model


# --- at submit --------------------------------------------------------------------------------------


def needed(said: str, content: str | None, profiting: Collection[str]) -> GpuNeed:
    """What a task needs: a preference holds only for content that profits from a GPU."""
    need = GpuNeed(said)
    if need is not GpuNeed.PREFERRED or profits(content or TEXT, profiting):
        return need
    return GpuNeed.UNNEEDED


def profits(content: str, profiting: Collection[str]) -> bool:
    """Whether a content type is one of these, in full or by what stands before its slash."""
    word = content.partition(";")[0].strip().lower()
    known = {p.lower() for p in profiting}
    return word in known or word.partition("/")[0] in known


# --- now --------------------------------------------------------------------------------------------


def usable(turn: Round, candidate: Candidate) -> bool:
    """Whether it takes work, all slots busy or not, and has room for the model."""
    board = turn.board
    if not gates.up(board, candidate, turn.now) or board.hosts[candidate.host].removed:
        return False
    return not fitting.hopeless(turn, candidate)


def spared(turn: Round, state: LaneState, candidate: Candidate) -> bool:
    """Whether the candidate's host is kept for tasks that want its kind."""
    if candidate[:2] not in state.reach.second or not wanted_usable(turn, state):
        return False
    return state.lane.gpu is GpuNeed.UNNEEDED or not overflows(turn, candidate.host)


def wanted_usable(turn: Round, state: LaneState) -> bool:
    """Whether a host of the wanted kind is usable that neither refused the task nor has just failed it."""
    out = (*state.lane.refused, *state.lane.avoid)
    return any(usable(turn, c) for c in state.reach.wanted if not out or c.key not in out)


def overflows(turn: Round, host: str) -> bool:
    """Whether this CPU host helps out with tasks that prefer a GPU."""
    queues = lengths(turn, host)
    return queues.gpu > queues.cpu + turn.board.policy.overflow_margin


def lengths(turn: Round, host: str | None = None) -> Queues:
    """The queues of the house, or of one host: those tasks that may run on it."""
    found = turn.lengths.get(host)
    if found is None:
        found = turn.lengths[host] = _of_house(turn) if host is None else _of_host(turn, host)
    return found


def _of_house(turn: Round) -> Queues:
    """Lanes of one kind of host are counted as they change."""
    single = turn.board.single
    gpu, cpu = _counted(turn, turn.board.mixed)
    return Queues(gpu + single.get(GPU, 0), cpu + single.get(CPU, 0))


def _of_host(turn: Round, host: str) -> Queues:
    return _counted(turn, turn.board.serving.get(host, ()))


def _counted(turn: Round, states: Collection[LaneState]) -> Queues:
    gpu = cpu = 0
    for state in states:
        if not state.queued:
            continue
        if waits_for(turn, state) == GPU:
            gpu += state.queued
        else:
            cpu += state.queued
    return Queues(gpu, cpu)


def waits_for(turn: Round, state: LaneState) -> str:
    """The kind of host the lane's tasks wait for, `gpu` or `cpu`."""
    kind = candidates.wanted_kind(state)
    if not state.reach.second or wanted_usable(turn, state):
        return kind
    return CPU if kind == GPU else GPU


# --- reasons ----------------------------------------------------------------------------------------


def spared_reason(turn: Round, state: LaneState, host: str) -> Reason:
    """Why a task of the lane is not sent to this host although it could run there."""
    if state.lane.gpu is GpuNeed.UNNEEDED:
        return because(ReasonCode.CPU_PREFERRED, host)
    gpu, cpu = lengths(turn, host)
    margin = turn.board.policy.overflow_margin
    return because(ReasonCode.GPU_PREFERRED, host, gpu=gpu, cpu=cpu, margin=margin)


def aside(turn: Round, state: LaneState, choice: Candidate) -> str:
    """Why the chosen host is not of the kind that was wanted; "" when it is."""
    if choice[:2] not in state.reach.second:
        return ""
    if wanted_usable(turn, state):
        return ", helps out"
    wanted = state.reach.kind.upper()
    up = any(usable(turn, c) for c in state.reach.wanted)
    return f", its {wanted} hosts are out" if up else f", no {wanted} host usable"
