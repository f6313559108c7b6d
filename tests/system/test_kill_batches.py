"""kill -9 in the middle of submit-batch: every batch is there whole or not at all, and one that was acknowledged is there."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import apsw
import pytest

from tests.stores.audit import audit_connection
from tests.system.rig import Daemon, daemon, hosts_yaml, sim_servers
from ygg.errors import YggError

SLOTS = {"a": 2}
TASKS, ROUNDS = 400, 6


@pytest.fixture(scope="module")
def urls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    with sim_servers(tmp_path_factory.mktemp("sims"), 5.0, SLOTS) as found:
        yield found


class Submitter(threading.Thread):
    """One large batch after another, until the daemon is gone."""

    def __init__(self, target: Daemon, seen: set[str]) -> None:
        super().__init__(daemon=True)
        self.target, self.seen, self.sent = target, seen, threading.Event()

    def run(self) -> None:
        docs = [{"prompt": f"{n}?", "priority": "BACKLOG"} for n in range(TASKS)]
        try:
            with closing(self.target.remote()) as desk:
                while True:
                    self.sent.set()
                    self.seen.add(desk.submit_batch(docs)["batch_id"])
        except YggError:
            pass  # killed: what was not acknowledged does not count


def stored(path: Path) -> dict[str, tuple[int, int]]:
    """Of each batch how many tasks it has, and how many it says. Its log is left to the next daemon."""
    with closing(apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)) as db:
        audit_connection(db)
        sql = "SELECT batch, count(*), total FROM tasks LEFT JOIN batches ON batches.id = batch WHERE batch NOT NULL GROUP BY batch"
        return {str(b): (int(n), total) for b, n, total in db.execute(sql)}


def test_a_batch_is_there_whole_or_not_at_all_after_a_kill(
    tmp_path: Path, urls: dict[str, str]
) -> None:
    config = hosts_yaml(
        tmp_path / "hosts.yaml", urls, SLOTS, "policies: {batch_capacity: 1000000}\n"
    )
    seen: set[str] = set()
    draw = random.Random(4)
    for _ in range(ROUNDS):
        with daemon(tmp_path, config) as target:
            submitter = Submitter(target, seen)
            submitter.start()
            assert submitter.sent.wait(20)
            submitter.join(draw.uniform(0.05, 1.5))
            target.kill()
            submitter.join(20)
        found = stored(target.database)
        assert set(found.values()) <= {(TASKS, TASKS)}
        assert seen <= found.keys()
    assert seen, "none was acknowledged"
