"""Chapter F: servers that are up and fail whoever asks. The queue waits, and pays nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from threading import Condition

import pytest

from tests.cases.house import House, config, house
from tests.cases.scripted import Asked, Reply, Script, scripted
from tests.system.rig import until

DONE = '{"message": {"content": "hello"}, "done": true, "done_reason": "stop"}'
DYING = "llama runner process has terminated: exit status 2"
POLICIES = (
    "{backoff: [1s], max_errors: 3, first_token: 1s, between_tokens: 1s, connect: 1s, drain: 1s}"
)
#: How a server may be sick that answers each check.
WAYS = {
    "its runner dies at each load": Reply(json.dumps({"error": DYING}), 500),
    "its runner hangs": Reply("@pause 60"),
    "it answers what nobody understands": Reply("<html>Welcome to nginx!</html>"),
    "it hangs up": Reply(raw=b"", headers={"Content-Length": "100"}),
}


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as found:
        yield found


def sick_house(stack: ExitStack, folder: Path, *names: str, way: Reply) -> tuple[House, Script]:
    """The first host is sick, the others are well."""
    servers = {name: stack.enter_context(scripted(Reply(DONE))) for name in names}
    first = servers[names[0]]
    first.reply, first.sick = way, True
    return stack.enter_context(house(folder, config(servers, policies=POLICIES))), first


@pytest.mark.parametrize("way", WAYS)
def test_a_sick_server_costs_no_task_anything_and_everybody_says_so(
    stack: ExitStack, tmp_path: Path, way: str
) -> None:
    home, server = sick_house(stack, tmp_path, "fenrir", way=WAYS[way])
    tasks = [home.submit("hello") for _ in range(5)]

    def told() -> list[dict[str, str]]:
        with closing(home.remote()) as desk:
            return list(desk.status(probe=False)["hosts"][0]["sick"])

    until(told, 20, "the model is sick")
    assert told()[0]["model"] == "m"
    assert "is sick:" in home.ygg("why", tasks[4]).stdout
    status = home.ygg("status").stdout
    assert "▲ sick" in status
    assert "fenrir: m is sick: " in status
    assert "m is sick: " in home.ygg("doctor").stdout
    assert "fenrir: m is sick: " in home.text()
    until(lambda: len([a for a in server.asked if a.canary]) > 1, 30, "it is asked again")
    rows = [home.task(task) for task in tasks]
    assert {(row["state"], row["errors"]) for row in rows} == {("queued", 0)}
    assert sum(row["attempt"] for row in rows) == 1
    server.reply, server.sick = Reply(DONE), False
    home.ygg("hosts", "resume", "fenrir")
    assert {home.end(task)["state"] for task in tasks} == {"completed"}
    assert told() == []
    assert "fenrir: m is well again" in home.text()


def test_tasks_with_another_host_waste_one_try_in_all(stack: ExitStack, tmp_path: Path) -> None:
    home, server = sick_house(stack, tmp_path, "fenrir", "surtr", way=next(iter(WAYS.values())))
    tasks = [home.submit("hello") for _ in range(8)]
    rows = [home.end(task) for task in tasks]
    assert {(row["state"], row["errors"], row["host"]) for row in rows} == {
        ("completed", 0, "surtr")
    }
    assert len(server.calls) == 1


def test_a_task_that_breaks_a_server_that_works_pays_for_itself(
    stack: ExitStack, tmp_path: Path
) -> None:
    """Whether others work there, or nobody but the canary."""
    server = stack.enter_context(
        scripted(lambda asked: WAYS["it hangs up"] if b"poison" in asked.body else Reply(DONE))
    )
    home = stack.enter_context(house(tmp_path, config({"fenrir": server}, policies=POLICIES)))
    bad = home.submit("poison", "-p", "high")
    good = [home.submit("hello", "-p", "low") for _ in range(5)]
    end = home.end(bad)
    assert (end["state"], end["reason"], end["errors"]) == ("failed", "error_budget", 3)
    assert {home.end(task)["state"] for task in good} == {"completed"}


class Falling:
    """A server that falls while it has the poison, and takes along whoever else is inside: the first time when all
    three are, from then on after a moment."""

    def __init__(self) -> None:
        self.news = Condition()
        self.inside = 0
        self.falls = 0

    def __call__(self, asked: Asked) -> Reply:
        with self.news:
            self.inside += 1
            before = self.falls
            self.news.notify_all()
            if b"poison" in asked.body:
                self.news.wait_for(lambda: self.inside == 3, 0.4 if before else 20.0)
                self.falls += 1
                self.news.notify_all()
            else:
                self.news.wait_for(lambda: self.falls > before, 0.5 if before else 20.0)
            self.inside -= 1
            return Reply(DONE) if self.falls == before else WAYS["it hangs up"]


def test_a_task_that_takes_others_down_with_it_does_so_once(
    stack: ExitStack, tmp_path: Path
) -> None:
    server = stack.enter_context(scripted(Falling()))
    patient = POLICIES.replace("first_token: 1s", "first_token: 30s")  # no call ends but by a fall
    text = config({"fenrir": server}, policies=patient).replace("slots: 1", "slots: 3")
    home = stack.enter_context(house(tmp_path, text))
    home.ygg("queue", "pause")
    bad, *good = (home.submit(prompt) for prompt in ("poison", "hello", "hello"))
    home.ygg("queue", "resume")
    end = home.end(bad)
    assert (end["state"], end["errors"]) == ("failed", 3)
    ends = [home.end(task) for task in good]
    assert [row["state"] for row in ends] == ["completed"] * 2
    assert max(row["errors"] for row in ends) <= 1


def test_ctrl_c_while_a_canary_is_out_ends_at_once_and_keeps_its_task(
    stack: ExitStack, tmp_path: Path
) -> None:
    home, server = sick_house(stack, tmp_path, "fenrir", way=WAYS["its runner hangs"])
    server.reply = lambda asked: (
        WAYS["its runner hangs"] if asked.canary else Reply(json.dumps({"error": DYING}), 500)
    )
    task = home.submit("hello")
    until(lambda: [a for a in server.asked if a.canary], 10, "a canary is out")
    assert home.task(task)["state"] == "processing"
    assert home.stop() == 0
    shown = json.loads(home.ygg("show", task, "--json").stdout)
    assert (shown["state"], shown["errors"]) == ("queued", 0)
