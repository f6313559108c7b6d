"""The HTTP face of the handlers: FastAPI routes, body reading and error bodies, nothing else.

Every error is `{"error": {"code", "message", "hint"}}` with the status of its class; an unexpected
exception is logged and answered without its text.
"""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ygg.api import bodies
from ygg.api.handlers import Handlers, NotEnded
from ygg.errors import InvalidInput, YggError

log = logging.getLogger("ygg.api")

MAX_BODY = 64 * 1024 * 1024  #: bytes; a bulk submit of long prompts fits
LOCAL = "local"  #: the caller on the unix socket


class TooLarge(YggError):
    """The body is larger than the API takes."""

    code = "too_large"
    http_status = 413


class _LimitBody:
    """Refuse bodies over MAX_BODY while they arrive, also without a Content-Length."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        size = 0

        async def limited() -> Message:
            nonlocal size
            message = await receive()
            size += len(message.get("body", b""))
            if size > MAX_BODY:
                raise TooLarge(f"the body is larger than {MAX_BODY} bytes", hint="submit in parts")
            return message

        await self.app(scope, limited, send)


async def _document(request: Request) -> Any:
    """The JSON body. NaN and infinities are refused, and so is nesting the parser cannot follow."""
    raw = await request.body()
    try:
        return json.loads(raw, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        what = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise InvalidInput(f"the body is no valid JSON: {what}") from None


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON number")


def _failed(error: YggError) -> Response:
    headers = {}
    if error.retry_after_s is not None:
        headers["Retry-After"] = str(max(1, round(error.retry_after_s)))
    body = error.body if isinstance(error, NotEnded) else bodies.error_body(error)
    return JSONResponse(body, error.http_status, headers)


def build_app(handlers: Handlers) -> FastAPI:
    """The API over these handlers."""
    app = FastAPI(title="ygg", docs_url=None, redoc_url=None, openapi_url=None)
    app.add_middleware(_LimitBody)
    _errors(app)
    _async_routes(app, handlers)
    _task_routes(app, handlers)
    _daemon_routes(app, handlers)
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
        return JSONResponse(body, error.status_code)

    @app.exception_handler(Exception)
    async def bug(request: Request, error: Exception) -> Response:
        log.error("unexpected error in %s %s", request.method, request.url.path, exc_info=error)
        return _failed(YggError("unexpected error, see the daemon's log", hint="ygg list works on"))


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
        running = request.query_params.get("running", "true").lower() not in ("false", "0", "no")
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
        query["state"] = request.query_params.getlist("state") or None
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
        events = handlers.follow(task_id)
        first = await anext(events)  # a missing task is a 404, not a broken stream
        return StreamingResponse(_sse(first, events), media_type="text/event-stream")

    @app.get("/v1/tasks/{task_id}/why")
    async def why(task_id: str) -> Response:
        return JSONResponse(await handlers.why(task_id))

    @app.post("/v1/tasks/{task_id}/cancel")
    async def cancel(task_id: str, request: Request) -> Response:
        running = request.query_params.get("running", "true").lower() not in ("false", "0", "no")
        return JSONResponse(await handlers.cancel(task_id, running=running))

    @app.post("/v1/tasks/{task_id}/priority")
    async def prioritize(task_id: str, request: Request) -> Response:
        return JSONResponse(await handlers.prioritize(task_id, await _document(request)))


def _daemon_routes(app: FastAPI, handlers: Handlers) -> None:
    """Hosts and the queue as a whole."""

    @app.get("/v1/status")
    async def status(request: Request) -> Response:
        probe = request.query_params.get("probe", "false").lower() in ("true", "1", "yes")
        return JSONResponse(await handlers.status(probe=probe))

    @app.post("/v1/queue/{verb}")
    async def queue(verb: str) -> Response:
        return JSONResponse(await handlers.pause(_one_of(verb, "pause", "resume")))

    @app.post("/v1/hosts/{host}/{verb}")
    async def hosts(host: str, verb: str) -> Response:
        return JSONResponse(await handlers.drain_host(host, _one_of(verb, "drain", "resume")))


def _one_of(verb: str, yes: str, no: str) -> bool:
    if verb not in (yes, no):
        raise HTTPException(404)
    return verb == yes


def _seconds(request: Request) -> float:
    try:
        return float(request.query_params.get("timeout", "30"))
    except ValueError:
        raise InvalidInput("timeout: expected seconds") from None


async def _sse(first: dict[str, Any], rest: AsyncIterator[dict[str, Any]]) -> AsyncIterator[bytes]:
    yield b"data: " + json.dumps(first).encode() + b"\n\n"
    async for event in rest:
        yield b"data: " + json.dumps(event).encode() + b"\n\n"
