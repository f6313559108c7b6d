"""The form of POST /process/file, read as it comes: its file goes to the disk, its texts are bounded."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import PurePosixPath

from python_multipart import MultipartParser
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import parse_options_header

from ygg.api.aside import aside
from ygg.api.refused import TooLarge, WrongType
from ygg.errors import InvalidInput
from ygg.multipart import FORM, Incoming
from ygg.uploads import Part

FILE = "file"
FIELDS = ("source_type", "gpu", "metadata")
TEXT_MAX = 1024 * 1024  #: bytes of one text
SPARE = 4 * TEXT_MAX  #: bytes that a body may have beside its file
HINT = "curl -F file=@picture.png -F gpu=true http://…/process/file"


@dataclass(slots=True)
class Filled:
    """What a form says: its texts, and what its file is called (never a path of ours)."""

    fields: dict[str, str] = field(default_factory=dict)
    name: str | None = None  #: None: there is no file


async def read(body: Incoming, part: Part, most: int) -> Filled:
    """The form, its file written to `part`. Raises TooLarge for more than `most` bytes of file, WrongType for another kind
    of body, InvalidInput for what is no form, has no file, or fields that are unknown."""
    reader, came = _Reader(boundary_of(body.content_type), most), 0
    async for piece in body.pieces:
        came += len(piece)
        if came > most + SPARE:
            raise _too_large(most)
        reader.feed(piece)
        data = reader.taken()
        await aside(len(data), part.write, data)
    return reader.end()


def boundary_of(content_type: str) -> bytes:
    """What stands between the parts of a form."""
    kind, options = parse_options_header(content_type)
    if kind.decode("latin-1").lower() != FORM:
        told = kind.decode("latin-1") or "none"
        raise WrongType(f"the body has the content type {told!r:.100}, expected {FORM}", hint=HINT)
    if not options.get(b"boundary"):
        raise InvalidInput("the form names no boundary", hint=HINT)
    return options[b"boundary"]


class _Reader:
    """Between the parser's callbacks: the part that is being read."""

    def __init__(self, boundary: bytes, most: int) -> None:
        self._most, self._came, self._filled = most, 0, Filled()
        self._header, self._value, self._disposition = b"", b"", b""
        self._name, self._text = "", bytearray()
        self._data: list[bytes] = []  #: of the file, not written yet
        self._ended = False
        try:
            self._parser = MultipartParser(boundary, self._callbacks())  # type: ignore[arg-type]
        except FormParserError as error:
            raise InvalidInput(f"the body is no form: {error}", hint=HINT) from None

    def _callbacks(self) -> dict[str, object]:
        return {
            "on_part_begin": self._begin,
            "on_header_field": self._on_field,
            "on_header_value": self._on_value,
            "on_header_end": self._on_header,
            "on_headers_finished": self._on_headers,
            "on_part_data": self._on_data,
            "on_part_end": self._on_part,
            "on_end": self._on_end,
        }

    def feed(self, piece: bytes) -> None:
        try:
            self._parser.write(piece)
        except FormParserError as error:
            raise InvalidInput(f"the body is no form: {error}", hint=HINT) from None

    def taken(self) -> bytes:
        """What came of the file since it was asked last."""
        data, self._data = b"".join(self._data), []
        return data

    def end(self) -> Filled:
        if not self._ended:
            raise InvalidInput("the form breaks off: its last boundary is missing", hint=HINT)
        if self._filled.name is None:
            raise InvalidInput("file: missing", hint=HINT)
        return self._filled

    # --- callbacks -----------------------------------------------------------------------------

    def _begin(self) -> None:
        self._header = self._value = self._disposition = b""
        self._name, self._text = "", bytearray()

    def _on_field(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _on_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _on_header(self) -> None:
        if self._header.lower() == b"content-disposition":
            self._disposition = self._value
        self._header = self._value = b""

    def _on_headers(self) -> None:
        _, options = parse_options_header(self._disposition)
        self._name = options.get(b"name", b"").decode("utf-8", "replace")
        known, seen = (FILE, *FIELDS), self._filled.fields
        if self._name not in known:
            text = f"{self._name:.60}: unknown field of the form"
            raise InvalidInput(text, hint=f"one of {', '.join(known)}")
        if self._name in seen or (self._name == FILE and self._filled.name is not None):
            raise InvalidInput(f"{self._name}: it comes twice", hint="one file in a request")
        if self._name == FILE:
            self._filled.name = _last(options.get(b"filename", b""))

    def _on_data(self, data: bytes, start: int, end: int) -> None:
        if self._name != FILE:
            self._text += data[start:end]
            if len(self._text) > TEXT_MAX:
                raise TooLarge(f"{self._name}: longer than {TEXT_MAX} bytes")
            return
        self._data.append(data[start:end])
        self._came += end - start
        if self._came > self._most:
            raise _too_large(self._most)

    def _on_part(self) -> None:
        if self._name == FILE:
            return
        try:
            self._filled.fields[self._name] = self._text.decode()
        except UnicodeDecodeError:
            raise InvalidInput(f"{self._name}: not UTF-8 text") from None

    def _on_end(self) -> None:
        self._ended = True


def _too_large(most: int) -> TooLarge:
    return TooLarge(
        f"the file is larger than {most / 1024 / 1024:g} MiB",
        hint="policies.upload_limit says how large one may be",
    )


def _last(name: bytes) -> str:
    """The last step of a path, which some clients send."""
    text = name.decode("utf-8", "replace").replace("\0", "").replace("\\", "/")
    return PurePosixPath(text).name
