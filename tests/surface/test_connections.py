"""Connections of clients: their number is bounded, and a request that stops coming ends."""

from __future__ import annotations

import asyncio
import contextlib
import json
import select
import socket
import time
from collections.abc import Iterator
from http.client import HTTPResponse
from pathlib import Path

import pytest
import uvicorn

from tests.surface.world import served
from tests.system.rig import until
from ygg.api import app, connections, held, server
from ygg.client import Remote
from ygg.desk import Desk

QUEUE = b"GET /v1/queue HTTP/1.1\r\nHost: ygg\r\n\r\n"
HALF = b"GET /v1/queue HT"


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A socket with room for three."""
    monkeypatch.setattr(connections, "HEAD_S", 0.2)
    monkeypatch.setattr(app, "BODY_S", 0.2)
    monkeypatch.setattr(server, "Room", lambda _: connections.Room(3))
    found = tmp_path / "ygg.sock"
    with served(found):
        yield found


def said(path: Path, *pieces: bytes) -> socket.socket:
    one = socket.socket(socket.AF_UNIX)
    one.settimeout(5)
    one.connect(str(path))
    for piece in pieces:
        one.sendall(piece)
    return one


def status(one: socket.socket) -> int:
    """The status of one whole answer."""
    response = HTTPResponse(one)
    response.begin()
    response.read()
    return response.status


def gone(one: socket.socket) -> bool:
    """Whether the server has closed the connection."""
    try:
        return one.recv(100_000) == b""
    except ConnectionResetError:
        return True


def test_half_a_head_ends_the_connection(path: Path) -> None:
    for pieces in ((), (HALF,), (HALF, b"TP/1.1\r\nHost: y")):
        with said(path, *pieces) as one:
            assert gone(one)


def test_dripping_does_not_prolong_it(path: Path) -> None:
    with said(path, b"GET / HTTP/1.1\r\n") as one:
        began = time.monotonic()
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            while time.monotonic() - began < 5:
                one.sendall(b"X: y\r\n")
                time.sleep(0.02)
    assert time.monotonic() - began < 3


def test_a_second_head_is_waited_for_as_the_first_was(path: Path) -> None:
    with said(path, QUEUE) as one:
        assert status(one) == 200
        time.sleep(0.4)  # an idle connection stays
        one.sendall(QUEUE)
        assert status(one) == 200
        one.sendall(HALF)
        assert gone(one)


def test_a_body_that_stops_coming_is_an_error(path: Path) -> None:
    head = b"POST /v1/tasks HTTP/1.1\r\nHost: y\r\nContent-Length: 100\r\n\r\n"
    with said(path, head, b'{"tasks"') as one:
        assert status(one) == 408


def test_a_body_that_drips_is_an_error(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    head = b"POST /v1/tasks HTTP/1.1\r\nHost: y\r\nContent-Length: 10000000\r\n\r\n"
    with said(path, head) as one:
        began = time.monotonic()
        while not ready(one, 0.02) and time.monotonic() - began < 5:
            one.sendall(b" ")
        assert status(one) == 408
    assert time.monotonic() - began < 3


def test_a_slow_body_that_comes_steadily_is_taken(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "BODY_RATE", 50)
    head = b"POST /v1/tasks HTTP/1.1\r\nHost: y\r\nContent-Length: 112\r\n\r\n"
    with said(path, head) as one:
        for _ in range(10):  # 0.5 s, a second or more by its bytes
            assert not ready(one, 0.05)
            one.sendall(b" " * 10)
        one.sendall(b'{"tasks":[]}')
        assert status(one) == 200


def test_what_is_left_of_a_body_after_its_answer_is_not_waited_for_long(path: Path) -> None:
    head = b"POST /no HTTP/1.1\r\nHost: y\r\nContent-Length: 10000000\r\n\r\n"
    with said(path, head) as one:
        assert status(one) == 404
        began = time.monotonic()
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            while time.monotonic() - began < 5:
                one.sendall(b" ")
                time.sleep(0.02)
    assert time.monotonic() - began < 3


def test_no_more_is_read_than_can_be_parsed(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A body of chunks of a byte comes many times as fast as it is parsed."""
    waiting: list[int] = []
    parse_on = connections.Connection._parse_on

    def noted(self: connections.Connection) -> None:
        waiting.append(len(self._unparsed))
        parse_on(self)

    monkeypatch.setattr(connections.Connection, "_parse_on", noted)
    head = b"POST /v1/tasks HTTP/1.1\r\nHost: y\r\nTransfer-Encoding: chunked\r\n\r\n"
    with said(path) as one:
        one.settimeout(60)
        one.sendall(head + b"1\r\n \r\n" * 150_000 + b'c\r\n{"tasks":[]}\r\n0\r\n\r\n')
        assert status(one) == 200
    assert len(waiting) > 100
    assert max(waiting) < 600_000  # two reads


class Transport(asyncio.Transport):
    """One that takes everything and tells whether it is read from."""

    reading = True

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def is_closing(self) -> bool:
        return False

    def write(self, data: object) -> None:
        pass

    def close(self) -> None:
        pass


