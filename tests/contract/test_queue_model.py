"""Any sequence of verbs leaves both stores in the same state, and the database sound."""

from __future__ import annotations

import asyncio
import itertools
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tests.builders import claim_of, end_of, new_task
from tests.stores.audit import audit
from ygg.errors import NotFound, YggError
from ygg.model import Batch, Capacity, Lane, MinuteRow, Priority, ReasonCode, Sharing, State, Task
from ygg.model.batches import OnFailure
from ygg.model.history import KEPT_MS
from ygg.ports import Filter
from ygg.stores.memory import MemoryStore
from ygg.stores.sqlite import SqliteStore, open_store

LANES = st.sampled_from([Lane("a"), Lane("b"), Lane("a", avoid=("x/y/z",))])
PRIORITIES = st.sampled_from(list(Priority))
TIMES = st.none() | st.integers(0, 60)
ENDS = st.sampled_from(
    [State.COMPLETED, State.FAILED, State.QUEUED, State.SCHEDULED, State.BLOCKED, State.CANCELLED]
)


class TwoStores(RuleBasedStateMachine):
    """Does everything to the model and to SQLite and compares what both say."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name) / "ygg.db"
        self.memory = MemoryStore()
        self.sqlite: SqliteStore = self.loop.run_until_complete(self._open())
        self.now = 1_800_000_000_000
        self.ids: list[str] = []
        self.batches: list[str] = []
        self.old: list[Task] = []  # claimed rows, some long since stale
        self.names = itertools.count()

    async def _open(self) -> SqliteStore:
        return open_store(self.path)

    def both(self, verb: str, *args: object, **kwargs: object) -> object:
        """The verb on both stores; the same answer, or the same kind of error."""
        answers = [
            self.loop.run_until_complete(_call(store, verb, *args, **kwargs))
            for store in (self.memory, self.sqlite)
        ]
        if verb == "lanes":  # in no order
            answers = [set(a) if isinstance(a, list) else a for a in answers]
        assert _plain(answers[0]) == _plain(answers[1]), verb
        return answers[1]

    def some(self, data: st.DataObject) -> str:
        """The id of a task, which may be gone."""
        return data.draw(st.sampled_from(self.ids))

    @rule(
        lane=LANES,
        priority=PRIORITIES,
        due=TIMES,
        deadline=TIMES,
        key=st.none() | st.integers(0, 3),
        rank=st.integers(-1, 1),
        together=st.booleans(),
        shared=st.none()
        | st.builds(Sharing, st.sampled_from("kl"), st.none() | st.just(0.03), st.booleans()),
        capacity=st.none() | st.builds(Capacity, st.sampled_from([3, 10, 30]), st.booleans()),
    )
    def submit(
        self,
        lane: Lane,
        priority: Priority,
        due: int | None,
        deadline: int | None,
        key: int | None,
        rank: int,
        together: bool,
        shared: Sharing | None,
        capacity: Capacity | None,
    ) -> None:
        task = new_task(
            lane=lane, priority=priority, id=f"task-{next(self.names):04d}",
            not_before_ms=None if due is None else self.now + due,
            deadline_ms=None if deadline is None else self.now + deadline,
            idempotency_key=None if key is None else str(key), rank=rank,
            batch=lane.type if together else None, sharing=shared,
        )  # fmt: skip
        self.both("submit", [task], self.now, capacity=capacity)
        if key is None:
            found = self.both("find", Filter(limit=1))
            assert isinstance(found, list)
            if found and found[0].id == task.id:
                self.ids.append(task.id)

    @rule(lane=LANES, count=st.integers(1, 4), how=st.sampled_from([None, *OnFailure]))
    def submit_batch(self, lane: Lane, count: int, how: OnFailure | None) -> None:
        ids = [f"task-{next(self.names):04d}" for _ in range(count)]
        batch = Batch(f"batch-{ids[0]}", lane.caller, count, self.now, how)
        tasks = [
            new_task(lane=lane, id=i, batch=batch.id, turn=bool(how and n))
            for n, i in enumerate(ids)
        ]
        self.both("submit", tasks, self.now, batch=batch)
        self.ids += ids
        self.batches.append(batch.id)

    @precondition(lambda self: self.batches)
    @rule(data=st.data())
    def look_at_batch(self, data: st.DataObject) -> None:
        batch_id = data.draw(st.sampled_from(self.batches))
        self.both("batch", batch_id)
        self.both("batch_states", batch_id)

    @precondition(lambda self: self.ids)
    @rule(data=st.data())
    def claim(self, data: st.DataObject) -> None:
        row = self.both("get", self.some(data))
        if not isinstance(row, Task):
            assert row is NotFound
            return
        rows = self.both("claim", [claim_of(row)], self.now)
        assert isinstance(rows, list)
        self.old += [r for r in rows if r is not None]

    @precondition(lambda self: self.old)
    @rule(data=st.data(), state=ENDS, due=st.integers(1, 50))
    def finish(self, data: st.DataObject, state: State, due: int) -> None:
        task = data.draw(st.sampled_from(self.old))
        due_ms = self.now + due if state is State.SCHEDULED else None
        end = end_of(task, state, reason=ReasonCode.ERROR_BUDGET, due_ms=due_ms, add_errors=1)
        self.both("finish", [end], self.now)

    @precondition(lambda self: self.ids)
    @rule(data=st.data(), running=st.booleans())
    def cancel(self, data: st.DataObject, running: bool) -> None:
        self.both("cancel", self.some(data), self.now, running=running)

    @precondition(lambda self: self.ids)
    @rule(data=st.data())
    def retry(self, data: st.DataObject) -> None:
        self.both("retry", [self.some(data)], self.now)

    @precondition(lambda self: self.ids)
    @rule(data=st.data(), priority=PRIORITIES)
    def prioritize(self, data: st.DataObject, priority: Priority) -> None:
        self.both("prioritize", self.some(data), priority, self.now)

    @rule(ms=st.integers(1, 40), set_forward=st.sampled_from([None, -20, 20]))
    def promote(self, ms: int, set_forward: int | None) -> None:
        self.now += ms
        machine = None if set_forward is None else self.now + set_forward
        self.both("promote", self.now, machine)

    @rule(host=st.sampled_from("ab"), age=st.integers(0, 50), waiting=st.integers(0, 9))
    def record(self, host: str, age: int, waiting: int) -> None:
        row = MinuteRow(host, self.now - KEPT_MS + age, 12, 2, 2, 1.5, waiting, used_share=0.25)
        self.both("record_minutes", [row])

    @rule(limit=st.integers(1, 3))
    def prune(self, limit: int) -> None:
        self.both("prune", self.now, limit)
        self.both("minutes", None, 0)
        self.remembered()

    @rule(states=st.frozensets(st.sampled_from(State), min_size=1), age=st.integers(0, 60))
    def clean(self, states: frozenset[State], age: int) -> None:
        self.both("clean", states, self.now, age / 1000)
        self.remembered()

    @precondition(lambda self: self.ids)
    @rule(data=st.data())
    def discard(self, data: st.DataObject) -> None:
        self.both("discard", self.some(data), self.now)
        self.remembered()

    def remembered(self) -> None:
        for task_id in self.ids:
            self.both("pruned", task_id)

    @rule()
    def crash(self) -> None:
        self.memory = self.memory.reopened()
        self.loop.run_until_complete(self.sqlite.close())
        self.sqlite = self.loop.run_until_complete(self._open())
        self.both("recover", self.now, 3)

    @invariant()
    def heads_lanes_and_counts_agree(self) -> None:
        assert _plain(self.both("counts"))
        lanes = self.both("lanes")
        assert isinstance(lanes, set)
        for lane, priority, _ in lanes:
            self.both("heads", lane, priority, 5)

    def teardown(self) -> None:
        for task_id in self.ids:
            self.both("log", task_id)
        self.loop.run_until_complete(self.sqlite.close())
        audit(self.path)
        self.loop.close()
        self.folder.cleanup()


async def _call(store: object, verb: str, *args: object, **kwargs: object) -> object:
    try:
        return await getattr(store, verb)(*args, **kwargs)
    except YggError as error:
        return type(error)


def _plain(answer: object) -> object:
    """Errors by their kind, collections without an order where none is promised."""
    if isinstance(answer, list):
        return [type(a) if isinstance(a, YggError) else a for a in answer]
    by = getattr(answer, "by", None)
    return (by, True) if by is not None else answer


TwoStores.TestCase.settings = settings(
    max_examples=25, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
)
test_any_sequence_of_verbs = TwoStores.TestCase


@pytest.mark.soak
class TestManySequences(TwoStores.TestCase):  # type: ignore[misc]
    settings = settings(
        max_examples=1000,
        stateful_step_count=60,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
