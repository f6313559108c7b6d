"""A model server that says what a case tells it to, byte for byte.

A body is lines, sent one by one and flushed. A line `@pause S` waits S seconds, `@again S TEXT`
sends TEXT every S seconds until the client has gone, `@flood TEXT` without a pause. `Reply.raw` is sent as it is instead.
"""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

CHECKS = {
    "/api/version": b'{"version": "0.30.8"}',
    "/api/tags": b'{"models": [{"name": "m:latest"}]}',
    "/api/ps": b'{"models": []}',
    "/health": b"{}",
    "/v1/models": b'{"data": [{"id": "m"}]}',
}
WELL = {
    "ollama": '{"message":{"content":"OK"},"done":true,"done_reason":"stop"}',
    "openai": 'data: {"choices":[{"delta":{"content":"OK"},"finish_reason":"stop"}]}\n\ndata: [DONE]\n',
}
PATIENCE_S = 120.0


@dataclass(frozen=True)
class Reply:
    """What one request is answered with."""

    body: str = ""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    raw: bytes | None = None


@dataclass(frozen=True)
class Asked:
    """One request as it came in."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def canary(self) -> bool:
        names = {name.lower(): value for name, value in self.headers.items()}
        return names.get("x-ygg-task", "").startswith("canary.")


@dataclass
class Script:
    """The server: `reply` answers every POST, `answers` one path each before `CHECKS`. Asked by ygg itself whether it
    works (a canary) it does, unless it is `sick`."""

    reply: Reply | Callable[[Asked], Reply] = field(default_factory=Reply)
    answers: dict[str, Reply] = field(default_factory=dict)
    sick: bool = False
    asked: list[Asked] = field(default_factory=list)
    url: str = ""
    closing: threading.Event = field(default_factory=threading.Event)

    @property
    def calls(self) -> list[Asked]:
        """Those for tasks."""
        return [a for a in self.asked if a.method == "POST" and not a.canary]

    def to(self, asked: Asked) -> Reply:
        if asked.path in self.answers:
            return self.answers[asked.path]
        if asked.method == "GET":
            known = CHECKS.get(asked.path)
            return Reply(raw=known or b"{}", status=200 if known else 404)
        if asked.canary and not self.sick:
            return Reply(WELL["ollama" if asked.path.startswith("/api/") else "openai"])
        return self.reply(asked) if callable(self.reply) else self.reply


class Handler(BaseHTTPRequestHandler):
    script: Script

    def log_message(self, *_: Any) -> None:
        """Nothing: the test reads `asked`."""

    def _answer(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        asked = Asked(self.command, self.path, dict(self.headers), self.rfile.read(length))
        self.script.asked.append(asked)
        reply = self.script.to(asked)
        dated = "Date" in reply.headers  # else it gets the true one
        (self.send_response_only if dated else self.send_response)(reply.status)
        for name, value in ({"Content-Type": "application/octet-stream"} | reply.headers).items():
            self.send_header(name, value)
        self.end_headers()  # HTTP/1.0: the body ends with the connection
        try:
            self._body(reply)
        except OSError:
            self.close_connection = True

    do_GET = do_POST = do_DELETE = _answer

    def _body(self, reply: Reply) -> None:
        if reply.raw is not None:
            self._send(reply.raw)
            return
        for line in reply.body.split("\n"):
            word, _, rest = line.partition(" ")
            if word == "@pause":
                self.script.closing.wait(float(rest))
            elif word == "@again":
                every, _, text = rest.partition(" ")
                self._again(float(every), text.encode() + b"\n")
            elif word == "@flood":
                self._flood(rest.encode() + b"\n")
            else:
                self._send(line.encode() + b"\n")

    def _again(self, every_s: float, data: bytes) -> None:
        for _ in range(int(PATIENCE_S / every_s)):
            self._send(data)
            if self.script.closing.wait(every_s):
                return

    def _flood(self, data: bytes) -> None:
        block = data * (65_536 // len(data) + 1)
        until = time.monotonic() + PATIENCE_S
        while time.monotonic() < until and not self.script.closing.is_set():
            self._send(block)

    def _send(self, data: bytes) -> None:
        self.wfile.write(data)
        self.wfile.flush()


@contextmanager
def scripted(
    reply: Reply | Callable[[Asked], Reply] | None = None, secure: ssl.SSLContext | None = None
) -> Iterator[Script]:
    """A server on a free port until the block ends; with `secure` it speaks TLS."""
    script = Script() if reply is None else Script(reply)
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Handler,), {"script": script}))
    server.daemon_threads = True
    if secure is not None:
        server.socket = secure.wrap_socket(server.socket, server_side=True)
        server.handle_error = lambda *_: None  # type: ignore[method-assign]  # refused handshakes
    script.url = f"http{'s' if secure else ''}://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield script
    finally:
        script.closing.set()
        server.shutdown()
        server.server_close()
        thread.join(10)
