"""How long what somebody was let in with holds: what is answered meanwhile ends with it, and says why."""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from ygg.errors import Unauthorized

T = TypeVar("T")
LOOK_S = 60.0  #: a clock that is set, or a machine that slept, is seen after that


class Over:
    """That nothing holds any more which was let in by one rule, and why."""

    def __init__(self) -> None:
        self.why = ""
        self._event = asyncio.Event()

    def set(self, why: str) -> None:
        """Once; what comes later is no reason."""
        if not self._event.is_set():
            self.why = why
            self._event.set()

    def is_set(self) -> bool:
        return self._event.is_set()

    async def wait(self) -> None:
        await self._event.wait()


def never() -> float:
    """What does not expire."""
    return math.inf


@dataclass(frozen=True, slots=True)
class Proof:
    """What a caller was let in with. `left_s`: seconds until it expires; `hint`: how to get another one."""

    what: str
    hint: str
    over: Over = field(default_factory=Over)
    left_s: Callable[[], float] = never

    async def ended(self) -> Unauthorized:
        """Comes back once it does not hold any more, with what is said then."""
        while not self.over.is_set():
            left_s = self.left_s()
            if left_s <= 0:
                return Unauthorized(f"{self.what} has expired", hint=self.hint)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.over.wait(), min(left_s, LOOK_S))
        return Unauthorized(f"{self.what} {self.over.why}", hint=self.hint)


async def answer_while_it_holds(proof: Proof | None, answer: Awaitable[T]) -> T:
    """The answer, which may be long in coming. Raises Unauthorized where the proof does not hold any more before."""
    if proof is None:
        return await answer
    ended = asyncio.ensure_future(proof.ended())
    try:
        return await _before(ended, answer)
    finally:
        ended.cancel()


async def while_it_holds(proof: Proof | None, events: AsyncGenerator[T, None]) -> AsyncIterator[T]:
    """The events, until the proof does not hold any more: then Unauthorized."""
    if proof is None:
        async for event in events:
            yield event
        return
    ended = asyncio.ensure_future(proof.ended())
    try:
        while (event := await _before(ended, anext(events, _END))) is not _END:
            yield event
    finally:
        ended.cancel()


async def _before(ended: asyncio.Future[Unauthorized], answer: Awaitable[T]) -> T:
    step: asyncio.Future[T] = asyncio.ensure_future(answer)
    both: set[asyncio.Future[Any]] = {step, ended}
    try:
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        if not step.done():
            raise ended.result()
        return step.result()
    finally:
        await _stopped(step)


async def _stopped(step: asyncio.Future[Any]) -> None:
    """Its generator runs no more. The cancel of a client that left comes again and again until we are through."""
    step.cancel()
    while not step.done():
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.wait({step})


_END: Any = object()
