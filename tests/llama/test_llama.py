"""The OpenAI backend and the attempt chain against a real llama.cpp."""

from __future__ import annotations

import asyncio
import json
import socket
import string
import urllib.request
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from pathlib import Path

import pytest

from tests.backends.calls import LIMITS, call, collect, text_of
from tests.llama.server import NEEDS, Llama, running_llama
from tests.shell.test_calls import outcome_of
from ygg.backends.openai import OpenAIBackend
from ygg.model import CallLimits, Endpoint, HostHealth, Outcome, OutcomeKind
from ygg.ports import AttemptStarted, CallFailed, Piece

pytestmark = NEEDS

Drivers = Callable[..., OpenAIBackend]
Item = AttemptStarted | Piece


@pytest.fixture
async def driver() -> AsyncIterator[Drivers]:
    """Builds drivers and closes them afterwards."""
    made: list[OpenAIBackend] = []

    def build(url: str, **fields: object) -> OpenAIBackend:
        endpoint = Endpoint("main", "openai", url, **fields)  # type: ignore[arg-type]
        made.append(OpenAIBackend(endpoint, host="box"))
        return made[-1]

    yield build
    for backend in made:
        await backend.close()


async def attempt(backend: OpenAIBackend, *args: object, **fields: object) -> Outcome:
    return await outcome_of(call(*args, **fields), backend)  # type: ignore[arg-type]


async def busy_slots(url: str) -> int:
    def ask() -> list[dict[str, object]]:
        with urllib.request.urlopen(f"{url}/slots", timeout=5) as answer:
            return json.load(answer)  # type: ignore[no-any-return]

    return sum(bool(slot["is_processing"]) for slot in await asyncio.to_thread(ask))


async def test_a_real_server_answers_with_its_text_and_counts(tiny: Llama, driver: Drivers) -> None:
    outcome = await attempt(driver(tiny.url), model="", max_tokens=30)
    assert outcome.kind is OutcomeKind.COMPLETED
    assert outcome.result is not None
    assert outcome.result.content == string.ascii_lowercase + " abc"
    assert outcome.result.stop_reason == "length"
    assert outcome.result.model.endswith("tiny.gguf")
    usage = outcome.result.usage
    assert usage.output_tokens == 30
    assert usage.prompt_tokens == 1 + len("user: hello\nassistant:")
    assert usage.eval_ms is not None
    assert usage.first_token_ms is not None
    assert usage.total_ms is not None
    assert 0 < usage.first_token_ms < usage.total_ms


async def test_the_check_tells_the_model_the_slots_and_the_dialect(
    tiny: Llama, driver: Drivers
) -> None:
    backend = driver(tiny.url)
    health = await backend.check()
    assert health.health is HostHealth.UP
    assert health.slots == 2
    assert health.models is not None
    assert health.models[0].endswith("tiny.gguf")
    assert health.loaded == health.models
    assert backend.dialect == "llama.cpp"


async def test_two_calls_run_side_by_side_on_two_slots(slow: Llama, driver: Drivers) -> None:
    backend = driver(slow.url)
    order: list[str] = []

    async def run(name: str) -> None:
        pieces, _ = await collect_noting(backend, name, order)
        assert len(text_of(pieces)) == 20

    await asyncio.gather(run("a"), run("b"))
    first_end = min(order.index("a end"), order.index("b end"))
    assert {"a", "b"} <= set(order[:first_end])


async def collect_noting(
    backend: OpenAIBackend, name: str, order: list[str]
) -> tuple[list[Piece], None]:
    pieces: list[Piece] = []
    async for item in backend.stream(call(f"I am {name}", model="", max_tokens=20)):
        if isinstance(item, Piece):
            pieces.append(item)
            order.append(name)
    order.append(f"{name} end")
    return pieces, None


async def test_many_calls_after_one_another_meet_no_dead_connection(
    tiny: Llama, driver: Drivers
) -> None:
    backend = driver(tiny.url)
    for _ in range(40):
        _, done = await collect(backend, call(model="", max_tokens=3))
        assert done.stop_reason == "length"


async def test_closing_the_stream_frees_the_slot_of_the_server(
    slow: Llama, driver: Drivers
) -> None:
    backend = driver(slow.url)
    async with aclosing(backend.stream(call(model="", max_tokens=2000))) as items:  # type: ignore[type-var]
        async for item in items:
            if isinstance(item, Piece) and item.content:
                break
        assert await busy_slots(slow.url) == 1
    await becomes_idle(slow.url)


async def test_a_cancelled_attempt_frees_the_slot_of_the_server(
    slow: Llama, driver: Drivers
) -> None:
    backend = driver(slow.url)
    writing = asyncio.Event()

    def heard(item: Item) -> None:
        if isinstance(item, Piece):
            writing.set()

    running = asyncio.create_task(outcome_of(call(model="", max_tokens=2000), backend, heard))
    async with asyncio.timeout(10):
        await writing.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    await becomes_idle(slow.url)


