"""Pickup, idle and start-up, on the daemon as it is installed.

Pickup: a submit over an open socket connection to the request's arrival at the model server, daemon idle;
beside it a bare program with SQLite and a unix datagram that does nothing else, with the same durability:
submits and ends are synced, the claim with the end of its task.
"""

from __future__ import annotations

import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from bench.servers import HOME, Servers, config_dict, servers
from tests.system.rig import Daemon

SAMPLES = 200
GAP_S = 0.02

BARE = """
import asyncio, json, socket, sys, time
import apsw, httpx
from aiohttp import ClientSession, TCPConnector
from httpx_aiohttp import AiohttpTransport
database, wake, url = sys.argv[1:]
async def main():
    db = apsw.Connection(database)
    db.execute("PRAGMA journal_mode = WAL"); db.execute("PRAGMA synchronous = FULL"); db.set_busy_timeout(5000)
    db.execute("CREATE TABLE IF NOT EXISTS t (id INTEGER PRIMARY KEY, body TEXT, state TEXT)")
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); sock.bind(wake); sock.setblocking(False)
    transport = AiohttpTransport(client=lambda: ClientSession(connector=TCPConnector(limit=0)))
    loop = asyncio.get_running_loop()
    print("ready", flush=True)
    async with httpx.AsyncClient(base_url=url, transport=transport) as client:
        while await loop.sock_recv(sock, 16) != b"end":
            rows = db.execute("SELECT id, body FROM t WHERE state = 'queued'").fetchall()
            for n, body in rows:
                db.execute("PRAGMA synchronous = NORMAL")
                db.execute("UPDATE t SET state = 'processing' WHERE id = ?", (n,))
                db.execute("PRAGMA synchronous = FULL")
                async with client.stream("POST", "/api/chat", content=body, headers={"X-Ygg-Task": f"{n}.1"}) as answer:
                    async for line in answer.aiter_lines():
                        pass
                db.execute("UPDATE t SET state = 'completed' WHERE id = ?", (n,))
asyncio.run(main())
"""


def _percentiles(values: list[float]) -> tuple[float, float]:
    ordered = sorted(values)
    return statistics.median(ordered), ordered[int(len(ordered) * 0.99)]


def _arrivals(running: Servers) -> dict[str, float]:
    records = [r for host in running.records.values() for r in host["records"]]
    return {r["task"].rpartition(".")[0]: r["at"] for r in records}


def _pickup_ygg(folder: Path) -> list[float]:
    with servers(0.0) as running:
        target = _daemon(folder, running)
        target.start()
        client, sent = target.remote(), {}
        for n in range(SAMPLES):
            at = time.monotonic()
            (answer,) = client.submit([{"prompt": f"task {n}", "type": "reasoning"}])
            sent[answer["id"]] = at
            time.sleep(GAP_S)
        client.close()
        target.stop()
    return [(at - sent[i]) * 1000 for i, at in _arrivals(running).items()]


def _pickup_bare(folder: Path) -> list[float]:
    import apsw

    database, wake = str(folder / "bare.db"), str(folder / "wake")
    with servers(0.0) as running:
        process = subprocess.Popen(
            [sys.executable, "-c", BARE, database, wake, running.urls["surtr-reasoning"]],
            stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert process.stdout is not None
        process.stdout.readline()
        db = apsw.Connection(database)
        db.execute("PRAGMA synchronous = FULL")
        db.set_busy_timeout(5000)
        sock, sent = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM), {}
        for n in range(SAMPLES):
            body = json.dumps(
                {"model": "m", "messages": [{"role": "user", "content": f"task {n}"}]}
            )
            sent[str(n)] = time.monotonic()
            db.execute("INSERT INTO t VALUES (?, ?, 'queued')", (n, body))
            sock.sendto(b"new", wake)
            time.sleep(GAP_S)
        sock.sendto(b"end", wake)
        sock.close()
        process.wait(20)
        process.stdout.close()
    return [(at - sent[i]) * 1000 for i, at in _arrivals(running).items()]


def _daemon(folder: Path, running: Servers) -> Daemon:
    import yaml

    config = folder / "hosts.yaml"
    config.write_text(yaml.safe_dump(config_dict(running.urls)))
    return Daemon(folder, config, fresh=True)


def pickup() -> dict[str, Any]:
    """Milliseconds, bare program and ygg."""
    figures: dict[str, Any] = {}
    for name, measure in (("bare", _pickup_bare), ("ygg", _pickup_ygg)):
        with tempfile.TemporaryDirectory() as folder:
            p50, p99 = _percentiles(measure(Path(folder)))
        figures |= {f"{name}_p50_ms": round(p50, 2), f"{name}_p99_ms": round(p99, 2)}
    return figures | {"p50_ratio": round(figures["ygg_p50_ms"] / figures["bare_p50_ms"], 2)}


def idle(seconds: float = 20.0) -> dict[str, Any]:
    """CPU of an idle daemon, per cent of a core."""
    with servers(0.0) as running, tempfile.TemporaryDirectory() as folder:
        target = _daemon(Path(folder), running)
        target.start()
        assert target.process is not None
        stat = Path(f"/proc/{target.process.pid}/stat")
        time.sleep(2)
        before = ticks(stat)
        time.sleep(seconds)
        used = (ticks(stat) - before) / os.sysconf("SC_CLK_TCK")
        target.stop()
    return {"seconds": seconds, "cpu_percent": round(100 * used / seconds, 3), "hosts": len(HOME)}


def ticks(stat: Path) -> int:
    """Processor time of a process so far, by its /proc/PID/stat."""
    fields = stat.read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def start_up(runs: int = 9) -> dict[str, Any]:
    """Medians of whole processes, with byte code in place, as ratios to importing typer alone."""
    with servers(0.0) as running, tempfile.TemporaryDirectory() as folder:
        target = _daemon(Path(folder), running)
        target.start()
        commands = {
            "import_typer": [sys.executable, "-c", "import typer"],
            "version": [sys.executable, "-m", "ygg", "--version"],
            "submit": [sys.executable, "-m", "ygg", "submit", "hello"],
        }
        times: dict[str, list[float]] = {name: [] for name in commands}
        for _ in range(runs + 1):
            for name, command in commands.items():
                began = time.perf_counter()
                subprocess.run(command, env=target.env, stdout=subprocess.DEVNULL, check=True)
                times[name].append(time.perf_counter() - began)
        target.stop()
    medians = {name: statistics.median(t[1:]) * 1000 for name, t in times.items()}
    base = medians["import_typer"]
    return {f"{n}_ms": round(t, 1) for n, t in medians.items()} | {
        f"{n}_ratio": round(medians[n] / base, 2) for n in ("version", "submit")
    }


if __name__ == "__main__":
    print(json.dumps({part.__name__: part() for part in (pickup, idle, start_up)}, indent=2))
