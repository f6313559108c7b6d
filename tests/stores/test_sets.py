"""A verb over many rows is cut into operations, so that nobody waits behind all of it, and it can resume."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.builders import claim_of, end_of, new_task
from tests.stores.audit import audit
from ygg.model import State, Submitted, Task
from ygg.model.lifecycle import SET_ROWS
from ygg.ports import Filter
from ygg.stores.sqlite import SqliteStore, open_store

NOW = 1_800_000_000_000
MANY = 2 * SET_ROWS + 1


async def orphans(path: Path, count: int = MANY) -> list[Task]:
    """A database whose owner died while it ran so many tasks."""
    store = open_store(path)
    answers = await store.submit([new_task() for _ in range(count)], NOW)
    tasks = [a.task for a in answers if isinstance(a, Submitted)]
    await store.claim([claim_of(t) for t in tasks], NOW)
    await store.close()
    return tasks


async def test_other_writes_go_on_while_many_are_recovered(tmp_path: Path) -> None:
    path = tmp_path / "ygg.db"
    await orphans(path)
    store = open_store(path)
    (answer,) = await store.submit([new_task()], NOW)
    assert isinstance(answer, Submitted)
    recovering = asyncio.ensure_future(store.recover(NOW, 5))
    (claimed,) = await store.claim([claim_of(answer.task)], NOW)
    assert claimed is not None
    assert not recovering.done()
    assert (await recovering).requeued == MANY
    await store.close()
    audit(path)


async def test_a_recovery_that_was_cut_off_goes_on_with_the_rest(tmp_path: Path) -> None:
    path = tmp_path / "ygg.db"
    await orphans(path)
    store = open_store(path)
    first = await store._post(lambda: store._verbs.recover(NOW, 5))
    assert first.requeued == SET_ROWS
    await store.close()  # and is never seen again
    store = open_store(path)
    assert (await store.recover(NOW, 5)).requeued == MANY - SET_ROWS
    assert {t.crashes for t in await store.find(Filter(limit=MANY))} == {1}
    await store.close()
    audit(path)


async def ended(path: Path, count: int = MANY) -> SqliteStore:
    """An open database of so many completed tasks, the even ones an hour old."""
    store = open_store(path)
    answers = await store.submit([new_task(batch="b") for _ in range(count)], NOW)
    tasks = [a.task for a in answers if isinstance(a, Submitted)]
    claimed = await store.claim([claim_of(t) for t in tasks], NOW)
    ends = [end_of(t) for t in claimed if t is not None]
    await store.finish(ends[::2], NOW)
    await store.finish(ends[1::2], NOW + 3_600_000)
    return store


async def test_other_writes_go_on_while_many_are_cleaned(tmp_path: Path) -> None:
    path = tmp_path / "ygg.db"
    store = await ended(path)
    cleaning = asyncio.ensure_future(store.clean(frozenset({State.COMPLETED}), NOW, 0.0))
    (answer,) = await store.submit([new_task()], NOW)
    assert isinstance(answer, Submitted)
    assert not cleaning.done()
    assert await cleaning == {State.COMPLETED: SET_ROWS + 1}
    left = await store.find(Filter(limit=MANY))
    assert {t.finished_ms for t in left} == {None, NOW + 3_600_000}
    assert len(left) == SET_ROWS + 1
    await store.close()
    audit(path)


async def test_a_cleaning_that_was_cut_off_has_done_a_part_and_can_be_asked_for_again(
    tmp_path: Path,
) -> None:
    path = tmp_path / "ygg.db"
    store = await ended(path)
    late = NOW + 3_600_000
    gone, on = await store._post(lambda: store._verbs.clean(State.COMPLETED, late, 0.0, 0))
    assert gone == SET_ROWS
    assert on is not None
    await store.close()  # and is never seen again
    store = open_store(path)
    states = frozenset({State.COMPLETED, State.FAILED})
    assert await store.clean(states, late, 0.0) == {State.COMPLETED: SET_ROWS + 1, State.FAILED: 0}
    assert (await store.counts()).total == 0
    await store.close()
    audit(path)
