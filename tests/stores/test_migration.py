"""A database of an older ygg is brought up to date: nothing is lost, and a copy of it is kept."""

from __future__ import annotations

from pathlib import Path

import apsw
import pytest

from tests.builders import ANSWER, claim_of, new_task
from tests.stores.audit import audit
from ygg.errors import StoreError
from ygg.model import Lane, MinuteRow, Operation, Priority, State, Submitted, Task
from ygg.ports import Filter
from ygg.stores.sqlite import open_archive, open_store, opening

NOW = 1_800_000_000_000
ROW = MinuteRow("surtr", NOW, 12, 2, 2, 1.0, 0)
ALL = list(opening._schema_files())
DUMP = Path(__file__).with_name("schema2.sql")
OLD = "SELECT * FROM tasks ORDER BY seq"


def old_database(path: Path, schema: int = 2) -> list[tuple[object, ...]]:
    """A database as an older ygg wrote it, with tasks in every state; its rows of tasks."""
    db = apsw.Connection(str(path))
    db.execute(DUMP.read_text(encoding="utf-8"))
    if schema == 1:
        db.execute("DROP TABLE minutes; PRAGMA user_version = 1")
    for number, sql in ALL[2:schema]:
        db.execute(sql)
        db.execute(f"PRAGMA user_version = {number}")
    rows = db.execute(OLD).fetchall()
    db.close()
    return rows


def version(path: Path) -> int:
    db = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    found: int = db.execute("PRAGMA user_version").get
    db.close()
    return found


async def all_tasks(path: Path) -> list[Task]:
    archive = open_archive(path)
    found = await archive.find(Filter(limit=100))
    await archive.close()
    return found


@pytest.mark.parametrize("schema", [1, 2, 3, 4, 7, 8])
async def test_every_task_is_as_it_was(tmp_path: Path, schema: int) -> None:
    path = tmp_path / "ygg.db"
    old_database(path, schema)
    before = await all_tasks(path)
    assert {t.state for t in before} == set(State)
    store = open_store(path)
    assert version(path) == len(ALL) == opening.newest_schema()
    assert await store.find(Filter(limit=100)) == before
    assert {(t.rank, t.call) for t in before} == {(0, None)}
    assert await store.result("completed-1") == ANSWER
    assert [len(await store.log(t.id)) for t in before] == [2, 2, 3, 3, 3, 3, 2, 3, 1, 1, 1]
    assert (await store.holds()).drained == {"surtr"}
    await store.close()
    audit(path)


async def test_the_tasks_of_an_old_database_go_on(tmp_path: Path) -> None:
    path = tmp_path / "ygg.db"
    old_database(path)
    store = open_store(path)
    found = await store.recover(NOW + 3, 5)
    assert (found.requeued, found.cancelled) == (1, 1)
    heads = await store.heads(Lane("general"), Priority.NORMAL, 9)
    assert [(h.id, h.rank) for h in heads] == [("processing-1", 0)]
    (claimed,) = await store.claim([claim_of(heads[0])], NOW + 4)
    assert claimed is not None
    assert claimed.attempt == 2
    due = (await store.promote(NOW + 5000)).queued
    assert [(h.id, h.lane) for h in due] == [
        ("scheduled-1", Lane("general")),
        ("scheduled-2", Lane("general", model="Größe", refused=("a/b/c",))),
    ]
    again = await store.retry(["failed-1", "blocked-1", "cancelled-1", "expired-1"], NOW + 6)
    assert [a.lane for a in again if isinstance(a, Task)] == [Lane("general")] * 4
    keys = [key for (key,) in store._db.execute("SELECT key FROM lanes")]
    assert [Lane.parse(key).key for key in keys] == keys
    await store.close()
    audit(path)


async def test_a_database_of_schema_1_gets_its_minutes(tmp_path: Path) -> None:
    path = tmp_path / "ygg.db"
    old_database(path, 1)
    store = open_store(path)
    await store.record_minutes([ROW])
    assert await store.minutes(None, 0) == [ROW]
    await store.close()


@pytest.mark.parametrize("schema", [1, 2, 3, 4, 7, 8])
async def test_the_copy_made_before_is_whole_and_as_old_as_it_was(
    tmp_path: Path, schema: int
) -> None:
    path = tmp_path / "ygg.db"
    rows = old_database(path, schema)
    store = open_store(path)
    await store.submit([new_task()], NOW + 5)
    await store.close()
    (copy,) = tmp_path.glob("*.bak")
    assert copy.name == f"ygg.db.schema{schema}.bak"
    assert version(copy) == schema
    assert copy.stat().st_mode & 0o777 == 0o600
    audit(copy)
    db = apsw.Connection(str(copy))
    assert db.execute(OLD).fetchall() == rows
    db.close()


@pytest.mark.parametrize("schema", [1, 7])
async def test_an_old_database_takes_new_operations_and_no_others(
    tmp_path: Path, schema: int
) -> None:
    path = tmp_path / "ygg.db"
    old_database(path, schema)
    store = open_store(path)
    (answer,) = await store.submit([new_task(operation=Operation.TRANSCRIBE)], NOW + 5)
    assert isinstance(answer, Submitted)
    (other,) = await store.submit([new_task(operation="sing")], NOW + 5)
    assert isinstance(other, StoreError)
    await store.close()
    audit(path)


async def test_one_that_is_up_to_date_is_copied_no_more(tmp_path: Path) -> None:
    path = tmp_path / "ygg.db"
    old_database(path)
    await open_store(path).close()
    copy = tmp_path / "ygg.db.schema2.bak"
    copy.unlink()
    await open_store(path).close()
    await open_store(tmp_path / "fresh.db").close()
    assert list(tmp_path.glob("*.bak")) == []


async def test_a_migration_that_fails_leaves_the_database_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "ygg.db"
    rows = old_database(path, 1)
    with monkeypatch.context() as broken:
        files = [ALL[0], (2, "CREATE TABLE minutes (x); CREATE nonsense")]
        broken.setattr(opening, "_schema_files", lambda: iter(files))
        with pytest.raises(StoreError):
            open_store(path)
    assert version(path) == 1
    store = open_store(path)
    assert len(await store.find(Filter())) == len(rows)
    await store.record_minutes([ROW])
    await store.close()


@pytest.mark.parametrize("schema", [1, 2, 3, 4, 7, 8])
async def test_a_database_that_is_still_old_can_be_read(tmp_path: Path, schema: int) -> None:
    path = tmp_path / "ygg.db"
    rows = old_database(path, schema)
    archive = open_archive(path)
    assert await archive.minutes(None, 0) == [ROW][: schema - 1]
    assert len(await archive.find(Filter(queue_order=True))) == len(rows)
    assert await archive.result("completed-1") == ANSWER
    assert await archive.pruned("completed-1") is None
    task = await archive.get("queued-1")
    assert task == await archive.get("ued-1")
    waiting = await archive.get("queued-2")
    assert await archive.ahead(waiting, [Lane("general")], 9) == 1
    assert await archive.ahead(task, [Lane("general")], 9) == 0
    await archive.close()
    assert version(path) == schema


def test_schemas_are_numbered_without_a_gap() -> None:
    assert [number for number, _ in ALL] == list(range(1, len(ALL) + 1))
