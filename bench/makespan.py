"""300 tasks of 200 ms on 2 + 3 + 2 slots: how close to the bound, and the legacy loop beside it.

Bound: max over hosts of ceil(tasks / slots) * latency. The makespan is what the servers recorded, from
the first arrival to the last end.
"""

from __future__ import annotations

import json
import math
import subprocess
import sys
from typing import Any

from bench.servers import HOME, servers

LATENCY_S = 0.2


def contest(name: str, tasks: int, latency_s: float, timeout_s: float = 300) -> dict[str, Any]:
    """One contestant against fresh servers; its own figures plus what the servers saw."""
    with servers(latency_s) as running:
        spec = json.dumps({"urls": running.urls, "tasks": tasks})
        done = subprocess.run(
            [sys.executable, "-m", "bench.contestant", name, spec],
            capture_output=True, text=True, timeout=timeout_s, check=False,
        )  # fmt: skip
        if done.returncode != 0:
            raise RuntimeError(f"{name}: {done.stderr[-2000:]}")
    figures: dict[str, Any] = json.loads(done.stdout)
    records = [r for host in running.records.values() for r in host["records"]]
    figures["makespan_s"] = max(r["ended"] for r in records) - min(r["at"] for r in records)
    figures["calls"] = len(records)
    figures["violations"] = sum(host["violations"] for host in running.records.values())
    return figures


def bound_s(tasks: int, latency_s: float) -> float:
    share = tasks / len(HOME)
    return max(math.ceil(share / slots) * latency_s for slots in HOME.values())


def run(tasks: int = 300, rounds: int = 3) -> dict[str, Any]:
    """{contestant: makespan / bound}, the least over rounds run in turn: other work on the machine only adds."""
    bound = bound_s(tasks, LATENCY_S)
    found = {"ygg": [], "bare": [], "legacy": [contest("legacy", tasks, LATENCY_S)]}
    for _ in range(rounds):
        for name in ("ygg", "bare"):
            found[name].append(contest(name, tasks, LATENCY_S))
    ratios = {
        f"{name}_ratio": round(min(r["makespan_s"] for r in runs) / bound, 3)
        for name, runs in found.items()
    }
    return {
        "tasks": tasks,
        "latency_ms": LATENCY_S * 1000,
        "bound_s": bound,
        **ratios,
        "ygg_more": round(ratios["ygg_ratio"] - ratios["bare_ratio"], 3),
        "ygg_gate_violations": sum(r["violations"] for r in found["ygg"]),
    }


if __name__ == "__main__":
    print(json.dumps(run(), indent=2))
