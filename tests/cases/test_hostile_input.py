"""Chapter G: what is hostile or merely unlucky: escape codes, signals at odd moments, a daemon that stands still."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import time
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cases.house import House, config, house
from tests.cases.scripted import Reply, Script, scripted
from tests.system.rig import YGG, until

DONE = '{"message": {"content": "hi"}, "done": true, "done_reason": "stop"}'
#: CSI and OSC of C0 and C1, a bidirectional override and isolate, separators, marks, DEL, a tag, half a character.
STEERING = (
    "\x1b[31m\x1b]0;t\x07\x9b2J\x9d0;t\x9c\x85\u202e\u2066\u200e\u2028\u2029\ufeff\x7f\U000e0041"
)
TITLE = f"ti{STEERING}tle"


def unsafe(text: str) -> set[str]:
    """What is left of it, newlines and tabs aside."""
    kinds = {"Cc", "Cf", "Zl", "Zp", "Cs"}
    return {c for c in text if c not in "\n\t" and unicodedata.category(c) in kinds}


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[House, str]]:
    """A house with a server whose error steers terminals, and a failed task of a hostile client."""
    error = json.dumps({"error": f"bad {STEERING} request"})
    answer = Reply(error, status=400)
    with scripted(answer) as server:
        folder = tmp_path_factory.mktemp("hostile")
        with house(folder, config({"surtr": server})) as home:
            doc = {"prompt": f"pro{STEERING}mpt", "title": TITLE, "labels": [f"la{STEERING}bel"]}
            task = home.submit("--jsonl", "-", stdin=json.dumps(doc).encode())
            home.end(task)
            yield home, task


def at_terminal(home: House, *args: str) -> str:
    """What a command writes to a terminal, both streams."""
    child, master = pty.fork()
    if child == 0:
        os.execvpe(YGG[0], [*YGG, *args], home.env | {"TERM": "xterm"})
    text = b""
    try:
        while chunk := os.read(master, 65536):
            text += chunk
    except OSError:  # it has ended
        pass
    os.close(master)
    os.waitpid(child, 0)
    return text.decode().replace("\r\n", "\n")


WORDS = ["show ID", "list", "status", "why ID", "result ID", "hosts", "queue", "doctor", "wait ID"]


@pytest.mark.parametrize(
    ("words", "json_"), [*((w, False) for w in WORDS), *((w, True) for w in WORDS[:4])]
)
def test_what_people_read_steers_no_terminal(
    hostile: tuple[House, str], words: str, json_: bool
) -> None:
    home, task = hostile
    args = [*words.replace("ID", task).split(), *(["--json"] if json_ else [])]
    ran = home.ygg(*args)
    assert unsafe(ran.stdout + ran.stderr) == set()
    shown = at_terminal(home, *args)
    assert unsafe(shown) == set()
    if json_ and words in ("show ID", "list"):
        for text in (ran.stdout, shown):
            told = json.loads(text)
            assert told.get("tasks", [told])[0]["title"] == TITLE, "nothing is lost"
        assert len(ran.stdout.splitlines()) == 1, "one line, whoever counts them"


def test_log_and_stdout_of_the_daemon_steer_no_terminal(hostile: tuple[House, str]) -> None:
    home, _ = hostile
    log = (home.state / "logs" / "ygg.log").read_text()
    for text in (log, home.text()):
        assert "bad " in text
        assert unsafe(text) == set()
        assert len(text.splitlines()) == text.count("\n"), "a separator ends no line"


def test_a_program_gets_the_answer_as_the_model_gave_it(tmp_path: Path) -> None:
    content = json.dumps({"message": {"content": STEERING}, "done": True, "done_reason": "stop"})
    with scripted(Reply(content)) as server, house(tmp_path, config({"surtr": server})) as home:
        task = home.submit("x")
        home.end(task)
        assert home.ygg("result", task).stdout == STEERING + "\n"
        assert unsafe(at_terminal(home, "result", task)) == set()
        assert unsafe(at_terminal(home, "submit", "x", "--follow")) == set()


# --- signals ----------------------------------------------------------------------------------------------


#: Stops a process before the command tree is loaded, until somebody writes to a pipe.
GATE = """
import os, sys
class Gate:
    def find_spec(self, name, path=None, target=None):
        if name == "typer":
            sys.meta_path.remove(self)
            open(os.environ["GATE"] + ".there", "w").close()
            open(os.environ["GATE"]).read()
