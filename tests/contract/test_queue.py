"""The contract of Queue and Archive, sentence by sentence, over every implementation."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from tests.builders import ANSWER, MESSAGE, PLACE, claim_of, end_of, new_task
from tests.contract.conftest import Store
from ygg.errors import (
    Conflict,
    IllegalTransition,
    InvalidInput,
    LeftOut,
    NotFound,
    QueueFull,
    StoreError,
    YggError,
)
from ygg.model import (
    Capacity,
    GpuNeed,
    Holds,
    Lane,
    Operation,
    Priority,
    ReasonCode,
    Result,
    RunningRow,
    Service,
    State,
    Submitted,
    Task,
    because,
)
from ygg.model.lifecycle import SET_ROWS
from ygg.ports import Filter

NOW = 1_800_000_000_000
Reopen = Callable[[Store], Awaitable[Store]]
GENERAL = Lane("general")


async def put(store: Store, *, capacity: Capacity | None = None, **fields: object) -> Task:
    tasks = [new_task(**fields)]  # type: ignore[arg-type]
    answer = (await store.submit(tasks, NOW, capacity=capacity))[0]
    assert isinstance(answer, Submitted), answer
    return answer.task


async def run(store: Store, **fields: object) -> Task:
    """A submitted and claimed task."""
    task = await put(store, **fields)
    claimed = (await store.claim([claim_of(task)], NOW + 1))[0]
    assert claimed is not None
    return claimed


async def states(store: Store, task: Task) -> list[tuple[str | None, str]]:
    return [(row.before, row.after) for row in await store.log(task.id)]


# --- submit ---------------------------------------------------------------------------------------


async def test_a_submitted_task_comes_back_as_it_was_given(store: Store) -> None:
    new = new_task(
        lane=Lane("code", "skadi", "big", GpuNeed.NEVER, "key-1", ("a/b/c",), ("d/e/f",)),
        priority=Priority.HIGH, title="Töp ☃", labels=("a", "b"), timeout_s=12.5,
        deadline_ms=NOW + 9, retention_s=5.0, idempotency_key="k", batch="b1", content_type="text",
        attached=True, source="beads", source_ref="bd-1", source_version="7",
    )  # fmt: skip
    (answer,) = await store.submit([new], NOW)
    assert isinstance(answer, Submitted)
    task = await store.get(new.id)
    assert answer.task == task
    for name in ("id", "lane", "request", "priority", "operation", "title", "labels", "timeout_s",
                 "deadline_ms", "retention_s", "idempotency_key", "batch", "content_type", "attached",
                 "source", "source_ref", "source_version"):  # fmt: skip
        assert getattr(task, name) == getattr(new, name), name
    assert (task.state, task.attempt, task.created_ms, task.queued_ms) == (
        State.QUEUED,
        0,
        NOW,
        NOW,
    )
    assert await states(store, task) == [(None, "queued")]


async def test_a_task_that_is_to_be_written_down_comes_back(store: Store) -> None:
    lane = Lane("general", service=Service.TRANSCRIPTION)
    new = new_task(lane=lane, operation=Operation.TRANSCRIBE, request={"file": {}})
    (answer,) = await store.submit([new], NOW)
    assert isinstance(answer, Submitted)
    task = await store.get(new.id)
    assert (task.lane, task.operation) == (lane, Operation.TRANSCRIBE)
    assert await store.heads(Lane("general"), Priority.NORMAL, 9) == []
    assert [h.id for h in await store.heads(lane, Priority.NORMAL, 9)] == [new.id]
    assert Lane.parse(lane.key).unmarked == lane


async def test_not_before_makes_it_scheduled_until_promoted(store: Store) -> None:
    task = await put(store, not_before_ms=NOW + 1000)
    assert (task.state, task.due_ms) == (State.SCHEDULED, NOW + 1000)
    assert (await store.promote(NOW + 999)).next_due_ms == NOW + 1000
    promoted = await store.promote(NOW + 1000)
    assert [h.id for h in promoted.queued] == [task.id]
    assert promoted.next_due_ms is None
    after = await store.get(task.id)
    assert (after.state, after.due_ms, after.queued_ms) == (State.QUEUED, None, NOW + 1000)


async def test_a_past_not_before_is_queued_at_once(store: Store) -> None:
    assert (await put(store, not_before_ms=NOW)).state is State.QUEUED


async def test_same_key_and_body_is_the_same_task_and_another_body_is_refused(store: Store) -> None:
    first = await put(store, idempotency_key="k", body_hash="one")
    (again,) = await store.submit([new_task(idempotency_key="k", body_hash="one")], NOW + 5)
    assert again == Submitted(first, existing=True)
    (other,) = await store.submit([new_task(idempotency_key="k", body_hash="two")], NOW + 5)
    assert isinstance(other, Conflict)
    stranger = new_task(lane=Lane("general", caller="else"), idempotency_key="k", body_hash="two")
    (theirs,) = await store.submit([stranger], NOW)
    assert isinstance(theirs, Submitted)


async def test_a_key_is_found_within_one_submit_and_after_the_end(store: Store) -> None:
    twins = [new_task(idempotency_key="k"), new_task(idempotency_key="k")]
    one, two = await store.submit(twins, NOW)
    assert isinstance(one, Submitted)
    assert isinstance(two, Submitted)
    assert two.existing
    claimed = (await store.claim([claim_of(one.task)], NOW))[0]
    assert claimed is not None
    await store.finish([end_of(claimed)], NOW)
    (later,) = await store.submit([new_task(idempotency_key="k")], NOW)
    assert isinstance(later, Submitted)
    assert later.task.state is State.COMPLETED


async def test_capacity_counts_waiting_tasks_only(store: Store) -> None:
    two = Capacity(2, single=True)
    running = await run(store, capacity=two)
    await put(store, capacity=two)
    full = await store.submit([new_task(), new_task()], NOW, capacity=two, atomic=False)
    assert isinstance(full[0], Submitted)
    assert isinstance(full[1], QueueFull)
    await store.finish([end_of(running)], NOW)
    again = await store.submit([new_task()], NOW, capacity=two, atomic=False)
    assert isinstance(again[0], QueueFull)
    await store.cancel(full[0].task.id, NOW)
    (room,) = await store.submit([new_task()], NOW, capacity=two)
    assert isinstance(room, Submitted)


async def test_a_single_task_that_is_put_back_counts_again(store: Store) -> None:
    one = Capacity(1, single=True)
    task = await put(store, capacity=one)
    await store.cancel(task.id, NOW)
    await store.retry([task.id], NOW)
    (full,) = await store.submit([new_task()], NOW, capacity=one)
    assert isinstance(full, QueueFull)


@pytest.mark.parametrize("atomic", [True, False])
async def test_what_is_taken_whole_is_taken_whole_or_not_at_all(store: Store, atomic: bool) -> None:
    single, whole = Capacity(5, single=True), Capacity(8)
    kept = [await put(store, idempotency_key=str(n), capacity=single) for n in range(5)]
    with pytest.raises(QueueFull, match="5 tasks wait: with these 4 they would be more than 8"):
        await store.submit([new_task() for _ in range(4)], NOW, capacity=whole, atomic=atomic)
    assert (await store.counts()).state(State.QUEUED) == 5
    again = [new_task(idempotency_key=str(n)) for n in range(5)]
    answers = await store.submit([*again, *(new_task() for _ in range(3))], NOW, capacity=whole)
    assert [a.existing for a in answers if isinstance(a, Submitted)] == [True] * 5 + [False] * 3
    with pytest.raises(QueueFull):
        await store.submit([new_task()], NOW, capacity=whole, atomic=atomic)
    (full,) = await store.submit([new_task()], NOW, capacity=single)
    assert isinstance(full, QueueFull)
    await store.cancel(kept[0].id, NOW)
    (room,) = await store.submit([new_task()], NOW, capacity=single)
    assert isinstance(room, Submitted)


async def test_a_refused_submit_leaves_the_count_as_it_was(store: Store) -> None:
    await put(store, idempotency_key="k", body_hash="one")
    two = Capacity(2, single=True)
    bad = new_task(idempotency_key="k", body_hash="two")
    for _ in range(3):
        await store.submit([new_task(), bad], NOW, capacity=two)
    answers = await store.submit([new_task() for _ in range(3)], NOW, capacity=two, atomic=False)
    assert [type(a) for a in answers] == [Submitted, Submitted, QueueFull]


async def test_an_atomic_submit_stores_all_or_nothing(store: Store) -> None:
    await put(store, idempotency_key="k", body_hash="one")
    good, bad = new_task(), new_task(idempotency_key="k", body_hash="two")
    answers = await store.submit([good, bad], NOW)
    assert [type(a) for a in answers] == [LeftOut, Conflict]
    assert "not stored" in str(answers[0])
    with pytest.raises(NotFound):
        await store.get(good.id)
    assert (await store.counts()).total == 1
    loose = await store.submit([good, bad], NOW, atomic=False)
    assert [type(a) for a in loose] == [Submitted, Conflict]
    assert (await store.counts()).total == 2


# --- dispatch -------------------------------------------------------------------------------------


async def test_heads_are_the_first_of_their_lane_and_priority_in_order(store: Store) -> None:
    mine = [await put(store) for _ in range(5)]
    await put(store, priority=Priority.HIGH)
    await put(store, lane=Lane("other"))
    heads = await store.heads(GENERAL, Priority.NORMAL, 3)
    assert [h.id for h in heads] == [t.id for t in mine[:3]]
    assert heads[0] == mine[0].head


async def test_rank_comes_before_age_among_heads_in_listings_and_in_what_is_ahead(
    store: Store,
) -> None:
    late, never, soon = [await put(store, rank=rank) for rank in (500, 10**15, -7)]
    first = await put(store)
    wanted = [soon, first, late, never]
    heads = await store.heads(GENERAL, Priority.NORMAL, 9)
    assert heads == [t.head for t in wanted]
    assert [h.rank for h in heads] == [-7, 0, 500, 10**15]
    assert await store.heads(GENERAL, Priority.NORMAL, 1) == heads[:1]
    assert await store.find(Filter(queue_order=True)) == wanted
    assert [await store.ahead(t, [GENERAL], 9) for t in wanted] == [0, 1, 2, 3]


async def test_lanes_are_counted_by_priority_with_every_write_before(store: Store) -> None:
    first, *_, last = [await put(store) for _ in range(5)]
    await put(store, priority=Priority.HIGH)
    await put(store, not_before_ms=NOW + 9)
    other = await put(store, lane=Lane("other"))
    assert sorted(await store.lanes(), key=str) == sorted(
        [(GENERAL, Priority.NORMAL, 5), (GENERAL, Priority.HIGH, 1), (Lane("other"), Priority.NORMAL, 1)],
        key=str,
    )  # fmt: skip
    claimed = (await store.claim([claim_of(first), claim_of(other)], NOW))[0]
    await store.cancel(last.id, NOW)
    await store.prioritize(
        (await store.heads(GENERAL, Priority.NORMAL, 1))[0].id, Priority.LOW, NOW
    )
    await store.promote(NOW + 9)
    assert claimed is not None
    await store.finish([end_of(claimed, State.QUEUED, lane=Lane("x"))], NOW)
    assert sorted(await store.lanes(), key=str) == sorted(
        [(GENERAL, Priority.NORMAL, 3), (GENERAL, Priority.LOW, 1), (GENERAL, Priority.HIGH, 1), (Lane("x"), Priority.NORMAL, 1)],
        key=str,
    )  # fmt: skip


async def test_why_a_claim_was_made_is_in_the_event_log(store: Store) -> None:
    task = await put(store)
    await store.claim(
        [
            replace(
                claim_of(task),
                why=because(ReasonCode.UNSTORABLE, said="surtr m (GPU): first choice"),
            )
        ],
        NOW + 7,
    )
    row = (await store.log(task.id))[-1]
    assert (row.reason, row.host, row.detail) == ("chosen", "surtr", "surtr m (GPU): first choice")


async def test_a_claim_names_its_call_and_the_row_keeps_it(store: Store) -> None:
    task = await put(store)
    assert task.call is None
    (claimed,) = await store.claim([replace(claim_of(task), call="call-1")], NOW + 7)
    assert claimed is not None
    assert claimed.call == "call-1"
    assert await store.get(task.id) == claimed
    back = end_of(claimed, State.QUEUED, reason=ReasonCode.WITHDRAWN)
    await store.finish([back], NOW + 8)
    (again,) = await store.claim([claim_of(await store.get(task.id))], NOW + 9)
    assert again is not None
    assert again.call is None


async def test_a_claim_counts_the_attempt_and_names_the_place(store: Store) -> None:
    task = await put(store)
    (claimed,) = await store.claim([claim_of(task)], NOW + 7)
    assert claimed is not None
    assert (claimed.state, claimed.attempt, claimed.epoch) == (State.PROCESSING, 1, store.epoch)
    assert (claimed.host, claimed.endpoint, claimed.model) == PLACE
    assert claimed.started_ms == NOW + 7
    assert claimed.version > task.version
    assert await store.heads(GENERAL, Priority.NORMAL, 9) == []
    assert await store.lanes() == []
    assert await store.get(task.id) == claimed


async def test_a_claim_is_refused_for_gone_taken_changed_or_overdue_rows(store: Store) -> None:
    taken = await run(store)
    changed = await put(store)
    await store.prioritize(changed.id, Priority.LOW, NOW)
    overdue = await put(store, deadline_ms=NOW + 5)
    gone = replace(taken, id="never-was")
    claims = [claim_of(t) for t in (taken, changed, overdue, gone)]
    assert await store.claim(claims, NOW + 5) == [None] * 4
    assert (await store.get(taken.id)).attempt == 1


async def test_an_end_is_stored_with_its_result_and_log(store: Store) -> None:
    claimed = await run(store)
    (ended,) = await store.finish([end_of(claimed)], NOW + 9)
    assert ended is not None
    assert (ended.state, ended.finished_ms, ended.host) == (State.COMPLETED, NOW + 9, "surtr")
    assert await store.get(claimed.id) == ended
    assert await store.result(claimed.id) == ANSWER
    assert await states(store, ended) == [
        (None, "queued"), ("queued", "processing"), ("processing", "completed"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "message",
    [MESSAGE, replace(ANSWER, content="", tool_calls=MESSAGE.tool_calls),
     replace(ANSWER, content="", embeddings=MESSAGE.embeddings)],
    ids=["everything", "only tools", "only vectors"],
)  # fmt: skip
async def test_a_message_is_kept_whole(store: Store, message: Result) -> None:
    """Every number to its last digit."""
    claimed = await run(store)
    await store.finish([end_of(claimed, result=message)], NOW + 9)
    assert await store.result(claimed.id) == message


async def test_a_second_end_and_an_end_of_an_old_attempt_change_nothing(store: Store) -> None:
    first = await run(store)
    back = (await store.finish([end_of(first, State.QUEUED, reason=ReasonCode.WITHDRAWN)], NOW))[0]
    assert back is not None
    second = (await store.claim([claim_of(await store.get(first.id))], NOW))[0]
    assert second is not None
    stale = end_of(first, State.FAILED, detail="late")
    assert await store.finish([stale], NOW) == [None]
    assert await store.get(first.id) == second
    await store.finish([end_of(second)], NOW)
    assert await store.finish([end_of(second, State.FAILED)], NOW) == [None]
    assert (await store.get(first.id)).state is State.COMPLETED
    assert len(await store.log(first.id)) == 5


async def test_a_change_outside_the_table_is_a_store_error_and_changes_nothing(
    store: Store,
) -> None:
    claimed = await run(store)
    with pytest.raises(IllegalTransition):
        await store.finish([end_of(claimed, State.PROCESSING, reason=ReasonCode.CHOSEN)], NOW)
    assert await store.get(claimed.id) == claimed
    assert len(await store.log(claimed.id)) == 2


async def test_an_end_may_change_lane_due_time_and_counters(store: Store) -> None:
    claimed = await run(store)
    lane = Lane("general", avoid=("surtr/main/m",))
    end = end_of(
        claimed, State.SCHEDULED, reason=ReasonCode.BACKING_OFF, lane=lane, due_ms=NOW + 50,
        add_errors=1, add_deferrals=2, detail="boom",
    )  # fmt: skip
    await store.finish([end], NOW)
    task = await store.get(claimed.id)
    assert (task.state, task.due_ms, task.lane) == (State.SCHEDULED, NOW + 50, lane)
    assert (task.errors, task.deferrals, task.error) == (1, 2, "boom")
    assert (task.host, task.model, task.epoch) == (None, None, None)
    await store.promote(NOW + 50)
    assert (await store.get(claimed.id)).lane == GENERAL
    assert await store.lanes() == [(GENERAL, Priority.NORMAL, 1)]


async def test_a_task_that_goes_back_keeps_its_place(store: Store) -> None:
    first, second = await put(store), await put(store)
    claimed = (await store.claim([claim_of(first)], NOW))[0]
    assert claimed is not None
    await store.finish([end_of(claimed, State.QUEUED, reason=ReasonCode.WITHDRAWN)], NOW)
    heads = await store.heads(GENERAL, Priority.NORMAL, 9)
    assert [h.id for h in heads] == [first.id, second.id]


async def test_held_are_the_running_tasks_of_this_owner_as_the_last_write_left_them(
    store: Store, reopen: Reopen
) -> None:
    orphan = await run(store)
    fresh = await reopen(store)
    assert await fresh.running() == []
    mine, wished, over, first, _ = [await put(fresh) for _ in range(5)]
    await fresh.claim([replace(claim_of(t), call=f"c-{t.id}") for t in (mine, wished, over)], NOW)
    (ended, *_), asked, raised, held = await asyncio.gather(
        fresh.finish([end_of(replace(over, attempt=1))], NOW),
        fresh.cancel(wished.id, NOW),
        fresh.prioritize(mine.id, Priority.HIGH, NOW),
        fresh.running(),
    )
    assert ended is not None
    assert asked.cancel_requested
    assert raised.priority is Priority.HIGH
    assert sorted(held, key=lambda h: h.id) == [
        RunningRow(mine.id, 1, f"c-{mine.id}", Priority.HIGH, False),
        RunningRow(wished.id, 1, f"c-{wished.id}", Priority.NORMAL, True),
    ]
    await fresh.claim([claim_of(first)], NOW)
    assert RunningRow(first.id, 1, None, Priority.NORMAL, False) in await fresh.running()
    assert orphan.id not in {h.id for h in await fresh.running()}
    await fresh.close()


# --- cancel, retry, prioritize --------------------------------------------------------------------


async def test_waiting_and_blocked_tasks_are_cancelled_at_once(store: Store) -> None:
    queued, scheduled = await put(store), await put(store, not_before_ms=NOW + 99)
    blocked = await run(store)
    await store.finish([end_of(blocked, State.BLOCKED, reason=ReasonCode.INTERRUPTED)], NOW)
    for task in (queued, scheduled, blocked):
        assert (await store.cancel(task.id, NOW)).state is State.CANCELLED
        assert (await store.cancel(task.id, NOW)).state is State.CANCELLED
    assert await store.lanes() == []


async def test_a_running_task_notes_the_wish_and_its_end_becomes_cancelled(store: Store) -> None:
    claimed = await run(store)
    wished = await store.cancel(claimed.id, NOW)
    assert (wished.state, wished.cancel_requested) == (State.PROCESSING, True)
    end = end_of(claimed, State.SCHEDULED, reason=ReasonCode.BACKING_OFF, due_ms=NOW + 5)
    (ended,) = await store.finish([end], NOW)
    assert ended is not None
    assert (ended.state, ended.reason, ended.due_ms) == (State.CANCELLED, "cancelled", None)


@pytest.mark.parametrize(
    "wanted", [State.QUEUED, State.SCHEDULED, State.BLOCKED, State.FAILED], ids=str
)
async def test_a_cancel_that_came_before_the_write_of_an_end_wins(
    store: Store, wanted: State
) -> None:
    claimed = await run(store)
    due = NOW + 5 if wanted is State.SCHEDULED else None
    decided = end_of(claimed, wanted, reason=ReasonCode.DEFERRED, due_ms=due)
    # both are under way; the cancel was asked for first
    wished, (ended,) = await asyncio.gather(
        store.cancel(claimed.id, NOW), store.finish([decided], NOW)
    )
    assert (wished.state, wished.cancel_requested) == (State.PROCESSING, True)
    assert ended == await store.get(claimed.id)
    assert ended is not None
    assert (ended.state, ended.reason) == (State.CANCELLED, "cancelled")


async def test_a_whole_answer_survives_the_wish_to_cancel(store: Store) -> None:
    claimed = await run(store)
    await store.cancel(claimed.id, NOW)
    (ended,) = await store.finish([end_of(claimed)], NOW)
    assert ended is not None
    assert ended.state is State.COMPLETED


async def test_cancel_refuses_what_has_ended_or_runs_when_told_so(store: Store) -> None:
    claimed = await run(store)
    with pytest.raises(Conflict):
        await store.cancel(claimed.id, NOW, running=False)
    await store.finish([end_of(claimed)], NOW)
    with pytest.raises(Conflict):
        await store.cancel(claimed.id, NOW)
    with pytest.raises(NotFound):
        await store.cancel("nobody", NOW)


async def test_retry_starts_over_but_for_the_attempt_number(store: Store) -> None:
    lane = Lane("general", refused=("a/b/c",), avoid=("d/e/f",))
    claimed = await run(store, lane=lane, deadline_ms=NOW + 100)
    end = end_of(claimed, State.FAILED, add_errors=5, add_deferrals=1, detail="boom")
    await store.finish([end], NOW)
    (task,) = await store.retry([claimed.id], NOW + 200)
    assert isinstance(task, Task)
    assert (task.state, task.attempt, task.errors, task.deferrals) == (State.QUEUED, 1, 0, 0)
    assert (task.lane, task.deadline_ms, task.host) == (GENERAL, None, None)
    again = (await store.claim([claim_of(task)], NOW + 201))[0]
    assert again is not None
    assert again.attempt == 2


async def test_retry_refuses_what_is_not_over_or_went_well(store: Store) -> None:
    queued, running, done = await put(store), await run(store), await run(store)
    await store.finish([end_of(done)], NOW)
    answers = await store.retry([queued.id, running.id, done.id, "nobody"], NOW)
    assert [type(a) for a in answers] == [Conflict, Conflict, Conflict, NotFound]


async def test_retry_brings_a_scheduled_task_forward(store: Store) -> None:
    task = await put(store, not_before_ms=NOW + 10_000)
    (now,) = await store.retry([task.id], NOW)
    assert isinstance(now, Task)
    assert (now.state, now.due_ms) == (State.QUEUED, None)


async def test_a_new_priority_keeps_the_seq_and_moves_the_head(store: Store) -> None:
    first, second = await put(store), await put(store)
    moved = await store.prioritize(second.id, Priority.CRITICAL, NOW)
    assert (moved.priority, moved.seq) == (Priority.CRITICAL, second.seq)
    assert [h.id for h in await store.heads(GENERAL, Priority.CRITICAL, 9)] == [second.id]
    assert [h.id for h in await store.heads(GENERAL, Priority.NORMAL, 9)] == [first.id]
    done = await run(store)
    await store.finish([end_of(done)], NOW)
    with pytest.raises(Conflict):
        await store.prioritize(done.id, Priority.LOW, NOW)


# --- time -----------------------------------------------------------------------------------------


async def test_a_deadline_expires_waiting_tasks_and_spares_running_ones(store: Store) -> None:
    queued = await put(store, deadline_ms=NOW + 10)
    scheduled = await put(store, deadline_ms=NOW + 20, not_before_ms=NOW + 1000)
    running = await run(store, deadline_ms=NOW + 5)
    assert (await store.promote(NOW)).next_due_ms == NOW + 10
    assert (await store.promote(NOW + 15)).expired == (queued.id,)
    assert (await store.promote(NOW + 25)).expired == (scheduled.id,)
    assert (await store.get(queued.id)).state is State.EXPIRED
    assert (await store.get(running.id)).state is State.PROCESSING


async def test_promotion_takes_at_most_its_limit_and_says_more_is_due(store: Store) -> None:
    for n in range(5):
        await put(store, not_before_ms=NOW + 1 + n)
    first = await store.promote(NOW + 10, limit=3)
    assert len(first.queued) == 3
    assert first.next_due_ms is not None
    assert first.next_due_ms <= NOW + 10
    assert len((await store.promote(NOW + 10)).queued) == 2


async def test_ended_tasks_are_pruned_after_their_retention(store: Store) -> None:
    kept, short = await run(store), await run(store, retention_s=1.0, idempotency_key="k")
    failed = await run(store)
    await store.finish([end_of(kept), end_of(short), end_of(failed, State.FAILED)], NOW)
    assert await store.prune(NOW + 999) == 0
    assert await store.prune(NOW + 1000) == 1
    with pytest.raises(NotFound):
        await store.get(short.id)
    assert await store.result(short.id) is None
    assert await store.log(short.id) == []
    week = 7 * 86_400_000
    assert await store.prune(NOW + week) == 1
    assert [t.id for t in await store.find(Filter())] == [failed.id]
    assert (await store.counts()).total == 1


async def test_a_read_result_goes_sooner_and_a_dead_letter_stays(store: Store) -> None:
    done, failed = await run(store), await run(store)
    await store.finish([end_of(done), end_of(failed, State.FAILED)], NOW)
    for task in (done, failed):
        await store.touch_read(task.id, NOW, 300.0)
        await store.touch_read(task.id, NOW + 200_000, 300.0)
    assert await store.prune(NOW + 299_999) == 0
    assert await store.prune(NOW + 300_000) == 1
    assert (await store.get(failed.id)).state is State.FAILED


async def test_pruning_goes_in_small_steps(store: Store) -> None:
    for _ in range(5):
        claimed = await run(store, retention_s=0.0)
        await store.finish([end_of(claimed)], NOW)
    assert [await store.prune(NOW, limit=2) for _ in range(4)] == [2, 2, 1, 0]


# --- recovery -------------------------------------------------------------------------------------


async def test_a_new_owner_gives_back_what_the_dead_one_had(store: Store, reopen: Reopen) -> None:
    running, cancelled, waiting = await run(store), await run(store), await put(store)
    await store.cancel(cancelled.id, NOW)
    fresh = await reopen(store)
    assert fresh.epoch == store.epoch + 1
    found = await fresh.recover(NOW, 5)
    assert (found.requeued, found.poisoned, found.cancelled) == (1, 0, 1)
    task = await fresh.get(running.id)
    assert (task.state, task.crashes, task.reason, task.host) == (
        State.QUEUED,
        1,
        "recovered",
        None,
    )
    assert (await fresh.get(cancelled.id)).state is State.CANCELLED
    assert (await fresh.get(waiting.id)).version == waiting.version
    assert await fresh.finish([end_of(running)], NOW) == [None]
    assert (await fresh.recover(NOW, 5)).requeued == 0
    await fresh.close()


async def test_all_that_a_dead_owner_had_is_given_back_however_much_it_was(
    store: Store, reopen: Reopen
) -> None:
    many = 2 * SET_ROWS + 1
    answers = await store.submit([new_task() for _ in range(many)], NOW)
    tasks = [a.task for a in answers if isinstance(a, Submitted)]
    await store.claim([claim_of(t) for t in tasks], NOW)
    fresh = await reopen(store)
    assert (await fresh.recover(NOW, 5)).requeued == many
    assert await fresh.lanes() == [(GENERAL, Priority.NORMAL, many)]
    assert {t.crashes for t in await fresh.find(Filter(limit=many))} == {1}
    await fresh.close()


async def test_retry_of_many_answers_each_in_its_place(store: Store) -> None:
    many = SET_ROWS + 2
    answers = await store.submit([new_task() for _ in range(many)], NOW)
    ids = [a.task.id for a in answers if isinstance(a, Submitted)]
    for task_id in ids[1:]:
        await store.cancel(task_id, NOW)
    asked = [*ids, "nobody", ids[-1]]
    told = await store.retry(asked, NOW + 1)
    assert [type(a) for a in told] == [Conflict, *[Task] * (many - 1), NotFound, Conflict]
    assert [a.id for a in told if isinstance(a, Task)] == ids[1:]


async def test_an_end_of_a_run_that_is_dead_is_stale(store: Store, reopen: Reopen) -> None:
    running = await run(store)
    fresh = await reopen(store)
    assert await fresh.finish([end_of(running)], NOW) == [None]
    assert (await fresh.get(running.id)).state is State.PROCESSING
    await fresh.close()


async def test_own_running_tasks_are_never_recovered(store: Store) -> None:
    running = await run(store)
    assert (await store.recover(NOW, 5)).requeued == 0
    assert (await store.get(running.id)).state is State.PROCESSING


async def test_the_fifth_crash_blocks_a_task_as_poison(store: Store, reopen: Reopen) -> None:
    task = await put(store)
    for crash in range(1, 6):
        assert (await store.claim([claim_of(await store.get(task.id))], NOW))[0] is not None
        store = await reopen(store)
        found = await store.recover(NOW, 5)
        assert (found.requeued, found.poisoned) == ((1, 0) if crash < 5 else (0, 1))
    blocked = await store.get(task.id)
    assert (blocked.state, blocked.reason, blocked.crashes) == (State.BLOCKED, "poison", 5)
    await store.close()


# --- reads ----------------------------------------------------------------------------------------


async def test_counts_follow_every_change(store: Store) -> None:
    claimed = await run(store, priority=Priority.HIGH)
    await put(store)
    await store.prioritize((await put(store)).id, Priority.LOW, NOW)
    counts = await store.counts()
    assert counts.by == {
        (Priority.HIGH, State.PROCESSING): 1, (Priority.NORMAL, State.QUEUED): 1,
        (Priority.LOW, State.QUEUED): 1,
    }  # fmt: skip
    await store.finish([end_of(claimed)], NOW)
    assert (await store.counts()).state(State.COMPLETED) == 1


async def test_ahead_counts_better_ranked_tasks_of_the_given_lanes(store: Store) -> None:
    await put(store, priority=Priority.CRITICAL)
    await put(store)
    await put(store, lane=Lane("other"))
    last = await put(store)
    await put(store, priority=Priority.LOW)
    assert await store.ahead(last, [GENERAL], 100) == 2
    assert await store.ahead(last, [GENERAL, Lane("other"), Lane("unheard")], 100) == 3
    assert await store.ahead(last, [GENERAL, Lane("other")], 2) == 2


@pytest.mark.parametrize("many", [10, 200])
async def test_what_is_ahead_is_counted_from_either_end(store: Store, many: int) -> None:
    """Among many more than are counted from behind, with a better and a worse priority and a rank around them."""
    for more in (*[{"priority": Priority.HIGH}] * 3, {"rank": 1}, {"priority": Priority.LOW}):
        await put(store, **more)
    answers = await store.submit([new_task() for _ in range(many)], NOW)
    tasks = [a.task for a in answers if isinstance(a, Submitted)]
    for place in (0, 1, many // 2, many - 1):
        assert await store.ahead(tasks[place], [GENERAL], 1000) == 3 + place
    assert await store.ahead(tasks[-1], [GENERAL], many) == many


async def test_scheduled_tasks_are_told_in_the_order_they_are_due(store: Store) -> None:
    await put(store)
    late = await put(store, not_before_ms=NOW + 900, title="late")
    failed = await run(store, title="again", priority=Priority.HIGH)
    end = replace(
        end_of(failed), state=State.SCHEDULED, reason=ReasonCode.BACKING_OFF, detail="reset", result=None,
        due_ms=NOW + 500, add_errors=1,
    )  # fmt: skip
    await store.finish([end], NOW + 2)
    first, second = await store.scheduled(9)
    assert (first.id, first.title, first.due_ms, first.type) == (
        failed.id,
        "again",
        NOW + 500,
        "general",
    )
    assert (first.attempt, first.errors, first.error, first.priority) == (
        1,
        1,
        "reset",
        Priority.HIGH,
    )
    assert (second.id, second.attempt, second.error) == (late.id, 0, None)
    assert await store.scheduled(1) == [first]


async def test_find_filters_and_orders(store: Store) -> None:
    low = await put(store, priority=Priority.LOW, labels=("red", "blue"))
    high = await put(store, priority=Priority.HIGH, lane=Lane("code"))
    done = await run(store, batch="b")
    await store.finish([end_of(done)], NOW)

    async def ids(**which: object) -> list[str]:
        return [t.id for t in await store.find(Filter(**which))]  # type: ignore[arg-type]

    assert await ids() == [done.id, high.id, low.id]
    assert await ids(queue_order=True, states=(State.QUEUED,)) == [high.id, low.id]
    assert await ids(states=(State.COMPLETED, State.QUEUED)) == [done.id, high.id, low.id]
    assert await ids(type="code") == [high.id]
    assert await ids(label="blue") == [low.id]
    assert await ids(priority=Priority.LOW) == [low.id]
    assert await ids(batch="b") == await ids(host="surtr") == [done.id]
    assert await ids(before_seq=high.seq) == [low.id]
    assert await ids(limit=1) == [done.id]
    assert await ids(caller="nobody") == []


async def test_a_task_is_found_by_the_end_of_its_id(store: Store) -> None:
    await put(store, id="aa-1234x")
    await put(store, id="bb-1234y")
    await put(store, id="cc-1234y")
    assert (await store.get("234x")).id == "aa-1234x"
    with pytest.raises(InvalidInput):
        await store.get("234y")
    for unknown in ("34x", "nothing"):
        with pytest.raises(NotFound):
            await store.get(unknown)


async def test_a_closed_store_refuses(store: Store) -> None:
    await store.close()
    with pytest.raises(StoreError):
        await store.submit([new_task()], NOW)


@pytest.mark.parametrize("store", ["sqlite"], indirect=True)  # plain Python stores any string
async def test_one_unstorable_task_does_not_hurt_the_others(store: Store) -> None:
    bad = new_task(title="lone \ud800 surrogate")
    answers = await store.submit([new_task(), bad, new_task()], NOW, atomic=False)
    assert [isinstance(a, YggError) for a in answers] == [False, True, False]
    assert isinstance(answers[1], InvalidInput)
    assert (await store.counts()).total == 2


async def test_what_is_held_is_known_after_a_restart(store: Store, reopen: Reopen) -> None:
    assert await store.holds() == Holds()
    await store.hold(None, True)
    await store.hold("surtr", True)
    await store.hold("fenrir", True)
    await store.hold("fenrir", False)
    again = await reopen(store)
    assert await again.holds() == Holds(True, frozenset({"surtr"}))
    await again.hold(None, False)
    await again.hold("surtr", True)
    assert await again.holds() == Holds(False, frozenset({"surtr"}))
