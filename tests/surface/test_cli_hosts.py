"""ygg hosts and ygg queue: what they list, and what follows from drain, resume, pause and probe."""

from __future__ import annotations

import pytest

from tests.surface.cli import Cli
from tests.surface.test_cli import HEAVY, loaded_by, pick
from tests.surface.world import Api
from ygg.model import HostHealth

HEADER = ["HOST", "KIND", "STATE", "SLOTS", "BACKEND", "VERSION", "MODELS", "URL"]


def row(cli: Cli, host: str) -> list[str]:
    return next(line.split() for line in cli.ok("hosts").lines if line.startswith(host))


def wait_for(cli: Cli, task: str, state: str) -> None:
    while pick(cli, task) != state:
        pass


# --- hosts ----------------------------------------------------------------------------------------


def test_hosts_are_listed_with_what_is_known(cli: Cli, home: Api) -> None:
    home.surtr.latency_s = 60
    wait_for(cli, cli.submit(), "processing")
    assert cli.ok("hosts").lines[0].split() == HEADER
    assert row(cli, "surtr") == [
        "surtr", "gpu", "●", "up", "1/1", "ollama", "--", "--/1", "http://surtr:11434",
    ]  # fmt: skip
    body = cli.ok("hosts", "--json").json
    assert body["schema"] == "ygg.hosts/1"
    assert [h["name"] for h in body["hosts"]] == ["surtr", "fenrir"]


def test_without_a_daemon_the_hosts_are_unknown_until_probed(offline: Cli) -> None:
    ran = offline.ok("hosts")  # no database either
    assert ran.out.count("◌ unknown") == 2
    assert "ygg hosts probe" in ran.err
    ran = offline("hosts", "probe")
    assert ran.code == 1
    assert ran.out.count("✗ down") == 2
    assert "surtr: " in ran.err


def test_a_drained_host_starts_nothing_and_what_follows_is_said(cli: Cli, home: Api) -> None:
    home.surtr.latency_s = 60
    running = cli.submit()
    wait_for(cli, running, "processing")
    ran = cli.ok("hosts", "drain", "surtr")
    assert ran.lines == ["surtr drained"]
    assert ran.err == (
        "running calls go on; no new ones start on surtr until: ygg hosts resume surtr\n"
    )
    assert "drained" in row(cli, "surtr")
    assert pick(cli, running) == "processing"
    cli.ok("cancel", running)
    home.surtr.latency_s = 0.01
    waiting = cli.submit()
    assert cli.ok("why", waiting, "--json").json["reasons"][0]["code"] == "host_drained"
    assert cli.ok("hosts", "resume", "surtr").lines == ["surtr resumed"]
    cli.ok("wait", waiting, "--timeout", "10")


def test_draining_and_pausing_need_no_daemon(offline: Cli) -> None:
    ran = offline.ok("hosts", "drain", "surtr", "--json")
    assert ran.json == {"host": "surtr", "drained": True}
    assert "no daemon is running" in ran.err
    assert "drained" in row(offline, "surtr")
    assert "no daemon is running" in offline.ok("queue", "pause").err
    assert offline.ok("queue", "--json").json["paused"] is True
    assert "no daemon is running" in offline.ok("queue").err
    offline.ok("hosts", "resume", "surtr")
    assert "drained" not in row(offline, "surtr")


@pytest.mark.parametrize("verb", ["drain", "resume", "probe"])
def test_an_unknown_host_exits_3_and_names_the_known(either: Cli, verb: str) -> None:
    either.submit()
    ran = either("hosts", verb, "sutr")
    assert (ran.code, ran.out) == (3, "")
    assert "hosts: fenrir, surtr" in ran.err


def test_a_probe_asks_one_host_and_exits_1_when_it_is_down(cli: Cli, home: Api) -> None:
    home.surtr.health = HostHealth.DOWN
    assert cli.ok("hosts", "probe", "fenrir", "--json").json["hosts"][0]["reachable"] is True
    ran = cli("hosts", "probe", "surtr")
    assert ran.code == 1
    assert (len(ran.lines), "✗ down" in ran.out) == (2, True)
    assert ran.err.startswith("surtr: down: down; asked again in ")
    assert cli("hosts", "probe").code == 1
    assert "✗" in row(cli, "surtr")  # the daemon has learnt it


# --- queue ----------------------------------------------------------------------------------------


def test_the_queue_is_counted_by_priority_and_state(either: Cli) -> None:
    either.submit("x", "-p", "0", "--not-before", "1h")
    either.ok("cancel", either.submit("x", "-p", "4", "--not-before", "1h"))
    lines = either.ok("queue").lines
    assert lines[0] == "dispatch on"
    assert lines[1].split()[:4] == ["PRIORITY", "QUEUED", "SCHEDULED", "PROCESSING"]
    rows = {r.split()[0]: r.split()[1:] for r in lines[2:]}
    assert rows["CRITICAL"] == ["0", "1", "0", "0", "0", "0", "0", "0"]
    assert rows["BACKLOG"] == ["0", "0", "0", "0", "0", "0", "1", "0"]
    body = either.ok("queue", "--json").json
    assert (body["schema"], body["paused"], body["scheduled"]) == ("ygg.queue/1", False, 1)


def test_a_paused_queue_starts_nothing_until_it_is_resumed(cli: Cli) -> None:
    ran = cli.ok("queue", "pause")
    assert ran.lines == ["paused"]
    assert ran.err == "running calls go on; no task starts until: ygg queue resume\n"
    task = cli.submit()
    assert cli.ok("queue").lines[0] == "dispatch paused: ygg queue resume"
    assert cli("wait", task, "--timeout", "0.2").code == 75
    assert cli.ok("queue", "resume", "--json").json == {"paused": False}
    cli.ok("wait", task, "--timeout", "10")


@pytest.mark.parametrize("args", [("hosts",), ("queue",), ("queue", "pause"), ("hosts", "probe")])
def test_these_commands_load_nothing_heavy(cli: Cli, args: tuple[str, ...]) -> None:
    assert not {m.split(".")[0] for m in loaded_by(cli, *args)} & (HEAVY | {"asyncio"})


def test_what_is_the_matter_is_broken_between_words_on_a_terminal(offline: Cli) -> None:
    ran = offline("hosts", "probe", "surtr", tty=True)
    lines = ran.err.splitlines()
    assert max(map(len, lines)) <= 80
    told = "surtr: down: cannot connect to 127.0.0.1:9: Connection refused; asked again in "
    assert told in " ".join(line.strip() for line in lines)
    (piped,) = offline("hosts", "probe", "surtr").err.splitlines()
    assert piped.startswith(told)
