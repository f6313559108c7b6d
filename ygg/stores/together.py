"""What the memory store keeps of batches: those that were submitted, and their tasks that were deleted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator

from ygg.model import Batch, BatchView, ReasonCode, State, Task
from ygg.model.batches import OnFailure, several, unknown
from ygg.stores.past import ending

_OPEN = (State.SCHEDULED, State.QUEUED, State.PROCESSING, State.BLOCKED)
_BAD = (State.FAILED, State.EXPIRED)


class Together:
    """By id. `tasks` are all that the store has."""

    def __init__(self) -> None:
        self._batches: dict[str, Batch] = {}
        self._gone: dict[str, Counter[State]] = {}

    def add(self, batch: Batch) -> None:
        self._batches[batch.id] = batch

    def deleted(self, gone: Collection[Task]) -> None:
        for task in gone:
            if task.batch in self._batches:
                self._gone.setdefault(task.batch, Counter())[task.state] += 1
        for batch_id in {t.batch for t in gone if t.batch in self._gone}:
            if self._gone[batch_id].total() >= self._batches[batch_id].total:
                del self._batches[batch_id], self._gone[batch_id]

    def by_key(self, caller: str, key: str) -> Batch | None:
        mine = (b for b in self._batches.values() if b.caller == caller)
        return next((b for b in mine if b.idempotency_key == key), None)

    def view(self, batch_id: str, tasks: Collection[Task]) -> BatchView:
        fits = [batch_id] if batch_id in self._batches else ending(self._batches, batch_id)
        if not fits:
            raise unknown(batch_id)
        if len(fits) > 1:
            raise several(batch_id, fits)
        return self._view(self._batches[fits[0]], tasks)

    def views(self, caller: str | None, limit: int, tasks: Collection[Task]) -> list[BatchView]:
        mine = [b for b in self._batches.values() if caller in (None, b.caller)]
        mine.sort(key=lambda b: (b.created_ms, b.id), reverse=True)
        return [self._view(b, tasks) for b in mine[:limit]]

    def _view(self, batch: Batch, tasks: Collection[Task]) -> BatchView:
        there = Counter(t.state for t in tasks if t.batch == batch.id)
        return BatchView(batch, there + self._gone.get(batch.id, Counter()))

    def open(self, tasks: Collection[Task]) -> bool:
        """Whether tasks wait for others of their batch."""
        return any(_waits(t) for t in tasks)

    def idle(self, tasks: Collection[Task]) -> Iterator[tuple[list[Task], bool]]:
        """Of each sequence of which nothing waits, runs or needs a person else: those that wait for their turn, and
        whether they are to stop."""
        for _, batch in sorted(self._batches.items()):
            mine = [t for t in tasks if t.batch == batch.id and t.state in _OPEN]
            waiting = [t for t in mine if _waits(t)]
            if waiting and len(waiting) == len(mine):
                bad = sum(self._view(batch, tasks).counts[state] for state in _BAD)
                yield waiting, batch.on_failure is OnFailure.STOP and bad > 0


def _waits(task: Task) -> bool:
    return task.state is State.SCHEDULED and task.reason == ReasonCode.BATCH_TURN
