"""Answers as events: whatever an effect asks for is awaited in the background and fed back when it comes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

from ygg.core.events import Event
from ygg.errors import YggError

log = logging.getLogger("ygg.dispatch")

T = TypeVar("T")


def told(error: BaseException) -> str:
    """What an error says, or what it is."""
    return str(error) or type(error).__name__


class Asks:
    """What is under way on behalf of one loop."""

    def __init__(self, feed: Callable[[Event], None]) -> None:
        self._feed = feed
        self._loop = asyncio.get_running_loop()
        self._open: set[asyncio.Future[object]] = set()

    def ask(
        self,
        answer: Awaitable[T],
        ok: Callable[[T], Event],
        failed: Callable[[BaseException], Event],
        *,
        patient: bool = False,
    ) -> None:
        """Feed the event that comes of it. A `patient` one lets the calls that the same commit started
        reach their servers first."""

        def done(future: asyncio.Future[T]) -> None:
            error = future.exception()
            if error is None and patient:
                self._loop.call_soon(self._feed, ok(future.result()))
            elif error is None:
                self._feed(ok(future.result()))
            else:
                _logged(error)
                self._feed(failed(error))

        self._watch(answer, done)

    def run(self, work: Awaitable[object], failed: Callable[[str], None] = log.warning) -> None:
        """Do something that no decision waits for; `failed` is told what was in the way."""

        def done(future: asyncio.Future[object]) -> None:
            error = future.exception()
            if error is not None:
                _logged(error)
                failed(told(error))

        self._watch(work, done)

    def _watch(self, answer: Awaitable[T], done: Callable[[asyncio.Future[T]], None]) -> None:
        future: asyncio.Future[T] = asyncio.ensure_future(answer)

        def over(future: asyncio.Future[T]) -> None:
            self._open.discard(future)
            if not future.cancelled():
                done(future)

        self._open.add(future)  # type: ignore[arg-type]
        future.add_done_callback(over)


def _logged(error: BaseException) -> None:
    if not isinstance(error, YggError):
        log.error("unexpected error", exc_info=error)
