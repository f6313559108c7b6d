"""What Prometheus scrapes: `page.page` draws it from a snapshot and a tally, and alone loads prometheus_client."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from ygg.config import Config
from ygg.disks import Room
from ygg.model import Snapshot
from ygg.telling.tally import Tally


class Drawn(NamedTuple):
    """All of one moment, changed by nobody any more: a page is drawn in a thread. `stalls`: as `running.stalls` counts;
    `room`: of the disk with the database, None where nobody knows."""

    view: Snapshot
    tally: Tally
    config: Config
    stalls: Mapping[str, float]
    room: Room | None = None
