"""Chapters B, C and F: commands, whatever their streams, files, terminals and locales are."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import signal
import struct
import subprocess
import termios
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.cases.house import House, config
from tests.cases.scripted import Reply, scripted
from tests.surface.cli import Cli
from tests.system.rig import YGG, until
from ygg import client

DONE = '{"message": {"content": "hi"}, "done": true, "done_reason": "stop"}'
MARK = b"\xef\xbb\xbf"
SHELL = f'ygg() {{ {YGG[0]} -m ygg "$@"; }}; set -o pipefail; '


def apart(folder: Path, url: str = "http://127.0.0.1:9") -> House:
    """A house whose daemon is not started."""
    folder.mkdir(exist_ok=True)
    path = folder / "hosts.yaml"
    host = f"{{slots: 1, backend: ollama, url: '{url}', models: [m], telemetry: 'off'}}"
    path.write_text(f"hosts:\n  surtr: {host}\ntask_types: {{general: {{route: [surtr]}}}}\n")
    (folder / "run").mkdir(exist_ok=True)
    return House(folder, path)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A house with a daemon that starts nothing."""
    home = apart(tmp_path_factory.mktemp("running"))
    home.start()
    home.ygg("queue", "pause")
    yield home
    home.stop()


@pytest.fixture
def offline(tmp_path: Path) -> House:
    return apart(tmp_path / "offline")


@pytest.fixture(params=["running", "offline"])
def home(request: pytest.FixtureRequest) -> House:
    """With and without a daemon."""
    found: House = request.getfixturevalue(request.param)
    return found


def sh(home: House, script: str, **env: str) -> subprocess.CompletedProcess[str]:
    """A line of bash in which `ygg` is the command."""
    return subprocess.run(
        ["bash", "-c", SHELL + script],
        env=home.env | env,
        capture_output=True,
        timeout=60,
        text=True,
        stdin=subprocess.DEVNULL,
    )


def titles(home: House) -> list[str]:
    rows = json.loads(home.ygg("list", "-n", "1000", "--json").stdout)["tasks"]
    return [row["title"] for row in rows]


# --- streams that are not there -------------------------------------------------------------------------


def test_a_closed_stream_does_not_undo_what_was_done(home: House) -> None:
    closed = (">&-", "2>&-", ">&- 2>&-", "<&-", "<&- >&- 2>&-")
    for streams in closed:
        ran = sh(home, f"ygg submit x --title 'closed {streams}' {streams}")
        assert (ran.returncode, "Traceback" in ran.stderr) == (0, False), ran
    stored = titles(home)
    assert [stored.count(f"closed {streams}") for streams in closed] == [1] * len(closed)


@pytest.mark.parametrize(
    "words",
    [
        "list >&-",
        "list 2>&-",
        *(f"{w} >&- 2>&-" for w in ("--version", "--help", "status", "hosts")),
    ],
)
def test_other_commands_end_with_a_closed_stream_too(offline: House, words: str) -> None:
    ran = sh(offline, f"ygg {words}")
    assert ran.returncode == ("status" in words), ran  # its host is down
    assert "Traceback" not in ran.stdout + ran.stderr


def test_errors_are_not_taken_for_answers(offline: House) -> None:
    ran = sh(offline, 'id=$(ygg submit --host nowhere x 2>&-); code=$?; echo "[$id]"; exit $code')
    assert (ran.returncode, ran.stdout) == (2, "[]\n")
    ran = sh(offline, 'id=$(ygg submit x 2>&-); echo "[$id]"')
    assert len(ran.stdout.split()) == 1
    assert "-" in ran.stdout


def test_a_stream_that_is_closed_is_no_file_of_ours(offline: House) -> None:
    sh(offline, "ygg submit first >&- 2>&- <&-")
    sh(offline, "ygg submit second >&- 2>&- <&-")
    assert len(titles(offline)) == 2
    assert offline.database.read_bytes().startswith(b"SQLite format 3")


