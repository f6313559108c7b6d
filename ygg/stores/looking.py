"""How the store in plain Python looks at a task: how it begins, whether a listing shows it, and where it stands."""

from __future__ import annotations

from ygg.model import NewTask, Scheduled, Task
from ygg.model import lifecycle as life
from ygg.model.cases import Case, changes, decide
from ygg.ports import Filter


def scheduled(task: Task) -> Scheduled:
    return Scheduled(
        task.id, task.lane.type, task.priority, task.title, task.created_ms, task.due_ms or 0,
        task.attempt, task.errors, task.deferrals, task.error,
    )  # fmt: skip


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


def born(new: NewTask, seq: int, now_ms: int) -> Task:
    """The row of what is submitted."""
    given = {"now": now_ms, "not_before_ms": new.not_before_ms, "turn": new.turn}
    case = decide(life.SUBMIT, {}, given)
    assert isinstance(case, Case)
    return Task(
        id=new.id, seq=seq, lane=new.lane, priority=new.priority,
        operation=new.operation, request=new.request, title=new.title, labels=new.labels,
        timeout_s=new.timeout_s, deadline_ms=new.deadline_ms, retention_s=new.retention_s,
        idempotency_key=new.idempotency_key, batch=new.batch, content_type=new.content_type,
        attached=new.attached, source=new.source, source_ref=new.source_ref,
        source_version=new.source_version, rank=new.rank, created_ms=now_ms,
        **changes(life.SUBMIT, case, {}, given),
    )  # fmt: skip
