"""What a plain asyncio program costs for the same work, as the yardstick.

The same HTTP client with streaming, the same durability (SQLite through apsw, one writer thread, group
commit: claims that wait go first and unsynced, the ends behind them with a sync that covers both), and no
scheduling: each host's workers take the next row of their host, claim it, call, store the result. No priorities, no retries, no fencing, no log, no counters.
"""

from __future__ import annotations

import asyncio
import json
import queue
import threading
import time
from pathlib import Path
from typing import Any

import apsw
import httpx
from aiohttp import ClientSession, TCPConnector
from httpx_aiohttp import AiohttpTransport

from bench.servers import HOME, KINDS, TYPES


class Store(threading.Thread):
    """One table, one writer thread, group commit."""

    CLAIM = "UPDATE t SET state = 'processing' WHERE id = ?"
    END = "UPDATE t SET state = 'completed', result = ? WHERE id = ?"

    def __init__(self, path: Path) -> None:
        super().__init__(daemon=True)
        self.db = apsw.Connection(str(path))
        self.db.execute("PRAGMA journal_mode = WAL")
        self.db.execute(
            "CREATE TABLE t (id INTEGER PRIMARY KEY, host TEXT, body TEXT, state TEXT, result TEXT)"
        )
        self.jobs: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.loop = asyncio.get_running_loop()

    def do(self, sql: str, values: tuple[Any, ...]) -> asyncio.Future[None]:
        future: asyncio.Future[None] = self.loop.create_future()
        self.jobs.put((sql, values, future))
        return future

    def run(self) -> None:
        while (job := self.jobs.get()) is not None:
            group = [job]
            while not self.jobs.empty() and len(group) < 256:
                group.append(self.jobs.get())
            for level, sql in (("NORMAL", self.CLAIM), ("FULL", self.END)):
                if part := [job for job in group if job[0] == sql]:
                    self._commit(level, part)

    def _commit(self, level: str, part: list[Any]) -> None:
        self.db.execute(f"PRAGMA synchronous = {level}")
        self.db.execute("BEGIN IMMEDIATE")
        for sql, values, _ in part:
            self.db.execute(sql, values)
        self.db.execute("COMMIT")
        self.loop.call_soon_threadsafe(lambda: [f.set_result(None) for _, _, f in part])


async def drain(urls: dict[str, str], tasks: int, folder: Path) -> float:
    """Seconds for `tasks` queued tasks."""
    store = Store(folder / "bare.db")
    rows = []
    with store.db:
        for n in range(tasks):
            host = TYPES[KINDS[n % 3]]
            body = {
                "model": "m",
                "messages": [{"role": "user", "content": f"task {n}"}],
                "stream": True,
            }
            store.db.execute(
                "INSERT INTO t VALUES (?, ?, ?, 'queued', NULL)", (n, host, json.dumps(body))
            )
            rows.append((n, host, json.dumps(body)))
    store.start()
    began = time.perf_counter()
    await asyncio.gather(*(_host(store, urls, name, slots, rows) for name, slots in HOME.items()))
    took = time.perf_counter() - began
    store.jobs.put(None)
    store.join()
    return took


async def _host(
    store: Store, urls: dict[str, str], name: str, slots: int, rows: list[tuple[int, str, str]]
) -> None:
    mine = iter([(n, body) for n, host, body in rows if host == name])
    transport = AiohttpTransport(client=lambda: ClientSession(connector=TCPConnector(limit=0)))
    async with httpx.AsyncClient(base_url=urls[name], transport=transport) as client:
        await asyncio.gather(*(_worker(store, client, mine) for _ in range(slots)))


async def _worker(store: Store, client: httpx.AsyncClient, mine: Any) -> None:
    for n, body in mine:
        await store.do(store.CLAIM, (n,))
        text = []
        async with client.stream("POST", "/api/chat", content=body) as answer:
            async for line in answer.aiter_lines():
                piece = json.loads(line)
                text.append(piece["message"]["content"])
                if piece["done"]:
                    break
        await store.do(store.END, ("".join(text), n))
