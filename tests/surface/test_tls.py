"""HTTPS on the TCP addresses: what is shown, what is spoken, and that nobody who does not finish holds anything."""

from __future__ import annotations

import asyncio
import http.client
import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import httpx
import pytest
import uvloop

from tests.cases.certificate import self_signed
from tests.surface.test_tcp import DOC, free_port
from tests.surface.world import Api, served
from tests.system.rig import until
from ygg.api import connections, server, tls
from ygg.api.credentials import Credentials, read
from ygg.api.server import Door
from ygg.model import Api as Settings
from ygg.model import Tls

HOST = "127.0.0.1"
LOOPS: list[Callable[[], asyncio.AbstractEventLoop]] = [asyncio.new_event_loop, uvloop.new_event_loop]  # fmt: skip


def certificate(folder: Path, name: str = "one") -> tuple[Credentials, ssl.SSLContext]:
    """A new one, and who trusts that one alone."""
    path = folder / f"{name}.pem"
    path.write_bytes(self_signed(HOST))
    trusting = ssl.create_default_context(cafile=str(path))
    return read(Settings(tls=Tls(str(path), str(path)))), trusting


class Encrypted:
    """A server with a certificate on TCP, and its unix socket."""

    def __init__(self, folder: Path, port: int, shown: Credentials, trusting: ssl.SSLContext) -> None:  # fmt: skip
        self.folder, self.port, self.shown, self.trusting = folder, port, shown, trusting
        self.base = f"https://{HOST}:{port}"

    def client(self, trusting: ssl.SSLContext | None = None) -> httpx.Client:
        return httpx.Client(base_url=self.base, verify=trusting or self.trusting)

    def unix(self) -> httpx.Client:
        return httpx.Client(transport=httpx.HTTPTransport(uds=str(self.folder / "ygg.sock")), base_url="http://ygg")  # fmt: skip

    def raw(self) -> socket.socket:
        found = socket.create_connection((HOST, self.port), 5)
        found.settimeout(10)
        return found


@contextmanager
def encrypted(
    folder: Path, new_loop: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop
) -> Iterator[tuple[Encrypted, Api]]:
    shown, trusting = certificate(folder)
    port = free_port()
    with served(
        folder / "ygg.sock", new_loop=new_loop, listen=[f"{HOST}:{port}"], credentials=shown
    ) as found:
        yield Encrypted(folder, port, shown, trusting), found


@pytest.fixture(params=LOOPS, ids=["asyncio", "uvloop"])
def door(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Encrypted]:
    with encrypted(tmp_path, request.param) as (found, _):
        yield found


def test_tcp_is_encrypted_and_the_unix_socket_is_not(door: Encrypted) -> None:
    with door.client() as tcp, door.unix() as unix:
        for client in (tcp, unix):
            for _ in range(3):
                assert client.get("/v1/queue").json()["paused"] is False
            assert client.post("/v1/async/submit", json=DOC).status_code == 202
        assert tcp.get("/v1/queue", headers={"Origin": door.base}).status_code == 200
        assert tcp.get("/v1/queue", headers={"Origin": "https://evil"}).status_code == 403
        assert tcp.get("/v1/queue", headers={"Host": "evil"}).status_code == 403


