"""Over TCP: where it listens, whom it lets in, and that a page in a browser is not let in."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.surface.world import Api, api, bordered, served
from ygg import model
from ygg.api import tcp
from ygg.api.app import build_app
from ygg.api.border import Border, name_of, own_names
from ygg.api.callers import Callers
from ygg.api.server import Door
from ygg.config.addresses import Address, address
from ygg.errors import Unavailable

HERE = "http://127.0.0.1:8420"
DOC = {"agent_type": "general", "messages": [{"role": "user", "content": "hello"}]}


def free_port(host: str = "127.0.0.1") -> int:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


@asynccontextmanager
async def behind(base: str = HERE, **settings: Any) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the app behind its border, as from a connection to the address in `base`."""
    async with api() as found:
        transport = httpx.ASGITransport(bordered(found, model.Api(**settings)))
        async with httpx.AsyncClient(transport=transport, base_url=base) as client:
            yield client


async def asked(
    base: str = HERE, *, hosts: tuple[str, ...] = (), insecure: bool = False, **headers: str
) -> int:
    """The status of a read and of a write with these headers: both the same."""
    given = {k.replace("_", "-"): v for k, v in headers.items()}
    async with behind(base, hosts=hosts, insecure=insecure) as client:
        read = await client.get("/v1/queue", headers=given)
        write = await client.post("/v1/async/submit", json=DOC, headers=given)
    assert (read.status_code, write.status_code) in [(200, 202), (403, 403)], (read, write)
    return read.status_code


# --- names of this machine ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("surtr", "surtr"),
        ("SURTR.lan:8420", "surtr.lan"),
        ("surtr.lan.:8420", "surtr.lan"),
        ("[::1]:8420", "::1"),
        ("[FD12::5]", "fd12::5"),
        ("", ""),
        (":8420", ""),
    ],
)
def test_the_name_of_a_host_header(host: str, name: str) -> None:
    assert name_of(host) == name


def test_a_machine_is_called_by_its_name_with_and_without_domain_and_local() -> None:
    assert own_names("Surtr.lan") == {"localhost", "surtr.lan", "surtr", "surtr.local"}


async def test_the_names_of_this_machine_are_let_in() -> None:
    name = socket.gethostname()
    for host in ("127.0.0.1:8420", "localhost", "127.0.0.9:1", "[::1]:8420", name, f"{name.upper()}:8420"):  # fmt: skip
        assert await asked(Host=host) == 200, host


async def test_a_name_that_was_made_to_point_here_is_refused() -> None:
    for host in ("evil.example", "evil.example:8420", "localhost.evil.example", "192.168.1.5", "", "127.0.0.1.evil.example"):  # fmt: skip
        assert await asked(Host=host) == 403, host


async def test_further_names_are_those_of_the_configuration() -> None:
    assert await asked(Host="gpu.lan:8420") == 403
    assert await asked(Host="gpu.lan:8420", hosts=("GPU.lan",)) == 200


async def test_from_another_machine_the_address_it_connects_to_is_a_name() -> None:
    lan = "http://192.168.1.5:8420"
    assert await asked(lan, insecure=True, Host="192.168.1.5:8420") == 200
    assert await asked(lan, insecure=True, Host="192.168.1.6:8420") == 403
    assert await asked(lan, insecure=True, Host="127.0.0.1:8420") == 403


async def test_a_refusal_says_what_to_do() -> None:
    async with behind() as client:
        body = (await client.get("/v1/queue", headers={"Host": "gpu.lan"})).json()
    assert body["error"] == {
        "code": "forbidden",
        "message": "'gpu.lan' is no name of this machine",
        "hint": "ask by its address, or name it in api.hosts of hosts.yaml",
    }


# --- pages in a browser ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "http://localhost:3000"},
        {"Origin": "http://127.0.0.1"},
        {"Origin": "null"},
        {"Origin": ""},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site", "Sec_Fetch_Mode": "no-cors"},
    ],
)
async def test_a_page_from_elsewhere_is_refused(headers: dict[str, str]) -> None:
    assert await asked(**headers) == 403


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": "http://127.0.0.1:8420"},
        {"Origin": "http://127.0.0.1:8420", "Sec_Fetch_Site": "same-origin"},
        {"Sec_Fetch_Site": "none", "Sec_Fetch_Mode": "navigate"},
        {"Authorization": "Bearer sk-dummy"},
    ],
)
async def test_a_program_and_a_page_that_was_served_here_are_let_in(
    headers: dict[str, str],
) -> None:
    assert await asked(**headers) == 200


