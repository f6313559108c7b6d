"""The other commands: exit codes, what goes to stdout and to stderr, JSON, terminals and pipes."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.surface.cli import Cli
from tests.surface.world import Api, JsonDict
from ygg.cli.output import clock
from ygg.desk import Desk
from ygg.model import HostHealth

ESCAPE = "\x1b[31mred\x1b]0;owned\x07\u202e"


def pick(cli: Cli, task: str) -> str:
    return str(cli.ok("show", task, "--json").json["state"])


def done(cli: Cli, *args: str) -> str:
    """The id of a task that has ended."""
    task = cli.submit(*(args or ("hello",)))
    cli.ok("wait", task)
    return task


# --- exit codes -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "args", [("show",), ("result",), ("why",), ("cancel",), ("wait",), ("prioritize",)]
)
def test_an_unknown_task_exits_3(either: Cli, args: tuple[str, ...]) -> None:
    either.submit("hello", "--not-before", "1h")
    more = ("1",) if args == ("prioritize",) else ()
    ran = either(*args, "0000-nope", *more)
    assert (ran.code, ran.out) == (3, "")
    assert "0000-nope" in ran.err


def test_a_daemon_that_is_not_there_exits_69(offline: Cli) -> None:
    ran = offline("--socket", str(offline.folder / "gone.sock"), "list")
    assert ran.code == 69
    assert "ygg loop --async" in ran.err


@pytest.mark.parametrize(
    "args",
    [
        ("submit", "x"),
        ("list",),
        ("status",),
        ("config", "check"),
        ("loop",),
        ("loop", "--no-async"),
    ],
)
def test_a_broken_configuration_exits_78_and_names_the_line(
    offline: Cli, args: tuple[str, ...]
) -> None:
    offline.config.write_text("hosts:\n  surtr: {slotz: 1}\n")
    ran = offline(*args)
    assert ran.code == 78
    assert f"{offline.config}:2" in ran.err
    assert "slots" in ran.err


def test_waiting_longer_than_asked_exits_75(either: Cli) -> None:
    task = either.submit("hello", "--not-before", "1h")
    ran = either("wait", task, "--timeout", "0.1")
    assert ran.code == 75
    assert f"ygg why {task}" in ran.err


@pytest.mark.parametrize("args", [("wait",), ("result", "--follow"), ("submit", "x", "--wait")])
def test_ctrl_c_exits_130_and_the_task_stays(
    cli: Cli, home: Api, args: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    home.surtr.latency_s = 60
    task = cli.submit()
    monkeypatch.setattr(Desk, "wait", interrupted)
    monkeypatch.setattr(Desk, "follow", interrupted)
    if args[0] == "submit":
        ran = cli(*args)
    elif args[0] == "wait":
        ran = cli("wait", task)
    else:
        ran = cli("submit", "x", "--follow")
    assert ran.code == 130
    assert "ygg cancel" in ran.err
    assert pick(cli, task) in ("queued", "processing")


def test_a_wrong_option_exits_2(offline: Cli) -> None:
    assert offline("list", "--nope").code == 2
    offline.submit("x")
    assert offline("list", "--state", "sleeping").code == 2
    assert offline("nope").code == 2
    assert offline("list", "--limit", "0").code == 2


def test_a_task_that_failed_exits_1_and_says_why(cli: Cli) -> None:
    task = cli.submit("hello", "--not-before", "1h")
    cli.ok("cancel", task)
    for args in (("wait", task), ("result", task)):
        ran = cli(*args)
        assert ran.code == 1
        assert "cancelled" in ran.err


def test_an_unexpected_error_is_one_line_without_a_traceback(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    def bug(*_: object, **__: object) -> None:
        raise RuntimeError("planted")

    monkeypatch.setattr(Desk, "tasks", bug)
    ran = cli("list")
    assert ran.code == 1
    assert ran.err.startswith("error: unexpected error: RuntimeError: planted\nhint: ")
    with pytest.raises(RuntimeError):
        cli("--debug", "list")


# --- reading --------------------------------------------------------------------------------------


def test_lists_filter_and_order(either: Cli) -> None:
    low = either.submit("a", "-p", "4", "--label", "talk", "--not-before", "1h")
    high = either.submit("b", "-p", "critical", "--title", "urgent", "--not-before", "1h")
    assert [t["id"] for t in either.ok("list", "--json").json["tasks"]] == [high, low]
    for args, found in (
        (("-t", "chat"), low), (("-p", "0"), high), (("--label", "talk"), low),
        (("--state", "scheduled", "--limit", "1"), high),
    ):  # fmt: skip
        assert [t["id"] for t in either.ok("list", "--json", *args).json["tasks"]] == [found]
    text = either.ok("list").out
    assert text.splitlines()[0].split() == ["ID", "P", "STATE", "TYPE", "HOST", "AGE", "TITLE"]
    assert "urgent" in text
    assert either.ok("list", "--state", "failed").err == (
        "no task fits; without a filter, ygg list shows all\n"
    )


def test_a_list_of_nothing_says_how_to_begin(either: Cli) -> None:
    assert either.ok("list").err == 'no tasks; ygg submit "Explain WAL" queues one\n'


def test_a_config_that_does_not_exist_is_an_error_with_a_daemon_too(
    either: Cli, tmp_path: Path
) -> None:
    ran = either("--config", str(tmp_path / "none.yaml"), "list")
    assert ran.code == 78
    assert "none.yaml: no such file" in ran.err


def test_why_of_an_ended_task_says_where_it_ran_and_how_long_it_waited(cli: Cli) -> None:
    task = cli.submit()
    cli.ok("wait", task)
    (reason,) = cli.ok("why", task, "--json").json["reasons"]
    assert reason["code"] == "completed"
    assert re.fullmatch(r"ran on surtr m for 0\.\d s, waited 0\.\d s for its slot", reason["text"])
    gone = cli.submit("x", "--not-before", "1h")
    cli.ok("cancel", gone)
    assert cli.ok("why", gone, "--json").json["reasons"][0]["text"] == "cancelled: cancelled"


def test_show_tells_the_state_and_the_whole_log(cli: Cli) -> None:
    task = done(cli)
    text = cli.ok("show", task).out
    assert "completed" in text
    body = cli.ok("show", task, "--json").json
    assert [row["to"] for row in body["log"]] == ["queued", "processing", "completed"]
    for row in body["log"]:
        assert clock(row["at"]) in text


def test_an_id_may_be_shortened(cli: Cli) -> None:
    task = done(cli)
    assert cli.ok("show", task[-6:], "--json").json["id"] == task


def test_the_answer_goes_to_stdout_or_a_file(cli: Cli) -> None:
    task = done(cli)
    answer = cli.ok("result", task).out
    assert answer.strip() == f"{task}:0 {task}:1"
    target = cli.folder / "answer.txt"
    assert cli.ok("result", task, "-o", str(target)).out == ""
    assert target.read_text().strip() == answer.strip()
    assert cli.ok("result", task, "--json").json["result"]["content"].strip() == answer.strip()
    assert cli.ok("result", task, "-o", "-").out == answer


def test_a_file_that_cannot_be_written_leaves_nothing_half_done(cli: Cli) -> None:
    task = done(cli)
    ran = cli("result", task, "-o", str(cli.folder / "no" / "such" / "place"))
    assert ran.code == 1
    assert "cannot be written" in ran.err
    pipe = cli.folder / "device"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    cli.ok("result", task, "-o", str(pipe))
    assert os.read(reader, 1000).startswith(task.encode())
    os.close(reader)
    assert pipe.is_fifo()  # not replaced by a file


def test_a_result_before_the_end_says_how_to_wait(either: Cli) -> None:
    task = either.submit("hello", "--not-before", "1h")
    ran = either("result", task)
    assert (ran.code, ran.out) == (1, "")
    assert "has not ended" in ran.err


def test_why_gives_the_reason_and_the_place(cli: Cli, home: Api) -> None:
    home.surtr.latency_s = 60
    cli.submit()
    second, third = cli.submit(), cli.submit()
    for place, task in enumerate((second, third), 1):
        body = cli.ok("why", task, "--json").json
        assert (body["state"], body["position"]) == ("queued", place)
        text = cli.ok("why", task).out
        assert f"place {place}" in text
        assert body["reasons"][0]["text"] in text


def test_status_exits_1_only_when_a_host_is_down(cli: Cli, home: Api) -> None:
    ran = cli.ok("status")
    assert "● up" in ran.out
    home.surtr.health = HostHealth.DOWN
    ran = cli("status")
    assert ran.code == 1
    assert "✗ down" in ran.out
    body = cli("status", "--json").json
    assert {h["name"]: h["reachable"] for h in body["hosts"]} == {"surtr": False, "fenrir": True}


def test_status_without_a_daemon_says_so(offline: Cli) -> None:
    offline.submit("hello")
    ran = offline("status")
    assert ran.code == 1  # nothing listens on the hosts' port
    assert "ygg loop --async" in ran.out
    assert offline("status", "--json").json["daemon"] is None


# --- changing -------------------------------------------------------------------------------------


def test_cancel_tells_each_task_and_goes_on_after_an_error(either: Cli) -> None:
    one, two = (either.submit("x", "--not-before", "1h") for _ in range(2))
    ran = either("cancel", one, "0000-nope", two)
    assert ran.code == 3
    assert ran.lines == [f"{one} cancelled", f"{two} cancelled"]
    assert "0000-nope" in ran.err


def test_tasks_are_cancelled_by_state_type_and_label(either: Cli) -> None:
    red, blue = (either.submit("x", "--label", c, "--not-before", "1h") for c in ("red", "blue"))
    chat = either.submit("x", "-t", "chat", "--label", "red", "--not-before", "1h")
    assert either.ok("cancel", "--label", "red", "--type", "chat").lines == [f"{chat} cancelled"]
    assert either.ok("cancel", "--label", "red", "--state", "queued").lines == []
    assert either.ok("cancel", "--state", "scheduled", "--label", "red").lines == [
        f"{red} cancelled"
    ]
    assert either.ok("cancel", "--all").lines == [f"{blue} cancelled"]
    ran = either.ok("cancel", "--all")
    assert (ran.out, ran.err) == ("", "no such task waits or runs: ygg list\n")
    assert either.ok("cancel", "--all", "--json").json["tasks"] == []


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ((), "name the tasks, or say which: --state, --type, --label, or --all"),
        (("0000", "--all"), "name the tasks, or say which"),
        (("--all", "--label", "x"), "name the tasks, or say which"),
        (("--state", "completed"), "--state completed: only tasks that have not ended"),
        (("--state", "odd"), "--state odd: only tasks that have not ended"),
    ],
)
def test_a_cancel_that_says_too_little_or_too_much_is_refused(
    either: Cli, args: tuple[str, ...], said: str
) -> None:
    task = either.submit("x", "--not-before", "1h")
    ran = either("cancel", *args)
    assert (ran.code, said in ran.err) == (2, True), ran.err
    assert either.ok("show", task, "--json").json["state"] == "scheduled"


def test_all_but_what_runs_is_cancelled_when_asked(cli: Cli, home: Api) -> None:
    home.surtr.latency_s = 60
    runs = cli.submit()
    while pick(cli, runs) != "processing":
        pass
    waits = cli.submit()
    assert cli.ok("cancel", "--all", "--queued-only").lines == [f"{waits} cancelled"]
    assert cli.ok("cancel", "--all").lines == [f"{runs} cancelled"]


def test_a_running_task_is_left_alone_when_asked(cli: Cli, home: Api) -> None:
    home.surtr.latency_s = 60
    task = cli.submit()
    while pick(cli, task) != "processing":
        pass
    assert cli("cancel", task, "--queued-only").code == 1
    assert cli.ok("cancel", task, "--json").json["tasks"][0]["state"] == "cancelled"


def test_retry_queues_again_and_tells_what_it_could_not(either: Cli) -> None:
    task = either.submit("x", "--not-before", "1h")
    either.ok("cancel", task)
    ran = either("retry", task, "0000-nope")
    assert (ran.code, ran.lines) == (1, [task])
    assert "0000-nope" in ran.err
    assert either.ok("retry", "--failed").err == "nothing to retry\n"
    assert either("retry").code == 2
    assert either("retry", task, "--failed").code == 2


def test_priority_changes(either: Cli) -> None:
    task = either.submit("x", "--not-before", "1h")
    assert either.ok("prioritize", task, "high").lines == [f"{task} P1"]
    assert either.ok("prioritize", task, "4", "--json").json["priority"] == 4
    assert either("prioritize", task, "7").code == 2


def test_config_commands(offline: Cli) -> None:
    assert "2 hosts, 2 slots, 2 task types" in offline.ok("config", "check").out
    assert offline.ok("config", "check", "--json").json["ok"] is True
    assert offline.ok("config", "path").lines == [str(offline.config)]
    assert offline.ok("config", "path", "--json").json["path"] == str(offline.config)
    assert offline.ok("config", "show", "--json").json["hosts"]["surtr"]["slots"] == 1
    assert "surtr" in offline.ok("config", "show").out
    assert "properties" in offline.ok("config", "schema").json


def test_help_lists_every_command_the_daily_ones_first(offline: Cli) -> None:
    lines = [
        line.split()[0]
        for line in offline.ok("--help").lines
        if line.startswith("  ") and line[2] != " "
    ]
    assert lines[lines.index("submit") :][:4] == ["submit", "list", "show", "result"]
    assert {"top", "doctor", "init", "backup", "service", "hosts", "queue", "models"} <= set(lines)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts_ask_ygg_and_ygg_answers(offline: Cli, shell: str) -> None:
    assert "_YGG_COMPLETE" in offline.ok("completion", shell).out
    env = {"_YGG_COMPLETE": "complete_bash", "COMP_WORDS": "ygg ho", "COMP_CWORD": "1"}
    asked = subprocess.run(
        [sys.executable, "-m", "ygg"], env=os.environ | env, capture_output=True, text=True
    )
    assert asked.stdout.split() == ["hosts"]
    assert offline("completion", "cmd").code == 2


def test_status_tells_what_is_loaded_and_how_full_and_hot_the_cards_are(
    cli: Cli, home: Api
) -> None:
    from ygg.cli.read import _gpu, _models

    def gpu(*cards: JsonDict, level: str | None = "HIGH") -> tuple[str, str]:
        return _gpu({"gpus": cards, "memory_pressure": level})

    assert _models({"models": ["a", "b"], "loaded": ["b", "c"]}) == "a, b (loaded), c (loaded)"
    cold = {
        "used_mb": None,
        "total_mb": None,
        "level": None,
        "temperature_c": None,
        "limit_c": None,
        "age_s": 1.0,
        "stale": False,
        "error": "",
    }
    lost = {**cold, "error": "it fell off the bus"}
    warm = {"used_mb": 6470, "total_mb": 8192, "level": "HIGH", "temperature_c": 71, "limit_c": 90}
    warm |= {"age_s": 1.0, "stale": False, "error": ""}
    assert gpu(cold, level=None) == ("--", "--")
    assert gpu(lost, warm) == ("78% HIGH", "71/90°C")
    assert gpu(cold, warm) == ("78% HIGH", "71/90°C")  # pressure goes by those that tell
    empty = {**warm, "used_mb": 0, "temperature_c": 88}
    assert gpu(warm, empty) == ("39% HIGH", "88/90°C")
    old = {**warm, "age_s": 252.0, "stale": True}
    assert gpu(lost, old) == ("78% HIGH 4m12s ago", "71/90°C 4m12s ago")


def test_of_a_servers_slots_those_are_told_that_are_open_now() -> None:
    from ygg.cli.output import servers

    one = {"backend": "ollama", "slots": 2, "limit": 2, "in_flight": 0, "available_slots": 2}
    states = [("a", "up", one), ("b", "down", one | {"available_slots": 0}), ("c", "unknown", one)]
    found = [{"name": name, "health": health, **what} for name, health, what in states]
    rows = servers({"endpoints": found, "sick": []})
    assert [row[2] for row in rows] == ["0/2", "0/0 of 2", "0/2"]


# --- terminals and pipes --------------------------------------------------------------------------


def test_escape_codes_of_foreign_text_never_reach_a_terminal(cli: Cli, home: Api) -> None:
    task = cli.submit(ESCAPE, "--title", ESCAPE, "--label", "red")
    cli.ok("wait", task)
    for args in (("list",), ("show", task), ("why", task), ("result", task), ("status",)):
        ran = cli(*args, tty=True)
        assert ran.code == 0
        assert "\x1b" not in ran.out
        assert "\u202e" not in ran.out
    assert "red" in cli("list", tty=True).out


def test_a_pipe_gets_the_answer_byte_by_byte(offline: Cli) -> None:
    """`ygg result | program` must not change what the model wrote."""
    from ygg.cli import output

    assert output.safe_for_terminal(ESCAPE) == ESCAPE


def test_json_is_one_line_for_a_pipe_and_indented_for_a_terminal(cli: Cli) -> None:
    task = done(cli)
    assert len(cli.ok("show", task, "--json").lines) == 1
    assert len(cli.ok("show", task, "--json", tty=True).lines) > 10


def test_hints_are_for_people_only(cli: Cli) -> None:
    assert cli.ok("submit", "x").err == ""
    assert "ygg wait" in cli.ok("submit", "x", tty=True).err


@pytest.mark.parametrize("count", [1, 60])
def test_a_reader_that_went_away_gets_no_traceback(cli: Cli, count: int) -> None:
    for _ in range(count):
        cli.submit("x" * 100, "--not-before", "1h", "--title", "t" * 150)
    list_ = subprocess.Popen(
        [sys.executable, "-m", "ygg", "list", "-n", "100", "--json"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=dict(os.environ),
    )  # fmt: skip
    assert list_.stdout is not None
    assert list_.stderr is not None
    list_.stdout.close()
    assert list_.stderr.read() == b""
    list_.stderr.close()
    assert list_.wait(20) in (0, 1)


# --- start-up -------------------------------------------------------------------------------------

HEAVY = {"httpx", "pydantic", "fastapi", "uvicorn", "yaml", "apsw", "asyncssh", "ollama", "uvloop"}


def loaded_by(cli: Cli, *args: str) -> set[str]:
    code = (
        "import json, sys\nfrom ygg.__main__ import run\ncode = run(sys.argv[1:])\n"
        "print(json.dumps([code, sorted(sys.modules)]), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *args], capture_output=True, text=True, env=dict(os.environ)
    )
    exit_code, modules = json.loads(done.stderr.splitlines()[-1])
    assert exit_code == 0, done.stderr
    return set(modules)


def test_a_submit_to_the_daemon_loads_nothing_heavy(cli: Cli) -> None:
    modules = loaded_by(cli, "submit", "hello")
    assert not {m.split(".")[0] for m in modules} & (HEAVY | {"asyncio"})
    assert not modules & {"rich.live", "rich.console", "ygg.view.live", "ygg.core", "ygg.config"}


@pytest.mark.parametrize("args", [("list",), ("status",), ("list", "--json")])
def test_reading_loads_nothing_heavy(cli: Cli, args: tuple[str, ...]) -> None:
    assert not {m.split(".")[0] for m in loaded_by(cli, *args)} & (HEAVY | {"asyncio"})


def test_the_version_needs_no_command_tree(cli: Cli) -> None:
    assert "typer" not in loaded_by(cli, "--version")


def test_a_path_of_the_machine_is_never_needed(tmp_path: Path, offline: Cli) -> None:
    """Commands work from any directory."""
    done = subprocess.run(
        [sys.executable, "-m", "ygg", "config", "path"], cwd="/", capture_output=True, text=True,
        env=dict(os.environ), check=True,
    )  # fmt: skip
    assert done.stdout.strip() == str(offline.config)
