"""What holds for every document, whoever sends it and whatever it says.

Unknown keys are errors with a guess, numbers are no strings, NaN is no number. Text with NUL bytes or lone
surrogates is refused everywhere, with the path of the offending value.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import math
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError, model_validator

from ygg.errors import InvalidInput
from ygg.intake.parsing import DOCUMENT_MAX, DOCUMENT_VALUES
from ygg.intake.wording import named, worded

PROBLEMS = 20  #: told at once
DEEPEST = 64  #: levels of lists and mappings
SPLIT = "submit it in parts"


class Document(BaseModel):
    """Base: unknown keys are errors, numbers stay numbers, a known key whose value is null is not set."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, data: Any) -> Any:
        """Data frames write null where nothing was given."""
        if not isinstance(data, dict) or None not in data.values():
            return data
        return {k: v for k, v in data.items() if v is not None or k not in cls.model_fields}


def whole(value: object) -> object:
    """Data frames write whole numbers as floats."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


Whole = Annotated[int, BeforeValidator(whole)]  #: a whole number; `60.0` is one


M = TypeVar("M", bound=BaseModel)


def parse(kind: type[M], data: object) -> M:
    """Validate a document. InvalidInput has one line per problem, each with its path, `PROBLEMS` at most."""
    check_text(an_object(data))
    try:
        return kind.model_validate(_few_unknown(kind, an_object(data)))
    except ValidationError as error:
        found = error.errors(include_url=False)[:PROBLEMS]
        raise InvalidInput("; ".join(dict.fromkeys(_line(kind, p) for p in found))) from None


def _few_unknown(kind: type[BaseModel], data: dict[str, Any]) -> dict[str, Any]:
    """The document with no more unknown keys than are told of: each is an error to make."""
    known = kind.model_fields
    unknown = [key for key in data if key not in known]
    if len(unknown) <= PROBLEMS:
        return data
    left_out = set(unknown[PROBLEMS:])
    return {k: v for k, v in data.items() if k not in left_out}


def an_object(data: object) -> dict[str, Any]:
    """Raises InvalidInput for any other JSON value."""
    if not isinstance(data, dict):
        raise InvalidInput(f"expected a JSON object, got {named(data)}")
    return data


def check_text(document: dict[str, Any]) -> None:
    """InvalidInput for strings no database or server should see, for nesting no one needs, and for more than
    any document has to say."""
    _Walk().look(document, "", 0)


class _Walk:
    """Through all values of one document. What it holds is counted on the way, so that it ends soon."""

    def __init__(self) -> None:
        self._values, self._characters = 0, 0

    def look(self, value: object, path: str, depth: int) -> None:
        if depth > DEEPEST:
            raise InvalidInput(f"{path[:80]}…: nested deeper than {DEEPEST} levels")
        self._values += 1
        if self._values > DOCUMENT_VALUES:
            raise InvalidInput(f"more than {DOCUMENT_VALUES:,} values", hint=SPLIT)
        if isinstance(value, str):
            self._text(value, path)
        elif isinstance(value, dict):
            for key, item in value.items():
                self._text(key, path)
                self.look(item, f"{path}.{key:.60}" if path else key[:60], depth + 1)
        elif isinstance(value, list):
            for place, item in enumerate(value):
                self.look(item, f"{path}[{place}]", depth + 1)
        elif isinstance(value, int | float):
            _check_number(value, path)

    def _text(self, text: str, path: str) -> None:
        self._characters += len(text)
        if self._characters > DOCUMENT_MAX:
            raise InvalidInput(f"longer than {DOCUMENT_MAX:,} characters", hint=SPLIT)
        _check_string(text, path)


def _check_number(value: float, path: str) -> None:
    if isinstance(value, int):
        if not -(2**63) <= value < 2**63:
            raise InvalidInput(f"{path}: the number is outside the range of 64 bits")
    elif not math.isfinite(value):
        raise InvalidInput(f"{path}: {value} is no number JSON knows")


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
    message = worded(problem) if problem["type"] != "extra_forbidden" else ""
    if not message:
        key = str(problem["loc"][-1])[:40]  # comparing a megabyte would hold up the daemon
        near = difflib.get_close_matches(key, kind.model_fields, n=1)
        message = "unknown key" + (f", did you mean {near[0]}?" if near else "")
    return f"{path:.200}: {message}" if path else message


def hash_of(doc: object) -> str:
    """Of a document: the same whatever the order of its keys."""
    text = json.dumps(doc, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()
