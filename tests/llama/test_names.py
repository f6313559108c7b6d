"""Model names of a real Ollama and of a real router of llama.cpp.

Their programs come from `$YGG_TEST_OLLAMA` and `$YGG_TEST_LLAMA_SERVER`; without them these are skipped.
"""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.backends.calls import call, collect
from tests.system.rig import until
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


@contextmanager
def running(*command: str, ready: str, env: dict[str, str]) -> Iterator[str]:
    """The URL of a server that is started with its port in place of PORT and ended after use."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    env = {k: v.replace("PORT", port) for k, v in env.items()}
    process = subprocess.Popen(
        [c.replace("PORT", port) for c in command], env=os.environ | env,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        until(lambda: _answers(f"http://127.0.0.1:{port}{ready}"), what=command[0])
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(20)


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=1).status_code == 200
    except httpx.HTTPError:
        return False


def tool(name: str) -> str:
    found = os.environ.get(name)
    if not found:
        pytest.skip(f"${name} names no program")
    return found


async def test_a_real_ollama_takes_each_spelling_for_the_one_model(
    drive: Drive, tiny_model: Path, tmp_path: Path
) -> None:
    ollama = tool("YGG_TEST_OLLAMA")
    places = {
        "OLLAMA_MODELS": f"{tmp_path}/m",
        "HOME": str(tmp_path),
        "OLLAMA_HOST": "127.0.0.1:PORT",
    }
    (tmp_path / "Modelfile").write_text(f"FROM {tiny_model}\n")
    with running(ollama, "serve", ready="/api/version", env=places) as url:
        env = os.environ | places | {"OLLAMA_HOST": url}
        for name in ("qwen3", "Mod:Tag"):
            create = [ollama, "create", name, "-f", "Modelfile"]
            subprocess.run(create, env=env, cwd=tmp_path, check=True, capture_output=True)
        backend = drive(url, "Qwen3", "mod:tag")
        assert set((await backend.check()).models or ()) == {"Qwen3", "mod:tag"}
        for name in ("Qwen3", "qwen3:latest", "library/qwen3", "QWEN3:LATEST"):
            await collect(backend, call(model=name, max_tokens=2))
        assert (await backend.check()).loaded == ("Qwen3",)
        assert await backend.unload("Qwen3")
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
