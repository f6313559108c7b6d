"""Judge a run from outside: what the servers recorded, joined with the submit acknowledgements.

Nothing here asks the dispatcher. A gate violation is an arrival at a server that already runs as many
calls as its host has slots. An inversion is an arrival at a host while a better task, acknowledged more
than `SLACK_S` earlier and eligible for that host, arrives later.
"""

from __future__ import annotations

import heapq
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

SLACK_S = 0.020


@dataclass(frozen=True, slots=True)
class Ack:
    """One acknowledged submit. `rank` is (priority, place in the queue); `at` is monotonic seconds."""

    task_id: str
    rank: tuple[int, int]
    hosts: frozenset[str]
    at: float


@dataclass(frozen=True, slots=True)
class Visit:
    """One first arrival of a task at a host's server, monotonic seconds."""

    task_id: str
    host: str
    at: float


def inversions(acks: Iterable[Ack], visits: Iterable[Visit]) -> list[tuple[Visit, Ack]]:
    """Arrivals that overtook a better task, each with the best one it overtook.

    Tasks that never arrive (cancelled before they started) are left out; so are later attempts.
    """
    arrived = {v.task_id: v.at for v in visits}
    known = [a for a in acks if a.task_id in arrived]
    ranks = {a.task_id: a.rank for a in known}
    by_host: dict[str, list[Visit]] = {}
    for visit in visits:
        by_host.setdefault(visit.host, []).append(visit)
    found: list[tuple[Visit, Ack]] = []
    for host, here in by_host.items():
        eligible = sorted((a for a in known if host in a.hosts), key=lambda a: a.at)
        found += _sweep(sorted(here, key=lambda v: v.at), eligible, arrived, ranks)
    return found


def _sweep(
    visits: Sequence[Visit],
    eligible: Sequence[Ack],
    arrived: Mapping[str, float],
    ranks: Mapping[str, tuple[int, int]],
) -> list[tuple[Visit, Ack]]:
    """One host's arrivals in time order against a heap of tasks acknowledged early enough."""
    found, waiting, place = [], [], 0  # type: ignore[var-annotated]
    for visit in visits:
        while place < len(eligible) and eligible[place].at <= visit.at - SLACK_S:
            heapq.heappush(waiting, (eligible[place].rank, place))
            place += 1
        while waiting and arrived[eligible[waiting[0][1]].task_id] <= visit.at:
            heapq.heappop(waiting)
        if waiting and waiting[0][0] < ranks.get(visit.task_id, (math.inf, 0)):
            found.append((visit, eligible[waiting[0][1]]))
    return found


def bound_s(hosts_of_tasks: Iterable[str], slots: Mapping[str, int], latency_s: float) -> float:
    """No schedule is faster than max over hosts of ceil(tasks / slots) * latency."""
    counts = Counter(hosts_of_tasks)
    return max((math.ceil(n / slots[h]) * latency_s for h, n in counts.items()), default=0.0)
