"""A database has one owner, whatever it is called, and nothing takes the owner's locks away."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

from tests.builders import new_task
from tests.stores.audit import audit
from ygg import locking
from ygg.errors import StoreError, StoreLocked
from ygg.model import Submitted
from ygg.stores.sqlite import SqliteStore, inspecting, open_archive, open_store

pytestmark = pytest.mark.skipif(
    sqlite3.sqlite_version_info < (3, 37), reason="the foreign program is Python's own SQLite"
)

NOW = 1_800_000_000_000
LOOK = """
import sqlite3, sys
db = sqlite3.connect(sys.argv[1])
print(db.execute("SELECT count(*) FROM tasks").fetchone()[0])
db.close()
"""


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locking, "WAIT_S", 0.1)


@pytest.fixture
def waiting(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Set once somebody waits for a lock."""
    seen = threading.Event()
    taken = locking._taken

    def tell(handle: int, how: int) -> bool:
        got = taken(handle, how)
        if not got:
            seen.set()
        return got

    monkeypatch.setattr(locking, "_taken", tell)
    return seen


def looked(path: Path) -> int:
    """How many tasks another program finds there, which opens the database and closes it again."""
    done = subprocess.run(
        [sys.executable, "-c", LOOK, str(path)], capture_output=True, text=True, check=True
    )
    return int(done.stdout)


async def put(store: SqliteStore) -> None:
    (answer,) = await store.submit([new_task()], NOW)
    assert isinstance(answer, Submitted)


async def test_what_is_acknowledged_after_a_foreign_reader_has_left_is_there(
    tmp_path: Path,
) -> None:
    path = tmp_path / "ygg.db"
    await open_store(path).close()
    store = open_store(path)
    await put(store)
    archive = open_archive(path)
    assert inspecting.facts(path).newest_ms == NOW
    await archive.counts()
    await archive.close()
    with pytest.raises(StoreLocked):
        open_store(path)
    assert looked(path) == 1
    await put(store)
    assert looked(path) == 2
    await store.close()
    assert looked(path) == 2
    audit(path)


async def test_an_open_and_close_beside_sqlite_is_noticed_before_it_loses_anything(
    tmp_path: Path,
) -> None:
    """Why the database is never opened but by SQLite: a program that looks takes the log away. What would be
    written into it then is refused, and all that was known is saved."""
    path = tmp_path / "ygg.db"
    store = open_store(path)
    await put(store)
    path.open("rb").close()
    assert looked(path) == 1
    with pytest.raises(StoreError, match="-wal was deleted"):
        await put(store)
    (saved,) = tmp_path.glob("ygg.db.rescued-*")
    assert looked(saved) == 1
    await store.close()


@pytest.mark.parametrize("link", ["symlink", "folder", "same folder", "elsewhere", "dots"])
async def test_a_second_owner_is_refused_by_whatever_name_it_comes(
    tmp_path: Path, link: str
) -> None:
    path = tmp_path / "state" / "ygg.db"
    store = open_store(path)
    await put(store)
    (tmp_path / "other").mkdir()
    other = {
        "symlink": tmp_path / "other" / "ygg.db",
        "folder": tmp_path / "link" / "ygg.db",
        "same folder": path.with_name("second.db"),
        "elsewhere": tmp_path / "other" / "ygg.db",
        "dots": tmp_path / "other" / ".." / "state" / "ygg.db",
    }[link]
    if link == "symlink":
        other.symlink_to(path)
    elif link == "folder":
        other.parent.symlink_to(path.parent)
    elif link != "dots":
        other.hardlink_to(path)
    with pytest.raises(StoreError) as refused:
        open_store(other)
    if link == "elsewhere":
        assert "2 names" in refused.value.message
    else:
        assert isinstance(refused.value, StoreLocked)
        assert str(os.getpid()) in refused.value.message
    await put(store)
    await store.close()
    audit(path)


async def test_a_link_to_no_database_yet_and_its_target_are_one(tmp_path: Path) -> None:
    path, link = tmp_path / "state" / "ygg.db", tmp_path / "link.db"
    path.parent.mkdir()
    link.symlink_to(path)
    store = open_store(link)
    with pytest.raises(StoreLocked):
        open_store(path)
    await put(store)
    await store.close()
    assert looked(path) == 1
    assert path.stat().st_mode & 0o777 == 0o600


async def test_of_two_that_make_a_database_at_once_one_owns_it(
    tmp_path: Path, impatient: None
) -> None:
    path = tmp_path / "ygg.db"
    both = threading.Barrier(2)

    def start() -> SqliteStore | StoreLocked:
        both.wait()
        try:
            return open_store(path)
        except StoreLocked as error:
            return error

    found = await asyncio.gather(*(asyncio.to_thread(start) for _ in range(2)))
    (owner,) = [f for f in found if isinstance(f, SqliteStore)]
    assert owner.epoch == 1
    await put(owner)
    await owner.close()


async def test_a_database_that_was_exchanged_while_it_was_waited_for_is_the_one_that_is_owned(
    tmp_path: Path, waiting: threading.Event
) -> None:
    path, copy = tmp_path / "ygg.db", tmp_path / "copy.db"
    restored = open_store(copy)
    await put(restored)
    await restored.close()
    first = open_store(path, dispatcher=False)
    second = asyncio.ensure_future(asyncio.to_thread(open_store, path))
    await asyncio.to_thread(waiting.wait, 5)
    await first.close()  # its files are folded into one and can be replaced
    copy.replace(path)
    store = await second
    found = path.stat()
    held = os.fstat(store._lock)
    named = (path.parent / "locks" / locking.Identity(found.st_dev, found.st_ino).name).stat()
    assert held.st_ino == named.st_ino
    await store.close()


@pytest.mark.parametrize(("first", "second"), [(False, True), (True, False), (False, False)])
async def test_a_starting_daemon_and_a_command_wait_for_each_other(
    tmp_path: Path, waiting: threading.Event, first: bool, second: bool
) -> None:
    path = tmp_path / "ygg.db"
    owner = open_store(path, dispatcher=first)
    other = asyncio.ensure_future(asyncio.to_thread(open_store, path, dispatcher=second))
    assert await asyncio.to_thread(waiting.wait, 5)
    assert not other.done()
    await owner.close()
    store = await other
    await put(store)
    await store.close()


async def test_who_has_waited_long_enough_is_told_whose_it_is(
    tmp_path: Path, impatient: None
) -> None:
    path = tmp_path / "ygg.db"
    owner = open_store(path)
    with pytest.raises(StoreLocked, match=f"in use by another ygg .process {os.getpid()}"):
        open_store(path, dispatcher=False)
    await owner.close()


async def test_a_daemon_does_not_wait_for_another_one(
    tmp_path: Path, waiting: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "ygg.db"
    owner = open_store(path)
    monkeypatch.setattr(locking, "WAIT_S", 3600.0)
    with pytest.raises(StoreLocked):
        open_store(path)
    await owner.close()


async def test_a_lock_file_of_an_older_ygg_does_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "ygg.db"
    path.with_name("ygg.db.lock").write_text("4711\n")
    store = open_store(path)
    await put(store)
    await store.close()
    db = apsw.Connection(str(path))
    assert db.execute("SELECT count(*) FROM tasks").get == 1
    db.close()
