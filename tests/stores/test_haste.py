"""Claims go first and without a sync; nothing else does, and nobody can tell but by the clock."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable
from pathlib import Path
from typing import Any, Self

import pytest

from tests.builders import claim_of, end_of, new_task
from tests.stores.audit import audit
from ygg.errors import Conflict
from ygg.model import Lane, Priority, ReasonCode, State, Submitted, Task
from ygg.stores.sqlite import SqliteStore, open_store

NOW = 1_800_000_000_000


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    opened = open_store(tmp_path / "ygg.db")
    yield opened
    await opened.close()
    audit(tmp_path / "ygg.db")


async def put(store: SqliteStore) -> Task:
    (answer,) = await store.submit([new_task()], NOW)
    assert isinstance(answer, Submitted)
    return answer.task


async def run(store: SqliteStore) -> Task:
    (claimed,) = await store.claim([claim_of(await put(store))], NOW)
    assert claimed is not None
    return claimed


class Gathered:
    """Verbs that are posted while the writer is kept busy, so that it finds them all at once."""

    def __init__(self, store: SqliteStore) -> None:
        self.store, self.order = store, list[str]()
        self.gate = threading.Event()
        self.verbs: dict[str, asyncio.Future[Any]] = {}

    def __enter__(self) -> Self:
        self.busy = self.store._writer.post(self.gate.wait)
        return self

    def post(self, name: str, verb: Awaitable[Any]) -> None:
        future = self.verbs[name] = asyncio.ensure_future(verb)
        future.add_done_callback(lambda _: self.order.append(name))

    def __exit__(self, *_: object) -> None:
        pass

    async def answers(self) -> dict[str, Any]:
        await asyncio.sleep(0)  # coroutines among them post in their first step
        self.gate.set()
        await self.busy
        found = await asyncio.gather(*self.verbs.values(), return_exceptions=True)
        return dict(zip(self.verbs, found, strict=True))


async def test_waiting_claims_are_answered_before_what_was_posted_ahead_of_them(
    store: SqliteStore,
) -> None:
    ended, queued = await run(store), await put(store)
    with Gathered(store) as wait:
        wait.post("end", store.finish([end_of(ended)], NOW))
        wait.post("submit", store.submit([new_task()], NOW))
        wait.post("claim", store.claim([claim_of(queued)], NOW))
        told = await wait.answers()
    assert wait.order[0] == "claim"
    assert told["claim"][0].state is State.PROCESSING
    assert told["end"][0].state is State.COMPLETED


async def test_a_claim_is_answered_while_what_waited_beside_it_is_still_written(
    store: SqliteStore,
) -> None:
    queued, slow = await put(store), threading.Event()
    with Gathered(store) as wait:
        wait.post("other", store._writer.post(lambda: slow.wait(8)))
        wait.post("claim", store.claim([claim_of(queued)], NOW))
        wait.gate.set()
        (claimed,) = await asyncio.wait_for(wait.verbs["claim"], 5)
    assert claimed.state is State.PROCESSING
    assert not wait.verbs["other"].done()
    slow.set()
    await wait.answers()


async def test_only_claims_are_hasty(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    task, running = await put(store), await run(store)
    hasty: list[bool] = []
    post = store._post

    def spy(operation: Any, *, hasty_: list[bool] = hasty, **options: bool) -> Any:
        hasty_.append(options.get("hasty", False))
        return post(operation, **options)

    monkeypatch.setattr(store, "_post", spy)
    others = [
        store.submit([new_task()], NOW), store.finish([end_of(running)], NOW), store.recover(NOW, 5),
        store.prioritize(task.id, Priority.LOW, NOW), store.cancel(task.id, NOW), store.promote(NOW),
        store.retry([task.id], NOW), store.touch_read(running.id, NOW, 1.0), store.prune(NOW),
        store.record_minutes([]), store.hold("surtr", True), store.holds(), store.running(),
        store.lanes(), store.heads(Lane("general"), Priority.NORMAL, 1),
    ]  # fmt: skip
    for verb in others:
        await verb
    assert hasty == [False] * len(others)
    await store.claim([claim_of(task)], NOW)
    assert hasty[-1] is True


async def test_a_claim_of_a_row_that_an_answered_write_has_changed_is_refused(
    store: SqliteStore,
) -> None:
    seen = await put(store)
    await store.prioritize(seen.id, Priority.LOW, NOW)
    assert await store.claim([claim_of(seen)], NOW) == [None]
    running = await run(store)
    back = end_of(running, State.QUEUED, reason=ReasonCode.WITHDRAWN)
    with Gathered(store) as wait:
        wait.post("end", store.finish([back], NOW))
        wait.post("claim", store.claim([claim_of(running)], NOW))
        told = await wait.answers()
    assert told["claim"] == [None]
    assert told["end"][0].state is State.QUEUED


async def test_a_cancel_and_a_claim_of_one_task_end_in_one_of_the_two_orders(
    store: SqliteStore,
) -> None:
    task, other = await put(store), await put(store)
    with Gathered(store) as wait:
        wait.post("cancel", store.cancel(task.id, NOW))
        wait.post("gently", store.cancel(other.id, NOW, running=False))
        wait.post("claim", store.claim([claim_of(task), claim_of(other)], NOW))
        told = await wait.answers()
    assert [t.state for t in told["claim"]] == [State.PROCESSING] * 2
    assert (told["cancel"].state, told["cancel"].cancel_requested) == (State.PROCESSING, True)
    assert isinstance(told["gently"], Conflict)
    assert (await store.get(task.id)).cancel_requested


async def test_a_priority_and_a_claim_of_one_task_end_in_one_of_the_two_orders(
    store: SqliteStore,
) -> None:
    task = await put(store)
    with Gathered(store) as wait:
        wait.post("prioritize", store.prioritize(task.id, Priority.HIGH, NOW))
        wait.post("claim", store.claim([claim_of(task)], NOW))
        told = await wait.answers()
    assert told["claim"][0].priority is Priority.NORMAL
    assert told["prioritize"].state is State.PROCESSING
    assert (await store.get(task.id)).priority is Priority.HIGH


async def test_claims_among_themselves_keep_their_order(store: SqliteStore) -> None:
    task = await put(store)
    with Gathered(store) as wait:
        wait.post("first", store.claim([claim_of(task)], NOW))
        wait.post("second", store.claim([claim_of(task)], NOW))
        told = await wait.answers()
    assert told["first"][0].attempt == 1
    assert told["second"] == [None]
