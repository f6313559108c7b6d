"""The mission's own names, as they are written there: for dashboards and alerts made to it. Percentages, milliseconds,
percentiles and rates are worked out here, once; the proper set leaves that to Prometheus."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

from prometheus_client.metrics_core import Metric

from ygg.metrics.family import alone, gauge
from ygg.metrics.gauges import running_by_model
from ygg.model import Priority, Snapshot, State
from ygg.model.snapshot import hottest, memory_of
from ygg.telling import rates
from ygg.telling.tally import Tally

SHARES = {"p50": 0.50, "p95": 0.95, "p99": 0.99}


def families(view: Snapshot, tally: Tally, models: frozenset[str]) -> Iterator[Metric]:
    """`models`: those of hosts.yaml, told of while nothing runs, too."""
    counts = view.counts
    depth = {p.name.lower(): counts.priority(p, State.QUEUED) for p in Priority}
    yield gauge(
        "task_queue_depth", "Queued tasks by priority.", ("priority",),
        (((name,), n) for name, n in depth.items()),
    )  # fmt: skip
    running = {**dict.fromkeys(sorted(models), 0), **running_by_model(view, tally)}
    yield gauge(
        "tasks_processing", "Running tasks by model.", ("model",),
        (((name,), n) for name, n in running.items()),
    )  # fmt: skip
    took = rates.took_ms(view.recent, SHARES.values(), view.at_ms)
    yield gauge(
        "task_processing_time_ms",
        "Run times of the tasks completed in the last 15 minutes, of 1,000 at most.", ("percentile",),
        (((name,), ms) for name, ms in zip(SHARES, took or (), strict=False)),
    )  # fmt: skip
    told = "Tasks completed per minute of work, idle time aside."
    yield alone("tasks_per_minute", told, view.per_minute)
    share = rates.completed_share(view.recent)
    yield alone("task_completion_rate", "Share of the last 1,000 ends that completed.", share)
    yield from _cards(view)


def _cards(view: Snapshot) -> Iterator[Metric]:
    """Of the whole house, as GET /v1/gpu/status sums it up."""
    hosts = [memory for host in view.hosts if (memory := memory_of(host.gpus)) is not None]
    used, total = sum(used for used, _ in hosts), sum(total for _, total in hosts)
    told = "Used memory of all GPUs that tell it, in percent."
    yield alone("gpu_memory_used_percent", told, 100 * used / total if total else None)
    card = hottest(chain.from_iterable(host.gpus for host in view.hosts))
    hottest_c = None if card is None else card.temperature_c
    yield alone("gpu_temperature_celsius", "Temperature of the hottest GPU.", hottest_c)
