"""The daemon as a process: signals, reload, one owner, its socket, and who may reach it."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.system.rig import Daemon, daemon, hosts_yaml, running, sim_servers, until
from ygg.client import _Connection
from ygg.stores.sqlite import open_store

SLOTS = {"a": 2, "b": 1}


@pytest.fixture(scope="module")
def urls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    with sim_servers(tmp_path_factory.mktemp("sims"), 1.0, SLOTS) as found:
        yield found


@pytest.fixture
def config(tmp_path: Path, urls: dict[str, str]) -> Path:
    return hosts_yaml(tmp_path / "hosts.yaml", urls, SLOTS)


def submitted(target: Daemon, *args: str) -> str:
    done = target.ygg("submit", *args)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_sigterm_waits_for_running_calls_then_exits_0_and_cleans_up(
    tmp_path: Path, config: Path
) -> None:
    with daemon(tmp_path, config, fresh=True) as target:
        task = submitted(target, "work")
        until(lambda: running(target, task))
        target.signal(signal.SIGTERM)
        assert target.wait() == 0
        assert not (tmp_path / "run/ygg/ygg.sock").exists()
        assert not target.database.with_name("ygg.db-wal").exists()
        shown = json.loads(target.ygg("show", task, "--json").stdout)
        assert shown["state"] == "completed"
        assert "draining, 1 running" in target.text()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_cuts_running_calls_and_blocks_their_tasks(
    tmp_path: Path, config: Path, number: signal.Signals
) -> None:
    with daemon(tmp_path, config, fresh=True) as target:
        task = submitted(target, "work")
        until(lambda: running(target, task))
        began = time.monotonic()
        target.signal(number)
        until(lambda: "draining" in target.text())
        target.signal(number)
        assert target.wait() == 0
        assert time.monotonic() - began < 20
        shown = json.loads(target.ygg("show", task, "--json").stdout)
        assert shown["state"] in ("blocked", "completed")  # the call may have ended in between
        assert shown["reason"] in ("interrupted", "completed")


def told(target: Daemon, path: str) -> tuple[int, dict[str, str], Any]:
    """Status, headers and JSON of a GET over the daemon's socket."""
    http = _Connection(target.folder / "run/ygg/ygg.sock")
    try:
        http.request("GET", path)
        answer = http.getresponse()
        return answer.status, dict(answer.getheaders()), json.loads(answer.read())
    finally:
        http.close()


@pytest.fixture
def never(tmp_path: Path) -> Iterator[Path]:
    """A configuration whose server takes longer than any test: only a second signal ends the drain."""
    with sim_servers(tmp_path, 600.0, {"a": 2}) as urls:
        policies = "policies: {drain: 600s}"
        yield hosts_yaml(tmp_path / "hosts.yaml", urls, {"a": 2}, policies)


def test_submits_are_refused_while_draining(tmp_path: Path, never: Path) -> None:
    with daemon(tmp_path, never) as target:
        task = submitted(target, "work")
        until(lambda: running(target, task))
        target.signal(signal.SIGTERM)
        until(lambda: "draining" in target.text())
        refused = target.ygg("submit", "too late")
        assert refused.returncode == 69
        assert "shutting down" in refused.stderr
        assert target.stop() == 0
        assert "too late" not in target.ygg("list", "--json").stdout


def test_a_supervisor_sees_a_daemon_that_lives_is_ready_and_drains(
    tmp_path: Path, never: Path
) -> None:
    with daemon(tmp_path, never) as target:
        assert told(target, "/healthz")[::2] == (200, {"status": "ok"})
        assert told(target, "/readyz")[::2] == (200, {"status": "ready"})
        assert told(target, "/v1/async/health")[2]["status"] == "ok"
        task = submitted(target, "work")
        until(lambda: running(target, task))
        target.signal(signal.SIGTERM)
        until(lambda: "draining" in target.text())
        assert told(target, "/healthz")[::2] == (200, {"status": "ok"})
        status, headers, body = told(target, "/readyz")
        assert (status, body["error"]["code"]) == (503, "draining")
        assert int(headers["retry-after"]) > 0
        health = told(target, "/v1/async/health")[2]
        assert (health["health"], health["processing"]) == ("degraded", 1)


def test_polls_that_wait_hold_up_no_drain(tmp_path: Path, never: Path) -> None:
    with daemon(tmp_path, never) as target:
        tasks = [submitted(target, "work") for _ in range(3)]
        until(lambda: running(target, tasks[0]))
        polls = [_Connection(target.folder / "run/ygg/ygg.sock") for _ in tasks]
        for http, task in zip(polls, tasks, strict=True):
            http.request("GET", f"/v1/async/status/{task}?wait=60")
        target.signal(signal.SIGTERM)
        until(lambda: "draining" in target.text())
        assert target.stop() == 0
        told = [json.loads(http.getresponse().read()) for http in polls]
        assert [body["state"] for body in told] == ["blocked", "blocked", "queued"]
        assert told[0]["reason"] == "interrupted"
        assert "Traceback" not in target.text()
        for http in polls:
            http.close()


