"""Judge a run from outside: what the servers recorded, joined with the submit acknowledgements.

Nothing here asks the dispatcher, and nothing hangs on how fast the machine is. A gate violation is an arrival at a
server that already runs as many calls as its host has slots. An inversion is a slot that came free while a better task,
acknowledged before and eligible for that host, waited on and a worse one got the slot. Two calls that had their slots
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
    ranks = {a.task_id: a.rank for a in known}
    by_host: dict[str, list[Visit]] = {}
    for visit in arrived.values():
        by_host.setdefault(visit.host, []).append(visit)
    found: list[tuple[Visit, Ack]] = []
    for host, here in by_host.items():
        eligible = sorted((a for a in known if host in a.hosts), key=lambda a: a.at)
        found += _sweep(sorted(here, key=lambda v: v.at), eligible, arrived, ranks)
    return found


def _sweep(
    visits: Sequence[Visit],
    eligible: Sequence[Ack],
    arrived: Mapping[str, Visit],
    ranks: Mapping[str, tuple[int, int]],
) -> list[tuple[Visit, Ack]]:
    """One host's arrivals in time order against a heap of tasks acknowledged early enough."""
    found, waiting, place = [], [], 0  # type: ignore[var-annotated]
    for visit in (v for v in visits if v.freed > ALL_ALONG):
        while place < len(eligible) and eligible[place].at <= visit.freed:
            heapq.heappush(waiting, (eligible[place].rank, place))
            place += 1
        while waiting and not _waits(arrived[eligible[waiting[0][1]].task_id], visit):
            heapq.heappop(waiting)
        if waiting and waiting[0][0] < ranks.get(visit.task_id, (math.inf, 0)):
            found.append((visit, eligible[waiting[0][1]]))
    return found


def _waits(better: Visit, visit: Visit) -> bool:
    """Whether the better task still waits for a slot when `visit` arrives."""
    return better.at > visit.at and (better.host != visit.host or better.freed > visit.at)


def bound_s(hosts_of_tasks: Iterable[str], slots: Mapping[str, int], latency_s: float) -> float:
    """No schedule is faster than max over hosts of ceil(tasks / slots) * latency."""
    counts = Counter(hosts_of_tasks)
    return max((math.ceil(n / slots[h]) * latency_s for h, n in counts.items()), default=0.0)
