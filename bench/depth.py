"""The claim statement at 1 k, 100 k and 1 M queued tasks, half of them for a host that is down.

Each sample is a Peek for one head plus the claim of it, inside a transaction; the commit is left out.
Memory is that of a process with a dispatcher over the largest queue.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import apsw

from ygg.model import Lane
from ygg.stores.sqlite import open_store, statements

LIVE, DEAD = Lane("live"), Lane("dead")
PLACE = {"epoch": 1, "host": "h", "endpoint": "e", "model": "m", "call": None}
PASSES, SAMPLES = 10, 200  #: rolled back after each pass


def create(path: Path) -> None:
    """An empty queue."""

    async def opened() -> None:
        await open_store(path).close()

    asyncio.run(opened())


def fill(path: Path, rows: int) -> None:
    """`rows` queued tasks, every second one in a lane that nothing serves, by plain SQL."""
    create(path)
    db = apsw.Connection(str(path))
    db.execute("PRAGMA synchronous = OFF")
    with db:
        db.executemany("INSERT INTO lanes (id, key) VALUES (?, ?)", [(1, LIVE.key), (2, DEAD.key)])
        db.execute(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1)"
            " INSERT INTO tasks (id, lane, caller, type, priority, state, operation, request, title,"
            " labels, body_hash, created_ms, queued_ms)"
            " SELECT printf('task-%09d', i), 1 + i % 2, 'local', 'live', i % 5, 'queued', 'chat',"
            ' \'{"messages":[{"role":"user","content":"hello"}]}\', \'\', \'[]\', \'\', i, i FROM n',
            (rows,),
        )
        db.execute(
            "INSERT INTO counters SELECT lane, priority, state, count(*) FROM tasks GROUP BY 1, 2, 3"
        )
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()


def claim_times_us(path: Path) -> list[float]:
    """Microseconds for head + claim, one sample each."""
    db = apsw.Connection(str(path))
    times = [t for _ in range(PASSES) for t in _one_pass(db)]
    db.close()
    return times


def _one_pass(db: apsw.Connection) -> list[float]:
    times: list[float] = []
    db.execute("BEGIN IMMEDIATE")
    for n in range(SAMPLES):
        began = time.perf_counter_ns()
        ((task_id, _, version, *_),) = db.execute(statements.HEADS, (1, n % 5, 1)).fetchall()
        claim = PLACE | {"id": task_id, "version": version, "now": 1}
        db.execute(statements.CLAIM, claim).fetchall()
        times.append((time.perf_counter_ns() - began) / 1000)
    db.execute("ROLLBACK")
    return times


MEMORY = """
import asyncio, json, resource, sys
from pathlib import Path
from ygg import wire
from ygg.config import from_dict
async def main():
    config = from_dict({"hosts": {"h": {"slots": 2, "backend": "ollama", "url": "http://127.0.0.1:9", "models": ["m"]}},
        "task_types": {"general": {"route": ["h"]}, "live": {"route": ["h"]}, "dead": {"route": ["h"]}}}, "bench")
    async with wire.running(config, Path(sys.argv[1])) as scope:
        view = await scope.dispatcher.check_hosts()
        assert view.counts.total > 900_000
        scope.hurry.set()
asyncio.run(main())
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


def run(depths: tuple[int, ...] = (1_000, 100_000, 1_000_000)) -> dict[str, Any]:
    """p50 and p99 by depth, their ratios, and the daemon's memory at the deepest."""
    figures: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        for depth in depths:
            path = Path(folder) / str(depth) / "ygg.db"
            fill(path, depth)
            times = sorted(
                min(pair) for pair in zip(claim_times_us(path), claim_times_us(path), strict=True)
            )
            figures[f"p50_us_{depth}"] = round(statistics.median(times), 1)
            figures[f"p99_us_{depth}"] = round(times[int(len(times) * 0.99)], 1)
        done = subprocess.run(
            [sys.executable, "-c", MEMORY, str(path)], capture_output=True, text=True, check=True
        )
    figures["memory_mb"] = round(float(done.stdout), 1)
    for name in ("p50", "p99"):
        first, last = figures[f"{name}_us_{depths[0]}"], figures[f"{name}_us_{depths[-1]}"]
        figures[f"{name}_ratio"] = round(last / first, 2)
    return figures


if __name__ == "__main__":
    print(json.dumps(run(), indent=2))
