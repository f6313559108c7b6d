"""Simulated model servers on real HTTP over loopback, for the demo, the tests and the benchmarks.

A server has slots and a latency, loads its models, streams words, misbehaves by plan, and writes down
every call as it saw it: the dispatcher is judged by these records, not by what it believes. Calls beyond
the slots wait in FIFO order, as with the real servers, and are counted as violations. Same seed, same
prompts, same words.

`python -m ygg.sim.servers '{"name": "a", "slots": 2, "models": ["m"], "latency_s": 0.2}'` prints
`{"name", "url"}` as one JSON line and serves until stdin ends; `"records": "file.json"` keeps the records.
A JSON list starts several servers and prints one line for each.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ygg.model import JsonDict
from ygg.multipart import FORM
from ygg.sim.answering import Answering, Arrival, Ended
from ygg.sim.dialects import JSON, Inventory, dialect, dump
from ygg.sim.faults import Fault, FaultPlan
from ygg.sim.forms import form
from ygg.sim.http import Connection, Request
from ygg.sim.keeping import keep

__all__ = ["Arrival", "Fault", "FaultPlan", "SimServer"]

PROMPT_KEPT = 200  #: characters of a prompt in a record


class SimServer:
    """One simulated server. Build it anywhere, `start` it inside a running event loop."""

    def __init__(
        self,
        name: str,
        *,
        slots: int = 1,
        models: Sequence[str] = ("sim",),
        latency_s: float = 0.0,
        load_s: float = 0.0,
        max_loaded: int | None = None,
        dialect: str = "ollama",
        tokens: int = 8,
        faults: FaultPlan | None = None,
        seed: int = 0,
        api_key: str | None = None,
        port: int = 0,
        library: Mapping[str, int] | None = None,
        disk: int | None = None,
        pull_s: float = 0.0,
    ) -> None:
        """`max_loaded`: models that fit in memory at once; None: all. `library`: models that can be pulled and their bytes, over `pull_s`; `disk`: bytes free."""
        self.name, self.slots, self.models = name, slots, tuple(models)
        self.latency_s, self.load_s, self.tokens, self.seed = latency_s, load_s, tokens, seed
        self.api_key, self.port, self.max_loaded = api_key, port, max_loaded
        self.library, self.disk, self.pull_s = dict(library or {}), disk, pull_s
        self.partial: dict[
            tuple[str, str], int
        ] = {}  #: bytes that cut pulls left, by model and layer
        self.dialect_name = dialect
        self.records: list[Arrival] = []
        self.peak_in_flight = 0
        self.violations = 0
        self.url = ""
        self.changed = asyncio.Event()  #: set whenever a call arrives, streams or ends
        self._running: dict[int, Arrival] = {}  #: arrived and not ended, in order of arrival
        self._inventory = Inventory(self.models)
        self._expiring: set[str] = set()  #: models to unload when their last call ends
        self._connections: set[Connection] = set()
        self._server: asyncio.Server | None = None
        self.plan(faults or FaultPlan())

    # --- life ---------------------------------------------------------------------------------

    def plan(self, faults: FaultPlan) -> None:
        """Use this plan from the next call on."""
        self.faults = faults
        self._deck = faults.start()

    async def start(self) -> str:
        """Listen on loopback; the URL. A server that was stopped or killed comes back on its port."""
        self.protocol = dialect(self.dialect_name)
        self._free = asyncio.Semaphore(self.slots)
        self._loading = asyncio.Lock()
        self._server = await asyncio.get_running_loop().create_server(
            lambda: Connection(self._handle, self._connections), "127.0.0.1", self.port
        )
        self.port = self._server.sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        return self.url

    async def stop(self) -> None:
        """Close the listener and every connection, and let the calls on them end."""
        self.kill()
        await self.until(lambda: not self._running)

    def kill(self) -> None:
        """Die at once: the port refuses and every connection is reset. Loaded models are forgotten."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for connection in list(self._connections):
            connection.abort()
        self._inventory.loaded.clear()

    async def until(self, condition: Any, timeout_s: float = 10.0) -> None:
        """Wait for `condition()` to hold; it is asked whenever a call arrives, streams or ends."""
        async with asyncio.timeout(timeout_s):
            while not condition():
                self.changed.clear()
                await self.changed.wait()

    # --- requests -----------------------------------------------------------------------------

    async def _handle(self, request: Request, connection: Connection) -> None:
        if self.api_key and request.headers.get("authorization") != f"Bearer {self.api_key}":
            connection.reply(401, self.protocol.error(401, "invalid API key"), JSON)
        elif await keep(self, request, connection):
            pass
        elif request.method == "POST" and request.path in self.protocol.paths:
            await self._call(request, connection)
        else:
            self._ask(request, connection)

    def _ask(self, request: Request, connection: Connection) -> None:
        found = self.protocol.get(request.path, self._inventory)
        if found is None:
            connection.reply(404, b"404 page not found", "text/plain")
        elif isinstance(found, bytes):
            body = b"" if request.method == "HEAD" else found
            connection.reply(200, body, "text/plain; charset=utf-8")
        else:
            connection.reply(200, dump(found), JSON)

    async def _call(self, request: Request, connection: Connection) -> None:
        try:
            ask = self.protocol.read(request.path, _body(request))
        except (ValueError, AttributeError):
            connection.reply(400, self.protocol.error(400, "invalid body"), JSON)
            return
        record = Arrival(
            request.headers.get("x-ygg-task", ""),
            ask.prompt[:PROMPT_KEPT],
            ask.model,
            time.monotonic(),
        )
        self.records.append(record)
        try:
            with self._counted(record):
                await self._judge(record)
                async with self._free:
                    record.started = time.monotonic()
                    await Answering(self, ask, record, connection).run()
        except Ended:
            pass

    @contextmanager
    def _counted(self, record: Arrival) -> Iterator[None]:
        record.in_flight_at_arrival = len(self._running)
        self._running[id(record)] = record
        self.changed.set()
        try:
            yield
        except asyncio.CancelledError:
            if record.ended is None:
                self.close(record, "aborted")
            raise
        finally:
            if record.ended is None:
                self.close(record, "error")

    async def _judge(self, record: Arrival) -> None:
        """Count a violation, unless a client is just leaving: its close may be read after this call."""
        if record.in_flight_at_arrival >= self.slots:
            for _ in range(3):
                await asyncio.sleep(0)
            record.in_flight_at_arrival = list(self._running).index(id(record))
            self.violations += record.in_flight_at_arrival >= self.slots
        self.peak_in_flight = max(self.peak_in_flight, record.in_flight_at_arrival + 1)

    @property
    def loaded(self) -> tuple[str, ...]:
        """Models in memory."""
        return tuple(self._inventory.loaded)

    @property
    def in_flight(self) -> int:
        """Calls that have arrived and not ended."""
        return len(self._running)

    # --- what a call asks of its server ---------------------------------------------------------

    def fault_for(self, prompt: str) -> Fault | None:
        return self._deck.deal(prompt)

    def close(self, record: Arrival, how: str) -> None:
        """The call is over: its slot is free before its last byte leaves."""
        record.how, record.ended = how, time.monotonic()
        del self._running[id(record)]
        if record.model in self._expiring:
            self.expire(record.model)
        self.changed.set()

    def expire(self, model: str) -> None:
        """Unload a model once no call uses it."""
        if any(r.model == model for r in self._running.values()):
            self._expiring.add(model)
            return
        self._expiring.discard(model)
        self._inventory.loaded.pop(model, None)

    def has(self, model: str) -> None:
        """Add a model to those on disk."""
        self.models = self._inventory.models = tuple(dict.fromkeys((*self.models, model)))

    async def load(self, model: str) -> float:
        """Silence while the model loads, as Ollama does; one load at a time. Seconds it took."""
        if model in self._inventory.loaded:
            return 0.0
        before = time.monotonic()
        async with self._loading:
            await self._make_room(model)
            if model not in self._inventory.loaded and self.load_s:
                await asyncio.sleep(self.load_s)
            self._inventory.loaded[model] = time.monotonic()
        return time.monotonic() - before

    async def _make_room(self, model: str) -> None:
        """Evict idle models, the oldest first; with none idle wait until one is."""
        loaded = self._inventory.loaded
        while self.max_loaded and model not in loaded and len(loaded) >= self.max_loaded:
            busy = {r.model for r in self._running.values()}
            idle = next((m for m in loaded if m not in busy), None)
            if idle is not None:
                del loaded[idle]
            else:
                self.changed.clear()
                await self.changed.wait()


