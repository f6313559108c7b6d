"""The API over the real run loop with pretended hosts: in virtual time without a socket, or in real
time behind a real one."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.shell.virtual import House, Place, house, run_virtual, until
from ygg import model
from ygg.api.app import build_app
from ygg.api.border import Border
from ygg.api.credentials import Credentials
from ygg.api.handlers import Handlers
from ygg.api.outside import outside
from ygg.api.server import Door, serve
from ygg.config import Config, from_dict
from ygg.model import Policy
from ygg.uploads import Uploads

OPEN = model.Api()
JsonDict = dict[str, Any]
HELLO = [{"role": "user", "content": "hello"}]


def config(
    capacity: int = 1000, batch_capacity: int = 100_000, cache_ttl: str = "off", **policies: object
) -> Config:
    """Hosts `surtr` and `fenrir`; types general, on surtr, and chat, on fenrir."""
    host = {"slots": 1, "backend": "ollama", "models": ["m"]}
    data = {
        "hosts": {n: {**host, "url": f"http://{n}:11434"} for n in ("surtr", "fenrir")},
        "task_types": {
            "general": {"route": ["surtr"]},
            "chat": {"route": ["fenrir"], "match": {"labels": ["talk"]}},
        },
        "policies": {
            "capacity": capacity,
            "batch_capacity": batch_capacity,
            "cache_ttl": cache_ttl,
            **policies,
        },
    }
    return from_dict(data, "test")


@dataclass
class Api:
    """An HTTP client of the API, and what is behind it."""

    http: httpx.AsyncClient
    house: House
    handlers: Handlers

    @property
    def surtr(self) -> Place:
        return self.house.places["surtr"]

    async def get(self, url: str, status: int = 200, **query: Any) -> JsonDict:
        return _body(await self.http.get(url, params=query), status)

    async def post(self, url: str, doc: Any = None, status: int = 200, **more: Any) -> JsonDict:
        return _body(await self.http.post(url, json=doc, **more), status)

    async def submit(self, status: int = 202, **fields: Any) -> JsonDict:
        """POST /v1/async/submit with a valid body."""
        doc = {"agent_type": "general", "messages": HELLO, **fields}
        return await self.post("/v1/async/submit", doc, status)

    async def state(self, task_id: str) -> str:
        return str((await self.get(f"/v1/async/status/{task_id}"))["state"])

    async def running(self, task_id: str) -> None:
        """Until the task's call has reached its host."""
        await until(lambda: any(t == task_id for _, t in self.surtr.arrivals))

    async def ended(self, task_id: str) -> JsonDict:
        return await self.get(f"/v1/tasks/{task_id}/wait", timeout=60)


def _body(response: httpx.Response, status: int) -> JsonDict:
    assert response.status_code == status, response.text
    body: JsonDict = response.json()
    return body


@asynccontextmanager
async def api(
    capacity: int = 1000,
    policy: Policy | None = None,
    batch_capacity: int = 100_000,
    settings: Config | None = None,
    uploads: Uploads | None = None,
) -> AsyncIterator[Api]:
    """The app without a socket, on the running loop. Every task runs, unless `settings` say otherwise. `uploads`: where
    files of tasks are."""
    settings = settings or config(capacity, batch_capacity)
    routes = {"general": ("surtr",), "chat": ("fenrir",)}
    async with house({"surtr": 1, "fenrir": 1}, routes, policy, uploads=uploads) as home:
        clock = home.dispatcher.loop.clock.now_ms
        about = {"pid": 4321, "store": "/var/lib/ygg/ygg.db", "socket": "/run/ygg/ygg.sock"}
        handlers = Handlers(
            home.dispatcher, lambda: settings, about=about, wall_ms=clock, reload=_more_slots,
            tally=home.dispatcher.tally,
        )  # fmt: skip
        async with over(home, handlers) as found:
            yield found


@asynccontextmanager
async def over(home: House, handlers: Handlers) -> AsyncIterator[Api]:
    """A client of these handlers."""
    transport = httpx.ASGITransport(build_app(handlers))
    async with httpx.AsyncClient(transport=transport, base_url="http://ygg") as http:
        yield Api(http, home, handlers)


async def _more_slots() -> list[str]:
    """What a reload tells here."""
    return ["host surtr: slots 1 -> 2"]


def play(scene: Callable[[Api], Coroutine[Any, Any, None]], capacity: int = 1000) -> None:
    """Run one scene against a fresh API, in virtual time."""

    async def main() -> None:
        async with api(capacity) as found:
            await scene(found)

    run_virtual(main())


def bordered(found: Api, settings: model.Api = OPEN) -> Border:
    """The app with what lets in, and as whom."""
    return Border(build_app(found.handlers), lambda: settings, found.handlers.callers)


@contextmanager
def served(
    path: Path,
    latency_s: float = 0.01,
    new_loop: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop,
    listen: Iterable[str] = (),
    credentials: Credentials | None = None,
    settings: Config | None = None,
    scraped: Iterable[str] = (),
) -> Iterator[Api]:
    """The same on a unix socket, and TCP addresses, its loop in a thread of its own: for clients that block."""
    ready, stop = threading.Event(), asyncio.Event()
    found: list[Api] = []
    loop = new_loop()

    async def main() -> None:
        door = Door(path, listen=listen, credentials=credentials, scraped=scraped)
        files = Uploads(path)
        async with AsyncExitStack() as stack:
            inside = await stack.enter_async_context(api(settings=settings, uploads=files))
            app = outside(inside.handlers, lambda: OPEN, door.scraped_ports)
            await stack.enter_async_context(serve(app, door))
            for place in inside.house.places.values():
                place.latency_s = latency_s
            found.append(inside)
            ready.set()
            await stop.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(main()))
    thread.start()
    try:
        assert ready.wait(20), "the server did not start"
        yield found[0]
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(20)
        loop.close()
