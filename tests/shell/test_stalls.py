"""A loop that stands still is told with where it stood; a machine that does is told apart."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

import pytest

from ygg.running import stalls


def holds_everybody_up(seconds: float) -> None:
    time.sleep(seconds)


async def told(caplog: pytest.LogCaptureFixture, words: str) -> str:
    for _ in range(500):
        found = [m for m in caplog.messages if words in m]
        if found:
            return found[0]
        await asyncio.sleep(0.01)
    raise AssertionError(caplog.messages)


async def test_where_the_loop_stood_is_told(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "ygg.stalls"), stalls.watched() as seen:
        holds_everybody_up(1.8)
        line = await told(caplog, "stood still for 1.")
        assert "holds_everybody_up (test_stalls.py:" in line
        assert "the event loop stands still: holds_everybody_up" in caplog.text, "while it lasts"
        assert seen["loop"] == 1
        assert seen["machine"] == 0
        assert 1 <= seen["longest_s"] < 5


async def until_busy(seen: stalls.Stalls, turn: Callable[[], object]) -> None:
    """Turns of that kind until one of them was seen."""
    for _ in range(50):
        turn()
        await asyncio.sleep(0)
        if seen["busy_s"] > 0.15:
            return


def computes() -> None:
    until = time.thread_time() + 0.6  # a look comes 0.25 s into a turn, and sees the rest of it
    while time.thread_time() < until:
        pass


async def test_the_processor_time_of_a_turn_is_told_and_no_other_time() -> None:
    with stalls.watched() as seen:
        for _ in range(4):
            holds_everybody_up(0.6)
            await asyncio.sleep(0)
        assert seen["busy_s"] < 0.1
        await until_busy(seen, computes)
        assert 0.15 < seen["busy_s"] < 1


async def test_how_long_others_waited_is_told_at_each_look() -> None:
    lags = list[float]()
    with stalls.watched(lags.append):
        for _ in range(100):  # it is at rest, which is no delay
            await asyncio.sleep(0.05)
            if 0.0 in lags:
                break
        assert 0.0 in lags
        while max(lags) < 0.2:
            holds_everybody_up(0.6)
            await asyncio.sleep(0)


async def test_small_delays_are_no_stall(caplog: pytest.LogCaptureFixture) -> None:
    with stalls.watched() as seen:
        for _ in range(8):
            holds_everybody_up(0.1)
            await asyncio.sleep(0)
    assert seen == {"loop": 0, "machine": 0, "longest_s": 0.0, "busy_s": seen["busy_s"]}
    assert caplog.messages == []


async def test_a_loop_at_rest_is_not_woken(monkeypatch: pytest.MonkeyPatch) -> None:
    looks, asked, enough = [], [], asyncio.Event()
    loop, waits = asyncio.get_running_loop(), stalls._Watch._waits

    def look(self: stalls._Watch) -> bool:
        looks.append(waits(self))
        if len(looks) == 3:
            loop.call_soon_threadsafe(enough.set)
        return looks[-1]

    monkeypatch.setattr(stalls._Watch, "_waits", look)
    monkeypatch.setattr(stalls._Watch, "_ask", lambda _: asked.append(1))
    with stalls.watched():
        await enough.wait()
    assert (looks[:3], asked) == ([True] * 3, [])


@pytest.mark.parametrize(("busy_s", "which"), [(0.1, "machine"), (2.5, "loop")])
async def test_a_watch_that_is_late_itself_looks_at_who_was_busy(
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    busy_s: float,
    which: str,
) -> None:
    """Nothing ran here for three seconds, or one call of C held the interpreter all the while."""
    timed = stalls._Watch._timed
    late = iter([(3.0, busy_s)])

    def once(self: stalls._Watch, *args: object) -> tuple[float, float]:
        return next(late, None) or timed(self, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(stalls._Watch, "_timed", once)
    with stalls.watched() as seen:
        await told(caplog, "stood still for 3.0 s")
        assert (seen["loop"], seen["machine"]) == ((1, 0) if which == "loop" else (0, 1))
        assert ("this machine" in caplog.text) == (which == "machine")
