"""What of a snapshot takes too long to work out for every frame, and the progress that was told, which never falls."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from ygg.core.board import Board
from ygg.model import Now, RunningView
from ygg.telling import rates
from ygg.telling.pacing import Plan

EVERY_S = 1.0  #: how old it may be
SOON_S = 0.1  #: and a plan after which tasks came or went


@dataclass(slots=True)
class Worked:
    """Of one board. `history` and `lengths` as `rates` has them."""

    history: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    lengths: Mapping[str, int] = field(default_factory=dict)
    _at: float = float("-inf")
    _plan: Plan | None = None
    _reached: Mapping[tuple[str, int], int] = field(default_factory=dict)

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
