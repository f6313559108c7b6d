"""How the store in plain Python looks at a task: how it begins, whether a listing shows it, and where it stands."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from ygg.model import Capacity, LogRow, NewTask, Scheduled, State, Task
from ygg.model import lifecycle as life
from ygg.model.batches import NEVER_MS
from ygg.model.cases import Case, Verb, changes, decide
from ygg.ports import Filter


def scheduled(task: Task) -> Scheduled:
    return Scheduled(
        task.id, task.lane.type, task.priority, task.title, task.created_ms, task.due_ms or 0,
        task.attempt, task.errors, task.deferrals, task.error,
    )  # fmt: skip


def due_first(waiting: Iterable[Task], limit: int) -> list[Scheduled]:
    found = [t for t in waiting if t.due_ms is not None and t.due_ms < NEVER_MS]
    found.sort(key=lambda t: (t.due_ms or 0, t.seq))
    return [scheduled(task) for task in found[:limit]]


def place(task: Task) -> tuple[int, int, int]:
    """Where it stands among tasks that wait."""
    return (task.priority, task.rank, task.seq)


def reached(time_ms: int | None, now_ms: int) -> bool:
    """Where a look at the verb's table is worth its while: what an index is in SQL."""
    return time_ms is not None and time_ms <= now_ms


def fits(task: Task, which: Filter) -> bool:
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


def listed(tasks: Iterable[Task], which: Filter) -> list[Task]:
    found = [t for t in tasks if fits(t, which)]
    found.sort(key=place if which.queue_order else lambda t: (-t.seq, 0, 0))
    return found[: which.limit]


def check_room(capacity: Capacity, waiting: Iterable[Task], single: Collection[str]) -> None:
    """Raises QueueFull. `single`: ids of tasks of single submits."""
    count = sum(task.id in single or not capacity.single for task in waiting)
    if count >= capacity.most:
        raise capacity.full(count, 1)


def logged(old: Task, task: Task, verb: Verb, now_ms: int, detail: str | None) -> LogRow:
    """The row of the event log for what a verb has done. Raises IllegalTransition."""
    if old.state is not task.state:
        life.legal(task.id, old.state, task.state)
    why = verb.note if old.state is task.state else task.reason
    ran = old.host if old.state is State.PROCESSING else None
    host = task.host if task.state is State.PROCESSING else ran
    return LogRow(now_ms, task.attempt, old.state, task.state, why or "", host, detail)


def born(
    new: NewTask, seq: int, now_ms: int, keep_s: float, lender: Task | None = None
) -> tuple[Task, int | None]:
    """The row of what is submitted, and when it expires; with the answer of another one it has ended."""
    given = {
        "now": now_ms, "not_before_ms": new.not_before_ms, "turn": new.turn, "cached": lender is not None,
        "retention_s": new.retention_s, "keep_s": keep_s,
    }  # fmt: skip
    case = decide(life.SUBMIT, {}, given)
    assert isinstance(case, Case)
    changed = changes(life.SUBMIT, case, {}, given)
    expires_ms = changed.pop("expires_ms")
    task = Task(
        id=new.id, seq=seq, lane=new.lane, priority=new.priority,
        operation=new.operation, request=new.request, title=new.title, labels=new.labels,
        timeout_s=new.timeout_s, deadline_ms=new.deadline_ms, retention_s=new.retention_s,
        idempotency_key=new.idempotency_key, batch=new.batch, content_type=new.content_type,
        attached=new.attached, source=new.source, source_ref=new.source_ref,
        source_version=new.source_version, rank=new.rank, created_ms=now_ms,
        cached_from=lender.id if lender else None, model=lender.model if lender else None, **changed,
    )  # fmt: skip
    return task, expires_ms
