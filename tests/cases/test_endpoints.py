"""Chapter F: several model servers on one machine, each with what it runs at once."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.cases.house import House, house
from tests.cases.scripted import Asked, Reply, scripted
from tests.system.rig import until

DONE = '{"message": {"content": "hello"}, "done": true, "done_reason": "stop"}'
TEXT = """\
hosts:
  box:
    telemetry: "off"
    endpoints:
      - {{backend: ollama, url: "{0}", models: [m], slots: 1}}
      - {{name: second, backend: ollama, url: "{1}", models: [m], slots: 2}}
      - {{name: small, backend: ollama, url: "{2}", models: [n], slots: 1, kind: cpu}}
task_types:
  general: {{route: [box]}}
  tiny: {{route: [box, box/n]}}
  first: {{route: [{{host: box, endpoint: ollama}}]}}
policies: {{drain: 1s}}
"""


class Counting:
    """A server that answers once it may, and knows how many calls were inside at most."""

    def __init__(self) -> None:
        self.go, self.lock = threading.Event(), threading.Lock()
        self.inside = self.most = 0

    def __call__(self, _: Asked) -> Reply:
        with self.lock:
            self.inside += 1
            self.most = max(self.most, self.inside)
        self.go.wait(30)
        with self.lock:
            self.inside -= 1
        return Reply(DONE)


@pytest.fixture
def box(tmp_path: Path) -> Iterator[tuple[House, Counting, Counting, Counting]]:
    with ExitStack() as stack:
        counts = Counting(), Counting(), Counting()
        urls = [stack.enter_context(scripted(count)).url for count in counts]
        home = stack.enter_context(house(tmp_path, TEXT.format(*urls)))
        yield home, *counts
        for count in counts:
            count.go.set()


def test_each_server_gets_what_it_runs_at_once_and_everybody_names_it(
    box: tuple[House, Counting, Counting, Counting],
) -> None:
    home, first, second, small = box
    tasks = [home.submit("hello", "-t", "first") for _ in range(3)]
    until(lambda: first.inside == 1, 10, "the first server works")
    assert "box/ollama: 1 of 1 slot busy" in home.ygg("why", tasks[2]).stdout
    helped = [home.submit("hello") for _ in range(4)]
    until(lambda: second.inside == 2, 10, "the second server helps out")
    listed = home.ygg("hosts").stdout
    assert "/ollama" in listed
    assert "/second" in listed
    shown = json.loads(home.ygg("hosts", "--json").stdout)["hosts"][0]
    assert shown["slots"] == 4
    told = [(e["name"], e["kind"], e["slots"], e["in_flight"]) for e in shown["endpoints"]]
    assert told == [("ollama", "gpu", 1, 1), ("second", "gpu", 2, 2), ("small", "cpu", 1, 0)]
    assert "/second" in home.ygg("status").stdout
    first.go.set()
    second.go.set()
    assert {home.end(task)["state"] for task in (*tasks, *helped)} == {"completed"}
    assert (first.most, second.most, small.most) == (1, 2, 0)
    assert home.task(tasks[0])["endpoint"] == "ollama"


def test_a_task_that_needs_no_gpu_goes_to_the_server_on_the_cpu(
    box: tuple[House, Counting, Counting, Counting],
) -> None:
    home, *servers = box
    for server in servers:
        server.go.set()
    never = home.submit("x", "-t", "tiny", "--gpu", "never")
    needed = home.submit("x", "-t", "tiny", "--gpu", "required")
    assert home.end(never)["endpoint"] == "small"
    assert home.end(needed)["endpoint"] == "ollama"
    assert "box/small" in home.text()
