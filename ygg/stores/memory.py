"""The store in plain Python, for tests and simulations: same contract, no disk, no threads. It reads the
tables of `model.lifecycle` where SQL stores compile them.

Every verb takes effect when it is called and returns a finished coroutine, so it works under a virtual
clock. `reopened` is a crash and restart: the rows stay, the epoch goes on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from ygg.errors import Conflict, InvalidInput, LeftOut, NotFound, QueueFull, StoreError, YggError
from ygg.model import (
    Batch,
    BatchView,
    Capacity,
    Claim,
    Counts,
    End,
    Head,
    Holds,
    Lane,
    LogRow,
    MinuteRow,
    NewTask,
    Priority,
    Promoted,
    Pruned,
    ReasonCode,
    Recovery,
    Result,
    RunningRow,
    Scheduled,
    Sharing,
    State,
    Submitted,
    Task,
    Token,
)
from ygg.model import lifecycle as life
from ygg.model.batches import NEVER_MS
from ygg.model.cases import Case, Refusal, Verb, changes, decide, row_of
from ygg.model.tasks import lends_ms
from ygg.ports import Filter
from ygg.stores import identical
from ygg.stores.keyring import Keyring
from ygg.stores.looking import born, check_room, due_first, listed, logged, place, reached
from ygg.stores.past import Past, ending
from ygg.stores.together import Together

_WAITING = (State.QUEUED, State.SCHEDULED)


class MemoryStore:
    """Implements `Queue` and `Archive` on dictionaries."""

    def __init__(self, epoch: int = 1, *, retention_s: float = 7 * 86400.0) -> None:
        self._epoch, self._retention_s = epoch, retention_s
        self._rows: dict[str, Task] = {}
        self._logs: dict[str, list[LogRow]] = {}
        self._results: dict[str, Result] = {}
        self._keys: dict[tuple[str, str], tuple[str, str]] = {}
        self._lent: dict[str, Sharing] = {}
        self._single: set[str] = set()
        self._expiry: dict[str, int] = {}
        self._read: dict[str, int] = {}
        self._next_seq = 1
        self._held: set[str | None] = set()
        self._past = Past()
        self._tokens = Keyring()
        self._together = Together()
        self._closed = False

    def reopened(self) -> MemoryStore:
        """The same rows under a new epoch, as after kill -9. The old object goes dead."""
        fresh = MemoryStore(self._epoch + 1, retention_s=self._retention_s)
        for name in (
            "_rows", "_logs", "_results", "_keys", "_expiry", "_read", "_next_seq", "_held", "_past", "_tokens", "_together", "_lent",
            "_single",
        ):  # fmt: skip
            setattr(fresh, name, getattr(self, name))
        self._closed = True
        return fresh

    @property
    def epoch(self) -> int:
        return self._epoch

    def _check_open(self) -> None:
        if self._closed:
            raise StoreError("the store is closed")

    # --- rows ----------------------------------------------------------------------------------

    def _get(self, task_id: str) -> Task:
        if task_id not in self._rows:
            raise NotFound(f"no task {task_id}", hint="ygg list")
        return self._rows[task_id]

    def _apply(
        self, verb: Verb, task: Task, now_ms: int, text: str | None = None, /, **inputs: Any
    ) -> Task | None:
        """The task as the verb leaves it; None where nothing fits. `text` goes to its event log. Raises
        what the verb refuses."""
        given = {"now": now_ms, "epoch": self._epoch, "keep_s": self._retention_s, **inputs}
        known = self._expiry.get(task.id), self._read.get(task.id)
        row = row_of(task, *known, lends_ms(self._lent.get(task.id)))
        case = decide(verb, row, given)
        if isinstance(case, Refusal):
            raise case.error(task.id, task.state)
        if isinstance(case, Case):
            changed = changes(verb, case, row, given)
            return self._write(verb, task, changed, now_ms, text)
        return None if case is None else task

    def _write(
        self, verb: Verb, old: Task, changed: dict[str, Any], now_ms: int, detail: str | None
    ) -> Task:
        for column, kept in (("expires_ms", self._expiry), ("read_ms", self._read)):
            if column in changed:
                kept.pop(old.id, None)
                if changed[column] is not None:
                    kept[old.id] = changed[column]
        task = replace(
            old, **{k: v for k, v in changed.items() if k not in ("expires_ms", "read_ms")}
        )
        if not verb.quiet:
            row = logged(old, task, verb, now_ms, detail)
            self._logs.setdefault(task.id, []).append(row)
        self._rows[old.id] = task
        return task

    # --- Queue ---------------------------------------------------------------------------------

    async def recover(self, now_ms: int, max_crashes: int) -> Recovery:
        self._check_open()
        running = [t for t in self._rows.values() if t.state is State.PROCESSING]
        done = self._all(life.RECOVER, running, now_ms, max_crashes=max_crashes)
        fates = Counter(t.state for t in done)
        return Recovery(fates[State.QUEUED], fates[State.BLOCKED], fates[State.CANCELLED])

    def _all(self, verb: Verb, tasks: Sequence[Task], now_ms: int, **inputs: Any) -> list[Task]:
        """Those of the tasks that the verb changes, after it."""
        done = [self._apply(verb, task, now_ms, **inputs) for task in tasks]
        return [task for task in done if task is not None]

    async def submit(
        self,
        tasks: Sequence[NewTask],
        now_ms: int,
        *,
        capacity: Capacity | None = None,
        atomic: bool = True,
        batch: Batch | None = None,
        stored: Callable[[list[Submitted | YggError]], None] | None = None,
    ) -> list[Submitted | YggError]:
        self._check_open()
        kept = (self._rows, self._keys, self._logs, self._results, self._expiry, self._lent)
        saved, seq = [dict(part) for part in kept], self._next_seq
        answers: list[Submitted | YggError] = []
        for task in tasks:
            try:
                answers.append(self._submit(task, now_ms, capacity))
            except YggError as error:
                answers.append(error)
        full = capacity and not capacity.single and any(isinstance(a, QueueFull) for a in answers)
        if full or (atomic and any(isinstance(a, YggError) for a in answers)):
            self._rows, self._keys, self._logs, self._results, self._expiry, self._lent = saved  # type: ignore[assignment]
            self._next_seq = seq
            if full and capacity:
                raise capacity.full(len(self._waiting()), len(tasks))
            return [a if isinstance(a, YggError) else LeftOut() for a in answers]
        if batch is not None:
            self._together.add(batch)
        if stored is not None:
            stored(answers)
        return answers

    def _submit(self, new: NewTask, now_ms: int, capacity: Capacity | None) -> Submitted:
        key = None if new.idempotency_key is None else (new.lane.caller, new.idempotency_key)
        if key is not None and key in self._keys:
            task_id, body_hash = self._keys[key]
            if body_hash != new.body_hash:
                raise Conflict(f"idempotency key {new.idempotency_key!r} was used for {task_id}")
            return Submitted(self._rows[task_id], existing=True)
        lender = identical.lender(new, self._lent, self._rows, self._results, now_ms)
        if not lender and (twin := identical.twin(new, self._lent, self._rows)):
            return Submitted(twin, existing=True, joined=True)
        if capacity is not None and lender is None:
            check_room(capacity, self._waiting(), self._single)
            self._single |= {new.id} if capacity.single else set()
        if new.id in self._rows:
            raise StoreError(f"task {new.id} is stored already")
        task, expires_ms = born(new, self._next_seq, now_ms, self._retention_s, lender)
        self._next_seq += 1
        self._rows[task.id] = task
        told = None if lender is None else f"the answer of {lender.id}"
        self._logs[task.id] = [LogRow(now_ms, 0, None, task.state, task.reason or "", None, told)]
        if lender is not None and expires_ms is not None:
            self._results[task.id], self._expiry[task.id] = self._results[lender.id], expires_ms
        elif new.sharing is not None:
            self._lent[task.id] = new.sharing
        if key is not None:
            self._keys[key] = (new.id, new.body_hash)
        return Submitted(task)

    def _queued(self) -> list[Task]:
        return [t for t in self._rows.values() if t.state is State.QUEUED]

    async def lanes(self) -> list[tuple[Lane, Priority, int]]:
        self._check_open()
        counts = Counter((t.lane, t.priority) for t in self._queued())
        return [(lane, priority, n) for (lane, priority), n in counts.items()]

    async def heads(self, lane: Lane, priority: Priority, limit: int) -> list[Head]:
        self._check_open()
        mine = [t for t in self._queued() if t.lane == lane and t.priority == priority]
        return [t.head for t in sorted(mine, key=place)[:limit]]

    async def running(self) -> list[RunningRow]:
        self._check_open()
        return [
            RunningRow(t.id, t.attempt, t.call, t.priority, t.cancel_requested)
            for t in self._rows.values()
            if t.state is State.PROCESSING and t.epoch == self._epoch
        ]

    async def claim(self, claims: Sequence[Claim], now_ms: int) -> list[Task | None]:
        self._check_open()
        return [self._claim(c, now_ms) for c in claims]

    def _claim(self, claim: Claim, now_ms: int) -> Task | None:
        task, where = self._rows.get(claim.task_id), claim.candidate
        if task is None:
            return None
        return self._apply(
            life.CLAIM, task, now_ms, claim.why.text if claim.why else None, version=claim.version, host=where.host,
            endpoint=where.endpoint, model=where.model, call=claim.call or None,
        )  # fmt: skip

    async def finish(self, ends: Sequence[End], now_ms: int) -> list[Task | None]:
        self._check_open()
        for end in ends:
            life.legal(end.task_id, State.PROCESSING, end.state)
        return [self._finish(e, now_ms) for e in ends]

    def _finish(self, end: End, now_ms: int) -> Task | None:
        old = self._rows.get(end.task_id)
        ended = None if old is None else self._apply(
            life.END, old, now_ms, end.detail, attempt=end.attempt, state=end.state,
            reason=end.reason, detail=end.detail, lane=end.lane, due_ms=end.due_ms,
            add_errors=end.add_errors, add_deferrals=end.add_deferrals,
        )  # fmt: skip
        if old is None or ended is None:
            return None
        if end.result is not None:
            self._results[end.task_id] = end.result
        return replace(ended, host=old.host, endpoint=old.endpoint, model=old.model)

    async def cancel(self, task_id: str, now_ms: int, *, running: bool = True) -> Task:
        self._check_open()
        old = self._get(task_id)
        wish = "cancel requested" if old.state is State.PROCESSING else None
        return self._apply(life.CANCEL, old, now_ms, wish, running=running) or old

    async def promote(
        self, now_ms: int, machine_ms: int | None = None, limit: int = 500
    ) -> Promoted:
        self._check_open()
        timed = [t for t in self._waiting() if reached(t.deadline_ms, now_ms)]
        by_deadline = sorted(timed, key=lambda t: t.deadline_ms or 0)
        late = self._first(life.EXPIRE, by_deadline, now_ms, limit)
        queued = self._due(self._waiting(), now_ms, now_ms, limit)
        if machine_ms is not None and machine_ms > now_ms:
            said = [t for t in self._waiting() if t.reason == ReasonCode.SUBMITTED]
            queued += self._due(said, machine_ms, now_ms, limit)
        stopped: list[Task] = []
        for waiting, stops in [*self._together.idle(self._rows.values())]:
            if stops:
                stopped += self._first(life.STOP, waiting, now_ms, limit - len(stopped))
            else:
                queued += self._first(life.TAKE_TURN, waiting, now_ms, 1)
        times = [t for w in self._waiting() for t in (w.due_ms, w.deadline_ms) if t is not None]
        return Promoted(
            tuple(t.head for t in queued), tuple(t.id for t in late),
            now_ms if len(stopped) >= limit else min((t for t in times if t < NEVER_MS), default=None),
            tuple(t.id for t in stopped), self._together.open(self._rows.values()),
        )  # fmt: skip

    def _due(self, tasks: list[Task], until_ms: int, now_ms: int, limit: int) -> list[Task]:
        timed = [t for t in tasks if reached(t.due_ms, until_ms)]
        by_time = sorted(timed, key=lambda t: (t.due_ms or 0, t.seq))
        return self._first(life.BECOME_DUE, by_time, now_ms, limit, until=until_ms)

    def _waiting(self) -> list[Task]:
        return [t for t in self._rows.values() if t.state in _WAITING]

    def _first(
        self, verb: Verb, tasks: Sequence[Task], now_ms: int, limit: int, **inputs: Any
    ) -> list[Task]:
        """What the verb makes of the first tasks that it changes, at most `limit`."""
        done: list[Task] = []
        for task in tasks:
            if len(done) == limit:
                break
            done += self._all(verb, [task], now_ms, **inputs)
        return done

    async def hold(self, host: str | None, held: bool) -> None:
        self._check_open()
        self._held.add(host) if held else self._held.discard(host)

    def keep_for(self, retention_s: float) -> None:
        self._retention_s = retention_s

    async def holds(self) -> Holds:
        return Holds(None in self._held, frozenset(h for h in self._held if h is not None))

    async def retry(
        self, task_ids: Sequence[str], now_ms: int, *, turn: bool = False
    ) -> list[Task | YggError]:
        self._check_open()
        answers: list[Task | YggError] = []
        for task_id in task_ids:
            try:
                answers.append(self._retry(self._get(task_id), now_ms, turn))
            except YggError as error:
                answers.append(error)
        return answers

    def _retry(self, task: Task, now_ms: int, turn: bool) -> Task:
        return self._apply(life.RETRY, task, now_ms, turn=turn) or task

    async def prioritize(self, task_id: str, priority: Priority, now_ms: int) -> Task:
        self._check_open()
        old = self._get(task_id)
        detail = f"priority {int(old.priority)} -> {int(priority)}"
        return self._apply(life.PRIORITIZE, old, now_ms, detail, priority=priority) or old

    async def touch_read(self, task_id: str, now_ms: int, keep_s: float) -> None:
        self._check_open()
        if task_id in self._rows:
            self._apply(life.TOUCH_READ, self._rows[task_id], now_ms, read_keep_s=keep_s)

    async def prune(self, now_ms: int, limit: int = 500) -> int:
        self._check_open()
        over = sorted((t, i) for i, t in self._expiry.items() if reached(t, now_ms))
        gone = self._first(life.PRUNE, [self._rows[i] for _, i in over], now_ms, limit)
        self._delete(gone, now_ms)
        return len(gone) + self._past.drop(now_ms, limit)

    async def clean(self, states: frozenset[State], now_ms: int, age_s: float) -> dict[State, int]:
        self._check_open()
        rows = list(self._rows.values())
        gone = {s: self._all(life.CLEAN, rows, now_ms, state=s, age_s=age_s) for s in states}
        self._delete([t for tasks in gone.values() for t in tasks], now_ms)
        return {state: len(tasks) for state, tasks in gone.items()}

    async def discard(self, task_id: str, now_ms: int) -> None:
        self._check_open()
        self._delete(self._all(life.DISCARD, [self._get(task_id)], now_ms), now_ms)

    def _delete(self, gone: Sequence[Task], now_ms: int) -> None:
        self._past.remember(
            Pruned(t.id, t.state, t.finished_ms, self._read.get(t.id), now_ms) for t in gone
        )
        self._together.deleted(gone)
        for task in gone:
            self._forget(task)

    def _forget(self, task: Task) -> None:
        if task.idempotency_key is not None:
            self._keys.pop((task.lane.caller, task.idempotency_key), None)
        for kept in (self._rows, self._logs, self._results, self._expiry, self._read, self._lent):
            kept.pop(task.id, None)

    async def record_minutes(self, rows: Sequence[MinuteRow]) -> None:
        self._check_open()
        self._past.record(rows)

    async def add_token(self, token: Token) -> None:
        self._check_open()
        self._tokens.add(token)

    async def revoke_token(self, name: str, now_ms: int) -> None:
        self._check_open()
        self._tokens.revoke(name, now_ms)

    async def close(self) -> None:
        self._closed = True

    # --- Archive -------------------------------------------------------------------------------

    async def get(self, task_id: str) -> Task:
        if task_id in self._rows:
            return self._rows[task_id]
        fits = ending(self._rows, task_id)
        if len(fits) > 1:
            raise InvalidInput(f"{task_id} fits several tasks: {', '.join(fits)}")
        return self._get(fits[0] if fits else task_id)

    async def find(self, which: Filter) -> list[Task]:
        return listed(self._rows.values(), which)

    async def log(self, task_id: str) -> list[LogRow]:
        return list(self._logs.get(task_id, ()))

    async def result(self, task_id: str) -> Result | None:
        return self._results.get(task_id)

    async def counts(self) -> Counts:
        return Counts(Counter((t.priority, t.state) for t in self._rows.values()))

    async def ahead(self, task: Task, lanes: Sequence[Lane], limit: int) -> int:
        mine, wanted = place(task), set(lanes)
        better = [t for t in self._queued() if t.lane in wanted and place(t) < mine]
        return min(limit, len(better))

    async def scheduled(self, limit: int) -> list[Scheduled]:
        return due_first(self._waiting(), limit)

    async def verify(self) -> None:
        """There is nothing that could be damaged."""

    async def minutes(self, host: str | None, since_ms: int) -> list[MinuteRow]:
        return self._past.minutes(host, since_ms)

    async def batch(self, batch_id: str) -> BatchView:
        return self._together.view(batch_id, self._rows.values())

    async def batches(self, caller: str | None, limit: int) -> list[BatchView]:
        return self._together.views(caller, limit, self._rows.values())

    async def batch_of_key(self, caller: str, key: str) -> Batch | None:
        return self._together.by_key(caller, key)

    async def batch_states(self, batch_id: str) -> list[tuple[str, State]]:
        return [(t.id, t.state) for t in self._rows.values() if t.batch == batch_id]

    async def lent(self, prefix: str, since_ms: int, now_ms: int) -> int:
        return identical.count(self._lent, self._rows, prefix, since_ms, now_ms)

    async def tokens(self) -> list[Token]:
        return self._tokens.all()

    async def pruned(self, task_id: str) -> Pruned | None:
        return self._past.pruned(task_id)