async def test_a_link_from_elsewhere_may_be_followed_but_no_form_sent() -> None:
    follows = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    async with behind() as client:
        assert (await client.get("/v1/queue", headers=follows)).status_code == 200
        assert (await client.post("/v1/queue/pause", headers=follows)).status_code == 403
        assert (await client.get("/v1/queue")).json()["paused"] is False


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("application/json", 202),
        ("Application/JSON; charset=utf-8", 202),
        ("application/problem+json", 202),
        ("text/plain", 415),
        ("application/x-www-form-urlencoded", 415),
        ("", 415),
        ("text/plain;application/json", 415),
    ],
)
async def test_a_document_says_that_it_is_one(kind: str, status: int) -> None:
    async with behind() as client:
        body = json.dumps(DOC).encode()
        answer = await client.post("/v1/async/submit", content=body, headers={"Content-Type": kind})
        assert answer.status_code == status
        stored = (await client.get("/v1/tasks")).json()["tasks"]
        assert len(stored) == (status == 202)
    if status == 415:
        assert answer.json()["error"]["code"] == "unsupported_media_type"
        assert "Content-Type: application/json" in answer.json()["error"]["hint"]


async def test_a_body_in_chunks_needs_its_type_too() -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield json.dumps(DOC).encode()

    async with behind() as client:
        answer = await client.post("/v1/async/submit", content=chunks())
    assert answer.status_code == 415


async def test_a_post_without_a_body_needs_no_type() -> None:
    async with behind() as client:
        assert (await client.post("/v1/queue/pause")).status_code == 200


# --- sockets --------------------------------------------------------------------------------------


def test_an_address_that_is_taken_says_so_and_keeps_no_other() -> None:
    free, taken = free_port(), socket.socket()
    with closing(taken):
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        busy = Address("127.0.0.1", taken.getsockname()[1])
        with pytest.raises(Unavailable, match=f"cannot listen on {busy}: somebody listens") as told:
            tcp.bind([Address("127.0.0.1", free), busy])
        assert "ss -ltnp" in told.value.hint
        tcp.bind([Address("127.0.0.1", free)])[0].close()


def test_an_address_of_another_machine_says_so() -> None:
    with pytest.raises(Unavailable, match="this machine has no such address"):
        tcp.bind([address("192.0.2.7:8420")])


def test_both_wildcards_may_be_listened_on_at_once() -> None:
    port = free_port()
    both = tcp.bind([Address("0.0.0.0", port), Address("::", port)])
    try:
        for sock in both:
            sock.listen()
    finally:
        for sock in both:
            sock.close()


def test_a_port_of_root_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(*_: Any) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(socket.socket, "bind", denied)  # the user of this test may be root
    with pytest.raises(Unavailable, match="takes root to listen below port 1024"):
        tcp.bind([address("127.0.0.1:80")])


@contextmanager
def listening(folder: Path, *addresses: str) -> Iterator[Api]:
    with served(folder / "ygg.sock", listen=addresses) as found:
        yield found


def test_all_its_addresses_answer_and_none_after_it_stopped(tmp_path: Path) -> None:
    four, six = free_port(), free_port("::1")
    with listening(tmp_path, f"127.0.0.1:{four}", f"[::1]:{six}"):
        for base in (f"http://127.0.0.1:{four}", f"http://localhost:{four}", f"http://[::1]:{six}"):
            assert httpx.get(f"{base}/v1/queue").json()["paused"] is False
            assert httpx.get(f"{base}/v1/queue", headers={"Host": "evil"}).status_code == 403
            assert httpx.post(f"{base}/v1/async/submit", json=DOC).status_code == 202
        transport = httpx.HTTPTransport(uds=str(tmp_path / "ygg.sock"))
        with httpx.Client(transport=transport) as unix:
            odd = unix.post("http://evil/v1/async/submit", content=json.dumps(DOC), headers={"Origin": "http://x"})  # fmt: skip
            assert odd.status_code == 202, "the unix socket is for programs alone"
    for host, port in (("127.0.0.1", four), ("::1", six)):
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((host, port), 5)


def test_a_refusal_does_not_wait_for_the_body(tmp_path: Path) -> None:
    port = free_port()
    with listening(tmp_path, f"127.0.0.1:{port}"):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        headers = {"Host": "evil", "Content-Length": str(10**9), "Content-Type": "application/json"}
        connection.putrequest("POST", "/v1/tasks", skip_host=True)
        for name, value in headers.items():
            connection.putheader(name, value)
        connection.endheaders()
        answer = connection.getresponse()
        assert (answer.status, json.loads(answer.read())["error"]["code"]) == (403, "forbidden")
        connection.close()


def test_the_door_is_taken_once(tmp_path: Path) -> None:
    door = Door(tmp_path / "ygg.sock", listen=[f"127.0.0.1:{free_port()}"])
    try:
        assert door.take() == door.take()
        assert str(door) == f"socket {tmp_path}/ygg.sock, http://{door.listen[0]}"
    finally:
        door.leave()
    again = Door(tmp_path / "ygg.sock", listen=map(str, door.listen))
    again.take()
    again.leave()


def test_settings_are_asked_anew_each_time() -> None:
    settings = model.Api()
    border = Border(build_app, lambda: settings, Callers(lambda: 0))  # type: ignore[arg-type]
    assert not border._is_ours("gpu.lan", "127.0.0.1")
    settings = replace(settings, hosts=("gpu.lan",))
    assert border._is_ours("gpu.lan", "127.0.0.1")
