"""The verbs on readings: what the GPUs show, what they showed, and what follows from it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ygg.api import bodies, gauges
from ygg.api.overseeing import view_of
from ygg.api.queries import history_of, tuning_of
from ygg.config import Config
from ygg.errors import known_host
from ygg.model import HostView, JsonDict, MinuteRow, PressureRule
from ygg.model.history import MINUTE_MS
from ygg.model.snapshot import memory_of
from ygg.ports import Control
from ygg.telling.forecast import SPAN_MS, Point, forecast
from ygg.telling.tuning import advise

DAY_MS = 86_400_000


class Measured:
    """Over one Control. `config` is asked anew each time: it may be reloaded."""

    def __init__(
        self, control: Control, config: Callable[[], Config], wall_ms: Callable[[], int]
    ) -> None:
        self._control, self._config, self._wall_ms = control, config, wall_ms

    async def _hosts(self) -> Sequence[HostView]:
        return (await view_of(self._control)).hosts

    async def gpu_status(self) -> JsonDict:
        """GET /v1/gpu/status."""
        config = self._config()
        return {
            "timestamp": bodies.iso(self._wall_ms()),
            "gpu": gauges.status_body(await self._hosts(), config.hosts.get, config.policy),
        }

    async def memory_forecast(self) -> JsonDict:
        """GET /v1/gpu/memory-forecast: from the minutes kept and the newest reading."""
        now = self._wall_ms()
        rows = await self._control.archive.minutes(None, now - SPAN_MS)
        told = [self._forecast(h, rows, now) for h in await self._hosts()]
        return {
            "timestamp": bodies.iso(now),
            "memory_pressure": gauges.worst(b["memory_pressure"] for b in told),
            "hosts": told,
        }

    def _forecast(self, host: HostView, rows: Sequence[MinuteRow], now_ms: int) -> JsonDict:
        known = self._config().hosts.get(host.name)
        rule = known.pressure if known else PressureRule()
        mine = [r for r in rows if r.host == host.name and r.used_mb is not None]
        points = [Point(r.minute_ms + MINUTE_MS // 2, r.used_mb or 0.0) for r in mine]
        total = mine[-1].total_mb if mine else None
        memory = memory_of([g for g in host.gpus if not g.stale], whole=True)
        if memory is not None:
            used, total = memory
            age_s = max(g.age_s for g in host.gpus)
            points.append(Point(now_ms - round(age_s * 1000), used))
        return gauges.forecast_body(host.name, forecast(sorted(points), total, rule, now_ms))

    async def history(self, query: Mapping[str, Any]) -> JsonDict:
        """GET /v1/history: the minutes of one host, or of all. NotFound for a host that is not
        configured."""
        host, minutes = history_of(query)
        self._known(host)
        since_ms = self._wall_ms() // MINUTE_MS * MINUTE_MS - minutes * MINUTE_MS
        rows = await self._control.archive.minutes(host, since_ms)
        return {"schema": "ygg.history/1", "minutes": [gauges.minute_body(r) for r in rows]}

    async def tuning(self, query: Mapping[str, Any]) -> JsonDict:
        """GET /v1/tuning: advice on the slots of one host, or of each."""
        host, days = tuning_of(query)
        self._known(host)
        config, since_ms = self._config().hosts, self._wall_ms() - days * DAY_MS
        told = []
        for name in [host] if host is not None else config:
            rows = await self._control.archive.minutes(name, since_ms)
            told.append(gauges.advice_body(advise(name, config[name].slots, rows)))
        return {"schema": "ygg.tuning/1", "days": days, "hosts": told}

    def _known(self, host: str | None) -> None:
        if host is not None:
            known_host(host, self._config().hosts)
