"""HEAD, which is GET without a body, and targets that name their server."""

from __future__ import annotations

import http.client
import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.surface.test_tcp import free_port
from tests.surface.world import HELLO, Api, served
from ygg.desk import VERBS

READS = [verb for verb in VERBS if verb.method == "GET"]


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def home(tmp_path: Path, port: int) -> Iterator[Api]:
    """Over TCP too; a call takes longer than any test."""
    with served(tmp_path / "ygg.sock", 1e6, listen=[f"127.0.0.1:{port}"]) as found:
        yield found


@pytest.fixture
def client(home: Api, port: int) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=5) as found:
        yield found


@pytest.fixture
def task(client: httpx.Client) -> str:
    doc = {"agent_type": "general", "messages": HELLO}
    return str(client.post("/v1/async/submit", json=doc).json()["task_id"])


@pytest.fixture
def batch(client: httpx.Client) -> str:
    docs = [{"agent_type": "general", "messages": HELLO}] * 2
    return str(client.post("/v1/async/submit-batch", json={"requests": docs}).json()["batch_id"])


@pytest.mark.parametrize("path", [v.path for v in READS if not v.streams])
def test_head_answers_as_get_without_a_body_and_at_once(
    client: httpx.Client, task: str, batch: str, path: str
) -> None:
    """Also where a GET waits: half a minute, or as long as it asks."""
    url = path.format(task_id=task, batch_id=batch, host="surtr", name="none")
    polls = "/wait" in path or "/async/status" in path or "/async/result" in path
    waits = {"timeout": "60"} if "/wait" in path else {"wait": "60"}
    head = client.head(url, params=waits if polls else {})
    get = client.get(url, params=dict.fromkeys(waits, "0") if polls else {})
    assert (head.status_code, head.content) == (get.status_code, b"")
    assert head.headers["Content-Type"] == get.headers["Content-Type"]
    assert int(head.headers["Content-Length"]) > 0
    assert client.get("/healthz").status_code == 200, "the connection goes on"


@pytest.mark.parametrize("path", [v.path for v in READS if v.streams])
def test_head_of_a_stream_has_its_headers_and_no_event(
    client: httpx.Client, task: str, path: str, home: Api
) -> None:
    head = client.head(path.format(task_id=task))
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["Content-Type"].startswith("text/event-stream")
    assert not home.house.dispatcher.loop.streams.followed(task)
    assert client.head(path.format(task_id="nothing-here")).status_code == 404


def test_who_looks_has_not_read_a_result(client: httpx.Client, task: str, home: Api) -> None:
    client.delete(f"/v1/async/cancel/{task}")
    assert client.head(f"/v1/async/result/{task}").status_code == 200
    assert task not in home.house.store._read
    client.get(f"/v1/async/result/{task}")
    assert task in home.house.store._read


def test_what_changes_something_has_no_head(client: httpx.Client, task: str) -> None:
    answer = client.head(f"/v1/async/cancel/{task}")
    assert (answer.status_code, answer.headers["Allow"]) == (405, "DELETE")
    assert client.put("/v1/hosts").headers["Allow"] in ("GET, HEAD", "HEAD, GET")
    assert client.head("/v1/async/status/x", params={"wait": "soon"}).status_code == 422


# --- absolute targets -----------------------------------------------------------------------------


def asked(port: int, target: str, host: str, version: str = "HTTP/1.1") -> tuple[int, str]:
    """Status and body of a GET, as it stands on the line."""
    with socket.create_connection(("127.0.0.1", port), 5) as sock:
        sock.sendall(
            f"GET {target} {version}\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode()
        )
        response = http.client.HTTPResponse(sock)
        response.begin()
        return response.status, response.read().decode()


@pytest.mark.parametrize(
    "target",
    ["http://127.0.0.1:{}/healthz", "HTTP://LOCALHOST:{}/healthz", "http://localhost/healthz?", "http://[::1]:{}/healthz", "https://localhost/healthz"],
)  # fmt: skip
def test_a_target_that_names_this_server_is_served_whatever_host_says(
    home: Api, port: int, target: str
) -> None:
    for host in (f"127.0.0.1:{port}", "evil.example"):
        assert asked(port, target.format(port), host)[0] == 200


def test_the_query_and_what_is_escaped_come_through(home: Api, port: int) -> None:
    status, text = asked(port, f"http://localhost:{port}/v1/tasks?limit=0", "x")
    assert (status, "limit: expected 1" in text) == (422, True)
    status, text = asked(port, "http://localhost/v1/async/status/%61bcd", "x")
    assert (status, "no task abcd" in text) == (404, True)
    assert asked(port, "http://localhost", "localhost")[0] == 404
    assert asked(port, "http://localhost?x=1", "localhost")[0] == 404


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("http://evil.example/healthz", 403),
        ("http://evil.example:80/v1/queue", 403),
        ("http://localhost@evil.example/healthz", 400),
        ("http://evil@localhost/healthz", 400),
        ("http:///healthz", 400),
        ("ftp://localhost/healthz", 400),
        ("localhost:80", 400),
    ],
)
def test_a_target_of_another_server_is_refused_though_host_is_ours(
    home: Api, port: int, target: str, status: int
) -> None:
    found, text = asked(port, target, f"127.0.0.1:{port}")
    assert (found, '"code"' in text) == (status, True)
