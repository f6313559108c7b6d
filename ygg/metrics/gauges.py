"""How things are now, from the frozen snapshot that the live view, `ygg status` and the API are drawn from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping

from prometheus_client.metrics_core import Metric

from ygg import __version__
from ygg.disks import Room
from ygg.metrics.family import Samples, alone, gauge
from ygg.model import GpuView, Host, HostHealth, HostView, Priority, Snapshot, State
from ygg.model.snapshot import HELD, memory_of
from ygg.telling.tally import Tally

MIB = 1024 * 1024
HOST, CARD = ("host",), ("host", "gpu", "uuid")


def families(view: Snapshot, tally: Tally, hosts: Mapping[str, Host]) -> Iterator[Metric]:
    """`hosts`: those of hosts.yaml, whose models are told of while nothing runs, too."""
    yield from _house(view)
    yield from _queue(view)
    yield _running(view, tally, hosts)
    yield from _hosts(view)
    yield from _cards(view)


def running_by_model(view: Snapshot, tally: Tally) -> Counter[str]:
    return Counter(tally.named(run.model) for run in view.running)


# --- the house and its queue -----------------------------------------------------------------------


def _house(view: Snapshot) -> Iterator[Metric]:
    told = "Which ygg this is; always 1."
    yield gauge("ygg_build_info", told, ("version",), [((__version__,), 1)])
    yield alone("ygg_dispatch_paused", "Whether a person paused dispatch.", view.paused)
    yield alone("ygg_draining", "Whether ygg is shutting down.", view.draining)
    yield alone("ygg_store_error", "Whether the store fails.", view.store_error is not None)
    told = "Whether hosts.yaml is broken and the one of before in force."
    yield alone("ygg_config_error", told, view.config_error is not None)


def disk(room: Room | None) -> Iterator[Metric]:
    """Of the disk that the database is on."""
    told = "What may still be written on the disk with the database."
    yield alone("ygg_store_free_bytes", told, room and room.free)
    told = "The size of the disk with the database."
    yield alone("ygg_store_size_bytes", told, room and room.size)


def _queue(view: Snapshot) -> Iterator[Metric]:
    counts = view.counts.by
    yield gauge(
        "ygg_queue_tasks", "Stored tasks by state and priority.", ("state", "priority"),
        (((s, p.name.lower()), counts.get((p, s), 0)) for s in State for p in Priority),
    )  # fmt: skip
    waiting = {"gpu": view.gpu_waiting, "cpu": view.cpu_waiting}
    yield gauge(
        "ygg_queue_waiting_tasks", "Queued tasks by the kind of host that they wait for.", ("kind",),
        (((kind,), n) for kind, n in waiting.items()),
    )  # fmt: skip
    told = "Until the last waiting task starts, from measured rates."
    drain_s = None if view.drain_ms is None else view.drain_ms / 1000
    yield alone("ygg_queue_drain_seconds", told, drain_s)


def _running(view: Snapshot, tally: Tally, hosts: Mapping[str, Host]) -> Metric:
    known = {(h.name, m): 0 for h in hosts.values() for e in h.endpoints for m in e.models}
    running = Counter((run.host, tally.named(run.model)) for run in view.running)
    told = "Running tasks by host and model."
    return gauge("ygg_tasks_running", told, ("host", "model"), {**known, **running}.items())


# --- hosts -----------------------------------------------------------------------------------------

_UP = {HostHealth.UP: 1, HostHealth.UNKNOWN: None}  #: None: it was not asked yet
_SLOTS: dict[str, Callable[[HostView], int]] = {
    "configured": lambda host: host.slots,
    "limit": lambda host: host.limit,
    "running": lambda host: len(host.running),
    "ghost": lambda host: host.ghosts,
    "free": lambda host: host.free,
}


def _hosts(view: Snapshot) -> Iterator[Metric]:
    hosts = view.hosts

    def each(value: Callable[[HostView], float | None]) -> Samples:
        return (((host.name,), value(host)) for host in hosts)

    told = "Whether its servers answer; none before the first check."
    yield gauge("ygg_host_up", told, HOST, each(lambda h: _UP.get(h.health, 0)))
    told = "Whether a person took it out of dispatch."
    yield gauge("ygg_host_drained", told, HOST, each(lambda h: h.drained))
    told = "Models that fail there whoever asks."
    yield gauge("ygg_host_sick_models", told, HOST, each(lambda h: len(h.sick)))
    told = "What its newest health check took."
    yield gauge("ygg_host_check_seconds", told, HOST, each(_checked_s))
    yield gauge(
        "ygg_host_slots",
        "Calls at once: as configured, the limit now, those that run, those cut off and not gone yet, open ones.",
        ("host", "state"),
        (((h.name, state), of(h)) for h in hosts for state, of in _SLOTS.items()),
    )  # fmt: skip
    yield gauge(
        "ygg_host_throttled", "Whether readings keep its limit below the configured slots for this reason.", ("host", "reason"),
        (((h.name, why), h.limit_cause == why) for h in hosts for why in HELD),
    )  # fmt: skip


def _checked_s(host: HostView) -> float | None:
    return None if host.latency_ms is None else host.latency_ms / 1000


# --- cards -----------------------------------------------------------------------------------------


def _bytes(mb: float | None) -> float | None:
    return None if mb is None else mb * MIB


def _margin_c(card: GpuView) -> float | None:
    known = card.limit_c is not None and card.temperature_c is not None
    return card.limit_c - card.temperature_c if known else None  # type: ignore[operator]


def _pressure(card: GpuView) -> float | None:
    memory = memory_of((card,))
    return None if memory is None else memory[0] / memory[1]


_CARDS: tuple[tuple[str, str, Callable[[GpuView], float | None]], ...] = (
    ("memory_used_bytes", "Memory in use.", lambda card: _bytes(card.used_mb)),
    ("memory_total_bytes", "Memory in all.", lambda card: _bytes(card.total_mb)),
    ("memory_pressure_ratio", "Share of the memory that is in use.", _pressure),
    ("temperature_celsius", "How hot it is.", lambda card: card.temperature_c),
    ("temperature_margin_celsius", "Degrees left until it slows itself down.", _margin_c),
    ("power_watts", "What it draws.", lambda card: card.power_w),
    ("utilization_ratio", "Share of the time in which it worked.",
     lambda card: None if card.utilization is None else card.utilization / 100),
    ("lost", "Whether it cannot be read any more.", lambda card: bool(card.error)),
)  # fmt: skip


def _cards(view: Snapshot) -> Iterator[Metric]:
    cards = [((h.name, str(g.index), g.uuid), g) for h in view.hosts for g in h.gpus]
    for name, told, value in _CARDS:
        yield gauge(
            f"ygg_gpu_{name}", told, CARD, ((labels, value(card)) for labels, card in cards)
        )
