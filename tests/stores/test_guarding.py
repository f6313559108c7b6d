"""A database that is deleted, replaced or used by two behind the back of who has it open."""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import pytest

from tests.builders import new_task
from tests.stores.audit import audit
from ygg.errors import StoreCorrupt, StoreError, StoreGone, StoreLocked
from ygg.model import Submitted
from ygg.stores.sqlite import SqliteStore, guarding, inspecting, open_store

NOW = 1_800_000_000_000
HOLD = """
import asyncio, sys
from pathlib import Path
from typing import NoReturn
from tests.builders import new_task
from ygg.stores.sqlite import open_store
async def main():
    store = open_store(Path(sys.argv[1]))
    await store.submit([new_task()], 1_800_000_000_000)
    print("held", flush=True)
    sys.stdin.read()
asyncio.run(main())
"""


async def put(store: SqliteStore) -> None:
    (answer,) = await store.submit([new_task()], NOW)
    assert isinstance(answer, Submitted)


def tasks(path: Path) -> int:
    with sqlite3.connect(path) as db:
        found: int = db.execute("SELECT count(*) FROM tasks").fetchone()[0]
    db.close()
    return found


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ygg.db"


@pytest.fixture
def holder(path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that has the database open, with one task in it."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def lose(path: Path, how: str) -> None:
    if how == "deleted":
        path.unlink()
    elif how == "log deleted":
        path.with_name("ygg.db-wal").unlink()
    elif how == "index deleted":
        path.with_name("ygg.db-shm").unlink()
    elif how == "folder moved":
        path.parent.rename(path.parent.with_name("moved"))
    else:
        other = path.with_name("other.db")
        shutil.copy(path, other)
        other.replace(path)


@pytest.mark.parametrize(
    "how", ["deleted", "replaced", "log deleted", "index deleted", "folder moved"]
)
async def test_nothing_is_acknowledged_into_a_file_that_is_gone_and_what_is_known_is_saved(
    tmp_path: Path, how: str
) -> None:
    path = tmp_path / "state" / "ygg.db"
    fatal: list[BaseException] = []
    store = open_store(path, on_fatal=fatal.append)
    await put(store)
    lose(path, how)
    with pytest.raises(StoreError, match="nothing is stored any more"):
        await put(store)
    (saved,) = path.parent.glob("ygg.db.rescued-*")
    assert [type(error) for error in fatal] == [StoreGone]
    assert str(saved) in str(fatal[0])
    assert saved.stat().st_mode & 0o777 == 0o600
    await store.close()
    assert tasks(saved) == 1


async def test_an_idle_owner_notices_too(path: Path) -> None:
    """By the question that the dispatcher asks every two seconds."""
    store = open_store(path)
    await put(store)
    path.unlink()
    with pytest.raises(StoreError, match="was deleted"):
        await store.lanes()
    await store.close()


async def test_what_was_rescued_is_not_forgotten_for_an_empty_queue(path: Path) -> None:
    store = open_store(path)
    await put(store)
    path.unlink()
    with pytest.raises(StoreError):
        await put(store)
    await store.close()
    with pytest.raises(StoreGone, match="its tasks are in") as refused:
        open_store(path)
    (saved,) = path.parent.glob("ygg.db.rescued-*")
    assert f"mv {saved} {path}" in refused.value.hint
    assert not path.exists()
    saved.rename(path)
    store = open_store(path)
    await put(store)
    await store.close()
    audit(path)
    assert tasks(path) == 2


async def test_a_second_owner_is_refused_where_the_lock_file_was_removed(
    path: Path, holder: subprocess.Popen[str]
) -> None:
    shutil.rmtree(path.parent / "locks")
    for dispatcher in (True, False):
        with pytest.raises(StoreLocked, match=f"process {holder.pid}"):
            open_store(path, dispatcher=dispatcher)
    assert epoch(path) == 1


def epoch(path: Path) -> int:
    with sqlite3.connect(path) as db:
        (found,) = db.execute("SELECT value FROM meta WHERE key = 'epoch'").fetchone()
    db.close()
    return int(found)


async def test_a_killed_owner_s_log_must_be_there(
    path: Path, holder: subprocess.Popen[str]
) -> None:
    holder.kill()
    holder.wait()
    log = path.with_name("ygg.db-wal")
    log.rename(path.with_name("aside"))
    with pytest.raises(StoreGone, match="-wal is missing") as refused:
        open_store(path)
    assert f"touch {log}" in refused.value.hint
    path.with_name("ygg.db-shm").unlink(missing_ok=True)
    path.with_name("aside").rename(log)
    store = open_store(path)
    await store.close()
    assert tasks(path) == 1


async def test_a_command_after_a_kill_does_not_keep_the_next_dispatcher_out(
    path: Path, holder: subprocess.Popen[str]
) -> None:
    """It is the last to close, and so takes the log away: all of it is in the database by then."""
    holder.kill()
    holder.wait()
    command = open_store(path, dispatcher=False)
    await command.submit([new_task(id="another")], NOW)
    await command.close()
    assert not path.with_name("ygg.db-wal").exists()
    store = open_store(path)
    await store.close()
    assert tasks(path) == 2


async def test_the_way_out_without_the_log_is_as_told(
    path: Path, holder: subprocess.Popen[str]
) -> None:
    holder.kill()
    holder.wait()
    path.with_name("ygg.db-wal").unlink()
    path.with_name("ygg.db-shm").unlink(missing_ok=True)
    path.with_name("ygg.db-wal").touch()
    await open_store(path).close()
    audit(path)


async def test_no_copy_says_that_somebody_has_it(
    tmp_path: Path, path: Path, holder: subprocess.Popen[str]
) -> None:
    """A copy may get the very inode of the file that it is put in the place of."""
    backup = tmp_path / "backup.db"
    inspecting.copy(path, backup, lambda _, __: None)
    with sqlite3.connect(backup) as db:
        assert db.execute("SELECT * FROM meta WHERE key = 'owner'").fetchall() == []
    db.close()


async def test_an_owner_that_closed_and_a_copy_need_no_log(tmp_path: Path, path: Path) -> None:
    store = open_store(path)
    await put(store)
    await store.close()
    assert not path.with_name("ygg.db-wal").exists()
    await open_store(path).close()
    copy = tmp_path / "copy" / "ygg.db"
    copy.parent.mkdir()
    store = open_store(path)
    await put(store)
    with sqlite3.connect(path) as source, sqlite3.connect(copy) as target:
        source.backup(target)
    source.close()
    target.close()
    await open_store(copy).close()
    await store.close()


GARBLE = """
import sys
with open(sys.argv[1], "r+b") as file:
    for page in range(2, 12):
        file.seek(page * 4096)
        file.write(b"garbage" * 500)
"""


async def test_damage_is_found_while_the_database_is_open(path: Path) -> None:
    store = open_store(path)
    for _ in range(20):
        await put(store)
    await store.close()
    store = open_store(path)
    await store.verify()
    subprocess.run([sys.executable, "-c", GARBLE, str(path)], check=True)
    with pytest.raises(StoreCorrupt):
        await store.verify()
    await store.close()


def test_trouble_with_looking_is_no_proof_that_a_file_is_gone(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(path: Path) -> NoReturn:
        raise PermissionError(13, "Permission denied")

    path.touch()
    guard = guarding.Guard(path)
    with monkeypatch.context() as patch:
        patch.setattr(guarding, "identify", refused)
        guard.check()
    path.unlink()
    with pytest.raises(StoreGone):
        guard.check()


def test_a_process_is_told_from_a_later_one_with_its_number() -> None:
    me = guarding.Process(guarding._boot(), os.getpid(), "0", 1)
    assert not me.lives  # this process itself is no rival
    parent = me._replace(process=os.getppid(), started=guarding._started(os.getppid()))
    assert parent.lives
    assert not parent._replace(started="1").lives
    assert not parent._replace(boot="another start of the machine").lives


async def test_copies_of_before_a_migration_go_with_what_they_hold(path: Path) -> None:
    store = open_store(path, retention_s=60.0)
    old, fresh = (path.with_name(f"ygg.db.schema{n}.bak") for n in (1, 2))
    now = int(time.time())
    for copy, age in ((old, 61), (fresh, 59)):
        copy.touch()
        os.utime(copy, (now - age, now - age))
    await store.prune(now * 1000)
    assert (old.exists(), fresh.exists()) == (False, True)
    await store.close()


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_nobody_else_may_read_what_a_store_writes(tmp_path: Path, umask: int) -> None:
    path = tmp_path / "deep" / "state" / "ygg.db"
    before = os.umask(umask)
    try:
        store = open_store(path)

        async def scene() -> None:
            await put(store)
            modes = {p: p.stat().st_mode & 0o777 for p in (tmp_path / "deep").rglob("*")}
            assert set(modes.values()) <= {0o700, 0o600}, modes
            assert (tmp_path / "deep").stat().st_mode & 0o777 == 0o700
            await store.close()

        asyncio.run(scene())
    finally:
        os.umask(before)


async def test_a_state_directory_that_others_could_write_to_is_closed(path: Path) -> None:
    path.parent.chmod(0o777)
    await open_store(path).close()
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_who_has_a_database_is_told_with_where_he_listens(path: Path) -> None:
    from ygg import locking

    assert locking.owner(path) is None
    where = path.with_name("a b.sock")
    handle = locking.lock(path, dispatcher=True, socket=where)
    found = locking.owner(path)
    assert found == (os.getpid(), "dispatcher", path, where, os.geteuid())
    path.unlink()
    assert locking.owner(path) == found
    for dispatcher in (True, False):
        with pytest.raises(StoreLocked, match=str(os.getpid())):
            open_store(path, dispatcher=dispatcher)
    assert not path.exists()
    os.close(handle)
    assert locking.owner(path) is None
