"""A lean HTTP/1.1 server protocol for the simulated model servers.

It knows what model clients send (a head, a body with Content-Length, keep-alive) and nothing else. One
request at a time runs per connection; a connection that closes cancels its request, which is how the
simulator notices that a client went away.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, cast

log = logging.getLogger(__name__)

REASONS = {
    200: "OK", 400: "Bad Request", 401: "Unauthorized", 404: "Not Found", 411: "Length Required",
    429: "Too Many Requests", 500: "Internal Server Error", 502: "Bad Gateway",
    503: "Service Unavailable",
}  # fmt: skip


@dataclass(slots=True)
class Request:
    """One request, headers in lower case."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class Connection(asyncio.Protocol):
    """One client connection. `handle` runs each request and writes through the methods below."""

    def __init__(
        self,
        handle: Callable[[Request, Connection], Coroutine[Any, Any, None]],
        open_connections: set[Connection],
    ) -> None:
        self._handle = handle
        self._open = open_connections
        self._buffer = bytearray()
        self._lacks = 0  #: bytes of a body that are still to come, as far as its head has
        self._task: asyncio.Task[None] | None = None
        self.transport: asyncio.Transport = None  # type: ignore[assignment]  # set by connection_made
        self.gone = False

    # --- what asyncio calls -------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's are no subclass
        self._open.add(self)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        self._lacks -= len(data)
        if self._task is None and self._lacks <= 0:
            self._next()

    def eof_received(self) -> bool:
        self._left()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._left()
        self._open.discard(self)

    def _left(self) -> None:
        self.gone = True
        if self._task is not None:
            self._task.cancel()

    def _next(self) -> None:
        request = self._parse()
        if request is not None:
            self._task = asyncio.get_running_loop().create_task(self._handle(request, self))
            self._task.add_done_callback(self._handled)

    def _handled(self, task: asyncio.Task[None]) -> None:
        self._task = None
        bug = None if task.cancelled() else task.exception()
        if bug is not None:
            log.error("simulated server failed", exc_info=bug)
            self.abort()
        elif not self.gone:
            self._next()

    def _parse(self) -> Request | None:
        """The next whole request in the buffer, or None while it is still coming."""
        start = self._buffer.find(b"\r\n\r\n")
        if start < 0:
            return None
        first, *lines = self._buffer[:start].decode("latin-1").split("\r\n")
        headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in lines)}
        end = start + 4 + int(headers.get("content-length", 0))
        self._lacks = end - len(self._buffer)
        if self._lacks > 0:
            return None
        body = bytes(self._buffer[start + 4 : end])
        del self._buffer[:end]
        method, path, _ = first.split(" ", 2)
        return Request(method, path.partition("?")[0], headers, body)

    # --- what a handler calls -----------------------------------------------------------------

    def reply(self, status: int, body: bytes, kind: str, *headers: str) -> None:
        """A whole answer."""
        self.transport.write(head(status, kind, f"Content-Length: {len(body)}", *headers) + body)

    def begin(self, kind: str) -> bytes:
        """The head of a chunked answer, to be written with its first chunk."""
        return head(200, kind, "Transfer-Encoding: chunked")

    def write(self, data: bytes) -> None:
        self.transport.write(data)

    def abort(self) -> None:
        """Reset the connection."""
        self.transport.abort()


LAST_CHUNK = b"0\r\n\r\n"


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def head(status: int, kind: str, *headers: str) -> bytes:
    lines = (f"HTTP/1.1 {status} {REASONS[status]}", f"Content-Type: {kind}", *headers, "", "")
    return "\r\n".join(lines).encode("latin-1")
