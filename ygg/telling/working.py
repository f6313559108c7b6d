"""What of a snapshot takes too long to work out for every frame, and the progress that was told, which never falls."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from ygg.core.board import Board
from ygg.model import Device, Now, RunningView, Trend
from ygg.telling import rates
from ygg.telling.pacing import Plan

TREND_S = 60.0
EVERY_S = 1.0  #: how old it may be
SOON_S = 0.1  #: and a plan after which tasks came or went


class _Seen(NamedTuple):
    """What a reading said, and when it came on the monotonic clock."""

    at: float
    hottest_c: float | None
    used_mb: float | None


def _seen(at: float, devices: Iterable[Device]) -> _Seen:
    heats = [d.temperature_c for d in devices if d.temperature_c is not None]
    used = [d.total_mb - d.free_mb for d in devices if d.total_mb and d.free_mb is not None]
    return _Seen(at, max(heats, default=None), sum(used) if used else None)


def _moved(before: float | None, now: float | None) -> float | None:
    return None if before is None or now is None else now - before


@dataclass(slots=True)
class Worked:
    """Of one board. `history` and `lengths` as `rates` has them."""

    history: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    lengths: Mapping[str, int] = field(default_factory=dict)
    _at: float = float("-inf")
    _plan: Plan | None = None
    _reached: Mapping[tuple[str, int], int] = field(default_factory=dict)
    _seen: dict[str, deque[_Seen]] = field(default_factory=dict)

    def plan(self, board: Board, now: Now) -> Plan:
        """When the waiting tasks start."""
        queued = sum(state.queued for state in board.lanes.values())
        plan = self._plan
        if plan is None or now.mono - plan.at >= (EVERY_S if queued == plan.queued else SOON_S):
            self._plan = plan = Plan(board, now)
        return plan

    def renew(self, board: Board, running: Iterable[RunningView], now: Now) -> None:
        """Work it out anew where it is too old."""
        if now.mono - self._at >= EVERY_S:
            self._at = now.mono
            self.history = rates.history(board.recent, running, now.wall_ms)
            self.lengths = rates.lengths(board.recent)
            self._look(board, now)

    def _look(self, board: Board, now: Now) -> None:
        """Remember the readings of the last minute."""
        for name in self._seen.keys() - board.hosts.keys():
            del self._seen[name]
        for name, host in board.hosts.items():
            seen = self._seen.setdefault(name, deque())
            reading = host.gauge.reading
            if reading is not None and (not seen or seen[-1].at < host.gauge.at):
                seen.append(_seen(host.gauge.at, reading.devices))
            while seen and seen[0].at < now.mono - TREND_S:
                seen.popleft()

    def trend(self, host: str) -> Trend:
        """Of a host's readings over the last minute."""
        seen = self._seen.get(host)
        if not seen:
            return Trend()
        first, last = seen[0], seen[-1]
        return Trend(_moved(first.hottest_c, last.hottest_c), _moved(first.used_mb, last.used_mb))

    def progress(self, run: RunningView) -> int | None:
        """Of a call, in percent."""
        found = rates.progress(run.tokens, run.max_tokens, self.lengths.get(run.type))
        return (
            None if found is None else max(found, self._reached.get((run.task_id, run.attempt), 0))
        )

    def told(self, running: Iterable[RunningView]) -> None:
        """So far they are; those that do not run any more are forgotten."""
        self._reached = {
            (r.task_id, r.attempt): r.progress for r in running if r.progress is not None
        }
