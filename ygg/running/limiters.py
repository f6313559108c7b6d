"""Permits that live elsewhere: asked for without waiting, and settled until the limiter has heard of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from ygg.core import events as ev
from ygg.errors import YggError
from ygg.model import Grant, Usage
from ygg.ports import Limiter
from ygg.running.asking import log, told

SETTLE_TRIES = 8  #: a limiter that hears of no Settle lets its grants end by themselves
SETTLE_FIRST_S, SETTLE_LAST_S = 0.5, 30.0  #: pauses between them


class Limiters:
    """The limiters in use, by the name under which permits know them."""

    def __init__(self, feed: Callable[[ev.Event], None], limiters: Mapping[str, Limiter]) -> None:
        self._feed, self._limiters = feed, limiters
        self._asked: dict[Grant, asyncio.Task[None]] = {}
        self._settling: set[asyncio.Task[None]] = set()

    def acquire(self, grant: Grant) -> None:
        """Feed Granted or Denied once the limiter has answered; nobody waits for that here."""
        self._asked[grant] = asyncio.get_running_loop().create_task(self._acquire(grant))

    async def _acquire(self, grant: Grant) -> None:
        try:
            denial = await self._limiters[grant.permit.limiter].acquire(grant)
        except Exception as why:  # noqa: BLE001 - whatever it is, it is a no
            if not isinstance(why, YggError):
                log.exception("limiter %s failed unexpectedly", grant.permit.limiter)
            answer: ev.Event = ev.Denied(grant, told(why))
        else:
            answer = ev.Denied(grant, *denial) if denial else ev.Granted(grant)
        self._asked.pop(grant, None)
        self._feed(answer)

    def settle(self, grant: Grant, used: Usage | None) -> None:
        """Tell the limiter, again and again if need be; what is still asked for is not waited for."""
        asked = self._asked.pop(grant, None)
        if asked is not None:
            asked.cancel()
        task = asyncio.get_running_loop().create_task(self._settle(grant, used))
        self._settling.add(task)
        task.add_done_callback(self._settling.discard)

    async def _settle(self, grant: Grant, used: Usage | None) -> None:
        pause = SETTLE_FIRST_S
        for _ in range(SETTLE_TRIES):
            try:
                await self._limiters[grant.permit.limiter].settle(grant, used)
            except Exception as why:  # noqa: BLE001 - whatever it is, it is tried again
                log.debug("%s: %s not settled: %s", grant.permit.limiter, grant.call, told(why))
                await asyncio.sleep(pause)
                pause = min(SETTLE_LAST_S, 2 * pause)
            else:
                return
        log.warning("%s has not heard that %s is over", grant.permit.limiter, grant.call)

    async def close(self, wait_s: float) -> None:
        """Let what is being settled reach the limiters, for so long."""
        for task in self._asked.values():
            task.cancel()
        if self._settling:
            _, late = await asyncio.wait(self._settling, timeout=wait_s)
            for task in late:
                task.cancel()
