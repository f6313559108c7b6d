"""What was counted since the run began."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from prometheus_client.metrics_core import Metric

from ygg.metrics.family import alone, counter, gauge, histogram
from ygg.model import Snapshot
from ygg.telling.tally import Labels, Tally


def families(view: Snapshot, tally: Tally, stalls: Mapping[str, float]) -> Iterator[Metric]:
    yield from _tasks(view, tally)
    yield from _servers(view, tally)
    yield from _loop(tally, stalls)


def _tasks(view: Snapshot, tally: Tally) -> Iterator[Metric]:
    told = "Tasks that were taken in by priority."
    yield counter("ygg_tasks_submitted_total", told, ("priority",), tally.submitted)
    yield counter(
        "ygg_tasks_total",
        "Tasks that ended or need a person; host and model of those that never ran, and the type of those that ended in"
        " the queue by a rule, are empty.",
        ("host", "model", "type", "outcome"), tally.ended,
    )  # fmt: skip
    yield histogram(
        "ygg_task_duration_seconds", "How long attempts ran, by how they ended.", ("host", "model", "outcome"),
        tally.durations,
    )  # fmt: skip
    told = "How long tasks had waited when an attempt started."
    yield histogram("ygg_task_queue_wait_seconds", told, ("priority",), tally.waits)
    told = "Attempts after which the task waits again."
    yield counter("ygg_task_retries_total", told, ("reason",), tally.retries)
    stale: dict[Labels, float] = {(): view.stale_ends}
    yield counter("ygg_stale_ends_total", "Ends that came too late to count.", (), stale)
    told = "Requests that an answer of the cache, or an identical task, could have served."
    yield counter("ygg_cache_requests_total", told, ("result",), tally.cache)


def _servers(view: Snapshot, tally: Tally) -> Iterator[Metric]:
    told = "Tokens of completed calls, as servers count them."
    yield counter("ygg_tokens_total", told, ("host", "model", "direction"), tally.tokens)
    told = "Models in memory that were not there when their server last told."
    yield counter("ygg_model_loads_total", told, ("host", "model"), tally.loads)
    told = "Readings that could not be taken."
    yield counter("ygg_telemetry_errors_total", told, ("host", "source"), tally.unread)
    known = {host.name for host in view.hosts}
    yield gauge(
        "ygg_telemetry_sample_timestamp_seconds", "When the newest reading came.", ("host", "source"),
        ((labels, ms / 1000) for labels, ms in tally.read_ms.items() if labels[0] in known),
    )  # fmt: skip


def _loop(tally: Tally, stalls: Mapping[str, float]) -> Iterator[Metric]:
    told = "Until the event loop had time for others, looked at four times a second."
    yield histogram("ygg_loop_lag_seconds", told, (), {(): tally.lag})
    stood: dict[Labels, float] = {(what,): stalls[what] for what in ("loop", "machine") if stalls}
    told = "How often the event loop, or the whole machine, stood still for a second."
    yield counter("ygg_stalls_total", told, ("what",), stood)
    told = "The longest time for which it stood still."
    yield alone("ygg_stall_longest_seconds", told, stalls.get("longest_s"))
