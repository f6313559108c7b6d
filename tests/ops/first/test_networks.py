"""Where `ygg init` looks, and what it asks before."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network

import pytest

from tests.ops.fakes import answering, ollama
from tests.ops.first.house import QWEN, found, init, written
from tests.surface.cli import Cli
from ygg.cli import asking
from ygg.errors import InvalidInput
from ygg.ops.first import discovery, networks


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