def test_a_reload_that_is_asked_for_tells_what_is_different_and_what_is_wrong(
    tmp_path: Path, config: Path, urls: dict[str, str]
) -> None:
    nobody = Daemon(tmp_path, config)
    ran = nobody.ygg("reload")
    assert (ran.returncode, "no daemon is running" in ran.stderr) == (69, True)
    with daemon(tmp_path, config) as target:
        assert target.ygg("reload").stdout == "no change\n"
        hosts_yaml(config, urls, {"a": 4, "b": 1})
        told = json.loads(target.ygg("reload", "--json").stdout)["changes"]
        assert told, "the slots of a are others"
        with closing(target.remote()) as desk:
            slots = {h["name"]: h["slots"] for h in desk.hosts()["hosts"]}
        assert slots == {"a": 4, "b": 1}
        config.write_text("hosts: [broken\n")
        ran = target.ygg("reload")
        assert (ran.returncode, "hosts.yaml" in ran.stderr) == (78, True), ran.stderr
        assert target.ygg("status").stdout.count("broken, the one of before is in force") == 1


def test_sighup_takes_a_good_edit_and_refuses_a_broken_one(
    tmp_path: Path, config: Path, urls: dict[str, str]
) -> None:
    with daemon(tmp_path, config, fresh=True) as target:
        config.write_text("hosts: [broken\n")
        target.signal(signal.SIGHUP)
        until(lambda: "not reloaded, the old configuration stays" in target.text())
        assert submitted(target, "still works", "--wait")
        hosts_yaml(config, urls, {"a": 4, "b": 1})
        target.signal(signal.SIGHUP)
        until(lambda: "hosts.yaml reloaded" in target.text())
        client = target.remote()
        slots = {h["name"]: h["slots"] for h in client.status(probe=False)["hosts"]}
        client.close()
        assert slots == {"a": 4, "b": 1}


def test_a_setting_without_effect_is_told_at_the_start_and_refused_on_reload(
    tmp_path: Path, config: Path
) -> None:
    idle = "policies: {bundle_sizes: [4, 3, 2, 1]}\n"
    told = "policies.bundle_sizes: expected no such setting"
    sound = config.read_text()
    config.write_text(sound + idle)
    with daemon(tmp_path, config) as target:
        assert f"warning: left out: {config}:{len(sound.splitlines()) + 1}: {told}" in target.text()
        log = (target.state / "logs/ygg.log").read_text()
        assert [line for line in log.splitlines() if "WARNING" in line and told in line]
        assert submitted(target, "goes on without it", "--wait")
        target.signal(signal.SIGHUP)
        until(lambda: "not reloaded, the old configuration stays" in target.text())
        config.write_text(sound)
        target.signal(signal.SIGHUP)
        until(lambda: "hosts.yaml reloaded: no change" in target.text())


def test_a_second_daemon_is_refused_and_told_why(tmp_path: Path, config: Path) -> None:
    with daemon(tmp_path, config, fresh=True) as target:
        second = target.apart("loop")
        assert second.returncode == 69
        assert "in use by another ygg" in second.stderr
        assert "Traceback" not in second.stderr
        assert submitted(target, "the first goes on", "--wait")


def test_offline_commands_wait_for_no_lock_but_refuse_to_write_beside_an_owner(
    tmp_path: Path, config: Path
) -> None:
    target = Daemon(tmp_path, config)
    first = target.apart("submit", "before any daemon")
    assert first.returncode == 0
    assert "no daemon is running" in first.stderr
    owner = open_store(target.database)  # a daemon whose socket is out of reach
    try:
        refused = target.apart("submit", "beside it")
        assert refused.returncode == 69
        assert "in use by another ygg" in refused.stderr
        assert target.apart("list").returncode == 0
    finally:
        owner._writer.close()
        owner._writer.join()
        owner._db.close()
        os.close(owner._lock)


def test_a_stale_socket_file_does_not_stop_a_start(tmp_path: Path, config: Path) -> None:
    path = tmp_path / "run/ygg/ygg.sock"
    path.parent.mkdir(parents=True)
    stale = socket.socket(socket.AF_UNIX)
    stale.bind(str(path))
    stale.close()
    target = Daemon(tmp_path, config)
    assert target.ygg("submit", "nobody answers there").returncode == 0
    with daemon(tmp_path, config, fresh=True) as started:
        assert started.ygg("list", "--json").returncode == 0
        assert path.stat().st_mode & 0o777 == 0o660


@pytest.mark.parametrize("content", ["hosts: 3\n", "", "hosts:\n\t- x\n"])
def test_a_bad_configuration_exits_78_before_anything_is_opened(
    tmp_path: Path, content: str
) -> None:
    config = tmp_path / "hosts.yaml"
    config.write_text(content)
    target = Daemon(tmp_path, config)
    target.spawn()
    assert target.wait() == 78
    assert target.text().startswith("error: ")
    assert "Traceback" not in target.text()
    assert not target.database.exists()


