"""Reaching the daemon: which socket, whose, and what when it goes away."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.surface.world import Api, served
from ygg import client as client_module
from ygg import desk as desk_module
from ygg import errors, locking, meant
from ygg.client import Remote, connect
from ygg.desk import Desk, error_of, in_parts, waited
from ygg.errors import Conflict, InvalidInput, NotFound, StoreFull, Unavailable, YggError

PROMPT = {"prompt": "hello"}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run" / "ygg.sock"


@pytest.fixture
def live(path: Path) -> Iterator[Api]:
    with served(path) as found:
        yield found


@pytest.fixture
def remote(path: Path, live: Api) -> Iterator[Desk]:
    found = Desk(Remote(path))
    yield found
    found.close()


def env(tmp_path: Path, **more: str) -> dict[str, str]:
    return {"HOME": str(tmp_path), **more}


# --- finding the socket ---------------------------------------------------------------------------


def test_there_may_be_no_daemon_at_all(tmp_path: Path) -> None:
    assert connect(None, env(tmp_path)) is None


@pytest.mark.parametrize("how", ["explicit", "YGG_SOCKET", "XDG_RUNTIME_DIR"])
def test_the_daemon_is_found_where_it_may_be(how: str, tmp_path: Path) -> None:
    path = tmp_path / "run" / "ygg" / "ygg.sock"
    where = {"YGG_SOCKET": str(path), "XDG_RUNTIME_DIR": str(tmp_path / "run")}
    with served(path):
        explicit = str(path) if how == "explicit" else None
        more = {} if how == "explicit" else {how: where[how]}
        found = connect(explicit, env(tmp_path, **more))
        assert found is not None
        assert (found.where, found.online) == (f"daemon at {path}", True)
        found.close()


def test_a_socket_nobody_listens_on_counts_as_none(tmp_path: Path, path: Path) -> None:
    path.parent.mkdir()
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    assert connect(None, env(tmp_path, XDG_RUNTIME_DIR=str(path.parents[1]))) is None


@pytest.mark.parametrize("how", ["explicit", "YGG_SOCKET"])
def test_where_nobody_listens_on_a_socket_that_was_named_nothing_else_is_tried(
    tmp_path: Path, path: Path, how: str
) -> None:
    path.parent.mkdir()
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    more = {"YGG_SOCKET": str(path)} if how == "YGG_SOCKET" else {}
    with pytest.raises(Unavailable, match="nobody answers"):
        connect(None if more else str(path), env(tmp_path, **more))


def test_a_named_socket_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="no socket at") as caught:
        connect(str(tmp_path / "missing.sock"), env(tmp_path))
    assert caught.value.exit_code == 69


def test_a_socket_that_may_not_be_opened_says_how_to_join(
    tmp_path: Path, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: client_module._Connection) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(client_module._Connection, "connect", refuse)
    with pytest.raises(Unavailable, match="may not be opened by you") as caught:
        connect(None, env(tmp_path, YGG_SOCKET=str(path)))
    assert "usermod -aG ygg" in caught.value.hint


def test_a_file_that_is_no_socket_is_named(tmp_path: Path) -> None:
    (tmp_path / "notes").write_text("x")
    with pytest.raises(Unavailable, match="notes"):
        connect(None, env(tmp_path, YGG_SOCKET=str(tmp_path / "notes")))


def test_a_daemon_that_starts_is_waited_for(
    tmp_path: Path, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has the database and says where it will listen; it does so after the first look."""
    handle = locking.lock(tmp_path / ".local/state/ygg/ygg.db", dispatcher=True, socket=path)
    looks: list[meant.Door] = []
    look = client_module._try
    with ExitStack() as started:

        def tell(door: meant.Door, slow: None) -> Remote | None:
            looks.append(door)
            if len(looks) == 2:
                started.enter_context(served(path))
            return look(door, slow)

        monkeypatch.setattr(client_module, "_try", tell)
        found = connect(None, env(tmp_path))
        assert found is not None
        found.close()
    os.close(handle)
    assert looks == [meant.Door(path, os.geteuid())] * 2


def test_a_daemon_that_never_listens_is_named(
    tmp_path: Path, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_module, "WAIT_S", 0.1)
    handle = locking.lock(tmp_path / ".local/state/ygg/ygg.db", dispatcher=True, socket=path)
    with pytest.raises(Unavailable, match=f"process {os.getpid()}.* does not answer on {path}"):
        connect(None, env(tmp_path))
    os.close(handle)
    assert connect(None, env(tmp_path)) is None


