"""Chapter C: the machine's clock is set while tasks wait, run and back off."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.cases.clock import Machine
from tests.cases.house import House, config
from tests.cases.scripted import Reply, Script, scripted
from tests.system.rig import until

DONE = '{"message": {"content": "hi"}, "done": true}'
HOURS_2 = 7200.0


class Clocked(House):
    """A house on a machine whose clock can be set."""

    def __init__(self, folder: Path, server: Script) -> None:
        path = folder / "hosts.yaml"
        path.write_text(config({"surtr": server}, policies="{backoff: [3s], drain: 1s}"))
        super().__init__(folder, path)
        self.machine = Machine(folder)

    def start(self) -> None:
        mine = self.env
        self.env = mine | self.machine.env
        super().start()
        self.env = mine

    def stats(self) -> dict[str, Any]:
        """GET /v1/async/stats."""
        socket = self.folder / "run/ygg/ygg.sock"
        with httpx.Client(transport=httpx.HTTPTransport(uds=str(socket))) as http:
            return dict(http.get("http://ygg/v1/async/stats").json())


@pytest.fixture
def server() -> Iterator[Script]:
    with scripted(Reply(f"@pause 0.4\n{DONE}")) as script:
        yield script


@pytest.fixture
def home(tmp_path: Path, server: Script) -> Iterator[Clocked]:
    running = Clocked(tmp_path, server)
    running.start()
    try:
        yield running
    finally:
        running.stop()


def waited_s(home: House, task: str) -> float:
    told = home.result(task)
    assert told["total_time_ms"] >= told["queue_wait_time_ms"] >= 0
    return float(told["queue_wait_time_ms"]) / 1000


@pytest.mark.parametrize("ahead", [HOURS_2, -HOURS_2], ids=["forward", "back"])
def test_a_clock_that_is_set_changes_no_wait_no_mean_and_ends_nothing(
    home: Clocked, server: Script, ahead: float
) -> None:
    home.ygg("queue", "pause")
    began = time.monotonic()
    waits = [home.submit(f"waits {n}", "--deadline", "10m") for n in range(2)]
    later = home.submit("later", "--not-before", "1h")
    home.machine.set(ahead)
    fresh = home.submit("after", "--deadline", "10m", "--not-before", "1s")
    until(
        lambda: "the clock was set" in (home.state / "logs/ygg.log").read_text(), 20, "it is told"
    )
    home.ygg("queue", "resume")
    for task in (*waits, fresh):
        assert home.end(task)["state"] == "completed"
        assert 0 <= waited_s(home, task) < time.monotonic() - began
    assert waited_s(home, waits[0]) > 1
    queue = json.loads(home.ygg("status", "--json").stdout)
    assert 0 <= queue["daemon"]["uptime_s"] < 120
    if ahead < 0:
        assert home.task(later)["state"] == "scheduled"
    else:  # its time has come by the machine's clock
        assert home.end(later)["state"] == "completed"
    means = home.stats()["performance"]
    assert 0 < means["avg_wait_time_ms"] < 60_000
    assert 0 < means["avg_processing_time_ms"] < 10_000


def test_a_clock_set_back_between_two_runs_makes_a_wait_of_nothing(home: Clocked) -> None:
    home.ygg("queue", "pause")
    task = home.submit("waits")
    home.stop()
    home.machine.set(-HOURS_2)
    home.start()
    home.ygg("queue", "resume")
    assert home.end(task)["state"] == "completed"
    assert waited_s(home, task) == 0
    assert home.stats()["performance"]["avg_wait_time_ms"] == 0


def test_a_back_off_is_as_long_as_it_was(home: Clocked, server: Script) -> None:
    answers = iter([Reply('{"error": "boom"}', 500)])
    usual = server.reply
    server.reply = lambda asked: next(answers, usual)  # type: ignore[arg-type,return-value]
    task = home.submit("fails once")
    until(lambda: home.task(task)["state"] == "scheduled", 20, "it backs off")
    began = time.monotonic()
    home.machine.set(-HOURS_2)
    assert home.end(task)["state"] == "completed"
    assert time.monotonic() - began < 15
