"""Chapter G: a disk that is full or read-only, at the start and while ygg runs."""

from __future__ import annotations

import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cases.disk import Disk, disk, house_on
from tests.cases.house import House, config
from tests.cases.scripted import Reply, Script, scripted
from tests.system.rig import YGG, until

DONE = '{"message": {"content": "hi"}, "done": true}'
FULL, READ_ONLY = "the disk is full", "the disk is mounted read-only"


@pytest.fixture
def server() -> Iterator[Script]:
    with scripted(Reply(f"@pause 0.1\n{DONE}")) as script:
        yield script


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Disk]:
    with disk(tmp_path / "disk") as found:
        yield found


@pytest.fixture
def home(tmp_path: Path, small: Disk, server: Script) -> Iterator[House]:
    found = house_on(small, tmp_path, config({"surtr": server}))
    yield found
    found.stop()


def trouble(disk: Disk, kind: str) -> str:
    """Make it; the words it is told in."""
    if kind == FULL:
        disk.fill()
    else:
        disk.writable(False)
    return kind


def mend(disk: Disk, kind: str) -> None:
    if kind == FULL:
        disk.empty()
    else:
        disk.writable(True)


@pytest.mark.parametrize("known", [False, True], ids=["new", "with-database"])
@pytest.mark.parametrize("kind", [FULL, READ_ONLY])
def test_a_start_without_a_disk_waits_for_it(
    home: House, small: Disk, kind: str, known: bool
) -> None:
    before = home.submit("before") if known else None
    words = trouble(small, kind)
    process = home.spawn()
    until(lambda: words in home.text() or process.poll() is not None, 30, "it is told")
    refused = home.ygg("submit", "x")
    assert refused.returncode == 69
    assert words in refused.stderr
    assert "unexpected" not in refused.stderr + home.text()
    time.sleep(2.5)  # it has tried again
    assert process.poll() is None
    assert home.text().count(words) == 1
    mend(small, kind)
    until(home.answers, 30, "it goes on by itself")
    assert home.end(before or home.submit("after"))["state"] == "completed"
    assert home.stop() == 0
    assert "Traceback" not in home.text()


def test_a_wait_for_a_disk_ends_with_a_signal_and_is_told_to_systemd(
    home: House, small: Disk, tmp_path: Path
) -> None:
    small.fill()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(30)
        home.env["NOTIFY_SOCKET"] = str(tmp_path / "notify")
        process = home.spawn()
        told = ""
        while told.count("waiting: ") < 2:
            told += manager.recv(10_000).decode() + "\n"
        assert "READY" not in told
        assert told.count("EXTEND_TIMEOUT_USEC=600000000") >= 2
        assert FULL in told
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0


@pytest.mark.parametrize("kind", [FULL, READ_ONLY])
@pytest.mark.parametrize("words", ["submit x", "queue pause", "cancel 1234", "list", "doctor"])
def test_commands_without_a_daemon_say_what_is_wrong(
    home: House, small: Disk, kind: str, words: str
) -> None:
    home.submit("x", "--title", "before")
    told = trouble(small, kind)
    ran = home.ygg(*words.split())
    assert "unexpected" not in ran.stdout + ran.stderr
    assert "Traceback" not in ran.stderr
    if words == "list":  # what is there can be read
        assert ran.returncode == 0
        assert "before" in ran.stdout
    elif words != "doctor":
        assert ran.returncode == 69
        assert told in ran.stderr


def test_a_disk_that_fills_up_is_told_once_and_counted(
    home: House, small: Disk, server: Script
) -> None:
    home.output = small.path / "daemon.out"  # the console and the log are on it too
    home.start()
    server.reply = Reply(f"@pause 1\n{DONE}")
    tasks = [home.submit(f"task {n}") for n in range(3)]
    small.fill()
    began = time.monotonic()
    refused = 0
    while time.monotonic() - began < 5:
        refused += home.ygg("submit", "x").returncode == 69
    assert refused
    small.empty()
    for task in tasks:
        assert home.end(task)["state"] == "completed"
    home.submit("after")
    assert home.stop() == 0
    log = (home.state / "logs/ygg.log").read_text()
    for text in (log, home.text()):
        assert text.count(FULL) <= 2
        assert len(text) < 6000
        assert "Traceback" not in text
        assert "Logging error" not in text


def test_a_log_that_cannot_be_written_is_no_error_of_the_run(
    tmp_path: Path, server: Script
) -> None:
    path = tmp_path / "hosts.yaml"
    path.write_text(config({"surtr": server}))
    home = House(tmp_path, path)
    (tmp_path / "run").mkdir()
    with open("/dev/full", "w") as full:  # noqa: PTH123
        home.process = subprocess.Popen(
            [*YGG, "loop", "--no-view"], env=home.env, stdout=full, stderr=full
        )
    until(home.answers, 30, "it is ready")
    assert home.end(home.submit("x"))["state"] == "completed"
    assert home.stop() == 0
    assert (home.state / "logs/ygg.log").stat().st_size > 0
