"""Whose fault an error is: ygg asks the server itself, in the place of the call that failed.

A call in doubt (`hosts.sickness`) gives its slot to a canary, a call for one token of the same model and operation, and
its tasks are *suspects*: what becomes of them is decided when that has ended. If it completes, or the server refuses
it in words, the error was the task's. If it fails as well, the model is sick there: the suspects keep their places
and pay nothing. A task that is a suspect `MOST` times without a verdict against it is poison: it is blocked.
"""

from __future__ import annotations

from typing import NamedTuple

from ygg.core.board import Board, CallState, Phase, Suspect
from ygg.core.effects import Effect, Note, Start
from ygg.core.hosts import gates, sickness
from ygg.core.house import Proof
from ygg.core.placement import fitting, permits, requests, residency
from ygg.core.placement.rounds import FIRST, Round
from ygg.model import (
    Candidate,
    End,
    Now,
    Operation,
    Outcome,
    OutcomeKind,
    ReasonCode,
    Task,
    because,
)
from ygg.model import State as S

MOST = 10  #: times that a task may be a suspect

#: Outcomes of a canary by which the server has answered: what failed was the task.
_ANSWERS = {OutcomeKind.COMPLETED, OutcomeKind.BAD_REQUEST, OutcomeKind.REFUSED}
#: Outcomes that the gate of the server takes care of; they say nothing of the model.
_GATED = {
    OutcomeKind.UNREACHABLE,
    OutcomeKind.UNAUTHORIZED,
    OutcomeKind.BUSY,
    OutcomeKind.OUT_OF_MEMORY,
}


def in_doubt(board: Board, candidate: Candidate, task: Task, outcome: Outcome, now: Now) -> bool:
    """Whether an attempt that ended so may have failed through no fault of its task; the error is remembered."""
    if outcome.kind is not OutcomeKind.ERROR or outcome.delivered or board.stopping:
        return False
    host = board.hosts.get(candidate.host)
    server = host.servers.get(candidate.endpoint) if host and not host.removed else None
    if server is None:
        return False
    together = sickness.fell(server, task.id, now)
    board.apart.update(dict.fromkeys(together, len(together)))
    return sickness.doubtful(server, candidate.model, task.id, now)


def suspect(
    board: Board, candidate: Candidate, task: Task, outcome: Outcome, now: Now
) -> tuple[list[End], list[Effect]]:
    """Hold the end of an attempt until a canary has answered. Where none can be sent, the task goes back at once."""
    board.suspects[task.id] = Suspect(task, candidate, outcome)
    server = board.hosts[candidate.host].servers[candidate.endpoint]
    proof = sickness.proof_of(server, candidate.model)
    if proof.canary:
        return [], []
    if proof.sick or not _may_start(board, candidate, now):
        news, board.retime = not proof.sick, True
        proof.sick, proof.ask_at = proof.sick or outcome.message, max(proof.ask_at, now.mono)
        told = sickness.reason(candidate.host, candidate.model, proof, now)
        return _acquitted(board, candidate), [Note(told, level="WARNING")] if news else []
    return [], _send(board, candidate, proof, task.operation, now)


class Verdict(NamedTuple):
    """What a canary's answer comes to: `guilty` are to be judged by their own outcomes, the `ends` of the others cost
    them nothing."""

    guilty: list[Suspect]
    ends: list[End]
    told: list[Effect]


def ended(board: Board, call: CallState, outcome: Outcome, now: Now) -> Verdict:
    """What becomes of its suspects."""
    candidate = call.candidate
    host = board.hosts.get(candidate.host)
    server = host.servers.get(candidate.endpoint) if host else None
    proof = server.proofs.get(candidate.model) if server else None
    if server is None or proof is None or proof.canary != call.id:
        return Verdict([], _acquitted(board, candidate), [])
    proof.canary, board.retime = "", True
    board.changed(candidate.host)
    if outcome.kind in _ANSWERS:
        well = sickness.worked(server, candidate.model, now)
        guilty = [board.suspects.pop(held.task.id) for held in _of(board, candidate)]
        return Verdict(guilty, [], [_well(candidate)] if well else [])
    if outcome.kind in _GATED or outcome.kind is OutcomeKind.CANCELLED:
        proof.ask_at = now.mono + board.policy.probe_min_s
        return Verdict([], _acquitted(board, candidate), [])
    news = sickness.failed(server, candidate.model, outcome.message, board.policy, now)
    told = sickness.reason(candidate.host, candidate.model, proof, now)
    note = Note(told, level="WARNING" if news else "INFO")
    return Verdict([], _acquitted(board, candidate), [note])


