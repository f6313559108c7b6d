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
    WithJsonSchema,
    field_validator,
    model_validator,
)

from ygg.intake.checking import Document, whole
from ygg.intake.wording import shown
from ygg.model import JsonDict, Operation, Priority

MAX_TIMEOUT_S = 7 * 86400.0
MAX_TEXTS = 1000  #: of one embedding
#: What each operation works on; a document names exactly one of these.
WORKS_ON = {"chat": ("messages", "prompt"), "generate": ("prompt",), "complete": ("prompt",),
            "embed": ("input",)}  # fmt: skip
KINDS = ("prompt", "messages", "input")  #: of work
#: Keys that mean nothing to an operation: a prompt that is completed goes to the model as it is.
NOT_FOR = {"complete": ("system",), "embed": ("system", "max_tokens", "temperature"),
           "transcribe": ("system", "max_tokens")}  # fmt: skip


_BY_NAME = {n: int(p) for p in Priority for n in (p.name, str(int(p)))}


def _priority(value: object) -> object:
    """0 to 4 or a name, any case; a whole number may come as a float."""
    name = value if isinstance(value, bool | str) else str(whole(value))
    found = _BY_NAME.get(name.upper()) if isinstance(name, str) else None
    if found is None:
        names = ", ".join(Priority.__members__)
        raise ValueError(f"expected 0 to 4 or {names}, got {shown(value)}")
    return found


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


NO_TEXT = object()  #: stands for a null that may not be


def _content(value: object) -> object:
    if isinstance(value, str | list | None):
        return value
    raise ValueError("expected text or a list of parts")


def _input(value: object) -> object:
    """A text or a list of them, each with something in it."""
    texts = value if isinstance(value, list) else [value]
    if value is None or (all(isinstance(t, str) and t.strip() for t in texts) and texts):
        return value
    raise ValueError("expected text or a list of texts, none of them empty")


#: JSON schemas of what is lenient: what a validator takes is not what it gives.
PRIORITY: JsonDict = {
    "anyOf": [
        {"type": "integer", "minimum": 0, "maximum": 4},
        {"type": "string", "enum": [*Priority.__members__]},
    ]
}
_GPU: JsonDict = {
    "anyOf": [
        {"type": "string", "enum": ["required", "preferred", "never"]},
        {"type": "boolean"},
        {"type": "null"},
    ]
}
_TIME: JsonDict = {
    "type": ["string", "number", "null"],
    "examples": ["10m", 60, "2027-01-15T08:00:00Z"],
}
_CONTENT: JsonDict = {"type": ["string", "array", "null"], "default": ""}
_FULL: JsonDict = {"type": "string", "pattern": r"\S"}
_INPUT: JsonDict = {
    "anyOf": [
        _FULL,
        {"type": "array", "items": _FULL, "minItems": 1, "maxItems": MAX_TEXTS},
        {"type": "null"},
    ]
}


def _named(key: str) -> JsonDict:
    """A document that has this one."""
    return {"required": [key], "properties": {key: {"not": {"type": "null"}}}}


PriorityField = Annotated[int, BeforeValidator(_priority), WithJsonSchema(PRIORITY)]
Gpu = Annotated[
    Literal["required", "preferred", "never"] | None, BeforeValidator(_gpu), WithJsonSchema(_GPU)
]
Label = Annotated[str, Field(min_length=1, max_length=64)]
Time = Annotated[str | float | int | None, BeforeValidator(_time), WithJsonSchema(_TIME)]
Seconds = Annotated[float, Field(gt=0, le=MAX_TIMEOUT_S, allow_inf_nan=False)]


