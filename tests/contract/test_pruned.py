"""What a store remembers of tasks that it deleted, over every implementation."""

from __future__ import annotations

import pytest

from tests.builders import end_of
from tests.contract.conftest import Store
from tests.contract.test_queue import NOW, run
from ygg.model import Pruned, State
from ygg.stores import past
from ygg.stores.sqlite import pruned


async def test_a_pruned_task_is_remembered_by_its_id_and_by_an_end_of_it(store: Store) -> None:
    done, read = await run(store, retention_s=1.0), await run(store)
    await store.finish([end_of(done), end_of(read)], NOW)
    await store.touch_read(read.id, NOW + 10, 2.0)
    assert await store.pruned(done.id) is None
    assert [await store.prune(at) for at in (NOW + 1000, NOW + 2010)] == [1, 1]
    first = Pruned(done.id, State.COMPLETED, NOW, None, NOW + 1000)
    second = Pruned(read.id, State.COMPLETED, NOW, NOW + 10, NOW + 2010)
    told = [await store.pruned(i) for i in (done.id, read.id, read.id[-6:], "zzzzzz", read.id[-3:])]
    assert told == [first, second, second, None, None]
    for name in ("a-common", "b-common"):
        await store.finish([end_of(await run(store, id=name, retention_s=0.0))], NOW)
    assert await store.prune(NOW) == 2
    assert await store.pruned("common") is None


async def test_no_more_than_the_newest_pruned_tasks_are_remembered(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (past, pruned):
        monkeypatch.setattr(module, "PRUNED_KEPT", 2)
    tasks = [await run(store, retention_s=0.0) for _ in range(5)]
    for n, task in enumerate(tasks):
        await store.finish([end_of(task)], NOW + n)
        await store.prune(NOW + n)
    known = [await store.pruned(task.id) is not None for task in tasks]
    assert known == [False, False, False, True, True]
