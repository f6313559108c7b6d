"""What follows an attempt: outcome -> End. One function per row of the policy.

A fault of the host (unreachable, unauthorised) costs the task nothing. An error on a healthy host is
counted and tried at once elsewhere: once on another candidate, of the kind of host that is wanted where
one is up, and once on the other kind, unless it has failed on both; then backed off. "Busy" and "out of
memory" are counted apart, as deferrals, and tried on every candidate that is up, the wanted kind first. A
refusal closes one candidate for good and fails the task only when all have refused. Once an attached
client has got some of an answer, no other attempt may follow, whatever went wrong and whoever is to blame.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, replace
from typing import Any

from ygg.core.board import Board, LaneState
from ygg.core.hosts import gates
from ygg.core.placement import lanes
from ygg.core.placement.candidates import type_of
from ygg.model import Candidate, End, Now, Outcome, OutcomeKind, ReasonCode, Task
from ygg.model import State as S


def jitter(task_id: str, attempt: int, share: float) -> float:
    """A factor in 1 ± share, the same for the same attempt (no random source in the core)."""
    unit = zlib.crc32(f"{task_id}.{attempt}".encode()) / 0xFFFFFFFF
    return 1 + share * (2 * unit - 1)


@dataclass(frozen=True, slots=True)
class Case:
    """One ended attempt with what the verdict needs."""

    board: Board
    task: Task
    candidate: Candidate
    outcome: Outcome
    now: Now

    def end(self, state: S, reason: ReasonCode, **fields: Any) -> End:
        detail = self.outcome.message or None
        return End(self.task.id, self.task.attempt, state, reason, detail, **fields)

    def due(self, seconds: float) -> int:
        factor = jitter(self.task.id, self.task.attempt, self.board.policy.jitter)
        return self.now.wall_ms + round(seconds * factor * 1000)

    @property
    def state(self) -> LaneState:
        """Where tasks like this one may run."""
        return lanes.unlisted(self.board, self.task.lane)

    @property
    def failed(self) -> frozenset[str]:
        """Keys of the candidates that the task has just failed on."""
        return frozenset({self.candidate.key, *self.task.lane.avoid})

    @property
    def elsewhere(self) -> tuple[Candidate, ...]:
        """The other candidates that are up."""
        out = {*self.failed, *self.task.lane.refused}
        return tuple(
            c for c in self.state.route if c.key not in out and gates.up(self.board, c, self.now)
        )

    @property
    def same_kind(self) -> frozenset[str]:
        """Keys of all candidates on a kind of host that the task has just failed on."""
        places, second = self.state.route, self.state.reach.second
        failed = {c[:2] in second for c in places if c.key in self.failed}
        return frozenset(c.key for c in places if (c[:2] in second) in failed)


#: Outcomes that are followed by the same state whatever the task and its route.
_PLAIN = {
    OutcomeKind.BAD_REQUEST: (S.FAILED, ReasonCode.BAD_REQUEST),
    OutcomeKind.UNREACHABLE: (S.QUEUED, ReasonCode.HOST_DOWN),
    OutcomeKind.UNAUTHORIZED: (S.QUEUED, ReasonCode.HOST_UNAUTHORIZED),
    OutcomeKind.WITHDRAWN: (S.QUEUED, ReasonCode.WITHDRAWN),
    OutcomeKind.CANCELLED: (S.CANCELLED, ReasonCode.CANCELLED),
    OutcomeKind.EXPIRED: (S.EXPIRED, ReasonCode.DEADLINE),
}


#: Outcomes that mean the same when a client has got some of the answer: no other attempt follows them.
_LAST = {OutcomeKind.COMPLETED, OutcomeKind.CANCELLED, OutcomeKind.EXPIRED}


def judge(case: Case) -> End:
    """What follows this outcome."""
    if case.outcome.delivered and case.outcome.kind not in _LAST:
        end = case.end(S.FAILED, ReasonCode.CUT_SHORT)
        interrupted = case.outcome.kind is OutcomeKind.INTERRUPTED
        return replace(end, detail=_cut_off(case)) if interrupted else end
    match case.outcome.kind:
        case OutcomeKind.COMPLETED:
            return case.end(S.COMPLETED, ReasonCode.COMPLETED, result=case.outcome.result)
        case OutcomeKind.REFUSED:
            return _refused(case)
        case OutcomeKind.ERROR:
            return _error(case, ReasonCode.ERROR_BUDGET, _max_errors(case))
        case OutcomeKind.TIMEOUT:
            return _timeout(case)
        case OutcomeKind.BUSY | OutcomeKind.OUT_OF_MEMORY:
            return _deferred(case)
        case OutcomeKind.INTERRUPTED:
            return _interrupted(case)
        case kind:
            return case.end(*_PLAIN[kind])


def _interrupted(case: Case) -> End:
    """A shutdown has cut it off: back in the queue, or for a person to decide."""
    if case.board.policy.interrupted == "requeue":
        return replace(case.end(S.QUEUED, ReasonCode.INTERRUPTED), detail=_cut_off(case))
    text = f"{_cut_off(case)}; ygg retry {case.task.id}"
    return replace(case.end(S.BLOCKED, ReasonCode.INTERRUPTED), detail=text)


def _cut_off(case: Case) -> str:
    """What the shutdown has cost."""
    ran_s = max(0, case.now.wall_ms - (case.task.started_ms or case.now.wall_ms)) / 1000
    done = f", {case.outcome.message}" if case.outcome.message else ""
    return f"cut off by a shutdown after {ran_s:.0f} s{done}"


def _refused(case: Case) -> End:
    lane = case.task.lane
    refused = tuple(sorted({*lane.refused, case.candidate.key}))
    if all(c.key in refused for c in case.state.route):
        return case.end(S.FAILED, ReasonCode.ALL_REFUSED)
    lane = replace(lane, refused=refused)
    return case.end(S.QUEUED, ReasonCode.CANDIDATE_REFUSED, lane=lane)


def _max_errors(case: Case) -> int:
    task_type = type_of(case.board, case.task.lane.type)
    retries = task_type.retries if task_type else None
    return case.board.policy.max_errors if retries is None else retries + 1


def _timeout(case: Case) -> End:
    task_type = type_of(case.board, case.task.lane.type)
    if task_type is None or task_type.retries is None:
        return case.end(S.FAILED, ReasonCode.TIMEOUT, add_errors=1)
    return _error(case, ReasonCode.TIMEOUT, task_type.retries + 1)


def _error(case: Case, final: ReasonCode, budget: int) -> End:
    """Counted; at once elsewhere, then on the other kind of host, then back off."""
    errors = case.task.errors + 1
    if errors >= budget:
        return case.end(S.FAILED, final, add_errors=1)
    if not case.task.lane.avoid and case.elsewhere:
        return _go_elsewhere(case, add_errors=1)
    if any(c.key not in case.same_kind for c in case.elsewhere):
        return _go_elsewhere(case, case.same_kind, add_errors=1)
    steps = case.board.policy.backoff_s
    due = case.due(steps[min(errors, len(steps)) - 1])
    return case.end(S.SCHEDULED, ReasonCode.BACKING_OFF, due_ms=due, add_errors=1)


def _deferred(case: Case) -> End:
    """Counted apart; to another candidate while one is up, else later."""
    deferrals = case.task.deferrals + 1
    if deferrals >= case.board.policy.max_deferrals:
        return case.end(S.FAILED, ReasonCode.DEFERRAL_BUDGET, add_deferrals=1)
    if case.elsewhere:
        return _go_elsewhere(case, add_deferrals=1)
    asked = gates.asked_s(case.outcome, case.board.policy)
    steps = case.board.policy.defer_s
    due = (
        case.due(steps[min(deferrals, len(steps)) - 1])
        if asked is None
        else case.now.wall_ms + round(asked * 1000)
    )
    return case.end(S.SCHEDULED, ReasonCode.DEFERRED, due_ms=due, add_deferrals=1)


def _go_elsewhere(
    case: Case,
    avoid: frozenset[str] = frozenset(),
    *,
    add_errors: int = 0,
    add_deferrals: int = 0,
) -> End:
    """To another candidate than those that have just failed, and than `avoid`."""
    return case.end(
        S.QUEUED,
        ReasonCode.ELSEWHERE,
        lane=replace(case.task.lane, avoid=tuple(sorted(case.failed | avoid))),
        add_errors=add_errors,
        add_deferrals=add_deferrals,
    )
