"""Chapter A: answers of model servers."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from tests.cases.many import Case, Many, many
from tests.cases.scripted import Reply

# --- keep-alives are no tokens ----------------------------------------------------------------------


def chunk(**delta: Any) -> str:
    return "data: " + json.dumps({"choices": [{"index": 0, "delta": delta}]}) + "\n"


def said(text: str, **more: Any) -> str:
    return json.dumps({"message": {"role": "assistant", "content": text, **more}, "done": False})


STOP = 'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n'
DONE = '{"message":{"content":""},"done":true,"done_reason":"stop"}'
EMPTY_TOOL = '{"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"arguments":""}}]}}]}'
#: What a server may send that is no token, by backend.
NOISE = {
    "a comment": ("openai", ":"),
    "an event's name": ("openai", "event: ping"),
    "an event without choices": ("openai", 'data: {"choices":[]}'),
    "a role": ("openai", 'data: {"choices":[{"delta":{"role":"assistant","content":""}}]}'),
    "nulls": ("openai", 'data: {"choices":[{"delta":{"content":null,"reasoning":null}}]}'),
    "empty data": ("openai", "data:"),
    "counters": ("openai", 'data: {"choices":[],"usage":{"prompt_tokens":4}}'),
    "a tool call that says nothing": ("openai", f"data: {EMPTY_TOOL}"),
    "blank lines": ("ollama", ""),
    "blanks": ("ollama", "   "),
    "an empty piece": ("ollama", said("")),
    "an empty thought": ("ollama", said("", thinking="")),
    "an object": ("ollama", "{}"),
}


def noisy() -> dict[str, Case]:
    """Each noise for ever: after a token, and before the first one."""
    first = {"openai": chunk(content="hello"), "ollama": said("hello")}
    return {
        f"{name} {when}": Case(
            backend,
            Reply(f"{first[backend] if when == 'later' else ''}\n@again 0.2 {noise}"),
            slots=2,  # what was cut off keeps one
        )
        for name, (backend, noise) in NOISE.items()
        for when in ("later", "first")
    }


LIVELY = {
    "a thought is a token": Case(
        "ollama",
        Reply("\n@pause 0.7\n".join([said("", thinking="a"), said("", thinking="b")] * 2 + [DONE])),
    ),
    "text is a token": Case(
        "openai", Reply("\n@pause 0.7\n".join([chunk(content="a")] * 4 + [STOP]))
    ),
}

# --- tool calls and what else a server says -----------------------------------------------------------

WEATHER = {"type": "function", "function": {"name": "get_weather"}}
TOOLS = {"prompt": "weather?", "options": {"tools": [WEATHER]}}
CALL = {"function": {"name": "get_weather", "arguments": {"city": "Oslo"}}}


def part(index: int, arguments: str, **more: Any) -> dict[str, Any]:
    return {"index": index, "function": {"arguments": arguments, **more}}


def streamed(*deltas: dict[str, Any], stop: str = "stop") -> Reply:
    end = json.dumps({"choices": [{"delta": {}, "finish_reason": stop}]})
    return Reply("".join(chunk(**d) + "\n" for d in deltas) + f"data: {end}\n\ndata: [DONE]\n\n")


def spoken(**message: Any) -> Reply:
    return Reply(json.dumps({"message": message, "done": False}) + "\n" + DONE)


TOOL_CASES = {
    "ollama": spoken(content="", tool_calls=[CALL]),
    "openai in pieces": streamed(
        {"tool_calls": [part(0, '{"city":', name="get_weather")]},
        {"tool_calls": [part(0, '"Oslo"}')]},
        stop="tool_calls",
    ),
    "openai of old": streamed(
        {"function_call": {"name": "get_weather", "arguments": '{"city":'}},
        {"function_call": {"arguments": '"Oslo"}'}},
        stop="function_call",
    ),
    "openai in one message": Reply(
        'data: {"choices":[{"message":{"content":null,"tool_calls":['
        '{"id":"1","function":{"name":"get_weather","arguments":"{\\"city\\":\\"Oslo\\"}"}}]},'
        '"finish_reason":"tool_calls"}]}\n\n'
    ),
}
A, B = chunk(content="a"), chunk(content="b")
SPLIT = A.replace('"delta"', '\ndata: "delta"')
EMOJI = ('{"message":{"content":"x\\ud83d"}}', '{"message":{"content":"\\ude42y"}}')
HALVES = [EMOJI[0].replace("x", ""), EMOJI[1].replace("y", "")]
ENDS = '{"message":{"content":""},"done_reason":"stop","eval_count":1}'
TEXT_CASES = {
    "openai a refusal": (streamed({"refusal": "I will not"}), "I will not"),
    "openai text in parts": (
        streamed({"content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}),
        "ab",
    ),
    "openai an empty data line": (Reply(f"{A}\ndata:\n\n{B}\n{STOP}"), "ab"),
    "openai a blank data line": (Reply(f"{A}\ndata: \n\n{B}\n{STOP}"), "ab"),
    "openai another field": (Reply(f"{A}\nfoo: bar\n\n{B}\n{STOP}"), "ab"),
    "openai a byte order mark": (Reply(f"\ufeff{A}\n{B}\n{STOP}"), "ab"),
    "openai carriage returns": (Reply(raw=f"{A}\n{B}\n{STOP}".replace("\n", "\r").encode()), "ab"),
    "openai two data lines": (Reply(f"{SPLIT}\n{B}\n{STOP}"), "ab"),
    "openai names and ids": (Reply(f"event: a\nid: 1\n{A}\nid: 2\n{B}\n{STOP}"), "ab"),
    "ollama no done": (Reply(said("a") + "\n" + ENDS), "a"),
    "ollama a halved emoji": (Reply("\n".join([*EMOJI, DONE])), "x\U0001f642y"),
    "ollama halves alone": (Reply("\n".join([*HALVES, DONE])), "\U0001f642"),
    "ollama half an emoji": (Reply("\n".join([EMOJI[0], DONE])), "x\ufffd"),
    "ollama the other half": (Reply("\n".join([EMOJI[1], DONE])), "\ufffdy"),
    "ollama carriage returns": (Reply(raw=f"{said('a')}\r\n{DONE}\r\n".encode()), "a"),
}
#: Said, but in no form that is known: an error, never an empty answer.
UNKNOWN_CASES = {
    "openai a number": streamed({"content": 5}),
    "openai an image": streamed({"content": [{"type": "image_url", "image_url": {}}]}),
    "openai audio": streamed({"audio": {"data": "UklGR"}}),
    "openai calls that are none": streamed({"tool_calls": ["x"]}, stop="tool_calls"),
    "openai calls that are text": streamed({"tool_calls": "x"}),
    "openai no calls at all": streamed({}, stop="tool_calls"),
    "openai a name that is none": streamed({"tool_calls": [part(0, "{}", name=7)]}),
    "openai two answers": Reply(
        'data: {"choices":[{"index":0,"delta":{"content":"a"}},{"index":1,"delta":{"content":"b"}}]}\n\n'
        + STOP
    ),
    "ollama a list": spoken(content=["a"]),
    "ollama images": spoken(content="", images=["iVBORw0"]),
    "ollama calls that are none": spoken(content="", tool_calls={"name": "x"}),
    "ollama a message that is text": Reply('{"message":"hello","done":false}\n' + DONE),
}


# --- what an error means ------------------------------------------------------------------------------

SYSTEM = "model requires more system memory (7.5 GiB) than is available (5.2 GiB)"
RUNNER = "llama runner process has terminated: error loading model: unable to allocate CUDA0 buffer"
KV = "No available memory for the cache blocks"


def error(told: Any) -> str:
    return json.dumps({"error": told})


MEMORY_CASES = {
    "ollama system memory": Case("ollama", Reply(error(SYSTEM), 500)),
    "ollama CUDA": Case("ollama", Reply(error(RUNNER), 500)),
    "ollama in a stream": Case("ollama", Reply(said("a") + "\n" + error(RUNNER))),
    "vllm in a stream": Case("openai", Reply(f"data: {error({'message': KV, 'code': 500})}\n\n")),
    "a proxy's quote": Case("openai", Reply(error(f"upstream: {error(SYSTEM)}"), 502)),
}


def sse(told: Any) -> Case:
    return Case("openai", Reply(f"data: {error(told)}\n\n"))


LIMIT = {"message": "slow down", "type": "rate_limit_error"}
#: Errors inside a stream, and what their status would mean.
CODE_CASES = {
    "a code as text": (sse({**LIMIT, "code": "429"}), "deferral_budget"),
    "a type": (sse(LIMIT), "deferral_budget"),
    "503 as text": (sse({"message": "later", "code": "503"}), "deferral_budget"),
    "overloaded": (sse({"message": "x", "type": "overloaded_error"}), "deferral_budget"),
    "401 as text": (sse({"message": "no", "code": "401"}), "host_unauthorized"),
    "a wrong key": (sse({"message": "no", "type": "authentication_error"}), "host_unauthorized"),
    "a busy Ollama": (
        Case("ollama", Reply(error("server busy, please try again"))),
        "deferral_budget",
    ),
}


# --- compressed answers, and a history with tool calls -------------------------------------------------


def packed(backend: str, encoding: str, status: int = 200) -> Case:
    body = gzip.compress(DONE.encode()) if encoding == "gzip" else b"\x1b\x00"
    return Case(backend, Reply(raw=body, status=status, headers={"Content-Encoding": encoding}))


PACKED = {
    f"{backend} {encoding}": packed(backend, encoding)
    for backend in ("ollama", "openai")
    for encoding in ("gzip", "zstd", "br", "deflate")
} | {"a packed error": packed("ollama", "gzip", 502)}
CALLED = {
    "role": "assistant",
    "content": None,
    "tool_calls": [{"id": "1", "type": "function", **CALL}],
}
MESSAGES = [
    {"role": "user", "content": "weather?"},
    CALLED,
    {"role": "tool", "tool_call_id": "1", "content": "rain"},
]
HISTORY = {
    f"{backend} history": Case(backend, reply, {"messages": MESSAGES})
    for backend, reply in (("ollama", Reply(DONE)), ("openai", streamed()))
}


def all_cases() -> dict[str, Case]:
    tools = {f"tool {n}": Case(n.split()[0], reply, TOOLS) for n, reply in TOOL_CASES.items()}
    texts = {n: Case(n.split()[0], reply) for n, (reply, _) in TEXT_CASES.items()}
    unknown = {f"unknown {n}": Case(n.split()[0], r) for n, r in UNKNOWN_CASES.items()}
    codes = {name: case for name, (case, _) in CODE_CASES.items()}
    memory = {name: replace(case, slots=2) for name, case in MEMORY_CASES.items()}
    return noisy() | LIVELY | tools | texts | unknown | memory | codes | PACKED | HISTORY


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Many]:
    with many(tmp_path_factory.mktemp("answers"), all_cases()) as asked:
        yield asked


@pytest.mark.parametrize("name", noisy())
def test_noise_is_no_sign_of_life(cases: Many, name: str) -> None:
    what = "no token for 1 s" if name.endswith("later") else "no first token for 3 s"
    assert what in cases.text(name)
    assert cases.outcome(name) == "error_budget"


@pytest.mark.parametrize("name", LIVELY)
def test_what_a_model_says_is_a_sign_of_life(cases: Many, name: str) -> None:
    answer = cases.answer(name)
    assert answer["content"] + answer.get("thinking", "") in ("abab", "aaaa")


@pytest.mark.parametrize("name", TOOL_CASES)
def test_a_tool_call_is_an_answer(cases: Many, name: str) -> None:
    (call,) = cases.answer(f"tool {name}")["tool_calls"]
    assert call["function"] == {"name": "get_weather", "arguments": '{"city":"Oslo"}'}


@pytest.mark.parametrize("name", TEXT_CASES)
def test_text_of_another_form_is_text(cases: Many, name: str) -> None:
    assert cases.answer(name)["content"] == TEXT_CASES[name][1]


@pytest.mark.parametrize("name", UNKNOWN_CASES)
def test_what_is_not_understood_is_an_error_never_an_empty_answer(cases: Many, name: str) -> None:
    assert cases.outcome(f"unknown {name}") == "error_budget"
    assert "malformed answer" in cases.text(f"unknown {name}")


def test_a_tool_call_is_printed(cases: Many) -> None:
    cases.answer("tool ollama")
    (call,) = cases.house.result(cases.tasks["tool ollama"])["result"]["tool_calls"]
    assert call["function"]["name"] == "get_weather"


@pytest.mark.parametrize("name", MEMORY_CASES)
def test_out_of_memory_is_put_off_and_takes_a_slot_whoever_says_it(cases: Many, name: str) -> None:
    assert cases.outcome(name) == "deferral_budget"
    host = cases.host(name)
    assert host["limit"] == 1
    assert re.fullmatch(r"out of memory; the next slot in \d+ s", host["limit_reason"])
    assert host["busy_until"] is not None


@pytest.mark.parametrize("name", CODE_CASES)
def test_an_error_in_a_stream_means_what_its_status_would(cases: Many, name: str) -> None:
    assert cases.outcome(name) == CODE_CASES[name][1]


@pytest.mark.parametrize("name", PACKED)
def test_a_compressed_answer_is_told_as_that(cases: Many, name: str) -> None:
    encoding = "gzip" if name == "a packed error" else name.split()[1]
    assert f"compressed ({encoding})" in cases.text(name)


@pytest.mark.parametrize("name", HISTORY)
def test_a_history_with_tool_calls_is_sent_as_it_is(cases: Many, name: str) -> None:
    cases.answer(name)
    (asked,) = cases.servers[name].calls
    assert json.loads(asked.body)["messages"] == MESSAGES
