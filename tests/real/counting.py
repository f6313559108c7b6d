"""A proxy between ygg and a real server that counts the calls inside."""

from __future__ import annotations

import http.client
import select
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

SKIPPED = {"connection", "keep-alive", "transfer-encoding", "content-length", "host"}


@dataclass
class Counted:
    """What has passed through: POST requests, from their arrival until their answer is over, just before the client
    reads that, or the client has gone."""

    server: str
    url: str = ""
    inside: int = 0
    peak: int = 0
    tasks: list[str] = field(default_factory=list)  #: ids, in the order in which they came
    lock: threading.Lock = field(default_factory=threading.Lock)

    def enter(self, headers: Any) -> None:
        with self.lock:
            self.inside += 1
            self.peak = max(self.peak, self.inside)
            self.tasks.append(headers.get("X-Ygg-Task", "").partition(".")[0])

    def leave(self) -> None:
        with self.lock:
            self.inside -= 1

    def reset(self) -> None:
        with self.lock:
            self.peak, self.tasks = self.inside, []


#: What ends an answer, in the words of either protocol.
ENDS = (b"data: [DONE]", b'"done":true')


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    counted: Counted
    inside = False

    def log_message(self, *_: Any) -> None:
        """Nothing: the test reads the counts."""

    def _pass(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.inside = self.command == "POST"
        if self.inside:
            self.counted.enter(self.headers)
        try:
            self._answer(body)
        except (OSError, http.client.HTTPException):
            self._cut()
        finally:
            self._left()

    def _left(self) -> None:
        if self.inside:
            self.inside = False
            self.counted.leave()

    do_GET = do_POST = do_DELETE = _pass

    def _cut(self) -> None:
        """The client has gone, or the server: the other one sees it too."""
        self.close_connection = True
        self.connection.close()

    def _answer(self, body: bytes) -> None:
        address = urlsplit(self.counted.server)
        server = http.client.HTTPConnection(address.hostname or "", address.port)
        try:
            headers = {k: v for k, v in self.headers.items() if k.lower() not in SKIPPED}
            server.request(self.command, self.path, body or None, headers)
            self._await(server.sock)
            answer = server.getresponse()
            self.send_response_only(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in SKIPPED:
                    self.send_header(name, value)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            while data := answer.read1(65_536):
                if any(end in data for end in ENDS):
                    self._left()
                self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
            self.wfile.write(b"0\r\n\r\n")  # not when the server broke off: then read1 raises
        finally:
            server.close()

    def _await(self, server: socket.socket) -> None:
        """Until the server answers. OSError when the client has gone."""
        while True:
            ready, _, _ = select.select([server, self.connection], [], [])
            if server in ready:
                return
            if not self.connection.recv(1, socket.MSG_PEEK):
                raise ConnectionAbortedError


@contextmanager
def counting(server: str) -> Iterator[Counted]:
    """A proxy before the server at this URL, until the block ends."""
    counted = Counted(server)
    proxy = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Handler,), {"counted": counted}))
    proxy.daemon_threads = True
    counted.url = f"http://127.0.0.1:{proxy.server_address[1]}"
    thread = threading.Thread(target=proxy.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield counted
    finally:
        proxy.shutdown()
        proxy.server_close()
        thread.join(10)
