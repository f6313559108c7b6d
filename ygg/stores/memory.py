"""The store in plain Python, for tests and simulations: same contract, no disk, no threads.

Every verb takes effect when it is called and returns a finished coroutine, so it works under a virtual
clock. `reopened` is a crash and restart: the rows stay, the epoch goes on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from ygg.errors import (
    Conflict,
    IllegalTransition,
    InvalidInput,
    LeftOut,
    NotFound,
    QueueFull,
    StoreError,
    YggError,
)
from ygg.model import (
    FINAL,
    TRANSITIONS,
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
    ReasonCode,
    Recovery,
    Result,
    State,
    Submitted,
    Task,
)
from ygg.model.history import KEPT_MS
from ygg.ports import Filter

_OVERRIDDEN = (State.QUEUED, State.SCHEDULED, State.BLOCKED, State.FAILED)
_WAITING = (State.QUEUED, State.SCHEDULED)


class MemoryStore:
    """Implements `Queue` and `Archive` on dictionaries."""

    def __init__(self, epoch: int = 1, *, retention_s: float = 7 * 86400.0) -> None:
        self._epoch, self._retention_s = epoch, retention_s
        self._rows: dict[str, Task] = {}
        self._logs: dict[str, list[LogRow]] = {}
        self._results: dict[str, Result] = {}
        self._keys: dict[tuple[str, str], tuple[str, str]] = {}
        self._expiry: dict[str, int] = {}
        self._read: set[str] = set()
        self._next_seq = 1
        self._held: set[str | None] = set()
        self._minutes: dict[tuple[int, str], MinuteRow] = {}
        self._closed = False

    def reopened(self) -> MemoryStore:
        """The same rows under a new epoch, as after kill -9. The old object goes dead."""
        fresh = MemoryStore(self._epoch + 1, retention_s=self._retention_s)
        for name in (
            "_rows",
            "_logs",
            "_results",
            "_keys",
            "_expiry",
            "_read",
            "_next_seq",
            "_held",
            "_minutes",
        ):
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

    def _log(
        self,
        task: Task,
        at_ms: int,
        before: State | None,
        reason: str,
        detail: str | None = None,
        *,
        note: bool = False,
    ) -> None:
        if not note and (before, task.state) not in TRANSITIONS:
            raise IllegalTransition(f"task {task.id}: {before} -> {task.state} is no legal change")
        row = LogRow(at_ms, task.attempt, before, task.state, reason, task.host, detail)
        self._logs.setdefault(task.id, []).append(row)

    def _expires(self, task: Task, now_ms: int) -> None:
        self._expiry.pop(task.id, None)
        if task.state in FINAL and (task.state is not State.FAILED or task.retention_s is not None):
            keep = self._retention_s if task.retention_s is None else task.retention_s
            self._expiry[task.id] = now_ms + round(keep * 1000)

    def _move(self, task: Task, after: State, reason: ReasonCode, now_ms: int, lane: Lane) -> Task:
        again = after is State.QUEUED
        moved = replace(
            task, state=after, lane=lane, version=task.version + 1, reason=reason, due_ms=None,
            epoch=None, queued_ms=now_ms if again else task.queued_ms,
            finished_ms=now_ms if after in FINAL else None,
            host=None if again else task.host, endpoint=None if again else task.endpoint,
            model=None if again else task.model,
        )  # fmt: skip
        self._log(moved, now_ms, task.state, reason)
        self._rows[task.id] = moved
        self._expires(moved, now_ms)
        return moved

    # --- Queue ---------------------------------------------------------------------------------

    async def recover(self, now_ms: int, max_crashes: int) -> Recovery:
        self._check_open()
        fates: Counter[State] = Counter()
        for task in list(self._rows.values()):
            if task.state is State.PROCESSING and task.epoch != self._epoch:
                fates[self._recover(task, now_ms, max_crashes)] += 1
        return Recovery(fates[State.QUEUED], fates[State.BLOCKED], fates[State.CANCELLED])

    def _recover(self, task: Task, now_ms: int, max_crashes: int) -> State:
        task = replace(task, crashes=task.crashes + 1)
        if task.cancel_requested:
            fate = (State.CANCELLED, ReasonCode.CANCELLED)
        elif task.crashes >= max_crashes:
            fate = (State.BLOCKED, ReasonCode.POISON)
        else:
            fate = (State.QUEUED, ReasonCode.RECOVERED)
        return self._move(task, *fate, now_ms, task.lane).state

    async def submit(
        self,
        tasks: Sequence[NewTask],
        now_ms: int,
        *,
        capacity: int | None = None,
        atomic: bool = True,
    ) -> list[Submitted | YggError]:
        self._check_open()
        saved = (dict(self._rows), dict(self._keys), dict(self._logs), self._next_seq)
        answers: list[Submitted | YggError] = []
        for task in tasks:
            try:
                answers.append(self._submit(task, now_ms, capacity))
            except YggError as error:
                answers.append(error)
        if atomic and any(isinstance(a, YggError) for a in answers):
            self._rows, self._keys, self._logs, self._next_seq = saved
            return [a if isinstance(a, YggError) else LeftOut() for a in answers]
        return answers

    def _submit(self, new: NewTask, now_ms: int, capacity: int | None) -> Submitted:
        key = None if new.idempotency_key is None else (new.lane.caller, new.idempotency_key)
        if key in self._keys and key is not None:
            task_id, body_hash = self._keys[key]
            if body_hash != new.body_hash:
                raise Conflict(f"idempotency key {new.idempotency_key!r} was used for {task_id}")
            return Submitted(self._rows[task_id], existing=True)
        waiting = sum(t.state in _WAITING for t in self._rows.values())
        if capacity is not None and waiting >= capacity:
            raise QueueFull(f"the queue holds {waiting} waiting tasks", retry_after_s=10)
        if new.id in self._rows:
            raise StoreError(f"task {new.id} is stored already")
        task = self._new_row(new, now_ms)
        self._next_seq += 1
        self._rows[task.id] = task
        self._log(task, now_ms, None, ReasonCode.SUBMITTED)
        if key is not None:
            self._keys[key] = (new.id, new.body_hash)
        return Submitted(task)

    def _new_row(self, new: NewTask, now_ms: int) -> Task:
        later = new.not_before_ms is not None and new.not_before_ms > now_ms
        return Task(
            id=new.id, seq=self._next_seq, version=1, lane=new.lane, priority=new.priority,
            state=State.SCHEDULED if later else State.QUEUED, operation=new.operation,
            request=new.request, title=new.title, labels=new.labels, timeout_s=new.timeout_s,
            due_ms=new.not_before_ms if later else None, deadline_ms=new.deadline_ms,
            retention_s=new.retention_s, idempotency_key=new.idempotency_key, batch=new.batch,
            content_type=new.content_type, attached=new.attached, source=new.source,
            source_ref=new.source_ref, source_version=new.source_version, rank=new.rank,
            reason=ReasonCode.SUBMITTED, created_ms=now_ms, queued_ms=None if later else now_ms,
        )  # fmt: skip

    def _queued(self) -> list[Task]:
        return [t for t in self._rows.values() if t.state is State.QUEUED]

    async def lanes(self) -> list[tuple[Lane, Priority, int]]:
        self._check_open()
        counts = Counter((t.lane, t.priority) for t in self._queued())
        return [(lane, priority, n) for (lane, priority), n in counts.items()]

    async def heads(self, lane: Lane, priority: Priority, limit: int) -> list[Head]:
        self._check_open()
        mine = [t for t in self._queued() if t.lane == lane and t.priority == priority]
        return [t.head for t in sorted(mine, key=_place)[:limit]]

    async def claim(self, claims: Sequence[Claim], now_ms: int) -> list[Task | None]:
        self._check_open()
        return [self._claim(c, now_ms) for c in claims]

    def _claim(self, claim: Claim, now_ms: int) -> Task | None:
        task = self._rows.get(claim.task_id)
        if task is None or task.state is not State.QUEUED or task.version != claim.version:
            return None
        if task.deadline_ms is not None and task.deadline_ms <= now_ms:
            return None
        host, endpoint, model = claim.candidate
        task = replace(
            task, state=State.PROCESSING, version=task.version + 1, attempt=task.attempt + 1,
            epoch=self._epoch, host=host, endpoint=endpoint, model=model, started_ms=now_ms,
            reason=ReasonCode.CHOSEN, call=claim.call or None,
        )  # fmt: skip
        self._log(task, now_ms, State.QUEUED, ReasonCode.CHOSEN, claim.why)
        self._rows[task.id] = task
        return task

    async def finish(self, ends: Sequence[End], now_ms: int) -> list[Task | None]:
        self._check_open()
        return [self._finish(e, now_ms) for e in ends]

    def _finish(self, end: End, now_ms: int) -> Task | None:
        task = self._rows.get(end.task_id)
        if task is None or task.state is not State.PROCESSING or task.attempt != end.attempt:
            return None
        if task.cancel_requested and end.state in _OVERRIDDEN:
            end = replace(end, state=State.CANCELLED, reason=ReasonCode.CANCELLED, due_ms=None)
        ended = replace(
            task, state=end.state, version=task.version + 1, reason=end.reason, error=end.detail,
            lane=end.lane or task.lane, due_ms=end.due_ms, errors=task.errors + end.add_errors,
            deferrals=task.deferrals + end.add_deferrals,
            queued_ms=now_ms if end.state is State.QUEUED else task.queued_ms,
            finished_ms=now_ms if end.state in FINAL else None,
        )  # fmt: skip
        self._log(ended, now_ms, State.PROCESSING, end.reason, end.detail)
        if end.result is not None:
            self._results[task.id] = end.result
        self._expires(ended, now_ms)
        again = end.state in _WAITING
        cleared = replace(ended, host=None, endpoint=None, model=None, epoch=None)
        self._rows[task.id] = cleared if again else ended
        return ended

    async def cancel(self, task_id: str, now_ms: int, *, running: bool = True) -> Task:
        self._check_open()
        task = self._get(task_id)
        if task.state is State.CANCELLED:
            return task
        if task.state in FINAL:
            raise Conflict(f"task {task_id} has already ended: {task.state}")
        if task.state is not State.PROCESSING:
            return self._move(task, State.CANCELLED, ReasonCode.CANCELLED, now_ms, task.lane)
        if not running:
            raise Conflict(f"task {task_id} is processing", hint="cancel it without running=false")
        task = replace(task, cancel_requested=True, version=task.version + 1)
        self._log(
            task, now_ms, State.PROCESSING, ReasonCode.CANCELLED, "cancel requested", note=True
        )
        self._rows[task_id] = task
        return task

    async def promote(self, now_ms: int, limit: int = 500) -> Promoted:
        self._check_open()
        late = [
            t for t in self._rows.values() if t.state in _WAITING and _past(t.deadline_ms, now_ms)
        ]
        late = sorted(late, key=lambda t: t.deadline_ms or 0)[:limit]
        for task in late:
            self._move(task, State.EXPIRED, ReasonCode.DEADLINE, now_ms, task.lane)
        due = [
            t for t in self._rows.values() if t.state is State.SCHEDULED and _past(t.due_ms, now_ms)
        ]
        due = sorted(due, key=lambda t: (t.due_ms or 0, t.seq))[:limit]
        queued = [
            self._move(t, State.QUEUED, ReasonCode.DUE, now_ms, replace(t.lane, avoid=()))
            for t in due
        ]
        waiting = [t for t in self._rows.values() if t.state in _WAITING]
        times = [t for w in waiting for t in (w.due_ms, w.deadline_ms) if t is not None]
        return Promoted(
            tuple(t.head for t in queued), tuple(t.id for t in late), min(times, default=None)
        )

    async def hold(self, host: str | None, held: bool) -> None:
        self._check_open()
        self._held.add(host) if held else self._held.discard(host)

    def keep_for(self, retention_s: float) -> None:
        self._retention_s = retention_s

    async def holds(self) -> Holds:
        return Holds(None in self._held, frozenset(h for h in self._held if h is not None))

    async def retry(self, task_ids: Sequence[str], now_ms: int) -> list[Task | YggError]:
        self._check_open()
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
        deadline = None if _past(task.deadline_ms, now_ms) else task.deadline_ms
        task = replace(
            task, errors=0, deferrals=0, crashes=0, cancel_requested=False, deadline_ms=deadline
        )
        lane = replace(task.lane, refused=(), avoid=())
        return self._move(task, State.QUEUED, ReasonCode.RETRIED, now_ms, lane)

    async def prioritize(self, task_id: str, priority: Priority, now_ms: int) -> Task:
        self._check_open()
        task = self._get(task_id)
        if task.state in FINAL:
            raise Conflict(f"task {task_id} has already ended: {task.state}")
        detail = f"priority {int(task.priority)} -> {int(priority)}"
        task = replace(task, priority=priority, version=task.version + 1)
        self._log(task, now_ms, task.state, ReasonCode.PRIORITIZED, detail, note=True)
        self._rows[task_id] = task
        return task

    async def touch_read(self, task_id: str, now_ms: int, keep_s: float) -> None:
        self._check_open()
        if task_id in self._expiry and task_id not in self._read:
            if self._rows[task_id].state is State.FAILED:
                return
            self._read.add(task_id)
            keep = now_ms + round(keep_s * 1000)
            self._expiry[task_id] = min(self._expiry[task_id], keep)

    async def prune(self, now_ms: int, limit: int = 500) -> int:
        self._check_open()
        gone = sorted((t, i) for i, t in self._expiry.items() if t <= now_ms)[:limit]
        for _, task_id in gone:
            task = self._rows.pop(task_id)
            if task.idempotency_key is not None:
                self._keys.pop((task.lane.caller, task.idempotency_key), None)
            self._logs.pop(task_id, None)
            self._results.pop(task_id, None)
            del self._expiry[task_id]
        old = sorted(key for key in self._minutes if key[0] < now_ms - KEPT_MS)[:limit]
        for key in old:
            del self._minutes[key]
        return len(gone) + len(old)

    async def record_minutes(self, rows: Sequence[MinuteRow]) -> None:
        self._check_open()
        self._minutes.update({(r.minute_ms, r.host): r for r in rows})

    async def close(self) -> None:
        self._closed = True

    # --- Archive -------------------------------------------------------------------------------

    async def get(self, task_id: str) -> Task:
        if task_id in self._rows:
            return self._rows[task_id]
        fits = [t for i, t in self._rows.items() if len(task_id) >= 4 and i.endswith(task_id)]
        if len(fits) > 1:
            raise InvalidInput(f"{task_id} fits several tasks: {', '.join(t.id for t in fits)}")
        return fits[0] if fits else self._get(task_id)

    async def find(self, which: Filter) -> list[Task]:
        found = [t for t in self._rows.values() if _fits(t, which)]
        found.sort(key=_place if which.queue_order else lambda t: (-t.seq, 0, 0))
        return found[: which.limit]

    async def log(self, task_id: str) -> list[LogRow]:
        return list(self._logs.get(task_id, ()))

    async def result(self, task_id: str) -> Result | None:
        return self._results.get(task_id)

    async def counts(self) -> Counts:
        return Counts(Counter((t.priority, t.state) for t in self._rows.values()))

    async def ahead(self, task: Task, lanes: Sequence[Lane], limit: int) -> int:
        mine, wanted = _place(task), set(lanes)
        better = [t for t in self._queued() if t.lane in wanted and _place(t) < mine]
        return min(limit, len(better))

    async def minutes(self, host: str | None, since_ms: int) -> list[MinuteRow]:
        found = [row for _, row in sorted(self._minutes.items()) if row.minute_ms >= since_ms]
        return [row for row in found if host in (None, row.host)]


def _place(task: Task) -> tuple[int, int, int]:
    """Where it stands among tasks that wait."""
    return (task.priority, task.rank, task.seq)


def _past(at_ms: int | None, now_ms: int) -> bool:
    return at_ms is not None and at_ms <= now_ms


def _fits(task: Task, which: Filter) -> bool:
    return (
        (not which.states or task.state in which.states)
        and which.type in (None, task.lane.type)
        and which.priority in (None, task.priority)
        and which.host in (None, task.host)
        and (which.label is None or which.label in task.labels)
        and which.caller in (None, task.lane.caller)
        and which.batch in (None, task.batch)
        and (which.before_seq is None or task.seq < which.before_seq)
    )
