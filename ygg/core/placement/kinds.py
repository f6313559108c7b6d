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
from typing import NamedTuple

from ygg.core.board import Board, Reach
from ygg.core.hosts import gates
from ygg.core.placement import candidates, fitting
from ygg.model import Candidate, GpuNeed, Lane, Reason, ReasonCode

GPU, CPU = "gpu", "cpu"
TEXT = "text"  #: the content of a task that names none: work for a language model


class Queues(NamedTuple):
    """How many tasks wait for a GPU host, and how many for a CPU host."""

    gpu: int
    cpu: int

    def __str__(self) -> str:
        return f"{self.gpu} GPU, {self.cpu} CPU"


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


def usable(board: Board, candidate: Candidate) -> bool:
    """Whether it takes work, all slots busy or not, and has room for the model."""
    if not gates.up(board, candidate) or board.hosts[candidate.host].removed:
        return False
    return not fitting.hopeless(board, candidate)


def reach(board: Board, lane: Lane) -> Reach:
    """The kinds of host that serve the lane."""
    found = board.reaches.get(lane)
    if found is None:
        candidates.all_candidates(board, lane)
        found = board.reaches[lane]
    return found


def wanted_first(board: Board, lane: Lane, places: tuple[Candidate, ...]) -> tuple[Candidate, ...]:
    """Candidates in their order, those of the kind the lane wants before the others."""
    second = reach(board, lane).second
    return tuple(sorted(places, key=lambda c: c.host in second)) if second else places


def spared(board: Board, lane: Lane, candidate: Candidate) -> bool:
    """Whether the candidate's host is kept for tasks that want its kind."""
    if candidate.host not in reach(board, lane).second or not wanted_usable(board, lane):
        return False
    return lane.gpu is GpuNeed.UNNEEDED or not overflows(board, candidate.host)


def wanted_usable(board: Board, lane: Lane) -> bool:
    """Whether a host of the wanted kind is usable that neither refused the task nor has just failed it."""
    out = (*lane.refused, *lane.avoid)
    places = reach(board, lane).wanted
    return any(usable(board, c) for c in places if not out or c.key not in out)


def overflows(board: Board, host: str) -> bool:
    """Whether this CPU host helps out with tasks that prefer a GPU."""
    queues = lengths(board, host)
    return queues.gpu > queues.cpu + board.policy.overflow_margin


def lengths(board: Board, host: str | None = None) -> Queues:
    """The queues of the house, or of one host: those tasks that may run on it."""
    if board.lengths is None:
        return _lengths(board, host)
    if host not in board.lengths:
        board.lengths[host] = _lengths(board, host)
    return Queues(*board.lengths[host])


def _lengths(board: Board, host: str | None) -> Queues:
    gpu = cpu = 0
    seen: dict[object, bool] = {}
    for lane, windows in board.lanes.items():
        waiting = 0
        for window in windows.values():
            waiting += len(window.heads) + window.beyond
        if not waiting or (host is not None and host not in reach(board, lane).hosts):
            continue
        if waits_for(board, lane, seen) == GPU:
            gpu += waiting
        else:
            cpu += waiting
    return Queues(gpu, cpu)


def waits_for(board: Board, lane: Lane, seen: dict[object, bool]) -> str:
    """The kind of host the lane's tasks wait for, `gpu` or `cpu`. `seen`: what was found usable just now."""
    found = reach(board, lane)
    if not found.second:
        return found.kind or candidates.KINDS[lane.gpu][0]
    key = (found.wanted, lane.refused, lane.avoid)
    if key not in seen:
        seen[key] = wanted_usable(board, lane)
    if seen[key]:
        return found.kind
    return CPU if found.kind == GPU else GPU


# --- reasons ----------------------------------------------------------------------------------------


def spared_reason(board: Board, lane: Lane, candidate: Candidate) -> Reason:
    """Why a task of the lane is not sent to this host although it could run there."""
    host = candidate.host
    if lane.gpu is GpuNeed.UNNEEDED:
        text = f"waits for a CPU host: {host} is kept for tasks that profit from a GPU"
        return Reason(ReasonCode.CPU_PREFERRED, text, host)
    queues, margin = lengths(board, host), board.policy.overflow_margin
    text = (
        f"waits for a GPU host: {queues.gpu} tasks wait for one, {queues.cpu} for a CPU; {host} helps out"
        f" when the difference is over {margin}"
    )
    return Reason(ReasonCode.GPU_PREFERRED, text, host)


def chosen(board: Board, lane: Lane, choice: Candidate) -> str:
    """The kind of host that was chosen, the queues, and why it is not the kind that was wanted."""
    text = f"{board.hosts[choice.host].host.kind.upper()}, waiting: {lengths(board)}"
    found = reach(board, lane)
    if choice.host not in found.second:
        return text
    if wanted_usable(board, lane):
        return f"{text}, helps out"
    wanted, up = found.kind.upper(), any(usable(board, c) for c in found.wanted)
    return f"{text}, its {wanted} hosts are out" if up else f"{text}, no {wanted} host usable"
