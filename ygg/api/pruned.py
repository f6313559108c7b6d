"""What is said of a task that is not there: its id tells when it was made, and ended tasks are kept for a while only."""

from __future__ import annotations

from datetime import datetime

from ygg.config.values import spelled
from ygg.errors import NotFound
from ygg.intake import ids
from ygg.model import Policy


def explained(error: NotFound, task_id: str, policy: Policy, now_ms: int) -> NotFound:
    """The error, and why the task may be gone where it is old enough for that."""
    made_ms = ids.made_ms(task_id)
    least_s = min(policy.retention_s, policy.read_retention_s)
    if made_ms is None or not 0 < made_ms <= now_ms - least_s * 1000:
        return error
    at = datetime.fromtimestamp(made_ms / 1000).astimezone()
    text = (
        f"{error.message} any more, submitted {at:%Y-%m-%d %H:%M:%S}: once it has ended a task is deleted after"
        f" {spelled(policy.retention_s)}, and {spelled(policy.read_retention_s)} after its result was first read over HTTP"
    )
    return NotFound(
        text,
        hint="policies.retention and policies.read_retention in hosts.yaml, or --retention of ygg submit",
    )
