"""What every backend must do, over Ollama and vLLM (simulated) and llama.cpp (real).

Faults that a real llama.cpp cannot be made to have are for the simulated ones alone.
"""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import pytest

from tests.backends.calls import LIMITS, call, collect, text_of
from tests.llama.server import NEEDS, Llama, running_llama
from ygg.backends.ollama import OllamaBackend
from ygg.backends.openai import OpenAIBackend
from ygg.model import Call, CallLimits, Done, Endpoint, HostHealth, Operation, OutcomeKind, Piece
from ygg.ports import CallFailed
from ygg.running.message import Message
from ygg.sim.servers import Fault, FaultPlan, SimServer

Driver = OllamaBackend | OpenAIBackend


@dataclass
class Rig:
    """One kind of server with one driver to it."""

    kind: str
    url: str
    model: str
    build: Callable[..., Driver]
    sim: SimServer | None = None

    def simulated(self) -> SimServer:
        assert self.sim is not None, "mark the test as one for simulated servers"
        return self.sim

    def faulty(self, *faults: Fault | None, **plan: Any) -> SimServer:
        sim = self.simulated()
        sim.plan(FaultPlan(script=faults, **plan))
        return sim

    def call(self, prompt: str = "hello", **fields: Any) -> Call:
        return call(prompt, **{"model": self.model, "max_tokens": 6} | fields)


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Llama]:
    from tests.llama.gguf_model import write_model

    path = write_model(tmp_path_factory.mktemp("llama") / "tiny.gguf")
    with running_llama(path) as server:
        yield server


@pytest.fixture(scope="module")
def embedding_llama(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Llama]:
    from tests.llama.gguf_model import write_model

    path = write_model(tmp_path_factory.mktemp("llama") / "tiny.gguf")
    with running_llama(path, embedding=True, pooling_type=1) as server:
        yield server


SIMULATED, REAL = ["ollama", "vllm"], [pytest.param("llama.cpp", marks=NEEDS)]
simulated = pytest.mark.parametrize("kind", SIMULATED)
real = pytest.mark.parametrize("kind", REAL)


@pytest.fixture(params=[*SIMULATED, *REAL])
def kind(request: pytest.FixtureRequest) -> str:
    return cast("str", request.param)


@pytest.fixture
async def rig(kind: str, request: pytest.FixtureRequest) -> AsyncIterator[Rig]:
    made: list[Driver] = []

    def build(url: str, **fields: Any) -> Driver:
        name = "ollama" if kind == "ollama" else "openai"
        driver = OllamaBackend if kind == "ollama" else OpenAIBackend
        made.append(driver(Endpoint("main", name, url, **fields), host="box"))
        return made[-1]

    if kind == "llama.cpp":
        server = request.getfixturevalue("llama")
        yield Rig(kind, server.url, "tiny", build)
    else:
        sim = SimServer("box", slots=2, models=("sim",), dialect=kind)
        yield Rig(kind, await sim.start(), "sim", build, sim)
        await sim.stop()
    for backend in made:
        await backend.close()


@pytest.fixture
def embedder(rig: Rig, request: pytest.FixtureRequest) -> Driver:
    """A driver for a server that embeds: llama.cpp does nothing else then."""
    url = rig.url if rig.sim else request.getfixturevalue("embedding_llama").url
    return rig.build(url)


@pytest.fixture
def backend(rig: Rig) -> Driver:
    return rig.build(rig.url)


async def failure(backend: Driver, one: Call) -> CallFailed:
    with pytest.raises(CallFailed) as caught:
        await collect(backend, one)
    return caught.value


# --- whole answers --------------------------------------------------------------------------------


async def test_a_call_yields_text_and_then_one_end(rig: Rig, backend: Driver) -> None:
    pieces, done = await collect(backend, rig.call())
    assert len([p for p in pieces if p.content]) > 1
    assert text_of(pieces)
    assert done.model


async def test_the_end_carries_the_counts_of_the_server(rig: Rig, backend: Driver) -> None:
    _, done = await collect(backend, rig.call(max_tokens=3))
    assert done.usage.output_tokens == 3
    assert done.usage.prompt_tokens is not None


