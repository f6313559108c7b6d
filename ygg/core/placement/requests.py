"""What is sent to a server: the call for claimed tasks, each request merged over what its type says.

Options that decide how a model is loaded are the same for every call to it, or it would be loaded anew each
time; those of a task's own that differ are left out, which is told.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ygg.core.board import Board
from ygg.core.effects import Effect, Note
from ygg.core.hosts import models
from ygg.core.placement.candidates import type_of
from ygg.model import (
    LOAD_OPTIONS,
    Attempt,
    Call,
    CallLimits,
    Candidate,
    JsonDict,
    Lane,
    Operation,
    Priority,
    ReasonCode,
    State,
    Task,
    TaskType,
    because,
)


def build_call(
    board: Board, call_id: str, candidate: Candidate, tasks: Iterable[Task], width: int = 1
) -> Call:
    """The call for claimed tasks of one type: its limits are those of the most patient."""
    attempts = tuple(Attempt(task, _request(board, task, candidate)) for task in tasks)
    task_type = type_of(board, attempts[0].task.lane.type)
    return Call(call_id, candidate, attempts, _limits(board, attempts, task_type), width)


def canary(board: Board, call_id: str, candidate: Candidate, operation: Operation) -> Call:
    """A call for one token that carries no task of anybody: does the model work there?"""
    options = load_options(board, candidate)
    asked = {**_ASKED.get(operation, {"prompt": _WORD}), "options": options, "max_tokens": 1}
    lane = Lane(CANARY, candidate.host, candidate.model, service=operation.service)
    task = Task(CANARY, 0, 0, lane, Priority.BACKLOG, State.PROCESSING, operation, asked)
    policy = board.policy
    limits = CallLimits(policy.connect_s, policy.first_token_s, policy.between_tokens_s, ANSWER_S)
    return Call(call_id, candidate, (Attempt(task, asked),), limits)


CANARY = "canary"  #: what stands where others have the id of a task
ANSWER_S = 60.0  #: for one token, once it has begun to answer
_WORD = "Say OK."
_ASKED: dict[Operation, JsonDict] = {
    Operation.CHAT: {"messages": [{"role": "user", "content": _WORD}]},
    Operation.EMBED: {"input": [_WORD]},
    Operation.TRANSCRIBE: {},  # a recording of nothing
}


def _request(board: Board, task: Task, candidate: Candidate) -> JsonDict:
    """A task's request over its type's system prompt and options."""
    task_type = type_of(board, task.lane.type)
    if task_type is not None and task.operation is Operation.TRANSCRIBE:
        task_type = task_type if candidate in task_type.route else None  # it speaks of other models
    request = dict(task.request)
    wanted = {**(task_type.options if task_type else {}), **request.get("options", {})}
    free = {k: v for k, v in wanted.items() if k not in LOAD_OPTIONS}
    request["options"] = free | load_options(board, candidate)
    if task_type is not None and task_type.system is not None:
        request.setdefault("system", task_type.system)
    return request


def load_options(board: Board, candidate: Candidate) -> dict[str, Any]:
    """The one set of options the candidate's model is loaded with: what the types routed there say, which
    may not differ, and over it what the server's own options say."""
    found: dict[str, Any] = {}
    for kind in board.loading:
        if candidate in kind.route:
            found |= kind.options
    host = board.hosts.get(candidate.host)
    endpoint = models.endpoint_of(host, candidate.endpoint) if host else None
    found |= endpoint.options if endpoint else {}
    return {k: v for k, v in found.items() if k in LOAD_OPTIONS}


def _limits(board: Board, attempts: tuple[Attempt, ...], task_type: TaskType | None) -> CallLimits:
    policy = board.policy
    usual = task_type.timeout_s if task_type else policy.timeout_s
    total = max(attempt.task.timeout_s or usual for attempt in attempts)
    deadlines = [attempt.task.deadline_ms for attempt in attempts]
    last = None if None in deadlines else max(d for d in deadlines if d is not None)
    return CallLimits(policy.connect_s, policy.first_token_s, policy.between_tokens_s, total, last)


def unused_options(call: Call) -> list[Effect]:
    """Notes of options that a call does not carry, since they would load the model anew."""
    notes: list[Effect] = []
    for attempt in call.attempts:
        mine, sent = attempt.task.request.get("options", {}), attempt.request["options"]
        lost = sorted(k for k in mine if k in LOAD_OPTIONS and mine[k] != sent.get(k))
        if lost:
            host, model = call.candidate.host, call.candidate.model
            code, options = ReasonCode.OPTIONS_UNUSED, ", ".join(lost)
            reason = because(code, host, options=options, model=model)
            notes.append(Note(reason, attempt.task.id, level="WARNING"))
    return notes
