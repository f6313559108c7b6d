"""Bytes on a TCP connection that are no HTTP, half of it, or HTTP in two readings, while tasks run: each is answered in our
shape or ends, others are answered meanwhile, and nothing of it holds the loop or stays in memory."""

from __future__ import annotations

import json
import resource
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import ExitStack, suppress

import pytest

from tests.cases.house import config
from tests.cases.raw import (
    CHUNKED,
    JSON,
    POST,
    TASK,
    Answer,
    Wrong,
    answers,
    ask,
    chunks,
    drip,
    request,
    told,
    wire,
)  # fmt: skip
from tests.cases.scripted import Reply, scripted
from tests.soak.test_hostile_bodies import ANSWER, GROWTH_KIB, TURN_S, Measured
from tests.surface.test_tcp import free_port
from tests.system.rig import until

OTHERS_S = 2.0  #: on a machine that others use too, nobody waits longer meanwhile
WARM, CASES, MANY = 100, 300, 5000
LENGTH = b"Content-Length: %d" % len(TASK)
HIDDEN = request(b"GET /healthz HTTP/1.1")


class Home(Measured):
    """A daemon that listens on TCP, measures its turns, and has served some requests."""

    port = 0

    def measured(self, what: str) -> float:
        return float(json.loads(self.report.read_text())[what])

    def longest_s(self) -> float:
        return self.measured("longest_turn_s")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    folder = tmp_path_factory.mktemp("home")
    with scripted(Reply(ANSWER)) as server:
        running = Home(folder, folder / "hosts.yaml")
        running.port = free_port()
        api = f"api: {{listen: '127.0.0.1:{running.port}'}}"
        running.config.write_text(config({"surtr": server}, more=api))
        running.start()
        try:
            until(lambda: listens(running.port), what="TCP answers too")
            for _ in range(WARM):  # libraries, threads and caches are there then
                ask(running.port, request())
            ask(running.port, request(POST, JSON, LENGTH), TASK)
            running.end(running.submit("hello"))
            yield running
        finally:
            running.stop()


def listens(port: int) -> bool:
    with suppress(ConnectionRefusedError), wire(port):
        return True
    return False


@pytest.fixture(autouse=True)
def unharmed(home: Home) -> Iterator[None]:
    """Whatever came: a task runs, no turn was long, no memory is gone, nothing unexpected was logged."""
    before, longest = home.resident_kib(), home.longest_s()
    task = home.submit("hello")
    yield
    assert home.end(task)["state"] == "completed"
    assert ask(home.port, request())[0].status == 200
    assert home.resident_kib() - before < GROWTH_KIB
    if home.longest_s() > longest:
        # twice: beside other work a turn takes more of the processor
        assert home.longest_s() < 2 * TURN_S, home.report.read_text()
    assert "Traceback" not in home.text()
    assert " ERROR " not in home.text()
    assert " WARNING " not in home.text()


def ours(answer: Answer) -> str:
    """The code of an error in our shape."""
    error = json.loads(answer.body)["error"]
    assert error.keys() == {"code", "message", "hint"}
    assert answer.headers[b"content-type"] == b"application/json"
    return str(error["code"])


# --- heads and bodies that are wrong --------------------------------------------------------------

