"""The HTTP face of the handlers: FastAPI routes, body reading and error bodies, nothing else.

Every error is `{"error": {"code", "message", "hint"}}` with the status of its class; an unexpected
exception is logged and answered without its text.
"""

from __future__ import annotations

import json
import logging
import math
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ygg.api import bodies
from ygg.api.handlers import Handlers, NotEnded
from ygg.errors import InvalidInput, YggError
from ygg.intake.reading import Unreadable, document

log = logging.getLogger("ygg.api")

MAX_BODY = 16 * 1024 * 1024  #: bytes; the longest prompt of a sane person fits many times
MAX_BULK = 64 * 1024 * 1024  #: bytes of POST /v1/tasks: an atomic submit cannot come in parts
LOCAL = "local"  #: the caller on the unix socket


class TooLarge(InvalidInput):
    """The body is larger than the API takes."""

    code = "too_large"
    http_status = 413


class _Guard:
    """The outermost layer: bounds bodies while they arrive, and makes of a bug one log entry and one
    answer without its text."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = False

        async def noted(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self.app(scope, _limited(scope, receive), noted)
        except ClientDisconnect:
            log.debug("the client left during %s %s", scope["method"], scope["path"])
        except Exception:  # the border: whatever it is, the daemon goes on
            log.exception("unexpected error in %s %s", scope["method"], scope["path"])
            if not started:
                await _failed(_BUG)(scope, receive, send)


def _limited(scope: Scope, receive: Receive) -> Receive:
    """`receive` that raises TooLarge, at once where the length is declared."""
    most = MAX_BULK if scope["path"] == "/v1/tasks" else MAX_BODY
    size = max((int(v) for k, v in scope["headers"] if k == b"content-length"), default=0)
    size = size if size > most else 0

    async def limited() -> Message:
        nonlocal size
        message = await receive() if size <= most else {}
        size += len(message.get("body", b""))
        if size > most:
            raise TooLarge(f"the body is larger than {most} bytes", hint="submit in parts")
        return message

    return limited


async def _document(request: Request) -> Any:
    """The JSON body."""
    try:
        return document(await request.body())
    except Unreadable as error:
        raise InvalidInput(f"the body is no valid JSON: {error}") from None


def _failed(error: YggError) -> Response:
    headers = {}
    if error.retry_after_s is not None:
        headers["Retry-After"] = str(max(1, round(error.retry_after_s)))
    body = error.body if isinstance(error, NotEnded) else bodies.error_body(error)
    return JSONResponse(body, error.http_status, headers)


_BUG = YggError("unexpected error", hint="see the daemon's log")


def build_app(handlers: Handlers) -> FastAPI:
    """The API over these handlers."""
    app = FastAPI(title="ygg", docs_url=None, redoc_url=None, openapi_url=None)
    app.router.redirect_slashes = False  # a redirect would be an answer that is no JSON
    app.add_middleware(_Guard)
    _errors(app)
    _async_routes(app, handlers)
    _task_routes(app, handlers)
    _daemon_routes(app, handlers)
    _reading_routes(app, handlers)
    return app


def _errors(app: FastAPI) -> None:
    @app.exception_handler(YggError)
    async def known(request: Request, error: YggError) -> Response:
        return _failed(error)

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> Response:
        code = {404: "not_found", 405: "method_not_allowed"}.get(error.status_code, "http_error")
        message = f"{request.method} {request.url.path}: {error.detail}"
        body = {"error": {"code": code, "message": message, "hint": ""}}
        return JSONResponse(body, error.status_code, error.headers)


def _async_routes(app: FastAPI, handlers: Handlers) -> None:
    """The mission's /v1/async."""

    @app.post("/v1/async/submit")
    async def submit(request: Request) -> Response:
        key = request.headers.get("Idempotency-Key")
        doc = await _document(request)
        return JSONResponse(await handlers.async_submit(doc, caller=LOCAL, key=key), 202)

    @app.get("/v1/async/status/{task_id}")
    async def status(task_id: str) -> Response:
        return JSONResponse(await handlers.async_status(task_id))

    @app.get("/v1/async/result/{task_id}")
    async def result(task_id: str) -> Response:
        return JSONResponse(await handlers.read_result(task_id))

    @app.delete("/v1/async/cancel/{task_id}")
    async def cancel(task_id: str, request: Request) -> Response:
        running = _flag(request, "running", default=True)
        return JSONResponse(await handlers.async_cancel(task_id, running=running))

    @app.get("/v1/async/stats")
    async def stats() -> Response:
        return JSONResponse(await handlers.stats())


