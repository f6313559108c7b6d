"""Chapter F, calls that are cut off before their first token and are still inside the server."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from tests.cases.house import House, house
from tests.cases.scripted import Asked, Reply, Script, scripted
from tests.system.rig import until

ANSWER = (
    'data: {"choices":[{"delta":{"content":"hello"}}]}\n\n'
    'data: {"choices":[{"delta":{},"finish_reason":"stop"}]}\n\n'
)
LINES = '{"message":{"content":"hello"},"done":true,"done_reason":"stop"}'
SETTINGS = """\
hosts:
  llama: {{slots: 1, backend: openai, dialect: llama.cpp, url: "{llama}", models: [m], telemetry: "off"}}
  ollama: {{slots: 1, backend: ollama, url: "{ollama}", models: [m], telemetry: "off"}}
task_types:
  general: {{route: [llama]}}
policies: {{first_token: 2s, max_errors: 1}}
"""


def replied(asked: Asked) -> Reply:
    """A prompt with `slow` in it is computed for a long time; any other is answered at once."""
    if b"slow" in asked.body:
        return Reply("@pause 60")
    return Reply(LINES if asked.path == "/api/chat" else ANSWER)


def busy(server: Script, slots: int) -> None:
    """What the server says of its one slot."""
    server.answers["/slots"] = Reply(json.dumps([{"id": 0, "is_processing": slots > 0}]))


@dataclass
class Haunted:
    """The house and its two servers."""

    house: House
    llama: Script
    ollama: Script

    def put(self, prompt: str, **more: str) -> str:
        with closing(self.house.remote()) as desk:
            return str(desk.submit_part([{"prompt": prompt, **more}])["tasks"][0]["id"])

    def computes(self, server: Script, **more: str) -> str:
        """A task whose prompt a server is busy with."""
        before = len(server.calls)
        task = self.put("slow", **more)
        until(lambda: len(server.calls) > before, 10, "it was sent")
        return task

    def cancel(self, task: str) -> None:
        assert self.house.ygg("cancel", task).returncode == 0

    def why(self, task: str) -> str:
        with closing(self.house.remote()) as desk:
            return str(desk.why(task)["reasons"][0]["code"])


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Haunted]:
    folder = tmp_path_factory.mktemp("ghosts")
    with scripted(replied) as llama, scripted(replied) as ollama:
        busy(llama, 0)
        with house(folder, SETTINGS.format(llama=llama.url, ollama=ollama.url)) as running:
            yield Haunted(running, llama, ollama)


def cancelled(home: Haunted) -> None:
    home.cancel(home.computes(home.llama))


def silent(home: Haunted) -> None:
    """No first token in time. The model has just worked, so that it is the task's fault."""
    home.house.end(home.put("hello"))
    assert "no first token for 2 s" in home.house.end(home.computes(home.llama))["error"]


def late(home: Haunted) -> None:
    """Its deadline passes."""
    deadline = (datetime.now(UTC) + timedelta(seconds=1.5)).isoformat()
    assert home.house.end(home.computes(home.llama, deadline=deadline))["state"] == "expired"


@pytest.mark.parametrize("cut_off", [cancelled, silent, late])
def test_the_next_task_is_sent_when_the_server_says_that_its_slot_is_free(
    home: Haunted, cut_off: Callable[[Haunted], None]
) -> None:
    cut_off(home)
    busy(home.llama, 1)
    sent = len(home.llama.calls)
    task = home.put("hello")
    asked = len(home.llama.asked)
    until(lambda: "/slots" in [a.path for a in home.llama.asked[asked:]], 10, "it is asked")
    assert home.why(task) == "ghost"
    assert "1 slot taken by a call that was cut off" in home.house.ygg("status").stdout
    assert len(home.llama.calls) == sent
    busy(home.llama, 0)
    assert home.house.end(task)["state"] == "completed"


def test_a_person_may_say_that_the_slot_of_a_server_that_tells_nothing_is_free(
    home: Haunted,
) -> None:
    home.cancel(home.computes(home.ollama, host="ollama"))
    task = home.put("hello", host="ollama")
    assert home.why(task) == "ghost"
    assert home.house.ygg("hosts", "resume", "ollama").returncode == 0
    assert home.house.end(task)["state"] == "completed"