async def test_reading_goes_on_once_all_that_came_is_parsed() -> None:
    """The handler takes what there is of a body meanwhile, and asks for more."""

    async def left(scope: object, receive: object, send: object) -> None:
        await over.wait()

    over = asyncio.Event()
    config = uvicorn.Config(left, log_config=None, lifespan="off", ws="none")
    one = connections.Connection(
        connections.Room(1), config=config, server_state=uvicorn.server.ServerState(), app_state={}
    )
    transport = Transport()
    one.connection_made(transport)
    length = 20 * connections.PIECE
    one.data_received(b"POST / HTTP/1.1\r\nHost: y\r\nContent-Length: %d\r\n\r\n" % length)
    one.data_received(b" " * (length - 1))
    while one._unparsed:
        one.flow.pause_reading()
        one.flow.resume_reading()
        assert not transport.reading
        await asyncio.sleep(0)
    one.flow.resume_reading()  # its body is longer than uvicorn keeps unasked
    assert transport.reading
    one.connection_lost(None)
    over.set()
    await asyncio.gather(*one.tasks)


def test_large_bodies_have_bounded_room_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = held.Bodies(300_000)
    monkeypatch.setattr(app, "Bodies", lambda: room)
    head = b"POST /v1/tasks HTTP/1.1\r\nHost: y\r\nContent-Length: 250000\r\n\r\n"
    path, most = tmp_path / "ygg.sock", b'{"tasks":[]' + b" " * 200_000
    with served(path):
        with said(path, head + most):
            until(lambda: room._held == len(most), what="the first one has its room")
            with said(path, head + most) as second:
                response = HTTPResponse(second)
                response.begin()
                assert json.loads(response.read())["error"]["code"] == "busy"
                assert (response.status, response.headers["Retry-After"]) == (503, "5")
            small = b'{"tasks":[]}'
            with said(path, head.replace(b"250000", b"12") + small) as third:
                assert status(third) == 200
        with said(path, head + most + b" " * (250_000 - len(most) - 1) + b"}") as last:
            assert status(last) == 200


def ready(one: socket.socket, limit_s: float) -> bool:
    """Whether it has something to say."""
    return bool(select.select([one], [], [], limit_s)[0])


def test_silent_connections_make_room_the_oldest_first(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "HEAD_S", 60)
    silent = [said(path, HALF) for _ in range(5)]
    try:
        assert gone(silent[0])
        assert gone(silent[1])
        desk = Desk(Remote(path))
        try:
            assert desk.queue()["paused"] is False
        finally:
            desk.close()
        assert gone(silent[2])
    finally:
        for one in silent:
            one.close()


def test_a_request_under_way_is_not_cut_for_a_new_one(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_: list[connections.Connection] = []
    enter = connections.Room.enter

    def noted(room: connections.Room, connection: connections.Connection) -> None:
        open_.append(connection)
        enter(room, connection)

    monkeypatch.setattr(connections.Room, "enter", noted)
    desk = Desk(Remote(path))
    task = desk.submit([{"prompt": "x", "not_before": "1h"}])[0]["id"]
    follow = f"GET /v1/tasks/{task}/wait?timeout=30 HTTP/1.1\r\nHost: y\r\n\r\n".encode()
    waiting = [said(path, follow) for _ in range(3)]
    try:
        until(lambda: sum(c.working for c in list(open_)) == 3, what="all three are under way")
        with said(path) as fourth:
            assert gone(fourth)
        for one in waiting:
            one.setblocking(False)
            with pytest.raises(BlockingIOError):
                one.recv(1)
    finally:
        desk.close()
        for one in waiting:
            one.close()
    until(lambda: _answers(path), 10, "there is room again")


def _answers(path: Path) -> bool:
    with said(path, QUEUE) as one:
        return status(one) == 200


async def test_a_crowd_is_let_in_by_and_by(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between two turns others are served: what is accepted in one is bounded."""
    accept, accepted, path = socket.socket.accept, 0, tmp_path / "ygg.sock"

    def counted(listening: socket.socket) -> object:
        nonlocal accepted
        found = accept(listening)
        accepted += 1
        return found

    async def nothing(*_: object) -> None: ...

    monkeypatch.setattr(socket.socket, "accept", counted)
    turns = []
    async with server.serve(nothing, server.Door(path)):
        with contextlib.ExitStack() as crowd:
            for _ in range(200):
                crowd.enter_context(said(path))
            while accepted < 200:
                before = accepted
                await asyncio.sleep(0)
                turns.append(accepted - before)
    assert max(turns) <= 64


# --- writes ---------------------------------------------------------------------------------------


class Wire:
    """A transport that remembers what it was given."""

    def __init__(self) -> None:
        self.writes: list[bytes] = []
        self.closed = False

    def write(self, data: bytes) -> None:
        self.writes.append(data)

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True


def joined() -> tuple[connections.Joined, Wire]:
    wire = Wire()
    return connections.Joined(wire, asyncio.get_running_loop()), wire  # type: ignore[arg-type]


async def test_what_is_written_in_one_turn_leaves_together_and_at_its_end() -> None:
    one, wire = joined()
    for piece in (b"head", b"body", b""):
        one.write(piece)
    assert wire.writes == []
    await asyncio.sleep(0)
    one.write(b"next")
    await asyncio.sleep(0)
    assert wire.writes == [b"headbody", b"next"]


async def test_no_more_than_a_piece_waits_for_the_end_of_a_turn() -> None:
    one, wire = joined()
    for _ in range(3):
        one.write(b"x" * connections.PIECE)
    assert wire.writes == [b"x" * 2 * connections.PIECE]


async def test_what_was_written_before_the_end_leaves_and_nothing_after_it() -> None:
    one, wire = joined()
    one.write(b"last")
    one.close()
    assert (wire.writes, wire.closed) == ([b"last"], True)
    one.write(b"too late")
    await asyncio.sleep(0)
    assert wire.writes == [b"last"]
