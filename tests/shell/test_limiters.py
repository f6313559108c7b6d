"""A limiter outside the process, in each of its moods: no slot is lost, no task stands still for ever."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field

import pytest

from tests.shell.virtual import House, house, run_virtual, until
from ygg.errors import Unavailable
from ygg.model import Grant, Permit, State, Usage
from ygg.ports import Denial

RATE = Permit("rate", "m")
NEEDS = {("a", "main"): (RATE,)}


@dataclass
class Moody:
    """A limiter that behaves as its mood says. A grant that was settled is denied, as the port asks."""

    mood: Callable[[Moody], str] = lambda self: "grant"
    asked: list[Grant] = field(default_factory=list)
    granted: set[Grant] = field(default_factory=set)
    settled: list[tuple[Grant, Usage | None]] = field(default_factory=list)
    deaf: int = 0  #: settles that fail before one is heard

    async def acquire(self, grant: Grant) -> Denial | None:
        self.asked.append(grant)
        match self.mood(self):
            case "deny":
                return Denial("spent", 5.0)
            case "late":
                await asyncio.sleep(3)
            case "never":
                await asyncio.Event().wait()
            case "die":
                raise Unavailable("connection refused")
            case "break":
                raise ZeroDivisionError
        if grant in {settled for settled, _ in self.settled}:
            return Denial("settled already")
        self.granted.add(grant)
        return None

    async def settle(self, grant: Grant, used: Usage | None) -> None:
        if self.deaf:
            self.deaf -= 1
            raise Unavailable("connection refused")
        self.settled.append((grant, used))
        self.granted.discard(grant)


def with_limiter(limiter: Moody, slots: int = 1) -> AbstractAsyncContextManager[House]:
    return house({"a": slots}, needs=NEEDS, limiters={"rate": limiter})


def at_first(mood: str, times: int = 3) -> Callable[[Moody], str]:
    """That mood a few times, then it grants."""
    return lambda limiter: mood if len(limiter.asked) <= times else "grant"


async def _settled(limiter: Moody) -> None:
    await until(lambda: {g for g, _ in limiter.settled} == set(limiter.asked))


@pytest.mark.parametrize("mood", ["grant", "deny", "late", "never", "die", "break"])
def test_every_task_is_done_whatever_the_limiter_does_for_a_while(mood: str) -> None:
    async def main() -> None:
        limiter = Moody(at_first(mood))
        async with with_limiter(limiter, 2) as home:
            tasks = [await home.submit() for _ in range(6)]
            ended = await home.ends(tasks)
            assert {t.state for t in ended} == {State.COMPLETED}
            await _settled(limiter)
            assert len(limiter.settled) == len(limiter.asked), "each grant is settled once"
            assert limiter.granted == set()
            assert home.dispatcher.board.hosts["a"].busy == 0
            assert home.places["a"].peak <= 2

    run_virtual(main())


def test_a_settle_that_is_not_heard_is_said_again_and_keeps_nobody_waiting() -> None:
    async def main() -> None:
        limiter = Moody(deaf=3)
        async with with_limiter(limiter) as home:
            first, second = await home.submit(), await home.submit()
            began = asyncio.get_running_loop().time()
            await home.ends([first, second])
            assert asyncio.get_running_loop().time() - began < 2.1, "two calls of a second each"
            await _settled(limiter)
            used = [usage for _, usage in limiter.settled]
            assert all(usage is not None and usage.output_tokens == 2 for usage in used)

    run_virtual(main())


def test_a_drain_does_not_wait_for_a_limiter() -> None:
    async def main() -> None:
        limiter = Moody(lambda self: "never")
        async with with_limiter(limiter) as home:
            task = await home.submit()
            await until(lambda: bool(limiter.asked))
            began = asyncio.get_running_loop().time()
            await home.dispatcher.drain(60, asyncio.Event())
            assert asyncio.get_running_loop().time() - began < 0.1
            assert (await home.store.get(task.id)).state is State.QUEUED
            assert [g for g, _ in limiter.settled] == limiter.asked

    run_virtual(main())


def test_a_host_that_needs_no_permit_asks_for_none() -> None:
    async def main() -> None:
        limiter = Moody(lambda self: "never")
        routes = {"general": ("a", "b")}
        async with house({"a": 1, "b": 1}, routes, needs=NEEDS, limiters={"rate": limiter}) as home:
            done = await home.ends([await home.submit() for _ in range(4)])
            assert {t.host for t in done} == {"b"}

    run_virtual(main())
