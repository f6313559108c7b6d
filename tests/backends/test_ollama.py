"""What is Ollama's alone: the request's body, lines, the repeat stop, /api/ps."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from tests.backends.calls import Scripted, call, collect, scripted, text_of
from ygg.backends.ollama import OllamaBackend
from ygg.model import CallLimits, Endpoint, HostHealth, Operation, OutcomeKind, Piece, ToolCall
from ygg.ports import CallFailed
from ygg.running.message import Message
from ygg.sim.http import Connection, Request

Build = Callable[..., OllamaBackend]
DONE = {
    "model": "sim", "message": {"role": "assistant", "content": ""}, "done": True,
    "done_reason": "stop", "total_duration": 5_000_000, "load_duration": 1_000_000,
    "prompt_eval_count": 11, "prompt_eval_duration": 2_000_000, "eval_count": 3,
    "eval_duration": 1_500_000,
}  # fmt: skip


def said(text: str, **more: object) -> dict[str, object]:
    message = {"role": "assistant", "content": text, **more}
    return {"model": "sim", "message": message, "done": False}


def lines(*objects: object) -> bytes:
    return b"".join(json.dumps(o).encode() + b"\n" for o in objects)


@pytest.fixture
async def build() -> AsyncIterator[Build]:
    made: list[OllamaBackend] = []

    def one(url: str, **fields: Any) -> OllamaBackend:
        made.append(OllamaBackend(Endpoint("main", "ollama", url, **fields), host="box"))
        return made[-1]

    yield one
    for backend in made:
        await backend.close()


async def body_of(build: Build, endpoint: dict[str, Any], **request: Any) -> dict[str, Any]:
    async with scripted([lines(DONE)]) as server:
        await collect(build(server.url, **endpoint), call(**request))
        return server.bodies[0]


async def kind_of(build: Build, *parts: bytes) -> CallFailed:
    async with scripted(parts) as server:
        with pytest.raises(CallFailed) as caught:
            await collect(build(server.url), call())
        return caught.value


# --- requests -------------------------------------------------------------------------------------


async def test_a_chat_is_sent_with_everything_in_its_place(build: Build) -> None:
    body = await body_of(
        build,
        {},
        prompt="hi",
        system="be brief",
        max_tokens=9,
        temperature=0.5,
        options={"top_k": 4},
    )
    assert body == {
        "model": "sim",
        "stream": True,
        "truncate": False,
        "options": {"top_k": 4, "num_predict": 9, "temperature": 0.5},
        "messages": [
            {"role": "system", "content": "be brief"},
            {"role": "user", "content": "hi"},
        ],
    }


async def test_a_prompt_goes_to_generate_with_its_system_prompt(build: Build) -> None:
    async with scripted(
        [lines({"response": "ok", "done": False}, {**DONE, "response": ""})]
    ) as server:
        one = call(messages=None, prompt="once upon", system="be brief")
        pieces, _ = await collect(build(server.url), one)
        assert text_of(pieces) == "ok"
        assert server.requests[0].path == "/api/generate"
        assert server.bodies[0]["prompt"] == "once upon"
        assert server.bodies[0]["system"] == "be brief"


async def test_a_callers_own_system_message_stays_alone(build: Build) -> None:
    messages = [{"role": "system", "content": "mine"}, {"role": "user", "content": "hi"}]
    body = await body_of(build, {}, messages=messages, system="the type's")
    assert body["messages"] == messages


async def test_the_images_of_a_message_go_beside_its_text(build: Build) -> None:
    shown = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    messages = [{"role": "user", "content": [{"type": "text", "text": "What?"}, shown]}]
    body = await body_of(build, {}, messages=messages)
    assert body["messages"] == [{"role": "user", "content": "What?", "images": ["AAAA"]}]


async def test_loading_options_of_the_endpoint_win_over_a_tasks(build: Build) -> None:
    """Another num_ctx would make Ollama load the model again for every second task."""
    endpoint = {"options": {"num_ctx": 8192, "top_p": 0.9}}
    body = await body_of(build, endpoint, options={"num_ctx": 2048, "top_p": 0.5})
    assert body["options"] == {"num_ctx": 8192, "top_p": 0.5}


async def test_a_tasks_num_ctx_is_sent_where_the_endpoint_names_none(build: Build) -> None:
    assert (await body_of(build, {}, options={"num_ctx": 2048}))["options"] == {"num_ctx": 2048}


async def test_fields_that_ollama_reads_beside_the_options_go_there(build: Build) -> None:
    body = await body_of(build, {}, options={"think": True, "keep_alive": "30m"})
    assert body["think"] is True
    assert body["keep_alive"] == "30m"
    assert "options" not in body


async def test_options_cannot_switch_streaming_off(build: Build) -> None:
    body = await body_of(build, {}, options={"stream": False, "truncate": True})
    assert body["stream"] is True
    assert body["truncate"] is False


async def test_without_a_model_the_endpoints_first_is_used(build: Build) -> None:
    body = await body_of(build, {"models": ("qwen3:8b", "other")}, model="")
    assert body["model"] == "qwen3:8b"


async def test_without_any_model_the_call_is_refused(build: Build) -> None:
    with pytest.raises(CallFailed, match="no model"):
        await collect(build("http://127.0.0.1:1"), call(model=""))


async def test_a_prompt_to_complete_is_sent_raw_and_without_a_template(build: Build) -> None:
    """Ollama refuses a raw prompt that comes with a system prompt; a type may have one."""
    async with scripted([lines(DONE)]) as server:
        options = {"top_k": 4, "template": "{{ .Prompt }}", "raw": False, "suffix": "end"}
        one = call(
            "once", messages=None, operation=Operation.COMPLETE, system="brief", options=options
        )
        await collect(build(server.url), one)
        assert server.requests[0].path == "/api/generate"
        assert server.bodies[0] == {
            "model": "sim",
            "stream": True,
            "truncate": False,
            "prompt": "once",
            "raw": True,
            "suffix": "end",
            "options": {"top_k": 4},
        }


async def test_an_embedding_is_sent_with_what_is_not_about_sampling(build: Build) -> None:
    answer = {"model": "sim", "embeddings": [[1, 2.5]], "load_duration": 3_000_000}
    async with scripted([lines(answer)]) as server:
        options = {"num_ctx": 512, "keep_alive": "1h", "dimensions": 2, "think": True}
        one = call(operation=Operation.EMBED, messages=None, input="a", system="s", options=options)
        pieces, done = await collect(build(server.url, options={"num_ctx": 256}), one)
        assert server.requests[0].path == "/api/embed"
        assert server.bodies[0] == {
            "model": "sim",
            "truncate": False,
            "input": "a",
            "keep_alive": "1h",
            "dimensions": 2,
            "options": {"num_ctx": 256},
        }
        assert (pieces, done.embeddings, done.usage.load_ms) == ([], ((1.0, 2.5),), 3.0)


@pytest.mark.parametrize(
    "vectors",
    [[], [[1.0], [2.0]], [[]], [["1"]], [[True]], [[1e999]], [[10**400]], [1.0], "[[1]]", None],
)
async def test_vectors_that_are_none_are_an_error(build: Build, vectors: object) -> None:
    async with scripted([lines({"model": "sim", "embeddings": vectors})]) as server:
        with pytest.raises(CallFailed) as caught:
            await collect(build(server.url), call(operation=Operation.EMBED, input="a"))
    assert caught.value.kind is OutcomeKind.ERROR


# --- answers --------------------------------------------------------------------------------------


async def test_counts_and_nanoseconds_become_usage(build: Build) -> None:
    async with scripted([lines(said("a"), DONE)]) as server:
        _, done = await collect(build(server.url), call())
    usage = done.usage
    assert (usage.prompt_tokens, usage.output_tokens) == (11, 3)
    assert (usage.load_ms, usage.prompt_ms, usage.eval_ms) == (1.0, 2.0, 1.5)


async def test_parallel_tool_calls_are_told_apart_even_when_all_have_number_0(build: Build) -> None:
    """As Ollamas of 2025 number them; one line or several."""

    def tool(name: str, **arguments: object) -> dict[str, object]:
        return {"function": {"index": 0, "name": name, "arguments": arguments}}

    first = said("", tool_calls=[tool("a", x=1), tool("b")])
    async with scripted([lines(first, said("", tool_calls=[tool("a", ü="x")]), DONE)]) as server:
        pieces, _ = await collect(build(server.url), call())
    message = Message()
    for piece in pieces:
        message.add(piece)
    assert message.tool_calls == (
        ToolCall("a", '{"x":1}'),
        ToolCall("b", "{}"),
        ToolCall("a", '{"ü":"x"}'),
    )


async def test_log_probabilities_come_with_their_tokens(build: Build) -> None:
    top = {"token": "b", "logprob": -2.5, "bytes": [98]}
    entry = {"token": "a", "logprob": -0.5, "bytes": [97], "top_logprobs": [top]}
    told = {**said("a"), "logprobs": [entry]}
    async with scripted([lines(told, DONE)]) as server:
        one = call(options={"logprobs": True, "top_logprobs": 1})
        pieces, _ = await collect(build(server.url), one)
        assert server.bodies[0]["logprobs"] is True
        assert server.bodies[0]["top_logprobs"] == 1
        assert "options" not in server.bodies[0]
    assert pieces[0].logprobs == (entry,)


async def test_a_line_that_says_nothing_is_no_token(build: Build) -> None:
    """Empty lines keep coming, but the limit for the first token counts on."""
    limits = CallLimits(5.0, 0.2, 9.0, 9.0)
    async with scripted([lines(said(""))] * 2000) as server:
        with pytest.raises(CallFailed, match=r"no first token for 0\.2 s"):
            await collect(build(server.url), call(limits=limits))


async def test_thinking_is_kept_apart_from_the_answer(build: Build) -> None:
    async with scripted([lines(said("", thinking="hmm"), said("42"), DONE)]) as server:
        pieces, _ = await collect(build(server.url), call())
    assert [p for p in pieces if p.content or p.thinking] == [Piece("", "hmm"), Piece("42")]


async def test_lines_cut_anywhere_are_put_together(build: Build) -> None:
    whole = lines(said("zwölf "), said("Boxkämpfer 🥊"), DONE)
    for size in (1, 7, 64):
        parts = [whole[n : n + size] for n in range(0, len(whole), size)]
        async with scripted(parts) as server:
            pieces, _ = await collect(build(server.url), call())
        assert text_of(pieces) == "zwölf Boxkämpfer 🥊"


async def test_a_last_line_without_its_newline_counts(build: Build) -> None:
    async with scripted([lines(said("a"), DONE).rstrip(b"\n")]) as server:
        _, done = await collect(build(server.url), call())
    assert done.stop_reason == "stop"


async def test_a_lone_surrogate_becomes_a_replacement_character(build: Build) -> None:
    line = b'{"message": {"content": "a\\ud800b \\ud83e\\udd4a"}, "done": false}\n'
    async with scripted([line, lines(DONE)]) as server:
        pieces, _ = await collect(build(server.url), call())
    assert text_of(pieces) == "a\N{REPLACEMENT CHARACTER}b 🥊"


async def test_bytes_of_a_lone_surrogate_become_a_replacement_character(build: Build) -> None:
    """Python's JSON reader lets them pass; the store cannot hold them."""
    line = lines(said("a@b")).replace(b"@", b"\xed\xa0\x80")
    async with scripted([line, lines(DONE)]) as server:
        pieces, _ = await collect(build(server.url), call())
    assert text_of(pieces).encode()
    assert "\ufffd" in text_of(pieces)


