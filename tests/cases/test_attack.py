"""Under attack: input that takes for ever, files that do not end, bodies without measure, clients that say nothing."""

from __future__ import annotations

import json
import os
import resource
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.cases.house import House, house
from tests.cases.scripted import Reply, scripted
from tests.system.rig import YGG, until

ANSWER = '{"message":{"content":"hello"},"done":false}\n{"message":{"content":""},"done":true,"done_reason":"stop"}'
TITLE = "summary of the quarterly report of the northern region 2026!"
TEXT = r"""
hosts:
  surtr: {{slots: 4, backend: ollama, url: '{url}', models: [m], telemetry: 'off'{more}}}
task_types:
  general: {{route: [surtr]}}
  report: {{route: [surtr], match: {{titles: ['^(\w+\s?)+$', '(a|a)*$', '(.*)*x']}}}}
"""
SOON_S = 0.4  #: on a machine of pace 1
SUMS, SUMS_S = 1500, 0.03  #: a core of medium speed, with nothing else to do
TRIES = 12  #: of which one must be undisturbed by what else runs on this machine


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with scripted(Reply(ANSWER)) as server:
        yield server.url


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, url: str) -> Iterator[House]:
    with house(tmp_path_factory.mktemp("home"), TEXT.format(url=url, more="")) as running:
        yield running


def path(home: House) -> str:
    return str(home.folder / "run" / "ygg" / "ygg.sock")


def http(home: House) -> httpx.Client:
    transport = httpx.HTTPTransport(uds=path(home))
    return httpx.Client(transport=transport, base_url="http://ygg", timeout=60)


def post(home: House, body: bytes, where: str = "/v1/tasks") -> httpx.Response:
    with http(home) as client:
        return client.post(where, content=body)


def stalls(home: House) -> dict[str, Any]:
    with closing(home.remote()) as desk:
        return dict(desk.status(probe=False)["daemon"]["stalls"])


# --- foreign input inside the event loop ----------------------------------------------------------


def slowest(home: House, attack: Callable[[], object]) -> float:
    """The longest that anybody waited for a small answer while the attack went on."""
    longest = 0.0
    with ThreadPoolExecutor(1) as pool, http(home) as client:
        client.get("/v1/queue")
        beside = pool.submit(attack)
        while not beside.done():
            began = time.monotonic()
            assert client.get("/v1/queue").status_code == 200
            longest = max(longest, time.monotonic() - began)
        beside.result()
    return longest


def pace() -> float:
    """How fast this machine computes just now, 1 where it does `SUMS` in `SUMS_S`: less beside other work."""
    began = time.monotonic()
    for _ in range(SUMS):
        sum(range(1000))
    return min(1.0, SUMS_S / (time.monotonic() - began))


def titled(home: House) -> None:
    for title in (TITLE, "a" * 499 + "!", "x y " * 120 + "?"):
        doc = {"prompt": "x", "title": title}
        assert post(home, json.dumps({"tasks": [doc] * 200}).encode()).status_code == 200


@cache
def million_keys() -> bytes:
    inner = b",".join(b'"key%d":%d' % (n, n) for n in range(1_000_000))
    return b'{"tasks":[{"prompt":"x","options":{' + inner + b"}}]}"


def many_keys(home: House) -> None:
    answer = post(home, million_keys())
    assert answer.status_code == 413
    assert "more than 300,000 values" in answer.text


def many_values_just_allowed(home: House) -> None:
    one = {"prompt": "x", "options": {f"k{n}": n for n in range(19_000)}}
    answer = post(home, json.dumps({"tasks": [one] * 15}).encode())
    assert [t["error"] for t in answer.json()["tasks"]] == [None] * 15


def many_errors(home: House) -> None:
    unknown = {"prompt": "x", **{f"k{n}": n for n in range(19_000)}}
    for doc in (unknown, {"messages": [{"x": 1}] * 9_000}):
        answer = post(home, json.dumps({"tasks": [doc] * 10}).encode()).json()
        assert all(len(t["error"]["message"].split("; ")) <= 20 for t in answer["tasks"])


