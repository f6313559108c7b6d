"""Forms with a file, as POST /process/file takes them, and servers that listen: made here, read in `api/forms.py`.
Standard library only: `ygg submit` loads it.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

from ygg.errors import InvalidInput

PIECE = 65_536
FORM = "multipart/form-data"


@dataclass(frozen=True, slots=True)
class Form:
    """Texts and a file, to be sent once. `name`: what the file is called."""

    fields: dict[str, str]
    file: BinaryIO
    name: str
    boundary: str = field(default_factory=lambda: secrets.token_hex(16))

    @property
    def content_type(self) -> str:
        return f"{FORM}; boundary={self.boundary}"

    def pieces(self) -> Iterator[bytes]:
        """The body, never whole in memory. Raises InvalidInput where the file cannot be read."""
        before, after = around(self.fields.items(), self.name, self.boundary)
        yield before
        while piece := self._read():
            yield piece
        yield after

    def _read(self) -> bytes:
        try:
            return self.file.read(PIECE)
        except OSError as error:
            raise InvalidInput(f"{self.name} cannot be read: {error.strerror}") from None


def around(
    fields: Iterable[tuple[str, str]], name: str, boundary: str, media: str = ""
) -> tuple[bytes, bytes]:
    """What stands before the file of a form, its texts too, and what stands after it. `media`: what the file is."""

    def head(field: str, more: str = "") -> bytes:
        text = f'--{boundary}\r\nContent-Disposition: form-data; name="{field}"{more}\r\n\r\n'
        return text.encode("utf-8", "replace")

    texts = [head(key) + text.encode("utf-8", "surrogatepass") + b"\r\n" for key, text in fields]
    kind = f"\r\nContent-Type: {media}" if media else ""
    file = head("file", f'; filename="{_quoted(name)}"{kind}')
    return b"".join([*texts, file]), f"\r\n--{boundary}--\r\n".encode()


@dataclass(frozen=True, slots=True)
class Incoming:
    """A body that comes, of this content type."""

    content_type: str
    pieces: AsyncIterator[bytes]


def incoming(form: Form) -> Incoming:
    """The same form as it arrives."""
    return Incoming(form.content_type, _arriving(form))


async def _arriving(form: Form) -> AsyncIterator[bytes]:
    for piece in form.pieces():
        yield piece


def _quoted(name: str) -> str:
    """As browsers do."""
    return name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