@pytest.mark.parametrize(
    "words", ["submit x", "demo --tasks 5 --latency 1", "demo --tasks 5 --latency 1 --json"]
)
def test_a_full_disk_is_told_in_a_sentence(offline: House, words: str) -> None:
    ran = sh(offline, f"ygg {words} > /dev/full")
    assert ran.returncode == 1
    assert "error: the output cannot be written: No space left on device" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_a_reader_that_has_seen_enough_is_no_error(running: House) -> None:
    many = b"".join(b'{"prompt": "x", "title": "%s"}\n' % (b"t" * 200) for _ in range(700))
    running.ygg("submit", "--jsonl", "-", stdin=many)
    for words in ("list -n 1000", "list -n 1000 --json", "--help", "config schema"):
        ran = sh(running, f"ygg {words} | head -1 | wc -l")
        assert (ran.returncode, ran.stdout.strip(), ran.stderr) == (0, "1", ""), words
        ran = sh(running, f"ygg {words} | true")
        assert (ran.returncode, ran.stderr) == (0, ""), words


READS = [
    "show ID", "show ID --json", "why ID", "why ID --json", "result DONE", "result DONE --json", "wait DONE",
    "queue", "queue --json", "hosts", "hosts --json", "status", "status --json", "tune", "tune --json",
    "models", "config show", "config show --json", "config path", "config check", "doctor -v",
    "doctor --json", "top --once", "service print", "completion bash", "--version", "list --queue",
]  # fmt: skip


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[House, dict[str, str]]]:
    """A house with a daemon, and two tasks whose prompt and answer fill more than a pipe holds."""
    answer = json.dumps({"message": {"content": "word\n" * 40_000}, "done": True})
    with scripted(Reply(answer)) as server:
        home = apart(tmp_path_factory.mktemp("long"), server.url)
        home.start()
        done = home.submit("x")
        assert home.end(done)["state"] == "completed"
        home.ygg("queue", "pause")
        waits = home.submit("-", stdin=b"line\n" * 40_000)
        yield home, {"ID": waits, "DONE": done}
        home.stop()


@pytest.mark.parametrize("words", READS)
def test_no_command_that_reads_minds_a_reader_who_leaves(
    long: tuple[House, dict[str, str]], words: str
) -> None:
    home, ids = long
    words = " ".join(ids.get(word, word) for word in words.split())
    whole = home.ygg(*words.split())
    for reader in ("head -1 > /dev/null", "true") if "--json" in words else ("true",):
        ran = sh(home, f"ygg {words} | {reader}")
        assert ran.returncode in (0, whole.returncode)
        assert "Traceback" not in ran.stderr
        assert "Broken pipe" not in ran.stderr
        assert "error: " not in ran.stderr.replace(whole.stderr, "")


@pytest.mark.parametrize("reader", ["head -1", "true"])
def test_a_demo_whose_lines_nobody_reads_ends_well(offline: House, reader: str) -> None:
    ran = sh(offline, f"ygg demo --tasks 30 --latency 1 | {reader} > /dev/null")
    assert (ran.returncode, ran.stderr) == (0, "")


MANY = 2500  #: lines: several parts


def test_a_submit_goes_on_when_nobody_reads_the_ids(home: House, tmp_path: Path) -> None:
    """Parts that are sent after the first answer was lost are stored as well."""

    def total() -> int:
        told: int = json.loads(home.ygg("queue", "--json").stdout)["total_tasks"]
        return told

    before, file = total(), tmp_path / "many.jsonl"
    file.write_text('{"prompt": "x"}\n' * MANY)
    ran = sh(home, f"ygg submit --jsonl {file} | true")
    assert ran.returncode == 0
    assert total() == before + MANY


# --- locales ----------------------------------------------------------------------------------------------


def encoded(home: House, encoding: str, *words: str) -> str:
    """What a command prints where that is the encoding of the locale."""
    env = home.env | {"PYTHONIOENCODING": encoding}
    ran = subprocess.run([*YGG, *words], env=env, capture_output=True)
    assert ran.returncode in (0, 1), ran
    assert b"Traceback" not in ran.stderr
    assert b"UnicodeEncodeError" not in ran.stderr
    return ran.stdout.decode(encoding)


def test_a_locale_that_is_not_unicode_gets_the_ascii_form(running: House) -> None:
    title = "漢字 é ✗ \U0001f642"
    task = running.submit("x", "--title", title)
    for encoding in ("latin-1", "ascii", "cp1252", "utf-8"):
        down = "✗ down" if encoding == "utf-8" else "x down"
        assert down in encoded(running, encoding, "status")
        assert json.loads(encoded(running, encoding, "show", task, "--json"))["title"] == title
    for words in (("list",), ("show", task), ("why", task), ("hosts",), ("hosts", "probe")):
        encoded(running, "ascii", *words)


