"""What the live view costs: the same dispatcher with seven streaming calls and a full queue, with and
without the view on a pseudo-terminal of 120x42. CPU is the process's own, lag how late a timer fires."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import resource
import struct
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from bench.contestant import _fill
from bench.servers import config_dict, servers

SETTLE_S, MEASURE_S, TICK_S = 3.0, 12.0, 0.005
TOKENS, CALL_S = 2400, 60.0  #: 40 tokens/s in each of 7 calls
ROUNDS = 4


def run() -> dict[str, Any]:
    """The least of rounds run in turn, since other work on the machine only adds; the cost is the
    difference."""
    found: dict[str, list[dict[str, float]]] = {"without": [], "with": [], "idle": []}
    for _ in range(ROUNDS):
        for name, runs in found.items():
            runs.append(_one(view=name != "without", tasks=0 if name == "idle" else 60))
    cpu = {n: min(r["cpu_percent"] for r in runs) for n, runs in found.items()}
    lag = {n: min(r["lag_p99_ms"] for r in runs) for n, runs in found.items()}
    return {
        "cpu_percent_without": round(cpu["without"], 2),
        "cpu_percent_with": round(cpu["with"], 2),
        "cpu_percent_added": round(max(0.0, cpu["with"] - cpu["without"]), 2),
        "cpu_percent_idle": round(cpu["idle"], 2),
        "lag_p99_ms_without": round(lag["without"], 2),
        "lag_p99_ms_added": round(max(0.0, lag["with"] - lag["without"]), 2),
    }


def _one(*, view: bool, tasks: int) -> dict[str, float]:
    master, slave = pty.openpty()
    _size(slave)
    threading.Thread(target=_swallow, args=(master,), daemon=True).start()
    with tempfile.TemporaryDirectory() as folder, servers(CALL_S, tokens=TOKENS) as running:
        answer = Path(folder) / "answer.json"
        spec = {"urls": running.urls, "view": view, "tasks": tasks, "folder": folder}
        process = subprocess.Popen(
            [sys.executable, "-m", "bench.view", json.dumps(spec)],
            stdin=slave, stdout=slave, start_new_session=True, preexec_fn=_controlling,
            env={**os.environ, "TERM": "xterm-256color"},
        )  # fmt: skip
        assert process.wait(120) == 0
        found: dict[str, float] = json.loads(answer.read_text())
    os.close(slave)
    return found


def _size(slave: int) -> None:
    import fcntl
    import termios

    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 42, 120, 0, 0))


def _controlling() -> None:
    import fcntl
    import termios

    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def _swallow(master: int) -> None:
    try:
        while os.read(master, 65536):
            pass
    except OSError:  # the terminal is gone
        os.close(master)


# --- the measured process -------------------------------------------------------------------------


async def measured(spec: dict[str, Any]) -> dict[str, float]:
    """CPU in percent of a core, and how late timers fire, over `MEASURE_S`."""
    from ygg import paths, wire
    from ygg.config import from_dict
    from ygg.daemon import set_up_logging
    from ygg.view.live import LiveView, acting

    folder = Path(spec["folder"])
    set_up_logging(folder, console=False)
    database = folder / paths.DATABASE
    await _fill(database, spec["tasks"])
    async with AsyncExitStack() as stack:
        scope = await stack.enter_async_context(
            wire.running(from_dict(config_dict(spec["urls"]), "bench"), database)
        )
        dispatcher = scope.dispatcher
        if spec["view"]:
            act = acting(dispatcher.pause, dispatcher.drain_host)
            await stack.enter_async_context(LiveView(dispatcher.view, act, lambda: None))
        await asyncio.sleep(SETTLE_S)
        assert bool(dispatcher.board.running) == bool(spec["tasks"])
        began, cpu = time.perf_counter(), _cpu_s()
        late = await _lateness(began + MEASURE_S)
        took = time.perf_counter() - began
        spent = _cpu_s() - cpu
        scope.hurry.set()
    late.sort()
    return {"cpu_percent": spent / took * 100, "lag_p99_ms": late[int(len(late) * 0.99)] * 1000}


async def _lateness(until: float) -> list[float]:
    late = []
    while (at := time.perf_counter()) < until:
        await asyncio.sleep(TICK_S)
        late.append(time.perf_counter() - at - TICK_S)
    return late


def _cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    if len(sys.argv) > 1:
        from ygg.running import evented

        given = json.loads(sys.argv[1])
        Path(given["folder"], "answer.json").write_text(json.dumps(evented.run(measured(given))))
    else:
        print(json.dumps(run(), indent=2))
