"""The verbs of the queue as SQL on the writing connection, one method each.

Every method runs inside the writer's transaction, so it may raise at any point, and may then run again. What a verb
makes of a task is said in `model.lifecycle` and compiled once, in `statements`; this module binds the inputs, and
logs and counts what a statement says it has changed. Sets are `SET_ROWS` rows at most.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import apsw

from ygg.errors import Conflict, InvalidInput, LeftOut, NotFound, QueueFull, YggError
from ygg.model import (
    Batch,
    Capacity,
    Claim,
    End,
    Head,
    Lane,
    NewTask,
    Priority,
    Promoted,
    Pruned,
    Recovery,
    RunningRow,
    State,
    Submitted,
    Task,
)
from ygg.model import lifecycle as life
from ygg.model.cases import Given, Refusal, Verb, decide, row_of
from ygg.model.tasks import lends_ms
from ygg.stores.sqlite import batches, caching, pruned, statements
from ygg.stores.sqlite.ledger import Ledger
from ygg.stores.sqlite.rows import LANE, STATES, Row, dumps, fetch, result_values, to_head, to_task
from ygg.stores.sqlite.statements import Was
from ygg.stores.sqlite.translating import translate


class Verbs:
    """SQL of the Queue port. `retention_s` is how long completed, cancelled and expired tasks are kept;
    failed ones (dead letters) stay until a person acts, unless the task says otherwise."""

    def __init__(self, db: apsw.Connection, ledger: Ledger, epoch: int, retention_s: float) -> None:
        self._db, self._ledger, self.epoch = db, ledger, epoch
        self.retention_s = retention_s

    def _get(self, task_id: str) -> Task:
        row = self._db.execute(statements.TASK, (task_id,)).fetchone()
        if row is None:
            raise NotFound(f"no task {task_id}", hint="ygg list")
        return self._task(row)

    def _task(self, row: Row) -> Task:
        return to_task(row, self._ledger.lane(row[LANE]))

    # --- what all of them do -------------------------------------------------------------------

    def _given(self, now_ms: int, **inputs: Any) -> dict[str, Any]:
        return {"now": now_ms, "epoch": self.epoch, "keep_s": self.retention_s, **inputs}

    def _was(self, task_id: str) -> Was:
        """The row as it is before a verb. Raises NotFound."""
        row = self._db.execute(statements.WAS_BY_ID, (task_id,)).fetchone()
        if row is None:
            raise NotFound(f"no task {task_id}", hint="ygg list")
        return Was(*row)

    def _record(
        self, row: Row, was: Was, now_ms: int, detail: str | None = None, note: str | None = None
    ) -> None:
        """Log and count a changed row. `note` is the reason where its state has stayed."""
        _, seq, _, priority, state, batch, attempt, host, reason, lane = row[: LANE + 1]
        before, after = STATES[was.state], STATES[state]
        self._ledger.left((was.lane, was.priority, before), batch, was.single)
        self._ledger.entered((lane, priority, after), batch, was.single)
        ran = was.host if before is State.PROCESSING else None
        where = host if after is State.PROCESSING else ran
        why = note if before is after else reason
        self._ledger.log(seq, now_ms, attempt, (before, after), why, where, detail)

    def _unchanged(self, verb: Verb, task_id: str, given: Given) -> Task:
        """A task that the verb's statement left as it is. Raises NotFound, or what the verb refuses."""
        task = self._get(task_id)
        case = decide(verb, row_of(task), given)
        if isinstance(case, Refusal):
            raise case.error(task_id, task.state)
        return task

    def _set(self, sql: str, seqs: Sequence[int], given: dict[str, Any]) -> list[Row]:
        """What a verb's statement has changed of a set of rows, in their order; logged and counted."""
        if not seqs:
            return []
        given["seqs"] = dumps(seqs)
        were = {
            row[0]: Was(*row) for row in fetch(self._db, statements.WAS_BY_SEQS, (given["seqs"],))
        }
        rows = {row[1]: row for row in fetch(self._db, sql, given)}
        for seq, row in rows.items():
            self._record(row, were[seq], given["now"])
        return [rows[seq] for seq in seqs if seq in rows]

    def _seqs(self, sql: str, *values: object) -> list[int]:
        return [row[0] for row in fetch(self._db, sql, values)]

    # --- submit --------------------------------------------------------------------------------

    def submit(
        self,
        tasks: Sequence[NewTask],
        now_ms: int,
        capacity: Capacity | None,
        atomic: bool,
        batch: Batch | None = None,
    ) -> list[Submitted | YggError]:
        waiting = self._ledger.waiting
        answers: list[Submitted | YggError] = []
        for task in tasks:
            try:
                answers.append(self._submit(task, now_ms, capacity))
            except QueueFull as full:
                if capacity is not None and not capacity.single:
                    raise capacity.full(waiting, len(tasks)) from None
                answers.append(full)
            except YggError as error:
                answers.append(error)
            except (UnicodeEncodeError, OverflowError, ValueError, apsw.ConstraintError) as error:
                answers.append(_unstorable(error))
        if atomic and any(isinstance(a, YggError) for a in answers):
            raise Refused(answers)
        if batch is not None:
            batches.add(self._db, batch)
        return answers

    def _submit(self, task: NewTask, now_ms: int, capacity: Capacity | None) -> Submitted:
        seen = self._seen(task)
        if seen is not None:
            return seen
        lender = caching.lender(self._db, task, now_ms)
        if lender is not None:
            return self._lent(task, lender, now_ms)
        twin = caching.twin(self._db, task)
        if twin is not None:
            return Submitted(self._get(twin), existing=True, joined=True)
        single = capacity is not None and capacity.single
        waiting = self._ledger.single if single else self._ledger.waiting
        if capacity is not None and waiting >= capacity.most:
            raise capacity.full(waiting, 1)
        return Submitted(to_task(self._born(task, now_ms, single=single), task.lane, task.request))

    def _lent(self, task: NewTask, lender: caching.Lender, now_ms: int) -> Submitted:
        """A task that ends as it begins, with the answer of another one."""
        row = self._born(replace(task, sharing=None), now_ms, lender)
        self._db.execute(caching.COPY, (row[1], lender.seq))
        return Submitted(to_task(row, task.lane))

    def _born(
        self,
        task: NewTask,
        now_ms: int,
        lender: caching.Lender | None = None,
        *,
        single: bool = False,
    ) -> Row:
        lane, shares = self._ledger.lane_id(task.lane), task.sharing
        values = (
            now_ms, task.not_before_ms, int(task.turn), int(lender is not None), task.retention_s,
            self.retention_s, task.id, lane, task.lane.caller, task.lane.type,
            task.priority, task.operation, dumps(task.request), task.title,
            dumps(list(task.labels)), task.timeout_s, task.deadline_ms, task.retention_s,
            task.idempotency_key, task.body_hash, task.batch, task.content_type, int(task.attached),
            task.source, task.source_ref, task.source_version, task.rank,
            shares and shares.key, lends_ms(shares),
            lender and lender.id, lender and lender.model, int(single),
        )  # fmt: skip
        row = fetch(self._db, statements.INSERT, values)[0]
        state = STATES[row[4]]
        self._ledger.entered((lane, task.priority, state), task.batch, int(single))
        told = None if lender is None else f"the answer of {lender.id}"
        self._ledger.log(row[1], now_ms, 0, (None, state), row[8], detail=told)
        return row

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
        rows = self._db.execute(
            statements.HEADS, (self._ledger.lane_id(lane), priority, limit)
        ).fetchall()
        return [to_head(row, lane, priority) for row in rows]

    def running(self) -> list[RunningRow]:
        return [
            RunningRow(row[0], row[1], row[2], Priority(row[3]), bool(row[4]))
            for row in fetch(self._db, statements.RUNNING, (self.epoch,))
        ]

    def claim(self, claims: Sequence[Claim], now_ms: int) -> list[Task | None]:
        return [self._claim(c, now_ms) for c in claims]

    def _claim(self, claim: Claim, now_ms: int) -> Task | None:
        where = claim.candidate
        given = {
            "id": claim.task_id, "version": claim.version, "now": now_ms, "epoch": self.epoch,
            "host": where.host, "endpoint": where.endpoint, "model": where.model,
            "call": claim.call or None,
        }  # fmt: skip
        for row in fetch(self._db, statements.CLAIM, given):
            was = Was(row[1], State.QUEUED, row[LANE], row[3], single=row[-1])  # as the guard says
            self._record(row, was, now_ms, _short(claim.why.text if claim.why else None))
            return self._task(row)
        return None

    def finish(self, ends: Sequence[End], now_ms: int) -> list[Task | None]:
        for end in ends:
            life.legal(end.task_id, State.PROCESSING, end.state)
        return [self._finish(e, now_ms) for e in ends]

    def _finish(self, end: End, now_ms: int) -> Task | None:
        row = self._db.execute(statements.WAS_BY_ID, (end.task_id,)).fetchone()
        return None if row is None else self._end(end, Was(*row), now_ms)

    def _end(self, end: End, was: Was, now_ms: int) -> Task | None:
        detail = _short(end.detail)
        given = self._given(
            now_ms, seq=was.seq, attempt=end.attempt, state=end.state, reason=end.reason,
            detail=detail, lane=None if end.lane is None else self._ledger.lane_id(end.lane),
            due_ms=end.due_ms, add_errors=end.add_errors, add_deferrals=end.add_deferrals,
        )  # fmt: skip
        for row in fetch(self._db, statements.END, given):
            if end.result is not None:
                self._db.execute(statements.RESULT, (row[1], *result_values(end.result)))
            self._record(row, was, now_ms, detail)
            task = self._task(row)
            if task.host is not None:
                return task
            return replace(task, host=was.host, endpoint=was.endpoint, model=was.model)
        return None

    # --- one task ------------------------------------------------------------------------------

    def cancel(self, task_id: str, now_ms: int, running: bool) -> Task:
        was = self._was(task_id)
        given = self._given(now_ms, seq=was.seq, running=running)
        for row in fetch(self._db, statements.CANCEL, given):
            wish = "cancel requested" if row[4] == was.state else None
            self._record(row, was, now_ms, wish, life.CANCEL.note)
            return self._task(row)
        return self._unchanged(life.CANCEL, task_id, given)

    def retry(self, task_ids: Sequence[str], now_ms: int, turn: bool) -> list[Task | YggError]:
        seqs = self._seqs(statements.SEQS_BY_IDS, dumps(list(task_ids)))
        given = self._given(now_ms, turn=turn)
        done: dict[str, Task] = {
            row[0]: self._task(row) for row in self._set(statements.RETRY, seqs, given)
        }
        for batch in {t.batch for t in done.values() if t.state is State.SCHEDULED and t.batch}:
            batches.set_open(self._db, batch, open_=True)
        return [done.pop(i) if i in done else self._not_retried(i, given) for i in task_ids]

    def _not_retried(self, task_id: str, given: Given) -> Task | YggError:
        try:
            return self._unchanged(life.RETRY, task_id, given)
        except YggError as error:
            return error

    def prioritize(self, task_id: str, priority: Priority, now_ms: int) -> Task:
        was = self._was(task_id)
        given = self._given(now_ms, seq=was.seq, priority=int(priority))
        for row in fetch(self._db, statements.PRIORITIZE, given):
            detail = f"priority {was.priority} -> {int(priority)}"
            self._record(row, was, now_ms, detail, life.PRIORITIZE.note)
            return self._task(row)
        return self._unchanged(life.PRIORITIZE, task_id, given)

    def touch_read(self, task_id: str, now_ms: int, keep_s: float) -> None:
        fetch(
            self._db, statements.TOUCH_READ, {"id": task_id, "now": now_ms, "read_keep_s": keep_s}
        )

    # --- sets ----------------------------------------------------------------------------------

    def promote(self, now_ms: int, machine_ms: int | None, limit: int) -> Promoted:
        given = self._given(now_ms)
        late = self._set(statements.EXPIRE, self._seqs(statements.OVERDUE, now_ms, limit), given)
        due = self._due(statements.DUE, now_ms, now_ms, limit)
        if machine_ms is not None and machine_ms > now_ms:
            due += self._due(statements.SAID_DUE, machine_ms, now_ms, limit)
        turned, stopped = self._turns(now_ms, limit)
        times = [
            self._db.execute(sql).get for sql in (statements.NEXT_DUE, statements.NEXT_DEADLINE)
        ]
        more = [now_ms] if len(stopped) >= limit else []
        return Promoted(
            queued=tuple(self._due_head(row) for row in (*due, *turned)),
            expired=tuple(row[0] for row in late),
            next_due_ms=min((t for t in (*times, *more) if t is not None), default=None),
            stopped=tuple(row[0] for row in stopped),
            sequences=batches.any_open(self._db),
        )

    def _turns(self, now_ms: int, limit: int) -> tuple[list[Row], list[Row]]:
        """The next task of each sequence whose last one has ended; what is left of those that stop, `limit` at most."""
        self._ledger.flush()
        turned: list[Row] = []
        stopped: list[Row] = []
        for batch, stops in fetch(self._db, batches.IDLE):
            most = limit - len(stopped) if stops else 1
            seqs = self._seqs(batches.TURNS, batch, most)
            if stops:
                stopped += self._set(statements.STOP, seqs, self._given(now_ms))
            else:
                turned += self._set(statements.TAKE_TURN, seqs, self._given(now_ms))
            if not self._seqs(batches.TURNS, batch, 1):
                batches.set_open(self._db, batch, open_=False)
        return turned, stopped

    def _due(self, which: str, until_ms: int, now_ms: int, limit: int) -> list[Row]:
        given = self._given(now_ms, until=until_ms)
        return self._set(statements.BECOME_DUE, self._seqs(which, until_ms, limit), given)

    def _due_head(self, row: Row) -> Head:
        lane, priority = self._ledger.lane(row[LANE]), Priority(row[3])
        return to_head((*row[:3], *row[LANE + 1 :]), lane, priority)

    def recover(self, now_ms: int, max_crashes: int) -> Recovery:
        """Of `SET_ROWS` rows; fewer say that there are no more."""
        given = self._given(now_ms, max_crashes=max_crashes)
        rows = self._set(
            statements.RECOVER, self._seqs(statements.ORPHANS, self.epoch, life.SET_ROWS), given
        )
        fates = [row[4] for row in rows]
        counted = [fates.count(s) for s in (State.QUEUED, State.BLOCKED, State.CANCELLED)]
        return Recovery(*counted)

    def prune(self, now_ms: int, limit: int) -> int:
        seqs = self._seqs(statements.PRUNABLE, now_ms, limit)
        return self._delete(statements.PRUNE, seqs, now_ms)

    def clean(self, state: State, now_ms: int, age_s: float, after: int) -> tuple[int, int | None]:
        """Of the first `SET_ROWS` rows of a state beyond seq `after`: how many went, and the seq to go on after; None
        where there are no more."""
        seqs = self._seqs(statements.IN_STATE, state, after, life.SET_ROWS)
        gone = self._delete(statements.CLEAN, seqs, now_ms, state=state, age_s=age_s)
        return gone, seqs[-1] if len(seqs) == life.SET_ROWS else None

    def discard(self, task_id: str, now_ms: int) -> None:
        if not self._delete(statements.DISCARD, [self._was(task_id).seq], now_ms):
            self._unchanged(life.DISCARD, task_id, {})

    def _delete(self, sql: str, seqs: Sequence[int], now_ms: int, **inputs: object) -> int:
        """How many of a set of rows a verb's statement deletes; what is remembered of them is."""
        if not seqs:
            return 0
        gone = fetch(self._db, sql, {"seqs": dumps(seqs), "now": now_ms, **inputs})
        went = []
        of_batches: Counter[tuple[str, State]] = Counter()
        for lane, priority, state, batch, task_id, finished_ms, read_ms in gone:
            self._ledger.left((lane, priority, State(state)), batch)
            of_batches.update([(batch, State(state))] if batch is not None else ())
            went.append(Pruned(task_id, State(state), finished_ms, read_ms, now_ms))
        pruned.record(self._db, went)
        batches.deleted(self._db, of_batches)
        return len(gone)


class Refused(Conflict):
    """Carries the answers of an atomic submit through the rollback."""

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
