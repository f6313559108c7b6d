"""Who waits for the disk and who does not: claims and reads of the dispatcher never, promises always."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.builders import claim_of, end_of, new_task
from ygg.errors import OutcomeUnknown, StoreError, YggError
from ygg.model import Capacity, Lane, Priority, State, Submitted, Task
from ygg.ports import Filter
from ygg.stores.sqlite import SqliteStore, open_store

NOW = 1_800_000_000_000


class Drive:
    """A disk that syncs when it is let, and may fail."""

    def __init__(self) -> None:
        self.free, self.asked = threading.Event(), threading.Event()
        self.free.set()
        self.broken = False
        self.synced: list[str] = []

    def hold(self) -> None:
        self.free.clear()
        self.asked.clear()

    def fdatasync(self, fd: int) -> None:
        self.asked.set()
        self.free.wait(10)
        if self.broken:
            raise OSError(5, "Input/output error")
        self.synced.append(str(Path(f"/proc/self/fd/{fd}").readlink()))


@pytest.fixture
def drive(monkeypatch: pytest.MonkeyPatch) -> Drive:
    found = Drive()
    monkeypatch.setattr(os, "fdatasync", found.fdatasync)
    return found


@pytest.fixture
async def store(tmp_path: Path, drive: Drive) -> AsyncIterator[SqliteStore]:
    opened = open_store(tmp_path / "ygg.db")
    yield opened
    drive.broken = False
    drive.free.set()
    await opened.close()


async def put(store: SqliteStore) -> Task:
    (answer,) = await store.submit([new_task()], NOW)
    assert isinstance(answer, Submitted)
    return answer.task


async def held(drive: Drive) -> None:
    assert await asyncio.to_thread(drive.asked.wait, 10)


async def test_a_promise_is_told_after_a_sync_of_the_log(
    store: SqliteStore, drive: Drive, tmp_path: Path
) -> None:
    await put(store)
    assert drive.synced == [f"{tmp_path}/ygg.db-wal"]
    drive.hold()
    submit = asyncio.ensure_future(put(store))
    await held(drive)
    assert await store.heads(Lane("general"), Priority.NORMAL, 9) != []
    assert not submit.done()
    drive.free.set()
    assert (await submit).state is State.QUEUED


async def test_claims_and_reads_go_on_while_a_sync_takes_its_time(
    store: SqliteStore, drive: Drive
) -> None:
    first, second = await put(store), await put(store)
    drive.hold()
    cancel = asyncio.ensure_future(store.cancel(second.id, NOW))
    await held(drive)
    (claimed,) = await asyncio.wait_for(store.claim([claim_of(first)], NOW), 5)
    assert claimed is not None
    assert [row.id for row in await asyncio.wait_for(store.running(), 5)] == [first.id]
    assert not cancel.done()
    drive.free.set()
    await cancel


async def test_writes_that_come_during_a_sync_share_the_next_one(
    store: SqliteStore, drive: Drive
) -> None:
    await put(store)
    drive.hold()
    one = asyncio.ensure_future(put(store))
    await held(drive)
    before = len(drive.synced)
    others = [asyncio.ensure_future(put(store)) for _ in range(20)]
    await store.running()  # a turn, in which they post
    await store.running()  # behind them
    drive.free.set()
    await asyncio.gather(one, *others)
    assert len(drive.synced) == before + 2


async def test_tasks_can_be_claimed_and_end_before_their_submit_is_durable(
    store: SqliteStore, drive: Drive
) -> None:
    await put(store)
    drive.hold()
    told: asyncio.Future[list[Submitted | YggError]] = asyncio.get_running_loop().create_future()
    submit = asyncio.ensure_future(store.submit([new_task()], NOW, stored=told.set_result))
    (answer,) = await asyncio.wait_for(told, 5)
    assert isinstance(answer, Submitted)
    (claimed,) = await store.claim([claim_of(answer.task)], NOW)
    assert claimed is not None
    end = asyncio.ensure_future(store.finish([end_of(claimed)], NOW))
    await store.running()  # behind it
    assert not submit.done()
    assert not end.done()
    drive.free.set()
    assert (await submit)[0] == answer
    (ended,) = await end
    assert ended is not None
    assert ended.state is State.COMPLETED


async def test_who_is_told_of_a_task_that_exists_may_count_on_it(
    store: SqliteStore, drive: Drive
) -> None:
    await put(store)
    drive.hold()
    first = asyncio.ensure_future(store.submit([new_task(idempotency_key="k")], NOW))
    await held(drive)
    second = asyncio.ensure_future(store.submit([new_task(idempotency_key="k")], NOW))
    await store.running()  # behind it
    await store.running()  # and its answer, if it had one, has come
    assert not second.done()
    drive.free.set()
    (one,), (other,) = await first, await second
    assert isinstance(one, Submitted)
    assert other == Submitted(one.task, existing=True)


async def test_an_end_is_read_when_it_is_durable_and_while_the_disk_fails(
    store: SqliteStore, drive: Drive
) -> None:
    task = await put(store)
    (claimed,) = await store.claim([claim_of(task)], NOW)
    assert claimed is not None
    await store.touch_read(task.id, NOW, 1.0)  # the claim is durable
    drive.hold()
    end = asyncio.ensure_future(store.finish([end_of(claimed)], NOW))
    await held(drive)
    read = asyncio.ensure_future(store.get(task.id))
    seen = await store._reader.get(task.id)
    await store.running()
    assert seen.state is State.COMPLETED
    assert not read.done()
    drive.broken = True
    drive.free.set()
    with pytest.raises(OutcomeUnknown):
        await end
    assert (await read).state is State.COMPLETED


async def test_a_read_of_what_is_durable_asks_the_writer_for_nothing(
    store: SqliteStore, drive: Drive
) -> None:
    task = await put(store)
    drive.hold()
    assert await asyncio.wait_for(store.get(task.id), 5) == task
    assert not drive.asked.is_set()


async def test_nobody_is_told_of_tasks_that_were_refused(store: SqliteStore) -> None:
    told: list[object] = []
    (answer,) = await store.submit(
        [new_task()], NOW, capacity=Capacity(0, single=True), stored=told.append
    )
    assert isinstance(answer, YggError)
    assert told == []


async def test_a_sync_that_fails_is_the_end_and_everybody_is_told(
    tmp_path: Path, drive: Drive
) -> None:
    fatal: list[BaseException] = []
    store = open_store(tmp_path / "ygg.db", on_fatal=fatal.append)
    await put(store)
    drive.hold()
    one = asyncio.ensure_future(put(store))
    await held(drive)
    other = asyncio.ensure_future(put(store))
    await store.running()  # behind it
    drive.broken = True
    drive.free.set()
    for lost in (one, other):
        with pytest.raises(OutcomeUnknown, match="Input/output error"):
            await lost
    with pytest.raises(StoreError, match="nothing is stored any more"):
        await put(store)
    assert [str(e) for e in fatal] == ["[Errno 5] Input/output error"]
    await store.close()
    drive.broken = False
    again = open_store(tmp_path / "ygg.db")
    assert (await again.counts()).total == 3
    await again.close()


async def test_what_a_killed_owner_left_is_durable_before_it_is_told(
    store: SqliteStore, drive: Drive, tmp_path: Path
) -> None:
    path = tmp_path / "left.db"
    script = (
        "import asyncio, os; from pathlib import Path\n"
        "from tests.stores.test_syncing import put\n"
        "from ygg.stores.sqlite import open_store\n"
        "async def main():\n"
        f"    await put(open_store(Path({str(path)!r})))\n"
        "    os._exit(9)\n"
        "asyncio.run(main())"
    )
    subprocess.run([sys.executable, "-c", script], check=False, cwd=Path.cwd())
    assert path.with_name("left.db-wal").stat().st_size > 0
    left = open_store(path, dispatcher=False)
    assert path.with_name("left.db-wal").stat().st_size == 0, "the log is not folded"
    (task,) = await left.find(Filter())
    assert drive.synced[-1] == f"{path}-wal"
    assert task.state is State.QUEUED
    await left.close()
