"""What a model says: halves of an emoji, parts of other forms, tool calls."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ygg.backends.said import Speech
from ygg.model import Piece
from ygg.ports import CallFailed


def heard(*messages: dict[str, Any], whole: bool = False, stop: str = "stop") -> list[Piece]:
    speech = Speech(whole=whole)
    pieces = [Piece(*speech.read(m, json.dumps(m).encode())) for m in messages]
    tail = speech.end(stop)
    return pieces if tail is None else [*pieces, tail]


def call(arguments: Any, index: int = 0, **more: Any) -> dict[str, Any]:
    return {"tool_calls": [{"index": index, "function": {"arguments": arguments, **more}}]}


HIGH, LOW = "\ud83d", "\ude42"


@pytest.mark.parametrize(
    ("parts", "text"),
    [
        (["x" + HIGH, LOW + "y"], "x\U0001f642y"),
        ([HIGH, LOW], "\U0001f642"),
        ([HIGH, "", LOW], "\U0001f642"),
        ([HIGH, "a"], "\ufffda"),
        ([HIGH], "\ufffd"),
        ([LOW, "a"], "\ufffda"),
        ([HIGH, HIGH, LOW], "\ufffd\U0001f642"),
        (["a" + HIGH + LOW], "a\U0001f642"),
    ],
)
@pytest.mark.parametrize("key", ["content", "thinking"])
def test_halves_of_an_emoji_are_put_together(parts: list[str], text: str, key: str) -> None:
    pieces = heard(*({key: part} for part in parts))
    assert "".join(p.content + p.thinking for p in pieces) == text


def test_halves_in_arguments_are_put_together_too() -> None:
    pieces = heard(call("a" + HIGH, name="f"), call("b", 1, name="g"), call(LOW))
    told = [d.arguments for p in pieces for d in p.tool_calls if d.place == 0]
    assert "".join(told) == "a\U0001f642"


@pytest.mark.parametrize(
    ("message", "stop"),
    [
        ({"content": 5}, "stop"),
        ({"content": [{"type": "image_url"}]}, "stop"),
        ({"thinking": {"a": 1}}, "stop"),
        ({"tool_calls": "x"}, "stop"),
        ({"tool_calls": ["x"]}, "stop"),
        ({"tool_calls": [{"function": 7}]}, "stop"),
        (call("{}"), "stop"),
        (call("{}", name=7), "stop"),
        ({"audio": {"data": "x"}}, "stop"),
        ({"content": ""}, "tool_calls"),
        ({"content": ""}, "function_call"),
    ],
)
def test_what_is_not_understood_is_an_error(message: dict[str, Any], stop: str) -> None:
    with pytest.raises(CallFailed, match="malformed answer"):
        heard(message, stop=stop)


@pytest.mark.parametrize(
    "message",
    [{}, {"content": None}, {"role": "assistant", "content": ""}, {"audio": None, "content": ""}],
)
def test_an_answer_may_say_nothing(message: dict[str, Any]) -> None:
    assert heard(message) == [Piece()]


def test_what_is_added_to_a_text_that_is_understood_is_passed_over() -> None:
    assert heard({"content": "a", "annotations": [{"url": "x"}]}) == [Piece("a")]


def test_a_tool_call_that_says_nothing_is_no_piece_of_it() -> None:
    named, empty, rest = heard(call("", name="f"), call(""), call("{}"))
    assert (named.token, empty.token, rest.token) == (True, False, True)
    assert empty.tool_calls == ()


def test_a_function_call_of_the_old_protocol_is_a_tool_call() -> None:
    (piece,) = heard({"function_call": {"name": "f", "arguments": "{}"}}, stop="function_call")
    (delta,) = piece.tool_calls
    assert (delta.name, delta.arguments) == ("f", "{}")
