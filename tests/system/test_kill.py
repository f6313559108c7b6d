"""kill -9 of the daemon at random moments under load, with reloads and offline commands in between: nothing
acknowledged is lost, nothing is stored or ends twice, nothing is stuck.

The daemon runs as a service would run it: it starts on the last good configuration where hosts.yaml is broken.
"""

from __future__ import annotations

import itertools
import json
import random
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import apsw
import pytest

from tests.stores.audit import audit
from tests.system.rig import Daemon, hosts_yaml, sim_servers, until
from ygg.config.kept import NAME
from ygg.desk import Desk
from ygg.errors import YggError

SLOTS = {"a": 2, "b": 3}
POLICIES = "policies: {{max_crashes: 1000, defer: [{defer}s]}}"


class Submitter(threading.Thread):
    """Submits as fast as the daemon acknowledges, through every crash."""

    def __init__(self, target: Daemon) -> None:
        super().__init__(daemon=True)
        self.target, self.acknowledged, self.done = target, set[str](), threading.Event()
        self.numbers = itertools.count(1)

    def goes_on(self, more: int = 4) -> None:
        """Until so many more have been acknowledged."""
        enough = len(self.acknowledged) + more
        until(lambda: len(self.acknowledged) >= enough, 60, "it is under load")

    def run(self) -> None:
        while not self.done.is_set():
            client = self.target.client()
            if client is None:
                time.sleep(0.02)
                continue
            try:
                self._submit_on(client)
            except YggError:
                pass  # killed: whatever was not acknowledged does not count
            finally:
                client.close()

    def _submit_on(self, client: Desk) -> None:
        while not self.done.is_set():
            number = next(self.numbers)
            doc = {
                "prompt": f"task {number}",
                "title": f"online {number}",
                "type": f"on-{'ab'[number % 2]}",
                "priority": number % 5,
            }
            (answer,) = client.submit([doc])
            self.acknowledged.add(answer["id"])
            time.sleep(0.008)


class Trouble:
    """One daemon that is killed again and again, and what happens to it in between."""

    def __init__(self, target: Daemon, urls: dict[str, str], seed: int) -> None:
        self.target, self.urls, self.draw = target, urls, random.Random(seed)
        self.acknowledged: set[str] = set()  #: offline
        self.offline, self.broken = 0, False
        self.seen: dict[str, int] = {}
        target.env["NOTIFY_SOCKET"] = str(target.folder / "nobody")

    # --- while it runs ------------------------------------------------------------------------------

    def nothing(self) -> None:
        """The plain kill."""

    def reload_changed(self) -> None:
        self._write(self.draw.randint(1, 9))
        self._hang_up()

    def reload_broken(self) -> None:
        with self.target.config.open("a") as file:
            file.write("\nhosts: [")
        self.broken = True
        self._hang_up()

    def kill_while_it_starts(self) -> None:
        self.target.kill()
        self.target.spawn()
        time.sleep(self.draw.uniform(0.0, 0.5))

    def _write(self, defer: int) -> None:
        hosts_yaml(self.target.config, self.urls, SLOTS, POLICIES.format(defer=defer))
        self.broken = False

    def _hang_up(self) -> None:
        self.target.signal(signal.SIGHUP)
        time.sleep(self.draw.uniform(0.0, 0.1))

    # --- while it is dead, or about to start ------------------------------------------------------

    def command(self, *args: str) -> str:
        """What it prints. On a hosts.yaml that is broken only `backup` works; the others say why they do not."""
        if self.broken and args[0] != "backup":
            refused = self.target.ygg(*args)
            assert (refused.returncode, refused.stdout) == (78, ""), refused
            self.mend()
        done = self.target.ygg(*args)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def submit(self) -> None:
        self.offline += 1
        title = f"offline {self.offline}"
        done = self.command("submit", "--title", title, "-t", "on-b", "--json", "x")
        self.acknowledged.add(json.loads(done)["id"])

    def list(self) -> None:
        assert json.loads(self.command("list", "--json"))["tasks"]

    def backup(self) -> None:
        copy = self.target.folder / "copy.db"
        self.command("backup", "--force", str(copy))
        audit(copy)

    def submit_while_it_starts(self) -> None:
        self.target.spawn()
        self.submit()

    def mend(self) -> None:
        self._write(1)

    # --- one after another --------------------------------------------------------------------------

    def strike(self, alive: Callable[[], None], dead: Callable[[], None]) -> None:
        for what in (alive, dead):
            self.seen[what.__name__] = self.seen.get(what.__name__, 0) + 1
        time.sleep(self.draw.uniform(0.02, 0.3))
        alive()
        self.target.kill()
        dead()
        process = self.target.process
        if process is None or process.poll() is not None:
            self.target.spawn()
        until(
            lambda: self.target.answers() or self.target.process.poll() is not None,
            60,
            "it answers",
        )  # type: ignore[union-attr]
        assert self.target.answers(), self.target.text()[-3000:]

    def kinds(self) -> Iterator[tuple[Callable[[], None], Callable[[], None]]]:
        """What happens before each kill and after it; all of them early on."""
        alive = [self.nothing, self.reload_changed, self.reload_broken, self.kill_while_it_starts]
        dead = [
            self.nothing, self.submit, self.list, self.backup, self.submit_while_it_starts, self.mend,
            self.nothing,
        ]  # fmt: skip
        number = 0
        while True:
            yield alive[number % len(alive)], dead[number % len(dead)]
            number += 1


