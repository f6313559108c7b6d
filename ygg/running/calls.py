"""One call as a short chain of named steps: check the host when it matters, stream, judge, build the result.

The only caller of a Backend. Whatever happens becomes an Outcome; only a cancellation leaves as an
exception, after the connection is closed, because the loop alone knows why it cancelled. A connection
that broke is looked into: a host that fails its check is charged, not the task.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, cast

from ygg.model import AttemptId, Call, Done, HostHealth, Outcome, OutcomeKind, Piece, Result, Usage
from ygg.ports import AttemptStarted, Backend, CallFailed
from ygg.running.attached import filled
from ygg.running.message import Message
from ygg.uploads import Uploads

CHECK_S = 2.0

log = logging.getLogger(__name__)

#: Told of each item; what it gives back is waited for before the next one is read.
OnItem = Callable[[AttemptId, AttemptStarted | Piece], Awaitable[None] | None]
Outcomes = Mapping[AttemptId, Outcome]


async def run_call(
    call: Call, backend: Backend, on_item: OnItem, uploads: Uploads | None = None
) -> Outcomes:
    """Run a call to its end; how each of its attempts ended. `on_item` gets the start of each and its
    pieces that say something as they come, and may hold the call back until its readers have room. `uploads`: where
    the files are that came with tasks.

    Several attempts are sent side by side, each in a stream of its own. Never raises, but for
    CancelledError.
    """
    if len(call.attempts) == 1:
        return {call.attempt.id: await _run_attempt(call, backend, on_item, uploads)}
    alone = [replace(call, attempts=(attempt,), width=1) for attempt in call.attempts]
    outcomes = await asyncio.gather(
        *(_run_attempt(one, backend, on_item, uploads) for one in alone)
    )
    return {a.id: outcome for a, outcome in zip(call.attempts, outcomes, strict=True)}


def usage_of(outcomes: Outcomes) -> Usage:
    """What the attempts of a call used together; None where none of them tells."""
    told = [o.result.usage for o in outcomes.values() if o.result is not None]
    return (
        told[0] if len(told) == 1 else Usage(**{f.name: _sum(told, f.name) for f in fields(Usage)})
    )


def _sum(told: Sequence[Usage], name: str) -> Any:
    values = [v for usage in told if (v := getattr(usage, name)) is not None]
    return sum(values) if values else None


async def _run_attempt(
    call: Call, backend: Backend, on_item: OnItem, uploads: Uploads | None
) -> Outcome:
    run = _Run(call, backend, on_item)
    try:
        try:
            done = await run.stream(await filled(call, uploads))
        except CallFailed as failure:
            return await run.judge(failure)
        return Outcome(OutcomeKind.COMPLETED, result=run.result(done))
    except Exception as bug:
        if run.limit is not None and run.limit.expired():
            return run.out_of_time()
        name = backend.endpoint.name
        log.exception("%s: unexpected error in backend %s", call.attempt.id, name)
        return Outcome(OutcomeKind.ERROR, f"bug in ygg: {type(bug).__name__}: {bug}")


@dataclass(slots=True)
class _Run:
    """What one attempt has brought so far. Times are loop.time() seconds."""

    call: Call
    backend: Backend
    on_item: OnItem
    begun: float = 0.0
    first: float | None = None  #: when the first token came
    limit: asyncio.Timeout | None = None
    total_by: float | None = None  #: when the total runs out; unknown until the first token
    message: Message = field(default_factory=Message)
    who: AttemptId = field(init=False)

    def __post_init__(self) -> None:
        self.who = self.call.attempt.id

    async def stream(self, call: Call) -> Done:
        """Collect the pieces of this call until the end marker, under the total and the task's deadline.

        The total starts with the first token: what came before it is the model's load, which the
        backend bounds by its limit for that token. Raises TimeoutError, CallFailed.
        """
        candidate = self.call.candidate
        self.begun = asyncio.get_running_loop().time()
        self.on_item(self.who, AttemptStarted(self.who.number, candidate.host, candidate.model))
        items = cast("AsyncGenerator[Piece | Done, None]", self.backend.stream(call))
        self.limit = asyncio.timeout_at(self.deadline())
        async with self.limit, contextlib.aclosing(items):
            async for item in items:
                if isinstance(item, Done):
                    return item
                if self.first is None and item.token:
                    self._begin(self.limit)
                room = self._take(item)
                if room is not None:
                    await room
        raise CallFailed(OutcomeKind.ERROR, "the stream ended without its end marker", broken=True)

    def deadline(self) -> float | None:
        """The task's deadline on the loop's clock, from the wall-clock time of its claim."""
        deadline_ms, started_ms = self.call.limits.deadline_ms, self.call.attempt.task.started_ms
        if deadline_ms is None or started_ms is None:
            return None
        return self.begun + (deadline_ms - started_ms) / 1000

    def _begin(self, limit: asyncio.Timeout) -> None:
        """The first token has come."""
        self.first = asyncio.get_running_loop().time()
        self.total_by = self.first + self.call.limits.total_s
        deadline = self.deadline()
        limit.reschedule(self.total_by if deadline is None else min(self.total_by, deadline))

    def _take(self, piece: Piece) -> Awaitable[None] | None:
        """Keep what it says and pass it on; what to wait for before the next one."""
        if not piece.token and not piece.logprobs and piece.frame is None:
            return None
        self.message.add(piece)
        return self.on_item(self.who, piece)

    def result(self, done: Done) -> Result:
        now = asyncio.get_running_loop().time()
        first_ms = None if self.first is None else (self.first - self.begun) * 1000
        usage = replace(done.usage, first_token_ms=first_ms, total_ms=(now - self.begun) * 1000)
        message = self.message
        return Result(
            content="".join(message.content),
            stop_reason=done.stop_reason,
            model=done.model,
            backend=done.dialect or self.backend.endpoint.backend,
            usage=usage,
            thinking="".join(message.thinking) or None,
            tool_calls=message.tool_calls,
            logprobs=tuple(message.logprobs),
            embeddings=done.embeddings,
        )

    def out_of_time(self) -> Outcome:
        """Which of the two clocks ran out."""
        deadline = self.deadline()
        if deadline is not None and (self.total_by is None or deadline <= self.total_by):
            text = "the task's deadline passed while it ran"
            return Outcome(OutcomeKind.EXPIRED, text, abandoned=True)
        limit = self.call.limits.total_s
        text = f"not finished within {limit:g} s; stopped"
        return Outcome(OutcomeKind.TIMEOUT, text, abandoned=True)

    async def judge(self, failure: CallFailed) -> Outcome:
        """The outcome of a failed call; a broken connection is blamed on the host if that is sick."""
        outcome = Outcome(
            failure.kind, failure.message, failure.retry_after_s, abandoned=failure.abandoned
        )
        if not failure.broken:
            return outcome
        health = await self.backend.check(CHECK_S)
        text = f"{failure.message}; the host's check: {health.message or health.health}"
        match health.health:
            case HostHealth.DOWN:
                return replace(outcome, kind=OutcomeKind.UNREACHABLE, message=text)
            case HostHealth.UNAUTHORIZED:
                return replace(outcome, kind=OutcomeKind.UNAUTHORIZED, message=text)
            case _:
                return outcome
