"""Where a waiting task stands in the queue, and how long it may take."""

from __future__ import annotations

from ygg.model import JsonDict, State, Task
from ygg.ports import Control

EXACT = 1000  #: positions in the queue are counted to here, then given as a bound


async def place_of(control: Control, task: Task) -> JsonDict:
    """position_in_queue and estimated_wait_ms; 0 and null when the task does not wait."""
    if task.state is not State.QUEUED:
        return {"position_in_queue": 0, "position_is_bound": False, "estimated_wait_ms": None}
    ahead = await control.archive.ahead(task, control.rivals(task.lane), EXACT)
    return {
        "position_in_queue": min(ahead + 1, EXACT),
        "position_is_bound": ahead >= EXACT,
        "estimated_wait_ms": control.wait_estimate_ms(task, ahead),
    }
