"""Disks and files that misbehave: a clear error, nothing lost, work goes on where it can."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from pathlib import Path

import apsw
import pytest

from tests.builders import claim_of, end_of, new_task
from tests.stores.audit import audit
from tests.unprivileged import unprivileged
from ygg.errors import (
    NotFound,
    StoreCorrupt,
    StoreError,
    StoreFull,
    StoreLocked,
    StoreNewer,
    YggError,
)
from ygg.model import Lane, Priority, State, Submitted
from ygg.ports import Filter
from ygg.stores.sqlite import SqliteStore, open_archive, open_store, writer

NOW = 1_800_000_000_000


async def filled(path: Path, tasks: int = 3) -> None:
    store = open_store(path)
    await store.submit([new_task() for _ in range(tasks)], NOW)
    await store.close()


async def test_a_full_disk_refuses_submits_and_lets_running_tasks_end(tmp_path: Path) -> None:
    store = open_store(tmp_path / "ygg.db")
    (answer,) = await store.submit([new_task()], NOW)
    assert isinstance(answer, Submitted)
    pages = store._db.execute("PRAGMA page_count").get
    store._db.execute(f"PRAGMA max_page_count = {pages + 4}")
    big = [new_task(request={"prompt": "x" * 60_000}) for _ in range(4)]
    results = await asyncio.gather(
        store.submit(big, NOW), store.claim([claim_of(answer.task)], NOW), return_exceptions=True
    )
    assert isinstance(results[0], StoreFull)
    claimed = results[1][0]  # type: ignore[index]
    assert claimed is not None
    (ended,) = await store.finish([end_of(claimed)], NOW)
    assert ended is not None
    store._db.execute("PRAGMA max_page_count = 100000")
    (later,) = await store.submit(big[:1], NOW)
    assert isinstance(later, Submitted)
    await store.close()
    audit(tmp_path / "ygg.db")


async def test_a_group_whose_commit_fails_is_tried_one_by_one(tmp_path: Path) -> None:
    store = open_store(tmp_path / "ygg.db")
    gate = threading.Event()
    held = store._writer.post(gate.wait)  # so that both come in one group
    both = asyncio.gather(*(store.submit([new_task()], NOW) for _ in range(2)))
    await asyncio.sleep(0)
    answers = iter(
        [True, True]
    )  # a true answer turns COMMIT into ROLLBACK: of `held`, of the group
    store._db.set_commit_hook(lambda: next(answers, False))
    gate.set()
    await asyncio.gather(held, return_exceptions=True)
    for (answer,) in await both:
        assert isinstance(answer, Submitted)
    assert next(answers, None) is None, "no commit failed"
    await store.close()
    audit(tmp_path / "ygg.db")


async def test_a_second_owner_is_refused_with_the_first_ones_process(tmp_path: Path) -> None:
    store = open_store(tmp_path / "ygg.db")
    with pytest.raises(StoreLocked, match=str(os.getpid())):
        open_store(tmp_path / "ygg.db")
    await store.close()
    again = open_store(tmp_path / "ygg.db")
    assert again.epoch == 2
    await again.close()


async def test_the_lock_of_a_killed_owner_is_free_at_once(tmp_path: Path) -> None:
    code = (
        "import asyncio, os, sys; from pathlib import Path\n"
        "from ygg.stores.sqlite import open_store\n"
        "store = open_store(Path(sys.argv[1])); print('held', flush=True); os.kill(os.getpid(), 9)"
    )
    path = tmp_path / "ygg.db"
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True)
    assert done.stdout == "held\n"
    store = open_store(path)
    assert store.epoch == 2
    await store.close()


async def test_offline_commands_write_without_a_new_epoch(tmp_path: Path) -> None:
    await filled(tmp_path / "ygg.db")
    store = open_store(tmp_path / "ygg.db", dispatcher=False)
    assert store.epoch == 1
    await store.close()


async def test_a_read_only_directory_is_named() -> None:
    with unprivileged() as folder:
        folder.chmod(0o500)
        with pytest.raises(StoreError, match="cannot be written"):
            open_store(folder / "ygg.db")


async def test_a_state_directory_that_is_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("not a directory")
    with pytest.raises(StoreError, match="cannot be written"):
        open_store(tmp_path / "state" / "ygg.db")


@pytest.mark.parametrize("content", [b"garbage " * 1000, b"SQLite format 3\x00" + b"\xff" * 5000])
async def test_a_damaged_file_is_refused_and_left_as_it_is(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "ygg.db"
    path.write_bytes(content)
    with pytest.raises(StoreCorrupt):
        open_store(path)
    assert path.read_bytes() == content


async def test_a_database_with_broken_pages_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "ygg.db"
    await filled(path, 200)
    data = bytearray(path.read_bytes())
    data[20_000:60_000] = os.urandom(40_000)
    path.write_bytes(data)
    with pytest.raises(StoreCorrupt):
        open_store(path)


async def test_another_programs_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "ygg.db"
    other = apsw.Connection(str(path))
    other.execute("CREATE TABLE theirs (x)")
    other.close()
    with pytest.raises(StoreCorrupt, match="not one of ygg's"):
        open_store(path)


async def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "ygg.db"
    await filled(path)
    db = apsw.Connection(str(path))
    db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(StoreNewer, match="schema 99"):
        open_store(path)


async def test_a_torn_write_ahead_log_loses_only_its_torn_end(tmp_path: Path) -> None:
    path, copy = tmp_path / "ygg.db", tmp_path / "copy" / "ygg.db"
    store = open_store(path)
    for _ in range(5):
        await store.submit([new_task()], NOW)
    copy.parent.mkdir()
    copy.write_bytes(path.read_bytes())
    wal = path.with_name("ygg.db-wal").read_bytes()
    copy.with_name("ygg.db-wal").write_bytes(wal[:-100])
    await store.close()
    again = open_store(copy)
    assert (await again.counts()).total == 4
    await again.close()
    audit(copy)


async def test_the_write_ahead_log_stays_short_while_work_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "FOLD_PAGES", 50)
    store = open_store(tmp_path / "ygg.db")
    for _ in range(60):
        await store.submit([new_task(request={"prompt": "x" * 20_000})], NOW)
    assert (tmp_path / "ygg.db-wal").stat().st_size < 3 * 50 * 4096
    await store.close()


async def test_readers_need_no_lock_and_work_with_and_without_a_daemon(tmp_path: Path) -> None:
    path = tmp_path / "ygg.db"
    with pytest.raises(NotFound):
        open_archive(path)
    store = open_store(path)
    await store.submit([new_task()], NOW)
    beside = open_archive(path)
    assert len(await beside.find(Filter())) == 1
    await beside.close()
    await store.close()
    alone = open_archive(path)
    assert (await alone.counts()).state(State.QUEUED) == 1
    await alone.close()


async def test_a_dying_writer_thread_tells_its_owner_and_its_waiters(tmp_path: Path) -> None:
    told: list[BaseException] = []
    store = open_store(tmp_path / "ygg.db", on_fatal=told.append)

    def die() -> None:
        raise SystemExit("planted")

    with pytest.raises((SystemExit, YggError)):
        await store._writer.post(die)
    await asyncio.to_thread(store._writer.join)
    assert told
    with pytest.raises(StoreError):
        await store.submit([new_task()], NOW)
    store._lock, handle = -1, store._lock
    await store._reader.close()
    store._db.close()
    os.close(handle)


async def test_an_unexpected_error_fails_its_own_operation_alone(tmp_path: Path) -> None:
    store = open_store(tmp_path / "ygg.db")

    def bug() -> None:
        raise RuntimeError("planted")

    good = store.submit([new_task()], NOW)
    bad = store._post(bug)
    with pytest.raises(RuntimeError):
        await bad
    assert isinstance((await good)[0], Submitted)
    await store.close()
    audit(tmp_path / "ygg.db")


async def test_lanes_first_seen_in_a_rolled_back_operation_are_not_remembered(
    tmp_path: Path,
) -> None:
    store: SqliteStore = open_store(tmp_path / "ygg.db")
    taken = new_task()
    await store.submit([taken], NOW)
    answers = await store.submit([new_task(lane=Lane("new")), taken], NOW)
    assert all(isinstance(a, YggError) for a in answers)
    (good,) = await store.submit([new_task(lane=Lane("new"))], NOW)
    assert isinstance(good, Submitted)
    assert [h.id for h in await store.heads(Lane("new"), Priority.NORMAL, 9)] == [good.task.id]
    await store.close()
    audit(tmp_path / "ygg.db")


async def test_a_first_start_that_was_killed_at_once_can_be_started_again(tmp_path: Path) -> None:
    path = tmp_path / "ygg.db"
    db = apsw.Connection(str(path))
    db.execute("PRAGMA journal_mode = WAL")
    db.close()
    assert path.stat().st_size > 0
    store = open_store(path)
    assert isinstance((await store.submit([new_task()], NOW))[0], Submitted)
    await store.close()


async def test_a_new_retention_counts_for_tasks_that_end_from_then_on(tmp_path: Path) -> None:
    store = open_store(tmp_path / "ygg.db", retention_s=1000)
    first, second = [a.task for a in await store.submit([new_task(), new_task()], NOW)]  # type: ignore[union-attr]
    await store.cancel(first.id, NOW)
    store.keep_for(5)
    await store.cancel(second.id, NOW)
    assert await store.prune(NOW + 6000) == 1
    assert await store.prune(NOW + 1_001_000) == 1
    await store.close()
