"""`ygg init`: what it finds, what it writes, and what it never does."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.llama.gguf_model import write_model
from tests.llama.server import MISSING, running_llama
from tests.ops.fakes import GB, answering, free_port, llama_cpp, ollama, silent, vllm
from tests.surface.cli import Cli
from tests.surface.world import Api
from tests.system.rig import sim_servers
from ygg import config
from ygg.cli import asking
from ygg.errors import InvalidInput
from ygg.ops import checks, choosing, discovery, networks, proposal, trial
from ygg.ops.discovery import Machine, Model, Place, Server

QWEN, CODER = ("qwen3:8b", "8.2B", 5 * GB), ("qwen2.5-coder:3b", "3.1B", 2 * GB)
GEMMA, EMBED = ("gemma3:4b", "4.3B", 3 * GB), ("nomic-embed-text", "137M", GB // 4)


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test looks at the real network, or at servers that happen to run here."""
    monkeypatch.setattr(networks, "local", list)
    monkeypatch.setattr(networks, "addresses", list)
    monkeypatch.setattr(discovery, "PORTS", (free_port(),))


@pytest.fixture
def fresh(offline: Cli, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """A home without hosts.yaml."""
    offline.config.unlink()
    monkeypatch.chdir(offline.folder)
    return offline


@contextmanager
def here(*pages: dict[str, Any], server: str = "") -> Iterator[tuple[int, ...]]:
    """Servers on this machine, on the ports that are looked at."""
    with ExitStack() as stack, pytest.MonkeyPatch.context() as patch:
        ports = tuple(stack.enter_context(answering(p, server=server)) for p in pages)
        patch.setattr(discovery, "PORTS", ports)
        yield ports


def found(*where: Place) -> list[Machine]:
    return checks.run(discovery.discover(where))


def only(pages: dict[str, Any], server: str = "") -> Server:
    with answering(pages, server=server) as port:
        (machine,) = found(Place("127.0.0.1", port))
    (one,) = machine.servers
    return one


def written(cli: Cli) -> config.Config:
    """The file, as `ygg config check` reads it."""
    cli.ok("config", "check")
    return config.load(cli.config)


def init(cli: Cli, *args: str, code: int = 0, **more: Any) -> str:
    ran = cli("init", *args, **{"stdin": "", **more})
    assert ran.code == code, ran
    assert "Traceback" not in ran.err
    return ran.out + ran.err


# --- what is what -----------------------------------------------------------------------------------


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
@pytest.mark.xdist_group("llama")
@pytest.mark.skipif(MISSING, reason="the xllamacpp wheel is not installed")
def test_a_real_llama_cpp_is_known(tmp_path: Path) -> None:
    with running_llama(write_model(tmp_path / "tiny.gguf")) as real:
        (machine,) = found(Place("127.0.0.1", int(real.url.rpartition(":")[2])))
    (server,) = machine.servers
    assert (server.kind, server.slots, server.context) == ("llama.cpp", 2, 2048)
    assert [m.name for m in server.models] == ["tiny.gguf"]


# --- where it looks -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "urls"),
    [
        ("surtr:9", ["http://surtr:9"]),
        ("surtr", ["http://surtr:1", "http://surtr:2"]),
        ("https://surtr", ["https://surtr:443"]),
        ("http://surtr:8080/", ["http://surtr:8080"]),
        ("[fe80::1]:5", ["http://[fe80::1]:5"]),
    ],
)
def test_hosts_are_named_in_these_ways(
    text: str, urls: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(discovery, "PORTS", (1, 2))
    assert [p.url for p in discovery.places([text], []) if p.named] == urls


@pytest.mark.parametrize("text", ["", "a b", "ftp://x", "u:p@x:1", "x:0", "x:99999", "sürtr"])
def test_what_is_no_host_is_refused(text: str, fresh: Cli) -> None:
    with pytest.raises(InvalidInput):
        discovery.places([text], [])
    assert "no host" in init(fresh, "--host", text, code=2)


def test_own_addresses_are_looked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(networks, "addresses", lambda: [IPv4Address("10.0.0.2")])
    hosts = {p.host for p in discovery.places([], [IPv4Network("10.0.0.0/29")])}
    assert hosts == {"127.0.0.1", "10.0.0.1", *(f"10.0.0.{n}" for n in range(3, 7))}


def test_only_private_networks_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    own = ["192.168.7.9", "8.8.8.8", "169.254.3.3", "10.1.2.3", "192.168.7.20"]
    monkeypatch.undo()
    monkeypatch.setattr(networks, "addresses", lambda: [IPv4Address(a) for a in own])
    assert [str(n) for n in networks.local()] == ["192.168.7.0/24", "10.1.2.0/24"]


def test_a_silent_network_takes_four_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    running: list[int] = [0, 0]

    async def silence(host: str, port: int) -> None:
        running[0] += 1
        running[1] = max(running)
        try:
            await asyncio.Event().wait()
        finally:
            running[0] -= 1

    monkeypatch.setattr(asyncio, "open_connection", silence)
    monkeypatch.setattr(discovery, "PORTS", (1, 2, 3, 4))
    monkeypatch.setattr(discovery, "CONNECT_S", 0.05)
    where = discovery.places([], [IPv4Network("10.0.0.0/24")])
    begun = time.monotonic()
    assert found(*where) == []
    assert len(where) == 1020
    assert running[1] == 256
    assert time.monotonic() - begun < 3


@pytest.fixture
def neighbour(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """An Ollama on another address of the local network."""
    with answering(ollama(QWEN), host="127.9.9.3") as port:
        monkeypatch.setattr(discovery, "PORTS", (port,))
        monkeypatch.setattr(networks, "local", lambda: [IPv4Network("127.9.9.0/29")])
        yield f"http://127.9.9.3:{port}"


def test_the_network_is_not_touched_without_consent(fresh: Cli, neighbour: str) -> None:
    text = init(fresh, "--no-test", code=1)
    assert "no model server was found" in text
    assert "--network" in text
    assert not fresh.config.exists()


@pytest.mark.parametrize("consent", ["--network", "--yes"])
def test_the_network_is_looked_at_when_told(fresh: Cli, neighbour: str, consent: str) -> None:
    assert neighbour in init(fresh, consent, "--no-test")
    (host,) = written(fresh).hosts.values()
    assert host.endpoints[0].url == neighbour


@pytest.mark.parametrize(("says", "code"), [("y\n", 0), ("n\n", 1), ("", 1), ("\n", 1)])
def test_a_person_is_asked(
    fresh: Cli, neighbour: str, says: str, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "person", lambda: True)
    assert "127.9.9.0/29" in init(fresh, "--no-test", code=code, stdin=says)
    assert fresh.config.exists() is (code == 0)


# --- what it writes -----------------------------------------------------------------------------------


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


# --- the file that is there ------------------------------------------------------------------------------


@pytest.mark.parametrize("args", [(), ("--yes",), ("--network",)])
def test_a_file_is_not_overwritten_without_force(offline: Cli, args: tuple[str, ...]) -> None:
    before = offline.config.read_text()
    with here(ollama(QWEN)):
        text = init(offline, *args, code=1)
    assert "--force" in text
    assert offline.config.read_text() == before


def test_force_overwrites(offline: Cli) -> None:
    with here(ollama(QWEN)):
        init(offline, "--force", "--no-test")
    assert "qwen3:8b" in offline.config.read_text()
    assert [p.name for p in offline.folder.iterdir() if "hosts" in p.name] == ["hosts.yaml"]


@pytest.mark.parametrize(("says", "code"), [("y\n", 0), ("n\n", 1)])
def test_a_person_may_overwrite(
    offline: Cli, says: str, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "person", lambda: True)
    before = offline.config.read_text()
    with here(ollama(QWEN)):
        assert "Overwrite" in init(offline, "--no-test", code=code, stdin=says)
    assert (offline.config.read_text() == before) is (code == 1)


def test_printing_writes_nothing(offline: Cli) -> None:
    before = offline.config.read_text()
    with here(ollama(QWEN)):
        ran = offline.ok("init", "--print", stdin="")
    assert offline.config.read_text() == before
    other = offline.folder / "other.yaml"
    other.write_text(ran.out)
    assert config.load(other).hosts


def test_the_file_goes_where_it_was_asked_for(fresh: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("YGG_CONFIG")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(fresh.folder / "xdg"))
    with here(ollama(QWEN)):
        init(fresh, "--no-test")
        assert (fresh.folder / "xdg/ygg/hosts.yaml").is_file()
        (fresh.folder / "hosts.yaml").write_text("x")
        ran = fresh("--config", "new/mine.yaml", "init", "--no-test", stdin="")
    assert (fresh.folder / "new/mine.yaml").is_file()
    assert "from here ygg uses hosts.yaml" in ran.err


def test_a_place_that_cannot_be_written_is_told(
    fresh: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    (fresh.folder / "file").touch()
    monkeypatch.setenv("YGG_CONFIG", str(fresh.folder / "file/hosts.yaml"))
    with here(ollama(QWEN)):
        assert "cannot be written" in init(fresh, "--no-test", code=1)


# --- nothing there, and the proof -------------------------------------------------------------------------


def test_nothing_found_says_what_was_tried(fresh: Cli) -> None:
    text = init(fresh, "--host", "127.0.0.1:1", code=1)
    assert "http://127.0.0.1:1\n" in text
    assert "--host HOST:PORT" in text
    assert not fresh.config.exists()


def test_a_named_host_without_a_server_is_told(fresh: Cli) -> None:
    with here(ollama(QWEN)):
        assert "no model server at 127.9.9.9" in init(fresh, "--host", "127.9.9.9:1", "--no-test")


def test_a_server_without_a_model_that_runs_is_told(fresh: Cli) -> None:
    with here(ollama(EMBED)):
        assert "ollama pull" in init(fresh, code=1)
    assert not fresh.config.exists()


def test_a_real_task_is_answered_without_a_daemon(fresh: Cli, tmp_path: Path) -> None:
    with sim_servers(tmp_path, 0.0, {"a": 1}) as urls:
        ran = fresh("init", "--host", urls["a"].removeprefix("http://"), stdin="")
    assert ran.code == 0, ran
    assert "answered by" in ran.err
    answer = ran.lines[-1]
    assert len(answer.split()) > 2
    assert "checks:" in ran.out


def test_a_real_task_goes_through_a_running_daemon(fresh: Cli, home: Api) -> None:
    with here(ollama(QWEN)):
        ran = fresh("init", stdin="")
    assert ran.code == 0, ran
    assert "through the daemon" in ran.err
    assert "not read this file yet" in ran.err
    assert len(fresh.ok("list", "--json").json["tasks"]) == 1


def test_a_paused_daemon_is_not_waited_for(
    fresh: Cli, home: Api, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(trial, "LIMIT_S", 5.0)
    with sim_servers(tmp_path, 0.0, {"a": 1}) as urls:
        fresh.config.write_text("hosts: {}")
        fresh.ok("queue", "pause")
        ran = fresh("init", "--force", "--host", urls["a"], stdin="")
    assert "through the daemon" not in ran.err
    assert "answered by" in ran.err


def test_a_task_that_fails_is_told_and_the_file_stays(fresh: Cli) -> None:
    with here(ollama(QWEN)):
        assert "the test task failed" in init(fresh, code=1)
    assert written(fresh).hosts
