"""kill -9 of the daemon at random moments under load: nothing acknowledged is lost, nothing ends twice."""

from __future__ import annotations

import random
import re
import threading
import time
from pathlib import Path

import apsw
import pytest

from tests.stores.audit import audit
from tests.system.rig import Daemon, hosts_yaml, sim_servers, until
from ygg.desk import Desk
from ygg.errors import YggError

SLOTS = {"a": 2, "b": 3}


class Submitter(threading.Thread):
    """Submits as fast as the daemon acknowledges, through every crash."""

    def __init__(self, target: Daemon) -> None:
        super().__init__(daemon=True)
        self.target, self.acknowledged, self.done = target, set[str](), threading.Event()

    def run(self) -> None:
        number = 0
        while not self.done.is_set():
            client = self.target.client()
            if client is None:
                time.sleep(0.02)
                continue
            try:
                number = self._submit_on(client, number)
            except YggError:
                pass  # killed: whatever was not acknowledged does not count
            finally:
                client.close()

    def _submit_on(self, client: Desk, number: int) -> int:
        while not self.done.is_set():
            number += 1
            doc = {
                "prompt": f"task {number}",
                "type": f"on-{'ab'[number % 2]}",
                "priority": number % 5,
            }
            (answer,) = client.submit([doc])
            self.acknowledged.add(answer["id"])
            time.sleep(0.008)
        return number


def battery(folder: Path, kills: int, seed: int) -> None:
    draw = random.Random(seed)
    with sim_servers(folder, 0.03, SLOTS) as urls:
        target = Daemon(folder, hosts_yaml(folder / "hosts.yaml", urls, SLOTS))
        target.start()
        submitter = Submitter(target)
        submitter.start()
        try:
            for _ in range(kills):
                time.sleep(draw.uniform(0.02, 0.3))
                target.kill()
                target.start()
            submitter.done.set()
            submitter.join()
            client = target.remote()

            def over() -> bool:
                queue = client.status(probe=False)["queue"]
                return not (queue["queued"] + queue["processing"] + queue["scheduled"])

            until(over, 120, "everything finishes after the restarts")
            client.close()
        finally:
            submitter.done.set()
            target.stop()
    verify(target, submitter.acknowledged)


def verify(target: Daemon, acknowledged: set[str]) -> None:
    audit(target.database)
    db = apsw.Connection(str(target.database))
    states = dict(db.execute("SELECT id, state FROM tasks").fetchall())
    results = {i for (i,) in db.execute("SELECT id FROM tasks JOIN results ON task = seq")}
    db.close()
    assert len(acknowledged) > 20
    assert acknowledged <= states.keys(), "an acknowledged task is gone"
    assert set(states.values()) == {"completed"}
    assert acknowledged <= results
    text = target.text()
    recovered = [float(s) for s in re.findall(r"recovered from a crash in ([\d.]+) s", text)]
    assert recovered, "no kill hit a running task"
    assert max(recovered) < 1.0
    assert "Traceback" not in text
    assert "stale end" not in text


@pytest.mark.timeout(280)
@pytest.mark.xdist_group("kill")
def test_twenty_kills_under_load_lose_nothing(tmp_path: Path) -> None:
    battery(tmp_path, 20, seed=1)


@pytest.mark.soak
@pytest.mark.timeout(3000)
def test_two_hundred_kills_under_load_lose_nothing(tmp_path: Path) -> None:
    battery(tmp_path, 200, seed=2)