async def test_an_answer_cut_by_the_token_limit_says_so(rig: Rig, backend: Driver) -> None:
    _, done = await collect(backend, rig.call(max_tokens=2))
    assert done.stop_reason == "length"


@simulated
async def test_an_answer_that_ends_by_itself_says_so(rig: Rig, backend: Driver) -> None:
    _, done = await collect(backend, rig.call(max_tokens=None))
    assert done.stop_reason == "stop"


async def test_a_prompt_without_messages_is_answered_too(rig: Rig, backend: Driver) -> None:
    one = rig.call(messages=None, prompt="hello", operation=Operation.GENERATE)
    pieces, _ = await collect(backend, one)
    assert text_of(pieces)


async def test_a_prompt_is_completed_without_the_template(rig: Rig, backend: Driver) -> None:
    """Fewer tokens go in than with it; what comes out goes on from the prompt."""
    one = rig.call("hello", messages=None, operation=Operation.COMPLETE, max_tokens=3)
    pieces, done = await collect(backend, one)
    assert text_of(pieces)
    assert done.usage.output_tokens == 3
    if rig.sim is None:
        assert text_of(pieces) == "pqr"
        assert done.usage.prompt_tokens == 1 + len("hello")


@pytest.mark.parametrize("texts", ["a", ["a", "bc"]])
async def test_texts_become_a_vector_each(
    rig: Rig, embedder: Driver, texts: str | list[str]
) -> None:
    items = [i async for i in embedder.stream(rig.call(operation=Operation.EMBED, input=texts))]
    (done,) = items
    assert isinstance(done, Done)
    assert len(done.embeddings) == len(texts)
    assert len({len(vector) for vector in done.embeddings}) == 1
    assert len(set(done.embeddings)) == len(texts)
    assert done.usage.prompt_tokens
    assert done.model


@simulated
async def test_each_of_several_tools_is_called_with_its_arguments(
    rig: Rig, backend: Driver
) -> None:
    function = {"type": "function", "function": {"name": "weather", "parameters": {}}}
    other = {"type": "function", "function": {"name": "clock", "parameters": {}}}
    one = rig.call("hi", options={"tools": [function, other]})
    pieces, _ = await collect(backend, one)
    message = Message()
    for piece in pieces:
        message.add(piece)
    assert [(c.name, json.loads(c.arguments)) for c in message.tool_calls] == [
        ("weather", {"q": "hi", "n": 1}),
        ("clock", {"q": "hi", "n": 1}),
    ]
    assert all(c.id for c in message.tool_calls)
    assert text_of(pieces) == ""


async def test_the_servers_own_frames_come_only_when_asked_for(rig: Rig, backend: Driver) -> None:
    """Each is one JSON object, and together they hold the text."""
    plain, _ = await collect(backend, rig.call())
    framed, _ = await collect(backend, replace(rig.call(), frames=True))
    assert {p.frame for p in plain} == {None}
    assert all(isinstance(json.loads(p.frame or b""), dict) for p in framed)
    assert text_of(framed) == text_of(plain)


async def test_time_in_which_nobody_reads_counts_to_no_limit(rig: Rig, backend: Driver) -> None:
    """0.3 s from token to token, of which the server is waited for 0.05 s; the limit is 0.2 s."""
    if rig.sim:
        rig.sim.latency_s = 6 * 0.3
    text = ""
    async for item in backend.stream(rig.call(limits=CallLimits(5.0, 20.0, 0.2, 30.0))):
        text += item.content if isinstance(item, Piece) else ""
        await asyncio.sleep(0.25 if text else 0)
    if rig.sim:
        rig.sim.latency_s = 0.0
    assert text == text_of((await collect(backend, rig.call()))[0])


async def test_calls_run_one_after_another_over_one_driver(rig: Rig, backend: Driver) -> None:
    texts = {text_of((await collect(backend, rig.call()))[0]) for _ in range(10)}
    assert len(texts) == 1


