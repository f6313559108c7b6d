"""Connections of clients: their number is bounded, and a request that stops coming ends."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator
from http.client import HTTPResponse
from pathlib import Path

import pytest

from tests.surface.world import served
from tests.system.rig import until
from ygg.api import app, connections, server
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
