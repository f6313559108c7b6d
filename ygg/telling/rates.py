"""Rates for readers, from the remembered ends and the running calls. Nothing is sampled: what a call has
produced counts evenly over the time it ran."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Reversible

from ygg.model import EndView, RunningView, State, Task
from ygg.model.snapshot import BUCKET_S, BUCKETS
from ygg.plain import tenths

SPAN_MS = BUCKET_S * BUCKETS * 1000
ANSWERS, NEWEST = 5, 50  #: how many answers tell how long one gets: at least, at most
FAILED = frozenset({State.FAILED, State.EXPIRED, State.BLOCKED})  #: what the mission calls failed
WORK_MS = 300_000  #: completed tasks per minute are counted over this much work
LATELY_MS = 900_000  #: of which percentiles are


def ends_of(tasks: Iterable[Task]) -> tuple[EndView, ...]:
    """Recorded tasks as the ends they were, oldest first. Those with an answer of the cache never ran."""
    ended = [t for t in tasks if t.finished_ms is not None and not t.cached]
    ended.sort(key=lambda t: t.finished_ms or 0)
    return tuple(_end_of(task, task.finished_ms or 0) for task in ended)


def _end_of(task: Task, at_ms: int) -> EndView:
    took = None if task.started_ms is None else max(0, at_ms - task.started_ms)
    reason = task.reason or str(task.state)
    return EndView(
        task.id, at_ms, task.state, reason, task.host, took, task.waited_ms,
        type=task.lane.type, title=task.title, priority=task.priority,
        detail=task.error or "",
    )  # fmt: skip


def history(
    recent: Reversible[EndView], running: Iterable[RunningView], at_ms: int
) -> Mapping[str, tuple[float, ...]]:
    """Tokens per second of each host in the buckets of the last two minutes, oldest first."""
    tokens: dict[str, list[float]] = {}
    for end in reversed(recent):
        if end.at_ms <= at_ms - SPAN_MS:
            break
        if end.host is not None and end.output_tokens and end.took_ms is not None:
            row = tokens.setdefault(end.host, [0.0] * BUCKETS)
            _spread(row, end.output_tokens, end.at_ms - end.took_ms, end.at_ms, at_ms)
    for run in running:
        if run.tokens:
            row = tokens.setdefault(run.host, [0.0] * BUCKETS)
            _spread(row, run.tokens, run.first_ms or run.started_ms, at_ms, at_ms)
    return {host: tuple(n / BUCKET_S for n in row) for host, row in tokens.items()}


def _spread(row: list[float], tokens: int, start_ms: int, end_ms: int, at_ms: int) -> None:
    """Add tokens to the buckets their time overlaps."""
    begin, size = at_ms - SPAN_MS, BUCKET_S * 1000
    end_ms = max(end_ms, start_ms + 1)
    share = tokens / (end_ms - start_ms)
    first = max(0, (start_ms - begin) // size)
    for n in range(first, min(BUCKETS, (end_ms - 1 - begin) // size + 1)):
        left = begin + n * size
        row[n] += share * (min(end_ms, left + size) - max(start_ms, left))


def tokens_per_s(host: str, running: Iterable[RunningView], at_ms: int) -> float | None:
    """What the host streams now; None when nothing streams there."""
    found = [r for run in running if run.host == host and (r := run.rate(at_ms)) is not None]
    return sum(found) if found else None


def lengths(recent: Reversible[EndView]) -> Mapping[str, int]:
    """Tokens that nine of ten answers of each task type have at most, from the newest of them; no type of which fewer
    than `ANSWERS` are known."""
    seen: dict[str, list[int]] = {}
    for end in reversed(recent):
        known = seen.setdefault(end.type, [])
        if end.state is State.COMPLETED and end.output_tokens and len(known) < NEWEST:
            known.append(end.output_tokens)
    return {
        kind: sorted(known)[math.ceil(0.9 * len(known)) - 1]
        for kind, known in seen.items()
        if len(known) >= ANSWERS
    }


def progress(tokens: int, most: int | None, usual: int | None) -> int | None:
    """Percent of the smaller of the two, 99 at most; None where neither is known."""
    known = [n for n in (most, usual) if n]
    return min(99, 100 * tokens // min(known)) if known else None


def per_minute(
    recent: Reversible[EndView], running: Iterable[RunningView], at_ms: int
) -> float | None:
    """Tasks completed per minute of work, over the newest `WORK_MS` in which anything ran: that the house was idle
    in between says nothing of how fast it is. None before the first."""
    since = min((run.started_ms for run in running), default=at_ms)
    work_ms, completed, until = 0, 0, at_ms
    for end in reversed(recent):
        if work_ms + until - since >= WORK_MS:
            break
        if end.at_ms < since:
            work_ms, until, since = work_ms + until - since, end.at_ms, end.at_ms
        since = min(since, end.at_ms - (end.took_ms or 0))
        completed += end.state is State.COMPLETED
    work_ms += until - since
    return completed * 60_000 / max(1, work_ms) if completed else None


def mean_took_ms(recent: Iterable[EndView]) -> int | None:
    """How long a completed task ran; None before the first."""
    return _mean(
        [e.took_ms for e in recent if e.state is State.COMPLETED and e.took_ms is not None]
    )


def took_ms(recent: Iterable[EndView], shares: Iterable[float], at_ms: int) -> list[int] | None:
    """Run times that so many of the completed tasks of the last quarter of an hour did not exceed, as far as ends are
    remembered; None without any."""
    ends = (e for e in recent if e.state is State.COMPLETED and e.at_ms > at_ms - LATELY_MS)
    known = sorted(e.took_ms for e in ends if e.took_ms is not None)
    return [known[math.ceil(share * len(known)) - 1] for share in shares] if known else None


def mean_wait_ms(recent: Iterable[EndView]) -> int | None:
    """How long it had waited for that."""
    return _mean(
        [e.wait_ms for e in recent if e.state is State.COMPLETED and e.wait_ms is not None]
    )


def _mean(values: list[int]) -> int | None:
    return round(sum(values) / len(values)) if values else None


def counts_as_failed(end: EndView) -> bool:
    return end.state in FAILED


def counts_as_end(end: EndView) -> bool:
    """Whether it says how tasks fare: none that was cancelled, and no attempt whose task waits again."""
    return end.state is State.COMPLETED or counts_as_failed(end)


def completed_share(recent: Iterable[EndView]) -> float | None:
    """Of the ends that count; None before the first."""
    ends = [end.state is State.COMPLETED for end in recent if counts_as_end(end)]
    return sum(ends) / len(ends) if ends else None


def failed_percent(recent: Iterable[EndView]) -> float | None:
    """Of the ends that count, rounded down to a tenth; None before the first."""
    ends = [counts_as_failed(end) for end in recent if counts_as_end(end)]
    return tenths(100 * sum(ends) / len(ends)) if ends else None