async def test_calls_run_side_by_side(rig: Rig, backend: Driver) -> None:
    if rig.sim:
        rig.sim.latency_s = 0.1
    before = time.monotonic()
    answers = await asyncio.gather(*(collect(backend, rig.call(str(n))) for n in range(2)))
    assert all(text_of(pieces) for pieces, _ in answers)
    if rig.sim:
        assert rig.sim.peak_in_flight == 2
        assert time.monotonic() - before < 0.19


@simulated
async def test_the_server_is_told_which_task_it_serves(rig: Rig, backend: Driver) -> None:
    sim = rig.simulated()
    await collect(backend, rig.call())
    assert sim.records[0].task == "t1.1"


# --- refusals -------------------------------------------------------------------------------------


async def test_a_model_the_server_does_not_have_is_refused(rig: Rig, backend: Driver) -> None:
    failed = await failure(backend, rig.call(model="unheard-of"))
    assert failed.kind is OutcomeKind.REFUSED
    assert "unheard-of" in failed.message


async def test_a_prompt_beyond_the_context_is_refused(rig: Rig, backend: Driver) -> None:
    if rig.sim:
        rig.faulty(Fault.CONTEXT)
    failed = await failure(backend, rig.call("x" * 3000))
    assert failed.kind is OutcomeKind.REFUSED


@real
async def test_a_server_that_embeds_nothing_refuses_an_embedding(rig: Rig, backend: Driver) -> None:
    failed = await failure(backend, rig.call(operation=Operation.EMBED, input="a"))
    assert failed.kind is OutcomeKind.REFUSED
    assert "does not support embeddings" in failed.message


async def test_a_number_that_json_cannot_hold_is_a_bad_request(rig: Rig, backend: Driver) -> None:
    failed = await failure(backend, rig.call(temperature=float("nan")))
    assert failed.kind is OutcomeKind.BAD_REQUEST


BODIES = [
    (Fault.ERROR_500, OutcomeKind.ERROR),
    (Fault.LOAD_FAILURE, OutcomeKind.ERROR),
    (Fault.GATEWAY, OutcomeKind.ERROR),
    (Fault.OOM, OutcomeKind.OUT_OF_MEMORY),
    (Fault.BUSY, OutcomeKind.BUSY),
    (Fault.BUSY_LATER, OutcomeKind.BUSY),
    (Fault.RATE_LIMITED, OutcomeKind.BUSY),
    (Fault.UNAUTHORIZED, OutcomeKind.UNAUTHORIZED),
    (Fault.NO_MODEL, OutcomeKind.REFUSED),
    (Fault.BAD_REQUEST, OutcomeKind.BAD_REQUEST),
    (Fault.HTML, OutcomeKind.ERROR),
    (Fault.GARBAGE, OutcomeKind.ERROR),
    (Fault.NO_OBJECT, OutcomeKind.ERROR),
    (Fault.ERROR_LINE, OutcomeKind.ERROR),
    (Fault.DONE_AFTER_ERROR, OutcomeKind.ERROR),
    (Fault.OOM_MIDSTREAM, OutcomeKind.OUT_OF_MEMORY),
    (Fault.EOF, OutcomeKind.ERROR),
    (Fault.RESET, OutcomeKind.ERROR),
]


@simulated
@pytest.mark.parametrize(("fault", "kind_"), BODIES, ids=[f for f, _ in BODIES])
async def test_each_fault_has_its_meaning(
    rig: Rig, backend: Driver, fault: Fault, kind_: OutcomeKind
) -> None:
    rig.faulty(fault)
    failed = await failure(backend, rig.call())
    assert failed.kind is kind_
    assert failed.message
    assert "<html" not in failed.message


@simulated
@pytest.mark.parametrize("fault", [Fault.EOF, Fault.RESET, Fault.STALL_BEFORE, Fault.STALL_AFTER])
async def test_an_answer_that_breaks_off_makes_the_host_suspect(
    rig: Rig, backend: Driver, fault: Fault
) -> None:
    rig.faulty(fault)
    failed = await failure(backend, rig.call(limits=CallLimits(0.2, 0.1, 0.1, 9.0)))
    assert failed.kind is OutcomeKind.ERROR
    assert failed.broken


