"""The verbs of the queue as SQL on the writing connection, one method each.

Every method runs inside the writer's transaction and savepoint, so it may raise at any point. Rules:
the row that ends an attempt is guarded by `attempt = ? AND state = 'processing'`; a claim by the
version the scheduler saw; each state change appends a log row and moves a counter.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import apsw

from ygg.errors import Conflict, InvalidInput, LeftOut, NotFound, QueueFull, YggError
from ygg.model import (
    FINAL,
    Claim,
    End,
    Head,
    Lane,
    NewTask,
    Priority,
    Promoted,
    ReasonCode,
    Recovery,
    State,
    Submitted,
    Task,
)
from ygg.stores.sqlite.ledger import Ledger
from ygg.stores.sqlite.rows import (
    HEAD_COLUMNS,
    LANE,
    TASK_COLUMNS,
    dumps,
    fetch,
    result_values,
    to_head,
    to_task,
)
from ygg.stores.sqlite.writer import translate

_RERUN = (State.QUEUED, State.SCHEDULED)
_OVERRIDDEN = (State.QUEUED, State.SCHEDULED, State.BLOCKED, State.FAILED)


class Verbs:
    """SQL of the Queue port. `retention_s` is how long completed, cancelled and expired tasks are kept;
    failed ones (dead letters) stay until a person acts, unless the task says otherwise."""

    def __init__(self, db: apsw.Connection, ledger: Ledger, epoch: int, retention_s: float) -> None:
        self._db, self._ledger, self.epoch = db, ledger, epoch
        self.retention_s = retention_s

    def _task(self, where: str, values: Sequence[object]) -> Task | None:
        row = self._db.execute(f"SELECT {TASK_COLUMNS} FROM tasks WHERE {where}", values).fetchone()
        return None if row is None else to_task(row, self._ledger.lane(row[LANE]))

    def _get(self, task_id: str) -> Task:
        task = self._task("id = ?", (task_id,))
        if task is None:
            raise NotFound(f"no task {task_id}", hint="ygg list")
        return task

    # --- submit --------------------------------------------------------------------------------

    def submit(
        self, tasks: Sequence[NewTask], now_ms: int, capacity: int | None, atomic: bool
    ) -> list[Submitted | YggError]:
        answers: list[Submitted | YggError] = []
        for task in tasks:
            try:
                answers.append(self._submit(task, now_ms, capacity))
            except YggError as error:
                answers.append(error)
            except (UnicodeEncodeError, OverflowError, ValueError, apsw.ConstraintError) as error:
                answers.append(_unstorable(error))
        if atomic and any(isinstance(a, YggError) for a in answers):
            raise Refused(answers)
        return answers

    def _submit(self, task: NewTask, now_ms: int, capacity: int | None) -> Submitted:
        seen = self._seen(task)
        if seen is not None:
            return seen
        if capacity is not None and self._ledger.waiting >= capacity:
            raise QueueFull(
                f"the queue holds {self._ledger.waiting} waiting tasks, its capacity is {capacity}",
                hint="wait for it to drain, or raise policy.capacity",
                retry_after_s=10,
            )
        later = task.not_before_ms is not None and task.not_before_ms > now_ms
        state = State.SCHEDULED if later else State.QUEUED
        lane = self._ledger.lane_id(task.lane)
        values = (
            task.id, lane, task.lane.caller, task.lane.type, task.priority, state, task.operation,
            dumps(task.request), task.title, dumps(list(task.labels)), task.timeout_s,
            task.not_before_ms if later else None, task.deadline_ms, task.retention_s,
            task.idempotency_key, task.body_hash, task.batch, task.content_type, int(task.attached),
            task.source, task.source_ref, task.source_version, ReasonCode.SUBMITTED, now_ms,
            None if later else now_ms, task.rank,
        )  # fmt: skip
        row = fetch(self._db, _INSERT, values)[0]
        self._ledger.entered(lane, task.priority, state, task.batch)
        self._ledger.log(row[1], now_ms, 0, (None, state), ReasonCode.SUBMITTED)
        return Submitted(to_task(row, task.lane))

    def _seen(self, task: NewTask) -> Submitted | None:
        if task.idempotency_key is None:
            return None
        sql = "SELECT id, body_hash FROM tasks WHERE caller = ? AND idempotency_key = ?"
        row = self._db.execute(sql, (task.lane.caller, task.idempotency_key)).fetchone()
        if row is None:
            return None
        if row[1] != task.body_hash:
            raise Conflict(
                f"idempotency key {task.idempotency_key!r} was used for another task ({row[0]})",
                hint="use a new key for a new task",
            )
        return Submitted(self._get(row[0]), existing=True)

    # --- dispatch ------------------------------------------------------------------------------

    def lanes(self) -> list[tuple[Lane, Priority, int]]:
        self._ledger.flush()
        sql = "SELECT lane, priority, n FROM counters WHERE state = 'queued' AND n > 0"
        return [(self._ledger.lane(lane), Priority(p), n) for lane, p, n in fetch(self._db, sql)]

    def heads(self, lane: Lane, priority: Priority, limit: int) -> list[Head]:
        rows = self._db.execute(HEADS, (self._ledger.lane_id(lane), priority, limit)).fetchall()
        return [to_head(row, lane, priority) for row in rows]

    def claim(self, claims: Sequence[Claim], now_ms: int) -> list[Task | None]:
        return [self._claim(c, now_ms) for c in claims]

    def _claim(self, claim: Claim, now_ms: int) -> Task | None:
        where = claim.candidate
        values = (
            self.epoch, where.host, where.endpoint, where.model, now_ms, ReasonCode.CHOSEN,
            claim.call or None, claim.task_id, claim.version, now_ms,
        )  # fmt: skip
        rows = fetch(self._db, CLAIM, values)
        if not rows:
            return None
        row = rows[0]
        task = to_task(row, self._ledger.lane(row[LANE]))
        self._ledger.left(row[LANE], task.priority, State.QUEUED, task.batch)
        self._ledger.entered(row[LANE], task.priority, State.PROCESSING, task.batch)
        change = (State.QUEUED, State.PROCESSING)
        chosen = (ReasonCode.CHOSEN, where.host, _short(claim.why))
        self._ledger.log(task.seq, now_ms, task.attempt, change, *chosen)
        return task

    def finish(self, ends: Sequence[End], now_ms: int) -> list[Task | None]:
        return [self._finish(e, now_ms) for e in ends]

    def _finish(self, end: End, now_ms: int) -> Task | None:
        row = self._db.execute(_ENDING, (end.task_id, end.attempt)).fetchone()
        if row is None:
            return None
        seq, lane, priority, batch, host, wanted, retention = row
        if wanted and end.state in _OVERRIDDEN:
            end = replace(end, state=State.CANCELLED, reason=ReasonCode.CANCELLED, due_ms=None)
        after = lane if end.lane is None else self._ledger.lane_id(end.lane)
        final = end.state in FINAL
        values = (
            end.state, end.reason, _short(end.detail), after, end.due_ms, end.add_errors, end.add_deferrals,
            now_ms if end.state is State.QUEUED else None, now_ms if final else None,
            self._expiry(end.state, retention, now_ms), seq, end.attempt,
        )  # fmt: skip
        task_row = fetch(self._db, _FINISH, values)[0]
        if end.result is not None:
            self._db.execute(_RESULT, (seq, *result_values(end.result)))
        self._ledger.left(lane, priority, State.PROCESSING, batch)
        self._ledger.entered(after, priority, end.state, batch)
        change = (State.PROCESSING, end.state)
        self._ledger.log(seq, now_ms, end.attempt, change, end.reason, host, _short(end.detail))
        ended = to_task(task_row, self._ledger.lane(after))
        if end.state in _RERUN:
            self._db.execute(_UNPLACE, (seq,))
        return ended

    def _expiry(self, state: State, retention_s: float | None, now_ms: int) -> int | None:
        if state not in FINAL or (state is State.FAILED and retention_s is None):
            return None
        return now_ms + round((self.retention_s if retention_s is None else retention_s) * 1000)

    # --- one task ------------------------------------------------------------------------------

    def _move(self, task: Task, after: State, reason: ReasonCode, now_ms: int, lane: Lane) -> Task:
        """A state change outside an attempt, by a person or by time."""
        before_lane, lane_id = self._ledger.lane_id(task.lane), self._ledger.lane_id(lane)
        final = after in FINAL
        values = (
            after, lane_id, reason, now_ms if after is State.QUEUED else task.queued_ms,
            now_ms if final else None, self._expiry(after, task.retention_s, now_ms), task.seq,
        )  # fmt: skip
        row = fetch(self._db, _MOVE, values)[0]
        self._ledger.left(before_lane, task.priority, task.state, task.batch)
        self._ledger.entered(lane_id, task.priority, after, task.batch)
        self._ledger.log(task.seq, now_ms, task.attempt, (task.state, after), reason)
        return to_task(row, lane)

    def cancel(self, task_id: str, now_ms: int, running: bool) -> Task:
        task = self._get(task_id)
        if task.state is State.CANCELLED:
            return task
        if task.state in FINAL:
            raise Conflict(f"task {task_id} has already ended: {task.state}")
        if task.state is not State.PROCESSING:
            return self._move(task, State.CANCELLED, ReasonCode.CANCELLED, now_ms, task.lane)
        if not running:
            raise Conflict(f"task {task_id} is processing", hint="cancel it without running=false")
        self._db.execute(_WANT_CANCEL, (task.seq,))
        change = (State.PROCESSING, State.PROCESSING)
        detail = "cancel requested"
        self._ledger.log(
            task.seq,
            now_ms,
            task.attempt,
            change,
            ReasonCode.CANCELLED,
            task.host,
            detail,
            note=True,
        )
        return self._get(task_id)

    def retry(self, task_ids: Sequence[str], now_ms: int) -> list[Task | YggError]:
        answers: list[Task | YggError] = []
        for task_id in task_ids:
            try:
                answers.append(self._retry(self._get(task_id), now_ms))
            except YggError as error:
                answers.append(error)
        return answers

    def _retry(self, task: Task, now_ms: int) -> Task:
        if task.state in (State.QUEUED, State.PROCESSING, State.COMPLETED):
            raise Conflict(f"task {task.id} is {task.state}: there is nothing to retry")
        self._db.execute(_RESET, (now_ms, task.seq))
        lane = replace(task.lane, refused=(), avoid=())
        return self._move(task, State.QUEUED, ReasonCode.RETRIED, now_ms, lane)

    def prioritize(self, task_id: str, priority: Priority, now_ms: int) -> Task:
        task = self._get(task_id)
        if task.state in FINAL:
            raise Conflict(f"task {task_id} has already ended: {task.state}")
        lane = self._ledger.lane_id(task.lane)
        row = fetch(self._db, _PRIORITY, (priority, task.seq))[0]
        self._ledger.left(lane, task.priority, task.state, task.batch)
        self._ledger.entered(lane, priority, task.state, task.batch)
        detail = f"priority {int(task.priority)} -> {int(priority)}"
        change = (task.state, task.state)
        self._ledger.log(
            task.seq, now_ms, task.attempt, change, ReasonCode.PRIORITIZED, None, detail, note=True
        )
        return to_task(row, task.lane)

    # --- time ----------------------------------------------------------------------------------

    def promote(self, now_ms: int, limit: int) -> Promoted:
        late = [r[0] for r in fetch(self._db, OVERDUE, (now_ms, limit))]
        expired = tuple(self._expire(seq, now_ms) for seq in late)
        due = [r[0] for r in fetch(self._db, DUE, (now_ms, limit))]
        queued = tuple(self._become_due(seq, now_ms).head for seq in due)
        times = [self._db.execute(sql).get for sql in (NEXT_DUE, NEXT_DEADLINE)]
        return Promoted(queued, expired, min((t for t in times if t is not None), default=None))

    def _expire(self, seq: int, now_ms: int) -> str:
        task = self._task("seq = ?", (seq,))
        assert task is not None
        return self._move(task, State.EXPIRED, ReasonCode.DEADLINE, now_ms, task.lane).id

    def _become_due(self, seq: int, now_ms: int) -> Task:
        task = self._task("seq = ?", (seq,))
        assert task is not None
        lane = replace(task.lane, avoid=())
        return self._move(task, State.QUEUED, ReasonCode.DUE, now_ms, lane)

    def recover(self, now_ms: int, max_crashes: int) -> Recovery:
        rows = fetch(self._db, ORPHANS, (self.epoch,))
        orphans = [t for (seq,) in rows if (t := self._task("seq = ?", (seq,)))]
        fates = [self._recover(task, now_ms, max_crashes) for task in orphans]
        counted = [fates.count(s) for s in (State.QUEUED, State.BLOCKED, State.CANCELLED)]
        return Recovery(*counted)

    def _recover(self, task: Task, now_ms: int, max_crashes: int) -> State:
        self._db.execute("UPDATE tasks SET crashes = crashes + 1 WHERE seq = ?", (task.seq,))
        if task.cancel_requested:
            after, reason = State.CANCELLED, ReasonCode.CANCELLED
        elif task.crashes + 1 >= max_crashes:
            after, reason = State.BLOCKED, ReasonCode.POISON
        else:
            after, reason = State.QUEUED, ReasonCode.RECOVERED
        self._move(task, after, reason, now_ms, task.lane)
        return after

    def touch_read(self, task_id: str, now_ms: int, keep_s: float) -> None:
        self._db.execute(_READ, (now_ms, now_ms + round(keep_s * 1000), task_id))

    def prune(self, now_ms: int, limit: int) -> int:
        rows = fetch(self._db, PRUNABLE, (now_ms, limit))
        for seq, lane, priority, state, batch in rows:
            self._db.execute("DELETE FROM tasks WHERE seq = ?", (seq,))
            self._ledger.left(lane, priority, State(state), batch)
        return len(rows)


class Refused(Conflict):
    """Carries the answers of an atomic submit through the rollback of its savepoint."""

    def __init__(self, answers: list[Submitted | YggError]) -> None:
        super().__init__("atomic submit refused")
        self.answers: list[Submitted | YggError] = [
            a if isinstance(a, YggError) else LeftOut() for a in answers
        ]


def _short(text: str | None) -> str | None:
    """Error texts are kept to 2,000 characters; some servers answer with whole pages."""
    return text if text is None or len(text) <= 2000 else text[:1999] + "…"


def _unstorable(error: Exception) -> YggError:
    known = translate(error, "")
    return (
        known
        if isinstance(known, YggError)
        else InvalidInput(f"the task cannot be stored: {error}")
    )


HEADS = (
    f"SELECT {HEAD_COLUMNS} FROM tasks INDEXED BY claim"
    " WHERE state = 'queued' AND lane = ? AND priority = ? ORDER BY rank, seq LIMIT ?"
)
CLAIM = (
    "UPDATE tasks SET state = 'processing', version = version + 1, attempt = attempt + 1, epoch = ?,"
    " host = ?, endpoint = ?, model = ?, started_ms = ?, reason = ?, call = ?"
    " WHERE id = ? AND version = ? AND state = 'queued' AND (deadline_ms IS NULL OR deadline_ms > ?)"
    f" RETURNING {TASK_COLUMNS}"
)
OVERDUE = (
    "SELECT seq FROM tasks INDEXED BY deadline WHERE deadline_ms IS NOT NULL"
    " AND state IN ('queued', 'scheduled') AND deadline_ms <= ? ORDER BY deadline_ms LIMIT ?"
)
DUE = (
    "SELECT seq FROM tasks INDEXED BY due WHERE state = 'scheduled' AND due_ms <= ?"
    " ORDER BY due_ms, seq LIMIT ?"
)
NEXT_DUE = "SELECT min(due_ms) FROM tasks INDEXED BY due WHERE state = 'scheduled'"
NEXT_DEADLINE = (
    "SELECT min(deadline_ms) FROM tasks INDEXED BY deadline WHERE deadline_ms IS NOT NULL"
    " AND state IN ('queued', 'scheduled')"
)
ORPHANS = "SELECT seq FROM tasks INDEXED BY processing WHERE state = 'processing' AND epoch <> ?"
PRUNABLE = (
    "SELECT seq, lane, priority, state, batch FROM tasks INDEXED BY expiry"
    " WHERE expires_ms IS NOT NULL AND expires_ms <= ? ORDER BY expires_ms LIMIT ?"
)
_INSERT = (
    "INSERT INTO tasks (id, lane, caller, type, priority, state, operation, request, title, labels,"
    " timeout_s, due_ms, deadline_ms, retention_s, idempotency_key, body_hash, batch, content_type,"
    " attached, source, source_ref, source_version, reason, created_ms, queued_ms, rank)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
    f" RETURNING {TASK_COLUMNS}"
)
_ENDING = (
    "SELECT seq, lane, priority, batch, host, cancel_requested, retention_s FROM tasks"
    " WHERE id = ? AND attempt = ? AND state = 'processing'"
)
_FINISH = (
    "UPDATE tasks SET state = ?, version = version + 1, reason = ?, error = ?, lane = ?, due_ms = ?,"
    " errors = errors + ?, deferrals = deferrals + ?, queued_ms = coalesce(?, queued_ms),"
    " finished_ms = ?, expires_ms = ? WHERE seq = ? AND attempt = ? AND state = 'processing'"
    f" RETURNING {TASK_COLUMNS}"
)
_UNPLACE = "UPDATE tasks SET host = NULL, endpoint = NULL, model = NULL, epoch = NULL WHERE seq = ?"
_RESULT = (
    "INSERT INTO results (task, content, thinking, stop_reason, model, backend, usage)"
    " VALUES (?, ?, ?, ?, ?, ?, ?)"
)
_MOVE = (
    "UPDATE tasks SET state = ?1, version = version + 1, lane = ?2, reason = ?3, queued_ms = ?4,"
    " finished_ms = ?5, expires_ms = ?6, due_ms = NULL, epoch = NULL,"
    " host = iif(?1 = 'queued', NULL, host), endpoint = iif(?1 = 'queued', NULL, endpoint),"
    " model = iif(?1 = 'queued', NULL, model) WHERE seq = ?7"
    f" RETURNING {TASK_COLUMNS}"
)
_WANT_CANCEL = "UPDATE tasks SET cancel_requested = 1, version = version + 1 WHERE seq = ?"
_RESET = (
    "UPDATE tasks SET errors = 0, deferrals = 0, crashes = 0, cancel_requested = 0,"
    " host = NULL, endpoint = NULL, model = NULL,"
    " deadline_ms = CASE WHEN deadline_ms > ? THEN deadline_ms END WHERE seq = ?"
)
_PRIORITY = (
    f"UPDATE tasks SET priority = ?, version = version + 1 WHERE seq = ? RETURNING {TASK_COLUMNS}"
)
_READ = (
    "UPDATE tasks SET read_ms = ?1, expires_ms = min(coalesce(expires_ms, ?2), ?2)"
    " WHERE id = ?3 AND read_ms IS NULL AND state IN ('completed', 'cancelled', 'expired')"
)
