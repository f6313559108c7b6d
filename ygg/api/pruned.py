"""What is said of a task that is not there: its id tells when it was made, and ended tasks are kept for a while only."""

from __future__ import annotations

from datetime import datetime

from ygg.config.values import spelled
from ygg.errors import NotFound
from ygg.intake import ids
from ygg.model import Policy, Pruned

HINT = (
    "policies.retention and policies.read_retention in hosts.yaml, --retention of ygg submit,"
    " or a cleanup over HTTP"
)


def explained(
    error: NotFound, task_id: str, policy: Policy, now_ms: int, known: Pruned | None
) -> NotFound:
    """The error, and why and when the task went; of one that is not remembered, why it may be gone where it is old
    enough for that."""
    if known is not None:
        return NotFound(f"{error.message} any more: {_told(known)}", hint=HINT)
    made_ms = ids.made_ms(task_id)
    least_s = min(policy.retention_s, policy.read_retention_s)
    if made_ms is None or not 0 < made_ms <= now_ms - least_s * 1000:
        return error
    text = (
        f"{error.message} any more, submitted {_clock(made_ms)}: once it has ended a task is deleted after"
        f" {spelled(policy.retention_s)}, and {spelled(policy.read_retention_s)} after its result was first read over HTTP"
    )
    return NotFound(text, hint=HINT)


def _told(task: Pruned) -> str:
    """`completed 2026-11-20 20:11:53, result first read …, deleted …`."""
    times = (
        (task.state, task.finished_ms),
        ("result first read", task.read_ms),
        ("deleted", task.pruned_ms),
    )
    return ", ".join(f"{what} {_clock(at_ms)}" for what, at_ms in times if at_ms is not None)


def _clock(at_ms: int) -> str:
    return f"{datetime.fromtimestamp(at_ms / 1000).astimezone():%Y-%m-%d %H:%M:%S}"
