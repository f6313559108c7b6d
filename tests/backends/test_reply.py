"""How an answer is read: turns for others, an end to noise, limits that only count waiting."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import httpx
import pytest

from tests.backends.calls import LIMITS
from ygg.backends import reply as module
from ygg.backends.reply import Reply
from ygg.ports import CallFailed


@dataclass
class Flood(httpx.AsyncByteStream):
    """A body that is always there: `times` chunks, none of which is waited for."""

    chunk: bytes
    times: int

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for _ in range(self.times):
            yield self.chunk


def flooded(chunk: bytes, times: int) -> Reply:
    now = asyncio.get_running_loop().time()
    return Reply(httpx.Response(200, stream=Flood(chunk, times)), now, LIMITS)


async def rest(reply: Reply, *, tokens: bool = False) -> int:
    """How many lines come until the end."""
    lines = 0
    while got := await reply.lines():
        lines += len(got)
        if tokens:
            reply.token()
    return lines


async def test_others_have_a_turn_after_each_chunk_that_was_there_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "AT_ONCE_S", 60.0)  # whatever else the machine does meanwhile
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    beside = asyncio.ensure_future(other())
    await rest(flooded(b"a\n", 50), tokens=True)
    beside.cancel()
    assert turns >= 50


@pytest.mark.parametrize("chunk", [b"\n" * 16_384, b":\n" * 8_192, b"x" * 9_999 + b"\n"])
async def test_what_says_nothing_has_an_end(monkeypatch: pytest.MonkeyPatch, chunk: bytes) -> None:
    monkeypatch.setattr(module, "LINES_A_S", 1e9)  # how fast they are read is asked below
    with pytest.raises(CallFailed, match="without a word") as caught:
        await rest(flooded(chunk, 10_000))
    assert caught.value.broken


async def test_between_tokens_there_may_be_as_much_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SILENT_LINES", 100)
    assert await rest(flooded(b"\n" * 80, 20), tokens=True) == 1_600
    with pytest.raises(CallFailed, match="without a word"):
        await rest(flooded(b"\n" * 80, 20))


async def test_a_line_without_an_end_costs_no_more_the_longer_it_is() -> None:
    with pytest.raises(CallFailed, match="malformed"):
        await rest(flooded(b"x" * 64, 200_000))


async def test_lines_come_no_faster_than_any_model_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BURST_LINES", 100)
    now = asyncio.get_running_loop().time
    begun = now()
    assert await rest(flooded(b"a\n" * 50, 2), tokens=True) == 100
    assert await rest(flooded(b"a\n\n" * 50, 2), tokens=True) == 200  # blank ones do not count
    quick = now() - begun
    await rest(flooded(b"a\n" * 50, 10), tokens=True)
    assert quick < 0.2
    assert now() - begun >= 400 / module.LINES_A_S
