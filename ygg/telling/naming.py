"""What the log calls a task: its type and its title, as far as the board knows them."""

from __future__ import annotations

from itertools import islice

from ygg.core.board import Board

LATELY = 50  #: of the recent ends, those that a line may still be about


def named(board: Board, task_id: str) -> tuple[str, str]:
    """Type and title; "" for what is not known."""
    call = board.calls.get(board.call_of.get(task_id, ""))
    attempt = call.tries.get(task_id) if call is not None else None
    head = board.where.get(task_id) if attempt is None else attempt.head
    if head is not None:
        return head.lane.type, head.title
    ends = (e for e in islice(reversed(board.recent), LATELY) if e.task_id == task_id)
    end = next(ends, None)
    return (end.type, end.title) if end is not None else ("", "")