BAD, LONG = (400, "bad_request"), (431, "head_too_long")
GET = b"GET /v1/queue HTTP/1.1"
REFUSED: dict[str, tuple[bytes, tuple[int, str]]] = {
    "no http": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", BAD),
    "http/0.9": (b"GET /v1/queue\r\n\r\n", BAD),
    "two lengths": (request(POST, JSON, b"Content-Length: 5", b"Content-Length: 6") + TASK, BAD),
    "lengths in one": (request(POST, JSON, b"Content-Length: 5, 6") + TASK, BAD),
    "negative length": (request(POST, JSON, b"Content-Length: -1"), BAD),
    "length with a sign": (request(POST, JSON, b"Content-Length: +4"), BAD),
    "endless length": (request(POST, JSON, b"Content-Length: " + b"9" * 5000), BAD),
    "space before the colon": (request(POST, JSON, b"Transfer-Encoding : chunked"), BAD),
    "vertical tab": (request(POST, JSON, b"Transfer-Encoding:\x0bchunked"), BAD),
    "another coding": (request(POST, JSON, b"Transfer-Encoding: xchunked"), BAD),
    "two codings": (request(POST, JSON, b"Transfer-Encoding: gzip, chunked"), BAD),
    "chunked twice": (request(POST, JSON, CHUNKED, CHUNKED) + chunks(TASK), BAD),
    "a folded first line": (b"GET /v1/queue HTTP/1.1\r\n Host: localhost\r\n\r\n", BAD),
    "bare cr": (request(GET, b"X: a\rTransfer-Encoding: chunked"), BAD),
    "nul in a header": (request(GET, b"X: \0"), BAD),
    "nul in the target": (request(b"GET /v1/queue\0 HTTP/1.1"), BAD),
    "raw letters in the target": (request("GET /v1/tasks/ü HTTP/1.1".encode()), BAD),
    "two hosts": (request(GET, b"Host: evil"), BAD),
    "no host": (b"GET /v1/queue HTTP/1.1\r\n\r\n", BAD),
    "another version": (request(b"GET /v1/queue HTTP/9.9"), BAD),
    "http/2 preface": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", BAD),
    "chunk of no size": (request(POST, JSON, CHUNKED) + b"-1\r\nx\r\n", BAD),
    "chunk size in c": (request(POST, JSON, CHUNKED) + b"0x5\r\nhello\r\n0\r\n\r\n", BAD),
    "chunk of many digits": (request(POST, JSON, CHUNKED) + b"1" * 30 + b"\r\n", BAD),
    "chunk longer than told": (request(POST, JSON, CHUNKED) + b"3\r\nabcdef\r\n", BAD),
    "bad chunk that nobody waits for": (request(POST, CHUNKED) + b"nonsense\r\n", BAD),
    "huge header": (request(GET, b"X: " + b"y" * 1_000_000), LONG),
    "many headers": (request(GET, *[b"X%d: y" % n for n in range(100_000)]), LONG),
    "long target": (request(b"GET /" + b"a" * 1_000_000 + b" HTTP/1.1"), LONG),
    "long extension": (request(POST, JSON, CHUNKED) + b"5;" + b"e" * 4_000_000, LONG),
    "endless trailers": (request(POST, JSON, CHUNKED) + chunks(TASK, end=b"0\r\n" + b"T: x\r\n" * 500_000), LONG),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_request_is_refused_in_our_shape_and_ends_the_connection(
    home: Home, name: str
) -> None:
    raw, refused = REFUSED[name]
    (answer,) = ask(home.port, raw, HIDDEN, enough=2)
    assert (answer.status, ours(answer)) == refused
    assert answer.headers[b"connection"] == b"close"


def test_a_head_that_turns_bad_is_refused_without_a_body(home: Home) -> None:
    with wire(home.port) as one:
        one.sendall(request(b"HEAD /v1/tasks HTTP/1.1", JSON, CHUNKED) + b"nonsense\r\n")
        raw = b""
        while more := one.recv(65_536):
            raw += more
    assert raw.startswith(b"HTTP/1.1 400 ")
    assert raw.endswith(b"\r\n\r\n")


SMUGGLED: dict[str, bytes] = {
    "length, then chunks": request(POST, JSON, LENGTH, CHUNKED),
    "chunks, then length": request(POST, JSON, CHUNKED, LENGTH),
    "length of nothing": request(POST, JSON, b"Content-Length: 0", CHUNKED),
    "without a body": request(GET, b"Content-Length: 5", CHUNKED),
    "in capitals": request(POST, JSON, b"TRANSFER-ENCODING: CHUNKED", LENGTH),
}


@pytest.mark.parametrize("name", SMUGGLED)
def test_a_body_of_two_lengths_hides_no_second_request(home: Home, name: str) -> None:
    (answer,) = ask(home.port, SMUGGLED[name] + b"0\r\n\r\n" + HIDDEN, enough=2)
    assert (answer.status, ours(answer)) == BAD


TAKEN: dict[str, tuple[bytes, list[int]]] = {
    "the same length twice": (request(POST, JSON, LENGTH, LENGTH) + TASK, [200]),
    "lines of lf alone": (request().replace(b"\r\n", b"\n"), [200]),
    "a folded header": (request(GET, b"X: a\r\n b"), [200]),
    "1,500 headers": (request(GET, *[b"X%d: y" % n for n in range(1500)]), [200]),
    "chunks of a byte": (request(POST, JSON, CHUNKED) + chunks(*[b" "] * 200_000, TASK), [200]),
    "an extension": (request(POST, JSON, CHUNKED) + chunks(TASK, extension=b";a=b"), [200]),
    "a trailer": (request(POST, JSON, CHUNKED) + chunks(TASK, end=b"0\r\nContent-Length: 9\r\n\r\n"), [200]),
    "absolute form": (request(b"GET http://localhost/v1/queue HTTP/1.1"), [200]),
    "absolute form of another": (request(b"GET http://evil/v1/queue HTTP/1.1"), [403]),
    "authority form": (request(b"CONNECT localhost:80 HTTP/1.1"), [400]),
    "asterisk": (request(b"OPTIONS * HTTP/1.1"), [404]),
    "nul by percent": (request(b"GET /v1/tasks/%00 HTTP/1.1"), [404]),
    "a slash by percent": (request(b"GET /v1/tasks/..%2f..%2fetc HTTP/1.1"), [404]),
    "dots by percent": (request(b"GET /v1/tasks/%2e%2e HTTP/1.1"), [404]),
    "half a percent": (request(b"GET /v1/tasks/% HTTP/1.1"), [404]),
    "no utf-8 by percent": (request(b"GET /v1/tasks/%ff%fe%ed%a0%80 HTTP/1.1"), [404]),
    "like by percent": (request(b"GET /v1/tasks/%25%25%25%25%25%25 HTTP/1.1"), [404]),
    "raw letters in a header": (request(GET, b"X: \xff\xfe", b"Last-Event-ID: \xff"), [200]),
    "websocket": (request(GET, b"Connection: Upgrade", b"Upgrade: websocket"), [200]),
    "h2c": (request(GET, b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c"), [200]),
    "expects": (request(POST, JSON, LENGTH, b"Expect: 100-continue") + TASK, [100, 200]),
    "a body that nobody reads": (request(b"POST /no HTTP/1.1", JSON, b"Content-Length: 60000000") + b"x" * 60_000_000 + HIDDEN, [404, 200]),
    "a body of a get": (request(GET, JSON, LENGTH) + TASK + HIDDEN, [200, 200]),
    "a token of any bytes": (request(GET, b"Authorization: Bearer ygg_\xff\xfe"), [401]),
    "a jwt of none": (request(GET, b"Authorization: Bearer eyJhbGciOiJub25lIn0.e30."), [200]),
}  # fmt: skip


@pytest.mark.parametrize("name", TAKEN)
def test_what_is_odd_but_sound_is_answered(home: Home, name: str) -> None:
    raw, statuses = TAKEN[name]
    assert [a.status for a in ask(home.port, raw, enough=len(statuses))] == statuses


def test_who_expects_to_go_on_is_told_so_and_not_where_it_is_refused(home: Home) -> None:
    expects = request(POST, JSON, b"Expect: 100-continue", LENGTH)
    with wire(home.port) as one:
        one.sendall(expects)
        assert one.recv(1000).startswith(b"HTTP/1.1 100 ")
        one.sendall(TASK)
        assert told(one, 1)[0].status == 200
    huge = request(POST, JSON, b"Expect: 100-continue", b"Content-Length: 9000000000")
    assert ask(home.port, huge)[0].status == 413


# --- many in one write, and connections that break ------------------------------------------------


def test_a_thousand_requests_in_one_write_are_answered_in_order(home: Home) -> None:
    raw = b"".join(request(b"GET /v1/tasks/none-%d HTTP/1.1" % n) for n in range(1000))
    found = ask(home.port, raw, enough=1000)
    assert [f"none-{n}" in a.body.decode() for n, a in enumerate(found)] == [True] * 1000


def test_a_wrong_request_behind_sound_ones_is_refused_in_its_turn(home: Home) -> None:
    found = ask(home.port, request() * 3 + b"nonsense\r\n\r\n" + HIDDEN, enough=5)
    assert [a.status for a in found] == [200, 200, 200, 400]


@pytest.mark.parametrize("path", [b"/v1/async/status/%s?wait=20", b"/v1/async/stream/%s"])
def test_a_bad_chunk_while_the_answer_is_on_its_way_ends_the_connection(
    home: Home, path: bytes
) -> None:
    task = home.submit("x", "--not-before", "1h").encode()
    with wire(home.port) as one:
        one.sendall(request(b"GET " + path % task + b" HTTP/1.1", JSON, CHUNKED))
        one.settimeout(0.2 if b"stream" not in path else 10)
        with suppress(TimeoutError):
            one.recv(100)  # the stream has begun
        one.sendall(b"1\r\nx\r\nnonsense\r\n")
        one.settimeout(10)
        while one.recv(65_536):
            pass


def test_a_body_that_turns_bad_is_refused_once(home: Home) -> None:
    with wire(home.port) as one:
        one.sendall(request(POST, JSON, CHUNKED) + b"1\r\n{\r\n")
        one.sendall(b"1\r\n}\r\nnonsense\r\n")
        assert [a.status for a in told(one)] == [400]


def test_a_client_that_closes_its_half_or_resets_has_left(home: Home) -> None:
    for end in (socket.SHUT_WR, None):
        for raw in (request()[:9], request(), request(POST, JSON, LENGTH) + TASK[:5]):
            with wire(home.port) as one:
                one.sendall(raw)
                if end is None:  # a reset
                    linger = (1).to_bytes(4, "little") + bytes(4)
                    one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                    continue
                one.shutdown(end)
                assert all(a.status < 500 for a in told(one))


def test_a_client_that_reads_nothing_is_answered_no_further(home: Home) -> None:
    """10,000 answers of some KB would be many MB: what the kernel does not take is not made."""
    with wire(home.port) as one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        one.settimeout(1)
        with suppress(TimeoutError):
            one.sendall(request(b"GET /v1/stats HTTP/1.1") * 100_000)


def test_the_collector_spares_what_was_there_at_the_start(home: Home) -> None:
    """It would hold the loop for half of what is allowed."""
    assert home.measured("frozen") > 30_000


def test_heads_that_drip_end_after_ten_seconds(home: Home) -> None:
    drops = (b"X%d: y\r\n" % n for n in range(10_000))
    with wire(home.port) as one:
        one.sendall(b"GET /v1/queue HTTP/1.1\r\n")
        assert 8 < drip(one, drops, 0.2, 20) < 15


@pytest.mark.soak
def test_bodies_that_drip_end_after_half_a_minute(home: Home) -> None:
    with wire(home.port) as one:
        one.sendall(request(POST, JSON, b"Content-Length: 10000000"))
        took_s, raw = 0.0, b""
        one.settimeout(0.2)
        began = time.monotonic()
        while not answers(raw)[0] and took_s < 60:
            one.sendall(b" ")
            took_s = time.monotonic() - began
            try:
                raw += one.recv(65_536)
            except TimeoutError:
                continue
        assert answers(raw)[0][0].status == 408
        assert 25 < took_s < 40


def test_four_thousand_silent_connections_keep_nobody_out(home: Home) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 10_000:
        pytest.skip("this process may not open so many files")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with ExitStack() as stack:
        for n in range(4000):
            one = stack.enter_context(wire(home.port))
            if n % 2:
                one.sendall(request()[:20])
        assert ask(home.port, request())[0].status == 200
        assert home.end(home.submit("hello"))["state"] == "completed"


# --- by chance ------------------------------------------------------------------------------------


def test_whatever_comes_is_answered_or_ends(home: Home) -> None:
    fuzzed(home, seed=1, cases=CASES)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(2, 8))
def test_whatever_comes_is_answered_or_ends_for_long(home: Home, seed: int) -> None:
    fuzzed(home, seed, MANY)


def fuzzed(home: Home, seed: int, cases: int) -> None:
    wrong, statuses = Wrong(seed), Counter[int]()
    all_pieces = [wrong.pieces() for _ in range(cases)]

    def attack() -> None:
        with ThreadPoolExecutor(4) as pool:
            for found in pool.map(lambda p: ask(home.port, *p, enough=9, limit_s=0.2), all_pieces):
                statuses.update(a.status for a in found)

    assert slowest(home, attack) < OTHERS_S
    assert not [s for s in statuses if s >= 500], statuses
    assert statuses.keys() >= {200, 400, 403, 404, 405, 422}, statuses


def slowest(home: Home, attack: Callable[[], object]) -> float:
    """The longest that anybody waited for a small answer meanwhile, in seconds."""
    longest = 0.0
    with ThreadPoolExecutor(1) as pool, wire(home.port) as other:
        beside = pool.submit(attack)
        while not beside.done():
            began = time.monotonic()
            other.sendall(request())
            assert told(other, 1)[0].status == 200
            longest = max(longest, time.monotonic() - began)
            wait({beside}, 0.05)
        beside.result()
    return longest
