"""Looking for model servers: what each one is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.llama.gguf_model import write_model
from tests.llama.server import MISSING, running_llama
from tests.ops.fakes import GB, answering, llama_cpp, ollama, silent, vllm
from tests.ops.first.house import EMBED, QWEN, found, only
from ygg.ops.first import discovery
from ygg.ops.first.discovery import Model, Place


def test_an_ollama_server_is_known_with_its_models() -> None:
    server = only(ollama(QWEN, EMBED))
    assert (server.kind, server.version) == ("ollama", "0.33.0")
    assert server.models[0] == Model("qwen3:8b", 5 * GB, 8.2)
    assert server.models[1].billions == pytest.approx(0.137)


def test_a_llama_cpp_server_is_known_with_its_slots() -> None:
    server = only(llama_cpp("/models/qwen2.5-7b-q4.gguf", slots=4), server="llama.cpp")
    assert (server.kind, server.slots, server.context) == ("llama.cpp", 4, 8192)
    assert server.models == (Model("qwen2.5-7b-q4.gguf", 5 * GB, 7.6),)


def test_vllm_and_others_are_told_apart() -> None:
    assert only(vllm("Qwen/Qwen2.5-14B-Instruct")).kind == "vllm"
    other = {"/v1/models": {"data": [{"id": "mistral-7b", "owned_by": "somebody"}]}}
    assert only(other).kind == "openai"


def test_a_server_that_wants_a_key_is_known_as_such() -> None:
    assert only({"/v1/models": 401}).locked
    server = only({"/props": 401, "/v1/models": 401, "/health": {}}, server="llama.cpp")
    assert (server.kind, server.locked) == ("llama.cpp", True)


def test_models_on_the_cpu_are_seen() -> None:
    pages = ollama(QWEN)
    for vram, cpu in ((0, True), (5 * GB, False)):
        pages["/api/ps"] = {"models": [{"name": "qwen3:8b", "size_vram": vram}]}
        assert only(pages).cpu is cpu


@pytest.mark.parametrize(
    "pages",
    [
        {},
        {"/": {"hello": "world"}},
        {"/api/version": {"version": 3}, "/api/tags": {"models": "none"}},
        {"/props": {"total_slots": "two"}, "/v1/models": {"data": "x"}},
        {"/v1/models": [1, 2]},
        {"/v1/models": 500},
    ],
)
def test_what_is_no_model_server_is_passed_over(pages: dict[str, Any]) -> None:
    with answering(pages) as port:
        assert found(Place("127.0.0.1", port)) == []


def test_odd_entries_are_passed_over() -> None:
    pages = ollama(QWEN)
    pages["/api/tags"]["models"] += [
        7,
        {},
        {"name": "a\nb"},
        {"name": "x", "size": -1, "details": 3},
    ]
    assert [m.name for m in only(pages).models] == ["qwen3:8b", "x"]


def test_a_server_that_takes_connections_and_says_nothing_is_left_in_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(discovery, "ASK_S", 0.2)
    with silent() as port:
        assert found(Place("127.0.0.1", port)) == []


def test_a_server_under_two_names_counts_once() -> None:
    with answering(ollama(QWEN)) as port:
        machines = found(
            Place("localhost", port, named=True), Place("127.0.0.1", port), Place("::1", port)
        )
    (machine,) = machines
    (server,) = machine.servers
    assert server.place.host == "localhost"


@pytest.mark.llama
@pytest.mark.skipif(MISSING, reason="the xllamacpp wheel is not installed")
def test_a_real_llama_cpp_is_known(tmp_path: Path) -> None:
    with running_llama(write_model(tmp_path / "tiny.gguf")) as real:
        (machine,) = found(Place("127.0.0.1", int(real.url.rpartition(":")[2])))
    (server,) = machine.servers
    assert (server.kind, server.slots, server.context) == ("llama.cpp", 2, 2048)
    assert [m.name for m in server.models] == ["tiny.gguf"]