async def test_an_answer_is_whole_at_its_end_marker_however_slowly_the_body_ends(
    build: Build,
) -> None:
    async with scripted([lines(said("a"), DONE)]) as server:
        server.linger = asyncio.Event()
        pieces, done = await collect(build(server.url), call())
        server.linger.set()
    assert (text_of(pieces), done.stop_reason) == ("a", "stop")


async def test_the_repeat_stop_of_ollama_is_no_success(build: Build) -> None:
    """After 30 equal pieces it ends the stream properly, without `done: true`."""
    failed = await kind_of(build, lines(*[said("x")] * 31))
    assert failed.kind is OutcomeKind.ERROR
    assert failed.broken


async def test_done_false_is_not_done(build: Build) -> None:
    assert (await kind_of(build, lines({**DONE, "done": False}))).kind is OutcomeKind.ERROR


async def test_a_line_that_says_why_it_is_the_last_needs_no_done(build: Build) -> None:
    last = {k: v for k, v in DONE.items() if k != "done"}
    async with scripted([lines(said("a"), last)]) as server:
        pieces, done = await collect(build(server.url), call())
    assert (text_of(pieces), done.stop_reason, done.usage.output_tokens) == ("a", "stop", 3)


async def test_an_empty_body_is_no_success(build: Build) -> None:
    assert (await kind_of(build)).kind is OutcomeKind.ERROR


