"""Server-sent events as bytes."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from typing import NamedTuple

from ygg.model import JsonDict

TYPE = "text/event-stream"
HEADERS = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}  #: nobody on the way keeps them
RETRY = b"retry: 3000\n\n"  #: milliseconds until a client that was cut off asks again


class Event(NamedTuple):
    """One with a name, and an id where a client may go on from it."""

    name: str
    data: JsonDict
    id: str = ""


#: A text is a comment, which clients skip.
Events = AsyncGenerator[Event | JsonDict | str, None]


def framed(event: Event | JsonDict | str) -> bytes:
    """As it is sent."""
    if isinstance(event, str):
        return f": {event}\n\n".encode()
    if isinstance(event, dict):
        return f"data: {json.dumps(event)}\n\n".encode()
    id_ = f"id: {event.id}\n" if event.id else ""
    return f"event: {event.name}\n{id_}data: {json.dumps(event.data)}\n\n".encode()
