"""The daemon as a systemd service, with systemd's part played by a datagram socket."""

from __future__ import annotations

import json
import re
import shutil
import signal
import socket
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import pytest

from tests.system import confined
from tests.system.rig import hosts_yaml, running, sim_servers, until
from tests.system.systemd import Manager, Service, manager, service
from ygg.ops.service.installing import UNITS

SLOTS = {"a": 2}
FAST = {"WATCHDOG_USEC": "400000"}

BLOCKED_LOOP = """
import asyncio, time
from ygg.running import chores
async def prune(loop, archive):
    await asyncio.sleep(1)
    time.sleep(600)
chores.prune = prune
"""
BLOCKED_WRITER = """
import asyncio, time
from ygg.running import chores
from ygg.stores.sqlite.verbs import Verbs
pruning = chores.prune
async def prune(loop, archive):
    await asyncio.sleep(1)
    await pruning(loop, archive)
chores.prune = prune
Verbs.prune = lambda *args: time.sleep(600)
"""
CHILD_AT_START = """
import subprocess, sys, ygg.config
reading = ygg.config.load_found
def load_found(*args):
    subprocess.run(["/usr/bin/env"])
    return reading(*args)
ygg.config.load_found = load_found
"""


@pytest.fixture(scope="module")
def urls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    with sim_servers(tmp_path_factory.mktemp("sims"), 2.0, SLOTS) as found:
        yield found


@pytest.fixture
def config(tmp_path: Path, urls: dict[str, str]) -> Path:
    return hosts_yaml(tmp_path / "hosts.yaml", urls, SLOTS)


@pytest.fixture
def systemd(tmp_path: Path) -> Iterator[Manager]:
    with manager(tmp_path / "notify") as found:
        yield found


def running_task(target: Service) -> str:
    """A task that a host works on now."""
    task = target.ygg("submit", "work").stdout.strip()
    until(lambda: running(target, task))
    return task


def shown(target: Service, task: str) -> dict[str, str]:
    found: dict[str, str] = json.loads(target.ygg("show", task, "--json").stdout)
    return found


def test_ready_means_that_the_socket_answers_though_a_host_is_silent(
    tmp_path: Path, systemd: Manager
) -> None:
    with socket.socket() as silent:  # accepts and never answers
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        config = hosts_yaml(tmp_path / "hosts.yaml", {"a": url}, SLOTS)
        target = Service(tmp_path, config, systemd)
        answered: list[bool] = []

        def at_once(message: dict[str, str]) -> None:
            if "READY" in message:
                answered.append(target.answers())

        systemd.on_message = at_once
        with service(target):
            systemd.wait("READY")
            until(lambda: answered)
            assert answered == [True]
            assert systemd.heard[0][1].keys() == {"EXTEND_TIMEOUT_USEC", "STATUS"}
            assert systemd.of("STATUS")[:2] == [
                "opening the database", "0 running, 0 waiting, 0 of 1 host up",
            ]  # fmt: skip


def test_the_status_line_follows_the_work(tmp_path: Path, config: Path, systemd: Manager) -> None:
    with service(Service(tmp_path, config, systemd)) as target:
        systemd.wait("READY")
        until(lambda: "0 running, 0 waiting, 1 of 1 host up" in systemd.of("STATUS"))
        for _ in range(6):
            target.ygg("submit", "work")
        until(lambda: any(s.startswith("2 running, ") for s in systemd.of("STATUS")))


def test_the_directories_of_the_unit_are_used(
    tmp_path: Path, config: Path, systemd: Manager
) -> None:
    with service(Service(tmp_path, config, systemd)) as target:
        systemd.wait("READY")
        assert target.socket.stat().st_mode & 0o777 == 0o660
        assert target.database.exists()
        assert (target.state / "logs/ygg.log").exists()


def test_after_a_broken_edit_a_service_starts_on_the_last_good_configuration_and_says_so(
    tmp_path: Path, config: Path, systemd: Manager
) -> None:
    with service(Service(tmp_path, config, systemd)) as target:
        systemd.wait("READY")
        task = target.ygg("submit", "work").stdout.strip()
        until(lambda: (target.state / "hosts.yaml.good").exists())
        config.write_text(config.read_text() + "hots: {}\n")
        target.kill()
    with service(target):
        until(lambda: len(systemd.of("READY")) == 2)
        for told in (target.ygg("status").stdout, target.ygg("top", "--once").stdout):
            assert "the one of before is in force" in told
        assert "hots" in json.loads(target.ygg("status", "--json").stdout)["daemon"]["config_error"]
        assert "hots" in target.text()
        assert "started on the last good one" in target.text()
        assert target.ygg("wait", task, "--timeout", "20").returncode == 0
        config.write_text(config.read_text().replace("hots: {}\n", ""))
        target.signal(signal.SIGHUP)
        until(lambda: len(systemd.of("READY")) == 3)
        assert json.loads(target.ygg("status", "--json").stdout)["daemon"]["config_error"] is None
        target.signal(signal.SIGTERM)
        assert target.wait() == 0


