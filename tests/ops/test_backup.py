"""`ygg backup`: whole or not at all, beside a working daemon."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import apsw
import pytest

from tests.surface.cli import Cli
from tests.system.rig import daemon, hosts_yaml, sim_servers, until
from ygg.errors import Interrupted, StoreCorrupt, YggError
from ygg.ops import backup
from ygg.stores.sqlite import inspecting


def ids(path: Path) -> set[str]:
    """The tasks of a sound database."""
    db = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    assert db.execute("PRAGMA integrity_check").get == "ok"
    found = {str(row[0]) for row in db.execute("SELECT id FROM tasks")}
    db.close()
    return found


def beside(target: Path) -> list[str]:
    return sorted(p.name for p in target.parent.iterdir() if target.name in p.name)


def nothing(_done: int, _total: int) -> None:
    pass


@pytest.fixture
def database(offline: Cli) -> Path:
    offline.submit("one")
    return offline.state / "ygg.db"


@pytest.fixture
def large(database: Path) -> Path:
    """Several steps of a copy long."""
    db = apsw.Connection(str(database))
    db.execute("CREATE TABLE ballast (x BLOB) STRICT")
    for _ in range(12):
        db.execute("INSERT INTO ballast VALUES (zeroblob(1000000))")
    db.close()
    return database


def test_the_copy_is_one_sound_file_with_all_tasks(offline: Cli) -> None:
    stored = {offline.submit(f"task {n}") for n in range(3)}
    target = offline.folder / "copy.db"
    body = offline.ok("backup", str(target), "--json").json
    assert ids(target) == stored
    assert beside(target) == ["copy.db"]
    assert body["schema"] == "ygg.backup/1"
    assert (body["tasks"], body["bytes"]) == (3, target.stat().st_size)
    assert target.stat().st_mode & 0o077 == 0


def test_the_copy_can_take_the_place_of_the_database(offline: Cli, database: Path) -> None:
    target = offline.folder / "copy.db"
    offline.ok("backup", str(target))
    for file in database.parent.iterdir():
        if file.is_file():
            file.unlink()
    target.rename(database)
    assert len(offline.ok("list", "--json").json["tasks"]) == 1
    offline.submit("two")


def test_no_database_exits_3_and_leaves_no_file(offline: Cli) -> None:
    target = offline.folder / "copy.db"
    ran = offline("backup", str(target))
    assert ran.code == 3
    assert "no database" in ran.err
    assert beside(target) == []


def test_an_existing_file_is_replaced_only_with_force(offline: Cli, database: Path) -> None:
    target = offline.folder / "copy.db"
    target.write_text("precious")
    ran = offline("backup", str(target))
    assert ran.code == 1
    assert "--force" in ran.err
    assert target.read_text() == "precious"
    offline.ok("backup", str(target), "--force")
    assert len(ids(target)) == 1


@pytest.mark.parametrize("name", ["ygg.db", "ygg.db-wal", "ygg.db.lock", "../ygg/ygg.db"])
def test_the_database_itself_is_never_replaced(offline: Cli, database: Path, name: str) -> None:
    before = database.read_bytes()
    ran = offline("backup", str(database.parent / name), "--force")
    assert ran.code == 2
    assert database.read_bytes() == before
    link = offline.folder / "link.db"
    link.symlink_to(database)
    assert offline("backup", str(link), "--force").code == 2


@pytest.mark.parametrize("target", ["/dev/full", "/proc", "gone/copy.db"])
def test_a_target_that_cannot_be_written_says_so(offline: Cli, database: Path, target: str) -> None:
    ran = offline("backup", str(offline.folder / target), "--force")
    assert ran.code in (1, 2)
    assert target in ran.err
    assert "Traceback" not in ran.err


def test_a_damaged_database_gives_no_backup(offline: Cli, large: Path) -> None:
    """A chain of pages is cut where no statement of the copy looks: only the check can see it."""
    raw = bytearray(large.read_bytes())
    page = len(raw) // 2 // 4096 * 4096
    raw[page : page + 4] = bytes(4)
    large.write_bytes(raw)
    target = offline.folder / "copy.db"
    ran = offline("backup", str(target))
    assert ran.code == StoreCorrupt.exit_code, ran
    assert "the copy of" in ran.err
    assert beside(target) == []


def test_a_foreign_database_is_no_backup(offline: Cli) -> None:
    foreign, target = offline.folder / "foreign.db", offline.folder / "copy.db"
    db = apsw.Connection(str(foreign))
    db.execute("CREATE TABLE x (y)")
    db.close()
    with pytest.raises(StoreCorrupt):
        backup.back_up(foreign, target, force=False, progress=nothing)
    assert beside(target) == []


def test_a_full_disk_leaves_nothing(
    offline: Cli, large: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    target = offline.folder / "copy.db"
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(YggError, match="No space left"):
        backup.back_up(large, target, force=False, progress=nothing)
    assert beside(target) == []


def test_an_interrupted_backup_leaves_nothing(offline: Cli, large: Path) -> None:
    def stop(done: int, total: int) -> None:
        assert done < total
        raise Interrupted("stopped")

    target = offline.folder / "copy.db"
    with pytest.raises(Interrupted):
        backup.back_up(large, target, force=False, progress=stop)
    assert beside(target) == []


def test_two_backups_to_one_file_do_not_mix(offline: Cli, large: Path) -> None:
    target = offline.folder / "copy.db"
    refused: list[YggError] = []

    def second(_done: int, _total: int) -> None:
        if not refused:
            with pytest.raises(YggError, match="another backup") as error:
                backup.back_up(large, target, force=True, progress=nothing)
            refused.append(error.value)

    backup.back_up(large, target, force=True, progress=second)
    assert refused
    assert len(ids(target)) == 1


def test_tasks_stored_during_the_copy_do_not_make_it_start_again(large: Path) -> None:
    """The copy is of one moment, however much is written meanwhile."""
    target = large.with_name("copy.db")
    before = ids(large)
    seen: list[int] = []
    db = apsw.Connection(str(large))
    db.set_busy_timeout(5000)

    def write(done: int, _total: int) -> None:
        seen.append(done)
        if len(seen) < 20:  # a copy that starts again at every write would never end
            db.execute("INSERT INTO ballast VALUES (zeroblob(100000))")

    backup.back_up(large, target, force=False, progress=write)
    db.close()
    assert len(seen) > 2
    assert seen == sorted(set(seen))
    assert ids(target) == before


HANGING = """
import sys
from pathlib import Path
from ygg.ops import backup
def hang(done, total):
    print("copying", flush=True)
    sys.stdin.read()
