"""Judge a run from outside: what the servers recorded, joined with the submit acknowledgements.

Nothing here asks the dispatcher, and nothing hangs on how fast the machine is. A gate violation is an arrival at a
server that already runs as many calls as its host has slots. An inversion is a slot that came free while a better task,
acknowledged before and eligible for that host, waited on and a worse one got the slot; a task of another caller is better
only by its priority, since callers take turns. Two calls that had their slots
at once may arrive in either order: neither waited for the other.
"""

from __future__ import annotations

import heapq
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

ALL_ALONG = -math.inf  #: when a slot came free that no call had before


@dataclass(frozen=True, slots=True)
class Ack:
    """One acknowledged submit. `rank` is (priority, place in the queue); `at` is monotonic seconds."""

    task_id: str
    rank: tuple[int, int]
    hosts: frozenset[str]
    at: float
    caller: str = "local"


@dataclass(frozen=True, slots=True)
class Visit:
    """One arrival of a task at a host's server, and when the slot that it got came free, monotonic seconds."""

    task_id: str
    host: str
    at: float
    freed: float = ALL_ALONG


def freed(slots: int, arrivals: Sequence[float], ends: Iterable[float]) -> list[float]:
    """When the slot of each arrival at a host came free. `arrivals` in order of time; one that came before its slot was
    free (its server had still to read that a client had left) is taken for one whose slot was free all along."""
    before = [ALL_ALONG] * slots + sorted(ends)
    return [end if end <= at else ALL_ALONG for at, end in zip(arrivals, before, strict=False)]


def inversions(acks: Iterable[Ack], visits: Iterable[Visit]) -> list[tuple[Visit, Ack]]:
    """Arrivals that overtook a better task, each with the best one it overtook.

    Tasks that never arrive (cancelled before they started) are left out; so are later attempts.
    """
    arrived = {v.task_id: v for v in visits}
    known = [a for a in acks if a.task_id in arrived]
    submitted = {a.task_id: a for a in known}
    by_host: dict[str, list[Visit]] = {}
    for visit in arrived.values():
        by_host.setdefault(visit.host, []).append(visit)
    found: list[tuple[Visit, Ack]] = []
    for host, here in by_host.items():
        eligible = sorted((a for a in known if host in a.hosts), key=lambda a: a.at)
        found += _sweep(sorted(here, key=lambda v: v.at), eligible, arrived, submitted)
    return found


def _sweep(
    visits: Sequence[Visit],
    eligible: Sequence[Ack],
    arrived: Mapping[str, Visit],
    submitted: Mapping[str, Ack],
) -> list[tuple[Visit, Ack]]:
    """One host's arrivals in time order against heaps of tasks acknowledged early enough, one for each caller."""
    found: list[tuple[Visit, Ack]] = []
    waiting: dict[str, list[tuple[tuple[int, int], int]]] = {}
    place = 0
    for visit in (v for v in visits if v.freed > ALL_ALONG):
        while place < len(eligible) and eligible[place].at <= visit.freed:
            ack = eligible[place]
            heapq.heappush(waiting.setdefault(ack.caller, []), (ack.rank, place))
            place += 1
        for heap in waiting.values():
            while heap and not _waits(arrived[eligible[heap[0][1]].task_id], visit):
                heapq.heappop(heap)
        firsts = [eligible[heap[0][1]] for heap in waiting.values() if heap]
        better = [a for a in firsts if _better(a, submitted.get(visit.task_id))]
        if better:
            found.append((visit, min(better, key=lambda a: a.rank)))
    return found


def _better(one: Ack, other: Ack | None) -> bool:
    """Whether one may not be passed by the other; by one that nobody acknowledged it never may."""
    if other is None:
        return True
    return one.rank < other.rank if one.caller == other.caller else one.rank[0] < other.rank[0]


def _waits(better: Visit, visit: Visit) -> bool:
    """Whether the better task still waits for a slot when `visit` arrives."""
    return better.at > visit.at and (better.host != visit.host or better.freed > visit.at)


def bound_s(hosts_of_tasks: Iterable[str], slots: Mapping[str, int], latency_s: float) -> float:
    """No schedule is faster than max over hosts of ceil(tasks / slots) * latency."""
    counts = Counter(hosts_of_tasks)
    return max((math.ceil(n / slots[h]) * latency_s for h, n in counts.items()), default=0.0)
