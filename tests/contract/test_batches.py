"""Batches: stored whole or not at all, counted for ever, and where they are sequences run one task after another."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from tests.builders import claim_of, end_of, new_task
from tests.contract.conftest import Store
from ygg.errors import Conflict, InvalidInput, NotFound, QueueFull, YggError
from ygg.model import Batch, BatchView, Capacity, Head, ReasonCode, State, Submitted, Task
from ygg.model.batches import OnFailure
from ygg.model.lifecycle import SET_ROWS

NOW = 1_800_000_000_000
Reopen = Callable[[Store], Awaitable[Store]]


async def submit(
    store: Store, count: int = 3, how: OnFailure | None = None, id_: str = "batch-0001", **more: object
) -> list[Task]:  # fmt: skip
    """The tasks of a new batch; of a sequence all but the first wait for their turn."""
    tasks = [new_task(batch=id_, turn=bool(how and n), **more) for n in range(count)]  # type: ignore[arg-type]
    batch = Batch(id_, "local", count, NOW, how)
    answers = await store.submit(tasks, NOW, batch=batch)
    assert all(isinstance(a, Submitted) for a in answers), answers
    return [a.task for a in answers if isinstance(a, Submitted)]


async def ended(store: Store, task: Task | Head, state: State = State.COMPLETED, now: int = NOW) -> Task:  # fmt: skip
    (claimed,) = await store.claim([claim_of(task)], now)
    assert claimed is not None
    (done,) = await store.finish([end_of(claimed, state)], now)
    assert done is not None
    return done


async def states(store: Store, id_: str = "batch-0001") -> list[str]:
    return [str(state) for _, state in await store.batch_states(id_)]


# --- what is known of one -------------------------------------------------------------------------


async def test_a_batch_is_stored_with_its_tasks_and_counted_by_state(store: Store) -> None:
    tasks = await submit(store)
    await ended(store, tasks[0])
    await ended(store, tasks[1], State.FAILED)
    found = await store.batch("batch-0001")
    assert found == BatchView(
        Batch("batch-0001", "local", 3, NOW),
        {State.COMPLETED: 1, State.FAILED: 1, State.QUEUED: 1},
    )
    assert (found.ended, found.over) == (2, False)
    assert await store.batch_states("batch-0001") == [
        (tasks[0].id, State.COMPLETED), (tasks[1].id, State.FAILED), (tasks[2].id, State.QUEUED),
    ]  # fmt: skip
    await ended(store, tasks[2])
    assert (await store.batch("batch-0001")).over


async def test_one_bad_task_leaves_neither_tasks_nor_batch(store: Store) -> None:
    await store.submit([new_task(idempotency_key="k", body_hash="one")], NOW)
    bad = [new_task(batch="b"), new_task(batch="b", idempotency_key="k", body_hash="two")]
    answers = await store.submit(bad, NOW, batch=Batch("b", "local", 2, NOW))
    assert all(isinstance(a, YggError) for a in answers)
    with pytest.raises(NotFound, match="no batch b"):
        await store.batch("b")
    assert (await store.counts()).total == 1
    with pytest.raises(Conflict):
        raise answers[1]  # type: ignore[misc]


async def test_batches_are_told_newest_first_and_of_one_caller(store: Store) -> None:
    for n, caller in enumerate("aba"):
        batch = Batch(f"batch-{n}", caller, 1, NOW + n)
        await store.submit([new_task(batch=batch.id)], NOW, batch=batch)
    assert [v.batch.id for v in await store.batches(None, 9)] == ["batch-2", "batch-1", "batch-0"]
    assert [v.batch.id for v in await store.batches("a", 9)] == ["batch-2", "batch-0"]
    assert [v.batch.id for v in await store.batches(None, 1)] == ["batch-2"]


async def test_the_end_of_an_id_is_enough_where_it_fits_one(store: Store) -> None:
    await submit(store, 1, id_="batch-aaaa1111")
    await submit(store, 1, id_="batch-bbbb1111")
    assert (await store.batch("aaaa1111")).batch.id == "batch-aaaa1111"
    with pytest.raises(InvalidInput, match="fits several"):
        await store.batch("1111")
    for unknown in ("111", "no such batch", ""):
        with pytest.raises(NotFound):
            await store.batch(unknown)


async def test_a_key_finds_the_batch_of_its_caller(store: Store) -> None:
    batch = Batch("b1", "anna", 1, NOW, None, "k", "hash")
    await store.submit([new_task(batch="b1")], NOW, batch=batch)
    assert await store.batch_of_key("anna", "k") == batch
    assert await store.batch_of_key("bob", "k") is None
    assert await store.batch_of_key("anna", "other") is None


async def test_tasks_that_were_deleted_still_count_and_the_last_takes_the_batch_along(
    store: Store,
) -> None:
    tasks = await submit(store, 3, retention_s=1.0)
    await ended(store, tasks[0])
    await ended(store, tasks[1], State.FAILED, NOW + 5000)
    assert await store.prune(NOW + 1000) == 1
    found = await store.batch("batch-0001")
    assert found.counts == {State.COMPLETED: 1, State.FAILED: 1, State.QUEUED: 1}
    assert (found.ended, len(await states(store))) == (2, 2)
    await store.discard(tasks[1].id, NOW)
    assert (await store.batch("batch-0001")).ended == 2
    await store.cancel(tasks[2].id, NOW)
    assert (await store.batch("batch-0001")).over
    await store.clean(frozenset({State.CANCELLED}), NOW, 0)
    with pytest.raises(NotFound):
        await store.batch("batch-0001")


async def test_tasks_of_a_batch_take_no_room_from_others(store: Store) -> None:
    await submit(store, 10)
    await store.submit([new_task() for _ in range(10)], NOW)
    single = Capacity(1, single=True)
    answers = await store.submit([new_task(), new_task()], NOW, capacity=single, atomic=False)
    assert isinstance(answers[0], Submitted)
    assert isinstance(answers[1], QueueFull)
    assert str(answers[1]).startswith("1 tasks of single submits wait")


async def test_that_holds_after_a_restart(store: Store, reopen: Reopen) -> None:
    await submit(store, 10)
    single = Capacity(3, single=True)
    _, ended = [(await store.submit([new_task()], NOW, capacity=single))[0] for _ in range(2)]
    assert isinstance(ended, Submitted)
    await store.cancel(ended.task.id, NOW)
    again = await reopen(store)
    answers = await again.submit([new_task() for _ in range(3)], NOW, capacity=single, atomic=False)
    assert [type(a) for a in answers] == [Submitted, Submitted, QueueFull]
    assert (await again.batch("batch-0001")).batch.total == 10
    await again.close()


# --- sequences ------------------------------------------------------------------------------------


async def test_the_next_task_is_queued_once_the_one_before_has_ended(store: Store) -> None:
    tasks = await submit(store, 3, OnFailure.CONTINUE)
    assert await states(store) == ["queued", "scheduled", "scheduled"]
    assert [t.reason for t in tasks] == [ReasonCode.SUBMITTED, *[ReasonCode.BATCH_TURN] * 2]
    found = await store.promote(NOW + 10**9)
    assert (found.queued, found.sequences, found.next_due_ms) == ((), True, None)
    head: Task | Head = tasks[0]
    for n in (1, 2):
        await ended(store, head)
        found = await store.promote(NOW)
        assert [h.id for h in found.queued] == [tasks[n].id]
        assert found.sequences is (n == 1)
        head = found.queued[0]
        assert (await store.promote(NOW)).queued == ()
    await ended(store, head)
    assert await states(store) == ["completed"] * 3
    assert [(r.before, r.after, r.reason) for r in await store.log(tasks[1].id)][:2] == [
        (None, "scheduled", "batch_turn"), ("scheduled", "queued", "due"),
    ]  # fmt: skip


async def test_what_is_tried_again_or_needs_a_person_keeps_the_turn(store: Store) -> None:
    tasks = await submit(store, 2, OnFailure.STOP)
    (claimed,) = await store.claim([claim_of(tasks[0])], NOW)
    assert claimed is not None
    assert (await store.promote(NOW)).queued == ()
    later = end_of(claimed, State.SCHEDULED, reason=ReasonCode.BACKING_OFF, due_ms=NOW + 50)
    await store.finish([later], NOW)
    assert (await store.promote(NOW)).queued == ()
    found = await store.promote(NOW + 50)
    assert [h.id for h in found.queued] == [tasks[0].id]
    (claimed,) = await store.claim([claim_of(found.queued[0])], NOW)
    assert claimed is not None
    await store.finish([end_of(claimed, State.BLOCKED, reason=ReasonCode.INTERRUPTED)], NOW)
    assert (await store.promote(NOW)).queued == ()
    await store.cancel(tasks[0].id, NOW)
    assert [h.id for h in (await store.promote(NOW)).queued] == [tasks[1].id], "no failure"


@pytest.mark.parametrize("how", OnFailure)
async def test_a_failure_stops_the_rest_or_does_not(store: Store, how: OnFailure) -> None:
    tasks = await submit(store, 3, how)
    await ended(store, tasks[0], State.FAILED)
    found = await store.promote(NOW)
    stops = how is OnFailure.STOP
    assert [h.id for h in found.queued] == ([] if stops else [tasks[1].id])
    assert found.stopped == ((tasks[1].id, tasks[2].id) if stops else ())
    assert await states(store) == ["failed", *(["cancelled"] * 2 if stops else ["queued", "scheduled"])]  # fmt: skip
    assert (await store.batch("batch-0001")).over is stops
    if stops:
        assert (await store.get(tasks[2].id)).reason == ReasonCode.BATCH_STOPPED


async def test_a_deadline_that_passes_is_a_failure(store: Store) -> None:
    tasks = await submit(store, 2, OnFailure.STOP, deadline_ms=NOW + 10)
    await store.promote(NOW + 10)
    assert await states(store) == ["expired", "expired"]
    assert len(tasks) == 2


async def test_the_rest_of_a_long_sequence_is_stopped_in_parts(store: Store) -> None:
    tasks = await submit(store, SET_ROWS + 3, OnFailure.STOP)
    await ended(store, tasks[0], State.FAILED)
    found = await store.promote(NOW, limit=SET_ROWS)
    assert (len(found.stopped), found.next_due_ms) == (SET_ROWS, NOW)
    found = await store.promote(NOW, limit=SET_ROWS)
    assert (len(found.stopped), found.next_due_ms, found.sequences) == (2, None, False)


async def test_a_sequence_that_stopped_goes_on_after_a_retry(store: Store) -> None:
    tasks = await submit(store, 3, OnFailure.STOP)
    await ended(store, tasks[0], State.FAILED)
    await store.promote(NOW)
    await store.retry([t.id for t in tasks], NOW)
    assert await states(store) == ["queued", "scheduled", "scheduled"]
    assert (await store.promote(NOW)).queued == ()
    await ended(store, await store.get(tasks[0].id))
    found = await store.promote(NOW)
    assert [h.id for h in found.queued] == [tasks[1].id]


async def test_a_task_that_waits_for_its_turn_can_be_cancelled_or_sent_ahead(store: Store) -> None:
    tasks = await submit(store, 4, OnFailure.STOP)
    assert (await store.cancel(tasks[1].id, NOW)).state is State.CANCELLED
    (ahead,) = await store.retry([tasks[3].id], NOW)
    assert isinstance(ahead, Task)
    assert ahead.state is State.QUEUED
    await ended(store, tasks[0])
    assert (await store.promote(NOW)).queued == (), "the one sent ahead runs now"
    await ended(store, ahead)
    assert [h.id for h in (await store.promote(NOW)).queued] == [tasks[2].id]


async def test_a_crash_between_an_end_and_the_next_start_loses_no_turn(
    store: Store, reopen: Reopen
) -> None:
    tasks = await submit(store, 2, OnFailure.STOP)
    await ended(store, tasks[0])
    again = await reopen(store)
    await again.recover(NOW, 5)
    found = await again.promote(NOW)
    assert [h.id for h in found.queued] == [tasks[1].id]
    await again.close()


async def test_who_waits_for_a_turn_is_not_among_those_that_are_due_first(store: Store) -> None:
    await submit(store, 3, OnFailure.STOP)
    assert await store.scheduled(9) == []
    timed = new_task(not_before_ms=NOW + 50)
    await store.submit([timed], NOW)
    assert [s.id for s in await store.scheduled(9)] == [timed.id]
    assert (await store.promote(NOW)).next_due_ms == NOW + 50


async def test_sequences_do_not_wait_for_each_other(store: Store) -> None:
    one = await submit(store, 2, OnFailure.STOP, "batch-0001")
    two = await submit(store, 2, OnFailure.STOP, "batch-0002")
    await ended(store, one[0], State.FAILED)
    await ended(store, two[0])
    found = await store.promote(NOW)
    assert [h.id for h in found.queued] == [two[1].id]
    assert found.stopped == (one[1].id,)