def _task_routes(app: FastAPI, handlers: Handlers) -> None:
    """ygg's own verbs on tasks."""

    @app.post("/v1/tasks")
    async def submit(request: Request) -> Response:
        return JSONResponse(await handlers.submit(await _document(request), caller=LOCAL))

    @app.get("/v1/tasks")
    async def tasks(request: Request) -> Response:
        query: dict[str, Any] = dict(request.query_params)
        query["state"] = request.query_params.getlist("state")
        return JSONResponse(await handlers.tasks(query))

    @app.post("/v1/tasks/retry")
    async def retry(request: Request) -> Response:
        return JSONResponse(await handlers.retry(await _document(request)))

    @app.get("/v1/tasks/{task_id}")
    async def show(task_id: str) -> Response:
        return JSONResponse(await handlers.show(task_id))

    @app.get("/v1/tasks/{task_id}/result")
    async def result(task_id: str) -> Response:
        return JSONResponse(await handlers.async_result(task_id))

    @app.get("/v1/tasks/{task_id}/wait")
    async def wait(task_id: str, request: Request) -> Response:
        return JSONResponse(await handlers.wait(task_id, _seconds(request)))

    @app.get("/v1/tasks/{task_id}/follow")
    async def follow(task_id: str) -> Response:
        events = await handlers.follow(task_id)
        return StreamingResponse(_sse(events), media_type="text/event-stream")

    @app.get("/v1/tasks/{task_id}/why")
    async def why(task_id: str) -> Response:
        return JSONResponse(await handlers.why(task_id))

    @app.post("/v1/tasks/{task_id}/cancel")
    async def cancel(task_id: str, request: Request) -> Response:
        running = _flag(request, "running", default=True)
        return JSONResponse(await handlers.cancel(task_id, running=running))

    @app.post("/v1/tasks/{task_id}/priority")
    async def prioritize(task_id: str, request: Request) -> Response:
        return JSONResponse(await handlers.prioritize(task_id, await _document(request)))


def _daemon_routes(app: FastAPI, handlers: Handlers) -> None:
    """Hosts and the queue as a whole."""

    @app.get("/v1/snapshot")
    async def snapshot() -> Response:
        return JSONResponse(await handlers.snapshot())

    @app.get("/v1/status")
    async def status(request: Request) -> Response:
        return JSONResponse(await handlers.status(probe=_flag(request, "probe", default=False)))

    @app.get("/v1/queue")
    async def tasks_of_all() -> Response:
        return JSONResponse(await handlers.queue())

    @app.post("/v1/queue/{verb}")
    async def queue(verb: str) -> Response:
        return JSONResponse(await handlers.pause(_one_of(verb, "pause", "resume")))

    @app.get("/v1/hosts")
    async def all_hosts() -> Response:
        return JSONResponse(await handlers.hosts())

    @app.get("/api/v1/status/workers")
    async def workers() -> Response:
        return JSONResponse(await handlers.workers())

    @app.post("/v1/hosts/{host}/probe")
    async def probe(host: str) -> Response:
        return JSONResponse(await handlers.probe(host))

    @app.post("/v1/hosts/{host}/{verb}")
    async def hosts(host: str, verb: str) -> Response:
        return JSONResponse(await handlers.drain_host(host, _one_of(verb, "drain", "resume")))


def _reading_routes(app: FastAPI, handlers: Handlers) -> None:
    """What the GPUs show and showed. The first two are the mission's."""

    @app.get("/v1/gpu/status")
    async def gpu_status() -> Response:
        return JSONResponse(await handlers.gpu_status())

    @app.get("/v1/gpu/memory-forecast")
    async def memory_forecast() -> Response:
        return JSONResponse(await handlers.memory_forecast())

    @app.get("/v1/history")
    async def history(request: Request) -> Response:
        return JSONResponse(await handlers.history(request.query_params))

    @app.get("/v1/tuning")
    async def tuning(request: Request) -> Response:
        return JSONResponse(await handlers.tuning(request.query_params))


def _one_of(verb: str, yes: str, no: str) -> bool:
    if verb not in (yes, no):
        raise HTTPException(404)
    return verb == yes


def _flag(request: Request, name: str, *, default: bool) -> bool:
    text = request.query_params.get(name, str(default)).lower()
    if text not in ("true", "false", "1", "0", "yes", "no"):
        raise InvalidInput(f"{name}: expected true or false, got {text!r:.60}")
    return text in ("true", "1", "yes")


def _seconds(request: Request) -> float:
    text = request.query_params.get("timeout", "30")
    try:
        found = float(text)
    except ValueError:
        found = math.nan
    if not 0 <= found < math.inf:
        raise InvalidInput(f"timeout: expected seconds, got {text!r:.60}")
    return found


async def _sse(events: AsyncGenerator[dict[str, Any], None]) -> AsyncIterator[bytes]:
    async with aclosing(events):
        async for event in events:
            yield b"data: " + json.dumps(event).encode() + b"\n\n"
