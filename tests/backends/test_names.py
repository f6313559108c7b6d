"""Model names at the border: servers and probes spell them as they like, inside each model has one name."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from tests.backends.calls import call, collect, scripted
from tests.backends.test_openai import END, HEAD, event, plain
from ygg import wire
from ygg.model import Endpoint, Host
from ygg.ports import Backend
from ygg.running.scope import close_probes

Build = Callable[..., Backend]


@pytest.fixture
async def build() -> AsyncIterator[Build]:
    made: list[Backend] = []

    def one(url: str, *models: str, backend: str = "ollama", **fields: Any) -> Backend:
        made.append(wire.backend(Endpoint("e", backend, url, models=models, **fields), "box"))
        return made[-1]

    yield one
    for backend in made:
        await backend.close()


def page(body: object, server: str = "") -> list[bytes]:
    return plain(200, body, server)


def listed(*names: str) -> list[bytes]:
    return page({"models": [{"name": n} for n in names], "version": "0.33.0"})


async def test_ollama_s_spelling_becomes_that_of_hosts_yaml(build: Build) -> None:
    async with scripted(listed("qwen3:latest", "Gemma3:4b", "Other:latest")) as server:
        health = await build(server.url, "Qwen3", "gemma3:4b").check()
    assert health.models == ("Qwen3", "gemma3:4b", "other")
    assert health.loaded == ("Qwen3", "gemma3:4b", "other")


async def test_a_probe_tells_loaded_models_by_the_names_of_hosts_yaml() -> None:
    async with scripted(listed("qwen3:latest")) as server:
        box = Host("h", 1, (Endpoint("e", "ollama", server.url, models=("Qwen3",)),))
        probes = wire.build_probes([box])
        reading = await probes["h"][-1].sample()
        await close_probes(probes)
    assert reading.loaded == (("e", ("Qwen3",)),)


async def test_llama_cpp_s_file_becomes_the_model_of_hosts_yaml(build: Build) -> None:
    entries = {"data": [{"id": "/models/Qwen-7B.gguf"}]}
    async with scripted(page(entries, "llama.cpp")) as server:
        health = await build(server.url, "qwen-7b", backend="openai").check()
    assert (health.models, health.loaded) == (("qwen-7b",), ("qwen-7b",))


async def test_vllm_s_names_stay_exact(build: Build) -> None:
    entries = {"data": [{"id": "Qwen/Qwen3-8B"}], "version": "0.32.0"}
    async with scripted(page(entries)) as server:
        health = await build(server.url, "qwen/qwen3-8b", backend="openai").check()
    assert health.models == ("Qwen/Qwen3-8B",)


async def test_llama_cpp_is_asked_for_a_model_as_it_spells_it(build: Build) -> None:
    entries = {"data": [{"id": "Qwen-7B"}, {"id": "other-1b"}]}
    body = b"".join((event("a", model="Qwen-7B"), event(stop="stop"), END))
    pages = [page(entries, "llama.cpp")] * 3
    async with scripted(*pages, [HEAD % len(body), body], page({})) as server:
        backend = build(server.url, "qwen-7b.gguf", backend="openai")
        await backend.check()
        await collect(backend, call(model="qwen-7b.gguf"))
        assert await backend.unload("qwen-7b.gguf")
    sent = [json.loads(r.body) for r in server.requests if r.method == "POST"]
    assert [body["model"] for body in sent] == ["Qwen-7B", "Qwen-7B"]
