"""What the writer keeps beside the rows: interned lanes, counters, and the event log.

Counter changes gather here while operations run and are written once per transaction; one that is rolled
back leaves none. Lane numbers are cached, and forgotten after any rollback.
"""

from __future__ import annotations

from collections import Counter

import apsw

from ygg.model import Lane, State
from ygg.model.lifecycle import legal
from ygg.stores.sqlite.rows import parse_lane

Place = tuple[int, int, State]  #: lane, priority and state: what tasks are counted by

_WAITING = (State.QUEUED, State.SCHEDULED)


class Ledger:
    """Side records of one writing connection."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._db = connection
        self._ids: dict[Lane, int] = {}
        self._lanes: dict[int, Lane] = {}
        self._counts: Counter[Place] = Counter()
        self._batches: Counter[tuple[str, State]] = Counter()
        self.waiting: int = self._db.execute(_WAITING_SUM).get  #: tasks queued or scheduled

    # --- transactions --------------------------------------------------------------------------

    def flush(self) -> None:
        """Write the gathered counter changes."""
        for key, n in self._counts.items():
            if n:
                self._db.execute(_COUNT, (*key, max(n, 0), n))
        for batch, n in self._batches.items():
            if n:
                self._db.execute(_COUNT_BATCH, (*batch, max(n, 0), n))
        self._counts.clear()
        self._batches.clear()

    def after(self, committed: bool) -> None:
        """A transaction is over: what one that was rolled back had learned does not hold."""
        if committed:
            return
        for known in (self._counts, self._batches, self._ids, self._lanes):
            known.clear()
        self.waiting = self._db.execute(_WAITING_SUM).get

    # --- lanes ---------------------------------------------------------------------------------

    def lane_id(self, lane: Lane) -> int:
        found = self._ids.get(lane)
        if found is None:
            forms = [
                None if f == lane else self.lane_id(f) for f in (lane.unavoided, lane.unmarked)
            ]
            self._db.execute(_LANE, (lane.key, *forms))
            found = self._db.execute("SELECT id FROM lanes WHERE key = ?", (lane.key,)).get
            self._ids[lane] = found
            self._lanes[found] = lane
        return found

    def lane(self, lane_id: int) -> Lane:
        found = self._lanes.get(lane_id)
        if found is None:
            key = self._db.execute("SELECT key FROM lanes WHERE id = ?", (lane_id,)).get
            found = self._lanes[lane_id] = parse_lane(key)
        return found

    # --- transitions ---------------------------------------------------------------------------

    def entered(self, place: Place, batch: str | None) -> None:
        self._count(place, batch, 1)

    def left(self, place: Place, batch: str | None) -> None:
        self._count(place, batch, -1)

    def _count(self, place: Place, batch: str | None, n: int) -> None:
        self._counts[place] += n
        if place[2] in _WAITING:
            self.waiting += n
        if batch is not None:
            self._batches[batch, place[2]] += n

    def log(
        self,
        task: int,
        at_ms: int,
        attempt: int,
        change: tuple[State | None, State],
        reason: str | None,
        host: str | None = None,
        detail: str | None = None,
    ) -> None:
        """One row of the event log. A change of state is legal or an IllegalTransition."""
        before, after = change
        if before is not after:
            legal(task, before, after)
        self._db.execute(_LOG, (task, at_ms, attempt, before, after, reason, host, detail))


_WAITING_SUM = "SELECT coalesce(sum(n), 0) FROM counters WHERE state IN ('queued', 'scheduled')"
_LANE = "INSERT INTO lanes (key, unavoided, unmarked) VALUES (?, ?, ?) ON CONFLICT DO NOTHING"
_COUNT = (
    "INSERT INTO counters (lane, priority, state, n) VALUES (?, ?, ?, ?)"
    " ON CONFLICT (lane, priority, state) DO UPDATE SET n = n + ?"
)
_COUNT_BATCH = (
    "INSERT INTO batch_counters (batch, state, n) VALUES (?, ?, ?)"
    " ON CONFLICT (batch, state) DO UPDATE SET n = n + ?"
)
_LOG = (
    "INSERT INTO log (task, at_ms, attempt, before, after, reason, host, detail)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
)
