"""The documents callers send, checked by pydantic.

Strict where a guess could hurt (numbers are no strings, NaN is no number), lenient where people write
(priorities by name or number, times as `10m` or ISO 8601). Text with NUL bytes or lone surrogates is
refused everywhere, with the path of the offending value.
"""

from __future__ import annotations

import difflib
import math
from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from ygg.errors import InvalidInput
from ygg.model import Priority

MAX_TASKS = 10_000  #: tasks in one submit
MAX_TIMEOUT_S = 7 * 86400.0


def _priority(value: object) -> object:
    """0 to 4 or a name, any case."""
    if isinstance(value, str):
        named = Priority.__members__.get(value.upper())
        if named is not None:
            return int(named)
        if value.isascii() and value.isdecimal():
            return int(value)
        raise ValueError(f"expected 0 to 4 or one of {', '.join(Priority.__members__)}")
    if isinstance(value, bool):
        raise ValueError("expected 0 to 4, not true or false")
    return value


def _time(value: object) -> object:
    """Text or seconds; `intake` reads it. One message instead of one per accepted kind."""
    if value is None or (isinstance(value, str | int | float) and not isinstance(value, bool)):
        return value
    raise ValueError("expected a time or a duration such as 10m")


def _gpu(value: object) -> object:
    """A word, any case; true is preferred, false never. None: as the task type says."""
    if isinstance(value, bool):
        return "preferred" if value else "never"
    word = value.lower() if isinstance(value, str) else value
    if word is None or word in ("required", "preferred", "never"):
        return word
    raise ValueError("expected required, preferred or never, or true (preferred) or false (never)")


def _content(value: object) -> object:
    if isinstance(value, str | list):
        return value
    raise ValueError("expected text or a list of parts")


PriorityField = Annotated[int, BeforeValidator(_priority), Field(ge=0, le=4)]
Gpu = Annotated[Literal["required", "preferred", "never"] | None, BeforeValidator(_gpu)]
Label = Annotated[str, Field(min_length=1, max_length=64)]
Time = Annotated[str | float | int | None, BeforeValidator(_time)]
Seconds = Annotated[float, Field(gt=0, le=MAX_TIMEOUT_S, allow_inf_nan=False)]


class Document(BaseModel):
    """Base: unknown keys are errors, numbers stay numbers."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


class Message(BaseModel):
    """One message of a chat. Further keys (images, tool calls, …) go to the server as they are."""

    model_config = ConfigDict(extra="allow", strict=True)
    role: Annotated[str, Field(min_length=1, max_length=64)]
    content: Annotated[str | list[Any], BeforeValidator(_content)] = ""

    @property
    def blank(self) -> bool:
        """It says nothing, and nothing else is attached to it."""
        text = self.content.strip() if isinstance(self.content, str) else self.content
        return not text and not self.model_extra


class _Work(Document):
    """What every way of submitting shares."""

    messages: Annotated[list[Message], Field(min_length=1)] | None = None
    system: str | None = None
    priority: PriorityField = int(Priority.NORMAL)
    title: Annotated[str, Field(max_length=500)] = ""
    labels: Annotated[list[Label], Field(max_length=32)] = []
    model: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    host: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    max_tokens: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    temperature: Annotated[float, Field(ge=0, le=5)] | None = None
    options: dict[str, Any] | None = None
    not_before: Time = None
    deadline: Time = None
    idempotency_key: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    retention: Time = None
    gpu: Gpu = None
    content_type: Annotated[str, Field(max_length=100)] | None = None

    @field_validator("system", "title")
    @classmethod
    def _stripped(cls, text: str | None) -> str | None:
        return text.strip() if text is not None else None

    @field_validator("messages")
    @classmethod
    def _say_something(cls, messages: list[Message] | None) -> list[Message] | None:
        if messages is not None and all(m.blank for m in messages):
            raise ValueError("every message is empty")
        return messages


class TaskDocument(_Work):
    """One task as `ygg submit`, a JSONL line and POST /v1/tasks give it."""

    prompt: Annotated[str, Field(min_length=1)] | None = None
    type: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    operation: Literal["chat", "generate"] | None = None
    timeout: Time = None

    @model_validator(mode="after")
    def _one_kind_of_work(self) -> TaskDocument:
        if (self.prompt is None) == (self.messages is None):
            raise ValueError("expected either prompt or messages")
        if self.operation == "generate" and self.prompt is None:
            raise ValueError("operation generate needs prompt")
        if self.prompt is not None and not self.prompt.strip():
            raise ValueError("prompt is empty")
        return self


class AsyncSubmit(_Work):
    """POST /v1/async/submit."""

    agent_type: Annotated[str, Field(min_length=1, max_length=64)]
    messages: Annotated[list[Message], Field(min_length=1)]
    timeout_seconds: Seconds | None = None


class BulkSubmit(Document):
    """POST /v1/tasks. The documents are checked one by one, so that each error names its task."""

    tasks: Annotated[list[Any], Field(max_length=MAX_TASKS)]
    atomic: bool = False


class Retry(Document):
    """POST /v1/tasks/retry: by id, or every task in these states."""

    ids: Annotated[list[str], Field(max_length=MAX_TASKS)] | None = None
    states: list[Literal["failed", "blocked", "cancelled", "expired"]] | None = None


class NewPriority(Document):
    """POST /v1/tasks/{id}/priority."""

    priority: PriorityField


M = TypeVar("M", bound=BaseModel)


def parse(kind: type[M], data: object) -> M:
    """Validate a document. InvalidInput has one line per problem, each with its path."""
    if not isinstance(data, dict):
        raise InvalidInput(f"expected a JSON object, got {_named(data)}")
    check_text(data, "")
    try:
        return kind.model_validate(data)
    except ValidationError as error:
        lines = [
            _line(kind, problem)
            for problem in error.errors(include_url=False, include_input=False)[:20]
        ]
        raise InvalidInput("; ".join(dict.fromkeys(lines))) from None


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