@simulated
@pytest.mark.parametrize("fault", [Fault.BUSY_LATER, Fault.RATE_LIMITED])
async def test_the_time_to_come_back_is_kept(rig: Rig, backend: Driver, fault: Fault) -> None:
    rig.faulty(fault, retry_after="7")
    assert (await failure(backend, rig.call())).retry_after_s == 7.0


@simulated
async def test_a_refusal_without_a_time_has_none(rig: Rig, backend: Driver) -> None:
    rig.faulty(Fault.BUSY)
    assert (await failure(backend, rig.call())).retry_after_s is None


@simulated
async def test_text_that_came_before_a_failure_was_delivered(rig: Rig, backend: Driver) -> None:
    rig.faulty(Fault.EOF)
    pieces: list[Piece] = []

    async def read() -> None:
        async for item in backend.stream(rig.call()):
            assert isinstance(item, Piece)
            pieces.append(item)

    with pytest.raises(CallFailed):
        await read()
    assert len([p for p in pieces if p.content]) == 2


@simulated
async def test_the_driver_works_on_after_every_fault(rig: Rig, backend: Driver) -> None:
    faults = [f for f, _ in BODIES]
    rig.faulty(*faults)
    for _ in faults:
        await failure(backend, rig.call())
    pieces, _ = await collect(backend, rig.call())
    assert text_of(pieces)


# --- connections ----------------------------------------------------------------------------------


@simulated
async def test_closing_the_stream_closes_the_connection_at_once(rig: Rig, backend: Driver) -> None:
    sim = rig.simulated()
    sim.latency_s = 30.0
    async with aclosing(cast("Any", backend.stream(rig.call(max_tokens=None)))) as items:
        running = asyncio.ensure_future(anext(items))
        await sim.until(lambda: sim.records)
        running.cancel()
        await asyncio.wait([running])
    await sim.until(lambda: sim.records[0].how == "aborted", 2.0)


@simulated
async def test_closing_the_stream_in_the_middle_of_the_text_closes_the_connection_at_once(
    rig: Rig, backend: Driver
) -> None:
    sim = rig.simulated()
    sim.latency_s = 4.0
    async with aclosing(cast("Any", backend.stream(rig.call(max_tokens=None)))) as items:
        assert (await anext(items)).content
        assert sim.records[0].how == "running"
    await sim.until(lambda: sim.records[0].how == "aborted", 2.0)


async def test_a_host_that_refuses_connections_is_unreachable(rig: Rig) -> None:
    backend = rig.build(f"http://127.0.0.1:{closed_port()}")
    failed = await failure(backend, rig.call())
    assert failed.kind is OutcomeKind.UNREACHABLE
    assert "refused" in failed.message
    assert (await backend.check()).health is HostHealth.DOWN


async def test_a_name_that_cannot_be_resolved_is_unreachable(rig: Rig) -> None:
    backend = rig.build("http://no-such-host.invalid:1")
    assert (await failure(backend, rig.call())).kind is OutcomeKind.UNREACHABLE
    assert (await backend.check()).health is HostHealth.DOWN


@pytest.mark.parametrize("url", ["http://[bad", "nonsense", "ftp://box", "http://box:99999"])
async def test_an_address_that_is_none_is_unreachable(rig: Rig, url: str) -> None:
    backend = rig.build(url)
    assert (await failure(backend, rig.call())).kind in (OutcomeKind.UNREACHABLE, OutcomeKind.ERROR)
    assert (await backend.check()).health is HostHealth.DOWN


async def test_a_host_that_does_not_answer_the_connection_is_unreachable_in_time(
    rig: Rig,
) -> None:
    with deaf_port() as port:
        backend = rig.build(f"http://127.0.0.1:{port}")
        before = time.monotonic()
        failed = await failure(backend, rig.call(limits=CallLimits(0.2, 20.0, 20.0, 20.0)))
        assert failed.kind is OutcomeKind.UNREACHABLE
        assert time.monotonic() - before < 2.0


