"""Whatever a server sends: text, an end, or a CallFailed; never anything else, never unstorable text."""

from __future__ import annotations

import contextlib
import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.backends.calls import call
from ygg.backends import failures, ollama
from ygg.backends.events import EventReader
from ygg.backends.said import Speech
from ygg.model import Done, Operation, OutcomeKind, Piece
from ygg.ports import CallFailed

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(min_value=-(10**400), max_value=10**400)
    | st.floats()
    | st.text(st.characters(), max_size=8)
)
VALUES = st.recursive(SCALARS, lambda v: st.lists(v, max_size=3) | st.dictionaries(st.text(), v))
KEYS = {
    "model", "message", "response", "thinking", "done", "done_reason", "error", "choices", "usage",
    "timings", "delta", "content", "finish_reason", "object", "eval_count", "eval_duration",
    "load_duration", "prompt_tokens", "prompt_tokens_details", "cached_tokens", "code", "type",
    "reasoning", "predicted_ms", "tool_calls", "function", "arguments", "index", "id", "logprobs",
    "token", "top_logprobs", "tokens", "token_logprobs", "text", "data", "embedding", "embeddings",
}  # fmt: skip
OBJECTS: Any = st.recursive(
    SCALARS,
    lambda v: st.lists(v, max_size=2) | st.dictionaries(st.sampled_from(sorted(KEYS)), v),
    max_leaves=12,
)
ODD = st.sampled_from([10**400, -1, 2**63, 1e308, "\ud800", "a\x00b"]) | SCALARS
FUNCTION = st.fixed_dictionaries(
    {"name": ODD, "arguments": ODD | st.dictionaries(st.text(max_size=3), ODD, max_size=2)}
)
CALLS = st.lists(st.fixed_dictionaries({"function": FUNCTION, "index": ODD, "id": ODD}), max_size=3)
ENTRY = st.fixed_dictionaries({"token": ODD, "logprob": ODD, "bytes": st.lists(ODD, max_size=2)})
LOGPROBS = st.fixed_dictionaries({"content": st.lists(ENTRY, max_size=2)}) | st.fixed_dictionaries(
    dict.fromkeys(("tokens", "token_logprobs", "top_logprobs"), st.lists(ODD, max_size=2))
)
SAID = st.fixed_dictionaries({"content": ODD, "thinking": ODD}, optional={"tool_calls": CALLS})
OLLAMA = st.fixed_dictionaries(
    {"message": SAID},
    optional=dict.fromkeys(("model", "done_reason", "eval_count", "eval_duration", "error"), ODD)
    | {"logprobs": st.lists(ENTRY, max_size=2)},
)
DELTA = st.fixed_dictionaries({"content": ODD, "reasoning": ODD}, optional={"tool_calls": CALLS})
CHOICE = st.fixed_dictionaries(
    {"delta": DELTA, "finish_reason": ODD}, optional={"logprobs": LOGPROBS}
)
OPENAI = st.fixed_dictionaries(
    {"choices": st.tuples(CHOICE)},
    optional={
        "model": ODD,
        "timings": st.fixed_dictionaries({"predicted_ms": ODD, "cache_n": ODD}),
        "usage": st.fixed_dictionaries({"completion_tokens": ODD, "prompt_tokens_details": ODD}),
    },
)
LINES = st.binary(max_size=40) | (OBJECTS | OLLAMA | OPENAI).map(lambda v: json.dumps(v).encode())


def storable(item: Piece | Done | None) -> None:
    match item:
        case Piece():
            (item.content + item.thinking).encode()
            for delta in item.tool_calls:
                (delta.name + delta.arguments + delta.id).encode()
            json.dumps(item.logprobs, allow_nan=False, ensure_ascii=False).encode()
        case Done(stop_reason, model, usage):
            (stop_reason + model).encode()
            json.dumps(item.embeddings, allow_nan=False)
            json.dumps([usage.output_tokens, usage.eval_ms, usage.load_ms], allow_nan=False)


@given(LINES)
def test_any_line_from_ollama(line: bytes) -> None:
    with contextlib.suppress(CallFailed):
        data = ollama._parse(line)
        if data is not None:
            storable(ollama._piece(data, line, Speech(whole=True), frames=False))
            storable(ollama._done(data, call()))


@given(st.lists(LINES, max_size=4), st.sampled_from(["", "sim"]))
def test_any_events_from_an_openai_server(lines: list[bytes], wanted: str) -> None:
    def named(model: str) -> None:
        if wanted and model not in ("", wanted):
            raise CallFailed(OutcomeKind.REFUSED, model)

    answer = EventReader(named)
    with contextlib.suppress(CallFailed):
        for line in lines:
            storable(answer.read(b"data: " + line))
    answer.stop_reason = answer.stop_reason or "stop"
    storable(answer.done(call()))


VECTORS = st.lists(st.lists(ODD, max_size=2) | ODD, max_size=3)
EMBEDDED = st.fixed_dictionaries({"embeddings": VECTORS | ODD}) | st.fixed_dictionaries(
    {
        "data": st.lists(st.fixed_dictionaries({"embedding": VECTORS, "index": ODD}), max_size=3)
        | ODD
    }
)


@given(LINES | EMBEDDED.map(lambda v: json.dumps(v).encode()))
def test_any_answer_to_an_embedding(body: bytes) -> None:
    one = call(operation=Operation.EMBED, input=["a", "b"])
    for read in (ollama._embedded, EventReader(lambda model: None).embedded):
        with contextlib.suppress(CallFailed):
            storable(read(body, one))


@given(
    st.integers(100, 599), LINES | (OBJECTS | ODD).map(lambda v: json.dumps({"error": v}).encode())
)
def test_any_error_body(status: int, body: bytes) -> None:
    failed = failures.from_status(status, {}, body)
    failed.message.encode()
    assert failed.message


@given(st.text(max_size=30))
def test_any_retry_after(value: str) -> None:
    seconds = failures.retry_after_s({"retry-after": value})
    assert seconds is None or 0 <= seconds <= failures.PAUSE_MAX_S
