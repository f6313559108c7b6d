"""Servers are asked how many requests are inside them."""

from __future__ import annotations

import asyncio

import pytest

from tests.shell.virtual import FakeBackend, Place
from ygg.core import events as ev
from ygg.model import Endpoint, OutcomeKind
from ygg.ports import CallFailed
from ygg.running.asking import Asks
from ygg.running.drivers import Drivers
from ygg.running.streams import Streams


class Told(FakeBackend):
    """Answers with a count, or with an error."""

    def __init__(self, answer: int | CallFailed | None) -> None:
        super().__init__(Place("a"), Endpoint("main", "openai", "http://a"))
        self.answer = answer

    async def inside(self, timeout_s: float = 3.0) -> int | None:
        if isinstance(self.answer, CallFailed):
            raise self.answer
        return self.answer


async def asked(backend: Told | None) -> ev.Event:
    """What the core is told."""
    told: asyncio.Future[ev.Event] = asyncio.get_running_loop().create_future()
    feed, backends = told.set_result, {} if backend is None else {("a", "main"): backend}
    drivers = Drivers(feed, Asks(feed), Streams(), backends)
    drivers.inside("a", "main")
    return await told


@pytest.mark.parametrize("count", [0, 3])
async def test_a_count_is_told(count: int) -> None:
    assert await asked(Told(count)) == ev.InsideTold("a", "main", count)


async def test_no_word_for_it_and_no_answer_now_are_two_things() -> None:
    assert await asked(Told(None)) == ev.InsideTold("a", "main", None, tells=False)
    failed = CallFailed(OutcomeKind.UNREACHABLE, "no answer within 3 s")
    assert await asked(Told(failed)) == ev.InsideTold("a", "main", None)


async def test_a_server_that_is_gone_has_no_word_for_it() -> None:
    assert await asked(None) == ev.InsideTold("a", "main", None, tells=False)