# --- files ------------------------------------------------------------------------------------------------


def test_without_room_for_a_socket_commands_work_on_the_database(tmp_path: Path) -> None:
    home = apart(tmp_path / "home")
    home.state = tmp_path / ("s" * 90) / ("t" * 90)
    home.env |= {"YGG_STATE": str(home.state)}
    del home.env["XDG_RUNTIME_DIR"]
    task = home.submit("x")
    for words in (("list",), ("show", task), ("cancel", task), ("doctor",)):
        ran = home.ygg(*words)
        assert ran.returncode in (0, 1), ran
        assert "too long" not in ran.stderr
    ran = home.apart("loop")
    assert ran.returncode == 69
    assert "path too long, 107 bytes at most" in ran.stderr
    assert "XDG_RUNTIME_DIR" in ran.stderr


def test_a_runtime_folder_too_deep_for_a_socket_has_no_daemon(tmp_path: Path) -> None:
    deep = tmp_path / ("r" * 90) / ("u" * 90)
    env = {"HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(deep)}
    assert client.connect(None, env) is None


def test_an_empty_database_file_is_an_empty_queue(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cli = Cli(tmp_path, monkeypatch)
    database = cli.state / "ygg.db"
    words = ("list", "queue", "status", "show 1234", "result 1234", "tune")
    without = [cli(*w.split()) for w in words]
    database.parent.mkdir(parents=True)
    database.touch()
    for w, before in zip(words, without, strict=True):
        ran = cli(*w.split())
        assert (ran.code, ran.out) == (before.code, before.out)
        assert "no such table" not in ran.err
        assert database.stat().st_size == 0, "who reads writes nothing"
    assert cli.ok("list", "--json").json["tasks"] == []
    cli.submit()
    assert len(cli.ok("list", "--json").json["tasks"]) == 1


@pytest.mark.parametrize("made", ["vacuum", "pragma journal_mode=wal; pragma user_version=0"])
def test_a_database_without_tables_is_told_apart(offline: House, made: str) -> None:
    import apsw

    offline.state.mkdir(parents=True)
    db = apsw.Connection(str(offline.database))
    db.execute(made)
    db.close()
    ran = sh(offline, "ygg list")
    assert "no such table" not in ran.stderr
    assert offline.submit("x")


def test_a_byte_order_mark_is_read_over(home: House, tmp_path: Path) -> None:
    jsonl, prompt = tmp_path / "tasks.jsonl", tmp_path / "prompt.txt"
    line = b'{"prompt": "marked", "title": "mark"}\n'
    jsonl.write_bytes(MARK + line + line + MARK + line + MARK + b"\n")
    ran = home.ygg("submit", "--jsonl", str(jsonl))
    assert (ran.returncode, len(ran.stdout.split())) == (0, 3), ran
    ran = home.ygg("submit", "--jsonl", "-", stdin=MARK + line)
    assert ran.returncode == 0
    prompt.write_bytes(MARK + "Grüße".encode())
    for task in (home.submit("--file", str(prompt)), home.submit("-", stdin=prompt.read_bytes())):
        shown = json.loads(home.ygg("show", task, "--json").stdout)
        assert shown["request"]["messages"][0]["content"] == "Grüße"


# --- terminals --------------------------------------------------------------------------------------------


class Terminal:
    """A terminal with `ygg loop` in its foreground, which can be closed like a window."""

    def __init__(self, home: House, *args: str) -> None:
        self.pid, self.master = pty.fork()
        if self.pid == 0:
            os.execvpe(YGG[0], [*YGG, "loop", *args], home.env | {"TERM": "xterm"})
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))

    def close(self) -> None:
        os.close(self.master)

    def ends(self) -> int:
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


@pytest.mark.parametrize("args", [(), ("--no-view",)])
def test_a_closed_terminal_does_not_end_the_loop_and_sigterm_does(
    tmp_path: Path, args: tuple[str, ...]
) -> None:
    with scripted(Reply(DONE)) as server:
        home = apart(tmp_path / "home", server.url)
        terminal = Terminal(home, *args)
        until(home.answers, 30, "it is ready")
        terminal.close()
        log = home.state / "logs" / "ygg.log"
        until(lambda: log.exists() and "reloaded" in log.read_text(), 20, "SIGHUP reloads")
        task = home.submit("x")
        assert home.end(task)["state"] == "completed"
        os.kill(terminal.pid, signal.SIGTERM)
        assert terminal.ends() == 0
        assert "Traceback" not in log.read_text()


