"""ygg models against real HTTP: simulated Ollama, vLLM and llama.cpp servers."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import ollama
import pytest

from tests.ops.servers import Street, router, street
from tests.surface.cli import Cli
from ygg.ops.models import inventory, servers
from ygg.ops.models.inventory import Pulling
from ygg.ops.models.servers import Step
from ygg.sim.servers import SimServer

GB = 1_000_000_000
GONE = "http://127.0.0.1:9"


@pytest.fixture
def town() -> Iterator[Street]:
    with street() as found:
        yield found


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    return Cli(tmp_path, monkeypatch)


def hosts(cli: Cli, **servers: Any) -> None:
    """Write hosts.yaml: each host with the fields of its server; type `general` goes to all."""
    lines = ["hosts:"]
    for name, fields in servers.items():
        fields = {"slots": 1, "backend": "ollama", **fields}
        lines.append(f"  {name}: {json.dumps(fields)}")
    lines += ["task_types:", f"  general: {{route: [{', '.join(servers)}]}}"]
    cli.config.write_text("\n".join(lines) + "\n")


def warm(town: Street, server: SimServer, model: str) -> None:
    town.run(server.load(model))


# --- the simulated server, judged by the ollama package ---------------------------------------------


@pytest.fixture
async def sim() -> AsyncIterator[SimServer]:
    server = SimServer("box", models=("sim",), library={"new": 1000})
    await server.start()
    yield server
    await server.stop()


async def test_the_ollama_package_pulls_shows_and_unloads(sim: SimServer) -> None:
    async with ollama.AsyncClient(sim.url, trust_env=False) as client:
        steps = [s async for s in await client.pull("new", stream=True)]
        assert (steps[0].status, steps[-1].status) == ("pulling manifest", "success")
        assert [s.completed for s in steps if s.digest and s.total == 990][-1] == 990
        assert [m.model for m in (await client.list()).models] == ["sim", "new"]
        assert (await client.show("new")).modelinfo
        with pytest.raises(ollama.ResponseError) as caught:
            await client.show("none")
        assert caught.value.status_code == 404
        await client.generate("new", "hello")
        assert [m.model for m in (await client.ps()).models] == ["new"]
        assert (await client.generate("new", keep_alive=0)).done_reason == "unload"
        assert (await client.ps()).models == []
        with pytest.raises(ollama.ResponseError, match="file does not exist"):
            [s async for s in await client.pull("nothing", stream=True)]


# --- list -----------------------------------------------------------------------------------------


def test_every_model_of_every_host_is_listed(cli: Cli, town: Street) -> None:
    surtr = town.ollama(models=("qwen3:8b", "gemma3:4b"))
    fenrir = town.ollama("fenrir", dialect="vllm", models=("Qwen/Qwen3-8B",))
    warm(town, surtr, "gemma3:4b")
    hosts(
        cli,
        surtr={"url": surtr.url, "models": ["qwen3:8b"]},
        fenrir={"url": fenrir.url, "backend": "openai"},
    )
    ran = cli.ok("models")
    assert [line.split() for line in ran.lines[1:]] == [
        ["surtr", "qwen3:8b", "5.0", "GB", "8B", "Q4_K_M", "no", "general"],
        ["surtr", "gemma3:4b", "5.0", "GB", "8B", "Q4_K_M", "yes", "--"],
        ["fenrir", "Qwen/Qwen3-8B", "--", "--", "--", "yes", "general"],
    ]
    body = cli.ok("models", "list", "--host", "surtr", "--json").json
    assert body["schema"] == "ygg.models/1"
    assert [m["loaded"] for m in body["hosts"][0]["models"]] == [False, True]
    assert cli.ok("models", "--json").json["hosts"][1]["models"][0]["name"] == "Qwen/Qwen3-8B"


def test_hosts_that_do_not_answer_are_named_and_cost_one_deadline(
    cli: Cli, town: Street, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inventory, "LIST_S", 2.0)
    up = town.ollama()
    mute = town.canned({"GET /api/tags": lambda _: None, "GET /v1/models": lambda _: None})
    silent = {f"mute{n}": {"url": mute.url, "models": ["m"]} for n in range(5)}
    hosts(
        cli,
        surtr={"url": up.url, "models": ["sim"]},
        other={"url": mute.url, "backend": "openai"},
        gone={"url": GONE, "models": ["m"]},
        **silent,
    )
    began = time.monotonic()
    ran = cli("models", "list")
    assert time.monotonic() - began < 8.0  # not 2 s each, one after the other
    assert ran.code == 1
    assert "sim" in ran.out
    assert all(f"{name}: no answer within 2 s" in ran.err for name in silent)
    assert "other: no answer within 2 s" in ran.err
    assert f"gone: nothing answers at {GONE}" in ran.err
    told = cli("models", "--json").json["hosts"]
    assert [h["host"] for h in told if h["error"] is None] == ["surtr"]


def test_a_model_that_a_route_names_and_the_host_lacks_is_told(cli: Cli, town: Street) -> None:
    hosts(cli, surtr={"url": town.ollama().url, "models": ["qwen3", "sim", "b"]})
    ran = cli.ok("models")
    assert ran.err.splitlines() == [
        "surtr lacks qwen3, used by general: ygg models pull qwen3 --host surtr",
        "surtr lacks b, named in hosts.yaml: ygg models pull b --host surtr",
    ]


def test_a_tag_that_ollama_adds_is_no_other_model(cli: Cli, town: Street) -> None:
    surtr = town.ollama(models=("qwen3:latest",))
    warm(town, surtr, "qwen3:latest")
    hosts(cli, surtr={"url": surtr.url, "models": ["qwen3"]})
    assert cli.ok("models").err == ""
    assert cli.ok("models", "unload", "qwen3").lines == ["surtr: unloaded qwen3"]


@pytest.mark.parametrize("args", [("list",), ("show", "m"), ("unload", "m"), ("pull", "m")])
def test_an_unknown_host_exits_3(cli: Cli, args: tuple[str, ...]) -> None:
    ran = cli("models", *args, "--host", "sutr")
    assert (ran.code, "hosts: fenrir, surtr" in ran.err) == (3, True)


# --- keys and strangers ---------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["ollama", "vllm"])
def test_the_endpoints_own_key_is_sent_and_no_other(
    cli: Cli, town: Street, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OLLAMA_API_KEY", "of-somebody-else")
    server = town.ollama(dialect=kind, api_key="sesame")
    fields = {"url": server.url, "models": ["sim"]}
    if kind == "vllm":
        fields["backend"] = "openai"
    hosts(cli, surtr=fields)
    ran = cli("models")
    assert ran.code == 1
    assert "surtr: not authorised (HTTP 401)" in ran.err
    assert "api_key_file" in ran.err
    (cli.folder / "key").write_text("sesame\n")
    hosts(cli, surtr={**fields, "api_key_file": "key"})
    assert "sim" in cli.ok("models").out


def test_a_key_of_the_environment_reaches_no_host(
    cli: Cli, town: Street, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OLLAMA_API_KEY", "of-somebody-else")
    server = town.canned({"GET /api/tags": {"models": []}, "GET /api/ps": {"models": []}})
    hosts(cli, surtr={"url": server.url, "models": ["m"]})
    cli("models")
    assert [r.headers.get("authorization") for r in server.requests] == [None, None]


@pytest.mark.parametrize("answer", [b"<html>nginx</html>", 404, [1], {"nothing": 1}, 500])
@pytest.mark.parametrize("backend", ["ollama", "openai"])
def test_what_is_no_model_server_gives_one_line(
    cli: Cli, town: Street, answer: Any, backend: str
) -> None:
    server = town.canned({"GET /api/tags": answer, "GET /v1/models": answer})
    hosts(cli, surtr={"url": server.url, "models": ["m"], "backend": backend})
    ran = cli("models")
    assert ran.code == 1
    assert ran.err.startswith("error: surtr: ")
    assert "Traceback" not in ran.err
    assert "unexpected" not in ran.err


# --- show -----------------------------------------------------------------------------------------


def test_show_tells_what_ollama_knows(cli: Cli, town: Street) -> None:
    hosts(cli, surtr={"url": town.ollama(models=("qwen3:8b",)).url, "models": ["qwen3:8b"]})
    (found,) = cli.ok("models", "show", "qwen3:8b", "--json").json["found"]
    assert found == {
        "host": "surtr", "endpoint": "ollama", "backend": "ollama", "name": "qwen3:8b",
        "routes": ["general"], "size": 5 * GB, "loaded": False, "parameters": "8B",
        "quantization": "Q4_K_M", "family": "llama", "context_length": 131_072,
        "template_bytes": 13, "capabilities": ["completion"],
        "settings": 'stop                           "<|end|>"', "slots": None,
    }  # fmt: skip
    text = cli.ok("models", "show", "qwen3:8b").out
    assert "size            5.0 GB" in text
    assert "loaded          no" in text


def test_show_tells_what_an_openai_server_knows(cli: Cli, town: Street) -> None:
    meta = {"n_params": 8_030_261_248, "n_ctx_train": 32768, "size": 5 * GB}
    props = {"default_generation_settings": {"n_ctx": 4096}, "chat_template": "{{ x }}",
             "total_slots": 2}  # fmt: skip
    llama = town.canned(
        {
            "GET /v1/models": {"data": [{"id": "/m/Qwen3-8B.gguf", "meta": meta}]},
            "GET /props": props,
        }
    )
    vllm = town.ollama(dialect="vllm", models=("Qwen/Qwen3-8B",))
    hosts(
        cli,
        surtr={"url": llama.url, "backend": "openai"},
        fenrir={"url": vllm.url, "backend": "openai"},
    )
    one, two = cli.ok("models", "show", "qwen3-8b", "--json").json["found"]
    assert (one["host"], one["parameters"], one["size"]) == ("surtr", "8.0B", 5 * GB)
    assert (one["context_length"], one["template_bytes"], one["slots"]) == (4096, 7, 2)
    assert (two["host"], two["context_length"], two["template_bytes"]) == ("fenrir", 512, None)


def test_a_sleeping_llama_cpp_has_nothing_loaded(cli: Cli, town: Street) -> None:
    server = town.canned(
        {"GET /v1/models": {"data": [{"id": "a"}]}, "GET /props": {"is_sleeping": True}}
    )
    hosts(cli, surtr={"url": server.url, "backend": "openai"})
    assert cli.ok("models", "--json").json["hosts"][0]["models"][0]["loaded"] is False


def test_an_unknown_model_exits_3_and_near_ones_are_named(cli: Cli, town: Street) -> None:
    surtr = town.ollama(models=("qwen3:8b", "gemma3:4b"))
    hosts(
        cli, surtr={"url": surtr.url, "models": ["qwen3:8b"]}, gone={"url": GONE, "models": ["m"]}
    )
    ran = cli("models", "show", "qwen3:14b")
    assert (ran.code, ran.out) == (3, "")
    assert ran.err == (
        "error: no host has 'qwen3:14b' (gone did not answer)\nhint: perhaps qwen3:8b\n"
    )
    assert cli("models", "unload", "gemma").code == 3
    ran = cli("models", "show", "m", "--host", "gone")
    assert (ran.code, "nothing answers" in ran.err) == (1, True)


# --- pull -----------------------------------------------------------------------------------------


def pulling(cli: Cli, town: Street, **fields: Any) -> SimServer:
    server: SimServer = town.ollama(library={"qwen3:8b": 5 * GB}, **fields)
    hosts(cli, surtr={"url": server.url, "models": ["qwen3:8b"]})
    return server


def test_a_pull_tells_each_tenth_to_a_pipe_and_ends_with_the_model(cli: Cli, town: Street) -> None:
    pulling(cli, town)
    ran = cli.ok("models", "pull", "qwen3:8b", "--host", "surtr")
    assert ran.lines == ["surtr: pulled qwen3:8b"]
    told = ran.err.splitlines()
    assert [line.split()[2] for line in told] == [str(n) for n in range(10, 100, 10)]
    assert "qwen3:8b" in cli.ok("models").out


def test_a_pull_draws_a_bar_on_a_terminal(cli: Cli, town: Street) -> None:
    pulling(cli, town)
    ran = cli.ok("models", "pull", "qwen3:8b", "--host", "surtr", tty=True)
    assert ran.out == "surtr: pulled qwen3:8b\n"
    assert "5.0/5.0 GB" in ran.err


def test_a_pull_that_is_interrupted_exits_130_and_resumes(cli: Cli, town: Street) -> None:
    server = pulling(cli, town, pull_s=4.0)
    command = [sys.executable, "-m", "ygg", "models", "pull", "qwen3:8b", "--host", "surtr"]
    run = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=dict(os.environ)
    )
    assert run.stderr is not None
    assert "10 %" in run.stderr.readline()
    run.send_signal(signal.SIGINT)
    out, err = run.communicate(timeout=20)
    assert (run.returncode, out) == (130, "")
    assert "Traceback" not in err
    assert "pulling again resumes: ygg models pull qwen3:8b --host surtr" in err
    kept = town.do(lambda: sum(server.partial.values()))
    assert 0 < kept < 4 * GB
    server.pull_s = 0.0
    first = cli.ok("models", "pull", "qwen3:8b", "--host", "surtr").err.split()[2]
    assert int(first) * 5 * GB >= kept * 100


@pytest.mark.parametrize(
    ("model", "fields", "code", "words"),
    [
        ("qwen3:8", {}, 3, ("there is no model 'qwen3:8' to pull", "perhaps qwen3:8b")),
        ("qwen3:8b", {"disk": 2 * GB}, 1, ("surtr: its disk is full", "ygg models list --host")),
        ("qwen3:8b", {"api_key": "k"}, 1, ("surtr: not authorised", "api_key_file")),
    ],
)
def test_a_pull_that_fails_says_why(
    cli: Cli, town: Street, model: str, fields: dict[str, Any], code: int, words: tuple[str, str]
) -> None:
    pulling(cli, town, **fields)
    ran = cli("models", "pull", model, "--host", "surtr")
    assert (ran.code, ran.out) == (code, "")
    *_, error, hint = ran.err.splitlines()
    assert error.startswith(f"error: {words[0]}")
    assert words[1] in hint


def test_a_server_that_dies_in_a_pull_gives_one_line(cli: Cli, town: Street) -> None:
    line = json.dumps({"status": "pulling", "digest": "d", "total": 10, "completed": 5}).encode()
    server = town.canned({"POST /api/pull": line + b"\n"})
    hosts(cli, surtr={"url": server.url, "models": ["m"]})
    ran = cli("models", "pull", "m", "--host", "surtr")
    assert ran.code == 1
    assert "ended before it was whole\nhint: pulling again resumes" in ran.err


def test_only_ollama_pulls(cli: Cli, town: Street) -> None:
    hosts(cli, fenrir={"url": town.ollama(dialect="vllm").url, "backend": "openai"})
    ran = cli("models", "pull", "m", "--host", "fenrir")
    assert (ran.code, "only Ollama hosts pull models" in ran.err) == (2, True)


def test_layers_add_up_and_never_go_back() -> None:
    so_far = Pulling()
    for step in (Step("a", "one", 50, 100), Step("b", "two", 0, 300), Step("c", "one"), Step("d")):
        so_far.take(step)
    assert (so_far.status, so_far.done, so_far.total) == ("d", 50, 400)


# --- unload ---------------------------------------------------------------------------------------


def test_a_model_is_unloaded_wherever_it_is_loaded(cli: Cli, town: Street) -> None:
    surtr, fenrir, idle = (town.ollama(n, models=("m",)) for n in ("surtr", "fenrir", "idle"))
    for server in (surtr, fenrir):
        warm(town, server, "m")
    hosts(cli, **{s.name: {"url": s.url, "models": ["m"]} for s in (surtr, fenrir, idle)})
    assert cli.ok("models", "unload", "m", "--host", "surtr").lines == ["surtr: unloaded m"]
    assert cli.ok("models", "unload", "m").lines == ["fenrir: unloaded m"]
    assert cli.ok("models", "unload", "m").err == "m is not loaded anywhere\n"


def test_a_model_in_use_is_told_as_still_loaded(
    cli: Cli, town: Street, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(servers, "UNLOAD_S", 0.3)
    tags = {"models": [{"name": "m", "model": "m"}]}
    server = town.canned(
        {"GET /api/tags": tags, "GET /api/ps": tags, "POST /api/generate": {"response": ""}}
    )
    hosts(cli, surtr={"url": server.url, "models": ["m"]})
    ran = cli("models", "unload", "m")
    assert (ran.code, ran.out) == (1, "")
    assert "surtr: m is still loaded after 0.3 s" in ran.err
    assert "a running call keeps it" in ran.err


def test_unloading_waits_for_the_running_call(cli: Cli, town: Street) -> None:
    server = town.ollama(models=("m",), latency_s=1.0)
    hosts(cli, surtr={"url": server.url, "models": ["m"]})

    async def call() -> Any:
        async with ollama.AsyncClient(server.url, trust_env=False) as client:
            return await client.generate("m", "hello")

    running = town.begin(call())
    town.run(server.until(lambda: server.records))
    while not cli.ok("models", "--json").json["hosts"][0]["models"][0]["loaded"]:
        pass
    assert cli.ok("models", "unload", "m").lines == ["surtr: unloaded m"]
    assert running.result(20).done


def test_a_llama_cpp_router_unloads_and_others_refuse(cli: Cli, town: Street) -> None:
    routing = town.canned(router("Qwen3-8B"))
    vllm = town.ollama(dialect="vllm", models=("m",))
    hosts(
        cli,
        surtr={"url": routing.url, "backend": "openai"},
        fenrir={"url": vllm.url, "backend": "openai"},
    )
    assert cli.ok("models", "unload", "qwen3-8b").lines == ["surtr: unloaded qwen3-8b"]
    asked = [(r.method, r.path) for r in routing.requests]
    assert ("POST", "/models/unload") in asked
    ran = cli("models", "unload", "m", "--host", "fenrir")
    assert (ran.code, ran.out) == (2, "")
    assert "holds its one model for as long as its server runs" in ran.err
    assert cli.ok("models", "unload", "gemma-3").err == "gemma-3 is not loaded anywhere\n"


def test_a_host_that_does_not_answer_may_have_it_loaded(cli: Cli, town: Street) -> None:
    surtr = town.ollama(models=("m",))
    warm(town, surtr, "m")
    hosts(cli, surtr={"url": surtr.url, "models": ["m"]}, gone={"url": GONE, "models": ["m"]})
    ran = cli("models", "unload", "m")
    assert (ran.code, ran.lines) == (1, ["surtr: unloaded m"])
    assert "gone: nothing answers" in ran.err
