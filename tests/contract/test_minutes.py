"""The contract of the minutes kept of each host, over every implementation."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from tests.builders import end_of, new_task
from tests.contract.conftest import Store
from tests.contract.test_queue import run
from ygg.errors import StoreError
from ygg.model import MinuteRow
from ygg.model.history import KEPT_MS, MINUTE_MS

NOW = 1_800_000_000_000
BARE = MinuteRow("surtr", NOW, 12, 2, 1, 0.5, 0)
FULL = MinuteRow(
    "surtr", NOW, 12, 2, 1, 1.25, 7, 3, 61_000, 90_500, 6_144.5, 8_192.0, 0.81, 71.0, 43.25
)


def row(minutes: int = 0, host: str = "surtr") -> MinuteRow:
    return replace(FULL, host=host, minute_ms=NOW + minutes * MINUTE_MS)


async def test_a_minute_comes_back_as_it_was_recorded(store: Store) -> None:
    other = replace(BARE, host="a host with spaces")
    await store.record_minutes([FULL, other])
    assert await store.minutes(None, 0) == [other, FULL]


async def test_minutes_come_by_time_then_host_from_a_moment_on(store: Store) -> None:
    await store.record_minutes([row(2), row(0, "b"), row(1)])
    await store.record_minutes([row(0, "a")])
    told = await store.minutes(None, NOW)
    assert [(r.minute_ms - NOW, r.host) for r in told] == [
        (0, "a"), (0, "b"), (MINUTE_MS, "surtr"), (2 * MINUTE_MS, "surtr"),
    ]  # fmt: skip
    assert [r.minute_ms for r in await store.minutes(None, NOW + 1)] == [
        NOW + MINUTE_MS,
        NOW + 2 * MINUTE_MS,
    ]


async def test_minutes_of_one_host(store: Store) -> None:
    await store.record_minutes([row(0), row(0, "b"), row(1, "b")])
    assert await store.minutes("b", NOW + 1) == [row(1, "b")]
    assert await store.minutes("nobody", 0) == []


async def test_the_last_one_to_record_a_minute_wins(store: Store) -> None:
    await store.record_minutes([FULL])
    await store.record_minutes([BARE])
    assert await store.minutes(None, 0) == [BARE]


async def test_recording_nothing_is_nothing(store: Store) -> None:
    await store.record_minutes([])
    assert await store.minutes(None, 0) == []


async def test_minutes_outlive_their_writer(
    store: Store, reopen: Callable[[Store], Awaitable[Store]]
) -> None:
    await store.record_minutes([FULL])
    assert await (await reopen(store)).minutes(None, 0) == [FULL]


async def test_minutes_go_after_two_weeks_in_small_steps(store: Store) -> None:
    await store.record_minutes([row(n) for n in range(6)])
    assert await store.prune(NOW + KEPT_MS) == 0
    late = NOW + KEPT_MS + 4 * MINUTE_MS + 1
    assert [await store.prune(late, limit=2) for _ in range(4)] == [2, 2, 1, 0]
    assert await store.minutes(None, 0) == [row(5)]


async def test_old_minutes_take_no_task_with_them(store: Store) -> None:
    ended = await run(store, retention_s=1.0)
    await store.finish([end_of(ended)], NOW)
    await store.record_minutes([row(-30 * 1440)])
    assert await store.prune(NOW) == 1
    assert (await store.counts()).total == 1
    assert await store.prune(NOW + 1000) == 1
    assert (await store.counts()).total == 0


async def test_a_closed_store_records_nothing(store: Store) -> None:
    await store.submit([new_task()], NOW)
    await store.close()
    with pytest.raises(StoreError):
        await store.record_minutes([FULL])
