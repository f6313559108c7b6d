"""One request straight to a server, beside the queue."""

from __future__ import annotations

from ygg.config import GENERAL
from ygg.model import (
    Attempt,
    Call,
    CallLimits,
    Candidate,
    JsonDict,
    Lane,
    Operation,
    Priority,
    State,
    Task,
)


def call_of(
    name: str,
    place: Candidate,
    request: JsonDict,
    limits: CallLimits,
    operation: Operation = Operation.CHAT,
) -> Call:
    """A call that a backend takes, of a task that no queue has; `name` is the id of both."""
    task = Task(
        name, 0, 1, Lane(GENERAL), Priority.NORMAL, State.PROCESSING, operation, request,
        attempt=1, host=place.host,
    )  # fmt: skip
    return Call(name, place, (Attempt(task, request),), limits)