# --- a daemon that goes away ----------------------------------------------------------------------


def test_an_idle_connection_the_daemon_closed_is_renewed(tmp_path: Path, path: Path) -> None:
    with served(path):
        remote = Desk(Remote(path))
        (task,) = remote.submit([PROMPT])
    with served(path):  # another one, started again in the same place
        (again,) = remote.submit([PROMPT])
        assert again["id"] != task["id"]
        remote.close()


def test_a_daemon_that_is_gone_is_unavailable(path: Path) -> None:
    with served(path):
        remote = Desk(Remote(path))
    for call in (remote.tasks, lambda: remote.submit([PROMPT])):
        with pytest.raises(Unavailable, match=r"does not answer|closed the connection") as caught:
            call()
        assert caught.value.hint
    remote.close()


@contextmanager
def scripted(path: Path, answers: list[bytes]) -> Iterator[list[bytes]]:
    """A server that reads one request per connection, sends the next answer and closes."""
    path.parent.mkdir(exist_ok=True)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()
    asked: list[bytes] = []

    def run() -> None:
        for answer in answers:
            peer, _ = listener.accept()
            with peer:
                asked.append(_request(peer))
                peer.sendall(answer)
        listener.close()  # one more is refused, it does not hang

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield asked
        thread.join(10)
        assert not thread.is_alive(), "an answer was not asked for"
    finally:
        listener.close()


def _request(peer: socket.socket) -> bytes:
    """All of one request: closing with some of it unread would reset the connection."""
    with peer.makefile("rb") as lines:
        head = b"".join(iter(lines.readline, b"\r\n"))
        length = re.search(rb"(?i)content-length: *(\d+)", head)
        return head + (lines.read(int(length[1])) if length else b"")


def _http(body: bytes, status: str = "200 OK", more: str = "") -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{more}\r\n"
    return head.encode() + body


def test_a_read_that_was_cut_is_asked_once_more(path: Path) -> None:
    with scripted(path, [b"", _http(b'{"tasks": []}')]) as asked:
        remote = Desk(Remote(path))
        assert remote.tasks() == {"tasks": []}
        remote.close()
    assert len(asked) == 2


def test_a_submit_that_was_cut_is_never_sent_twice(path: Path) -> None:
    with scripted(path, [b""]) as asked:
        remote = Desk(Remote(path))
        with pytest.raises(Unavailable, match="closed the connection"):
            remote.submit([PROMPT])
        remote.close()
    assert len(asked) == 1


def test_an_answer_that_is_no_json_is_unavailable(path: Path) -> None:
    with scripted(path, [_http(b"<html>")]):
        remote = Desk(Remote(path))
        with pytest.raises(Unavailable, match="no JSON"):
            remote.status()
        remote.close()


def test_a_stream_that_stops_before_the_end_is_unavailable(path: Path) -> None:
    stream = b'data: {"event": "piece", "content": "a", "thinking": ""}\n\n'
    with scripted(path, [b"", _http(stream)]):
        remote = Desk(Remote(path))
        with pytest.raises(Unavailable):
            remote.submit([PROMPT])  # uses up the first, empty answer
        events = remote.follow("abcd")
        assert next(events)["content"] == "a"
        with pytest.raises(Unavailable, match="ended the stream"):
            next(events)
        remote.close()


def test_when_to_come_back_reaches_the_caller(path: Path) -> None:
    body = b'{"error": {"code": "queue_full", "message": "full", "hint": ""}}'
    with scripted(path, [_http(body, "503 Service Unavailable", "Retry-After: 10\r\n")]):
        remote = Desk(Remote(path))
        with pytest.raises(errors.QueueFull) as caught:
            remote.submit([PROMPT])
        assert caught.value.retry_after_s == 10.0
        remote.close()


# --- errors ---------------------------------------------------------------------------------------

KINDS = [k for k in vars(errors).values() if isinstance(k, type) and issubclass(k, YggError)]


@pytest.mark.parametrize("kind", KINDS)
def test_every_error_comes_back_as_what_it_was(kind: type[YggError]) -> None:
    found = error_of({"code": kind.code, "message": "m", "hint": "h"})
    assert (type(found), found.message, found.hint) == (kind, "m", "h")


