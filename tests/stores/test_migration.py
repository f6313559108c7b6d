"""A database of an older ygg is brought up to date: nothing is lost, and a copy of it is kept."""

from __future__ import annotations

from pathlib import Path

import apsw
import pytest

from tests.builders import ANSWER, claim_of, end_of, new_task
from tests.stores.audit import audit
from ygg.errors import StoreError
from ygg.model import MinuteRow, State, Submitted, Task
from ygg.ports import Filter
from ygg.stores.sqlite import open_archive, open_store, opening

NOW = 1_800_000_000_000
ROW = MinuteRow("surtr", NOW, 12, 2, 2, 1.0, 0)
ALL = list(opening._schema_files())


def knowing(patch: pytest.MonkeyPatch, files: list[tuple[int, str]]) -> None:
    """From now on these are the schemas that ygg knows."""
    patch.setattr(opening, "_schema_files", lambda: iter(files))


async def old_database(path: Path, patch: pytest.MonkeyPatch) -> list[Task]:
    """A database of schema 1: a waiting task, a running one, an ended one with its result."""
    with patch.context() as before:
        knowing(before, ALL[:1])
        store = open_store(path)
        answers = await store.submit([new_task(title=f"old {n}") for n in range(3)], NOW)
        tasks = [a.task for a in answers if isinstance(a, Submitted)]
        claims = [claim_of(t) for t in tasks[1:]]
        ended = (await store.claim(claims, NOW + 1))[1]
        assert ended is not None
        await store.finish([end_of(ended)], NOW + 2)
        await store.hold("surtr", True)
        await store.close()
    return tasks


def version(path: Path) -> int:
    db = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    found: int = db.execute("PRAGMA user_version").get
    db.close()
    return found


async def test_a_database_of_schema_1_keeps_its_tasks_and_gets_its_minutes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "ygg.db"
    waiting, running, ended = await old_database(path, monkeypatch)
    assert version(path) == 1
    store = open_store(path)
    assert version(path) == len(ALL) == opening.newest_schema()
    assert await store.get(waiting.id) == waiting
    assert (await store.get(running.id)).state is State.PROCESSING
    assert await store.result(ended.id) == ANSWER
    assert len(await store.log(ended.id)) == 3
    assert (await store.holds()).drained == {"surtr"}
    assert (await store.recover(NOW + 3, 5)).requeued == 1
    await store.record_minutes([ROW])
    assert await store.minutes(None, 0) == [ROW]
    await store.close()
    audit(path)


async def test_the_copy_made_before_is_whole_and_an_older_ygg_can_use_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "ygg.db"
    tasks = await old_database(path, monkeypatch)
    store = open_store(path)
    await store.submit([new_task()], NOW + 5)
    await store.close()
    copy = tmp_path / "ygg.db.schema1.bak"
    assert version(copy) == 1
    audit(copy)
    knowing(monkeypatch, ALL[:1])
    old = open_store(copy)
    assert {t.id for t in await old.find(Filter())} == {t.id for t in tasks}
    await old.close()


async def test_one_that_is_up_to_date_is_copied_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "ygg.db"
    await old_database(path, monkeypatch)
    await open_store(path).close()
    copy = tmp_path / "ygg.db.schema1.bak"
    copy.unlink()
    await open_store(path).close()
    await open_store(tmp_path / "fresh.db").close()
    assert list(tmp_path.glob("*.bak")) == []


async def test_a_migration_that_fails_leaves_the_database_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "ygg.db"
    tasks = await old_database(path, monkeypatch)
    with monkeypatch.context() as broken:
        knowing(broken, [ALL[0], (2, "CREATE TABLE minutes (x); CREATE nonsense")])
        with pytest.raises(StoreError):
            open_store(path)
    assert version(path) == 1
    store = open_store(path)
    assert len(await store.find(Filter())) == len(tasks)
    await store.record_minutes([ROW])
    await store.close()


async def test_a_reader_of_a_database_that_is_still_old_finds_no_minutes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "ygg.db"
    tasks = await old_database(path, monkeypatch)
    archive = open_archive(path)
    assert await archive.minutes(None, 0) == []
    assert len(await archive.find(Filter())) == len(tasks)
    await archive.close()
    assert version(path) == 1


def test_schemas_are_numbered_without_a_gap() -> None:
    assert [number for number, _ in ALL] == list(range(1, len(ALL) + 1))