async def test_an_empty_prompt_that_only_loads_the_model_is_a_bad_request(build: Build) -> None:
    failed = await kind_of(build, lines({**DONE, "done_reason": "load"}))
    assert failed.kind is OutcomeKind.BAD_REQUEST


@pytest.mark.parametrize(
    "line",
    [b"not json\n", b"[]\n", b"12\n", b"null\n", b"[" * 5000 + b"\n", b"\xff\xfe\n", b'{"a": \n'],
)
async def test_a_line_that_is_no_object_is_malformed(build: Build, line: bytes) -> None:
    failed = await kind_of(build, lines(said("a")), line, lines(DONE))
    assert failed.kind is OutcomeKind.ERROR
    assert "malformed" in failed.message


async def test_a_line_without_end_is_given_up(build: Build) -> None:
    failed = await kind_of(build, *[b"x" * 1_000_000] * 6)
    assert "malformed" in failed.message


@pytest.mark.parametrize("message", [3, "text", [], {"content": 5}, {"tool_calls": "x"}])
async def test_a_message_of_another_form_is_malformed(build: Build, message: object) -> None:
    failed = await kind_of(build, lines({"message": message, "done": False}, said("a"), DONE))
    assert "malformed" in failed.message


@pytest.mark.parametrize("message", [None, {}, {"content": None}, {"role": "assistant"}])
async def test_a_message_may_say_nothing(build: Build, message: object) -> None:
    async with scripted([lines({"message": message, "done": False}, said("a"), DONE)]) as server:
        pieces, _ = await collect(build(server.url), call())
    assert text_of(pieces) == "a"