def test_errors_keep_their_exit_codes_over_the_socket(remote: Desk) -> None:
    with pytest.raises(NotFound) as missing:
        remote.show("nothing-here")
    with pytest.raises(InvalidInput) as wrong:
        remote.tasks(state=["done"])
    assert (missing.value.exit_code, wrong.value.exit_code) == (3, 2)


def test_a_result_before_the_end_is_a_conflict(remote: Desk, live: Api) -> None:
    live.surtr.latency_s = 1e6
    (task,) = remote.submit([PROMPT])
    with pytest.raises(Conflict, match="has not ended"):
        remote.result(task["id"])


# --- streams and waiting --------------------------------------------------------------------------


def test_following_yields_the_answer_as_it_comes(remote: Desk) -> None:
    (task,) = remote.submit([PROMPT])
    start, *pieces, end = remote.follow(task["id"])
    assert (start["event"], start["host"]) == ("attempt", "surtr")
    assert "".join(p["content"] for p in pieces) == f"{task['id']}:0 {task['id']}:1 "
    assert (end["event"], end["state"]) == ("end", "completed")


def test_following_and_asking_at_the_same_time(remote: Desk) -> None:
    (task,) = remote.submit([PROMPT])
    events = remote.follow(task["id"])
    next(events)
    assert remote.show(task["id"])["id"] == task["id"]
    assert list(events)[-1]["state"] == "completed"


def test_following_what_is_not_there_is_not_found(remote: Desk) -> None:
    with pytest.raises(NotFound):
        next(remote.follow("nothing-here"))


def test_waiting_returns_with_the_end(remote: Desk) -> None:
    (task,) = remote.submit([PROMPT])
    assert remote.wait(task["id"], 20)["state"] == "completed"


def test_waiting_returns_with_the_time(remote: Desk, live: Api) -> None:
    live.surtr.latency_s = 1e6
    (task,) = remote.submit([PROMPT])
    assert remote.wait(task["id"], 0.05)["state"] in ("queued", "processing")


def test_waiting_longer_than_one_poll_polls_again(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(0, 10_000, 25))
    monkeypatch.setattr(desk_module.time, "monotonic", lambda: float(next(clock)))
    polls: list[float] = []

    def once(seconds: float) -> dict[str, str]:
        polls.append(seconds)
        return {"state": "queued"}

    assert waited(once, 100) == {"state": "queued"}
    assert polls == [30.0, 30.0, 25.0]


# --- parts ----------------------------------------------------------------------------------------


def test_a_long_list_is_sent_in_parts_and_answered_in_order(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(desk_module, "PART", 3)
    sent: list[list[int]] = []

    def send(docs: list[int]) -> list[dict[str, int]]:
        sent.append(docs)
        return [{"n": d} for d in docs]

    docs = list(range(8))
    assert in_parts(send, docs, atomic=False) == [{"n": n} for n in docs]
    assert [len(p) for p in sent] == [3, 3, 2]
    sent.clear()
    in_parts(send, docs, atomic=True)
    assert [len(p) for p in sent] == [8]


def test_big_documents_make_small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desk_module, "PART_BYTES", 1000)
    sizes: list[int] = []

    def send(docs: list[str]) -> list[dict[str, str]]:
        sizes.append(len(docs))
        return [{"d": d} for d in docs]

    in_parts(send, ["x" * 400] * 7, atomic=False)
    assert sizes == [3, 3, 1]


def test_an_error_in_a_later_part_keeps_what_was_acknowledged(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(desk_module, "PART", 2)

    def send(docs: list[int]) -> list[dict[str, object]]:
        if 3 in docs:
            raise StoreFull("no space", hint="free some")
        return [{"n": d} for d in docs]

    answers = in_parts(send, [1, 2, 3, 4, 5], atomic=False)
    full = {"error": {"code": "store_full", "message": "no space", "hint": "free some"}}
    assert answers == [{"n": 1}, {"n": 2}, full, full, full]
    with pytest.raises(StoreFull):
        in_parts(send, [3, 4], atomic=False)


# --- start-up -------------------------------------------------------------------------------------


def test_the_client_loads_nothing_heavy() -> None:
    code = "import sys, ygg.client; print(*sorted(m.split('.')[0] for m in sys.modules))"
    out = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env=dict(os.environ),
    )
    loaded = set(out.stdout.split())
    assert not loaded & {
        "asyncio",
        "pydantic",
        "httpx",
        "fastapi",
        "starlette",
        "yaml",
        "rich",
        "apsw",
    }
