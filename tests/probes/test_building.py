"""Which probes a host gets, and what becomes of them when hosts.yaml changes."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.ops.fakes import answering, free_port, ollama
from tests.probes.machines import Home, Machine, Server
from ygg import wire
from ygg.config import Config, from_dict, load
from ygg.model import Endpoint, Host, Telemetry
from ygg.ports import ProbeFailed
from ygg.probes import building, here
from ygg.probes.login import Login, login_of
from ygg.probes.ollama_ps import OllamaPsProbe
from ygg.running.scope import close_probes

FAR, NEAR = "http://surtr.example:11434", "http://127.0.0.1:11434"


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(here, "has_driver", lambda: True)


@pytest.fixture
def no_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(here, "has_driver", lambda: False)


def host(*urls: str, kind: str = "gpu", backend: str = "ollama", **telemetry: Any) -> Host:
    ends = tuple(Endpoint(f"e{n}", backend, url) for n, url in enumerate(urls))
    return Host("h", 1, ends, kind, telemetry=Telemetry(**telemetry))


async def sources(found: Host) -> list[str]:
    probes = wire.build_probes([found])
    await close_probes(probes)
    return [probe.name for probe in probes["h"]]


# --- this machine -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "own"),
    [
        ("http://localhost:1", True), ("http://127.0.0.1:1", True), ("http://127.9.8.7:1", True),
        ("http://[::1]:1", True), ("http://0.0.0.0:1", False), ("http://192.0.2.1:1", False),
        ("http://[2001:db8::1]:1", False), ("http://surtr.example:1", False), ("http://300.1.1.1:1", False),
    ],
)  # fmt: skip
def test_an_address_is_this_machines_or_it_is_not(url: str, own: bool) -> None:
    assert here.is_here(url) is own


def test_its_own_name_is_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "Surtr.house")
    for name in ("surtr", "surtr.house", "SURTR.lan", "surtr.fritz.box", "surtr.local."):
        assert here.is_here(f"http://{name}:1"), name
    assert not here.is_here("http://surtr.example:1")
    assert not here.is_here("http://fenrir:1")


def test_a_driver_is_a_library_that_loads(
    nvml_library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(here, "LIBRARY", str(nvml_library))
    assert here.has_driver()
    monkeypatch.setattr(here, "LIBRARY", "libnone-such.so.1")
    assert not here.has_driver()


# --- what auto means ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (host(NEAR), ["nvml", "ollama_ps"]),
        (host(FAR, NEAR), ["nvml", "ollama_ps"]),
        (host(NEAR, ssh="u@h"), ["nvml", "ollama_ps"]),
        (host(NEAR, backend="openai"), ["nvml"]),
        (host(NEAR, kind="cpu"), ["ollama_ps"]),
        (host(FAR, ssh="u@h"), ["ssh", "ollama_ps"]),
        (host(FAR, backend="openai", ssh="u@h"), ["ssh"]),
        (host(FAR), ["ollama_ps"]),
        (host(FAR, memory_mb=8192.0), ["static", "ollama_ps"]),
        (host(FAR, backend="openai"), ["static"]),
        (host(NEAR, source="off"), []),
        (host(NEAR, source="static"), ["static"]),
        (host(NEAR, source="ollama_ps"), ["ollama_ps"]),
        (host(NEAR, source="ssh", ssh="u@h"), ["ssh", "ollama_ps"]),
        (host(FAR, source="nvml"), ["nvml", "ollama_ps"]),
    ],
)
async def test_a_host_gets_the_probes_that_fit(
    driver: None, found: Host, expected: list[str]
) -> None:
    assert await sources(found) == expected


async def test_without_a_driver_this_machine_is_like_any_other(no_driver: None) -> None:
    assert await sources(host(NEAR)) == ["ollama_ps"]
    assert building.source_of(host(NEAR, ssh="u@h")) == "ssh"


async def test_configured_memory_is_a_card_of_which_nothing_else_is_known() -> None:
    (probe,) = wire.build_probes([host(FAR, source="static", memory_mb=8192.0)])["h"]
    (device,) = (await probe.sample()).devices
    assert (device.total_mb, device.free_mb) == (8192, None)


def test_the_key_of_the_service_manager_is_used(tmp_path: Path) -> None:
    found, own = host(FAR, source="ssh", ssh="u@h"), tmp_path / "known_hosts"
    env = {"CREDENTIALS_DIRECTORY": str(tmp_path)}
    assert login_of(found, env, own).key is None
    (tmp_path / "ssh_key").touch()
    assert login_of(found, env, own).key == tmp_path / "ssh_key"
    assert login_of(found, {}, own).key is None


@pytest.mark.parametrize(
    ("target", "parts"),
    [
        ("gpubox", {"host": "gpubox"}),
        ("ada@gpubox", {"host": "gpubox", "username": "ada"}),
        ("ada@gpubox:2222", {"host": "gpubox", "username": "ada", "port": 2222}),
        ("fe80::1", {"host": "fe80::1"}),
    ],
)
def test_where_to_log_in(target: str, parts: dict[str, Any]) -> None:
    assert Login("h", target, Path("none")).parts == parts


# --- loaded models ------------------------------------------------------------------------------------------


async def test_loaded_models_are_told_by_every_server_that_answers() -> None:
    pages = ollama(("a", "8B", 1)) | {"/api/ps": {"models": [{"name": "a"}, {"x": 1}, "y"]}}
    with answering(pages) as port:
        near = f"http://127.0.0.1:{port}"
        found = host(near, f"http://127.0.0.1:{free_port()}", source="ollama_ps")
        probes = wire.build_probes([found])
        (probe,) = probes["h"]
        assert (await probe.sample()).loaded == (("e0", ("a",)),)
        await close_probes(probes)


@pytest.mark.parametrize("page", [404, {"models": "none"}, {}, ["a"]])
async def test_a_server_that_does_not_tell_is_busy_and_that_is_no_news(page: Any) -> None:
    with answering({"/api/ps": page}) as port:
        probes = wire.build_probes([host(f"http://127.0.0.1:{port}", source="ollama_ps")])
        (probe,) = probes["h"]
        with pytest.raises(ProbeFailed, match="busy"):
            await probe.sample()
        assert not probe.measures
        await close_probes(probes)


# --- a running dispatcher -----------------------------------------------------------------------------------


@pytest.fixture
def port() -> Iterator[int]:
    with answering(ollama(("m", "8B", 1))) as found:
        yield found


def config(port: int, **hosts: dict[str, Any]) -> Config:
    url = f"http://127.0.0.1:{port}"
    made = {
        n: {"slots": 1, "backend": "ollama", "url": url, "models": ["m"]} | h
        for n, h in hosts.items()
    }
    tree = {"hosts": made, "task_types": {"general": {"route": [next(iter(hosts))]}}}
    return from_dict(tree, "test")


async def test_readings_of_another_machine_reach_the_scheduler(
    tmp_path: Path, port: int, real_sshd: Server, machine: Machine, home: Home
) -> None:
    telemetry = {"source": "ssh", "ssh": real_sshd.target, "interval": 0.05, "timeout": 20}
    home.known_hosts.rename(tmp_path / "known_hosts")  # beside the database
    async with wire.running(config(port, a={"telemetry": telemetry}), tmp_path / "ygg.db") as scope:
        gauge = scope.dispatcher.board.hosts["a"].gauge
        while gauge.reading is None:
            await machine.logged("moment", len(machine.runs("moment")) + 1)
        assert gauge.reading.devices[0].max_c == 90
        (pid,) = machine.runs("query-gpu")
    await machine.gone(pid)


async def test_a_reload_keeps_the_probes_of_hosts_that_stay_as_they_are(
    no_driver: None, tmp_path: Path, port: int
) -> None:
    before = config(port, a={}, b={}, c={})
    async with wire.running(before, tmp_path / "ygg.db") as scope:
        old = dict(scope.dispatcher.probes)
        await scope.reload(config(port, a={"slots": 2}, b={"telemetry": "static"}, d={}))
        new = scope.dispatcher.probes
        assert set(new) == {"a", "b", "d"}
        assert new["a"] is old["a"]
        assert [p.name for p in new["b"]] == ["static"]


async def test_probes_that_are_gone_are_closed_and_all_are_in_the_end(
    no_driver: None, tmp_path: Path, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed: list[object] = []
    really_close = OllamaPsProbe.close

    async def close(self: OllamaPsProbe) -> None:
        closed.append(self)
        await really_close(self)

    monkeypatch.setattr(OllamaPsProbe, "close", close)
    async with wire.running(config(port, a={}, b={}), tmp_path / "ygg.db") as scope:
        old = dict(scope.dispatcher.probes)
        await scope.reload(config(port, a={}))
        assert old["b"][0] in closed
        assert old["a"][0] not in closed
    assert old["a"][0] in closed


async def test_a_configured_driver_that_is_missing_does_not_fail_the_start(
    no_driver: None, tmp_path: Path, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pynvml.nvmlLib", None)
    monkeypatch.setattr("pynvml.CDLL", _missing)
    async with wire.running(config(port, a={"telemetry": "nvml"}), tmp_path / "ygg.db") as scope:
        probe, _ = scope.dispatcher.probes["a"]
        with pytest.raises(ProbeFailed) as caught:
            await probe.sample()
        assert "install" in caught.value.hint


def _missing(_name: str) -> None:
    raise OSError("no such library")


@pytest.mark.parametrize("told", ["off", "'off'", "{source: off}"])
def test_off_needs_no_quotes(told: str, tmp_path: Path) -> None:
    """YAML reads it as false."""
    file = tmp_path / "hosts.yaml"
    host_ = f"a: {{slots: 1, backend: ollama, url: {NEAR}, models: [m], telemetry: {told}}}"
    file.write_text(f"hosts:\n  {host_}\ntask_types:\n  general: {{route: [a]}}\n")
    assert load(file).hosts["a"].telemetry.source == "off"
