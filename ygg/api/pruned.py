"""What is said of a task that is not there: its id tells when it was made, and ended tasks are kept for a while only."""

from __future__ import annotations

from datetime import datetime

from ygg.errors import NotFound
from ygg.intake import ids
from ygg.model import Policy

DAY_S = 86_400


def explained(error: NotFound, task_id: str, policy: Policy, now_ms: int) -> NotFound:
    """The error, and why the task may be gone where it is old enough for that."""
    made_ms = ids.made_ms(task_id)
    least_s = min(policy.retention_s, policy.read_retention_s)
    if made_ms is None or not 0 < made_ms <= now_ms - least_s * 1000:
        return error
    at = datetime.fromtimestamp(made_ms / 1000).astimezone()
    text = (
        f"{error.message} any more, submitted {at:%Y-%m-%d %H:%M:%S}: once it has ended a task is deleted after"
        f" {_span(policy.retention_s)}, and {_span(policy.read_retention_s)} after its result was first read over HTTP"
    )
    return NotFound(
        text,
        hint="policies.retention and policies.read_retention in hosts.yaml, or --retention of ygg submit",
    )


def _span(seconds: float) -> str:
    for unit, size in (("d", DAY_S), ("h", 3600), ("min", 60)):
        if seconds >= size and seconds % size == 0:
            return f"{seconds / size:g} {unit}"
    return f"{seconds:g} s"
