"""Real servers to tell: one that speaks HTTP and keeps what it gets, and aiosmtpd."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword

from tests.cases.certificate import self_signed
from ygg.model.notices import Event, Notice

DOWN = Notice(Event.HOST_DOWN, 1_800_000_000_000, "surtr is down", "down: no way to it", "surtr")
UP = Notice(Event.HOST_UP, 1_800_000_060_000, "surtr is up again", "it was down for 1 min", "surtr")
EVIL = "a\r\nX-Evil: 1\x1b[31m \u202eölwärme"


@dataclass
class Got:
    """One request."""

    line: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Page:
    """What the server answers from now on; `hangs`: nothing."""

    url: str = ""
    answer: str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
    hangs: bool = False
    stays: bool = False  #: the connection stays open after the answer
    got: list[Got] = field(default_factory=list)
    open: set[asyncio.Task[None]] = field(default_factory=set)

    def says(self, status: int, *headers: str, body: str = "") -> None:
        lines = [f"HTTP/1.1 {status} Said", f"Content-Length: {len(body.encode())}", *headers]
        self.answer = "\r\n".join([*lines, "", body])

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        job = asyncio.create_task(self._serve(reader, writer))
        self.open.add(job)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._answer(reader, writer)
        finally:
            writer.transport.abort() if self.hangs else writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        line, *rest = head.strip().split("\r\n")
        headers = {k.lower(): v for k, _, v in (h.partition(": ") for h in rest)}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        self.got.append(Got(line, headers, body))
        if self.hangs:
            await reader.read()
        else:
            writer.write(self.answer.encode())
            with contextlib.suppress(OSError):
                await writer.drain()
                await (reader.read() if self.stays else asyncio.sleep(0))


@asynccontextmanager
async def http(tls: Path | None = None) -> AsyncIterator[Page]:
    """A server at an address of this machine. `tls`: the file of its key and certificate."""
    page, context = Page(), None
    if tls is not None:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(tls)
    server = await asyncio.start_server(page.serve, "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    page.url = f"http{'s' if tls else ''}://127.0.0.1:{port}/hook"
    try:
        yield page
    finally:
        server.close()
        for job in page.open:
            job.cancel()
        await asyncio.gather(*page.open, return_exceptions=True)


USER, PASSWORD = "ygg", "correct horse"


class Box:
    """What a mail server has taken. `refuses`: what it says to each recipient."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.refuses = ""
        self.secure: list[bool] = []

    async def handle_RCPT(self, _: Any, session: Any, envelope: Any, to: str, __: Any) -> str:
        envelope.rcpt_tos.append(to)
        return self.refuses or "250 OK"

    async def handle_DATA(self, server: Any, _: Any, envelope: Any) -> str:
        mail = message_from_bytes(envelope.content, policy=default)
        assert isinstance(mail, EmailMessage)
        self.mails.append(mail)
        self.secure.append(server.transport.get_extra_info("ssl_object") is not None)
        return "250 OK"


def _known(_: Any, __: Any, ___: Any, ____: Any, found: Any) -> AuthResult:
    right = isinstance(found, LoginPassword) and found == (USER.encode(), PASSWORD.encode())
    return AuthResult(success=right, handled=right)


@contextmanager
def smtp(
    certificate: Path | None = None, *, whole: bool = False, careless: bool = False
) -> Iterator[tuple[Box, str]]:
    """A mail server and its HOST:PORT. `certificate`: it offers STARTTLS and wants a login; `whole`: TLS from the first
    byte on; `careless`: it takes a login without."""
    box, more = Box(), dict[str, Any]()
    if certificate is not None:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate)
        key = (
            {"ssl_context": context}
            if whole
            else {"tls_context": context, "require_starttls": True}
        )
        more = {
            **key,
            "authenticator": _known,
            "auth_required": not whole,
            "auth_require_tls": not whole,
        }
    if careless:
        more = {"authenticator": _known, "auth_require_tls": False}
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    controller = Controller(box, hostname="127.0.0.1", port=port, **more)
    controller.start()
    try:
        yield box, f"127.0.0.1:{port}"
    finally:
        controller.stop()


def trusted(folder: Path) -> Path:
    """A certificate of 127.0.0.1 with its key, in a file."""
    file = folder / "tls.pem"
    file.write_bytes(self_signed("127.0.0.1"))
    return file
