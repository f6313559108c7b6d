"""Rates for readers, from the remembered ends and the running calls. Nothing is sampled: what a call has
produced counts evenly over the time it ran."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Reversible, Sequence

from ygg.model import EndView, RunningView, State
from ygg.model.snapshot import BUCKET_S, BUCKETS

SPAN_MS = BUCKET_S * BUCKETS * 1000
RATE_MS = 300_000  #: completed tasks per minute are counted over this long at most
MIN_SPAN_MS = 10_000  #: the first tasks alone say little


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


def per_minute(recent: Sequence[EndView], at_ms: int) -> float | None:
    """Tasks completed per minute; None before the first."""
    times = []
    for end in reversed(recent):
        if end.at_ms <= at_ms - RATE_MS:
            break
        if end.state is State.COMPLETED:
            times.append(end.at_ms - (end.took_ms or 0))
    if not times:
        return None
    return len(times) * 60_000 / max(MIN_SPAN_MS, at_ms - min(times))
