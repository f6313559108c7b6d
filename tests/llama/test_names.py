"""Model names of a real Ollama and of a real router of llama.cpp.

Their programs come from `$YGG_TEST_OLLAMA` and `$YGG_TEST_LLAMA_SERVER`; without them these are skipped.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from tests.backends.calls import call, collect
from tests.llama.programs import Ollama, running, started, tool
from ygg import wire
from ygg.model import Endpoint
from ygg.ports import Backend

pytestmark = pytest.mark.real_ollama
Drive = Callable[..., Backend]


@pytest.fixture
async def drive() -> AsyncIterator[Drive]:
    made: list[Backend] = []

    def one(url: str, *models: str, backend: str = "ollama") -> Backend:
        made.append(wire.backend(Endpoint("e", backend, url, models=models), "box"))
        return made[-1]

    yield one
    for backend in made:
        await backend.close()


async def test_a_real_ollama_takes_each_spelling_for_the_one_model(
    drive: Drive, tiny_model: Path, tmp_path: Path
) -> None:
    server = Ollama(tmp_path)
    with started(server):
        for name in ("qwen3", "Mod:Tag"):
            server.create(name, tiny_model)
        backend = drive(server.url, "Qwen3", "mod:tag")
        assert set((await backend.check()).models or ()) == {"Qwen3", "mod:tag"}
        for name in ("Qwen3", "qwen3:latest", "library/qwen3", "QWEN3:LATEST"):
            await collect(backend, call(model=name, max_tokens=2))
        assert (await backend.check()).loaded == ("Qwen3",)
        assert await backend.unload("Qwen3")
        async with asyncio.timeout(20):  # both names share a runner, which goes a moment later
            while (await backend.check()).loaded:  # noqa: ASYNC110 - another process tells no events
                await asyncio.sleep(0.02)
        await collect(backend, call(model="mod:tag", max_tokens=2))
        assert (await backend.check()).loaded == ("mod:tag",)


async def test_a_real_router_of_llama_cpp_gets_the_one_spelling_it_knows(
    drive: Drive, tiny_model: Path, tmp_path: Path
) -> None:
    server = tool("YGG_TEST_LLAMA_SERVER")
    (tmp_path / "Qwen-7B.gguf").write_bytes(tiny_model.read_bytes())
    (tmp_path / "other-1b.gguf").write_bytes(tiny_model.read_bytes())
    command = (server, "--models-dir", str(tmp_path), "--port", "PORT", "-c", "512")
    with running(*command, ready="/v1/models", env={}) as url:
        backend = drive(url, "qwen-7b", "other-1b.gguf", backend="openai")
        health = await backend.check()
        assert (health.models, health.loaded) == (("qwen-7b", "other-1b.gguf"), ())
        await collect(backend, call(model="qwen-7b", max_tokens=2))
        assert (await backend.check()).loaded == ("qwen-7b",)
        assert await backend.unload("qwen-7b")
