"""Two models that do not fit together, asked for in turns: what loading them costs.

One Ollama-like server that holds one model at a time and needs 5 s to load one; tasks of 1 s take turns
between the two. Plain FIFO changes models for every task. Ten times as fast as told here: 0.5 s, 0.1 s.
Beside it random mixes in simulated time (`mixes`).
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from bench import mixes
from ygg import paths, wire
from ygg.config import from_dict
from ygg.model import Lane, NewTask, State, Submitted

SPEED = 10  #: times as fast
LOAD_S, RUN_S, MAX_WAIT_S, MIN_HOLD_S = 5.0 / SPEED, 1.0 / SPEED, 60.0 / SPEED, 20.0 / SPEED
TASKS = 80
FIFO, KEPT = "20GB", "8GB"  #: told that both fit, ygg keeps plain order


def _config(url: str, memory: str) -> dict[str, Any]:
    models = [{"name": m, "memory": "5GB"} for m in "ab"]
    return {
        "hosts": {
            "h": {
                "slots": 1, "backend": "ollama", "url": url, "models": models,
                "telemetry": {"source": "static", "memory": memory},
            }
        },
        "task_types": {
            "general": {"route": ["h/a"]}, "a": {"route": ["h/a"]}, "b": {"route": ["h/b"]},
        },
        "policies": {"residency": {"max_wait": MAX_WAIT_S, "min_hold": MIN_HOLD_S}},
    }  # fmt: skip


async def _drain(config: dict[str, Any], folder: Path) -> None:
    tasks = [
        NewTask(f"t{n:04d}", Lane("ab"[n % 2]), {"messages": [{"role": "user", "content": str(n)}]})
        for n in range(TASKS)
    ]
    async with wire.running(from_dict(config, "bench"), folder / paths.DATABASE) as scope:
        await scope.dispatcher.check_hosts()
        for answer in await scope.dispatcher.submit(tasks):
            assert isinstance(answer, Submitted)
        for task in tasks:
            assert (await scope.dispatcher.wait_end(task.id, 600)).state is State.COMPLETED


def contest(memory: str) -> list[dict[str, Any]]:
    """What the server recorded, by arrival."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        spec = {
            "name": "h", "slots": 1, "models": ["a", "b"], "latency_s": RUN_S, "load_s": LOAD_S,
            "max_loaded": 1, "records": str(folder / "h.json"),
        }  # fmt: skip
        server = subprocess.Popen(
            [sys.executable, "-m", "ygg.sim.servers", json.dumps(spec)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert server.stdin is not None
        assert server.stdout is not None
        url = json.loads(server.stdout.readline())["url"]
        asyncio.run(_drain(_config(url, memory), folder))
        server.stdin.close()
        server.wait(20)
        server.stdout.close()
        found = json.loads((folder / "h.json").read_text())
    assert found["violations"] == 0
    return sorted(found["records"], key=lambda r: float(r["at"]))


def longest_passed_s(records: list[dict[str, Any]]) -> float:
    """The longest time between a task being passed over for the first time and its own start."""
    since: dict[int, float] = {}
    longest = 0.0
    for n, record in enumerate(records):
        mine = int(record["prompt"])
        longest = max(longest, record["at"] - since.get(mine, record["at"]))
        for later in records[n + 1 :]:
            if int(later["prompt"]) < mine:
                since.setdefault(int(later["prompt"]), record["at"])
    return longest


def run() -> dict[str, Any]:
    """Makespans, their ratio, and the longest wait of a task that was passed over."""
    plain, kept = contest(FIFO), contest(KEPT)
    spans = [max(r["ended"] for r in rs) - min(r["at"] for r in rs) for rs in (plain, kept)]
    bound = MAX_WAIT_S + LOAD_S + 2 * RUN_S  # passed over; then a call ends and the model loads
    passed = longest_passed_s(kept)
    return {
        **{f"mixes_{key}": value for key, value in mixes.run().items()},
        "tasks": TASKS,
        "load_s": LOAD_S * SPEED,
        "fifo_makespan_s": round(spans[0] * SPEED, 1),
        "makespan_s": round(spans[1] * SPEED, 1),
        "ratio": round(spans[1] / spans[0], 3),
        "longest_passed_s": round(passed * SPEED, 1),
        "passed_ratio": round(passed / bound, 3),
    }


if __name__ == "__main__":
    print(json.dumps(run(), indent=2))
