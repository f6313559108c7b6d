"""The values of hosts.yaml as annotated types: each says what was expected when it is given another.

An error of type `EXPECTED` carries the words of the message. Loads pydantic: imported only when a
file is read.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Callable, Container
from typing import Annotated, Any, Literal

from pydantic import (
    BeforeValidator,
    Field,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WithJsonSchema,
    WrapValidator,
)
from pydantic_core import PydanticCustomError

from ygg.config.addresses import SHAPE, address
from ygg.config.durations import seconds
from ygg.config.patterns import compiled
from ygg.config.urls import WrongUrl, server_url
from ygg.model import JsonDict

EXPECTED = "expected"  #: the error type whose message is the "expected ..." of a problem
NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"


def expect(text: str) -> WrapValidator:
    """Whatever is wrong with the value, the message says that `text` was expected."""

    def check(value: Any, inner: ValidatorFunctionWrapHandler) -> Any:
        try:
            return inner(value)
        except ValidationError:
            raise PydanticCustomError(EXPECTED, text) from None

    return WrapValidator(check)


def spelled(seconds: float) -> str:
    """A duration as hosts.yaml may say it: `7d`, `90s`."""
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= 2 * size and seconds % size == 0:
            return f"{seconds / size:g}{unit}"
    return f"{seconds:g}s"


def _duration(value: object) -> float:
    try:
        return seconds(value)
    except ValueError:
        text = "a duration above 0 such as 60s, 10m, 2h or 7d, or seconds"
        raise PydanticCustomError(EXPECTED, text) from None


def _span(value: object) -> float:
    try:
        return seconds(value, none=True)
    except ValueError:
        raise PydanticCustomError(EXPECTED, "0 or a duration such as 60s or 10m") from None


def _memory(value: object) -> float:
    """MiB of `8GB`, `6.5 GiB`, `900MB`; a bare number is GB. Card makers' GB are GiB."""
    text = f"{value}GB" if isinstance(value, int | float) and not isinstance(value, bool) else value
    found = re.fullmatch(r"(\d+(?:\.\d+)?) ?([GM])i?B", text) if isinstance(text, str) else None
    if found is None or float(found[1]) <= 0:
        raise PydanticCustomError(EXPECTED, "an amount of memory such as 8GB, 6.5GB or 900MB")
    return float(found[1]) * (1024 if found[2] == "G" else 1)


def model(value: object) -> object:
    """A model by its name alone."""
    return {"name": value} if isinstance(value, str) else value


def word(key: str) -> Callable[[object], object]:
    """A mapping of which only this key is given, written as its value."""
    return lambda value: {key: off(value)} if isinstance(value, str | bool) else value


def one_or_more(value: object) -> object:
    """A list of words, each once; one may stand alone."""
    words = value if isinstance(value, list) else [value]
    return list(dict.fromkeys(words)) if all(isinstance(w, str) for w in words) else value


def off(value: object) -> object:
    """YAML reads a bare `off` as false."""
    return "off" if value is False else value


def _ageing(value: object) -> object:
    """YAML reads a bare `off` as false."""
    return None if value is None or value is False or value == "off" else _duration(value)


def _keeping(value: object) -> object:
    """YAML reads a bare `off` as false; it is no time at all."""
    return 0.0 if value is False or value == "off" else _span(value)


def _url(value: object) -> str:
    try:
        return server_url(value)
    except WrongUrl as wrong:
        raise PydanticCustomError(EXPECTED, str(wrong), {"hint": wrong.hint}) from None


def _addresses(value: object) -> list[str]:
    """One address or several, each once and as it is always written."""
    given = value if isinstance(value, list) else [value]
    try:
        return list(dict.fromkeys(str(address(text)) for text in map(_text, given)))
    except ValueError as wrong:
        raise PydanticCustomError(EXPECTED, str(wrong)) from None


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _pattern(value: object) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= 500:
        raise PydanticCustomError(EXPECTED, "a regular expression of 1 to 500 characters")
    try:
        compiled(value)
    except ValueError as error:
        hint = {"hint": f"it is not: {error}"}
        raise PydanticCustomError(EXPECTED, "a valid regular expression", hint) from None
    return value


def candidate(value: object) -> object:
    """`host` or `host/model`; a model's own name may hold more slashes."""
    if not isinstance(value, str):
        return value
    host, slash, model = value.partition("/")
    if not re.match(NAME, host) or (slash and not model):
        raise PydanticCustomError(EXPECTED, "`host`, `host/model` or a mapping with key host")
    return {"host": host, "model": model} if model else {"host": host}


def by_name(value: object) -> object:
    """A list of mappings as a mapping: each under its `name`, else under its `backend`, `backend-2`, …"""
    if not isinstance(value, list):
        return value
    found: dict[str, object] = {}
    for entry in value:
        if not isinstance(entry, dict):
            raise PydanticCustomError(
                EXPECTED, "a mapping of endpoints by name, or a list of mappings"
            )
        rest = {key: part for key, part in entry.items() if key != "name"}
        name = entry.get("name")
        if name is None:
            name = _unlike(found, str(entry.get("backend", "endpoint")))
        if name in found:
            raise PydanticCustomError(
                EXPECTED, "endpoints of different names", {"hint": f"{name} is there twice"}
            )
        found[name] = rest
    return found


def _unlike(taken: Container[str], word: str) -> str:
    numbered = (word if n == 1 else f"{word}-{n}" for n in itertools.count(1))
    return next(name for name in numbered if name not in taken)


