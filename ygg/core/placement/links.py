"""Where a task may run, and which of those places takes it now.

Candidates (`routes`) that refused the task (unknown model, context too long) are out for good; one where
it has just failed is used only when no other is up. The first one that takes a call wins, unless its
host is kept for tasks that want this kind of host (`kinds`).
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from typing import Any

from ygg.core.board import Board
from ygg.core.hosts import gates
from ygg.core.placement import fitting, kinds, order, residency
from ygg.core.placement.candidates import all_candidates as all_candidates
from ygg.core.placement.candidates import type_of as type_of
from ygg.model import (
    LOAD_OPTIONS,
    Call,
    CallLimits,
    Candidate,
    Lane,
    Now,
    Policy,
    Priority,
    Reason,
    ReasonCode,
    Task,
    TaskType,
)


def candidates(board: Board, lane: Lane) -> tuple[Candidate, ...]:
    """The candidates that have not refused the task, best first, avoided ones last or left out."""
    known = _ranked(board, lane)
    allowed = tuple(c for c in known if c.key not in lane.refused)
    if not lane.avoid:
        return allowed
    fresh = tuple(c for c in allowed if c.key not in lane.avoid)
    return fresh if any(gates.up(board, c) for c in fresh) else allowed


def _ranked(board: Board, lane: Lane) -> tuple[Candidate, ...]:
    """Every candidate, best first, but the kind of host that is wanted before the other."""
    found = order.ranked(board, type_of(board, lane.type), all_candidates(board, lane))
    return kinds.wanted_first(board, lane, found)


def open_to(board: Board, lane: Lane) -> tuple[Candidate, ...]:
    """The candidates whose hosts are not kept for others."""
    return tuple(c for c in candidates(board, lane) if not kinds.spared(board, lane, c))


def choose(
    board: Board, lane: Lane, priority: Priority, now: Now, held: AbstractSet[str] = frozenset()
) -> Candidate | None:
    """The first candidate that takes a call now; `held` hosts are kept for better tasks. Servers whose
    models must change first are told so."""
    for candidate in candidates(board, lane):
        if candidate.host in held or gates.obstacle(board, candidate, now) is not None:
            continue
        if kinds.spared(board, lane, candidate):
            continue
        if residency.concerns(board, candidate):
            if residency.yields(board, candidate, priority, now):
                continue
            residency.want(board, candidate)
        if _memory(board, candidate, priority, now) is None:
            return candidate
    return None


def _memory(board: Board, candidate: Candidate, priority: Priority, now: Now) -> Reason | None:
    """Why what is in memory, or could be, keeps the candidate from taking a call."""
    changing = residency.obstacle(board, candidate, priority, now)
    return changing or fitting.obstacle(board, candidate)


def chosen_reason(
    board: Board, lane: Lane, priority: Priority, choice: Candidate, now: Now
) -> Reason:
    """Why it went there: every other candidate that was ranked better or rejected, with its obstacle."""
    passed: list[str] = []
    for candidate in _ranked(board, lane):
        if candidate == choice:
            break
        reason = reject_reason(board, lane, candidate, priority, now)
        passed.append(reason.text if reason else f"{candidate.host} passed over")
    where = f"{choice.host} {choice.model}".rstrip() + f" ({kinds.chosen(board, lane, choice)})"
    text = f"{where}; {'; '.join(passed)}" if passed else f"{where}: first choice"
    return Reason(ReasonCode.CHOSEN, text, choice.host)


def reject_reason(
    board: Board, lane: Lane, candidate: Candidate, priority: Priority, now: Now
) -> Reason | None:
    """Why this candidate does not take a task of the lane now."""
    if candidate.key in lane.refused:
        text = f"{candidate.host} refused it with {candidate.model or 'its model'}"
        return Reason(ReasonCode.CANDIDATE_REFUSED, text, candidate.host)
    if candidate.key in lane.avoid and candidate not in candidates(board, lane):
        text = f"{candidate.host} is avoided after a failure"
        return Reason(ReasonCode.CANDIDATE_AVOIDED, text, candidate.host)
    return obstacle(board, lane, candidate, priority, now)


def obstacle(
    board: Board, lane: Lane, candidate: Candidate, priority: Priority, now: Now
) -> Reason | None:
    """Why the candidate takes no call of the lane at this priority now: its host is kept for others, its
    gate, its models, its memory."""
    if kinds.usable(board, candidate) and kinds.spared(board, lane, candidate):
        return kinds.spared_reason(board, lane, candidate)
    return gates.obstacle(board, candidate, now) or _memory(board, candidate, priority, now)


def build_call(board: Board, task: Task, candidate: Candidate) -> Call:
    """The call for a claimed task: its request over its type's system prompt and options."""
    kind = type_of(board, task.lane.type)
    request = dict(task.request)
    wanted = {**(kind.options if kind else {}), **request.get("options", {})}
    free = {k: v for k, v in wanted.items() if k not in LOAD_OPTIONS}
    request["options"] = free | load_options(board, candidate)
    if kind is not None and kind.system is not None:
        request.setdefault("system", kind.system)
    return Call(task, candidate, request, _limits(task, kind, board.policy))


def load_options(board: Board, candidate: Candidate) -> dict[str, Any]:
    """The one set of options the candidate's model is loaded with: what the types routed there say, which
    may not differ, and over it what the server's own options say."""
    found: dict[str, Any] = {}
    for kind in board.types.values():
        if candidate in kind.route:
            found |= kind.options
    host = board.hosts.get(candidate.host)
    endpoint = fitting.endpoint_of(host, candidate.endpoint) if host else None
    found |= endpoint.options if endpoint else {}
    return {k: v for k, v in found.items() if k in LOAD_OPTIONS}


def unused_options(call: Call) -> Reason | None:
    """Options of a task that its call does not carry, since they would load the model anew."""
    mine, sent = call.task.request.get("options", {}), call.request["options"]
    lost = sorted(k for k in mine if k in LOAD_OPTIONS and mine[k] != sent.get(k))
    if not lost:
        return None
    text = f"{', '.join(lost)} not used: hosts.yaml fixes how {call.candidate.model} is loaded"
    return Reason(ReasonCode.CHOSEN, text, call.candidate.host)


def _limits(task: Task, kind: TaskType | None, policy: Policy) -> CallLimits:
    total = task.timeout_s or (kind.timeout_s if kind else policy.timeout_s)
    return CallLimits(
        policy.connect_s, policy.first_token_s, policy.between_tokens_s, total, task.deadline_ms
    )
