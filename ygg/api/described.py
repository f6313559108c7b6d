"""The verb that describes the others."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from ygg.desk import VERBS
from ygg.model import JsonDict
from ygg.verbs import Verb


class Described:
    """`handler`: of a verb. Built when first asked for, beside the event loop, and kept."""

    def __init__(self, handler: Callable[[Verb[..., Any]], Callable[..., Any]]) -> None:
        self._handler = handler
        self._document: JsonDict | None = None

    async def openapi(self) -> JsonDict:
        """GET /openapi.json: the verbs of the API for programs, as OpenAPI 3.1."""
        if self._document is None:
            self._document = await asyncio.to_thread(self.built)
        return self._document

    def built(self) -> JsonDict:
        """The document. KeyError for a verb that is not described."""
        # neither the start of a daemon nor a submit pays for them
        from ygg.api.openapi.document import document, said_of

        return document(VERBS, lambda verb: said_of(verb, self._handler(verb)))