def test_many_clients_at_once_are_all_answered(door: Encrypted) -> None:
    statuses: list[int] = []

    def ask() -> None:
        with door.client() as client:
            statuses.extend(client.post("/v1/async/submit", json=DOC).status_code for _ in range(5))

    threads = [threading.Thread(target=ask) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert statuses == [202] * 100


def test_a_large_body_and_a_stream_come_through(door: Encrypted) -> None:
    doc = {**DOC, "messages": [{"role": "user", "content": "x" * 2_000_000}]}
    with door.client() as client:
        task = client.post("/v1/async/submit", json=doc).json()["task_id"]
        with client.stream("GET", f"/v1/tasks/{task}/follow") as events:
            told = [json.loads(line[6:]) for line in events.iter_lines() if line]
        assert events.status_code == 200
        assert told


def test_plain_http_is_refused_and_harms_nobody(door: Encrypted) -> None:
    for said in (b"GET /v1/queue HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", b"\0" * 500, b"\x16\x03\x01\xff\xff", b""):  # fmt: skip
        with closing(door.raw()) as plain:
            plain.sendall(said)
            plain.shutdown(socket.SHUT_WR)
            assert _rest(plain)[:4] not in (b"HTTP", b'{"er')
    with door.client() as client:
        assert client.get("/v1/queue").status_code == 200


def _rest(sock: socket.socket) -> bytes:
    found = b""
    try:
        while part := sock.recv(4096):
            found += part
    except ConnectionResetError:
        pass
    return found


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_nothing_older_than_tls_1_2_is_spoken(door: Encrypted) -> None:
    old = ssl.create_default_context(cafile=str(door.folder / "one.pem"))
    old.minimum_version = ssl.TLSVersion.TLSv1
    old.maximum_version = ssl.TLSVersion.TLSv1_1
    old.set_ciphers("ALL:@SECLEVEL=0")
    with closing(door.raw()) as plain, pytest.raises(ssl.SSLError):
        old.wrap_socket(plain, server_hostname=HOST)
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        door.trusting.minimum_version = ssl.TLSVersion.TLSv1_2
        door.trusting.maximum_version = version
        with door.client(door.trusting) as client:
            assert client.get("/v1/queue").status_code == 200


def test_what_comes_in_one_piece_with_the_handshake_is_answered(door: Encrypted) -> None:
    """The last word of the handshake and the request, in one segment."""
    into, out = ssl.MemoryBIO(), ssl.MemoryBIO()
    side = door.trusting.wrap_bio(into, out, server_hostname=HOST)
    with closing(door.raw()) as plain:
        while True:
            try:
                side.do_handshake()
                break
            except ssl.SSLWantReadError:
                plain.sendall(out.read())
                into.write(plain.recv(65536))
        side.write(b"GET /v1/queue HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
        plain.sendall(out.read())
        into.write(_rest(plain))
        assert side.read(12) == b"HTTP/1.1 200"


def test_a_new_certificate_is_shown_to_who_connects_and_who_is_connected_goes_on(
    door: Encrypted,
) -> None:
    fresh, trusting = certificate(door.folder, "two")
    with door.client() as before:
        assert before.get("/v1/queue").status_code == 200
        door.shown.become(fresh)
        assert before.get("/v1/queue").status_code == 200
        with door.client(trusting) as after:
            assert after.get("/v1/queue").status_code == 200
        with door.client() as too_late, pytest.raises(httpx.ConnectError):
            too_late.get("/v1/queue")


def test_a_handshake_that_does_not_end_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tls, "HANDSHAKE_S", 0.2)
    with encrypted(tmp_path) as (door, _), closing(door.raw()) as silent:
        silent.sendall(b"\x16\x03\x01")
        assert _rest(silent) == b""


def test_who_shakes_hands_takes_a_place_that_others_get(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rooms: list[connections.Room] = []

    def small(_: int) -> connections.Room:
        rooms.append(connections.Room(3))
        return rooms[0]

    monkeypatch.setattr(server, "Room", small)
    monkeypatch.setattr(tls, "HANDSHAKE_S", 600)
    with encrypted(tmp_path) as (door, _):
        silent = [door.raw() for _ in range(10)]
        for one in silent[:7]:
            assert _rest(one) == b"", "the oldest made room"
        with door.client() as client:
            assert client.get("/v1/queue").status_code == 200
        for one in silent:
            one.close()
        until(lambda: not rooms[0]._open, what="all places are free")


@pytest.mark.parametrize("new_loop", LOOPS, ids=["asyncio", "uvloop"])
def test_a_stop_waits_for_no_handshake_and_leaves_nothing_open(
    tmp_path: Path, new_loop: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    with encrypted(tmp_path, new_loop) as (door, _):
        silent, half = door.raw(), door.raw()
        half.sendall(b"\x16\x03\x01")
        idle = http.client.HTTPSConnection(HOST, door.port, context=door.trusting, timeout=10)
        idle.request("GET", "/v1/queue")
        assert idle.getresponse().read()
    for one in (silent, half):
        assert _rest(one) == b""
        one.close()
    idle.close()
    with pytest.raises(ConnectionRefusedError):
        door.raw()


def test_the_door_says_which_it_speaks(tmp_path: Path) -> None:
    shown, _ = certificate(tmp_path)
    door = Door(tmp_path / "ygg.sock", listen=["127.0.0.1:8420"], credentials=shown)
    assert str(door) == f"socket {tmp_path}/ygg.sock, https://127.0.0.1:8420"
    shown.become(Credentials())
    assert str(door).endswith(", http://127.0.0.1:8420")
