"""What a server of the OpenAI protocol streams: server-sent events, one object each; and its vectors.

An answer is whole when a `finish_reason` came and no error object did; `[DONE]` proves nothing, vLLM
sends it after an error too. Chats, completions and the errors of all servers are read alike.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ygg.backends import failures
from ygg.backends.said import Speech
from ygg.backends.sse import EventStream
from ygg.backends.values import (
    as_count,
    as_dict,
    as_embeddings,
    as_logprobs,
    as_ms,
    as_name,
    as_object,
)
from ygg.model import Call, Done, JsonDict, OutcomeKind, Piece, Usage
from ygg.ports import CallFailed

BROKEN_OFF = frozenset({"error", "abort"})  #: finish reasons of vLLM for an answer it gave up


@dataclass(slots=True)
class EventReader:
    """What an answer has told so far. `named` is given the model it names, and may raise; with `frames`
    its pieces carry their events."""

    named: Callable[[str], None]
    frames: bool = False
    stop_reason: str | None = None
    model: str = ""
    usage: JsonDict = field(default_factory=dict)
    timings: JsonDict = field(default_factory=dict)
    speech: Speech = field(default_factory=lambda: Speech(whole=False))
    _stream: EventStream = field(default_factory=EventStream)
    _events: int = 0

    @property
    def ended(self) -> bool:
        """Whether the marker `[DONE]` came."""
        return self._stream.ended

    def read(self, line: bytes) -> Piece | None:
        """Take a line in; its piece (perhaps empty), or None for a line that completes no event."""
        event = self._stream.read(line)
        return None if event is None else self._event(*event)

    def _event(self, data: JsonDict, payload: bytes) -> Piece:
        self._events += 1
        self._learn(data)
        self.timings = data.get("timings") or self.timings
        frame = payload if self.frames else None
        choice = _choice(data.get("choices"), payload)
        if choice is None:
            return Piece(frame=frame)
        message = choice.get("delta") or choice.get("message") or {"text": choice.get("text")}
        if not isinstance(message, dict):
            raise failures.malformed(payload)
        said = self.speech.read(message, payload)
        stop, logprobs = as_name(choice.get("finish_reason")), choice.get("logprobs")
        if stop:
            self._stopped(stop)
        return Piece(*said, as_logprobs(logprobs) if logprobs else (), frame)

    def _learn(self, data: JsonDict) -> None:
        """Model and counts, which stand in any event."""
        if not self.model:
            self.model = as_name(data.get("model"))
            self.named(self.model)
        self.usage = data.get("usage") or self.usage

    def _stopped(self, reason: str) -> None:
        if reason in BROKEN_OFF:
            raise CallFailed(OutcomeKind.ERROR, f"the server gave the answer up: {reason}")
        self.stop_reason = reason

    def embedded(self, body: bytes, call: Call) -> Done:
        """The end of an embedding, from its whole answer. Raises CallFailed."""
        data = as_object(body)
        if data is None:
            raise failures.malformed(body)
        if data.get("error") or data.get("object") == "error":
            raise failures.from_error(data)
        self._learn(data)
        self.stop_reason = "stop"
        rows, given = data.get("data"), call.attempt.request["input"]
        if not isinstance(rows, list):
            raise failures.malformed(body)
        told = sorted(map(as_dict, rows), key=lambda row: as_count(row.get("index")) or 0)
        texts = 1 if isinstance(given, str) else len(given)
        vectors = as_embeddings([row.get("embedding") for row in told], texts, body)
        return self.done(call, embeddings=vectors)

    def tail(self) -> Piece | None:
        """What its end brings to light, before `done`. Raises CallFailed when something was lost."""
        return None if self.stop_reason is None else self.speech.end(self.stop_reason)

    def done(self, call: Call, **more: Any) -> Done:
        """The end, if its marker came. Raises CallFailed otherwise."""
        if self.stop_reason is None:
            raise self._unfinished()
        usage, timings = as_dict(self.usage), as_dict(self.timings)
        details = as_dict(usage.get("prompt_tokens_details"))
        counted = Usage(
            prompt_tokens=as_count(usage.get("prompt_tokens")),
            cached_tokens=_first(details.get("cached_tokens"), timings.get("cache_n")),
            output_tokens=_first(usage.get("completion_tokens"), timings.get("predicted_n")),
            prompt_ms=as_ms(timings.get("prompt_ms")),
            eval_ms=as_ms(timings.get("predicted_ms")),
        )
        return Done(self.stop_reason, self.model or call.candidate.model, counted, **more)

    def _unfinished(self) -> CallFailed:
        strange = self._stream.strange
        return (
            failures.malformed(strange) if strange and not self._events else failures.unfinished()
        )


def _choice(choices: object, payload: bytes) -> JsonDict | None:
    """The one answer of an event; None where it only counts. Raises CallFailed for any other than the
    first: nobody asked for several."""
    if not choices:
        return None
    if not isinstance(choices, list) or len(choices) != 1 or not isinstance(choices[0], dict):
        raise failures.malformed(payload)
    choice: JsonDict = choices[0]
    if choice.get("index"):
        raise failures.malformed(payload)
    return choice


def _first(*values: object) -> int | None:
    return next((n for n in map(as_count, values) if n is not None), None)
