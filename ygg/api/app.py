"""The HTTP face of the handlers: a route for each verb, body reading and error bodies, nothing else.

Every error is `{"error": {"code", "message", "hint"}}` with the status of its class; an unexpected
exception is logged and answered without its text.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ygg.api import bodies, sse
from ygg.api.aside import aside
from ygg.api.callers import LOCAL, Caller
from ygg.api.handlers import Handlers
from ygg.api.held import Bodies
from ygg.api.holding import answer_while_it_holds, while_it_holds
from ygg.api.queries import Looking
from ygg.api.refused import TooLarge as TooLarge
from ygg.api.routes import NoRoute, Routes
from ygg.api.tasks import NotEnded
from ygg.desk import VERBS
from ygg.errors import InvalidInput, YggError
from ygg.intake.parsing import DOCUMENT_MAX, TooMuch, Unreadable, document
from ygg.multipart import Incoming
from ygg.verbs import Given, Verb

log = logging.getLogger("ygg.api")

MAX_BODY = DOCUMENT_MAX + 65_536  #: bytes; a little more than the longest document
MAX_BULK = 64 * 1024 * 1024  #: bytes of many documents: an atomic submit cannot come in parts
BULK = frozenset(verb.path for verb in VERBS if verb.many)
LATER = (429, 503, 507)  #: statuses that always say when to come back
AGAIN_S = 10.0  #: where the time is not known
UPLOADS = frozenset(
    verb.path for verb in VERBS if "upload" in verb.takes
)  #: what is bounded by who reads it
BODY_S = 30.0  #: for the next piece of a body
BODY_RATE = 1000  #: bytes a second that a body comes at least, but for its first `BODY_S`
LISTS = frozenset({"state"})  #: keys of a query that may come several times


class _Guard:
    """The outermost layer: bounds bodies while they arrive, and makes of a bug one log entry and one
    answer without its text."""

    def __init__(self, app: ASGIApp) -> None:
        self.app, self._bodies = app, Bodies()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = False

        async def noted(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            with self._bodies.one() as take:
                await self.app(scope, _limited(scope, receive, take), noted)
        except ClientDisconnect:
            log.debug("the client left during %s %s", scope["method"], scope["path"])
        except Exception:  # the border: whatever it is, the daemon goes on
            log.exception("unexpected error in %s %s", scope["method"], scope["path"])
            if not started:
                await failed(_BUG)(scope, receive, send)


class TooSlow(InvalidInput):
    """The body stopped coming, or as good as that."""

    code = "too_slow"
    http_status = 408


def _limited(scope: Scope, receive: Receive, take: Callable[[int], None]) -> Receive:
    """`receive` that raises TooLarge, at once where the length is declared, TooSlow for a body that stops
    coming or drips, and what `take` raises, which is told of each piece."""
    most = _most(scope["path"])
    size = max((int(v) for k, v in scope["headers"] if k == b"content-length"), default=0)
    size = size if size > most else 0
    more, began = True, time.monotonic()

    async def limited() -> Message:
        nonlocal size, more
        limit_s = min(BODY_S, began + BODY_S + size / BODY_RATE - time.monotonic())
        message = await _next(receive, limit_s if more else None) if size <= most else {}
        more = bool(message.get("more_body"))
        if math.isfinite(most):  # others go to the disk as they come
            take(len(message.get("body", b"")))
        size += len(message.get("body", b""))
        if size > most:
            raise TooLarge(f"the body is larger than {most} bytes", hint="submit in parts")
        return message

    return limited


def _most(path: str) -> float:
    if path in UPLOADS:
        return math.inf
    return MAX_BULK if path in BULK else MAX_BODY


async def _next(receive: Receive, limit_s: float | None) -> Message:
    try:
        async with asyncio.timeout(limit_s):
            return await receive()
    except TimeoutError:
        text = f"the body stopped coming, or came with less than {BODY_RATE} bytes a second"
        raise TooSlow(text, hint="send it whole") from None


async def _document(request: Request) -> Any:
    """The JSON body."""
    raw = await request.body()
    try:
        return await aside(len(raw), document, raw)
    except TooMuch as error:
        raise TooLarge(f"the body has {error}", hint="submit in parts") from None
    except Unreadable as error:
        raise InvalidInput(f"the body is no valid JSON: {error}") from None


async def _size(request: Request) -> int:
    return len(await request.body())


def failed(error: YggError) -> Response:
    """The answer that tells of it."""
    headers = dict(error.headers) if isinstance(error, NoRoute) else {}
    again_s = error.retry_after_s
    if again_s is None and error.http_status in LATER:
        again_s = AGAIN_S
    if again_s is not None:
        headers["Retry-After"] = str(max(1, math.ceil(again_s)))
    if error.http_status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    body = error.body if isinstance(error, NotEnded) else bodies.error_body(error)
    return JSONResponse(body, error.http_status, headers)


_BUG = YggError("unexpected error", hint="see the daemon's log")


def build_app(handlers: Handlers, verbs: Sequence[Verb[..., Any]] | None = None) -> ASGIApp:
    """The API over these handlers, or so much of it."""
    return _Guard(_Face(handlers, VERBS if verbs is None else verbs))


class _Face:
    """A verb for each request."""

    def __init__(self, handlers: Handlers, verbs: Sequence[Verb[..., Any]]) -> None:
        self._handlers, self._routes = handlers, Routes(verbs)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            verb, target = self._routes.find(scope["method"], scope["path"])
            answer = await self._answer(verb, target, Request(scope, receive))
        except YggError as error:
            answer = failed(error)
        await answer(scope, receive, send)

    async def _answer(self, verb: Verb[..., Any], target: str | None, request: Request) -> Response:
        caller = _of(request)
        caller.check(verb)
        given: dict[str, Any] = {name: await _READ[name](request) for name in verb.takes}
        asked = self._handlers.of(verb, target, given, caller)
        # what changes something was let in whole, and is not stopped halfway
        proof = caller.proof if verb.method == "GET" else None
        answer = await answer_while_it_holds(proof, asked)
        if verb.streams:
            return await _streamed(verb, answer, caller, looking=request.method == "HEAD")
        if isinstance(answer, bodies.Page):
            return Response(answer.content, verb.status, media_type=answer.kind)
        status = 202 if isinstance(answer, bodies.Accepted) else verb.status
        return await aside(given.get("size", 0), JSONResponse, answer, status)


async def _upload(request: Request) -> Incoming:
    """It is read by who takes it, after the caller may."""
    return Incoming(request.headers.get("Content-Type", ""), request.stream())


async def _query(request: Request) -> dict[str, Any]:
    """The last of each key, but all of those that may come several times."""
    given = request.query_params
    found = {k: given.getlist(k) if k in LISTS else v for k, v in given.items()}
    return Looking(found) if request.method == "HEAD" else found


def _of(request: Request) -> Caller:
    """As the border says; where there is none, behind which only this machine is, `local`."""
    found: Caller = request.scope.get("caller", LOCAL)
    return found


async def _caller(request: Request) -> Caller:
    return _of(request)


async def _key(request: Request) -> str | None:
    return request.headers.get("Idempotency-Key")


async def _last(request: Request) -> str | None:
    return request.headers.get("Last-Event-ID")


async def _accept(request: Request) -> str:
    return ",".join(request.headers.getlist("Accept"))


_READ: dict[Given, Callable[[Request], Awaitable[Any]]] = {
    "doc": _document,
    "size": _size,
    "upload": _upload,
    "query": _query,
    "caller": _caller,
    "key": _key,
    "last": _last,
    "accept": _accept,
}


async def _streamed(
    verb: Verb[..., Any], events: sse.Events | None, caller: Caller, *, looking: bool
) -> Response:
    """None: there is nothing more, and the client need not ask again. `looking`: who asks wants no event."""
    if events is None:
        return Response(status_code=204)
    if looking:
        await events.aclose()
    told = iter(()) if looking else _sse(verb, events, caller)
    return StreamingResponse(told, headers=sse.HEADERS, media_type=sse.TYPE)


async def _sse(
    verb: Verb[..., Any], events: sse.Events, caller: Caller
) -> AsyncGenerator[bytes, None]:
    async with aclosing(events):
        if verb.named:
            yield sse.RETRY
        try:
            async for event in while_it_holds(caller.proof, events):
                yield sse.framed(event)
        except YggError as error:
            told = bodies.error_body(error)
            yield sse.framed(sse.Event("error", told) if verb.named else {"event": "error", **told})