def battery(folder: Path, kills: int, seed: int) -> None:
    with sim_servers(folder, 0.03, SLOTS) as urls:
        text = POLICIES.format(defer=1)
        target = Daemon(folder, hosts_yaml(folder / "hosts.yaml", urls, SLOTS, text))
        trouble = Trouble(target, urls, seed)
        target.start()
        until((target.state / NAME).exists, what="it has kept what it started on")
        submitter = Submitter(target)
        submitter.start()
        try:
            kinds = trouble.kinds()
            for _ in range(kills):
                submitter.goes_on()
                trouble.strike(*next(kinds))
            submitter.done.set()
            submitter.join()
            until(lambda: not unfinished(target), 180, "everything finishes after the restarts")
        finally:
            submitter.done.set()
            target.stop()
    verify(target, submitter.acknowledged | trouble.acknowledged)
    print(
        f"{kills} kills, {len(submitter.acknowledged)} + {len(trouble.acknowledged)} acknowledged:",
        trouble.seen,
    )


def unfinished(target: Daemon) -> int:
    with closing(target.remote()) as desk:
        queue = desk.status(probe=False)["queue"]
        return int(queue["queued"] + queue["processing"] + queue["scheduled"])


def verify(target: Daemon, acknowledged: set[str]) -> None:
    audit(target.database)
    db = apsw.Connection(str(target.database))
    states = dict(db.execute("SELECT id, state FROM tasks").fetchall())
    results = {i for (i,) in db.execute("SELECT id FROM tasks JOIN results ON task = seq")}
    twice = db.execute("SELECT title FROM tasks GROUP BY title HAVING count(*) > 1").fetchall()
    db.close()
    assert len(acknowledged) > 20
    assert acknowledged <= states.keys(), "an acknowledged task is gone"
    assert twice == [], "a submit was stored twice"
    assert set(states.values()) == {"completed"}
    assert acknowledged <= results
    text = target.text()
    recovered = [float(s) for s in re.findall(r"recovered from a crash in ([\d.]+) s", text)]
    assert recovered, "no kill hit a running task"
    assert max(recovered) < 1.0
    assert "Traceback" not in text
    assert "unexpected" not in text
    assert "stale end" not in text


@pytest.mark.timeout(280)
def test_ten_kills_under_load_lose_nothing(tmp_path: Path) -> None:
    battery(tmp_path, 10, seed=1)


@pytest.mark.soak
@pytest.mark.timeout(7200)
def test_five_hundred_kills_under_load_lose_nothing(tmp_path: Path) -> None:
    battery(tmp_path, 500, seed=2)