# --- widths -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("title", "columns"),
    [
        ("สวัสดี", 4), ("น้ำ", 2), ("ก็", 1), ("हिन्दी", 4), ("नमस्ते", 4), ("1\ufe0f\u20e3", 2), ("#\ufe0f\u20e3", 2),
        ("한", 2), ("한국", 4), ("\u1112\u1161\u11ab", 2), ("\u1112", 2), ("漢字", 4), ("e\u0301", 1), ("👍🏽", 2), ("🇳🇴", 2), ("❤️", 2),
    ],
)  # fmt: skip
def test_columns_stand_straight_below_each_other(title: str, columns: int) -> None:
    from ygg.view.text import fit, width

    assert width(title) == columns
    assert fit(title, 8).removeprefix(title) == " " * (8 - columns)
    assert width(fit(title * 20, 9)) == 9
    assert fit(title * 20, 9).rstrip().endswith("…")
    for cut_at in range(1, 8):
        assert width(fit(title * 9, cut_at)) == cut_at


# --- the legacy loop --------------------------------------------------------------------------------------


def asked(home: House, path: str) -> httpx.Response:
    transport = httpx.HTTPTransport(uds=str(home.folder / "run/ygg/ygg.sock"))
    with httpx.Client(transport=transport, base_url="http://ygg", timeout=30) as http:
        return http.get(path)


def test_the_legacy_loop_tells_its_health_and_what_was_said(tmp_path: Path) -> None:
    replies = iter([Reply(DONE)])
    with scripted(lambda _: next(replies, Reply("no", 400))) as server:
        path = tmp_path / "hosts.yaml"
        path.write_text(config({"surtr": server}))
        home = House(tmp_path, path, "--no-async")
        home.start()
        try:
            task = home.submit("hello")
            stream = asked(home, f"/v1/async/stream/{task}").text
            said = [x[7:] for x in stream.splitlines() if x.startswith("event: ")]
            told = [name for name in said if name != "state"]
            assert (told, said[-1]) == (["attempt", "token", "result"], "result")
            assert '"content": "hi"' in stream
            well = asked(home, "/v1/async/health").json()
            assert (well["health"], well["failed_rate_percent"]) == ("healthy", 0.0)
            assert well["avg_latency_ms"] >= 0
            for _ in range(12):
                assert home.end(home.submit("fails"))["state"] == "failed"
            ill = asked(home, "/v1/async/health").json()
            assert (ill["health"], ill["failed_rate_percent"] > 90) == ("unhealthy", True)
            assert {r["code"] for r in ill["reasons"]} == {"repeated_failures", "failure_rate"}
        finally:
            assert home.stop() == 0


def test_the_legacy_loop_is_reached_like_the_other(tmp_path: Path) -> None:
    with scripted(Reply(DONE)) as server:
        path = tmp_path / "hosts.yaml"
        path.write_text(config({"surtr": server}))
        home = House(tmp_path, path, "--no-async")
        home.start()
        try:
            task = home.submit("hello")
            status = json.loads(home.ygg("status", "--json").stdout)
            assert status["daemon"]["pid"] == home.process.pid  # type: ignore[union-attr]
            assert home.end(task)["state"] == "completed"
            answer = home.ygg("submit", "again", "--wait")
            assert (answer.returncode, answer.stdout) == (0, "hi\n"), answer
            assert home.ygg("submit", "again", "--follow").stdout == "hi\n"
            assert home.ygg("doctor").returncode in (0, 1)
            home.ygg("queue", "pause")
            waits = home.submit("later", "--not-before", "500ms")
            until(lambda: home.task(waits)["state"] != "scheduled", 20, "the loop has looked")
            assert "legacy loop" in home.ygg("why", waits).stdout
            assert "no daemon" not in home.ygg("why", waits).stdout
            assert home.ygg("cancel", waits).returncode == 0
            refused = home.ygg("top", "--once")
            assert "live view" in refused.stderr
        finally:
            assert home.stop() == 0
