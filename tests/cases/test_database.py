"""The database and who has it: deleted, replaced, two daemons, other users, starts that meet."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.cases.house import House, config, house
from tests.cases.scripted import Reply, Script, scripted
from tests.system.rig import until

DONE = '{"message":{"content":"hello"},"done":false}\n{"message":{"content":""},"done":true}'
SLOW = f"@pause 60\n{DONE}"


@pytest.fixture
def server() -> Iterator[Script]:
    with scripted(Reply(DONE)) as script:
        yield script


def quick(server: Script) -> str:
    """A house that cuts its calls off soon when it ends."""
    return config({"surtr": server}, policies="{drain: 1s}")


def private(folder: Path, server: Script) -> House:
    """The daemon and commands of a person who has set nothing: their home decides."""
    path = folder / "hosts.yaml"
    path.write_text(config({"surtr": server}))
    found = House(folder, path)
    del found.env["YGG_STATE"]
    found.env["XDG_STATE_HOME"] = str(folder / "state")
    found.state = folder / "state/ygg"
    return found


# --- the file goes away ---------------------------------------------------------------------------


def test_no_task_is_stored_in_a_file_that_is_gone_and_none_is_lost(
    tmp_path: Path, server: Script
) -> None:
    text = config({"surtr": server}).replace("policies:", "  later: {route: [surtr]}\npolicies:")
    with house(tmp_path, text) as home:
        kept = [home.submit("--not-before", "1h", f"task {n}") for n in range(3)]
        home.database.unlink()
        refused = home.ygg("submit", "into nothing")
        assert refused.returncode != 0
        assert refused.stdout == ""
        assert home.wait() == 1
        (saved,) = home.state.glob("ygg.db.rescued-*")
        assert str(saved) in home.text()

        told = home.ygg("submit", "into a new one")
        assert told.returncode == 69
        assert f"mv {saved} {home.database}" in told.stderr
        assert "Traceback" not in told.stderr
        assert home.apart("loop").returncode == 69

        saved.rename(home.database)
        home.start()
        found = json.loads(home.ygg("list", "--json").stdout)["tasks"]
        assert {t["id"] for t in found} == set(kept)


def test_a_second_daemon_takes_no_task_from_the_first(tmp_path: Path) -> None:
    with scripted(Reply(SLOW)) as server, house(tmp_path, quick(server)) as home:
        task = home.submit("long work")
        until(lambda: server.calls, what="it runs")
        for way in ("symbolic link", "lock removed"):
            second = House(tmp_path / "second", home.config)
            second.folder.mkdir(exist_ok=True)
            if way == "lock removed":
                shutil.rmtree(home.state / "locks")
                second.env["YGG_STATE"] = str(home.state)
            else:
                second.state.mkdir(parents=True)
                second.database.symlink_to(home.database)
            done = second.apart("loop", "--no-view")
            assert done.returncode == 69, (way, done)
            assert "in use by another ygg" in done.stderr
        found = json.loads(home.ygg("show", task, "--json").stdout)
        assert (found["state"], found["attempt"], found["crashes"]) == ("processing", 1, 0)
        assert len(server.calls) == 1


# --- starts that meet -----------------------------------------------------------------------------


def test_a_daemon_and_commands_that_start_at_once_wait_for_each_other(
    tmp_path: Path, server: Script
) -> None:
    home = private(tmp_path, server)
    (tmp_path / "run").mkdir()
    with ThreadPoolExecutor(9) as pool:
        first = [pool.submit(home.apart, "submit", f"before {n}") for n in range(4)]
        home.spawn()
        second = [pool.submit(home.apart, "submit", f"beside {n}") for n in range(4)]
        done = [future.result() for future in [*first, *second]]
    try:
        assert [d.returncode for d in done] == [0] * 8, done
        ids = {d.stdout.strip() for d in done}
        assert len(ids) == 8
        until(home.answers, what="the daemon answers")
        until(lambda: all(home.task(i)["state"] == "completed" for i in ids), what="all have run")
    finally:
        assert home.stop() == 0


def test_parallel_submits_without_a_daemon_are_all_stored(tmp_path: Path, server: Script) -> None:
    home = private(tmp_path, server)
    with ThreadPoolExecutor(8) as pool:
        done = list(pool.map(lambda n: home.apart("submit", f"task {n}"), range(8)))
    assert [d.returncode for d in done] == [0] * 8, done
    listed = json.loads(home.ygg("list", "--json").stdout)["tasks"]
    assert {t["id"] for t in listed} == {d.stdout.strip() for d in done}


# --- who is meant ---------------------------------------------------------------------------------


def test_cron_and_su_find_the_daemon_without_a_runtime_directory(
    tmp_path: Path, server: Script
) -> None:
    home = private(tmp_path, server)
    home.start()
    try:
        del home.env["XDG_RUNTIME_DIR"]
        task = home.submit("from cron")
        assert home.ygg("wait", task, "--timeout", "20").returncode == 0
        home.env["XDG_RUNTIME_DIR"] = str(tmp_path / "elsewhere")
        assert json.loads(home.ygg("status", "--json").stdout)["daemon"]["pid"]
    finally:
        home.stop()


LISTEN = """
import os, socket, sys
listener = socket.socket(socket.AF_UNIX)
os.setgroups([]); os.setgid(65534); os.setuid(65534)
listener.bind(sys.argv[1]); listener.listen(); print("there", flush=True)
while True:
    conn, _ = listener.accept()
    heard = conn.recv(65536)
    print("heard" if heard else "nothing", flush=True)
    conn.close()
