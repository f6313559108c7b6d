"""What the store in plain Python keeps of what is over: what hosts did minute by minute, and the tasks that it deleted."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ygg.model import MinuteRow, Pruned
from ygg.model.history import KEPT_MS
from ygg.model.tasks import PRUNED_KEPT


class Past:
    """In dictionaries. What is said of each verb stands at the ports."""

    def __init__(self) -> None:
        self._minutes: dict[tuple[int, str], MinuteRow] = {}
        self._pruned: dict[str, Pruned] = {}

    def record(self, rows: Sequence[MinuteRow]) -> None:
        self._minutes.update({(r.minute_ms, r.host): r for r in rows})

    def minutes(self, host: str | None, since_ms: int) -> list[MinuteRow]:
        found = [row for _, row in sorted(self._minutes.items()) if row.minute_ms >= since_ms]
        return [row for row in found if host in (None, row.host)]

    def drop(self, now_ms: int, limit: int) -> int:
        """Up to `limit` minutes that are too old; how many."""
        old = sorted(key for key in self._minutes if key[0] < now_ms - KEPT_MS)[:limit]
        for key in old:
            del self._minutes[key]
        return len(old)

    def remember(self, gone: Iterable[Pruned]) -> None:
        """No more than the newest `PRUNED_KEPT`."""
        self._pruned |= {task.id: task for task in gone}
        while len(self._pruned) > PRUNED_KEPT:
            del self._pruned[next(iter(self._pruned))]

    def pruned(self, task_id: str) -> Pruned | None:
        fits = [task_id] if task_id in self._pruned else ending(self._pruned, task_id)
        return self._pruned[fits[0]] if len(fits) == 1 else None


def ending(ids: Iterable[str], end: str) -> list[str]:
    """Those that end so; a shorter end than this says nothing."""
    return [i for i in ids if i.endswith(end)] if len(end) >= 4 else []
