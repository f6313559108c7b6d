"""HTTP as nobody should write it: bytes straight into a TCP connection of the daemon, and what came back."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from random import Random

LIMIT_S = 20.0
CRLF = b"\r\n"


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[bytes, bytes]
    body: bytes


@contextmanager
def wire(port: int) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", port), timeout=LIMIT_S) as one:
        yield one


def answers(raw: bytes) -> tuple[list[Answer], bytes]:
    """The whole answers in what was received, and what is left. `100 Continue` counts as one."""
    found = []
    while (end := raw.find(b"\r\n\r\n")) >= 0:
        first, *lines = raw[:end].split(CRLF)
        assert first.startswith(b"HTTP/1.1 "), raw[:200]
        headers = {k.lower(): v.strip() for k, _, v in (line.partition(b":") for line in lines)}
        stop = end + 4 + int(headers.get(b"content-length", b"0"))
        if len(raw) < stop:
            break
        found.append(Answer(int(first.split()[1]), headers, raw[end + 4 : stop]))
        raw = raw[stop:]
    return found, raw


def told(one: socket.socket, enough: int = 1 << 30, limit_s: float = LIMIT_S) -> list[Answer]:
    """Answers as they come: `enough` of them, or all until the connection ends or nothing came for `limit_s`."""
    raw = b""
    one.settimeout(limit_s)
    with suppress(OSError):
        while len(answers(raw)[0]) < enough and (more := one.recv(1 << 20)):
            raw += more
    return answers(raw)[0]


def ask(port: int, *pieces: bytes, enough: int = 1, limit_s: float = LIMIT_S) -> list[Answer]:
    """Send the pieces over one connection; what it answers. A server that hangs up meanwhile is no error."""
    with wire(port) as one:
        with suppress(BrokenPipeError, ConnectionResetError):
            for piece in pieces:
                one.sendall(piece)
        return told(one, enough, limit_s)


def drip(one: socket.socket, pieces: Iterable[bytes], pause_s: float, limit_s: float) -> float:
    """Send a piece at a time until the server hangs up; after how many seconds that was, `limit_s` where it did not."""
    began = time.monotonic()
    one.settimeout(pause_s)
    for piece in pieces:
        if time.monotonic() - began > limit_s:
            break
        try:
            one.sendall(piece)
            while one.recv(65_536):
                pass
            return time.monotonic() - began
        except TimeoutError:
            continue
        except OSError:
            return time.monotonic() - began
    return limit_s


def request(line: bytes = b"GET /v1/queue HTTP/1.1", *headers: bytes, body: bytes = b"") -> bytes:
    return CRLF.join((line, b"Host: localhost", *headers, b"", body))


JSON = b"Content-Type: application/json"
TASK = b'{"tasks":[{"prompt":"x","not_before":"1h"}]}'
POST = b"POST /v1/tasks HTTP/1.1"
CHUNKED = b"Transfer-Encoding: chunked"


def chunks(*pieces: bytes, extension: bytes = b"", end: bytes = b"0\r\n\r\n") -> bytes:
    return b"".join(b"%x%s\r\n%s\r\n" % (len(p), extension, p) for p in pieces) + end


class Wrong:
    """Requests of one seed, each wrong in a way or two; some are right."""

    METHODS = (
        b"GET",
        b"POST",
        b"HEAD",
        b"OPTIONS",
        b"CONNECT",
        b"TRACE",
        b"PRI",
        b"get",
        b"",
        b"G\0T",
        b"DELETE",
    )
    TARGETS = (b"/v1/queue", b"/v1/tasks", b"/v1/tasks/%00", b"/v1/tasks/..%2f..%2fetc", b"/v1/tasks/%ff%fe", b"/v1/tasks/%",
               b"/v1/async/status/%2e%2e?wait=1e400", b"/v1/async/result/\xc3\xbc", b"//v1//queue", b"*", b"localhost:80",
               b"http://localhost/v1/queue", b"http://evil/v1/queue", b"/" + b"a" * 9000, b"/?" + b"a=b&" * 3000, b"", b"/v1/queue\0",
               b"/v1/tasks?state=%ed%a0%80&limit=-1", b"/v1/tasks/%F0%9F%99%82/follow", b"/v1/async/stream/x", b"?", b"/#x")  # fmt: skip
    VERSIONS = (b"HTTP/1.1", b"HTTP/1.1", b"HTTP/1.1", b"HTTP/1.0", b"HTTP/0.9", b"HTTP/2.0", b"HTTP/9.9", b"http/1.1", b"", b"HTTP/1.1 x")  # fmt: skip
    HEADERS = (b"Host: evil", b"Host:", JSON, b"Content-Length: 44", b"Content-Length: 5", b"Content-Length: -1", b"Content-Length: +4",
               b"Content-Length: 0x10", b"Content-Length: " + b"9" * 5000, b"Content-Length: 5, 5", b"Content-Length: 5, 6", CHUNKED,
               b"Transfer-Encoding : chunked", b"Transfer-Encoding:\x0bchunked", b"Transfer-Encoding: xchunked", b"Transfer-Encoding: gzip, chunked",
               b"transfer-encoding: CHUNKED", b" folded: yes", b"X: a\r\n b", b"X: a\nY: b", b"X: a\rb", b"X: \0", b"X: \xff\xfe", b"X\xff: y",
               b": nothing", b"no colon", b"X: " + b"y" * 20_000, b"Expect: 100-continue", b"Expect: 200-ok", b"Connection: close",
               b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x", b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c",
               b"Authorization: Bearer ygg_\xff\0", b"Authorization: Bearer ygg_" + b"x" * 5000, b"Authorization: Bearer a.b.c", b"Origin: null",
               b"Last-Event-ID: \xff", b"Idempotency-Key: \xe9", b"Content-Type: application/json; charset=utf-7", b"Sec-Fetch-Site: cross-site",
               b"Content-Encoding: gzip", b"Range: bytes=0-18446744073709551615", b"X-Forwarded-For: 1.1.1.1", b"TE: trailers")  # fmt: skip
    BODIES = (b"", TASK, b"{}", chunks(TASK), chunks(TASK[:9], TASK[9:]), chunks(TASK, extension=b";a=b"), chunks(*[b"x"] * 500),
              chunks(TASK, extension=b";" + b"e" * 30_000), chunks(TASK, end=b"0\r\n" + b"T: x\r\n" * 5000 + CRLF), b"-1\r\nx\r\n",
              b"ffffffffffffffff\r\nx", b"0x5\r\nhello\r\n0\r\n\r\n", b"5\nhello\n0\n\n", b"5 \r\nhello\r\n0\r\n\r\n", b"1" * 30 + CRLF,
              b"3\r\nabcdef\r\n0\r\n\r\n", b"0\r\n\r\nGET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n", b"\0" * 999)  # fmt: skip

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)

    def pieces(self) -> list[bytes]:
        """What is written at once, one after the other."""
        raw = b"".join(self._one() for _ in range(self._random.choice((1, 1, 1, 2, 5))))
        if self._random.random() < 0.2:
            raw = self._bent(raw)
        cut = sorted(
            self._random.randrange(len(raw) + 1) for _ in range(self._random.choice((0, 0, 1, 4)))
        )
        return [raw[a:b] for a, b in zip([0, *cut], [*cut, len(raw)], strict=True)]

    def _one(self) -> bytes:
        pick, some = self._random.choice, self._random.random
        target = pick(self.TARGETS) if some() < 0.5 else b"/v1/tasks"
        line = b" ".join(
            (pick(self.METHODS[:2] if some() < 0.7 else self.METHODS), target, pick(self.VERSIONS))
        )
        host = [b"Host: localhost"] if some() < 0.9 else []
        headers = [pick(self.HEADERS) for _ in range(self._random.randrange(4))]
        ending = CRLF if some() < 0.9 else pick((b"\n", b"\r", b"\r\r\n"))
        return ending.join((line, *host, *headers, b"", pick(self.BODIES)))

    def _bent(self, raw: bytes) -> bytes:
        """Some bytes of it are others, or missing."""
        bent = bytearray(raw)
        for _ in range(self._random.randrange(1, 6)):
            bent[self._random.randrange(len(bent))] = self._random.randrange(256)
        return bytes(bent[: self._random.randrange(1, len(bent) + 1)])