class Message(BaseModel):
    """One message of a chat. Further keys (images, tool calls, …) go to the server as they are."""

    model_config = ConfigDict(extra="allow", strict=True)
    role: Annotated[str, Field(min_length=1, max_length=64)]
    content: Annotated[
        str | list[Any] | None, BeforeValidator(_content), WithJsonSchema(_CONTENT)
    ] = ""

    @model_validator(mode="before")
    @classmethod
    def _only_tools(cls, data: Any) -> Any:
        """A message that only calls tools may have null for its text, as clients write it; no other may."""
        if not isinstance(data, dict) or data.get("content", "") is not None:
            return data
        calls = data.get("tool_calls") or data.get("function_call")
        return data if calls else {**data, "content": NO_TEXT}

    @property
    def blank(self) -> bool:
        """It says nothing, and nothing else is attached to it."""
        text = self.content.strip() if isinstance(self.content, str) else self.content
        return not text and not self.model_extra


class _Work(Document):
    """What every way of submitting shares."""

    messages: Annotated[list[Message], Field(min_length=1, fail_fast=True)] | None = None
    system: str | None = None
    priority: PriorityField = int(Priority.NORMAL)
    title: Annotated[str, Field(max_length=500)] = ""
    labels: Annotated[list[Label], Field(max_length=32)] = []
    model: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    host: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    max_tokens: Annotated[int, Field(ge=1, le=1_000_000), BeforeValidator(whole)] | None = None
    temperature: Annotated[float, Field(ge=0, le=5)] | None = None
    options: dict[str, Any] | None = None
    not_before: Time = None
    deadline: Time = None
    idempotency_key: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    retention: Time = None
    gpu: Gpu = None
    content_type: Annotated[str, Field(max_length=100)] | None = None
    cache: bool | None = None
    coalesce: bool = False

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

    model_config = ConfigDict(json_schema_extra={"oneOf": [_named(key) for key in KINDS]})
    prompt: Annotated[str, Field(min_length=1)] | None = None
    type: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    input: Annotated[str | list[str] | None, BeforeValidator(_input), WithJsonSchema(_INPUT)] = None
    operation: Literal["chat", "generate", "complete", "embed"] | None = None
    timeout: Time = None

    @field_validator("input")
    @classmethod
    def _not_too_many(cls, texts: str | list[str] | None) -> str | list[str] | None:
        if isinstance(texts, list) and len(texts) > MAX_TEXTS:
            raise ValueError(f"expected at most {MAX_TEXTS} texts")
        return texts

    @model_validator(mode="after")
    def _one_kind_of_work(self) -> TaskDocument:
        given = [k for k in KINDS if getattr(self, k) is not None]
        if len(given) != 1:
            raise ValueError("expected either prompt or messages, or input for an embedding")
        operation = self.does
        if given[0] not in WORKS_ON[operation]:
            raise ValueError(f"operation {operation} needs {WORKS_ON[operation][0]}")
        for key in NOT_FOR.get(operation, ()):
            if getattr(self, key) is not None:
                raise ValueError(f"operation {operation} takes no {key}")
        if self.prompt is not None and not self.prompt.strip():
            raise ValueError("prompt is empty")
        return self

    @property
    def does(self) -> Operation:
        """The operation; what the document works on tells where it names none."""
        if self.operation is not None:
            return Operation(self.operation)
        return Operation.CHAT if self.input is None else Operation.EMBED


class AsyncSubmit(_Work):
    """POST /v1/async/submit."""

    agent_type: Annotated[str, Field(min_length=1, max_length=64)]
    messages: Annotated[list[Message], Field(min_length=1, fail_fast=True)]
    timeout_seconds: Seconds | None = None

    @property
    def type(self) -> str:
        return self.agent_type

    @property
    def does(self) -> Operation:
        """Chats only."""
        return Operation.CHAT


class Recording(TaskDocument):
    """What is said of a file with sound in it. A prompt is a hint for whoever listens: names, how words are spelled."""

    @model_validator(mode="after")
    def _one_kind_of_work(self) -> Recording:
        for key in (*NOT_FOR[Operation.TRANSCRIBE], "messages", "input"):
            if getattr(self, key) is not None:
                raise ValueError(f"operation transcribe takes no {key}")
        return self

    @property
    def does(self) -> Operation:
        return Operation.TRANSCRIBE


Submission = TaskDocument | AsyncSubmit