async def test_the_proxies_of_the_environment_are_ignored(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{closed_port()}")
    pieces, _ = await collect(rig.build(rig.url), rig.call())
    assert text_of(pieces)


@simulated
async def test_the_first_token_and_the_next_ones_have_limits_of_their_own(
    rig: Rig, backend: Driver
) -> None:
    sim = rig.faulty(Fault.STALL_AFTER)
    limits = CallLimits(0.2, 10.0, 0.15, 20.0)
    before = time.monotonic()
    failed = await failure(backend, rig.call(limits=limits))
    assert "0.15" in failed.message
    assert time.monotonic() - before < 5.0
    await sim.until(lambda: sim.records[0].how == "aborted")


@simulated
async def test_a_slow_load_within_the_limit_for_the_first_token_is_waited_for(
    rig: Rig, backend: Driver
) -> None:
    sim = rig.simulated()
    sim.load_s = 0.4
    limits = CallLimits(LIMITS.connect_s, 10.0, 0.15, 20.0)
    pieces, _ = await collect(backend, rig.call(limits=limits))
    assert text_of(pieces)


@simulated
async def test_a_server_that_comes_back_is_used_again(rig: Rig, backend: Driver) -> None:
    """The pooled connection is dead by then; nobody has to notice."""
    sim = rig.simulated()
    await collect(backend, rig.call())
    await sim.stop()
    await sim.start()
    pieces, _ = await collect(backend, rig.call())
    assert text_of(pieces)


# --- checks ---------------------------------------------------------------------------------------


async def test_a_check_of_a_healthy_server_tells_version_and_models(
    rig: Rig, backend: Driver
) -> None:
    health = await backend.check()
    assert health.health is HostHealth.UP
    assert health.version
    assert health.models
    assert rig.model in health.models[0]
    assert health.latency_ms is not None


@simulated
async def test_a_wrong_key_is_a_matter_of_the_configuration(rig: Rig, tmp_path: Path) -> None:
    sim = rig.simulated()
    sim.api_key = "sesame"
    (tmp_path / "key").write_text("sesame\n")
    wrong, right = rig.build(rig.url), rig.build(rig.url, api_key_file=str(tmp_path / "key"))
    assert (await wrong.check()).health is HostHealth.UNAUTHORIZED
    assert (await failure(wrong, rig.call())).kind is OutcomeKind.UNAUTHORIZED
    assert (await right.check()).health is HostHealth.UP
    await collect(right, rig.call())


@simulated
async def test_a_key_that_cannot_be_read_is_one_too_until_it_can(rig: Rig, tmp_path: Path) -> None:
    rig.simulated().api_key = "sesame"
    backend = rig.build(rig.url, api_key_file=str(tmp_path / "key"))
    told = await backend.check()
    assert told.health is HostHealth.UNAUTHORIZED
    assert "key, which does not exist" in told.message
    assert (await failure(backend, rig.call())).kind is OutcomeKind.UNAUTHORIZED
    (tmp_path / "key").write_text("\ufeffsesame\n")
    assert (await backend.check()).health is HostHealth.UP
    await collect(backend, rig.call())


async def test_a_check_never_takes_longer_than_its_limit(rig: Rig) -> None:
    with deaf_port() as port:
        backend = rig.build(f"http://127.0.0.1:{port}")
        before = time.monotonic()
        assert (await backend.check(0.3)).health is HostHealth.DOWN
        assert time.monotonic() - before < 2.0


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return cast("int", probe.getsockname()[1])


@contextmanager
def deaf_port() -> Iterator[int]:
    """A port whose backlog is full: connecting to it hangs."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port = cast("int", listener.getsockname()[1])
        fillers = [socket.socket() for _ in range(4)]
        try:
            for filler in fillers:
                filler.setblocking(False)
                filler.connect_ex(("127.0.0.1", port))
            yield port
        finally:
            for filler in fillers:
                filler.close()
