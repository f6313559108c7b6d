"""The simulated servers, judged by independent clients before our own drivers meet them."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import ollama
import openai
import pytest

from tests.backends.calls import call, collect, text_of
from ygg.backends.ollama import OllamaBackend
from ygg.model import Endpoint
from ygg.ports import CallFailed
from ygg.sim.servers import Fault, FaultPlan, SimServer

HELLO: Any = [{"role": "user", "content": "hello"}]
TOOLS: Any = [
    {"type": "function", "function": {"name": name, "parameters": {"type": "object"}}}
    for name in ("weather", "clock")
]


@pytest.fixture
async def sim() -> AsyncIterator[SimServer]:
    server = SimServer("box", slots=2, models=("sim",))
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
async def client(sim: SimServer) -> AsyncIterator[ollama.AsyncClient]:
    async with ollama.AsyncClient(sim.url, trust_env=False) as client:
        yield client


@pytest.fixture
async def backend(sim: SimServer) -> AsyncIterator[OllamaBackend]:
    driver = OllamaBackend(Endpoint("main", "ollama", sim.url), host="box")
    yield driver
    await driver.close()


# --- the ollama package ---------------------------------------------------------------------------


async def test_the_ollama_package_streams_and_fetches_the_same_chat(
    client: ollama.AsyncClient,
) -> None:
    parts = [p async for p in await client.chat("sim", HELLO, stream=True)]
    whole = await client.chat("sim", HELLO)
    assert "".join(p.message.content or "" for p in parts) == whole.message.content
    assert parts[-1].done
    assert parts[-1].eval_count == whole.eval_count == len(parts) - 1 == 8


async def test_the_ollama_package_streams_and_fetches_the_same_generation(
    client: ollama.AsyncClient,
) -> None:
    parts = [p async for p in await client.generate("sim", "once", stream=True)]
    whole = await client.generate("sim", "once")
    assert "".join(p.response for p in parts) == whole.response


async def test_the_ollama_package_lists_models_loaded_models_and_details(
    sim: SimServer, client: ollama.AsyncClient
) -> None:
    assert [m.model for m in (await client.list()).models] == ["sim"]
    assert (await client.ps()).models == []
    await client.chat("sim", HELLO)
    assert [m.model for m in (await client.ps()).models] == ["sim"]
    assert (await client.show("sim")).capabilities == ["completion"]


async def test_the_ollama_package_embeds_a_list_of_texts(client: ollama.AsyncClient) -> None:
    both = await client.embed("sim", ["a", "b"])
    alone = await client.embed("sim", "b")
    assert len(both.embeddings) == 2
    assert both.embeddings[1] == alone.embeddings[0] != both.embeddings[0]


async def test_the_ollama_package_sees_each_tool_called(client: ollama.AsyncClient) -> None:
    parts = [p async for p in await client.chat("sim", HELLO, tools=TOOLS, stream=True)]
    streamed = [c.function for p in parts for c in p.message.tool_calls or ()]
    whole = await client.chat("sim", HELLO, tools=TOOLS)
    assert [(f.name, f.arguments) for f in streamed] == [
        ("weather", {"q": "hello", "n": 1}),
        ("clock", {"q": "hello", "n": 1}),
    ]
    assert [c.function.name for c in whole.message.tool_calls or ()] == ["weather", "clock"]


@pytest.mark.parametrize("stream", [True, False])
async def test_the_ollama_package_sees_an_unknown_model(
    client: ollama.AsyncClient, stream: bool
) -> None:
    async def ask() -> None:
        answer: Any = await client.chat("other", HELLO, stream=stream)
        if stream:
            await anext(answer)

    with pytest.raises(ollama.ResponseError, match="'other' not found") as caught:
        await ask()
    assert caught.value.status_code == 404


async def test_the_ollama_package_sees_an_error_inside_a_stream(
    sim: SimServer, client: ollama.AsyncClient
) -> None:
    sim.plan(FaultPlan(script=[Fault.ERROR_LINE]))
    with pytest.raises(ollama.ResponseError):
        [p async for p in await client.chat("sim", HELLO, stream=True)]


# --- the openai package ---------------------------------------------------------------------------


@pytest.fixture
async def vllm() -> AsyncIterator[tuple[SimServer, openai.AsyncOpenAI]]:
    server = SimServer("box", slots=2, models=("sim",), dialect="vllm")
    url = await server.start()
    async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="any", max_retries=0) as client:
        yield server, client
    await server.stop()


async def test_the_openai_package_embeds_a_list_of_texts(
    vllm: tuple[SimServer, openai.AsyncOpenAI],
) -> None:
    ask = vllm[1].embeddings.create
    both = await ask(model="sim", input=["a", "b"], encoding_format="float")
    alone = await ask(model="sim", input="b", encoding_format="float")
    assert [row.index for row in both.data] == [0, 1]
    assert both.data[1].embedding == alone.data[0].embedding != both.data[0].embedding


async def test_the_openai_package_streams_and_fetches_the_same_completion(
    vllm: tuple[SimServer, openai.AsyncOpenAI],
) -> None:
    ask = vllm[1].completions.create
    parts = [p async for p in await ask(model="sim", prompt="once", stream=True)]
    whole = await ask(model="sim", prompt="once")
    assert "".join(p.choices[0].text for p in parts) == whole.choices[0].text != ""
    assert parts[-1].choices[0].finish_reason == "stop"


async def test_the_openai_package_puts_each_tool_call_together(
    vllm: tuple[SimServer, openai.AsyncOpenAI],
) -> None:
    async with vllm[1].chat.completions.stream(model="sim", messages=HELLO, tools=TOOLS) as stream:
        message = (await stream.get_final_completion()).choices[0].message
    calls: Any = message.tool_calls or ()
    wanted = '{"q": "hello", "n": 1}'
    assert [(c.function.name, c.function.arguments) for c in calls] == [
        ("weather", wanted),
        ("clock", wanted),
    ]


Vllm = tuple[SimServer, openai.AsyncOpenAI]


async def test_the_openai_package_streams_and_fetches_the_same_chat(vllm: Vllm) -> None:
    create = vllm[1].chat.completions.create
    usage: Any = {"include_usage": True}
    stream = await create(model="sim", messages=HELLO, stream=True, stream_options=usage)
    parts = [p async for p in stream]
    whole = await create(model="sim", messages=HELLO)
    said = "".join(p.choices[0].delta.content or "" for p in parts if p.choices)
    assert said == whole.choices[0].message.content
    assert parts[-1].usage == whole.usage
    assert parts[-2].choices[0].finish_reason == whole.choices[0].finish_reason == "stop"


async def test_the_openai_package_gets_no_usage_it_did_not_ask_for(vllm: Vllm) -> None:
    stream = await vllm[1].chat.completions.create(model="sim", messages=HELLO, stream=True)
    assert [p.usage async for p in stream if p.usage] == []


async def test_the_openai_package_lists_models(vllm: Vllm) -> None:
    assert [m.id async for m in vllm[1].models.list()] == ["sim"]


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault.NO_MODEL, openai.NotFoundError),
        (Fault.CONTEXT, openai.BadRequestError),
        (Fault.UNAUTHORIZED, openai.AuthenticationError),
        (Fault.RATE_LIMITED, openai.RateLimitError),
        (Fault.BUSY, openai.InternalServerError),
        (Fault.OOM, openai.InternalServerError),
    ],
)
async def test_the_openai_package_understands_error_bodies(
    vllm: Vllm, fault: Fault, error: type[openai.APIStatusError]
) -> None:
    vllm[0].plan(FaultPlan(script=[fault]))
    with pytest.raises(error) as caught:
        await vllm[1].chat.completions.create(model="sim", messages=HELLO)
    assert isinstance(caught.value.body, dict)
    assert caught.value.body["message"]


async def test_the_openai_package_sees_an_error_before_done(vllm: Vllm) -> None:
    vllm[0].plan(FaultPlan(script=[Fault.DONE_AFTER_ERROR]))
    stream = await vllm[1].chat.completions.create(model="sim", messages=HELLO, stream=True)
    with pytest.raises(openai.APIError):
        [p async for p in stream]


# --- records --------------------------------------------------------------------------------------


async def test_calls_beyond_the_slots_wait_and_are_violations(
    sim: SimServer, backend: OllamaBackend
) -> None:
    sim.latency_s = 0.05
    await asyncio.gather(*(collect(backend, call(str(n))) for n in range(5)))
    assert sim.violations == 3
    assert sim.peak_in_flight == 5
    assert max(overlaps(sim)) == 2


def overlaps(sim: SimServer) -> list[int]:
    """How many calls were being answered at the start of each."""
    spans = [(r.started, r.ended) for r in sim.records if r.started and r.ended]
    return [sum(s <= start < e for s, e in spans) for start, _ in spans]


async def test_calls_within_the_slots_are_no_violations(
    sim: SimServer, backend: OllamaBackend
) -> None:
    sim.latency_s = 0.01

    async def worker(name: int) -> None:
        for n in range(20):
            await collect(backend, call(f"{name} {n}"))

    await asyncio.gather(worker(0), worker(1))
    assert sim.violations == 0
    assert sim.peak_in_flight == 2
    assert [r.how for r in sim.records] == ["done"] * 40


async def test_a_slot_given_back_by_a_close_can_be_used_at_once(
    sim: SimServer, backend: OllamaBackend
) -> None:
    """The close and the next call race to the server on two connections."""
    sim.latency_s = 30.0
    for n in range(40):
        running = [asyncio.create_task(collect(backend, call(f"{n} {k}"))) for k in range(2)]
        await sim.until(lambda n=n: len(sim.records) == 2 * n + 2)  # type: ignore[misc]
        for one in running:
            one.cancel()
        await asyncio.wait(running)
    assert sim.violations == 0
    await sim.until(lambda: all(r.how == "aborted" for r in sim.records))


async def test_a_call_read_together_with_the_close_before_it_is_no_violation() -> None:
    """Two sockets become readable at once; the server may read the newer one first."""
    sim = SimServer("box", slots=1, models=("sim",), latency_s=30.0)
    await sim.start()
    body = json.dumps({"model": "sim", "messages": HELLO}).encode()
    request = b"POST /api/chat HTTP/1.1\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
    with socket.create_connection(("127.0.0.1", sim.port)) as one:
        one.sendall(request)
        await sim.until(lambda: sim.records)
        with socket.create_connection(("127.0.0.1", sim.port)) as other:
            other.sendall(b"GET / HTTP/1.1\r\n\r\n")
            await asyncio.to_thread(other.recv, 1000)
            other.sendall(request)
            one.close()
            await sim.until(lambda: len(sim.records) == 2 and sim.records[1].started)
    await sim.stop()
    assert sim.records[0].how == "aborted"
    assert sim.violations == 0


async def test_a_model_is_loaded_once_for_all_who_wait(
    sim: SimServer, backend: OllamaBackend
) -> None:
    sim.load_s = 0.1
    _, (_, done) = await asyncio.gather(*(collect(backend, call(str(n))) for n in range(2)))
    assert done.usage.load_ms is not None
    assert 90 < done.usage.load_ms < 190
    _, again = await collect(backend, call("later"))
    assert again.usage.load_ms == pytest.approx(0.0, abs=5.0)


async def test_the_same_seed_and_prompt_give_the_same_words(
    sim: SimServer, backend: OllamaBackend
) -> None:
    first, again, other = [
        text_of((await collect(backend, call(p)))[0]) for p in ("a", "a", "bonjour")
    ]
    assert first == again != other


async def test_faults_by_prompt_are_dealt_in_order(sim: SimServer, backend: OllamaBackend) -> None:
    sim.plan(FaultPlan(by_prompt={"flaky": [Fault.ERROR_500]}))
    await collect(backend, call("steady"))
    with pytest.raises(CallFailed):
        await collect(backend, call("a flaky one"))
    await collect(backend, call("a flaky one"))


def test_chance_repeats_with_its_seed() -> None:
    def deal(seed: int) -> list[Fault | None]:
        deck = FaultPlan.light(seed).start()
        return [deck.deal("x") for _ in range(300)]

    assert deal(1) == deal(1) != deal(2)
    assert 10 < sum(f is not None for f in deal(1)) < 60


async def test_a_stopped_server_comes_back_on_its_port(
    sim: SimServer, backend: OllamaBackend
) -> None:
    before = sim.url
    sim.kill()
    with pytest.raises(CallFailed):
        await collect(backend, call())
    assert await sim.start() == before
    await collect(backend, call())


def test_a_server_of_its_own_process_ends_with_its_input_and_leaves_records(
    tmp_path: Path,
) -> None:
    path = tmp_path / "records.json"
    spec = {"name": "box", "slots": 1, "models": ["sim"], "records": str(path)}
    spec["faults"] = {"script": ["busy", None], "rates": {"eof": 0.5}}
    command = [sys.executable, "-m", "ygg.sim.servers", json.dumps([spec])]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        said = json.loads(process.stdout.readline())
        client = ollama.Client(said["url"], trust_env=False)
        with pytest.raises(ollama.ResponseError, match="busy"):
            client.chat("sim", HELLO)
        client.chat("sim", HELLO)
        client.close()
        process.stdin.close()
        assert process.wait(10) == 0
    facts = json.loads(path.read_text())
    assert (facts["name"], facts["violations"], facts["peak"]) == ("box", 0, 1)
    assert [r["how"] for r in facts["records"]] == ["error", "done"]
    assert facts["records"][0]["at"] < facts["records"][1]["at"]