def long_strings(home: House) -> None:
    prompt = '\\"ü\\n' * 2_500_000
    body = f'{{"tasks":[{{"prompt":"{prompt}"}},{{"prompt":"{prompt}"}}]}}'.encode()
    assert all(t["error"] is None for t in post(home, body).json()["tasks"])


def deep(home: House) -> None:
    body = (
        b'{"tasks":[{"prompt":"x","options":' + b'{"a":' * 200_000 + b"1" + b"}" * 200_001 + b"}]}"
    )
    assert post(home, body).status_code in (413, 422)


def large_yaml(home: House) -> None:
    """A reload of a file as large as may be, then of the right one."""
    good = home.config.read_text()
    more = "".join(
        f"  t{n}: {{route: [surtr], options: {{a: 1, b: 2, c: 3}}}}\n" for n in range(1500)
    )
    reloaded(home, good + more, "task type t1499 added")
    reloaded(home, good, "task type t1499 removed")


def reloaded(home: House, text: str, says: str) -> None:
    before = home.text().count(says)
    home.config.write_text(text)
    home.signal(signal.SIGHUP)
    until(lambda: home.text().count(says) > before, 60, f"a reload says {says}")


def endless_keys(home: House) -> None:
    """Reloads with keys in files that do not end, then the right file again."""
    good, pipe = home.config.read_text(), home.folder / "pipe"
    if not pipe.exists():
        os.mkfifo(pipe)
    for name in ("pipe", "/dev/zero", "/dev/tty"):
        reloaded(
            home,
            good.replace("'off'}", f"'off', api_key_file: {name}}}"),
            "hosts.yaml not reloaded",
        )
    reloaded(home, good, "hosts.yaml reloaded")


ATTACKS = (titled, many_keys, many_values_just_allowed, many_errors, long_strings, deep, large_yaml,
           endless_keys)  # fmt: skip


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda a: a.__name__)
def test_others_are_answered_meanwhile(home: House, attack: Callable[[House], None]) -> None:
    waits = []
    for _ in range(TRIES):
        before = pace()
        waits.append(slowest(home, lambda: attack(home)) * min(before, pace()))
        if waits[-1] < SOON_S:
            break
    assert min(waits) < SOON_S, waits
    assert "Traceback" not in home.text()


def test_no_body_costs_memory_without_measure(home: House) -> None:
    many_keys(home)
    assert home.process is not None
    status = Path(f"/proc/{home.process.pid}/status").read_text()
    peak_kib = int(status.split("VmHWM:")[1].split()[0])
    assert peak_kib < 700 * 1024


def test_offline_the_same_bodies_are_refused(tmp_path: Path, home: House) -> None:
    alone = House(tmp_path, home.config)
    many = json.dumps({"prompt": "x", "options": {f"k{n}": n for n in range(30_000)}})
    done = alone.ygg("submit", "--jsonl", "-", stdin=f'{many}\n{{"prompt": "x"}}'.encode())
    assert done.returncode == 1
    assert "-:1: more than 20,000 values" in done.stderr
    assert len(done.stdout.splitlines()) == 1


# --- files that do not end ------------------------------------------------------------------------


@pytest.mark.parametrize("flag", ["--file", "--jsonl"])
def test_a_file_that_does_not_end_is_refused_at_once(
    tmp_path: Path, home: House, flag: str
) -> None:
    os.mkfifo(tmp_path / "pipe")
    names = {
        "/dev/zero": "it is a device",
        str(tmp_path / "pipe"): "it is a pipe",
        str(tmp_path): "it is a directory",
    }
    for name, says in names.items():
        done = home.ygg("submit", flag, name)
        assert done.returncode == 3
        assert f"{name} cannot be read: {says}" in done.stderr


def test_a_huge_file_is_refused_when_its_limit_is_read(tmp_path: Path, home: House) -> None:
    with (tmp_path / "huge").open("wb") as file:
        file.truncate(1 << 40)  # a terabyte of holes
    for flags, code, says in (
        (("submit", "--file", str(tmp_path / "huge")), 2, "it is longer than 16,384 KiB"),
        (("--config", str(tmp_path / "huge"), "config", "check"), 78, "expected at most 256 KiB"),
    ):
        done = home.ygg(*flags)
        assert done.returncode == code, done.stderr
        assert says in done.stderr


