"""`make bench`: every figure in one run, checked against its goal and written into docs/performance.md.

`python -m bench drain pickup`: these parts only, a line `NAME {json}` each; the page stays as it is.
"""

from __future__ import annotations

import json
import platform
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from bench import api, daemon, depth, drain, growth, makespan, scrape, swap, view

PAGE = Path(__file__).resolve().parents[1] / "docs" / "performance.md"
START, END = "<!-- figures: written by make bench -->", "<!-- end of figures -->"

Part = Callable[[], dict[str, Any]]

PARTS: dict[str, Part] = {
    "drain": drain.run,
    "makespan": makespan.run,
    "growth": growth.run,
    "depth": depth.run,
    "view": view.run,
    "swap": swap.run,
    "pickup": daemon.pickup,
    "idle": daemon.idle,
    "start_up": daemon.start_up,
    "api": api.run,
    "scrape": scrape.run,
}

#: (name, section, key, goal, comparison)
GOALS: tuple[tuple[str, str, str, float, str], ...] = (
    ("drain: ygg / bare program, tasks per second", "drain", "ratio", 0.85, ">="),
    ("drain: ygg / bare program, CPU a task", "drain", "cpu_ratio", 1.4, "<="),
    ("drain: memory, MB", "drain", "ygg_rss_mb", 80, "<="),
    ("makespan / bound, 300 tasks of 200 ms", "makespan", "ygg_ratio", 1.02, "<="),
    ("makespan / bound: more than the bare program", "makespan", "ygg_more", 0.005, "<="),
    ("pickup: p50 ygg / bare program", "pickup", "p50_ratio", 1.6, "<="),
    ("pickup: p99, ms", "pickup", "ygg_p99_ms", 15, "<="),
    ("a decision at 1,000 hosts of 8 slots, µs", "growth", "decision_us", 50, "<="),
    ("the same: 100,000 tasks queued / 1,000", "growth", "depth_ratio", 1.2, "<="),
    ("claim: p50 at 1 M / at the smallest queue", "depth", "p50_ratio", 1.5, "<="),
    ("claim: p99 at 1 M / at the smallest queue", "depth", "p99_ratio", 3, "<="),
    ("memory with 1 M queued, MB", "depth", "memory_mb", 150, "<="),
    ("idle: CPU, % of a core", "idle", "cpu_percent", 0.5, "<="),
    ("live view at 4 Hz: CPU added, % of a core", "view", "cpu_percent_added", 1, "<="),
    ("live view at 4 Hz: loop lag p99 added, ms", "view", "lag_p99_ms_added", 5, "<="),
    ("two models in turns: makespan / plain FIFO", "swap", "ratio", 0.25, "<="),
    ("random mixes, one host: worst makespan / plain order", "swap", "mixes_one_worst", 1.02, "<="),
    ("random mixes, several hosts: mean", "swap", "mixes_several_mean", 1, "<="),
    ("random mixes, several hosts: worst", "swap", "mixes_several_worst", 1.1, "<="),
    ("two models in turns: longest time passed over / bound", "swap", "passed_ratio", 1, "<="),
    ("start-up: ygg --version / import typer", "start_up", "version_ratio", 2, "<="),
    ("start-up: ygg submit / import typer", "start_up", "submit_ratio", 2, "<="),
    ("API: submits over TCP / constant answers, 64 connections", "api", "submit_ratio", 0.5, ">="),
    ("API: p99 of those submits, ms", "api", "submit_p99_ms", 100, "<="),
    ("API: ygg submit --jsonl / apsw, rows per second", "api", "bulk_ratio", 0.4, ">="),
    ("API: a submit call / bare program", "api", "call_ratio", 1.3, "<="),
    ("API: 1,000 submits at once, lost", "api", "crowd_submits_lost", 0, "<="),
    ("API: 1,000 submits at once, memory, MB", "api", "crowd_submits_mb", 150, "<="),
    ("API: 1,000 long polls at once, not answered", "api", "crowd_polls_lost", 0, "<="),
    ("API: 1,000 long polls at once, memory, MB", "api", "crowd_polls_mb", 200, "<="),
    ("scrape: 100,000 tasks, 50 hosts / as many constants", "scrape", "ratio", 3, "<="),
    ("scrape: CPU of it / that of the constants", "scrape", "cpu_ratio", 3, "<="),
)


def main(names: Sequence[str]) -> int:
    unknown = [name for name in names if name not in PARTS]
    if unknown:
        known = ", ".join(PARTS)
        print(f"no part of the benchmark: {', '.join(unknown)}; there are {known}", file=sys.stderr)
        return 2
    figures: dict[str, dict[str, Any]] = {}
    for name in names or PARTS:
        figures[name] = PARTS[name]()
        print(name, json.dumps(figures[name]), flush=True)
    return 0 if names else _judge(figures)


def _judge(figures: dict[str, dict[str, Any]]) -> int:
    """Write the page; 1 when a goal is missed."""
    table, missed = _table(figures)
    _write(table, figures)
    print("\n".join(table))
    return 1 if missed else 0


def _table(figures: dict[str, dict[str, Any]]) -> tuple[list[str], int]:
    lines, missed = ["| what | goal | measured | |", "|---|---|---|---|"], 0
    for name, section, key, goal, sign in GOALS:
        value = figures[section][key]
        met = value >= goal if sign == ">=" else value <= goal
        missed += not met
        lines.append(f"| {name} | {sign} {goal:g} | {value:g} | {'met' if met else '**missed**'} |")
    return lines, missed


def _write(table: list[str], figures: dict[str, dict[str, Any]]) -> None:
    machine = f"{platform.system()} {platform.machine()}, Python {platform.python_version()}"
    raw = json.dumps(figures, indent=1)
    block = "\n".join(
        [START, "", f"Measured on {machine}.", "", *table, "", "```json", raw, "```", "", END]
    )
    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(START)
    PAGE.write_text(before + block + rest.partition(END)[2], encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
