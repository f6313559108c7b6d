"""Answers that identical tasks share: stored whole with the task that gets one, never older than said, never another's."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from tests.builders import MESSAGE, claim_of, end_of, new_task
from tests.contract.conftest import Store
from ygg.errors import Conflict, QueueFull
from ygg.model import Batch, Capacity, Lane, NewTask, ReasonCode, Sharing, State, Submitted, Task
from ygg.model.batches import OnFailure

NOW = 1_800_000_000_000
TTL_S = 300.0
Reopen = Callable[[Store], Awaitable[Store]]


def task(key: str = "k", *, fresh_s: float | None = TTL_S, join: bool = False, **more: object) -> NewTask:  # fmt: skip
    return new_task(sharing=Sharing(key, fresh_s, join), **more)


async def put(store: Store, new: NewTask, now: int = NOW, **more: object) -> Submitted:
    (answer,) = await store.submit([new], now, **more)  # type: ignore[arg-type]
    assert isinstance(answer, Submitted), answer
    return answer


async def done(store: Store, new: NewTask, now: int = NOW, state: State = State.COMPLETED) -> Task:
    """It has run, and ended at this time."""
    (claimed,) = await store.claim([claim_of((await put(store, new, now)).task)], now)
    assert claimed is not None
    result = MESSAGE if state is State.COMPLETED else None
    (ended,) = await store.finish([end_of(claimed, state, result=result)], now)
    assert ended is not None
    return ended


async def test_an_identical_task_ends_as_it_begins_with_the_whole_answer(store: Store) -> None:
    first = await done(store, task())
    hit = (await put(store, task(title="again"), NOW + 5)).task
    assert hit.id != first.id
    assert (hit.state, hit.reason, hit.cached_from) == (State.COMPLETED, ReasonCode.CACHED, first.id)  # fmt: skip
    assert (hit.attempt, hit.host, hit.model) == (0, None, "m")
    assert (hit.queued_ms, hit.started_ms, hit.finished_ms) == (None, None, NOW + 5)
    assert await store.result(hit.id) == MESSAGE
    assert await store.get(hit.id) == hit
    (row,) = await store.log(hit.id)
    assert (row.before, row.after, row.reason, row.detail) == (
        None, State.COMPLETED, "cached", f"the answer of {first.id}",
    )  # fmt: skip
    counts = await store.counts()
    assert (counts.total, counts.state(State.COMPLETED), counts.state(State.QUEUED)) == (2, 2, 0)
    assert not first.cached
    assert hit.cached


@pytest.mark.parametrize("after", [0, 299_999])
async def test_an_answer_is_lent_as_long_as_it_is_fresh(store: Store, after: int) -> None:
    await done(store, task())
    assert (await put(store, task(), NOW + after)).task.cached
    assert await store.lent("k", NOW + after - 300_000, NOW + after) == 1


@pytest.mark.parametrize("after", [300_000, 10**9, -1])
async def test_and_not_when_it_is_older_or_of_the_future(store: Store, after: int) -> None:
    await done(store, task())
    assert not (await put(store, task(), NOW + after)).task.cached
    assert await store.lent("k", NOW + after - 300_000, NOW + after) == 0


async def test_age_counts_from_the_run_however_often_it_was_lent(store: Store) -> None:
    first = await done(store, task())
    for after in (200_000, 299_000):
        assert (await put(store, task(), NOW + after)).task.cached_from == first.id
    assert not (await put(store, task(), NOW + 300_000)).task.cached


async def test_the_newest_answer_is_lent(store: Store) -> None:
    await done(store, task(), NOW)
    newer = await done(store, task(fresh_s=0.001), NOW + 50)
    await done(store, task("other"), NOW + 60)
    assert (await put(store, task(), NOW + 70)).task.cached_from == newer.id


@pytest.mark.parametrize("state", [State.FAILED, State.CANCELLED])
async def test_what_has_not_completed_is_not_lent(store: Store, state: State) -> None:
    await done(store, task(), state=state)
    assert (await put(store, task())).task.state is State.QUEUED
    assert await store.lent("k", 0, NOW) == 0


async def test_other_keys_and_tasks_that_share_nothing_run(store: Store) -> None:
    await done(store, task())
    for new in (task("other"), new_task(), task(fresh_s=None), task("more", join=True)):
        answer = await put(store, new)
        assert (answer.task.state, answer.existing) == (State.QUEUED, False)


async def test_the_answer_of_a_task_that_takes_none_is_lent_to_nobody(store: Store) -> None:
    await done(store, task(fresh_s=None, join=True))
    await done(store, new_task())
    assert not (await put(store, task())).task.cached
    assert await store.lent("k", 0, NOW) == 0


async def test_who_waits_for_a_time_or_a_turn_runs(store: Store) -> None:
    await done(store, task())
    assert not (await put(store, task(not_before_ms=NOW + 5))).task.cached
    batch = Batch("b", "local", 2, NOW, OnFailure.STOP)
    tasks = [task(batch="b"), task(batch="b", turn=True)]
    answers = await store.submit(tasks, NOW, batch=batch)
    assert [a.task.state for a in answers if isinstance(a, Submitted)] == ["completed", "scheduled"]
    assert (await store.batch("b")).counts == {State.COMPLETED: 1, State.SCHEDULED: 1}
    assert len((await store.promote(NOW)).queued) == 1, "the one before has ended"


async def test_an_answer_that_was_read_is_lent_to_the_end_of_its_time(store: Store) -> None:
    """However soon what was read goes otherwise."""
    known = await done(store, task())
    await store.touch_read(known.id, NOW, 10.0)
    late = NOW + 290_000
    assert await store.prune(late) == 0
    assert (await put(store, task(), late)).task.cached_from == known.id
    assert await store.prune(NOW + 301_000) == 1, "not longer than that"
    assert (await put(store, task(), NOW + 301_000)).task.cached is False


@pytest.mark.parametrize(("read_after_s", "gone_after_s"), [(0, 300), (295, 305)])
async def test_what_was_read_late_stays_as_long_as_what_is_read(
    store: Store, read_after_s: int, gone_after_s: int
) -> None:
    known = await done(store, task())
    await store.touch_read(known.id, NOW + read_after_s * 1000, 10.0)
    assert await store.prune(NOW + gone_after_s * 1000 - 1000) == 0
    assert await store.prune(NOW + gone_after_s * 1000 + 1000) == 1


async def test_a_retention_of_its_own_ends_what_is_lent(store: Store) -> None:
    known = await done(store, task(retention_s=5.0))
    await store.touch_read(known.id, NOW, 10.0)
    assert await store.prune(NOW + 6_000) == 1
    assert not (await put(store, task(), NOW + 6_000)).task.cached


async def test_an_answer_from_the_cache_takes_no_room(store: Store) -> None:
    await done(store, task())
    await put(store, new_task(), capacity=Capacity(1, single=True))
    assert (await put(store, task(), capacity=Capacity(1, single=True))).task.cached
    (full,) = await store.submit([task("other")], NOW, capacity=Capacity(1, single=True))
    assert isinstance(full, QueueFull)


async def test_it_is_kept_as_long_as_others_and_may_ask_for_less(store: Store) -> None:
    await done(store, task(retention_s=9999.0))
    store.keep_for(50.0)
    await put(store, task(id="as-all"))
    await put(store, task(id="short", retention_s=20.0))
    assert await store.prune(NOW + 19_999) == 0
    assert await store.prune(NOW + 20_000) == 1
    assert await store.pruned("short") is not None
    assert await store.prune(NOW + 50_000) == 1
    assert await store.pruned("as-all") is not None
    assert await store.result("as-all") is None


async def test_a_deleted_answer_is_lent_no_more_and_those_it_was_lent_to_keep_it(
    store: Store,
) -> None:
    await done(store, task(retention_s=1.0))
    hit = (await put(store, task())).task
    assert await store.prune(NOW + 1000) == 1
    assert await store.lent("k", NOW - 1, NOW + 1000) == 0
    assert not (await put(store, task(), NOW + 1000)).task.cached
    assert await store.result(hit.id) == MESSAGE


async def test_a_retry_of_a_failed_task_runs_it_and_lends_its_answer(store: Store) -> None:
    failed = await done(store, task(), state=State.FAILED)
    (again,) = await store.retry([failed.id], NOW)
    assert isinstance(again, Task)
    (claimed,) = await store.claim([claim_of(again)], NOW)
    assert claimed is not None
    await store.finish([end_of(claimed)], NOW)
    assert (await put(store, task())).task.cached_from == failed.id


async def test_the_same_idempotency_key_is_the_same_answered_task(store: Store) -> None:
    await done(store, task())
    first = await put(store, task(idempotency_key="i"))
    again = await put(store, task(idempotency_key="i"), NOW + 9)
    assert (again.existing, again.joined, again.task) == (True, False, first.task)
    assert first.task.cached


async def test_a_submit_that_is_refused_leaves_no_answered_task(store: Store) -> None:
    await done(store, task(idempotency_key="i", body_hash="one"))
    wrong = [task(id="lent"), new_task(idempotency_key="i", body_hash="two")]
    answers = await store.submit(wrong, NOW)
    assert isinstance(answers[1], Conflict)
    assert (await store.counts()).total == 1
    assert await store.result("lent") is None
    assert (await put(store, task(id="lent"))).task.cached, "the id is free"


async def test_a_restart_forgets_nothing(store: Store, reopen: Reopen) -> None:
    first = await done(store, task())
    hit = (await put(store, task())).task
    again = await reopen(store)
    await again.recover(NOW, 5)
    assert await again.get(hit.id) == hit
    assert await again.result(hit.id) == MESSAGE
    assert (await put(again, task(), NOW + 9)).task.cached_from == first.id
    assert await again.lent("k", NOW - 1, NOW + 9) == 1
    await again.close()


async def test_different_answers_are_counted_of_keys_that_begin_so(store: Store) -> None:
    for key in ("a:1", "a:1", "a:2", "b:1"):
        await done(store, task(key, fresh_s=0.0001), NOW)
    await put(store, task("a:1"))
    assert [await store.lent(p, NOW - 1, NOW) for p in ("a:", "b:", "c:")] == [2, 1, 0]


# --- one run for several --------------------------------------------------------------------------


async def test_a_task_that_joins_is_the_one_that_waits_or_runs(store: Store) -> None:
    first = (await put(store, task())).task
    for _ in range(2):
        answer = await put(store, task(join=True))
        assert (answer.existing, answer.joined, answer.task.id) == (True, True, first.id)
        (claimed,) = await store.claim([claim_of(first)], NOW)
        assert claimed is None or claimed.state is State.PROCESSING
    assert (await store.counts()).total == 1


async def test_two_of_one_submit_join_too(store: Store) -> None:
    answers = await store.submit([task(fresh_s=None, join=True) for _ in range(3)], NOW)
    found = [a for a in answers if isinstance(a, Submitted)]
    assert len({a.task.id for a in found}) == 1
    assert [a.joined for a in found] == [False, True, True]


async def test_one_that_runs_is_joined_before_one_that_waits(store: Store) -> None:
    await put(store, task())
    second = (await put(store, task())).task
    await store.claim([claim_of(second)], NOW)
    assert (await put(store, task(join=True))).task.id == second.id


async def test_who_does_not_ask_joins_nobody_and_an_answer_goes_before_a_run(store: Store) -> None:
    first = (await put(store, task())).task
    assert not (await put(store, task())).existing
    (claimed,) = await store.claim([claim_of(first)], NOW)
    assert claimed is not None
    await store.finish([end_of(claimed)], NOW)
    answer = await put(store, task(join=True))
    assert (answer.task.cached_from, answer.joined) == (first.id, False)


async def test_nobody_joins_what_has_ended_is_being_cancelled_or_starts_later(store: Store) -> None:
    await done(store, task(), state=State.FAILED)
    await put(store, task(not_before_ms=NOW + 50))
    (claimed,) = await store.claim([claim_of((await put(store, task())).task)], NOW)
    assert claimed is not None
    await store.cancel(claimed.id, NOW)
    assert not (await put(store, task(join=True, not_before_ms=NOW + 9))).joined
    answer = await put(store, task(join=True))
    assert (answer.existing, answer.joined) == (False, False)


async def test_one_that_is_to_be_tried_again_is_joined(store: Store) -> None:
    (claimed,) = await store.claim([claim_of((await put(store, task())).task)], NOW)
    assert claimed is not None
    later = end_of(claimed, State.SCHEDULED, reason=ReasonCode.BACKING_OFF, due_ms=NOW + 50)
    await store.finish([later], NOW)
    assert (await put(store, task(join=True))).task.id == claimed.id


async def test_nobody_joins_a_task_of_another_caller(store: Store) -> None:
    await put(store, task(lane=Lane("general", caller="anna")))
    assert not (await put(store, task(join=True))).joined
    assert (await put(store, task(join=True, lane=Lane("general", caller="anna")))).joined


async def test_a_task_that_joins_takes_no_room(store: Store) -> None:
    await put(store, task(), capacity=Capacity(1, single=True))
    assert (await put(store, task(join=True), capacity=Capacity(1, single=True))).joined