def test_a_damaged_database_stops_the_start_and_stays_as_it_is(
    tmp_path: Path, config: Path
) -> None:
    target = Daemon(tmp_path, config)
    target.state.mkdir()
    target.database.write_bytes(b"not a database " * 500)
    target.spawn()
    assert target.wait() == 69
    assert "not a healthy ygg database" in target.text()
    assert target.database.read_bytes() == b"not a database " * 500


@pytest.mark.skipif(os.geteuid() != 0, reason="needs to become another user")
def test_another_user_without_the_group_is_told_the_way_out(tmp_path: Path, config: Path) -> None:
    """The task must not land in a database of their own that nobody looks at."""
    code = (
        "import os, sys\n"
        "from ygg.__main__ import run\n"
        "import ygg.cli.app, ygg.client\n"
        "os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        "sys.exit(run(['submit', 'hello']))"
    )
    for folder in (tmp_path, *tmp_path.parents):
        if folder.stat().st_mode & 0o005 != 0o005 and str(folder).startswith("/tmp/"):
            folder.chmod(0o755)
    with daemon(tmp_path, config) as target:
        env = target.env | {"XDG_STATE_HOME": str(tmp_path / "theirs")}
        del env["YGG_STATE"]
        done = subprocess.run(
            [sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 69, done.stderr
        assert "usermod -aG ygg" in done.stderr
        assert not (tmp_path / "theirs").exists()


def test_the_log_file_names_the_task_in_each_line_about_one(tmp_path: Path, config: Path) -> None:
    with daemon(tmp_path, config) as target:
        task = submitted(target, "work", "--wait-timeout", "30")
        target.ygg("wait", task)
    lines = [x for x in (target.state / "logs/ygg.log").read_text().splitlines() if task in x]
    assert len(lines) == 2
    assert "first choice" in lines[0]
    assert "completed on a" in lines[1]


@pytest.mark.parametrize("dialect", ["ollama", "vllm"])
def test_every_operation_goes_from_submit_to_result(tmp_path: Path, dialect: str) -> None:
    with sim_servers(tmp_path, 0.0, {"a": 1}, dialect=dialect) as urls:
        config = hosts_yaml(tmp_path / "hosts.yaml", urls, {"a": 1})
        if dialect == "vllm":
            config.write_text(config.read_text().replace("backend: ollama", "backend: openai"))
        with daemon(tmp_path, config) as target:
            for flag in ("--generate", "--complete"):
                assert target.ygg("submit", flag, "once", "--wait").stdout.strip()
            task = submitted(target, "--embed", "once")
            shown = target.ygg("submit", "--embed", "once", "--wait").stdout
            assert shown.startswith("vector 1: 4 numbers: ")
            target.ygg("wait", task)
            body = json.loads(target.ygg("result", task, "--json").stdout)["result"]
            assert [len(v) for v in body["embeddings"]] == [4]
            tools = [{"type": "function", "function": {"name": "weather"}}]
            doc = json.dumps({"prompt": "hi", "options": {"tools": tools}}).encode()
            task = target.ygg("submit", "--jsonl", "-", stdin=doc).stdout.strip()
            target.ygg("wait", task)
            shown = target.ygg("result", task).stdout
            assert re.fullmatch(r'tool call: weather {"q": ?"hi", ?"n": ?1}\n', shown)


def test_the_legacy_loop_serves_the_same_queue(tmp_path: Path, config: Path) -> None:
    target = Daemon(tmp_path, config, "--no-async", fresh=True)
    lines = [json.dumps({"prompt": f"task {n}", "priority": 4 - n}) for n in range(3)]
    tasks = target.ygg("submit", "--jsonl", "-", stdin="\n".join(lines).encode()).stdout.split()
    target.start()
    assert told(target, "/readyz")[::2] == (200, {"status": "ready"})
    assert told(target, "/v1/async/health")[2]["health"] == "healthy"
    with closing(target.remote()) as desk:
        ended = [desk.wait(t, 30) for t in tasks]
        assert {t["state"] for t in ended} == {"completed"}
        started = [t["started_at"] for t in ended]
    target.signal(signal.SIGTERM)
    target.signal(signal.SIGINT)  # at once: the second does not interrupt the first
    assert target.wait() == 0
    assert len(started) == 3
    assert started == sorted(started), "first in, first out, whatever the priority"
    said = target.text()
    assert "the legacy loop: one thread for each" in said
    assert all(
        re.search(
            rf"{task}\.1 general -> a m\n.*{task}\.1 completed on a m after ", said, re.DOTALL
        )
        for task in tasks
    )
    assert said.count("stopped; socket") == 1


def test_a_plain_loop_says_once_that_it_is_the_asynchronous_one(
    tmp_path: Path, config: Path
) -> None:
    told = "the asynchronous dispatcher, as with --async"
    for args, times in (((), 1), (("--async",), 0)):
        target = Daemon(tmp_path / str(times), config, *args)
        target.folder.mkdir()
        target.start()
        target.stop()
        assert target.text().count(told) == times
