"""What the HTTP API costs: submits over TCP beside FastAPI + uvicorn answering a constant, `ygg submit --jsonl` beside apsw
inserting the same rows, one submit call beside a bare program's; and the memory of a daemon that a crowd asks at once.
Everything that is acknowledged is synced.

Nothing runs meanwhile: the queue is paused.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import apsw
import yaml

from bench.daemon import ticks
from bench.servers import config_dict
from tests.surface.test_tcp import free_port
from tests.system.rig import Daemon, until
from tests.system.test_load import asked, at_once

CONNECTIONS, REQUESTS, ROUNDS = 64, 4000, 3
LINES, PART, BULK_ROUNDS = 100_000, 1000, 2
CALLS = 300
CROWD = 1000
URLS = dict.fromkeys(("surtr-reasoning", "fenrir-chat", "skadi-code"), "http://127.0.0.1:9")
DOC = {"agent_type": "general", "messages": [{"role": "user", "content": "What is a queue?"}]}
CONSTANT = """
import sys, uvicorn
from fastapi import FastAPI
app = FastAPI()
@app.post("/v1/async/submit")
async def constant() -> dict[str, str]:
    return {"status": "ok"}
uvicorn.run(app, port=int(sys.argv[1]), log_level="warning", access_log=False)
"""


def run() -> dict[str, Any]:
    """Rates a second, milliseconds, and their ratios."""
    return {**submits(), **bulk(), **call(), **crowd()}


# --- many connections -----------------------------------------------------------------------------


def submits() -> dict[str, Any]:
    """Medians over rounds in turn: a machine that drifts drifts for both."""
    found: dict[str, dict[str, list[float]]] = {"constant": {}, "submit": {}}
    with tempfile.TemporaryDirectory() as folder, _constant() as constant, _paused(folder) as ygg:
        assert ygg.process is not None
        served = {"constant": constant, "submit": (ygg.port, ygg.process.pid)}
        for name, (port, pid) in [*served.items()] * ROUNDS:
            for key, value in _measured(port, Path(f"/proc/{pid}/stat")).items():
                found[name].setdefault(key, []).append(value)
    figures = {
        f"{name}_{key}": round(statistics.median(values), 2)
        for name, keys in found.items()
        for key, values in keys.items()
    }
    ratio = figures["submit_per_s"] / figures["constant_per_s"]
    return {"connections": CONNECTIONS, **figures, "submit_ratio": round(ratio, 2)}


def _measured(port: int, stat: Path) -> dict[str, float]:
    before = ticks(stat)
    times, took_s = asyncio.run(_load(port, REQUESTS))
    cpu_s = (ticks(stat) - before) / os.sysconf("SC_CLK_TCK")
    return {
        "per_s": REQUESTS / took_s,
        "p99_ms": sorted(times)[int(REQUESTS * 0.99)] * 1000,
        "cpu_ms": cpu_s * 1000 / (REQUESTS + CONNECTIONS),
    }


async def _load(port: int, requests: int) -> tuple[list[float], float]:
    """Seconds of each request, and of all together."""
    body = json.dumps(DOC).encode()
    head = "POST /v1/async/submit HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    raw = f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
    wires = [await asyncio.open_connection("127.0.0.1", port) for _ in range(CONNECTIONS)]
    for reader, writer in wires:  # the first of each warms up
        await _one(reader, writer, raw)
    began, left = time.perf_counter(), iter(range(requests))
    found = await asyncio.gather(*(_client(r, w, raw, left) for r, w in wires))
    took_s = time.perf_counter() - began
    for _, writer in wires:
        writer.close()
    return [t for times in found for t in times], took_s


async def _client(reader: Any, writer: Any, raw: bytes, left: Iterator[int]) -> list[float]:
    times = []
    for _ in left:
        began = time.perf_counter()
        await _one(reader, writer, raw)
        times.append(time.perf_counter() - began)
    return times


async def _one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, raw: bytes) -> None:
    writer.write(raw)
    head = await reader.readuntil(b"\r\n\r\n")
    assert head[9:10] == b"2", head
    await reader.readexactly(int(head.lower().split(b"content-length:")[1].split()[0]))


@contextmanager
def _constant() -> Iterator[tuple[int, int]]:
    """Port and process id."""
    port = free_port()
    process = subprocess.Popen([sys.executable, "-c", CONSTANT, str(port)])
    try:
        until(lambda: _listens(port), 60, "the constant is served")
        yield port, process.pid
    finally:
        process.terminate()
        process.wait(20)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


class _Ygg(Daemon):
    port = 0


@contextmanager
def _paused(folder: str) -> Iterator[_Ygg]:
    """A daemon that takes tasks over TCP and runs none."""
    target = _Ygg(Path(folder), Path(folder) / "hosts.yaml", "--no-view", fresh=True)
    target.port = free_port()
    more = {
        "api": {"listen": f"127.0.0.1:{target.port}"},
        "policies": {"capacity": 1_000_000, "batch_capacity": 1_000_000},
    }
    target.config.write_text(yaml.safe_dump(config_dict(URLS) | more))
    target.start()
    try:
        until(lambda: _listens(target.port), 60, "TCP is served")
        with closing(target.remote()) as desk:
            desk.pause()
        yield target
    finally:
        target.stop()


# --- many lines -----------------------------------------------------------------------------------


def bulk() -> dict[str, Any]:
    """Rows a second, the best of rounds in turn."""
    rates: dict[str, list[float]] = {"apsw": [], "jsonl": []}
    for _ in range(BULK_ROUNDS):
        for name, measure in (("apsw", _by_apsw), ("jsonl", _by_command)):
            with tempfile.TemporaryDirectory() as folder:
                rates[name].append(LINES / measure(folder))
    best = {f"{n}_rows_per_s": round(max(r)) for n, r in rates.items()}
    ratio = best["jsonl_rows_per_s"] / best["apsw_rows_per_s"]
    return {"lines": LINES, **best, "bulk_ratio": round(ratio, 3)}


def _by_command(folder: str) -> float:
    """Seconds of `ygg submit --jsonl`, with its start."""
    file = Path(folder) / "tasks.jsonl"
    file.write_text("".join(f'{{"prompt": "task {n}"}}\n' for n in range(LINES)))
    with _paused(folder) as target:
        began = time.perf_counter()
        command = [sys.executable, "-m", "ygg", "submit", "--jsonl", str(file)]
        subprocess.run(command, env=target.env, stdout=subprocess.DEVNULL, check=True)
        return time.perf_counter() - began


def _by_apsw(folder: str) -> float:
    """Seconds for the rows of as many tasks, into the table of a queue with its indexes."""
    from bench.depth import LIVE, create

    path = Path(folder) / "ygg.db"
    create(path)
    with closing(apsw.Connection(str(path))) as db:
        db.execute("PRAGMA synchronous = FULL")
        db.execute("INSERT INTO lanes (id, key) VALUES (1, ?)", (LIVE.key,))
        request = '{"messages":[{"role":"user","content":"task"}]}'
        rows = [(f"task-{n:09d}", request, f"{n:064x}", n, n) for n in range(LINES)]
        began = time.perf_counter()
        for start in range(0, LINES, PART):
            with db:
                db.executemany(INSERT, rows[start : start + PART])
        return time.perf_counter() - began


INSERT = """INSERT INTO tasks (id, lane, caller, type, priority, state, operation, request, title, labels, body_hash, created_ms,
 queued_ms) VALUES (?, 1, 'local', 'live', 2, 'queued', 'chat', ?, '', '[]', ?, ?, ?)"""


# --- one call -------------------------------------------------------------------------------------


def call() -> dict[str, Any]:
    """Milliseconds of one submit, medians of calls in turn."""
    times: dict[str, list[float]] = {"bare_call": [], "ygg_call": []}
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        desk = stack.enter_context(closing(stack.enter_context(_paused(folder)).remote()))
        ways: dict[str, Callable[[], object]] = {
            "bare_call": stack.enter_context(_bare(Path(folder))),
            "ygg_call": lambda: desk.submit([{"prompt": "hello"}]),
        }
        for name, submit in [*ways.items()] * CALLS:
            began = time.perf_counter()
            submit()
            times[name].append(time.perf_counter() - began)
    found = {f"{n}_ms": round(statistics.median(t) * 1000, 3) for n, t in times.items()}
    return {**found, "call_ratio": round(found["ygg_call_ms"] / found["bare_call_ms"], 2)}


@contextmanager
def _bare(folder: Path) -> Iterator[Callable[[], object]]:
    """A durable submit with nothing around it: a row that is synced, and a word to who waits for it."""
    db = apsw.Connection(str(folder / "bare.db"))
    db.execute("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL")
    db.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, body TEXT, state TEXT)")
    waits, says = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)

    def insert() -> None:
        body = json.dumps({"model": "m", "messages": DOC["messages"]})
        db.execute("INSERT INTO t (body, state) VALUES (?, 'queued')", (body,))
        says.send(b"new")
        waits.recv(16)

    with closing(db), waits, says:
        yield insert


# --- a crowd --------------------------------------------------------------------------------------


def crowd() -> dict[str, Any]:
    """Of so many who submit at once, and of as many long polls: the daemon's peak memory, and who was not answered."""
    found: dict[str, Any] = {"crowd": CROWD}
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    for name, asks in (("submits", _submits), ("polls", _polls)):
        with tempfile.TemporaryDirectory() as folder, _paused(folder) as ygg:
            answered = asyncio.run(asks(ygg))
            found[f"crowd_{name}_lost"] = CROWD - answered
            found[f"crowd_{name}_mb"] = round(ygg.peak_mb(), 1)
    return found


async def _submits(ygg: _Ygg) -> int:
    """How many different tasks were stored."""
    requests = [asked("POST", "/v1/async/submit", DOC)] * CROWD
    answers = await at_once(ygg.port, requests, asyncio.Event())
    (_, told), *_ = await at_once(ygg.port, [asked("GET", "/v1/async/stats")], asyncio.Event())
    return min(told["queue_depth"], len({body["task_id"] for _, body in answers}))


async def _polls(ygg: _Ygg) -> int:
    """How many were answered once the task had ended."""
    with closing(ygg.remote()) as desk:
        (task,) = desk.submit([{"prompt": "hello"}])
        requests = [asked("GET", f"/v1/async/status/{task['id']}?wait=60")] * CROWD
        sent = asyncio.Event()
        polls = asyncio.create_task(at_once(ygg.port, requests, sent))
        await sent.wait()
        # what is asked after them is answered after all of them began to wait
        await at_once(ygg.port, [asked("GET", "/v1/queue")], asyncio.Event())
        await asyncio.to_thread(desk.cancel, task["id"])
        return sum(told["state"] == "cancelled" for _, told in await polls)


if __name__ == "__main__":
    print(json.dumps(run(), indent=2))
