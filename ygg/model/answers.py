"""An answer is a message: the pieces it comes in, the whole, and how the attempt ended that brought it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from ygg.model.words import JsonDict, OutcomeKind

Embeddings = tuple[tuple[float, ...], ...]  #: one vector for each text of the input, in its order


PAUSE_MAX_S = (
    300.0  #: how long a server is believed that asks to be left alone; then one call tries it
)


@dataclass(frozen=True, slots=True)
class Usage:
    """Token counts and durations of one call, as the server reported them."""

    prompt_tokens: int | None = None
    cached_tokens: int | None = None
    output_tokens: int | None = None
    load_ms: float | None = None
    prompt_ms: float | None = None
    eval_ms: float | None = None
    first_token_ms: float | None = None  #: measured here, from the request's start
    total_ms: float | None = None  #: measured here


@dataclass(frozen=True, slots=True)
class ToolDelta:
    """Part of the tool call at `place` among those of an answer. Arguments are to be joined; name and id
    count where they come first."""

    place: int
    name: str = ""
    arguments: str = ""
    id: str = ""


class Piece(NamedTuple):
    """Some of an answer as it arrived: text (`content`), `thinking` of a reasoning model, tool calls; and
    of each token, where they were asked for, its `logprobs` {token, logprob, bytes, top_logprobs}.

    `frame` is what the server sent, one JSON object without its framing; kept for a call with `frames`.
    """

    content: str = ""
    thinking: str = ""
    tool_calls: tuple[ToolDelta, ...] = ()
    logprobs: tuple[JsonDict, ...] = ()
    frame: bytes | None = None

    @property
    def token(self) -> bool:
        """Whether the model said something: text, a thought or a tool call. A role or a ping is none, and
        so is a tool call that says nothing yet."""
        if self.content or self.thinking:
            return True
        return bool(self.tool_calls) and any(d.name or d.arguments for d in self.tool_calls)

    @property
    def size(self) -> int:
        """About how many characters its message has; the frame says the same again."""
        plain = len(self.content) + len(self.thinking)
        if not self.tool_calls and not self.logprobs:
            return plain
        tools = sum(8 + len(d.name) + len(d.arguments) + len(d.id) for d in self.tool_calls)
        tokens = sum(1 + len(e.get("top_logprobs", ())) for e in self.logprobs)
        return plain + tools + 64 * tokens


class Extent(NamedTuple):
    """How much of an answer: characters of its text and of its thoughts, parts of its tool calls. A piece that is no
    token adds nothing."""

    content: int = 0
    thinking: int = 0
    tool_calls: int = 0

    def plus(self, piece: Piece) -> Extent:
        if not piece.token:
            return self
        content, thinking, tool_calls = self
        return Extent(
            content + len(piece.content),
            thinking + len(piece.thinking),
            tool_calls + len(piece.tool_calls),
        )


@dataclass(frozen=True, slots=True)
class Done:
    """The end marker was seen: the answer is whole. Always the last item of a stream. Carries what does
    not stream: embeddings."""

    stop_reason: str
    model: str
    usage: Usage
    #: what the server turned out to be: llama.cpp, vllm; "" where the backend says it
    dialect: str = ""
    embeddings: Embeddings = ()


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A tool that the model wants called. `arguments` is JSON as the model wrote it, which may be broken;
    `id` is "" where the server gives none."""

    name: str
    arguments: str
    id: str = ""


@dataclass(frozen=True, slots=True)
class Result:
    """The message that a completed task brought. `model` is what the server says it used."""

    content: str
    stop_reason: str
    model: str
    backend: str
    usage: Usage = Usage()
    thinking: str | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    logprobs: tuple[JsonDict, ...] = ()  #: as in `Piece`
    embeddings: Embeddings = ()


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one attempt ended. `result` is set exactly when kind is COMPLETED."""

    kind: OutcomeKind
    message: str = ""
    retry_after_s: float | None = None  #: `PAUSE_MAX_S` at most
    result: Result | None = None
    delivered: bool = False  #: an attached client has got some of the answer
    abandoned: bool = False  #: ygg hung up before its end: the server may still be at work on it