def test_without_a_good_configuration_there_is_nothing_to_start_on(
    tmp_path: Path, config: Path, systemd: Manager
) -> None:
    config.write_text("hosts: [broken\n")
    with service(Service(tmp_path, config, systemd)) as target:
        assert target.wait() == 78
    assert "Traceback" not in target.text()


HANDED = "import os; os.dup2({}, 3); os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS='1')"


def test_the_socket_of_the_service_manager_outlives_the_daemon_and_who_comes_meanwhile_waits(
    tmp_path: Path, config: Path, systemd: Manager
) -> None:
    with socket.socket(socket.AF_UNIX) as kept, ThreadPoolExecutor(1) as pool:
        path = tmp_path / "kept.sock"
        kept.bind(str(path))
        kept.listen()
        target = Service(tmp_path, config, systemd, HANDED.format(kept.fileno()))
        target.inherits = (kept.fileno(),)
        with service(target):
            systemd.wait("READY")
            assert not target.socket.exists()
            first = target.apart("submit", "while it runs")
            target.signal(signal.SIGTERM)
            assert target.wait() == 0
        target.env["YGG_SOCKET"] = str(path)
        meanwhile = pool.submit(target.apart, "submit", "while it is away")
        with service(target):
            assert meanwhile.result(60).returncode == first.returncode == 0
            target.signal(signal.SIGTERM)
            target.signal(signal.SIGTERM)
            assert target.wait() == 0


def test_the_watchdog_is_fed_twice_per_interval_also_while_draining(
    tmp_path: Path, config: Path, systemd: Manager
) -> None:
    with service(Service(tmp_path, config, systemd, WATCHDOG_USEC="800000")) as target:
        systemd.wait("WATCHDOG")
        time.sleep(2.0)
        running_task(target)
        target.signal(signal.SIGTERM)
        assert target.wait() == 0
        (stopped,) = systemd.times("STOPPING")[:1]
        fed = systemd.times("WATCHDOG")
        assert all(b - a < 0.8 for a, b in pairwise(fed)), "it would have been killed"
        assert len(fed) > 0.7 * (fed[-1] - fed[0]) / 0.4
        assert all(b - a > 0.3 for a, b in pairwise(fed)), "not more often than needed"
        assert any(at > stopped for at in fed)


@pytest.mark.parametrize(
    ("plant", "where"), [(BLOCKED_LOOP, "in prune"), (BLOCKED_WRITER, "in run")]
)
def test_a_hang_is_not_fed_and_its_stack_is_shown(
    tmp_path: Path, config: Path, systemd: Manager, plant: str, where: str
) -> None:
    with service(Service(tmp_path, config, systemd, plant, **FAST)) as target:
        systemd.wait("READY")
        time.sleep(2.0)
        fed = len(systemd.of("WATCHDOG"))
        assert fed >= 2, "it was fed while it worked"
        time.sleep(1.5)
        assert len(systemd.of("WATCHDOG")) == fed
        target.signal(signal.SIGABRT)  # what WatchdogSec= does next
        assert target.wait() == -signal.SIGABRT
        assert "Fatal Python error: Aborted" in target.text()
        assert where in target.text()


def test_a_watchdog_of_another_process_is_not_fed(
    tmp_path: Path, config: Path, systemd: Manager
) -> None:
    with service(Service(tmp_path, config, systemd, **FAST, WATCHDOG_PID="1")):
        systemd.wait("READY")
        time.sleep(1.0)
        assert systemd.of("WATCHDOG") == []


def test_sigterm_says_stopping_and_asks_for_time_while_it_drains(
    tmp_path: Path, config: Path, systemd: Manager
) -> None:
    with service(Service(tmp_path, config, systemd)) as target:
        systemd.wait("READY")
        task = running_task(target)
        target.signal(signal.SIGTERM)
        assert target.wait() == 0
        _, message = next(m for m in systemd.heard if "STOPPING" in m[1])
        assert message["STATUS"] == "draining: 1 running"
        assert int(message["EXTEND_TIMEOUT_USEC"]) >= 15_000_000
        assert shown(target, task)["state"] == "completed"


