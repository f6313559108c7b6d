"""Threads that read: whoever asks has his answer, and nobody waits for another's."""

from __future__ import annotations

import asyncio
import threading

import pytest

from ygg.stores.sqlite.reading import Reads

HELD_S = 10


async def test_everybody_has_his_own_answer_or_error() -> None:
    reads = Reads(2)

    def broken() -> int:
        raise ValueError("broken")

    for _ in range(50):  # as many bursts: some come while a thread ends
        asked = [reads.ask(broken if n == 7 else lambda n=n: n) for n in range(20)]
        found = await asyncio.gather(*asked, return_exceptions=True)
        assert isinstance(found.pop(7), ValueError)
        assert found == [n for n in range(20) if n != 7]
    reads.close()


async def test_a_long_read_keeps_no_other_answer_back() -> None:
    reads, begin, go = Reads(1), threading.Event(), threading.Event()
    reads.ask(begin.wait)
    quick = reads.ask(lambda: "quick")
    long = reads.ask(lambda: go.wait(HELD_S))
    begin.set()
    assert await asyncio.wait_for(quick, HELD_S / 2) == "quick"
    go.set()
    assert await long
    reads.close()


async def test_many_answers_wake_the_loop_once(monkeypatch: pytest.MonkeyPatch) -> None:
    reads, go, woken = Reads(1), threading.Event(), 0
    loop = asyncio.get_running_loop()
    wake = loop.call_soon_threadsafe

    def counted(*args: object) -> object:
        nonlocal woken
        woken += 1
        return wake(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(loop, "call_soon_threadsafe", counted)
    asked = [reads.ask(go.wait) for _ in range(100)]
    go.set()
    reads.close()  # all are read now, and the loop has not looked yet
    await asyncio.gather(*asked)
    assert woken == 1


async def test_one_who_left_is_not_told() -> None:
    reads, go = Reads(1), threading.Event()
    left, stays = reads.ask(go.wait), reads.ask(lambda: 1)
    left.cancel()
    go.set()
    reads.close()
    assert await asyncio.wait_for(stays, HELD_S) == 1
