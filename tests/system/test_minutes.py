"""The minutes that a daemon keeps: over its socket, after kill -9, and from the database alone."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.system.rig import Daemon, hosts_yaml, sim_servers, until

SLOTS = {"a": 1}
QUICK = """
import ygg.telling.minutes, ygg.running.chores
ygg.telling.minutes.MINUTE_MS = 500
ygg.running.chores.LOOK_S = 0.1
"""


@pytest.fixture(scope="module")
def urls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    with sim_servers(tmp_path_factory.mktemp("sims"), 1.0, SLOTS) as found:
        yield found


@pytest.fixture
def target(tmp_path: Path, urls: dict[str, str]) -> Iterator[Daemon]:
    """A daemon whose minutes last half a second."""
    found = Daemon(tmp_path, hosts_yaml(tmp_path / "hosts.yaml", urls, SLOTS))
    (tmp_path / "plant").mkdir()
    (tmp_path / "plant" / "sitecustomize.py").write_text(QUICK)
    found.env["PYTHONPATH"] = os.pathsep.join(
        [str(tmp_path / "plant"), *filter(None, [os.environ.get("PYTHONPATH")])]
    )
    found.start()
    yield found
    found.stop()


def told(target: Daemon) -> list[dict[str, Any]]:
    client = target.remote()
    try:
        found: list[dict[str, Any]] = client.history("a")["minutes"]
        return found
    finally:
        client.close()


def test_minutes_are_kept_and_outlive_kill_9(target: Daemon) -> None:
    docs = "\n".join([json.dumps({"prompt": "work"})] * 3)
    assert target.ygg("submit", "--jsonl", "-", stdin=docs.encode()).returncode == 0
    until(lambda: sum(m["started"] for m in told(target)) >= 2)
    kept = told(target)
    assert max(m["waiting"] for m in kept) >= 1
    assert {m["slots"] for m in kept} == {1}
    target.kill()
    advice = json.loads(target.ygg("tune", "a", "--json").stdout)["hosts"][0]
    assert advice["figures"]["minutes"] >= sum(m["running"] > 0 for m in kept)
    assert "of 30 minutes with work" in advice["text"]
    target.start()
    assert told(target)[: len(kept)] == kept