@pytest.mark.parametrize("count", [-1, "7", 1.5, True, None])
async def test_strange_counts_are_unknown(build: Build, count: object) -> None:
    async with scripted([lines({**DONE, "eval_count": count, "eval_duration": count})]) as server:
        _, done = await collect(build(server.url), call())
    assert done.usage.output_tokens is None


async def test_what_comes_after_the_end_marker_no_longer_matters(build: Build) -> None:
    async with scripted([lines(said("a"), DONE), b"rubbish\n"]) as server:
        pieces, _ = await collect(build(server.url), call())
    assert text_of(pieces) == "a"


async def test_a_redirect_says_where_to_and_what_to_do(build: Build) -> None:
    answer = b"HTTP/1.1 301 Moved\r\nLocation: https://box/\r\nContent-Length: 0\r\n\r\n"
    failed = await kind_of(build, answer)
    assert "https://box/" in failed.message
    assert "hosts.yaml" in failed.message


async def test_bytes_that_are_no_http_are_an_error(build: Build) -> None:
    failed = await kind_of(build, b"HTTP/9.9 what\r\n\r\n")
    assert failed.kind is OutcomeKind.ERROR


# --- connections ----------------------------------------------------------------------------------


async def test_calls_share_one_connection(build: Build) -> None:
    async with scripted([lines(said("a"), DONE)]) as server:
        backend = build(server.url)
        for _ in range(5):
            await collect(backend, call())
        assert server.opened == 1


async def test_a_dead_pooled_connection_is_replaced_at_once(build: Build) -> None:
    async with scripted([lines(said("a"), DONE)]) as server:
        server.hang_up = True
        backend = build(server.url)
        for _ in range(30):
            await collect(backend, call())
        assert len(server.requests) == 30


# --- checks ---------------------------------------------------------------------------------------


class Loading(Scripted):
    """Answers like Ollama while a model loads: /api/ps hangs."""

    async def answer(self, request: Request, connection: Connection) -> None:
        if request.path == "/api/ps":
            await asyncio.Event().wait()
        facts = {"/api/version": {"version": "0.33.0"}, "/api/tags": {"models": [{"name": "m"}]}}
        connection.reply(200, json.dumps(facts[request.path]).encode(), "application/json")


async def test_a_list_of_loaded_models_that_hangs_means_busy_not_down(build: Build) -> None:
    script = Loading()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(script.connection, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    health = await build(f"http://127.0.0.1:{port}").check(0.3)
    server.close()
    for connection in list(script.connections):
        connection.abort()
    assert health.health is HostHealth.UP
    assert health.models == ("m",)
    assert health.loaded is None
    assert "busy" in health.message


async def test_another_kind_of_server_at_the_address_is_named(build: Build) -> None:
    answer = b"HTTP/1.1 404 Not Found\r\nServer: llama.cpp\r\nContent-Length: 2\r\n\r\n{}"
    async with scripted([answer]) as server:
        health = await build(server.url).check()
    assert health.health is HostHealth.DOWN
    assert "no Ollama server" in health.message
    assert "llama.cpp" in health.message
