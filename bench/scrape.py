"""What a scrape costs: GET /metrics of a dispatcher with 100,000 queued tasks and 50 hosts, all of them busy and measured, after
a day's work; beside it prometheus_client serving as many constant samples. Both over TCP, each in a process of its own.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import product
from pathlib import Path
from typing import Any

from bench.daemon import ticks
from tests.surface.test_tcp import free_port

TASKS, HOSTS, ROUNDS = 100_000, 50, 20
MODELS = ("qwen3:8b", "gemma3:4b")
GAP_S = 0.3  #: longer than a snapshot is kept: each scrape draws a new one
CONSTANTS = """
import sys, time
from prometheus_client import CollectorRegistry, Gauge, start_http_server
from prometheus_client.parser import text_string_to_metric_families
registry, known = CollectorRegistry(), {}
for family in text_string_to_metric_families(open(sys.argv[2]).read()):
    for sample in family.samples:
        name = "constant_" + sample.name
        if name not in known:
            known[name] = Gauge(name, family.documentation, [*sample.labels], registry=registry)
        one = known[name]
        (one.labels(**sample.labels) if sample.labels else one).set(sample.value)
start_http_server(int(sys.argv[1]), "127.0.0.1", registry=registry)
print("ready", flush=True)
time.sleep(3600)
"""


def run() -> dict[str, Any]:
    """Medians of scrapes in turn, milliseconds of time and of the processor, and their ratios."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        ygg = stack.enter_context(_served("-m", "bench.scrape", folder=folder))
        page, _ = _scraped(ygg[0])
        text = Path(folder, "page.txt")
        text.write_bytes(page)
        constants = stack.enter_context(_served("-c", CONSTANTS, folder=str(text)))
        served = {"constants": constants, "ygg": ygg}
        times = {name: list[float]() for name in served}
        cpu = {name: list[float]() for name in served}
        for name, (port, pid) in [*served.items()] * ROUNDS:
            time.sleep(GAP_S)
            before = ticks(Path(f"/proc/{pid}/stat"))
            times[name].append(_scraped(port)[1])
            cpu[name].append(ticks(Path(f"/proc/{pid}/stat")) - before)
    figures = {f"{n}_ms": round(statistics.median(t) * 1000, 1) for n, t in times.items()}
    tick_ms = 1000 / os.sysconf("SC_CLK_TCK")
    figures |= {f"{n}_cpu_ms": round(statistics.mean(t) * tick_ms, 1) for n, t in cpu.items()}
    samples = sum(line[:1] != b"#" for line in page.splitlines())
    ratios = {
        f"{name}ratio": round(figures[f"ygg_{name}ms"] / figures[f"constants_{name}ms"], 2)
        for name in ("", "cpu_")
    }
    return {"tasks": TASKS, "hosts": HOSTS, "samples": samples, **figures, **ratios}


def _scraped(port: int) -> tuple[bytes, float]:
    """A page, and the seconds it took."""
    began = time.perf_counter()
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
        page: bytes = answer.read()
    return page, time.perf_counter() - began


@contextmanager
def _served(*program: str, folder: str) -> Iterator[tuple[int, int]]:
    """Port and process id, once it serves there."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, *program, str(port), folder, str(TASKS), str(HOSTS)],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == "ready\n"
        yield port, process.pid
    finally:
        process.terminate()
        process.wait(20)
        process.stdout.close()


# --- the measured process -------------------------------------------------------------------------


def config_dict(hosts: int) -> dict[str, Any]:
    """So many hosts of two slots, and a task type for each."""
    names = [f"host-{n:02d}" for n in range(hosts)]
    host = {"slots": 2, "backend": "ollama", "models": [*MODELS]}
    return {
        "hosts": {n: {**host, "url": f"http://{n}:11434"} for n in names},
        "task_types": {"general": {"route": names}} | {f"on-{n}": {"route": [n]} for n in names},
    }


async def serve(port: int, folder: Path, tasks: int, hosts: int) -> None:
    """A dispatcher over pretended hosts whose calls never end, and its API."""
    from tests.shell.readings import CARD, FakeProbe
    from tests.shell.virtual import FakeBackend, Place
    from ygg.api.handlers import Handlers
    from ygg.api.outside import outside
    from ygg.api.server import Door
    from ygg.api.server import serve as served
    from ygg.config import from_dict
    from ygg.running.scope import Adapters, dispatching
    from ygg.stores.sqlite import open_store

    config = from_dict(config_dict(hosts), "bench")
    store = open_store(folder / "ygg.db")
    for part in _tasks(tasks, sorted(config.types)):
        await store.submit(part, 1_800_000_000_000)
    adapters = Adapters(
        lambda endpoint, host: FakeBackend(Place(host, latency_s=1e6), endpoint),
        lambda known: {h.name: (FakeProbe(CARD),) for h in known},
    )
    async with dispatching(store, store, config, adapters) as scope:
        dispatcher, board = scope.dispatcher, scope.dispatcher.board
        while len(board.running) < 2 * hosts or not all(  # noqa: ASYNC110 - outside judge
            h.gpus for h in dispatcher.snapshot(0).hosts
        ):
            await asyncio.sleep(0.1)
        _work(dispatcher.tally, [*config.hosts])
        handlers = Handlers(dispatcher, lambda: config, tally=dispatcher.tally)
        app = outside(handlers, lambda: config.api, frozenset())
        async with served(app, Door(folder / "ygg.sock", listen=[f"127.0.0.1:{port}"])):
            print("ready", flush=True)
            await asyncio.Event().wait()


def _tasks(count: int, kinds: list[str]) -> Iterable[list[Any]]:
    from ygg.model import Lane, NewTask

    def one(n: int) -> NewTask:
        request = {"messages": [{"role": "user", "content": f"task {n}"}]}
        return NewTask(f"task-{n:06d}", Lane(kinds[n % len(kinds)]), request, body_hash=str(n))

    for start in range(0, count, 5000):
        yield [one(n) for n in range(start, min(count, start + 5000))]


def _work(tally: Any, hosts: list[str]) -> None:
    """What a day leaves behind: each model has run on each host, and did not always end well."""
    tally.models |= {*MODELS}
    for host, model in product(hosts, MODELS):
        for outcome in ("completed", "error", "timeout"):
            tally.ended[host, model, f"on-{host}", outcome] += 7
            tally.durations.observe((host, model, outcome), 12.5)
        for direction in ("input", "output"):
            tally.tokens[host, model, direction] += 4711
        tally.loads[host, model] += 3


if __name__ == "__main__":
    if len(sys.argv) > 1:
        from ygg.running import evented

        port, folder, tasks, hosts = sys.argv[1:]
        evented.run(serve(int(port), Path(folder), int(tasks), int(hosts)))
    else:
        print(json.dumps(run(), indent=2))