def test_a_pipe_of_the_shell_is_read(home: House) -> None:
    reading, writing = os.pipe()
    os.write(writing, b'{"prompt": "from a pipe"}\n')
    os.close(writing)
    with os.fdopen(reading, "rb") as stdin:
        command = [*YGG, "submit", "--jsonl", "/dev/stdin"]
        done = subprocess.run(command, env=home.env, stdin=stdin, capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", ["pipe", "/dev/zero"])
def test_a_daemon_whose_files_do_not_end_starts_and_stops(
    tmp_path: Path, url: str, name: str
) -> None:
    os.mkfifo(tmp_path / "pipe")
    text = TEXT.format(url=url, more=f", api_key_file: {name}")
    running = House(tmp_path, tmp_path / "hosts.yaml", "--no-view")
    running.config.write_text(text)
    running.start()
    try:
        assert "no regular file" in running.ygg("status").stdout
        running.signal(signal.SIGTERM)
        assert running.wait(20) == 0
    finally:
        running.stop()


# --- clients that say nothing ---------------------------------------------------------------------


@contextmanager
def half_requests(home: House, number: int, say: bytes) -> Iterator[list[socket.socket]]:
    with ExitStack() as stack:
        found = []
        for _ in range(number):
            one = stack.enter_context(socket.socket(socket.AF_UNIX))
            one.connect(path(home))
            one.sendall(say)
            found.append(one)
        yield found


class Narrow(House):
    """A daemon that may open 200 files, not one more."""

    def spawn(self) -> subprocess.Popen[bytes]:
        command = ["sh", "-c", 'ulimit -n 200; exec "$@"', "sh", *YGG, "loop"]
        with self.output.open("ab") as out:
            self.process = subprocess.Popen(command, env=self.env, stdout=out, stderr=out)
        return self.process


def test_the_soft_limit_of_files_is_raised(home: House) -> None:
    assert home.process is not None
    soft, hard = resource.prlimit(home.process.pid, resource.RLIMIT_NOFILE)
    assert soft == min(hard, 65_536) or soft >= 65_536


def test_half_a_request_ends_after_ten_seconds(home: House) -> None:
    began, found = time.monotonic(), list[socket.socket]()
    with ExitStack() as stack:
        for say in (b"", b"GET /v1/queue HT", b"GET /v1/queue HTTP/1.1\r\nHost: y\r\n"):
            found += stack.enter_context(half_requests(home, 1, say))
        for one in found:
            one.settimeout(20)
            assert one.recv(1000) == b""
            assert 8 < time.monotonic() - began < 15


def test_half_requests_keep_nobody_out_and_hosts_have_their_descriptors(
    tmp_path: Path, url: str
) -> None:
    running = Narrow(tmp_path, tmp_path / "hosts.yaml")
    running.config.write_text(TEXT.format(url=url, more=""))
    (tmp_path / "run").mkdir()
    running.start()
    try:
        with half_requests(running, 400, b"POST /v1/tasks HTTP/1.1\r\n"):
            tasks = [running.submit("hello") for _ in range(3)]
            assert all(running.end(t)["state"] == "completed" for t in tasks)
            assert "Too many open files" not in running.text()
            assert " is down" not in running.text()
    finally:
        running.stop()


# --- a loop that stands still ---------------------------------------------------------------------


def test_a_stall_of_the_machine_is_counted_and_told(home: House) -> None:
    before = stalls(home)
    home.signal(signal.SIGSTOP)
    time.sleep(2)  # what is tested is the time itself
    home.signal(signal.SIGCONT)
    until(lambda: stalls(home)["machine"] == before["machine"] + 1, 10, "the stall is counted")
    assert stalls(home)["longest_s"] >= 1
    assert stalls(home)["loop"] == before["loop"]
    assert "this machine, or this process, stood still for" in home.text()
