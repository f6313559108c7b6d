"""What holds for every document, whoever sends it and whatever it says.

Unknown keys are errors with a guess, numbers are no strings, NaN is no number. Text with NUL bytes or lone
surrogates is refused everywhere, with the path of the offending value.
"""

from __future__ import annotations

import difflib
import math
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from ygg.errors import InvalidInput


class Document(BaseModel):
    """Base: unknown keys are errors, numbers stay numbers."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


M = TypeVar("M", bound=BaseModel)


def parse(kind: type[M], data: object) -> M:
    """Validate a document. InvalidInput has one line per problem, each with its path."""
    check_text(an_object(data), "")
    try:
        return kind.model_validate(data)
    except ValidationError as error:
        lines = [
            _line(kind, problem)
            for problem in error.errors(include_url=False, include_input=False)[:20]
        ]
        raise InvalidInput("; ".join(dict.fromkeys(lines))) from None


def an_object(data: object) -> dict[str, Any]:
    """Raises InvalidInput for any other JSON value."""
    if not isinstance(data, dict):
        raise InvalidInput(f"expected a JSON object, got {_named(data)}")
    return data


def _named(value: object) -> str:
    names = {
        list: "a list",
        str: "a string",
        bool: "true or false",
        int: "a number",
        float: "a number",
        type(None): "null",
    }
    return names.get(type(value), "something else")


def check_text(value: object, path: str, depth: int = 0) -> None:
    """InvalidInput for strings no database or server should see, and nesting no one needs."""
    if depth > 64:
        raise InvalidInput(f"{path[:80]}…: nested deeper than 64 levels")
    if isinstance(value, str):
        _check_string(value, path)
    elif isinstance(value, dict):
        for key, item in value.items():
            _check_string(key, path)
            check_text(item, f"{path}.{key:.60}" if path else key[:60], depth + 1)
    elif isinstance(value, list):
        for place, item in enumerate(value):
            check_text(item, f"{path}[{place}]", depth + 1)
    elif isinstance(value, float) and not math.isfinite(value):
        raise InvalidInput(f"{path}: {value} is no number JSON knows")
    elif isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise InvalidInput(f"{path}: the number is outside the range of 64 bits")


def _check_string(text: str, path: str) -> None:
    if "\0" in text:
        raise InvalidInput(f"{path or 'a key'}: holds a NUL byte")
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            raise InvalidInput(
                f"{path or 'a key'}: holds a lone surrogate, no valid Unicode"
            ) from None


def _line(kind: type[BaseModel], problem: Any) -> str:
    path = "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in problem["loc"]).lstrip(".")
    message = str(problem["msg"]).removeprefix("Value error, ")
    if problem["type"] == "extra_forbidden":
        key = str(problem["loc"][-1])[:40]  # comparing a megabyte would hold up the daemon
        near = difflib.get_close_matches(key, kind.model_fields, n=1)
        message = "unknown key" + (f", did you mean {near[0]}?" if near else "")
    return f"{path:.200}: {message}" if path else message