def well(board: Board, candidate: Candidate, now: Now) -> list[Effect]:
    """A task has completed there."""
    host = board.hosts.get(candidate.host)
    server = host.servers.get(candidate.endpoint) if host else None
    if server is None or not sickness.worked(server, candidate.model, now):
        return []
    return [_well(candidate)]


def _well(candidate: Candidate) -> Note:
    return Note(because(ReasonCode.HOST_WELL, candidate.host, model=candidate.model or "its model"))


# --- the suspects -----------------------------------------------------------------------------------


def _of(board: Board, candidate: Candidate) -> list[Suspect]:
    return [s for s in board.suspects.values() if s.candidate == candidate]


def _acquitted(board: Board, candidate: Candidate) -> list[End]:
    """The server is at fault, or may be: they keep their places."""
    return [given_back(board, held) for held in _of(board, candidate)]


def given_back(board: Board, held: Suspect) -> End:
    """The end of a suspect that pays nothing, unless it has been one too often."""
    task = held.task
    del board.suspects[task.id]
    board.suspected[task.id] = times = board.suspected.get(task.id, 0) + 1
    detail = held.outcome.message or None
    if times >= MOST:
        return End(task.id, task.attempt, S.BLOCKED, ReasonCode.POISON, detail)
    return End(task.id, task.attempt, S.QUEUED, ReasonCode.HOST_SICK, detail)


def forget(board: Board, task_id: str) -> None:
    """The task is over, or another's: nothing is remembered against it."""
    board.suspected.pop(task_id, None)
    board.apart.pop(task_id, None)


# --- canaries ---------------------------------------------------------------------------------------


def _send(
    board: Board, candidate: Candidate, proof: Proof, operation: Operation, now: Now
) -> list[Effect]:
    board.serial += 1
    call = CallState(f"{board.run}-{board.serial}", candidate, {}, FIRST, _ASKED, canary=True)
    proof.canary, proof.operation = call.id, operation
    permits.take(board, call)
    residency.started(board, candidate, now)
    call.call = requests.canary(board, call.id, candidate, operation)
    call.phase, call.started = Phase.RUNNING, now.mono
    return [Start(call.call)]


_ASKED = because(ReasonCode.HOST_SICK)


def due(board: Board, now: Now) -> list[Effect]:
    """Canaries to sick models that tasks wait for."""
    effects: list[Effect] = []
    for candidate, proof in _to_ask(board):
        if proof.ask_at > now.mono or not _wanted(board, candidate):
            continue
        if _may_start(board, candidate, now) and _has_room(board, candidate, proof, now):
            effects += _send(board, candidate, proof, proof.operation, now)
    return effects


def _to_ask(board: Board) -> list[tuple[Candidate, Proof]]:
    """The sick models that no canary asks now."""
    return [
        (Candidate(name, endpoint, model), proof)
        for name, host in board.hosts.items()
        for endpoint, server in host.servers.items()
        if server.proofs and not host.removed
        for model, proof in sickness.sick(server).items()
        if not proof.canary
    ]


def _wanted(board: Board, candidate: Candidate) -> bool:
    waiting = (state for state in board.serving.get(candidate.host, ()) if state.best is not None)
    return any(candidate in state.route for state in waiting)


def _may_start(board: Board, candidate: Candidate, now: Now) -> bool:
    """Whether the host's gate lets a call pass: a canary takes a slot like any other."""
    host = board.hosts[candidate.host]
    taken = Round(board, now).taken(host, candidate.endpoint)
    idle = board.paused or board.stopping
    return not idle and gates.obstacle(host, candidate, taken, now) is None


def _has_room(board: Board, candidate: Candidate, proof: Proof, now: Now) -> bool:
    """Whether its model can be loaded beside what runs. After `max_wait_s` it goes to the server all the same."""
    if fitting.obstacle(Round(board, now), candidate) is not None:
        return False
    late = now.mono - proof.ask_at >= board.policy.residency.max_wait_s
    return late or not residency.in_the_way(board, candidate)


def next_change(board: Board, now: Now) -> float:
    """When the next canary is due, on the monotonic clock; one that found no slot is tried each second."""
    times = [
        max(proof.ask_at, now.mono + 1.0 if proof.ask_at <= now.mono else 0.0)
        for candidate, proof in _to_ask(board)
        if _wanted(board, candidate)
    ]
    return min(times, default=float("inf"))
