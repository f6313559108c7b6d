"""What is kept of each host's past: one row per minute.

Memory in MiB over all cards of the host, temperatures in degrees Celsius, utilisation in percent. None
where no reading that could be trusted told it.
"""

from __future__ import annotations

from dataclasses import dataclass

MINUTE_MS = 60_000
KEPT_MS = 14 * 86_400_000  #: rows are deleted after two weeks


@dataclass(frozen=True, slots=True)
class MinuteRow:
    """One host in one minute, from `samples` looks at it.

    A minute in which nothing ran, waited or changed may have no row.
    """

    host: str
    minute_ms: int  #: when it began
    samples: int
    slots: int  #: as configured
    limit: int  #: the least
    running: float  #: calls at the same time, mean
    waiting: int  #: the most tasks seen that could run here and found no slot
    started: int = 0  #: tasks whose start was seen
    wait_ms: int | None = None  #: how long they had waited, mean
    wait_max_ms: int | None = None
    used_mb: float | None = None  #: mean
    total_mb: float | None = None
    used_share: float | None = None  #: 0 to 1, the most
    temperature_c: float | None = None  #: of the hottest card, the most
    utilization: float | None = None  #: over all cards, mean

    @property
    def worked(self) -> bool:
        """Whether the host had anything to do."""
        return self.running > 0 or self.waiting > 0 or self.started > 0
