"""2,000 queued tasks on zero-latency servers: tasks/s, CPU and memory, beside the bare program."""

from __future__ import annotations

import json
import statistics
from typing import Any

from bench.makespan import contest


def run(tasks: int = 2000, rounds: int = 3) -> dict[str, Any]:
    """Medians over rounds run in turn, so that a machine that drifts drifts for both."""
    found: dict[str, list[dict[str, Any]]] = {"bare": [], "ygg": []}
    for _ in range(rounds):
        for name, runs in found.items():
            runs.append(contest(name, tasks, 0.0))
    medians = {
        f"{name}_{key}": round(statistics.median(r[key] for r in runs), 2)
        for name, runs in found.items()
        for key in ("tasks_per_s", "cpu_ms_per_task", "rss_mb")
    }
    ratio, cpu_ratio = (
        round(medians[f"ygg_{key}"] / medians[f"bare_{key}"], 2)
        for key in ("tasks_per_s", "cpu_ms_per_task")
    )
    return {"tasks": tasks, **medians, "ratio": ratio, "cpu_ratio": cpu_ratio}


if __name__ == "__main__":
    print(json.dumps(run(), indent=2))
