"""What doctor says of the model servers."""

from __future__ import annotations

import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.llama.gguf_model import write_model
from tests.llama.server import MISSING, running_llama
from tests.ops.doctor.house import M, config, found, one, one_host
from tests.ops.fakes import free_port, llama_cpp, ollama, silent, vllm
from tests.surface.cli import Cli
from tests.system.rig import sim_servers
from ygg.ops.doctor import hosts


def test_a_healthy_host_is_in_order(offline: Cli) -> None:
    with one_host(offline, ollama(M)):
        mine = [c for c in found(offline) if c["category"] == "hosts"]
    assert [c["name"] for c in mine] == ["a", "a model m"]
    assert "0.33.0" in mine[0]["message"]
    assert "general" in mine[1]["message"]


@pytest.mark.parametrize(
    ("wanted", "offered", "status"),
    [("m", "m:latest", "ok"), ("m:8b", "m:8b", "ok"), ("m:8b", "m:4b", "error")],
)
def test_a_model_of_a_route_must_be_there(
    offline: Cli, wanted: str, offered: str, status: str
) -> None:
    with one_host(offline, ollama((offered, "8B", 1)), models=f'["{wanted}"]') as port:
        check = one(offline, f"a model {wanted}")
    assert check["status"] == status
    if status == "error":
        assert check["fix"] == f"OLLAMA_HOST=127.0.0.1:{port} ollama pull m:8b"
        assert "m:4b" in check["detail"]


def test_a_model_that_no_route_wants_is_only_a_warning(offline: Cli) -> None:
    with one_host(offline, ollama(M), models="[m, other]"):
        assert one(offline, "a model other")["status"] == "warning"


def test_a_closed_port_and_an_unknown_name_are_told_apart(offline: Cli) -> None:
    port = free_port()
    config(
        offline,
        f'a: {{slots: 1, backend: ollama, url: "http://127.0.0.1:{port}", models: [m]}}',
        'b: {slots: 1, backend: ollama, url: "http://nowhere.invalid:1", models: [m]}',
    )
    assert "nobody listens" in one(offline, "a")["message"]
    assert "no machine called nowhere.invalid" in one(offline, "b")["message"]


def test_a_server_that_never_answers_is_an_error(
    offline: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hosts, "PHASE_S", 0.5)
    with silent() as port:
        config(
            offline,
            f'a: {{slots: 1, backend: ollama, url: "http://127.0.0.1:{port}", models: [m]}}',
        )
        check = one(offline, "a")
    assert check["status"] == "error"
    assert "no answer within" in check["message"]


def test_another_kind_of_server_is_recognised(offline: Cli) -> None:
    with one_host(offline, vllm("m")):
        check = one(offline, "a")
    assert check["status"] == "error"
    assert "no Ollama server" in check["message"]


def test_a_refused_and_a_missing_key_are_errors(offline: Cli, tmp_path: Path) -> None:
    with sim_servers(tmp_path, 0.0, {"a": 1}, dialect="vllm", api_key="right") as urls:
        for key in ("wrong", None):
            if key is not None:
                (tmp_path / "key").write_text(key)
            else:
                (tmp_path / "key").unlink()
            config(
                offline, f"a: {{slots: 1, backend: openai, url: {urls['a']}, api_key_file: key}}"
            )
            check = one(offline, "a")
            assert check["status"] == "error"
            assert "key" in check["fix"]


def test_a_key_that_everybody_may_read_is_a_warning(offline: Cli, tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("right")
    with sim_servers(tmp_path, 0.0, {"a": 1}, dialect="vllm", api_key="right") as urls:
        config(offline, f"a: {{slots: 1, backend: openai, url: {urls['a']}, api_key_file: key}}")
        for mode, status in ((0o644, "warning"), (0o602, "warning"), (0o640, None), (0o600, None)):
            key.chmod(mode)
            told = [c["status"] for c in found(offline) if c["name"] == "a key"]
            assert told == ([status] if status else [])
        assert one(offline, "a")["status"] == "ok"


def test_more_slots_than_the_server_has_are_a_warning(offline: Cli) -> None:
    pages = llama_cpp("/models/m.gguf", slots=2)
    with one_host(offline, pages, server="llama.cpp", backend="openai", slots=4):
        check = one(offline, "a slots")
        assert check["status"] == "warning"
        assert "-np 4" in check["fix"]
        assert one(offline, "a model m")["status"] == "ok", "directory and ending do not matter"
    with one_host(offline, pages, server="llama.cpp", backend="openai", slots=2):
        assert one(offline, "a slots")["status"] == "ok"


def test_a_small_context_is_a_warning(offline: Cli) -> None:
    for context, status in ((512, "warning"), (8192, "ok")):
        pages = llama_cpp("m", context=context)
        with one_host(offline, pages, server="llama.cpp", backend="openai"):
            assert one(offline, "a context")["status"] == status


def test_the_parallelism_of_ollama_is_a_hint_and_no_problem(offline: Cli) -> None:
    with one_host(offline, ollama(M), slots=2):
        check = one(offline, "a slots")
        assert check["status"] == "ok"
        assert "OLLAMA_NUM_PARALLEL=2" in check["fix"]
        ran = offline("doctor", tty=True)
    assert "OLLAMA_NUM_PARALLEL" in ran.err
    assert "OLLAMA_NUM_PARALLEL" not in ran.out


def test_all_hosts_are_asked_at_once(offline: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hosts, "PHASE_S", 0.6)
    with ExitStack() as stack:
        ports = [stack.enter_context(silent()) for _ in range(20)]
        lines = [
            f'h{n}: {{slots: 1, backend: ollama, url: "http://127.0.0.1:{p}", models: [m]}}'
            for n, p in enumerate(ports)
        ]
        config(offline, *lines, route="[h0]")
        begun = time.monotonic()
        mine = [c for c in found(offline) if c["category"] == "hosts"]
        took = time.monotonic() - begun
    assert len(mine) == 20
    assert took < 6, "twenty times 0.6 s one after the other"


@pytest.mark.llama
@pytest.mark.skipif(MISSING, reason="the xllamacpp wheel is not installed")
def test_a_real_llama_cpp_is_understood(offline: Cli, tmp_path: Path) -> None:
    with running_llama(write_model(tmp_path / "tiny.gguf")) as server:
        config(offline, f"a: {{slots: 3, backend: openai, url: {server.url}, models: [tiny]}}")
        told = {c["name"]: c for c in found(offline)}
    assert told["a"]["status"] == told["a model tiny"]["status"] == "ok"
    assert "2 at once" in told["a slots"]["message"]
    assert told["a slots"]["status"] == "warning"
    assert "2,048" in told["a context"]["message"]
