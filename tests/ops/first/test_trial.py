"""Nothing found, and the task that proves the file."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.ops.fakes import ollama
from tests.ops.first.house import EMBED, QWEN, here, init, written
from tests.surface.cli import Cli
from tests.surface.world import Api
from tests.system.rig import sim_servers
from ygg.ops.first import trial


def test_nothing_found_says_what_was_tried(fresh: Cli) -> None:
    text = init(fresh, "--host", "127.0.0.1:1", code=1)
    assert "http://127.0.0.1:1\n" in text
    assert "--host HOST:PORT" in text
    assert not fresh.config.exists()


def test_a_named_host_without_a_server_is_told(fresh: Cli) -> None:
    with here(ollama(QWEN)):
        assert "no model server at 127.9.9.9" in init(fresh, "--host", "127.9.9.9:1", "--no-test")


def test_a_server_without_a_model_that_runs_is_told(fresh: Cli) -> None:
    with here(ollama(EMBED)):
        assert "ollama pull" in init(fresh, code=1)
    assert not fresh.config.exists()


def test_a_real_task_is_answered_without_a_daemon(fresh: Cli, tmp_path: Path) -> None:
    with sim_servers(tmp_path, 0.0, {"a": 1}) as urls:
        ran = fresh("init", "--host", urls["a"].removeprefix("http://"), stdin="")
    assert ran.code == 0, ran
    assert "answered by" in ran.err
    answer = ran.lines[-1]
    assert len(answer.split()) > 2
    assert "checks:" in ran.out


def test_a_real_task_goes_through_a_running_daemon(fresh: Cli, home: Api) -> None:
    with here(ollama(QWEN)):
        ran = fresh("init", stdin="")
    assert ran.code == 0, ran
    assert "through the daemon" in ran.err
    assert "not read this file yet" in ran.err
    assert len(fresh.ok("list", "--json").json["tasks"]) == 1


def test_a_paused_daemon_is_not_waited_for(
    fresh: Cli, home: Api, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(trial, "LIMIT_S", 5.0)
    with sim_servers(tmp_path, 0.0, {"a": 1}) as urls:
        fresh.config.write_text("hosts: {}")
        fresh.ok("queue", "pause")
        ran = fresh("init", "--force", "--host", urls["a"], stdin="")
    assert "through the daemon" not in ran.err
    assert "answered by" in ran.err


def test_a_task_that_fails_is_told_and_the_file_stays(fresh: Cli) -> None:
    with here(ollama(QWEN)):
        assert "the test task failed" in init(fresh, code=1)
    assert written(fresh).hosts
