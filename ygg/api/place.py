"""Where a waiting task stands in the queue, and how long it may take.

The position counts what surely goes before: a better priority, and in its own what the same caller submitted before.
Where other callers wait in its priority it is a bound, since they take turns (`ygg/core/placement/turns.py`); the
wait is reckoned as if each of them had its turn first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ygg.model import JsonDict, Lane, State, Task
from ygg.ports import Control

EXACT = 1000  #: positions in the queue are counted to here, then given as a bound
FIRST, LAST = -(2**62), 2**62  #: ranks before and behind all others of a priority


async def place_of(control: Control, task: Task) -> JsonDict:
    """position_in_queue and estimated_wait_ms; 0 and null when the task does not wait."""
    if task.state is not State.QUEUED:
        return {"position_in_queue": 0, "position_is_bound": False, "estimated_wait_ms": None}
    lanes: dict[str, list[Lane]] = {task.lane.caller: []}
    for lane in control.rivals(task.lane):
        lanes.setdefault(lane.caller, []).append(lane)
    own = lanes.pop(task.lane.caller)
    ahead, turns = await control.archive.ahead(task, own, EXACT), 0
    mine = ahead - await _ahead(control, task, own, FIRST) + 1 if lanes else 0
    for others in lanes.values():
        better = await _ahead(control, task, others, FIRST)
        turns += min(mine, await _ahead(control, task, others, LAST) - better)
        ahead += better
    return {
        "position_in_queue": min(ahead + 1, EXACT),
        "position_is_bound": ahead >= EXACT or turns > 0,
        "estimated_wait_ms": control.wait_estimate_ms(task, ahead + turns),
    }


async def _ahead(control: Control, task: Task, lanes: Sequence[Lane], rank: int) -> int:
    """What waits there before a task of such a rank in its priority."""
    return await control.archive.ahead(replace(task, rank=rank, seq=0), lanes, EXACT)
