"""The server on its socket: who may connect, what is stale, how it stops."""

from __future__ import annotations

import asyncio
import http.client
import os
import shutil
import socket
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.surface.world import Api, api, served
from ygg.api import server as server_module
from ygg.api.app import build_app
from ygg.api.server import Door, bind, serve
from ygg.client import Remote
from ygg.desk import Desk
from ygg.errors import Unavailable

PROMPT = {"prompt": "hello"}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run" / "ygg.sock"


@pytest.fixture(params=["asyncio", "uvloop"])
def new_loop(request: pytest.FixtureRequest) -> Callable[[], asyncio.AbstractEventLoop]:
    """The loops a daemon may run on."""
    made: Callable[[], asyncio.AbstractEventLoop] = pytest.importorskip(
        request.param
    ).new_event_loop
    return made


@pytest.fixture
def live(path: Path, new_loop: Callable[[], asyncio.AbstractEventLoop]) -> Iterator[Api]:
    with served(path, new_loop=new_loop) as found:
        yield found


def test_a_socket_that_was_handed_to_another_process_is_not_ours() -> None:
    env = {"LISTEN_PID": str(os.getpid() + 1), "LISTEN_FDS": "1", "LISTEN_FDNAMES": "x", "A": "b"}
    assert server_module.handed_over(env) is None
    assert env == {"A": "b"}, "no child may take them for its own"
    assert server_module.handed_over({"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "0"}) is None


def test_the_socket_is_for_owner_and_group_in_a_directory_all_may_enter(path: Path) -> None:
    before = os.umask(0o022)
    try:
        bind(path).close()
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o660
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o755


def test_the_socket_is_given_to_the_group_of_ygg(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[Any] = []
    monkeypatch.setattr(shutil, "chown", lambda p, group: given.append((p, group)))
    bind(path).close()
    assert given == [(path, "ygg")]


def test_a_missing_group_is_no_error(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "GROUP", "no-such-group-anywhere")
    bind(path).close()
    assert path.is_socket()


def test_a_socket_nobody_answers_on_is_replaced(path: Path) -> None:
    bind(path).close()
    assert path.is_socket()
    with bind(path) as sock:
        sock.listen()
        Desk(Remote(path)).close()


def test_a_socket_somebody_answers_on_is_left_alone(path: Path, live: Api) -> None:
    before = path.stat().st_ino
    with pytest.raises(Unavailable, match="another daemon answers"):
        bind(path)
    assert path.stat().st_ino == before
    remote = Desk(Remote(path))
    assert remote.status(probe=False)["daemon"]
    remote.close()


def test_a_file_that_is_no_socket_is_never_removed(path: Path) -> None:
    path.parent.mkdir()
    path.write_text("somebody's notes")
    with pytest.raises(Unavailable, match="is no socket"):
        bind(path)
    assert path.read_text() == "somebody's notes"


def test_a_directory_that_cannot_be_made_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("a file")
    with pytest.raises(Unavailable, match="cannot be made"):
        bind(tmp_path / "run" / "ygg" / "ygg.sock")


def test_a_path_too_long_for_a_socket_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="path too long"):
        bind(tmp_path / ("d" * 120) / "ygg.sock")


def test_the_socket_is_gone_after_the_server(
    path: Path, new_loop: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    with served(path, new_loop=new_loop):
        assert path.is_socket()
    assert not path.exists()


def test_one_connection_serves_many_requests(path: Path, live: Api) -> None:
    remote = Remote(path)
    desk = Desk(remote)
    desk.status(probe=False)
    first = remote._connection.sock
    for _ in range(20):
        desk.tasks()
    assert remote._connection.sock is first
    remote.close()


async def test_stopping_does_not_wait_for_a_stream(path: Path) -> None:
    async with api() as found:
        found.surtr.latency_s = 1e6
        answer = await found.handlers.submits.submit({"tasks": [PROMPT]})
        task_id = answer["tasks"][0]["id"]
        async with serve(build_app(found.handlers), Door(path)):
            reader, writer = await asyncio.open_unix_connection(str(path))
            writer.write(f"GET /v1/tasks/{task_id}/follow HTTP/1.1\r\nHost: ygg\r\n\r\n".encode())
            assert b"200 OK" in await reader.readline()
            began = time.monotonic()
        assert time.monotonic() - began < 5
        writer.close()
        await writer.wait_closed()


def test_a_connection_made_while_the_server_stops_is_closed(
    path: Path, new_loop: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    for _ in range(5):
        with served(path, new_loop=new_loop):
            remote = Desk(Remote(path))
        with pytest.raises(Unavailable):
            remote.tasks()  # at once: not after the minute an answer may take
        remote.close()


async def test_signals_stay_ours(path: Path) -> None:
    import signal

    before = [signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)]
    async with api() as found, serve(build_app(found.handlers), Door(path)):
        assert [signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)] == before


def test_a_body_over_the_limit_is_refused_and_the_connection_goes_on(path: Path, live: Api) -> None:
    remote = Remote(path)
    connection = remote._connection
    connection.request("POST", "/v1/async/submit", b" " * (17 * 1024 * 1024))
    response = connection.getresponse()
    assert response.status == 413
    response.read()
    assert Desk(remote).tasks()["tasks"] == []
    remote.close()


def test_a_client_that_leaves_in_the_middle_of_its_body_harms_nobody(
    path: Path, live: Api, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as rude:
        rude.connect(str(path))
        rude.sendall(b"POST /v1/tasks HTTP/1.1\r\nHost: ygg\r\nContent-Length: 100\r\n\r\n{")
    remote = Desk(Remote(path))
    assert remote.tasks()["tasks"] == []
    remote.close()
    assert not [r for r in caplog.records if r.levelname in ("ERROR", "CRITICAL")]


def test_what_is_no_http_is_answered_with_400(path: Path, live: Api) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as odd:
        odd.connect(str(path))
        odd.sendall(b"\0\1\2 nonsense\r\n\r\n")
        response = http.client.HTTPResponse(odd)
        response.begin()
        assert response.status == 400
        response.read()
        response.close()
