"""What is the OpenAI protocol's alone: events, dialects, the model's name, end markers."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from tests.backends.calls import Scripted, call, collect, scripted, text_of
from ygg.backends import reply
from ygg.backends.openai import OpenAIBackend
from ygg.model import CallLimits, Endpoint, HostHealth, Operation, OutcomeKind, Piece, ToolCall
from ygg.ports import CallFailed
from ygg.running.message import Message

Build = Callable[..., OpenAIBackend]
HEAD = b"HTTP/1.1 200 OK\r\nServer: llama.cpp\r\nContent-Length: %d\r\n\r\n"
END = b"data: [DONE]\n\n"


def event(text: str | None = None, stop: str | None = None, **more: object) -> bytes:
    delta = {} if text is None else {"content": text}
    choice = {"index": 0, "delta": delta, "finish_reason": stop}
    return data({"model": "sim", "choices": [choice], **more})


def data(value: object) -> bytes:
    return b"data: " + json.dumps(value).encode() + b"\n\n"


WHOLE = (event("a"), event(stop="stop"), END)


@pytest.fixture
async def build() -> AsyncIterator[Build]:
    made: list[OpenAIBackend] = []

    def one(url: str, **fields: Any) -> OpenAIBackend:
        made.append(OpenAIBackend(Endpoint("main", "openai", url, **fields), host="box"))
        return made[-1]

    yield one
    for backend in made:
        await backend.close()


async def failure_of(build: Build, *parts: bytes, **fields: Any) -> CallFailed:
    async with scripted(parts) as server:
        with pytest.raises(CallFailed) as caught:
            await collect(build(server.url, **fields), call())
        return caught.value


async def text(build: Build, *parts: bytes, **fields: Any) -> str:
    async with scripted(parts) as server:
        pieces, _ = await collect(build(server.url, **fields), call())
        return text_of(pieces)


# --- requests -------------------------------------------------------------------------------------


async def test_a_chat_is_sent_with_everything_in_its_place(build: Build) -> None:
    async with scripted(WHOLE) as server:
        one = call("hi", system="be brief", max_tokens=9, temperature=0.5, options={"top_k": 4})
        await collect(build(server.url, options={"top_k": 1, "min_p": 0.1}), one)
        assert server.requests[0].path == "/v1/chat/completions"
        assert server.bodies[0] == {
            "model": "sim",
            "top_k": 4,
            "min_p": 0.1,
            "max_tokens": 9,
            "temperature": 0.5,
            "messages": [
                {"role": "system", "content": "be brief"},
                {"role": "user", "content": "hi"},
            ],
            "stream": True,
            "stream_options": {"include_usage": True},
        }


async def test_options_cannot_change_the_protocol(build: Build) -> None:
    async with scripted(WHOLE) as server:
        options = {"stream": False, "n": 3, "messages": [], "model": "x", "stream_options": {}}
        await collect(build(server.url), call("hi", options=options))
        body = server.bodies[0]
        assert body["stream"] is True
        assert body["model"] == "sim"
        assert body["messages"] == [{"role": "user", "content": "hi"}]
        assert "n" not in body


async def test_an_address_that_ends_in_v1_is_understood(build: Build) -> None:
    async with scripted(WHOLE) as server:
        await collect(build(server.url + "/v1/"), call())
        assert server.requests[0].path == "/v1/chat/completions"


async def test_without_a_model_none_is_named(build: Build) -> None:
    async with scripted(WHOLE) as server:
        await collect(build(server.url), call(model=""))
        assert "model" not in server.bodies[0]


async def test_a_prompt_to_complete_is_sent_as_it_is(build: Build) -> None:
    told = data({"model": "sim", "choices": [{"index": 0, "text": "a", "finish_reason": "stop"}]})
    async with scripted([told, END]) as server:
        one = call(
            "once", messages=None, operation=Operation.COMPLETE, system="brief", max_tokens=3,
            options={"echo": False, "prompt": "other"},
        )  # fmt: skip
        pieces, done = await collect(build(server.url), one)
        assert server.requests[0].path == "/v1/completions"
        assert server.bodies[0] == {
            "model": "sim",
            "prompt": "once",
            "max_tokens": 3,
            "echo": False,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
    assert (text_of(pieces), done.stop_reason) == ("a", "stop")


async def test_vectors_are_asked_for_as_numbers_and_put_in_order(build: Build) -> None:
    rows = [{"index": 1, "embedding": [2, 0.5]}, {"index": 0, "embedding": [1.0, 0.5]}]
    answer = json.dumps({"model": "sim", "data": rows, "usage": {"prompt_tokens": 4}}).encode()
    async with scripted([answer]) as server:
        one = call(
            messages=None, operation=Operation.EMBED, input=["a", "b"], system="brief",
            options={"dimensions": 2, "encoding_format": "base64", "stream": True},
        )  # fmt: skip
        pieces, done = await collect(build(server.url), one)
        assert server.requests[0].path == "/v1/embeddings"
        assert server.bodies[0] == {
            "model": "sim",
            "input": ["a", "b"],
            "encoding_format": "float",
            "dimensions": 2,
        }
    assert (pieces, done.embeddings) == ([], ((1.0, 0.5), (2.0, 0.5)))
    assert done.usage.prompt_tokens == 4


async def test_a_vector_of_a_wrong_model_is_refused(build: Build) -> None:
    rows = json.dumps({"model": "other", "data": [{"index": 0, "embedding": [1.0]}]}).encode()
    async with scripted([HEAD % len(rows), rows]) as server:
        backend = build(server.url, dialect="llama.cpp")
        with pytest.raises(CallFailed, match="has other, not sim"):
            await collect(backend, call(operation=Operation.EMBED, input="a"))


async def test_too_many_vectors_at_once_are_a_bad_request(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reply, "WHOLE_MAX", 50)
    rows = json.dumps({"data": [{"index": 0, "embedding": [1.5] * 40}]}).encode()
    async with scripted([rows]) as server:
        with pytest.raises(CallFailed, match="submit fewer texts") as caught:
            await collect(build(server.url), call(operation=Operation.EMBED, input="a"))
    assert caught.value.kind is OutcomeKind.BAD_REQUEST


# --- events ---------------------------------------------------------------------------------------


def delta(**fields: object) -> bytes:
    return data({"model": "sim", "choices": [{"index": 0, "delta": fields, "finish_reason": None}]})


async def message_of(build: Build, *parts: bytes) -> Message:
    async with scripted((*parts, event(stop="stop"), END)) as server:
        pieces, _ = await collect(build(server.url), call())
    message = Message()
    for piece in pieces:
        message.add(piece)
    return message


async def test_tool_calls_that_come_interleaved_are_put_together(build: Build) -> None:
    message = await message_of(
        build,
        delta(role="assistant", content=None),
        delta(tool_calls=[{"index": 0, "id": "x", "function": {"name": "a", "arguments": ""}}]),
        delta(tool_calls=[{"index": 1, "id": "y", "function": {"name": "b", "arguments": '{"n"'}}]),
        delta(
            tool_calls=[
                {"index": 0, "function": {"arguments": "{}"}},
                {"index": 1, "function": {"name": None, "arguments": ":1}"}},
            ]
        ),
    )
    assert message.tool_calls == (ToolCall("a", "{}", "x"), ToolCall("b", '{"n":1}', "y"))


async def test_tool_calls_without_an_index_are_told_apart_by_their_ids(build: Build) -> None:
    message = await message_of(
        build,
        delta(tool_calls=[{"id": "x", "function": {"name": "a", "arguments": "["}}]),
        delta(tool_calls=[{"function": {"arguments": "1"}}]),
        delta(tool_calls=[{"id": "y", "function": {"name": "b", "arguments": {"n": 1}}}]),
        delta(tool_calls=[{"id": "x", "function": {"arguments": "]"}}]),
    )
    assert message.tool_calls == (ToolCall("a", "[1]", "x"), ToolCall("b", '{"n":1}', "y"))


async def test_log_probabilities_of_either_shape_are_read(build: Build) -> None:
    top = [{"token": "b", "logprob": -2.0, "bytes": None}]
    chat = {
        "content": [{"id": 5, "token": "a", "logprob": -0.5, "bytes": [97], "top_logprobs": top}]
    }
    lists = {
        "tokens": ["c", "d"],
        "token_logprobs": [-1.5, None],
        "top_logprobs": [{"e": -3.0}, None],
    }
    choices = [
        {"index": 0, "delta": {"content": "a"}, "logprobs": shape} for shape in (chat, lists)
    ]
    message = await message_of(build, *(data({"choices": [c]}) for c in choices))
    assert message.logprobs == [
        {
            "token": "a",
            "logprob": -0.5,
            "bytes": [97],
            "top_logprobs": [{"token": "b", "logprob": -2.0}],
        },
        {"token": "c", "logprob": -1.5, "top_logprobs": [{"token": "e", "logprob": -3.0}]},
        {"token": "d", "logprob": None},
    ]


@pytest.mark.parametrize("noise", [delta(role="assistant", content=""), b": ping\n\n"])
async def test_a_role_or_a_ping_is_no_token(build: Build, noise: bytes) -> None:
    """They keep coming; the limit for the first token counts on, and so does the one between tokens."""
    for before, limits, text in (
        ((), CallLimits(5.0, 0.2, 9.0, 9.0), r"no first token for 0\.2 s"),
        ((event("a"),), CallLimits(5.0, 9.0, 0.2, 9.0), r"no token for 0\.2 s"),
    ):
        async with scripted([*before, *[noise] * 2000]) as server:
            with pytest.raises(CallFailed, match=text):
                await collect(build(server.url), call(limits=limits))


async def test_usage_and_timings_become_usage(build: Build) -> None:
    usage = {
        "prompt_tokens": 20,
        "completion_tokens": 3,
        "prompt_tokens_details": {"cached_tokens": 16},
    }
    last = data({"model": "sim", "choices": [], "usage": usage})
    timings = {
        "cache_n": 16,
        "prompt_n": 4,
        "prompt_ms": 12.5,
        "predicted_n": 3,
        "predicted_ms": 9.0,
    }
    stop = event(stop="stop", timings=timings)
    async with scripted([event("a"), stop, last, END]) as server:
        _, done = await collect(build(server.url), call())
    counted = done.usage
    assert (counted.prompt_tokens, counted.cached_tokens, counted.output_tokens) == (20, 16, 3)
    assert (counted.prompt_ms, counted.eval_ms) == (12.5, 9.0)


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning"])
async def test_reasoning_is_kept_apart_from_the_answer(build: Build, name: str) -> None:
    delta = {"role": "assistant", "content": None, name: "hmm"}
    thought = data({"model": "sim", "choices": [{"index": 0, "delta": delta}]})
    async with scripted([thought, *WHOLE]) as server:
        pieces, _ = await collect(build(server.url), call())
    assert [p for p in pieces if p.content or p.thinking] == [Piece("", "hmm"), Piece("a")]


async def test_comments_and_other_fields_are_passed_over(build: Build) -> None:
    noise = b": ping\n\nevent: message\nid: 3\nretry: 10\n"
    assert await text(build, noise, event("a"), b":\n\n", noise, event(stop="stop"), END) == "a"


async def test_carriage_returns_and_missing_spaces_are_understood(build: Build) -> None:
    parts = [p.replace(b"data: ", b"data:").replace(b"\n", b"\r\n") for p in WHOLE]
    assert await text(build, *parts) == "a"


async def test_events_cut_anywhere_are_put_together(build: Build) -> None:
    whole = event("zwölf ") + event("Boxkämpfer 🥊") + event(stop="stop") + END
    for size in (1, 7, 64):
        parts = [whole[n : n + size] for n in range(0, len(whole), size)]
        assert await text(build, *parts) == "zwölf Boxkämpfer 🥊"


async def test_comment_pings_do_not_count_as_the_first_token(build: Build) -> None:
    async with scripted([b": ping\n\n"] * 2000) as server:
        limits = CallLimits(0.1, 0.2, 9.0, 9.0)
        with pytest.raises(CallFailed, match="no first token"):
            await collect(build(server.url), call(limits=limits))


# --- ends -----------------------------------------------------------------------------------------


async def test_done_without_a_finish_reason_is_no_success(build: Build) -> None:
    failed = await failure_of(build, event("a"), END)
    assert failed.kind is OutcomeKind.ERROR
    assert failed.broken


async def test_a_finish_reason_without_done_is_a_success(build: Build) -> None:
    assert await text(build, event("a"), event(stop="stop")) == "a"


async def test_an_error_before_done_is_no_success(build: Build) -> None:
    error = data({"error": {"message": "EngineCore died", "type": "x", "code": 500}})
    for parts in ((event("a"), error, END), (event("a"), event(stop="stop"), error, END)):
        failed = await failure_of(build, *parts)
        assert failed.kind is OutcomeKind.ERROR
        assert "EngineCore died" in failed.message
        assert failed.broken


@pytest.mark.parametrize("reason", ["error", "abort"])
async def test_an_answer_the_server_gave_up_is_no_success(build: Build, reason: str) -> None:
    assert reason in (await failure_of(build, event("a"), event(stop=reason), END)).message


@pytest.mark.parametrize(
    "error",
    [
        b'error: {"error": {"message": "slot failed", "code": 500}}\n\n',
        b'{"error": {"message": "slot failed"}}\n',
        b'data: {"object": "error", "message": "slot failed", "code": 500}\n\n',
        b'data: {"error": "slot failed"}\n\n',
    ],
)
async def test_errors_come_in_several_wrappings(build: Build, error: bytes) -> None:
    failed = await failure_of(build, event("a"), error, END)
    assert failed.kind is OutcomeKind.ERROR
    assert "slot failed" in failed.message


@pytest.mark.parametrize(
    "part",
    [
        b"data: {]\n\n",
        b"data: 7\n\n",
        b'{"choices": []}\n',
        data({"choices": "none"}),
        data({"choices": [7]}),
        data({"choices": [{"delta": "text"}]}),
        data({"choices": {"a": 1}}),
    ],
)
async def test_what_is_no_event_is_malformed(build: Build, part: bytes) -> None:
    failed = await failure_of(build, event("a"), part, event(stop="stop"), END)
    assert failed.kind is OutcomeKind.ERROR
    assert "malformed" in failed.message


@pytest.mark.parametrize("value", [3, "x", [], {"prompt_tokens": "many"}])
async def test_strange_counts_are_unknown(build: Build, value: object) -> None:
    stop = event(stop="stop", usage=value, timings=value)
    async with scripted([event("a"), stop, END]) as server:
        _, done = await collect(build(server.url), call())
    assert done.usage.prompt_tokens is None


# --- the model's name -----------------------------------------------------------------------------


def from_llama(*parts: bytes) -> list[bytes]:
    body = b"".join(parts)
    return [HEAD % len(body), body]


async def test_llama_cpp_is_known_by_its_header_and_must_name_the_wanted_model(
    build: Build,
) -> None:
    other = from_llama(event("a", model="other.gguf"), event(stop="stop"), END)
    failed = await failure_of(build, *other)
    assert failed.kind is OutcomeKind.REFUSED
    assert failed.message == "the server has other.gguf, not sim"


async def test_other_servers_check_the_name_themselves(build: Build) -> None:
    """vLLM answers 404 for a wrong name, and may serve a model under an alias."""
    assert await text(build, event("a", model="served-as"), event(stop="stop"), END) == "a"


async def test_a_known_mismatch_is_asked_again_before_anything_is_sent(build: Build) -> None:
    models = json.dumps({"data": [{"id": "/models/Other.gguf"}]}).encode()
    now_right = json.dumps({"data": [{"id": "/models/SIM.gguf"}]}).encode()
    answer = from_llama(event("a"), event(stop="stop"), END)
    async with scripted(
        from_llama(models), from_llama(models), from_llama(now_right), answer
    ) as box:
        backend = build(box.url, dialect="llama.cpp")
        backend._ids = ("other",)
        with pytest.raises(CallFailed, match=r"Other\.gguf, not sim"):
            await collect(backend, call())
        with pytest.raises(CallFailed, match="not sim"):
            await collect(backend, call())
        pieces, _ = await collect(backend, call())
        assert text_of(pieces) == "a"
        assert [r.method for r in box.requests] == ["GET", "GET", "GET", "POST"]


# --- connections and checks -----------------------------------------------------------------------


async def test_a_connection_to_llama_cpp_serves_one_call(build: Build) -> None:
    """Also one that the server keeps open: it may be about to close it."""
    async with scripted(WHOLE) as server:
        backend = build(server.url, dialect="llama.cpp")
        for _ in range(30):
            await collect(backend, call())
        assert server.opened == len(server.requests) == 30


async def test_connections_to_vllm_are_used_again(build: Build) -> None:
    async with scripted(WHOLE) as server:
        backend = build(server.url, dialect="vllm")
        for _ in range(5):
            await collect(backend, call())
        assert server.opened == 1


def plain(status: int, body: object, server: str = "") -> list[bytes]:
    text_ = json.dumps(body).encode()
    head = f"HTTP/1.1 {status} X\r\nServer: {server}\r\nContent-Length: {len(text_)}\r\n\r\n"
    return [head.encode() + text_]


async def checked(build: Build, *scripts: list[bytes]) -> tuple[OpenAIBackend, Any, Scripted]:
    async with scripted(*scripts) as server:
        backend = build(server.url)
        return backend, await backend.check(), server


async def test_a_server_that_loads_its_model_is_down_for_now(build: Build) -> None:
    loading = {"error": {"message": "Loading model", "type": "unavailable_error", "code": 503}}
    _, health, _ = await checked(build, plain(503, loading, "llama.cpp"))
    assert health.health is HostHealth.DOWN
    assert "Loading model" in health.message


async def test_a_server_without_a_health_page_is_judged_by_its_models(build: Build) -> None:
    backend, health, _ = await checked(build, plain(404, {}), plain(200, {"data": [{"id": "m"}]}))
    assert health.health is HostHealth.UP
    assert health.models == ("m",)
    assert backend.dialect is None


async def test_a_server_with_neither_is_no_openai_server(build: Build) -> None:
    _, health, _ = await checked(build, plain(404, {}))
    assert health.health is HostHealth.DOWN
    assert "no OpenAI server" in health.message


async def test_the_router_of_llama_cpp_tells_which_models_are_loaded(build: Build) -> None:
    entries = [
        {"id": "a", "status": {"value": "loaded"}},
        {"id": "b", "status": {"value": "unloaded"}},
    ]
    facts = {"data": entries, "total_slots": 4, "build_info": "b1"}
    _, health, _ = await checked(build, plain(200, facts, "llama.cpp"))
    assert health.models == ("a", "b")
    assert health.loaded == ("a",)
    assert health.slots == 4
    assert health.version == "b1"
