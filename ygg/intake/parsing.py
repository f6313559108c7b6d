"""Bytes to a JSON document. Standard library only: `ygg submit` loads it."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NoReturn


class Unreadable(ValueError):
    """No JSON document; the text says why."""


Line = tuple[int, Any]  #: number and document, or the Unreadable


def lines(stream: Iterable[bytes]) -> Iterator[Line]:
    """The documents of JSONL, blank lines left out. A number beyond all numbers is refused: who sends the
    document on could not write it."""
    for number, raw in enumerate(stream, 1):
        if raw.strip():
            yield number, _line(raw)


def _line(raw: bytes) -> Any:
    try:
        return document(raw, _finite)
    except Unreadable as error:
        return error


def document(raw: bytes, number: Callable[[str], float] = float) -> Any:
    """The document. Unreadable for NaN and infinities, and for nesting that no parser follows, too.
    A number beyond all numbers is for `checking`, which names its place."""
    try:
        return json.loads(raw, parse_constant=_no_number, parse_float=number)
    except UnicodeDecodeError:
        raise Unreadable("not UTF-8 text") from None
    except RecursionError:
        raise Unreadable("nested too deeply") from None
    except ValueError as error:
        raise Unreadable(str(error)) from None


def _finite(text: str) -> float:
    number = float(text)
    return number if math.isfinite(number) else _no_number(text)


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")