async def becomes_idle(url: str) -> None:
    """2,000 tokens take 10 to 30 s: idle within 5 s means stopped. Asking more often than every two
    seconds would itself keep llama.cpp from seeing that a client has left."""
    for pause in (0.3, 2.2, 2.2):
        await asyncio.sleep(pause)
        if await busy_slots(url) == 0:
            return
    pytest.fail("the server is still writing")


@pytest.mark.parametrize("checked", [True, False])
async def test_a_server_with_another_model_refuses(
    tiny: Llama, driver: Drivers, checked: bool
) -> None:
    backend = driver(tiny.url)
    if checked:
        await backend.check()
    outcome = await attempt(backend, model="qwen3:8b", max_tokens=3)
    assert outcome.kind is OutcomeKind.REFUSED
    assert "not qwen3:8b" in outcome.message
    assert "tiny.gguf" in outcome.message


async def test_the_name_without_directory_and_ending_is_the_same_model(
    tiny: Llama, driver: Drivers
) -> None:
    backend = driver(tiny.url)
    await backend.check()
    assert (await attempt(backend, model="Tiny", max_tokens=3)).kind is OutcomeKind.COMPLETED


async def test_a_prompt_beyond_the_context_of_a_slot_is_refused(
    tiny: Llama, driver: Drivers
) -> None:
    outcome = await attempt(driver(tiny.url), "x" * 3000, model="", max_tokens=3)
    assert outcome.kind is OutcomeKind.REFUSED
    assert "context" in outcome.message


async def test_an_api_key_is_needed_and_enough(
    tiny_model: Path, driver: Drivers, tmp_path: Path
) -> None:
    key = tmp_path / "key"
    key.write_text("sesame\n")
    with running_llama(tiny_model, api_keys=["sesame"]) as server:
        without, with_key = driver(server.url), driver(server.url, api_key_file=str(key))
        assert (await attempt(without, model="")).kind is OutcomeKind.UNAUTHORIZED
        assert (await without.check()).health is HostHealth.UNAUTHORIZED
        assert (await with_key.check()).health is HostHealth.UP
        outcome = await attempt(with_key, model="", max_tokens=3)
        assert outcome.kind is OutcomeKind.COMPLETED


async def test_a_server_killed_in_the_middle_of_an_answer_is_unreachable(
    slow_model: Path, driver: Drivers
) -> None:
    with running_llama(slow_model) as server:
        writing = asyncio.Event()
        backend = driver(server.url)
        running = asyncio.create_task(
            outcome_of(
                call(model="", max_tokens=2000),
                backend,
                lambda item: writing.set() if isinstance(item, Piece) else None,
            )
        )
        async with asyncio.timeout(10):
            await writing.wait()
        server.kill()
        outcome = await running
    assert outcome.kind is OutcomeKind.UNREACHABLE
    assert outcome.result is None


async def test_a_server_that_loads_its_model_is_busy(slow_model: Path, driver: Drivers) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    limits = CallLimits(1.0, 10.0, 10.0, 10.0)
    seen: list[OutcomeKind] = []
    with running_llama(slow_model, wait=False, port=port):
        backend = driver(f"http://127.0.0.1:{port}")
        async with asyncio.timeout(30):
            while OutcomeKind.COMPLETED not in seen:
                outcome = await attempt(backend, model="", max_tokens=1, limits=limits)
                seen.append(outcome.kind)
                await asyncio.sleep(0)
    assert OutcomeKind.BUSY in seen
    assert set(seen) <= {OutcomeKind.UNREACHABLE, OutcomeKind.BUSY, OutcomeKind.COMPLETED}


async def test_a_sleeping_server_says_so_and_wakes_for_a_call(
    tiny_model: Path, driver: Drivers
) -> None:
    with running_llama(tiny_model, sleep_idle_seconds=1) as server:
        backend = driver(server.url)
        async with asyncio.timeout(15):
            health = await backend.check()
            while health.loaded != ():
                await asyncio.sleep(0.2)
                health = await backend.check()
        assert health.health is HostHealth.UP
        assert "asleep" in health.message
        outcome = await attempt(backend, model="", max_tokens=3)
        assert outcome.kind is OutcomeKind.COMPLETED


async def test_the_total_limit_stops_a_real_generation(slow: Llama, driver: Drivers) -> None:
    backend = driver(slow.url)
    limits = CallLimits(LIMITS.connect_s, LIMITS.first_token_s, LIMITS.between_tokens_s, 0.3)
    outcome = await attempt(backend, model="", max_tokens=2000, limits=limits)
    assert outcome.kind is OutcomeKind.TIMEOUT
    await becomes_idle(slow.url)


async def test_an_unreadable_answer_of_the_server_never_escapes_as_a_foreign_exception(
    tiny: Llama, driver: Drivers
) -> None:
    """llama.cpp rejects a temperature that is no number with its own JSON error."""
    with pytest.raises(CallFailed) as caught:
        await collect(driver(tiny.url), call(model="", temperature="hot"))
    assert caught.value.kind in (OutcomeKind.BAD_REQUEST, OutcomeKind.ERROR)