def _json(value: object, path: str = "") -> object:
    """Options travel to the server as JSON, which knows no infinities."""
    if isinstance(value, float) and not math.isfinite(value):
        raise PydanticCustomError(
            EXPECTED, "values that JSON can hold", {"hint": f"{path} is {value}"}
        )
    entries = value.items() if isinstance(value, dict) else ()
    for key, part in entries or (enumerate(value) if isinstance(value, list) else ()):
        _json(part, f"{path}.{key}" if path else str(key))
    return value


_DURATION_SCHEMA: JsonDict = {
    "anyOf": [
        {"type": "number", "exclusiveMinimum": 0},
        {"type": "string", "pattern": r"^(\d+(\.\d+)?(ms|s|m|h|d))+$"},
    ]
}
_SPAN_SCHEMA: JsonDict = {"anyOf": [{"type": "number", "minimum": 0}, _DURATION_SCHEMA["anyOf"][1]]}
_MEMORY_SCHEMA: JsonDict = {
    "anyOf": [
        {"type": "number", "exclusiveMinimum": 0},
        {"type": "string", "pattern": r"^\d+(\.\d+)? ?[GM]i?B$"},
    ]
}
_AGEING_SCHEMA: JsonDict = {"anyOf": [*_DURATION_SCHEMA["anyOf"], {"enum": [False, "off", None]}]}
_KEEPING_SCHEMA: JsonDict = {"anyOf": [*_SPAN_SCHEMA["anyOf"], {"enum": [False, "off"]}]}
_URL_SCHEMA: JsonDict = {"type": "string", "format": "uri", "pattern": "^https?://"}

Text = Annotated[str, Field(min_length=1, max_length=500), expect("text of 1 to 500 characters")]
Key = Annotated[
    str,
    Field(pattern=NAME),
    expect("a name of 1 to 64 letters, digits, `.`, `_` and `-`"),
]
Share = Annotated[float, Field(ge=0, le=1), expect("a number from 0 to 1")]
SLOTS_MAX = 256
Slots = Annotated[int, Field(ge=1, le=SLOTS_MAX), expect("a whole number from 1 to 256")]
Retries = Annotated[int, Field(ge=0, le=100), expect("a whole number from 0 to 100")]
Budget = Annotated[int, Field(ge=1, le=10_000), expect("a whole number from 1 to 10000")]
Capacity = Annotated[int, Field(ge=1, le=10**7), expect("a whole number from 1 to 10000000")]
Duration = Annotated[float, BeforeValidator(_duration), WithJsonSchema(_DURATION_SCHEMA)]
Span = Annotated[float, BeforeValidator(_span), WithJsonSchema(_SPAN_SCHEMA)]
Ageing = Annotated[float | None, BeforeValidator(_ageing), WithJsonSchema(_AGEING_SCHEMA)]
Keeping = Annotated[float, BeforeValidator(_keeping), WithJsonSchema(_KEEPING_SCHEMA)]
Url = Annotated[str, BeforeValidator(_url), WithJsonSchema(_URL_SCHEMA)]
Addresses = Annotated[
    list[str],
    BeforeValidator(_addresses),
    WithJsonSchema(
        {"type": ["string", "array"], "items": {"type": "string"}, "description": SHAPE}
    ),
]
HostName = Annotated[
    str,
    Field(pattern=r"^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$", max_length=253),
    expect("a name of a machine, such as ygg.lan, without a port"),
]
Pattern = Annotated[str, BeforeValidator(_pattern), WithJsonSchema({"type": "string"})]
Options = Annotated[dict[str, Any], BeforeValidator(_json)]
Backend = Annotated[Literal["ollama", "openai"], expect("`ollama` or `openai`")]
Dialect = Annotated[Literal["llama.cpp", "vllm"], expect("`llama.cpp` or `vllm`")]
Steps = Annotated[list[Duration], Field(min_length=1, max_length=50)]
Kind = Annotated[Literal["gpu", "cpu"], expect("`gpu` or `cpu`")]
Serves = Annotated[
    list[Literal["text", "transcription"]],
    Field(min_length=1),
    BeforeValidator(one_or_more),
    expect("`text`, `transcription`, or a list of both"),
]
Choose = Annotated[Literal["order", "best"], expect("`order` or `best`")]
Gpu = Annotated[
    Literal["required", "preferred", "never"], expect("`required`, `preferred` or `never`")
]
Source = Annotated[
    Literal["auto", "nvml", "ssh", "ollama_ps", "static", "off"],
    BeforeValidator(off),
    expect("`auto`, `nvml`, `ssh`, `ollama_ps`, `static` or `off`"),
]
OnUnknown = Annotated[
    Literal["conservative", "static", "hold"], expect("`conservative`, `static` or `hold`")
]
PressureMode = Annotated[Literal["foreign", "seed"], expect("`foreign` or `seed`")]
HeatMode = Annotated[Literal["limits", "card"], expect("`limits` or `card`")]
Percent = Annotated[float, Field(ge=0, le=100), expect("a number from 0 to 100")]
Degrees = Annotated[float, Field(ge=0, le=130), expect("degrees Celsius from 0 to 130")]
Margin = Annotated[int, Field(ge=0, le=10_000), expect("a whole number from 0 to 10000")]
Memory = Annotated[float, BeforeValidator(_memory), WithJsonSchema(_MEMORY_SCHEMA)]
Ssh = Annotated[
    str,
    Field(pattern=r"^([A-Za-z0-9._-]+@)?[A-Za-z0-9][A-Za-z0-9._:-]*$"),
    expect("`machine`, `user@machine` or a name of ssh_config"),
]
Interrupted = Annotated[Literal["block", "requeue"], expect("`block` or `requeue`")]
