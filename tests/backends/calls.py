"""Builders for tests of backends: calls, and a server that answers with exact bytes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from ygg.model import (
    Attempt,
    Call,
    CallLimits,
    Candidate,
    JsonDict,
    Lane,
    Operation,
    Priority,
    State,
    Task,
)
from ygg.ports import Backend, Done, Piece
from ygg.sim.http import LAST_CHUNK, Connection, Request, chunk

LIMITS = CallLimits(connect_s=5.0, first_token_s=20.0, between_tokens_s=20.0, total_s=30.0)


def call(
    prompt: str = "hello",
    *,
    model: str = "sim",
    limits: CallLimits = LIMITS,
    operation: Operation = Operation.CHAT,
    started_ms: int = 1_000_000,
    **request: object,
) -> Call:
    """A call for attempt 1 of task `t1`; `request` adds to or replaces the fields of its request.

    With `messages=None` the request holds the prompt itself.
    """
    task = Task(
        id="t1", seq=1, version=1, lane=Lane("general"), priority=Priority.NORMAL,
        state=State.PROCESSING, operation=operation, request={}, attempt=1, started_ms=started_ms,
    )  # fmt: skip
    fields: JsonDict = {"messages": [{"role": "user", "content": prompt}], **request}
    if fields["messages"] is None:
        fields["prompt"] = prompt
    fields = {k: v for k, v in fields.items() if v is not None}
    where = Candidate("box", "main", model)
    return Call("call-1", where, (Attempt(task, fields),), limits)


async def collect(backend: Backend, one: Call) -> tuple[list[Piece], Done]:
    """Run a call; its pieces and its end, which must be the last item and the only end."""
    items = [item async for item in backend.stream(one)]
    *pieces, done = items
    assert isinstance(done, Done)
    assert all(isinstance(p, Piece) for p in pieces)
    return [p for p in pieces if isinstance(p, Piece)], done


def text_of(pieces: Sequence[Piece]) -> str:
    return "".join(p.content for p in pieces)


class Scripted:
    """Answers the n-th request with the n-th script: the byte strings of a chunked body, or a whole
    HTTP answer that starts with `HTTP/`. The last script repeats."""

    def __init__(self, *scripts: Sequence[bytes]) -> None:
        self.scripts = scripts
        self.requests: list[Request] = []
        self.connections: set[Connection] = set()
        self.opened = 0
        self.linger: asyncio.Event | None = None  #: the body ends only when this is set
        self.hang_up = False  #: close each connection after its answer, as llama.cpp does
        self.url = ""

    @property
    def bodies(self) -> list[JsonDict]:
        return [json.loads(r.body) for r in self.requests]

    def connection(self) -> Connection:
        self.opened += 1
        return Connection(self.answer, self.connections)

    async def answer(self, request: Request, connection: Connection) -> None:
        script = self.scripts[min(len(self.requests), len(self.scripts) - 1)]
        self.requests.append(request)
        if script and script[0].startswith(b"HTTP/"):
            connection.write(b"".join(script))
            return
        connection.write(connection.begin("application/octet-stream"))
        for part in script:
            connection.write(chunk(part))
            await asyncio.sleep(0.001)  # so that each part arrives alone
        if self.linger is not None:
            await self.linger.wait()
        connection.write(LAST_CHUNK)
        if self.hang_up:
            connection.transport.close()


@asynccontextmanager
async def scripted(*scripts: Sequence[bytes]) -> AsyncIterator[Scripted]:
    """A running Scripted server on loopback."""
    script = Scripted(*scripts)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(script.connection, "127.0.0.1", 0)
    script.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield script
    finally:
        server.close()
        for connection in list(script.connections):
            connection.abort()
