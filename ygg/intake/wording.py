"""What is wrong with a value, in the words of a person: what was expected, and what came where that is short."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

SHORT = 40  #: characters of a value that is shown

Context = Mapping[str, Any]
_SAID: Mapping[str, Callable[[Context], str]] = {
    "less_than_equal": lambda c: f"expected {c['le']:g} at most",
    "less_than": lambda c: f"expected less than {c['lt']:g}",
    "greater_than_equal": lambda c: f"expected {c['ge']:g} at least",
    "greater_than": lambda c: f"expected more than {c['gt']:g}",
    "finite_number": lambda c: "expected a number that ends",
    "int_type": lambda c: "expected a whole number",
    "int_from_float": lambda c: "expected a whole number",
    "int_parsing": lambda c: "expected a whole number",
    "float_type": lambda c: "expected a number",
    "float_parsing": lambda c: "expected a number",
    "bool_type": lambda c: "expected true or false",
    "string_type": lambda c: "expected text",
    "list_type": lambda c: "expected a list",
    "dict_type": lambda c: "expected an object with keys",
    "model_type": lambda c: "expected an object with keys",
    "literal_error": lambda c: f"expected {c['expected']}",
}
_ALONE: Mapping[str, Callable[[Context], str]] = {  # what came says nothing more
    "missing": lambda c: "is missing",
    "string_too_short": lambda c: (
        "is empty" if c["min_length"] == 1 else f"shorter than {c['min_length']} characters"
    ),
    "string_too_long": lambda c: f"longer than {c['max_length']:,} characters",
    "too_short": lambda c: (
        "is empty" if c["min_length"] == 1 else f"fewer than {c['min_length']} entries"
    ),
    "too_long": lambda c: f"more than {c['max_length']:,} entries",
    "value_error": lambda c: str(c["error"]),
}


def worded(problem: Mapping[str, Any]) -> str:
    """One error of pydantic's, with its `type`, `ctx`, `input` and `msg`. What it is of a newer kind keeps its words."""
    context = problem.get("ctx", {})
    if problem["type"] in _ALONE:
        return _ALONE[problem["type"]](context)
    if problem["type"] not in _SAID:
        return str(problem["msg"])
    return f"{_SAID[problem['type']](context)}, got {shown(problem['input'])}"


def shown(value: object) -> str:
    """A number or a short word as it is, of anything else what it is."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return f"{value}"[:SHORT]
    if isinstance(value, str) and len(value) <= SHORT:
        return repr(value)
    return named(value)


def named(value: object) -> str:
    """What kind of JSON value it is."""
    names = {list: "a list", str: "a string", bool: "true or false", int: "a number", float: "a number",
             type(None): "null", dict: "an object"}  # fmt: skip
    return names.get(type(value), "something else")
