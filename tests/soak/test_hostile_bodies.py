"""Hostile bodies on the socket while tasks run: every one is answered, none holds the loop, none leaves anything behind."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import httpx
import pytest

from tests.cases.house import House, config
from tests.cases.scripted import Reply, scripted
from tests.soak.hostile import Grammar

ANSWER = '{"message":{"content":"hello"},"done":false}\n{"message":{"content":""},"done":true,"done_reason":"stop"}'
TURN_S, GROWTH_KIB = 0.1, 50 * 1024
EVERY = 50  #: bodies between two tasks


class Measured(House):
    """A daemon that writes how long its turns were."""

    @property
    def report(self) -> Path:
        return self.folder / "turns.json"

    def spawn(self) -> subprocess.Popen[bytes]:
        (self.folder / "run").mkdir(exist_ok=True)
        command = [sys.executable, "-m", "tests.soak.measured", str(self.report)]
        with self.output.open("ab") as out:
            self.process = subprocess.Popen(command, env=self.env, stdout=out, stderr=out)
        return self.process

    def resident_kib(self) -> int:
        assert self.process is not None
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0])


def attacked(folder: Path, bodies: int, largest: int, seed: int) -> None:
    grammar, told = Grammar(seed, largest), Counter[int]()
    with scripted(Reply(ANSWER)) as server:
        home = Measured(folder, folder / "hosts.yaml")
        home.config.write_text(config({"surtr": server}))
        home.start()
        try:
            _send(home, grammar, bodies // 5, told)  # libraries, threads and caches are there then
            before = home.resident_kib()
            tasks = _send(home, grammar, bodies - bodies // 5, told)
            growth = home.resident_kib() - before
            assert all(home.end(task)["state"] == "completed" for task in tasks)
        finally:
            home.stop()
        assert "Traceback" not in home.text()
    assert sum(told.values()) == bodies
    assert not [status for status in told if status >= 500], told
    assert growth < GROWTH_KIB
    turns = json.loads(home.report.read_text())
    assert turns["longest_turn_s"] < TURN_S, turns["slowest"]


def _send(home: House, grammar: Grammar, bodies: int, told: Counter[int]) -> list[str]:
    """Send them; the ids of tasks submitted in between."""
    tasks = []
    transport = httpx.HTTPTransport(uds=str(home.folder / "run/ygg/ygg.sock"))
    with httpx.Client(transport=transport, base_url="http://ygg", timeout=60) as http:
        for n in range(bodies):
            if n % EVERY == 0:
                sound = http.post("/v1/tasks", json={"tasks": [{"prompt": "hello"}]}).json()
                tasks.append(sound["tasks"][0]["id"])
            route, body = grammar.request()
            told[http.post(route, content=body).status_code] += 1
    return tasks


def test_two_hundred_hostile_bodies(tmp_path: Path) -> None:
    attacked(tmp_path, 200, 1_000_000, seed=1)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(5))
def test_ten_thousand_hostile_bodies(tmp_path: Path, seed: int) -> None:
    attacked(tmp_path, 2000, 10_000_000, seed=seed)
