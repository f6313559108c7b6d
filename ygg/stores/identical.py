"""How the store in plain Python finds tasks that are identical: whose answer is lent, and which one will do."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ygg.model import NewTask, Result, Sharing, State, Task

_OPEN = (State.PROCESSING, State.QUEUED, State.SCHEDULED)


def lender(
    new: NewTask, lent: Mapping[str, Sharing], rows: Mapping[str, Task], results: Mapping[str, Result], now_ms: int
) -> Task | None:  # fmt: skip
    """Whose answer a task gets: the newest one that is young enough. `lent`: what stored tasks share, by id."""
    shares = new.sharing
    if shares is None or shares.fresh_s is None or new.waits:
        return None
    since_ms = now_ms - round(shares.fresh_s * 1000)
    alike = (t for t in _answers(lent, rows, since_ms, now_ms) if lent[t.id].key == shares.key)
    return max((t for t in alike if t.id in results), key=lambda t: (t.finished_ms, t.seq), default=None)  # fmt: skip


def twin(new: NewTask, lent: Mapping[str, Sharing], rows: Mapping[str, Task]) -> Task | None:
    """The task that will do for it: one that runs, else one that waits for a slot, else one that is to be tried again."""
    shares = new.sharing
    if shares is None or not shares.join or new.waits:
        return None
    alike = (rows[i] for i, known in lent.items() if known.key == shares.key)
    fits = [t for t in alike if t.lane.caller == new.lane.caller and _goes_on(t)]
    return min(fits, key=lambda t: (t.state, t.seq), default=None)


def count(
    lent: Mapping[str, Sharing], rows: Mapping[str, Task], prefix: str, since_ms: int, now_ms: int
) -> int:
    """How many different answers are lent; their keys begin so."""
    keys = {lent[t.id].key for t in _answers(lent, rows, since_ms, now_ms)}
    return sum(key.startswith(prefix) for key in keys)


def _answers(
    lent: Mapping[str, Sharing], rows: Mapping[str, Task], since_ms: int, now_ms: int
) -> Iterable[Task]:
    tasks = (rows[i] for i, known in lent.items() if known.fresh_s is not None)
    done = (t for t in tasks if t.state is State.COMPLETED)
    return (t for t in done if since_ms < (t.finished_ms or 0) <= now_ms)


def _goes_on(task: Task) -> bool:
    by_itself = task.state is not State.SCHEDULED or task.attempt > 0
    return task.state in _OPEN and by_itself and not task.cancel_requested
