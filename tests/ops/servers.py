"""Simulated model servers on a loop in a thread, for commands that block; and a llama.cpp router."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any, TypeVar

from ygg.sim.http import Connection, Request
from ygg.sim.servers import SimServer

T = TypeVar("T")
JSON = "application/json"


class Street:
    """A loop in a thread, and what was started on it."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.servers: list[SimServer | Canned] = []

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.begin(work).result(20)

    def begin(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def do(self, act: Callable[[], T]) -> T:
        """Call something on the loop."""

        async def main() -> T:
            return act()

        return self.run(main())

    def ollama(self, name: str = "surtr", **fields: Any) -> SimServer:
        return self.started(SimServer(name, **fields))

    def canned(self, answers: dict[str, Any]) -> Canned:
        return self.started(Canned(answers))

    def started(self, server: Any) -> Any:
        self.run(server.start())
        self.servers.append(server)
        return server


@contextmanager
def street() -> Iterator[Street]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    found = Street(loop)
    try:
        yield found
    finally:
        for server in found.servers:
            found.run(server.stop())
        loop.call_soon_threadsafe(loop.stop)
        thread.join(20)
        loop.close()


class Canned:
    """Answers by `METHOD /path`: a value is JSON, a callable makes it of the body, an int is a status."""

    def __init__(self, answers: dict[str, Any]) -> None:
        self.answers = answers
        self.requests: list[Request] = []
        self.url = ""
        self._open: set[Connection] = set()
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: Connection(self._handle, self._open), "127.0.0.1", 0
        )
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        for connection in list(self._open):
            connection.abort()

    async def _handle(self, request: Request, link: Connection) -> None:
        self.requests.append(request)
        found = self.answers.get(f"{request.method} {request.path}", 404)
        if callable(found):
            found = found(json.loads(request.body or b"null"))
        if found is None:
            await asyncio.Event().wait()
        if isinstance(found, bytes):
            link.reply(200, found, "text/html")
        elif isinstance(found, int):
            link.reply(found, json.dumps({"error": {"message": "no"}}).encode(), JSON)
        else:
            link.reply(200, json.dumps(found).encode(), JSON)


def router(*loaded: str, models: tuple[str, ...] = ("Qwen3-8B", "gemma-3")) -> dict[str, Any]:
    """The answers of llama.cpp's router with these models loaded."""
    state = {m: "loaded" if m in loaded else "unloaded" for m in models}

    def entries(_: Any) -> Any:
        return {"data": [{"id": m, "status": {"value": s}} for m, s in state.items()]}

    def unload(body: Any) -> Any:
        state[body["model"]] = "unloaded"
        return {"success": True}

    return {"GET /v1/models": entries, "POST /models/unload": unload, "GET /props": {}}