backup.back_up(Path(sys.argv[1]), Path(sys.argv[2]), force=True, progress=hang)
"""


@pytest.fixture
def target(offline: Cli) -> Path:
    return offline.folder / "out" / "copy.db"


@pytest.fixture
def killed(large: Path, target: Path) -> None:
    """A backup has been killed in the middle of its copy."""
    target.parent.mkdir()
    process = subprocess.Popen(
        [sys.executable, "-c", HANGING, str(large), str(target)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == b"copying\n"
    process.kill()
    process.communicate()


def test_a_killed_backup_leaves_no_half_file(large: Path, target: Path, killed: None) -> None:
    assert not target.exists()
    backup.back_up(large, target, force=False, progress=nothing)
    assert len(ids(target)) == 1
    assert beside(target) == ["copy.db"]


def test_sigterm_ends_a_backup_cleanly(
    offline: Cli, large: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def terminate(*_: object) -> int:
        os.kill(os.getpid(), signal.SIGTERM)
        return 0

    monkeypatch.setattr(inspecting, "copy", terminate)
    target = offline.folder / "copy.db"
    ran = offline("backup", str(target))
    assert ran.code == 130
    assert beside(target) == []


def test_progress_is_shown_on_a_terminal_only(
    offline: Cli, large: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import ygg.cli.backup

    monkeypatch.setattr(ygg.cli.backup, "SHOW_AFTER_S", 0.0)
    monkeypatch.setattr(ygg.cli.backup, "SHOW_EVERY_S", 0.0)
    assert "%" in offline.ok("backup", str(offline.folder / "a.db"), tty=True).err
    assert offline.ok("backup", str(offline.folder / "b.db")).err == ""


def test_a_backup_under_load_holds_what_was_acknowledged(tmp_path: Path) -> None:
    slots = {"a": 2}
    with sim_servers(tmp_path, 0.0, slots) as urls:
        config = hosts_yaml(tmp_path / "hosts.yaml", urls, slots)
        with daemon(tmp_path, config, "--no-view") as running:
            stop, acknowledged = threading.Event(), list[str]()

            def load() -> None:
                desk = running.remote()
                while not stop.is_set():
                    answers = desk.submit([{"prompt": "x" * 2000}] * 20)
                    acknowledged.extend(a["id"] for a in answers)
                desk.close()

            writer = threading.Thread(target=load)
            writer.start()
            try:
                for n in range(3):
                    until(lambda least=100 * (n + 1): len(acknowledged) >= least)
                    before = set(acknowledged)
                    target = tmp_path / f"copy{n}.db"
                    done = running.ygg("backup", str(target))
                    assert done.returncode == 0, done
                    assert before <= ids(target)
            finally:
                stop.set()
                writer.join(20)
            assert ids(target) <= set(acknowledged) | ids(running.database)