def test_what_a_stop_cuts_off_keeps_its_place(
    tmp_path: Path, config: Path, systemd: Manager
) -> None:
    with service(Service(tmp_path, config, systemd)) as target:
        systemd.wait("READY")
        task = running_task(target)
        target.signal(signal.SIGTERM)
        systemd.wait("STOPPING")
        target.signal(signal.SIGTERM)
        assert target.wait() == 0
        assert shown(target, task)["state"] in ("queued", "completed")


def test_sighup_is_framed_by_reloading_and_ready(
    tmp_path: Path, config: Path, systemd: Manager
) -> None:
    right = config.read_text()
    with service(Service(tmp_path, config, systemd)) as target:
        systemd.wait("READY")
        config.write_text("hosts: [broken\n")
        target.signal(signal.SIGHUP)
        until(lambda: len(systemd.of("READY")) == 2)
        assert "; hosts.yaml: broken, the one of before is in force: " in systemd.of("STATUS")[-1]
        names = systemd.names()
        assert names[names.index("RELOADING") + 1] == "READY"
        assert abs(int(systemd.of("MONOTONIC_USEC")[0]) / 1e6 - time.monotonic()) < 20
        config.write_text(right)
        target.signal(signal.SIGHUP)
        until(lambda: len(systemd.of("READY")) == 3)
        assert "broken" not in systemd.of("STATUS")[-1]
        target.stop()


def test_no_child_can_speak_for_the_daemon(tmp_path: Path, config: Path, systemd: Manager) -> None:
    target = Service(tmp_path, config, systemd, CHILD_AT_START, **FAST)
    with service(target):
        systemd.wait("READY")
        assert "STATE_DIRECTORY" in target.text(), "the child printed its environment"
        assert not re.search("NOTIFY_SOCKET|WATCHDOG", target.text())
        assert target.stop() == 0


def test_lines_for_the_journal_have_a_priority_and_no_time(
    tmp_path: Path, config: Path, systemd: Manager
) -> None:
    target = Service(tmp_path, config, systemd)
    target.output.touch()
    at = target.output.stat()
    target.env["JOURNAL_STREAM"] = f"{at.st_dev}:{at.st_ino}"
    with service(target):
        systemd.wait("READY")
        config.write_text("hosts: [broken\n")
        target.signal(signal.SIGHUP)
        until(lambda: "not reloaded" in target.text())
        target.stop()
        lines = target.text().splitlines()
        assert any(line.startswith("<6>ready: 1 host") for line in lines)
        assert all(re.match("<[2-7]>", line) for line in lines)
        assert any(line.startswith("<3>hosts.yaml not reloaded") for line in lines)


def test_another_process_s_journal_changes_nothing(
    tmp_path: Path, config: Path, systemd: Manager
) -> None:
    with service(Service(tmp_path, config, systemd, JOURNAL_STREAM="8:1")) as target:
        systemd.wait("READY")
        assert re.search(r"(?m)^\d{4}-\d\d-\d\d .* ready", target.text())


@pytest.mark.skipif(
    not (confined.LIBRARY and shutil.which("systemd-analyze")),
    reason="needs systemd-analyze and libseccomp (make tools)",
)
def test_the_daemon_works_inside_the_unit_s_system_call_filter(
    tmp_path: Path, config: Path, systemd: Manager
) -> None:
    target = Service(tmp_path, config, systemd)
    unit = str(UNITS / "ygg.service")
    target.command = [sys.executable, "-m", "tests.system.confined", unit, *target.command]
    with service(target):
        systemd.wait("READY")
        done = target.ygg("submit", "work", "--wait")
        assert done.returncode == 0, done.stderr
        assert target.stop() == 0


@pytest.mark.parametrize("times", [3, pytest.param(50, marks=pytest.mark.soak)])
def test_starts_and_stops_leave_nothing_behind(
    tmp_path: Path, config: Path, systemd: Manager, times: int
) -> None:
    for n in range(times):
        with service(Service(tmp_path, config, systemd)) as target:
            until(lambda n=n: len(systemd.of("READY")) == n + 1)
            target.signal(signal.SIGTERM)
            assert target.wait() == 0, target.text()
        assert not target.socket.exists()
        assert not target.database.with_name("ygg.db-wal").exists()
        assert "Traceback" not in target.text()
    assert target.text().count("stopped; socket") == times
