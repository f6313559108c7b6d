"""The way to one target: what it is told waits in a queue of its own, is tried, tried again, and given up in the end."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from ygg.model.notices import Notice, Target
from ygg.notify.letters import Letter, letter
from ygg.notify.sending import send
from ygg.notify.trying import NotSent
from ygg.plain import counted
from ygg.telling.holding import Holding

log = logging.getLogger("ygg.notifications")

PAUSES_S = (5.0, 30.0, 120.0, 600.0)  #: between tries; the last one again and again
GIVE_UP_S = 6 * 3600.0

Send = Callable[[Target, Letter], Awaitable[None]]


class Post:
    """Of one target. `times`: milliseconds of the wall clock, and the minute of the local day. `error` is what was in the way
    of the newest try, "" where it arrived."""

    def __init__(
        self,
        target: Target,
        times: Callable[[], tuple[int, int]],
        waiting: tuple[Notice, ...] = (),
        send: Send = send,
    ) -> None:
        self._times, self._send = times, send
        self._holding = Holding(target, waiting)
        self._under_way: tuple[Notice, ...] = ()
        self._look = asyncio.Event()
        self.target, self.error, self.dropped = target, "", 0

    @property
    def waiting(self) -> tuple[Notice, ...]:
        """What it has not been told yet, as far as is known."""
        return (*self._under_way, *self._holding.waiting)

    @property
    def trouble(self) -> str:
        """One line for people, "" while all arrives."""
        dropped = self.dropped + self._holding.dropped
        lost = f", {counted(dropped, 'message')} lost" if dropped else ""
        waits = f", {counted(len(self.waiting), 'message')} waiting" if self.waiting else ""
        return f"{self.target.name}: {self.error}{waits}{lost}" if self.error else ""

    def add(self, notice: Notice) -> None:
        """Tell it, soon or when it may be told. Never waits."""
        self._holding.add(notice)

    def look(self) -> None:
        """Time has passed: something may be due."""
        self._look.set()

    async def run(self) -> None:
        """Deliver what is due, for ever."""
        while True:
            await self._look.wait()
            self._look.clear()
            while due := self._holding.due(*self._times()):
                self._under_way = due
                await self._deliver(letter(due))
                self._under_way = ()

    async def _deliver(self, what: Letter) -> None:
        """Try until it arrives or is given up."""
        loop = asyncio.get_running_loop()
        began, tries = loop.time(), 0
        while not await self._arrives(what):
            pause = PAUSES_S[min(tries, len(PAUSES_S) - 1)]
            tries += 1
            if self._hopeless or loop.time() + pause - began > GIVE_UP_S:
                self.dropped += len(what.notices)
                log.error("%s is not told: %s: %s", self.target.name, what.title, self.error)
                return
            await asyncio.sleep(pause)

    async def _arrives(self, what: Letter) -> bool:
        self._hopeless = False
        try:
            await self._send(self.target, what)
        except NotSent as error:
            self._failed(str(error))
            self._hopeless = not error.again
            return False
        except Exception as bug:
            log.exception("bug: %s is not told", self.target.name)
            self._failed(f"bug: {type(bug).__name__}")
            self._hopeless = True
            return False
        if self.error:
            log.info("%s is told again", self.target.name)
        self.error = ""
        return True

    def _failed(self, error: str) -> None:
        if error != self.error:
            log.warning("%s cannot be told: %s", self.target.name, error)
        self.error = error