sys.meta_path.insert(0, Gate())
"""


@pytest.fixture
def slow(tmp_path: Path) -> Iterator[tuple[House, Script]]:
    """A house whose server takes a second for an answer; not started."""
    with scripted(Reply(f"@pause 1\n{DONE}")) as server:
        path = tmp_path / "hosts.yaml"
        path.write_text(config({"surtr": server}))
        home = House(tmp_path, path)
        yield home, server
        home.stop()


def test_a_hangup_at_any_moment_of_the_start_ends_nothing(
    slow: tuple[House, Script], tmp_path: Path
) -> None:
    home, _ = slow
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    (tmp_path / "sitecustomize.py").write_text(GATE)
    home.env |= {"PYTHONPATH": str(tmp_path), "GATE": str(gate)}
    process = home.spawn()
    until(gate.with_suffix(".there").exists, 20, "it has hardly begun")
    for number in (signal.SIGUSR1, signal.SIGUSR2, signal.SIGHUP):
        home.signal(number)
    gate.write_text("go on")
    home.env |= {"PYTHONPATH": ""}
    until(lambda: home.answers() or process.poll() is not None, 20, "it is ready")
    until(lambda: "hosts.yaml reloaded" in home.text(), 20, "it was not forgotten")
    assert home.stop() == 0


def test_hangups_while_the_database_is_opened_end_nothing(slow: tuple[House, Script]) -> None:
    home, _ = slow
    home.spawn()
    until(home.database.exists, 20, "it opens its database")
    while " ready: " not in home.text():
        home.signal(signal.SIGHUP)
        time.sleep(0.005)
    assert home.stop() == 0


def test_signals_that_mean_something_else_end_nothing(slow: tuple[House, Script]) -> None:
    home, _ = slow
    home.start()
    task = home.submit("x")
    until(lambda: home.task(task)["state"] == "processing", 20, "it runs")
    for number in (signal.SIGUSR1, signal.SIGUSR2, signal.SIGHUP):
        home.signal(number)
    assert home.end(task)["state"] == "completed"
    assert home.stop() == 0


@pytest.mark.parametrize("number", [signal.SIGQUIT, signal.SIGTERM, signal.SIGINT])
def test_what_ends_it_waits_for_running_calls(
    slow: tuple[House, Script], number: signal.Signals
) -> None:
    home, _ = slow
    home.start()
    task = home.submit("x")
    until(lambda: home.task(task)["state"] == "processing", 20, "it runs")
    home.signal(number)
    assert home.wait() == 0
    assert json.loads(home.ygg("show", task, "--json").stdout)["state"] == "completed"


@pytest.mark.parametrize("args", [(), ("--no-async",)])
def test_however_often_ctrl_c_is_pressed_it_ends_well(
    slow: tuple[House, Script], args: tuple[str, ...]
) -> None:
    home, _ = slow
    home.args = args
    home.start()
    process = home.process
    assert process is not None
    home.submit("x")
    while process.poll() is None:
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGQUIT)
        time.sleep(0.002)
    assert process.returncode == 0
    assert "Traceback" not in home.text()


# --- a daemon that stands still ---------------------------------------------------------------------------


def test_a_daemon_that_does_not_answer_is_told_of(slow: tuple[House, Script]) -> None:
    home, _ = slow
    home.start()
    task = home.submit("x", "--not-before", "1h")
    assert home.process is not None
    home.signal(signal.SIGSTOP)
    try:
        begun = time.monotonic()
        commands = [
            subprocess.Popen(
                [*YGG, *words], env=home.env, stdout=-1, stderr=-1, text=True, stdin=-3
            )
            for words in (("list",), ("status",), ("submit", "y"), ("show", task))
        ]
        for command in commands:
            assert command.stderr is not None
            line = command.stderr.readline()
            assert "does not answer yet: is it stopped, or busy?" in line
            assert str(home.folder) in line
        assert 2.5 < time.monotonic() - begun < 10
    finally:
        home.signal(signal.SIGCONT)
    for command in commands:
        out, err = command.communicate(timeout=60)
        assert out
        assert "does not answer yet" not in err, "it is told once"
        assert command.returncode == 0


def test_a_long_wait_that_was_asked_for_is_no_silence(slow: tuple[House, Script]) -> None:
    home, _ = slow
    home.start()
    task = home.submit("x", "--not-before", "1h")
    ran = home.ygg("wait", task, "--timeout", "4")
    assert (ran.returncode, "does not answer" in ran.stderr) == (75, False)
