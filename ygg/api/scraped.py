"""What Prometheus asks for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from ygg import disks
from ygg.api.bodies import Page
from ygg.api.overseeing import view_of
from ygg.config import Config
from ygg.metrics import Drawn
from ygg.model import JsonDict
from ygg.ports import Control
from ygg.telling.tally import Tally


class Scraped:
    """Over one Control. `tally`: of its run; `about`: what the daemon tells of itself, with `stalls` and the path of its `store`."""

    def __init__(
        self, control: Control, config: Callable[[], Config], tally: Tally, about: JsonDict
    ) -> None:
        self._control, self._config = control, config
        self._tally, self._about = tally, about

    async def metrics(self, accept: str) -> Page:
        """GET /metrics: what Prometheus scrapes, with ygg's own names and the mission's; OpenMetrics for who accepts it."""
        view = await view_of(self._control)
        stalls = dict(self._about.get("stalls") or {})
        drawn = Drawn(view, self._tally.copy(), self._config(), stalls)
        return await asyncio.to_thread(_page, drawn, self._about.get("store"), accept)


def _page(drawn: Drawn, store: str | None, accept: str) -> Page:
    from ygg.metrics.page import page  # the first scrape loads prometheus_client, in this thread

    room = None if store is None else disks.room(Path(store))
    return Page(*page(drawn._replace(room=room), accept))
