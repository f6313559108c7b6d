"""The API as it is served: behind the border that says who may come in; on the ports of metrics that page alone."""

from __future__ import annotations

from collections.abc import Callable

from starlette.types import ASGIApp, Receive, Scope, Send

from ygg.api.app import build_app
from ygg.api.border import Border
from ygg.api.handlers import Handlers
from ygg.desk import VERBS
from ygg.model import Api

#: What is served there: nothing of it is secret, and nobody is asked who he is. Pages of a browser stay out as everywhere.
SCRAPED = tuple(verb for verb in VERBS if verb.name in ("metrics", "healthz"))


def outside(handlers: Handlers, api: Callable[[], Api], scraped: frozenset[int]) -> ASGIApp:
    """For a `Door` whose ports of metrics are `scraped`."""
    app = Border(build_app(handlers), api, handlers.callers)
    if not scraped:
        return app
    free = Border(build_app(handlers, SCRAPED), api, handlers.callers, free=True)

    async def by_port(scope: Scope, receive: Receive, send: Send) -> None:
        _, port = scope["server"]
        await (free if port in scraped else app)(scope, receive, send)

    return by_port
