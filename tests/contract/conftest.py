"""Every implementation of the queue, opened fresh for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from ygg.stores.memory import MemoryStore
from ygg.stores.sqlite import SqliteStore, open_store

Store = MemoryStore | SqliteStore


@pytest.fixture(params=["memory", "sqlite"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    opened: Store
    opened = MemoryStore() if request.param == "memory" else open_store(tmp_path / "ygg.db")
    yield opened
    await opened.close()


@pytest.fixture
def reopen(tmp_path: Path) -> Callable[[Store], Awaitable[Store]]:
    """The same rows under a new owner, as after a crash of the old one."""

    async def again(old: Store) -> Store:
        if isinstance(old, MemoryStore):
            return old.reopened()
        await old.close()
        return open_store(tmp_path / "ygg.db")

    return again
