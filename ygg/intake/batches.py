"""What a task of a batch may say."""

from __future__ import annotations

from dataclasses import replace

from ygg.errors import InvalidInput
from ygg.model import NewTask


def checked(task: NewTask, batch: str, *, sequence: bool, first: bool) -> NewTask:
    """As one of this batch; of a sequence all but the first wait for their turn. Raises InvalidInput for what is not
    its own to say."""
    if task.idempotency_key is not None:
        raise InvalidInput(
            "idempotency_key: a batch is submitted whole, and has one itself",
            hint="give it to the batch, or as the header Idempotency-Key",
        )
    if task.sharing is not None and task.sharing.join:
        raise InvalidInput("coalesce: a batch consists of tasks of its own")
    if sequence and task.not_before_ms is not None:
        raise InvalidInput("not_before: the tasks of a sequence start one after another")
    return replace(task, batch=batch, turn=sequence and not first)