def _body(request: Request) -> JsonDict:
    """What a call says, in JSON or in a form. Raises ValueError."""
    if FORM not in request.headers.get("content-type", ""):
        data: JsonDict = json.loads(request.body)
        return data
    return form(request)


# --- standalone -----------------------------------------------------------------------------------


def from_json(spec: Mapping[str, Any]) -> SimServer:
    """A server from plain data: the arguments of SimServer, `faults` as those of FaultPlan."""
    arguments = {k: v for k, v in spec.items() if k != "records"}
    if "faults" in arguments:
        arguments["faults"] = _plan(arguments["faults"])
    return SimServer(**arguments)


def _plan(spec: Mapping[str, Any]) -> FaultPlan:
    def faults(names: Sequence[str | None]) -> list[Fault | None]:
        return [None if n is None else Fault(n) for n in names]

    known = dict(spec)
    known["script"] = faults(spec.get("script", ()))
    known["by_prompt"] = {k: faults(v) for k, v in spec.get("by_prompt", {}).items()}
    known["rates"] = {Fault(k): v for k, v in spec.get("rates", {}).items()}
    return FaultPlan(**known)


def dump_records(server: SimServer, path: Path) -> None:
    """Write what the server saw as one JSON object."""
    facts = {"name": server.name, "violations": server.violations, "peak": server.peak_in_flight}
    path.write_bytes(dump({**facts, "records": [asdict(r) for r in server.records]}))


async def serve(specs: Sequence[Mapping[str, Any]]) -> None:
    """Start each server, say where it is, and run until stdin ends."""
    servers = [from_json(spec) for spec in specs]
    for server in servers:
        url = await server.start()
        sys.stdout.write(json.dumps({"name": server.name, "url": url}) + "\n")
        sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.buffer.read)
    for server, spec in zip(servers, specs, strict=True):
        await server.stop()
        if "records" in spec:
            dump_records(server, Path(spec["records"]))


def main(argv: Sequence[str]) -> None:
    spec = json.loads(argv[1])
    asyncio.run(serve(spec if isinstance(spec, list) else [spec]))


if __name__ == "__main__":
    main(sys.argv)
