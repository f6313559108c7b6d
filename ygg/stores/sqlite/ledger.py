"""What the writer keeps beside the rows: interned lanes, counters, and the event log.

Counter changes and log rows gather here while operations run and are written once per transaction, each kind
with one statement; one that is rolled back leaves none. Lane numbers are cached, and forgotten after any rollback.
"""

from __future__ import annotations

from collections import Counter
from functools import lru_cache
from itertools import chain

import apsw

from ygg.model import Lane, State
from ygg.model.lifecycle import legal
from ygg.stores.sqlite.rows import Row, parse_lane

Place = tuple[int, int, State]  #: lane, priority and state: what tasks are counted by

ROWS = 32  #: of one statement
_WAITING = (State.QUEUED, State.SCHEDULED)


class Ledger:
    """Side records of one writing connection."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._db = connection
        self._ids: dict[Lane, int] = {}
        self._lanes: dict[int, Lane] = {}
        self._counts: Counter[Place] = Counter()
        self._batches: Counter[tuple[str, State]] = Counter()
        self._log: list[Row] = []
        #: tasks queued or scheduled, and those among them that came as single submits
        self.waiting: int = self._db.execute(_WAITING_SUM).get
        self.single: int = self._db.execute(_SINGLE_SUM).get
        self._settled = self.waiting, self.single

    # --- transactions --------------------------------------------------------------------------

    def flush(self) -> None:
        """Write what has gathered."""
        self._insert(_LOG, 8, self._log)
        self._insert(_COUNT, 4, [(*key, n) for key, n in self._counts.items() if n])
        self._insert(_COUNT_BATCH, 3, [(*key, n) for key, n in self._batches.items() if n])
        for gathered in (self._log, self._counts, self._batches):
            gathered.clear()

    def _insert(self, sql: str, width: int, rows: list[Row]) -> None:
        for start in range(0, len(rows), ROWS):
            part = rows[start : start + ROWS]
            self._db.execute(_many(sql, width, len(part)), [*chain.from_iterable(part)])

    def after(self, committed: bool) -> None:
        """A transaction is over: what one that was rolled back had learned does not hold."""
        if committed:
            self._settled = self.waiting, self.single
            return
        for known in (self._log, self._counts, self._batches, self._ids, self._lanes):
            known.clear()
        self.waiting, self.single = self._settled

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

    def entered(self, place: Place, batch: str | None, single: int = 0) -> None:
        """`single`: 1 where it came as a single submit."""
        self._count(place, batch, 1, single)

    def left(self, place: Place, batch: str | None, single: int = 0) -> None:
        self._count(place, batch, -1, -single)

    def _count(self, place: Place, batch: str | None, n: int, single: int) -> None:
        self._counts[place] += n
        if batch is not None:
            self._batches[batch, place[2]] += n
        if place[2] in _WAITING:
            self.waiting += n
            self.single += single

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
        self._log.append((task, at_ms, attempt, before, after, reason, host, detail))


_WAITING_SUM = "SELECT coalesce(sum(n), 0) FROM counters WHERE state IN ('queued', 'scheduled')"
_SINGLE_SUM = (
    "SELECT count(*) FROM tasks INDEXED BY single_waiting"
    " WHERE single AND state IN ('queued', 'scheduled')"
)
_LANE = "INSERT INTO lanes (key, unavoided, unmarked) VALUES (?, ?, ?) ON CONFLICT DO NOTHING"
_COUNT = (
    "INSERT OR REPLACE INTO counters (lane, priority, state, n) SELECT column1, column2, column3,"
    " column4 + coalesce(n, 0) FROM (VALUES {}) LEFT JOIN counters"
    " ON (lane, priority, state) = (column1, column2, column3)"
)
_COUNT_BATCH = (
    "INSERT OR REPLACE INTO batch_counters (batch, state, n) SELECT column1, column2,"
    " column3 + coalesce(n, 0) FROM (VALUES {}) LEFT JOIN batch_counters"
    " ON (batch, state) = (column1, column2)"
)
_LOG = "INSERT INTO log (task, at_ms, attempt, before, after, reason, host, detail) VALUES {}"


@lru_cache(maxsize=3 * ROWS)
def _many(sql: str, width: int, count: int) -> str:
    """The statement for so many rows of so many values."""
    row = f"({', '.join('?' * width)})"
    return sql.format(", ".join([row] * count))
