"""What a client is told of a task's stream: everything once, also when it comes back in between.

An id says what the client has had when it has had the event: how many changes of state, and of which attempt how much.
What is told again after that is cut off at the character, so that it does not matter in which pieces it comes. No I/O:
rows, items and bodies in, events out.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from ygg.api import bodies
from ygg.api.sse import Event
from ygg.model import FINAL, Extent, JsonDict, LogRow, Piece, State
from ygg.ports import AttemptStarted, Gap

_ID = re.compile(
    r"([0-9]{1,12})\.([0-9]{1,12})\.([0-9]{1,12})\.([0-9]{1,12})\.([0-9]{1,12})(\.end)?"
)


class Mark(NamedTuple):
    """How far a client is: changes of state, attempt (0 before the first), how much of its answer; whether the result
    was told."""

    states: int = 0
    attempt: int = 0
    size: Extent = Extent()
    end: bool = False

    def of(self, task_id: str) -> str:
        """As an id: `TASK.STATES.ATTEMPT.TEXT.THINKING.TOOLS`, the task by its last characters, `.end` after the result."""
        numbers = ".".join(map(str, (self.states, self.attempt, *self.size)))
        return f"{task_id[-4:]}.{numbers}{'.end' if self.end else ''}"


def mark_of(text: str | None, task_id: str) -> Mark | None:
    """What an id says; None for what is none, or one of another task."""
    head, start = f"{task_id[-4:]}.", text or ""
    found = _ID.fullmatch(start.removeprefix(head)) if start.startswith(head) else None
    if found is None:
        return None
    states, attempt, *size = map(int, found.groups()[:5])
    return Mark(states, attempt, Extent(*size), found[6] is not None)


def changes(log: Sequence[LogRow]) -> list[LogRow]:
    """The rows of a log that are no notes."""
    return [row for row in log if row.before is not row.after]


def before_end(rows: Sequence[LogRow]) -> Sequence[LogRow]:
    """Without an end, which is told with the result: tokens may still be on their way to a client that is slow."""
    over = rows and (rows[-1].after in FINAL or rows[-1].after is State.BLOCKED)
    return rows[:-1] if over else rows


class Resuming:
    """One client on one task. Without a mark that fits it is told the state as it is now, and the attempt that runs from
    its start."""

    def __init__(self, task_id: str, rows: Sequence[LogRow], last: str | None = None) -> None:
        """`rows`: the changes of state so far; `last`: the id that it had last."""
        mark = mark_of(last, task_id)
        if mark is None or not _possible(mark, rows):
            mark = Mark(states=max(0, len(rows) - 1))
        self._task_id, self._at = task_id, mark
        self._seen = Extent()  #: of the attempt, whether it was told now or before

    def over(self, rows: Sequence[LogRow]) -> bool:
        """Whether it has had the result, and nothing has happened since."""
        return self._at.end and self._at.states == len(rows)

    def states(self, rows: Sequence[LogRow]) -> list[Event]:
        """Those of all changes that it was not told."""
        return [
            self._event("state", bodies.state_body(row), states=n, end=False)
            for n, row in enumerate(rows, 1)
            if n > self._at.states
        ]

    def item(self, item: AttemptStarted | Piece | Gap) -> Event | None:
        """What of it is new. `attempt`: texts of earlier ones are void; `gap`: so much is in the result alone."""
        match item:
            case AttemptStarted(attempt, host, model):
                return self._attempt(attempt, host, model)
            case Piece():
                new = _rest(item, _less(self._at.size, self._seen)) if item.token else Piece()
                self._seen = self._seen.plus(item)
                return self._more("token", bodies.piece_body(new)) if any(new) else None
            case Gap(size):
                self._seen = _sum(self._seen, size)
                lost = _less(self._seen, self._at.size)
                return self._more("gap", lost._asdict()) if any(lost) else None

    def result(self, body: JsonDict) -> Event:
        """The last one."""
        return self._event("result", body, end=True)

    def _attempt(self, attempt: int, host: str, model: str) -> Event | None:
        self._seen = Extent()
        if attempt == self._at.attempt:
            return None
        body = {"attempt": attempt, "host": host, "model": model}
        return self._event("attempt", body, attempt=attempt, size=Extent())

    def _more(self, name: str, body: JsonDict) -> Event:
        return self._event(name, body, size=self._seen)

    def _event(self, name: str, body: JsonDict, **to: object) -> Event:
        self._at = self._at._replace(**to)  # type: ignore[arg-type]
        return Event(name, body, self._at.of(self._task_id))


def _possible(mark: Mark, rows: Sequence[LogRow]) -> bool:
    """Whether this task can have given it."""
    return mark.states <= len(rows) and mark.attempt <= max((r.attempt for r in rows), default=0)


def _rest(piece: Piece, had: Extent) -> Piece:
    """The piece without what was had of it."""
    return Piece(
        piece.content[had.content :],
        piece.thinking[had.thinking :],
        piece.tool_calls[had.tool_calls :],
    )


def _less(one: Extent, other: Extent) -> Extent:
    return Extent(*(max(0, a - b) for a, b in zip(one, other, strict=True)))


def _sum(one: Extent, other: Extent) -> Extent:
    return Extent(*(a + b for a, b in zip(one, other, strict=True)))
