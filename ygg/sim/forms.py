"""Forms as the simulated servers read them."""

from __future__ import annotations

import hashlib
import io

from python_multipart import parse_form
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import Field, File

from ygg.model import JsonDict
from ygg.sim.http import Request


def form(request: Request) -> JsonDict:
    """Its fields, and of its file what it is called, how long it is and what its bytes come to. Raises ValueError."""
    found: JsonDict = {}

    def on_field(field: Field) -> None:
        found[_text(field.field_name)] = _text(field.value)

    def on_file(file: File) -> None:
        content = file.file_object
        content.seek(0)
        digest = hashlib.file_digest(content, "sha256").hexdigest()
        found["file"] = {"name": _text(file.file_name), "bytes": file.size, "sha256": digest}

    headers = {"Content-Type": request.headers["content-type"].encode()}
    try:
        parse_form(headers, io.BytesIO(request.body), on_field, on_file)
    except FormParserError as error:
        raise ValueError(str(error)) from error
    return found


def _text(value: bytes | None) -> str:
    return (value or b"").decode()