"""


@contextmanager
def stranger(path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another user who listens at `path`."""
    path.parent.mkdir(parents=True)
    path.parent.chmod(0o777)
    process = subprocess.Popen(
        [sys.executable, "-c", LISTEN, str(path)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == "there\n"
        path.chmod(0o777)
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be two users")
def test_no_prompt_is_handed_to_a_stranger_s_socket(server: Script) -> None:
    folder = Path(os.path.realpath("/tmp")) / f"ygg-stranger-{os.getpid()}"
    folder.mkdir(mode=0o755)
    try:
        home = private(folder, server)
        home.env["XDG_RUNTIME_DIR"] = str(folder / "theirs")
        with stranger(folder / "theirs/ygg/ygg.sock") as process:
            done = home.ygg("submit", "secret")
            assert done.returncode == 69
            assert "belongs to another user" in done.stderr
            assert process.stdout is not None
            assert process.stdout.readline() == "nothing\n"
    finally:
        shutil.rmtree(folder)


def test_where_a_service_is_installed_its_queue_is_meant_and_no_other(
    tmp_path: Path, server: Script
) -> None:
    home = private(tmp_path, server)
    home.env["XDG_CONFIG_HOME"] = str(tmp_path / "config")
    before = home.submit("before it was installed")
    unit = tmp_path / "config/systemd/user/ygg.service"
    unit.parent.mkdir(parents=True)
    unit.write_text("[Service]\n")
    for command in (["submit", "x"], ["list"], ["show", before], ["cancel", before]):
        done = home.ygg(*command)
        assert done.returncode == 69, done
        assert "the ygg service is installed here" in done.stderr
        assert "systemctl --user start ygg" in done.stderr
        assert done.stdout == ""
    home.spawn()
    try:
        assert home.wait(10) == 1
        assert "YGG_STATE" in home.text()
    finally:
        home.stop()

    home.env["YGG_STATE"] = str(home.state)
    assert before in home.ygg("list").stdout
    assert home.ygg("submit", "asked for").returncode == 0


def test_a_socket_that_was_named_is_the_only_one(tmp_path: Path, server: Script) -> None:
    home = private(tmp_path, server)
    home.env["YGG_SOCKET"] = str(tmp_path / "gone.sock")
    done = home.ygg("submit", "x")
    assert (done.returncode, done.stdout) == (69, "")
    assert not home.database.exists()


# --- what others may read ---------------------------------------------------------------------------


@pytest.mark.parametrize("umask", [0o000, 0o022])
def test_no_file_of_a_daemon_may_be_read_by_others(
    tmp_path: Path, server: Script, umask: int
) -> None:
    before = os.umask(umask)
    try:
        with house(tmp_path, config({"surtr": server})) as home:
            home.end(home.submit("a secret"))
            found = [home.state, *home.state.rglob("*")]
            open_ = {p: oct(p.stat().st_mode) for p in found if p.stat().st_mode & 0o077}
            assert open_ == {}
    finally:
        os.umask(before)


def test_an_answer_goes_to_its_file_and_not_where_a_planted_link_leads(
    tmp_path: Path, server: Script
) -> None:
    with house(tmp_path, config({"surtr": server})) as home:
        task = home.submit("x")
        home.end(task)
        victim, out = tmp_path / "victim", tmp_path / "answer.txt"
        victim.write_text("mine")
        out.with_name(".answer.txt.part").symlink_to(victim)
        assert home.ygg("result", task, "-o", str(out)).returncode == 0
        assert (victim.read_text(), out.read_text()) == ("mine", "hello")
        assert out.stat().st_mode & 0o777 == 0o600
        out.chmod(0o640)
        assert home.ygg("result", task, "-o", str(out)).returncode == 0
        assert out.stat().st_mode & 0o777 == 0o640
