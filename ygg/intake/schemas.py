"""The documents that tasks come as, checked by pydantic.

Strict where a guess could hurt (numbers are no strings), lenient where people write (priorities by name or
number, times as `10m` or ISO 8601).
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    field_validator,
    model_validator,
)

from ygg.intake.checking import Document
from ygg.model import Priority

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
    """Text or seconds; `times` reads it. One message instead of one per accepted kind."""
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

    @property
    def type(self) -> str:
        return self.agent_type

    @property
    def prompt(self) -> None:
        """Chats only."""

    @property
    def operation(self) -> None:
        """Chats only."""


Submission = TaskDocument | AsyncSubmit
