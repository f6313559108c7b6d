"""The dispatcher keeps the minutes of its hosts, in virtual time."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.shell.virtual import START_MS, House, house, run_virtual
from ygg.errors import StoreFull
from ygg.model import MinuteRow
from ygg.running import chores

MINUTE_S = 60.0


@asynccontextmanager
async def recording() -> AsyncIterator[House]:
    """Hosts `a` with two slots and `b` with one, looked at by the service of the daemon."""
    async with house({"a": 2, "b": 1}, {"general": ("a",), "other": ("b",)}) as home:
        service = asyncio.create_task(chores.record_minutes(home.dispatcher.loop))
        yield home
        service.cancel()
        await asyncio.gather(service, return_exceptions=True)


def play(scene: Callable[[House], Coroutine[Any, Any, None]]) -> None:
    async def main() -> None:
        async with recording() as home:
            await scene(home)

    run_virtual(main())


def test_what_a_host_did_is_kept_by_the_minute() -> None:
    async def scene(home: House) -> None:
        home.places["a"].latency_s = 90
        for _ in range(6):
            await home.submit()
        await asyncio.sleep(5 * MINUTE_S + 6)
        rows = await home.store.minutes("a", 0)
        assert [r.minute_ms for r in rows] == [START_MS + n * 60_000 for n in range(5)]
        assert all(11 <= r.samples <= 12 for r in rows)
        assert [r.waiting for r in rows] == [4, 4, 2, 2, 0]
        assert [r.started for r in rows] == [2, 2, 0, 2, 0]
        assert rows[1].wait_max_ms == pytest.approx(90_000, abs=100)
        assert rows[3].wait_ms == pytest.approx(180_000, abs=100)
        assert (rows[0].running, rows[0].slots, rows[0].limit, rows[0].used_mb) == (2, 2, 2, None)

    play(scene)


def test_an_idle_house_writes_nothing_more() -> None:
    async def scene(home: House) -> None:
        written: list[Sequence[MinuteRow]] = []
        record = home.store.record_minutes

        async def noted(rows: Sequence[MinuteRow]) -> None:
            written.append(rows)
            await record(rows)

        home.store.record_minutes = noted  # type: ignore[method-assign]
        await asyncio.sleep(120 * MINUTE_S)
        assert [len(rows) for rows in written] == [2]

    play(scene)


def test_a_store_that_takes_none_is_told_and_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    async def scene(home: House) -> None:
        record = home.store.record_minutes

        async def full(rows: Sequence[MinuteRow]) -> None:
            raise StoreFull("the disk is full")

        home.store.record_minutes = full  # type: ignore[method-assign]
        home.places["b"].latency_s = 300
        await home.submit("other")
        await asyncio.sleep(MINUTE_S + 6)
        assert "the last minute is not kept: the disk is full" in caplog.text
        home.store.record_minutes = record  # type: ignore[method-assign]
        await asyncio.sleep(MINUTE_S)
        assert [r.minute_ms for r in await home.store.minutes("b", 0)] == [START_MS + 60_000]

    caplog.set_level(logging.WARNING)
    play(scene)
