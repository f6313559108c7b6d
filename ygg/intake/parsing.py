"""Bytes to a JSON document. Standard library only: `ygg submit` loads it."""

from __future__ import annotations

import itertools
import json
import math
import re
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO, NoReturn

DOCUMENT_MAX = 16 * 1024 * 1024  #: bytes of one document; the longest sane prompt fits many times
DOCUMENT_VALUES = 20_000  #: keys and list entries of a document; an agent's history has hundreds
BODY_VALUES = 300_000  #: of a whole body: parsing them takes less than a tenth of a second
SLICE = 65_536
MARK = b"\xef\xbb\xbf"  #: a byte order mark: some editors begin a file with one, and `cat` a later line

_ESCAPED = re.compile(rb"\\.", re.DOTALL)


class Unreadable(ValueError):
    """No JSON document; the text says why."""


class TooMuch(Unreadable):
    """More than is read; the text says what of."""


Line = tuple[int, Any]  #: number and document, or the Unreadable


def lines(stream: BinaryIO) -> Iterator[Line]:
    """The documents of JSONL, blank lines left out. A number beyond all numbers is refused: who sends the
    document on could not write it."""
    for number in itertools.count(1):
        raw = stream.readline(DOCUMENT_MAX + 1)
        if not raw:
            return
        if len(raw) > DOCUMENT_MAX:
            _skip_line(stream, raw)
            yield number, TooMuch(f"longer than {DOCUMENT_MAX >> 20} MiB")
        elif raw.removeprefix(MARK).strip():
            yield number, _line(raw)


def _skip_line(stream: BinaryIO, raw: bytes) -> None:
    while raw and not raw.endswith(b"\n"):
        raw = stream.readline(SLICE)


def _line(raw: bytes) -> Any:
    try:
        return document(raw, _finite, most=DOCUMENT_VALUES)
    except Unreadable as error:
        return error


def document(raw: bytes, number: Callable[[str], float] = float, *, most: int = BODY_VALUES) -> Any:
    """The document. Unreadable for NaN and infinities, and for nesting that no parser follows, too; TooMuch
    for more than `most` values. A number beyond all numbers is for `checking`, which names its place."""
    if len(raw) > most and values(raw) > most:  # each takes a byte
        raise TooMuch(f"more than {most:,} values")
    try:
        return json.loads(raw, parse_constant=_no_number, parse_float=number)
    except UnicodeDecodeError:
        raise Unreadable("not UTF-8 text") from None
    except RecursionError:
        raise Unreadable("nested too deeply") from None
    except ValueError as error:
        raise Unreadable(str(error)) from None


def values(raw: bytes) -> int:
    """About how many values JSON text holds, counted a slice at a time: a thread that counts holds up no other.
    What is inside strings is left out."""
    count, inside, held = 0, False, b""
    for at in range(0, len(raw), SLICE):
        piece = _ESCAPED.sub(b"", held + raw[at : at + SLICE])
        held = b"\\" if piece.endswith(b"\\") else b""  # what it escapes comes with the next one
        parts = piece.split(b'"')
        outside = b"".join(parts[inside::2])
        count += sum(outside.count(c) for c in (b",", b"{", b"["))
        inside ^= len(parts) % 2 == 0
    return count


def _finite(text: str) -> float:
    number = float(text)
    return number if math.isfinite(number) else _no_number(text)


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")
