"""Which of two waiting tasks comes first, of one caller; between callers turns decide inside one class (`turns`).

Strict (default): by priority, FIFO within one. With ageing `W`: by created + priority * W, so a task is
overtaken only by better ones created less than (difference in priority) * W after it. Both keep
FIFO within a lane and priority, so the first head of each is enough to find the best task.
"""

from __future__ import annotations

import math

from ygg.core.board import Rank
from ygg.model import Head, Now, Policy, Priority


def rank(head: Head, policy: Policy) -> Rank:
    """Sort key of a head; smaller runs first."""
    if policy.ageing_s is None:
        return (head.priority, head.seq)
    return (head.created_ms + head.priority * policy.ageing_s * 1000, head.seq)


def class_of(rank: Rank, policy: Policy, now: Now) -> float:
    """The priority a task of this rank has come to: with ageing one better for each `W` it has waited, CRITICAL at
    best. A better rank is never in a worse class."""
    if policy.ageing_s is None:
        return rank[0]
    return math.ceil(max(0.0, rank[0] - now.wall_ms) / (policy.ageing_s * 1000))


def unseen_rank(priority: Priority, policy: Policy) -> Rank:
    """A bound no unseen task of this priority can beat."""
    return (priority if policy.ageing_s is None else float("-inf"), -1)
