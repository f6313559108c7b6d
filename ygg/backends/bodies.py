"""What is sent to a server: JSON, or a form, with the files of tasks in it.

Such a file is read piece by piece while the body leaves, so that it is never whole in memory, and anew each time that
the body is sent.
"""

from __future__ import annotations

import asyncio
import base64
import json
import secrets
from collections.abc import AsyncIterator, Callable, Iterable
from typing import BinaryIO, NamedTuple

import httpx

from ygg.model import JsonDict, OutcomeKind
from ygg.multipart import FORM, around
from ygg.ports import CallFailed
from ygg.uploads import Kept

JSON = "application/json"
PIECE = 196_608  #: bytes read at once: threes, whose base64 is joined as they are
HEAVY = 200_000  #: characters: about a millisecond to write
VALUE = 100  #: characters that take as long to write as one value with its key


class Leaving(NamedTuple):
    """A file in a body: how its bytes are written there, and how many those are."""

    file: Kept
    written: Callable[[bytes], bytes]
    size: int


class Body(httpx.AsyncByteStream):
    """Bytes and files, one after the other."""

    def __init__(self, content_type: str, *parts: bytes | Leaving) -> None:
        self.content_type, self._parts = content_type, parts

    @property
    def size(self) -> int:
        """Bytes that will be sent, which is told before the first of them."""
        return sum(len(p) if isinstance(p, bytes) else p.size for p in self._parts)

    @property
    def content(self) -> bytes | None:
        """All of it, where no file is in it."""
        first, *more = self._parts
        return first if isinstance(first, bytes) and not more else None

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Raises OSError for a file that cannot be read, or not as far as it was said to be."""
        for part in self._parts:
            if isinstance(part, bytes):
                yield part
                continue
            with await asyncio.to_thread(part.file.path.open, "rb") as file:
                for size in _sizes(part.file.size):
                    yield await asyncio.to_thread(_piece, file, size, part.written)


def _sizes(size: int) -> Iterable[int]:
    return (min(PIECE, size - start) for start in range(0, size, PIECE))


def _piece(file: BinaryIO, size: int, written: Callable[[bytes], bytes]) -> bytes:
    data = file.read(size)
    if len(data) < size:
        raise OSError("the file that came with the task is shorter than it was")
    return written(data)


# --- JSON -----------------------------------------------------------------------------------------


def of_json(body: JsonDict) -> Body:
    """A file in it stands there as text: what is to be said before, and its base64. Raises CallFailed."""
    files: list[Kept] = []
    mark = secrets.token_hex(16)

    def stand_in(value: object) -> str:
        if not isinstance(value, Kept):
            raise TypeError(f"it holds a {type(value).__name__}")
        files.append(value)
        return value.says + mark

    encode = json.JSONEncoder(separators=(",", ":"), allow_nan=False, default=stand_in).encode
    try:
        first, *rest = encode(body).encode().split(mark.encode())
    except (TypeError, ValueError) as exc:
        raise CallFailed(OutcomeKind.BAD_REQUEST, f"the request is no JSON: {exc}") from exc
    parts: list[bytes | Leaving] = [first]
    for file, then in zip(files, rest, strict=True):
        parts += [Leaving(file, base64.b64encode, -(-file.size // 3) * 4), then]
    return Body(JSON, *parts)


def heavy(body: JsonDict) -> bool:
    """Whether its texts are so long, or its values so many, that writing it as JSON holds up the loop."""
    left, found = HEAVY, list[object](body.values())
    while found and left > 0:
        left -= VALUE
        match found.pop():
            case str() as text:
                left -= len(text)
            case dict() as inner:
                found.extend(inner.values())
            case list() as inner:
                found.extend(inner)
    return left <= 0


# --- forms ----------------------------------------------------------------------------------------


def of_form(fields: Iterable[tuple[str, str]], file: Kept | bytes, name: str, media: str) -> Body:
    """Texts, and a file called `name`."""
    boundary = secrets.token_hex(16)
    before, after = around(fields, name, boundary, media)
    content = file if isinstance(file, bytes) else Leaving(file, bytes, file.size)
    return Body(f"{FORM}; boundary={boundary}", before, content, after)
