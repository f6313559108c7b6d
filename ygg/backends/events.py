"""What a server of the OpenAI protocol streams: server-sent events, one object each; and its vectors.

An answer is whole when a `finish_reason` came and no error object did; `[DONE]` proves nothing, vLLM
sends it after an error too. Chats, completions and the errors of all servers are read alike.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ygg.backends import failures
from ygg.backends.values import (
    ToolReader,
    as_count,
    as_dict,
    as_embeddings,
    as_logprobs,
    as_ms,
    as_name,
    as_object,
    as_text,
)
from ygg.model import Call, Done, JsonDict, OutcomeKind, Piece, Usage
from ygg.ports import CallFailed

BROKEN_OFF = frozenset({"error", "abort"})  #: finish reasons of vLLM for an answer it gave up
SSE_FIELDS = (b":", b"event:", b"id:", b"retry:")


@dataclass(slots=True)
class EventReader:
    """What an answer has told so far. `named` is given the model it names, and may raise; with `frames`
    its pieces carry their events."""

    named: Callable[[str], None]
    frames: bool = False
    ended: bool = False
    stop_reason: str | None = None
    model: str = ""
    usage: JsonDict = field(default_factory=dict)
    timings: JsonDict = field(default_factory=dict)
    tools: ToolReader = field(default_factory=lambda: ToolReader(whole=False))

    def read(self, line: bytes) -> Piece | None:
        """Take a line in; its piece (perhaps empty), or None for a line without an event."""
        if line.startswith(b"data:"):
            payload = line[5:].strip()
            if payload == b"[DONE]":
                self.ended = True
                return None
            return self._event(_object(payload), payload)
        if not line.strip() or line.startswith(SSE_FIELDS):
            return None
        _object(line.removeprefix(b"error:"))
        raise failures.malformed(line)

    def _event(self, data: JsonDict, payload: bytes) -> Piece:
        self._learn(data)
        self.timings = data.get("timings") or self.timings
        frame = payload if self.frames else None
        choices = data.get("choices")
        if not choices:
            return Piece(frame=frame)
        try:
            choice = choices[0]
            delta, stop = choice.get("delta") or {}, choice.get("finish_reason")
            thought = delta.get("reasoning_content") or delta.get("reasoning")
            text = delta.get("content") or choice.get("text")
            calls, logprobs = delta.get("tool_calls"), choice.get("logprobs")
        except (AttributeError, LookupError, TypeError) as exc:
            raise failures.malformed(payload) from exc
        if as_name(stop):
            self._stopped(as_name(stop))
        return Piece(
            as_text(text, payload),
            as_text(thought, payload),
            self.tools.read(calls, payload) if calls else (),
            as_logprobs(logprobs) if logprobs else (),
            frame,
        )

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
        data = _object(body)
        self._learn(data)
        self.stop_reason = "stop"
        rows, given = data.get("data"), call.attempt.request["input"]
        if not isinstance(rows, list):
            raise failures.malformed(body)
        told = sorted(map(as_dict, rows), key=lambda row: as_count(row.get("index")) or 0)
        texts = 1 if isinstance(given, str) else len(given)
        vectors = as_embeddings([row.get("embedding") for row in told], texts, body)
        return self.done(call, embeddings=vectors)

    def done(self, call: Call, **more: Any) -> Done:
        """The end, if its marker came. Raises CallFailed otherwise."""
        if self.stop_reason is None:
            raise failures.unfinished()
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


def _object(payload: bytes) -> JsonDict:
    """The object of an event. Raises CallFailed when it is an error, or no object."""
    data = as_object(payload)
    if data is None:
        raise failures.malformed(payload)
    if data.get("error"):
        raise failures.from_error(data["error"])
    if data.get("object") == "error":  # vLLM before 0.10
        raise failures.from_error(data)
    return data


def _first(*values: object) -> int | None:
    return next((n for n in map(as_count, values) if n is not None), None)
