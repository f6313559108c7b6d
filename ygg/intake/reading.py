"""Bytes to a JSON document. Standard library only: `ygg submit` loads it."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any, NoReturn


class Unreadable(ValueError):
    """No JSON document; the text says why."""


def document(raw: bytes, number: Callable[[str], float] = float) -> Any:
    """The document. Unreadable for NaN and infinities, and for nesting that no parser follows, too.
    `number` reads a fraction: `finite` for who sends the document on; else `checking` names the place."""
    try:
        return json.loads(raw, parse_constant=_no_number, parse_float=number)
    except UnicodeDecodeError:
        raise Unreadable("not UTF-8 text") from None
    except RecursionError:
        raise Unreadable("nested too deeply") from None
    except ValueError as error:
        raise Unreadable(str(error)) from None


def finite(text: str) -> float:
    """The number. ValueError for one beyond all numbers, which JSON cannot say again."""
    number = float(text)
    return number if math.isfinite(number) else _no_number(text)


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")
