"""Model names at the border: servers and probes spell them as they like, inside each model has one name."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from tests.backends.calls import call, collect, scripted
from tests.backends.test_openai import END, HEAD, event, plain
from ygg import wire
from ygg.backends.values import MODELS_MAX, NAME_MAX
from ygg.model import Endpoint, Host, OutcomeKind
from ygg.ports import Backend, CallFailed
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


# --- what a server says of itself ---------------------------------------------------------------------


async def test_so_many_models_are_kept_and_those_of_hosts_yaml(build: Build) -> None:
    names = [f"x{n}" for n in range(3 * MODELS_MAX)]
    async with scripted(listed(*names, "m")) as server:
        health = await build(server.url, "m").check()
    assert health.models is not None
    assert len(health.models) == MODELS_MAX + 1
    assert "m" in health.models


async def test_what_is_too_long_is_read_as_far_as_it_came(build: Build) -> None:
    models = [{"name": f"x{n}", "details": {"format": "gguf"}} for n in range(40_000)]
    long = page({"models": models}), page({"version": "9" * 2_000_000})
    async with scripted(long[1], long[0], page({"models": []})) as server:
        health = await build(server.url, "m").check()
    assert health.version == "9" * NAME_MAX
    assert health.models is not None
    assert len(health.models) == MODELS_MAX


@pytest.mark.parametrize("backend", ["ollama", "openai"])
async def test_versions_and_names_are_cut_and_printable(build: Build, backend: str) -> None:
    name = "a\ud800\x1b" + "b" * 5_000
    about = {"version": name, "data": [{"id": name}], "models": [{"name": name}, {"name": 7}, 3]}
    async with scripted(page(about)) as server:
        health = await build(server.url, "m", backend=backend).check()
    for told in (health.version, *(health.models or ())):
        assert told is not None
        assert len(told) <= NAME_MAX
        assert told.startswith("a\ufffd\ufffdb")


async def test_an_ollama_that_answers_with_another_model_is_refused(build: Build) -> None:
    line = b'{"model": "other:7b", "response": "a", "done": true}\n'
    async with scripted([line]) as server:
        with pytest.raises(CallFailed, match="the server has other:7b, not m") as caught:
            await collect(build(server.url, "m"), call(model="m"))
    assert caught.value.kind is OutcomeKind.REFUSED


@pytest.mark.parametrize(
    ("answered", "root", "fits"),
    [
        ("m", "", True),
        ("m-2026-08-06", "", True),
        ("org/M", "", True),
        ("other", "/models/a", True),
        ("other", "/models/b", False),
        ("other", "", False),
    ],
)
async def test_a_server_may_name_a_model_otherwise_but_not_another(
    build: Build, answered: str, root: str, fits: bool
) -> None:
    entries = [{"id": "m", "root": "/models/a"}, {"id": "other", "root": root}]
    body = b"".join((event("a", model=answered), event(stop="stop"), END))
    async with scripted(*[page({"data": entries})] * 4, [body]) as server:
        backend = build(server.url, "m", backend="openai")
        await backend.check()
        if fits:
            assert (await collect(backend, call(model="m")))[1].model == answered
        else:
            with pytest.raises(CallFailed, match="the server has other, not m"):
                await collect(backend, call(model="m"))
