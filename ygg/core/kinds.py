"""GPU or CPU: which kind of host takes a task now.

A task that prefers a GPU goes to a CPU host only when no GPU host of its candidates is usable (down, no
access, drained, too hot, too full, no room for the model; all slots busy is usable), or when the tasks that wait for a GPU and
could use this CPU host are more than those that wait for this CPU host, by more than `overflow_margin`.
A task whose content does not profit (UNNEEDED) goes to a GPU host only when no CPU host of its candidates
is usable. `required` and `never` have one kind only.

A task waits for the kind it wants, or for the other one while no host of the wanted kind is usable. The
lengths are of queued tasks, those of the store that no window shows included.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import NamedTuple

from ygg.core import fitting, gates, routes
from ygg.core.state import State
from ygg.model import Candidate, GpuNeed, Lane, Reason, ReasonCode

GPU = "gpu"
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


def usable(state: State, candidate: Candidate) -> bool:
    """Whether it takes work, all slots busy or not, and has room for the model."""
    if not gates.up(state, candidate) or state.hosts[candidate.host].removed:
        return False
    return not fitting.hopeless(state, candidate)


def wanted_first(state: State, lane: Lane, places: tuple[Candidate, ...]) -> tuple[Candidate, ...]:
    """Candidates in their order, those of the kind the lane wants before the others."""
    second = second_hosts(state, lane)
    return tuple(sorted(places, key=lambda c: c.host in second)) if second else places


def second_hosts(state: State, lane: Lane) -> frozenset[str]:
    """Hosts of the lane that are not of the kind it wants; none when it has only one kind."""
    routes.all_candidates(state, lane)
    return state.seconds.get(lane, frozenset()) if state.seconds else frozenset()


def spared(state: State, lane: Lane, candidate: Candidate) -> bool:
    """Whether the candidate's host is kept for tasks that want its kind."""
    if candidate.host not in second_hosts(state, lane) or not wanted_usable(state, lane):
        return False
    return lane.gpu is GpuNeed.UNNEEDED or not overflows(state, candidate.host)


def wanted_usable(state: State, lane: Lane) -> bool:
    """Whether a host of the wanted kind is usable that neither refused the task nor has just failed it."""
    out = {*lane.refused, *lane.avoid}
    return any(c.key not in out for c in _wanted(state, lane))


def _wanted(state: State, lane: Lane) -> Iterator[Candidate]:
    """The usable candidates of the wanted kind, those that are out for the task included."""
    second = second_hosts(state, lane)
    for candidate in routes.all_candidates(state, lane):
        if candidate.host not in second and usable(state, candidate):
            yield candidate


def overflows(state: State, host: str) -> bool:
    """Whether this CPU host helps out with tasks that prefer a GPU."""
    queues = lengths(state, host)
    return queues.gpu > queues.cpu + state.policy.overflow_margin


def lengths(state: State, host: str | None = None) -> Queues:
    """The queues of the house, or of one host: those tasks that may run on it."""
    gpu = cpu = 0
    for lane, windows in state.lanes.items():
        waiting = sum(len(w.heads) + w.beyond for w in windows.values())
        if not waiting or (host is not None and not _serves(state, lane, host)):
            continue
        if waits_for(state, lane) == GPU:
            gpu += waiting
        else:
            cpu += waiting
    return Queues(gpu, cpu)


def _serves(state: State, lane: Lane, host: str) -> bool:
    return any(c.host == host for c in routes.all_candidates(state, lane))


def waits_for(state: State, lane: Lane) -> str:
    """The kind of host the lane's tasks wait for, `gpu` or `cpu`."""
    kinds, places = routes.KINDS[lane.gpu], routes.all_candidates(state, lane)
    if len(kinds) == 1 or not places:
        return kinds[0]
    if not second_hosts(state, lane):
        return state.hosts[places[0].host].host.kind
    return kinds[0] if wanted_usable(state, lane) else kinds[1]


# --- reasons ----------------------------------------------------------------------------------------


def spared_reason(state: State, lane: Lane, candidate: Candidate) -> Reason:
    """Why a task of the lane is not sent to this host although it could run there."""
    host = candidate.host
    if lane.gpu is GpuNeed.UNNEEDED:
        text = f"waits for a CPU host: {host} is kept for tasks that profit from a GPU"
        return Reason(ReasonCode.CPU_PREFERRED, text, host)
    queues, margin = lengths(state, host), state.policy.overflow_margin
    text = (
        f"waits for a GPU host: {queues.gpu} tasks wait for one, {queues.cpu} for a CPU; {host} helps out"
        f" when the difference is over {margin}"
    )
    return Reason(ReasonCode.GPU_PREFERRED, text, host)


def chosen(state: State, lane: Lane, choice: Candidate) -> str:
    """The kind of host that was chosen, the queues, and why it is not the kind that was wanted."""
    text = f"{state.hosts[choice.host].host.kind.upper()}, waiting: {lengths(state)}"
    if choice.host not in second_hosts(state, lane):
        return text
    wanted = routes.KINDS[lane.gpu][0].upper()
    if wanted_usable(state, lane):
        return f"{text}, helps out"
    up = any(_wanted(state, lane))
    return f"{text}, its {wanted} hosts are out" if up else f"{text}, no {wanted} host usable"
