"""Forms with a file, as POST /process/file takes them: made here, read in `api/forms.py`. Standard library only:
`ygg submit` loads it.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Iterator
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
        for name, text in self.fields.items():
            yield self._head(name) + text.encode("utf-8", "surrogatepass") + b"\r\n"
        yield self._head("file", f'; filename="{_quoted(self.name)}"')
        while piece := self._read():
            yield piece
        yield f"\r\n--{self.boundary}--\r\n".encode()

    def _read(self) -> bytes:
        try:
            return self.file.read(PIECE)
        except OSError as error:
            raise InvalidInput(f"{self.name} cannot be read: {error.strerror}") from None

    def _head(self, name: str, more: str = "") -> bytes:
        text = f'--{self.boundary}\r\nContent-Disposition: form-data; name="{name}"{more}\r\n\r\n'
        return text.encode("utf-8", "replace")


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
