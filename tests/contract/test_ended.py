"""What a person removes of tasks that have ended, over every implementation."""

from __future__ import annotations

import pytest

from tests.builders import end_of
from tests.contract.conftest import Store
from tests.contract.test_queue import NOW, put, run
from ygg.errors import Conflict, NotFound
from ygg.model import FINAL, Pruned, State, Task
from ygg.ports import Filter

DONE = frozenset({State.COMPLETED})


async def over(
    store: Store, state: State = State.COMPLETED, at: int = NOW, **fields: object
) -> Task:
    """A task that has ended so."""
    task = await run(store, **fields)
    (ended,) = await store.finish([end_of(task, state)], at)
    assert ended is not None
    return ended


async def left(store: Store) -> list[str]:
    return [t.id for t in await store.find(Filter())]


async def test_cleaning_removes_what_ended_long_enough_ago_with_all_that_hangs_on_it(
    store: Store,
) -> None:
    old = await over(store, retention_s=1e9, idempotency_key="k")
    young = await over(store, at=NOW + 1)
    assert await store.clean(DONE, NOW + 299_999, 300.0) == {State.COMPLETED: 0}
    assert await store.clean(DONE, NOW + 300_000, 300.0) == {State.COMPLETED: 1}
    assert await left(store) == [young.id]
    with pytest.raises(NotFound):
        await store.get(old.id)
    assert await store.result(old.id) is None
    assert await store.log(old.id) == []
    assert await store.pruned(old.id) == Pruned(old.id, State.COMPLETED, NOW, None, NOW + 300_000)
    assert (await store.counts()).total == 1
    again = await put(store, idempotency_key="k")
    assert again.seq > young.seq
    assert await store.clean(DONE, NOW + 1, 0.0) == {State.COMPLETED: 1}


async def test_cleaning_removes_of_the_states_that_are_named_and_tells_them_apart(
    store: Store,
) -> None:
    for state in sorted(FINAL):
        await over(store, state)
    second = await over(store, State.CANCELLED)
    asked = frozenset({State.CANCELLED, State.COMPLETED})
    assert await store.clean(asked, NOW, 0.0) == {State.CANCELLED: 2, State.COMPLETED: 1}
    assert await store.pruned(second.id) is not None
    assert {t.state for t in await store.find(Filter())} == {State.FAILED, State.EXPIRED}
    assert await store.clean(frozenset({State.FAILED}), NOW, 0.0) == {State.FAILED: 1}


async def test_nothing_that_has_not_ended_is_cleaned(store: Store) -> None:
    await put(store)
    await put(store, not_before_ms=NOW + 1000)
    await run(store)
    blocked = await run(store)
    await store.finish([end_of(blocked, State.BLOCKED)], NOW)
    again = await over(store, State.FAILED)
    await store.retry([again.id], NOW)
    assert await store.clean(frozenset(State), NOW + 10**9, 0.0) == dict.fromkeys(State, 0)
    assert len(await left(store)) == 5


async def test_cleaning_goes_on_behind_what_is_too_young(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ygg.model.lifecycle.SET_ROWS", 2)
    for n in range(7):
        await over(store, at=NOW + (n % 3 == 0))  # three of them are
    assert await store.clean(DONE, NOW, 0.0) == {State.COMPLETED: 4}
    assert len(await left(store)) == 3
    assert await store.clean(DONE, NOW, 0.0) == {State.COMPLETED: 0}


async def test_a_dead_letter_is_discarded_by_its_id(store: Store) -> None:
    dead, other = await over(store, State.FAILED), await over(store, State.FAILED)
    await store.discard(dead.id, NOW + 5)
    assert await left(store) == [other.id]
    assert await store.log(dead.id) == []
    assert await store.pruned(dead.id) == Pruned(dead.id, State.FAILED, NOW, None, NOW + 5)
    assert (await store.counts()).state(State.FAILED) == 1
    with pytest.raises(NotFound):
        await store.discard(dead.id, NOW + 5)


async def test_what_is_no_dead_letter_is_not_discarded_and_says_what_can_be_done(
    store: Store,
) -> None:
    waits, runs, blocked = await put(store), await run(store), await run(store)
    await store.finish([end_of(blocked, State.BLOCKED)], NOW)
    ended = [await over(store, s) for s in sorted(FINAL - {State.FAILED})]
    wanted = {waits.id: "ygg cancel", runs.id: "ygg cancel", blocked.id: f"ygg retry {blocked.id} "}
    for task_id, hint in (wanted | {t.id: "/v1/async/cleanup" for t in ended}).items():
        with pytest.raises(Conflict, match="no dead letter") as caught:
            await store.discard(task_id, NOW)
        assert hint in (caught.value.hint or "")
    assert len(await left(store)) == 6
