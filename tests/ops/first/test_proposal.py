"""The hosts.yaml that is proposed, and the models chosen in it."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.ops.fakes import GB, llama_cpp, ollama, vllm
from tests.ops.first.house import CODER, EMBED, GEMMA, QWEN, here, init, written
from tests.surface.cli import Cli
from ygg import config
from ygg.ops.first import choosing, proposal
from ygg.ops.first.discovery import Machine, Model, Place, Server


def test_the_file_names_what_was_found(fresh: Cli) -> None:
    with here(ollama(QWEN, CODER, GEMMA, EMBED)) as (port,):
        text = init(fresh, "--no-test")
    (host,) = written(fresh).hosts.values()
    assert host.slots == 1
    assert host.endpoints[0].url == f"http://127.0.0.1:{port}"
    assert set(host.models) == {"qwen3:8b", "qwen2.5-coder:3b", "gemma3:4b"}
    assert "5.0 GB" in text
    body = fresh.config.read_text()
    assert "# not for tasks: nomic-embed-text" in body
    assert "8.2B, 5.0 GB" in body


def test_each_kind_of_work_goes_to_a_model_made_for_it(fresh: Cli) -> None:
    with here(ollama(QWEN, CODER, GEMMA)):
        init(fresh, "--no-test")
    routes = {name: kind.route[0].model for name, kind in written(fresh).types.items()}
    assert routes == {
        "code-generation": "qwen2.5-coder:3b",
        "text-processing": "gemma3:4b",
        "reasoning": "qwen3:8b",
        "general": "qwen3:8b",
    }


def test_several_servers_of_a_machine_are_its_endpoints(fresh: Cli) -> None:
    with here(ollama(QWEN), ollama(GEMMA), vllm("Qwen/Qwen2.5-14B")) as ports:
        init(fresh, "--no-test", "--slots", "2")
    (host,) = written(fresh).hosts.values()
    names = [e.name for e in host.endpoints]
    assert names == [f"ollama-{ports[0]}", f"ollama-{ports[1]}", "vllm"]
    assert host.slots == 2 + 2 + proposal.BATCHED
    assert [e.slots for e in host.endpoints] == [2, 2, proposal.BATCHED]
    assert {c.endpoint for c in written(fresh).types["general"].route} == set(names)


def test_llama_cpp_gets_its_own_slots(fresh: Cli) -> None:
    with here(llama_cpp("m.gguf", slots=3), server="llama.cpp"):
        init(fresh, "--no-test")
    (host,) = written(fresh).hosts.values()
    assert (host.slots, host.endpoints[0].dialect) == (3, "llama.cpp")


def test_a_locked_server_is_a_comment(fresh: Cli) -> None:
    with here(ollama(QWEN), {"/v1/models": 401}) as ports:
        assert "API key" in init(fresh, "--no-test")
    body = fresh.config.read_text()
    assert f"# OpenAI server at http://127.0.0.1:{ports[1]} wants an API key" in body
    (host,) = written(fresh).hosts.values()
    assert len(host.endpoints) == 1


@pytest.mark.parametrize(
    "name", ["yes", "null", "1e5", "a: b", "x #y", "~", "*a", "2024-01-01", '"']
)
def test_text_that_yaml_would_read_otherwise_is_quoted(name: str) -> None:
    assert yaml.safe_load(f"[{proposal.text(name)}]") == [name]


NAMES = st.text(min_size=1, max_size=30) | st.sampled_from(
    [
        "yes",
        "null",
        "1e5",
        "a: b",
        "x #y",
        "- z",
        "{q}",
        "~",
        "<<",
        "*a",
        "Ü/ö:ß",
        "host-1",
        "'",
        '"',
    ]
)
MODELS = st.builds(
    Model, NAMES.filter(lambda n: n.isprintable() and len(n) <= 200),
    st.none() | st.integers(0, 10**12), st.none() | st.floats(0, 1000),
)  # fmt: skip
SERVERS = st.builds(
    Server,
    st.builds(Place, st.sampled_from(["10.0.0.1", "surtr", "fe80::1"]), st.integers(1, 65535)),
    st.sampled_from(["ollama", "llama.cpp", "vllm", "openai"]),
    st.text(max_size=20),
    st.lists(MODELS, max_size=4, unique_by=lambda m: m.name).map(tuple),
    st.none() | st.integers(0, 1000),
    st.none() | st.integers(0, 10**6),
    st.booleans(),
    st.booleans(),
)
MACHINES = st.builds(
    Machine, st.sampled_from(["10.0.0.1", "fe80::1"]), st.text(max_size=80) | NAMES,
    st.lists(SERVERS, max_size=3, unique_by=lambda s: s.place.port).map(tuple),
)  # fmt: skip


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(MACHINES, max_size=4))
def test_whatever_was_found_the_file_is_right(tmp_path: Path, machines: list[Machine]) -> None:
    text = proposal.render(machines)
    usable = proposal.hosts(machines)
    assert bool(text) is bool(usable)
    if not text:
        return
    path = tmp_path / "hosts.yaml"
    path.write_text(text, encoding="utf-8")
    read = config.load(path)
    assert list(read.hosts) == [h.name for h in usable]
    for host in usable:
        endpoints = read.hosts[host.name].endpoints
        for (_, server), endpoint in zip(host.servers, endpoints, strict=True):
            assert set(endpoint.models) == {m.name for m in server.models if choosing.chats(m)}
    for kind in read.types.values():
        assert kind.route


@pytest.mark.parametrize(
    ("model", "billions"),
    [
        (Model("qwen3:8b"), 8), (Model("gemma3:270m"), 0.27), (Model("mixtral:8x7b"), 56),
        (Model("Qwen/Qwen2.5-14B-Instruct"), 14), (Model("phi4", 9 * GB), 13.8),
        (Model("mystery"), 7), (Model("x:8b", None, 3.1), 3.1),
    ],
)  # fmt: skip
def test_the_size_of_a_model_is_read_from_what_is_told(model: Model, billions: float) -> None:
    assert choosing.billions(model) == pytest.approx(billions, abs=0.1)


@pytest.mark.parametrize(
    ("kind", "best"),
    [
        ("code-generation", "deepseek-coder:6.7b"),
        ("text-processing", "llama3.1:8b"),
        ("reasoning", "deepseek-r1:14b"),
        ("general", "llama3.3:70b"),
    ],
)
def test_the_best_of_many_models_is_chosen(kind: str, best: str) -> None:
    names = ("deepseek-coder:6.7b", "deepseek-coder:1.3b", "llama3.1:8b", "llama3.2:1b",
             "deepseek-r1:14b", "llama3.3:70b", "llava:34b", "qwen3-coder:30b-vl")  # fmt: skip
    route = choosing.route(kind, [choosing.Choice("a", "ollama", Model(n)) for n in names])
    assert [c.model.name for c in route] == [best]


def test_a_route_goes_over_the_hosts() -> None:
    choices = [choosing.Choice(h, "ollama", Model("m:8b")) for h in "abcdef"]
    assert [c.host for c in choosing.route("general", choices)] == ["a", "b", "c", "d"]
