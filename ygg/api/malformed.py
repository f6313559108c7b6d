"""What is answered to bytes that are no HTTP, and to HTTP that can be read in two ways; and the one way to read what names
its server twice."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable
from urllib.parse import unquote

import h11
from starlette.types import ASGIApp, Receive, Scope, Send

from ygg.api import bodies
from ygg.api.app import failed
from ygg.errors import InvalidInput

#: Who the client is, before an @, is no part of it (RFC 9110 4.2.4).
_ABSOLUTE = re.compile(rb"https?://(?P<host>[^/@]+)(?P<path>/.*)?", re.IGNORECASE)
LONGEST = 200  #: characters of what the parser says
TOO_LONG = 431  #: its own word for a head that does not end


class Malformed(InvalidInput):
    """No HTTP request, or one of two lengths."""

    code = "bad_request"
    http_status = 400


class HeadTooLong(InvalidInput):
    """The head, a trailer or the extension of a chunk is longer than is read."""

    code = "head_too_long"
    http_status = TOO_LONG


def refusal(*, bare: bool) -> list[h11.Event]:
    """The answer to what the parser has just refused, without its body where it is `bare`; the connection ends with it."""
    error = _told(sys.exception())
    body = json.dumps(bodies.error_body(error)).encode()
    headers = [
        ("Content-Type", "application/json"),
        ("Content-Length", str(len(body))),
        ("Connection", "close"),
    ]
    answer = h11.Response(status_code=error.http_status, headers=headers)
    said = [] if bare else [h11.Data(data=body)]
    return [answer, *said, h11.EndOfMessage()]


def _told(error: BaseException | None) -> InvalidInput:
    if isinstance(error, h11.RemoteProtocolError) and error.error_status_hint == TOO_LONG:
        return HeadTooLong("the head of the request is too long", hint="16 KiB are read of it")
    return Malformed(f"this is no HTTP request: {error!s:.{LONGEST}}", hint="send HTTP/1.1")


class Sound:
    """The layer before all others: it lets through requests that can be read in one way."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            _check(scope["http_version"], scope["headers"])
            scope = _of_origin(scope)
        except Malformed as error:
            answer = failed(error)
            answer.headers["Connection"] = "close"  # what comes behind may be a part of it
            await answer(scope, receive, send)
            return
        await self._app(scope, receive, send)


def _of_origin(scope: Scope) -> Scope:
    """A request whose target is absolute as one whose target is a path: the host in the target is the one that is meant,
    whatever `Host` says (RFC 9112 3.2.2). Raises Malformed for a target that is neither."""
    raw: bytes = scope["raw_path"]
    if raw.startswith(b"/") or b":" not in raw:
        return scope
    found = _ABSOLUTE.fullmatch(raw)
    if found is None:
        raise Malformed("the target of the request is no address of ours", hint="ask for a path")
    path = found["path"] or b"/"
    others = [(k, v) for k, v in scope["headers"] if k != b"host"]
    headers = [*others, (b"host", found["host"])]
    return {**scope, "path": unquote(path.decode("ascii")), "raw_path": path, "headers": headers}


def _check(version: str, headers: Iterable[tuple[bytes, bytes]]) -> None:
    """Raises Malformed for another HTTP than 1, and for a body that tells its length in two ways: who stands between might
    believe the other."""
    if not version.startswith("1."):
        raise Malformed(f"this is HTTP/{version:.10}", hint="send HTTP/1.1")
    told = {k for k, _ in headers if k in (b"content-length", b"transfer-encoding")}
    if len(told) > 1:
        text = "the request has a Content-Length and a Transfer-Encoding"
        raise Malformed(text, hint="send one of them")
