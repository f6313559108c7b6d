"""One contestant in a process of its own: `python -m bench.contestant bare|ygg|legacy '{json}'`.

Prints one JSON object: tasks, seconds, tasks_per_s, cpu_ms_per_task (user + system of this process) and
rss_mb (the peak).
"""

from __future__ import annotations

import asyncio
import importlib
import json
import resource
import sys
import tempfile
import threading
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from bench.servers import KINDS, config_dict


def _cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


async def ygg(urls: dict[str, str], tasks: int, folder: Path) -> float:
    """The daemon's own scope, logging to its file as always, over `tasks` queued tasks."""
    from ygg import paths, wire
    from ygg.config import from_dict
    from ygg.daemon import set_up_logging
    from ygg.model import State

    set_up_logging(folder, console=False)
    config = from_dict(config_dict(urls), "bench")
    database = folder / paths.DATABASE
    await _fill(database, tasks)
    began = time.perf_counter()
    async with wire.running(config, database) as scope:
        done = asyncio.get_running_loop().create_future()
        waiting, left = scope.dispatcher.loop.waiting, tasks
        tell = waiting.tell

        def count(ended: Any) -> None:
            nonlocal left
            tell(ended)
            left -= sum(t.state is State.COMPLETED for t in ended)
            if left == 0 and not done.done():
                done.set_result(time.perf_counter() - began)

        waiting.tell = count  # type: ignore[method-assign]
        took: float = await done
    return took


async def legacy(urls: dict[str, str], tasks: int, folder: Path) -> float:
    """The threaded loop over the same queue."""
    from ygg import legacy, paths
    from ygg.config import from_dict
    from ygg.model import State
    from ygg.stores.sqlite import open_archive

    config = from_dict(config_dict(urls), "bench")
    database = folder / paths.DATABASE
    await _fill(database, tasks)
    stop = threading.Event()
    began = time.perf_counter()
    serving = asyncio.create_task(legacy.serve(config, database, stop))
    archive = open_archive(database)
    while (await archive.counts()).state(State.COMPLETED) < tasks:  # noqa: ASYNC110 - outside judge
        await asyncio.sleep(0.02)
    took = time.perf_counter() - began
    await archive.close()
    stop.set()
    await serving
    return took


async def _fill(database: Path, tasks: int) -> None:
    """Queue the tasks before the clock starts."""
    from ygg.model import Lane, NewTask
    from ygg.stores.sqlite import open_store

    def one(n: int) -> NewTask:
        request = {"messages": [{"role": "user", "content": f"task {n}"}]}
        return NewTask(f"task-{n:06d}", Lane(KINDS[n % 3]), request, body_hash=str(n))

    store = open_store(database, dispatcher=False)
    await store.submit([one(n) for n in range(tasks)], 1_800_000_000_000)
    await store.close()


async def bare(urls: dict[str, str], tasks: int, folder: Path) -> float:
    from bench import bare

    return await bare.drain(urls, tasks, folder)


CONTESTANTS: dict[str, Callable[[dict[str, str], int, Path], Awaitable[float]]] = {
    "bare": bare, "ygg": ygg, "legacy": legacy,
}  # fmt: skip


#: Imported before anything is measured, for all contestants alike.
MODULES = (
    "bench.bare",
    "ygg.backends.ollama",
    "ygg.config.build",
    "ygg.daemon",
    "ygg.legacy",
    "ygg.running.loop",
    "ygg.stores.sqlite",
)


async def main(name: str, spec: dict[str, Any]) -> dict[str, Any]:
    for module in MODULES:
        importlib.import_module(module)
    with tempfile.TemporaryDirectory() as folder:
        cpu = _cpu_s()
        took = await CONTESTANTS[name](spec["urls"], spec["tasks"], Path(folder))
        cpu = _cpu_s() - cpu
    return {
        "tasks": spec["tasks"],
        "seconds": took,
        "tasks_per_s": spec["tasks"] / took,
        "cpu_ms_per_task": cpu * 1000 / spec["tasks"],
        "rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


if __name__ == "__main__":
    from ygg.running import evented

    # the yardstick runs on plain asyncio; ygg on the loop its daemon uses
    run = evented.run if sys.argv[1] == "ygg" else asyncio.run
    print(json.dumps(run(main(sys.argv[1], json.loads(sys.argv[2])))))
