"""Many cases under one daemon: each has a host, a server and a task type of its own, and is asked at once.

A test then reads what became of its own case, so the whole file takes as long as the slowest one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.cases.house import House, house
from tests.cases.scripted import Asked, Reply, Script, scripted
from tests.system.rig import until

POLICIES = (
    "{between_tokens: 1s, first_token: 3s, timeout: 20s, max_errors: 1, max_deferrals: 1, "
    "probe_min: 60s, probe_max: 60s}"
)
NO_OLLAMA = {"/api/version": Reply(status=404)}
HELLO = {"prompt": "hello"}


@dataclass(frozen=True)
class Case:
    """A server that answers with `reply`, and what it is asked; `answers` stand before its checks."""

    backend: str
    reply: Reply | Callable[[Asked], Reply]
    request: Mapping[str, Any] = field(default_factory=lambda: HELLO)
    answers: Mapping[str, Reply] = field(default_factory=dict)
    slots: int = 1
    more: str = ""  #: other keys of the host


@dataclass
class Many:
    """The house, and the task and the server of each case."""

    house: House
    tasks: dict[str, str]
    servers: dict[str, Script]

    def over(self, case: str, limit_s: float = 40) -> dict[str, Any]:
        """The row of the log that ends the first attempt, whatever follows it."""

        def row() -> dict[str, Any] | None:
            log = self.house.task(self.tasks[case])["log"]
            return next((row for row in log if row["from"] == "processing"), None)

        return dict(until(row, limit_s, f"the attempt of {case!r} is over"))

    def text(self, case: str) -> str:
        """What is told of the end of its first attempt."""
        return str(self.over(case)["detail"])

    def answer(self, case: str) -> dict[str, Any]:
        """The message of a case that must have completed."""
        task = self.house.end(self.tasks[case])
        assert task["state"] == "completed", (case, task["reason"], task["error"])
        with closing(self.house.remote()) as desk:
            return dict(desk.result(self.tasks[case])["result"])

    def host(self, case: str) -> dict[str, Any]:
        """What is known of the host of a case."""
        with closing(self.house.remote()) as desk:
            hosts = desk.hosts()["hosts"]
        return dict(next(h for h in hosts if h["name"] == f"h{list(self.tasks).index(case)}"))

    def outcome(self, case: str) -> str:
        """The reason with which its first attempt ended."""
        return str(self.over(case)["reason"])


@contextmanager
def many(folder: Path, cases: Mapping[str, Case], policies: str = POLICIES) -> Iterator[Many]:
    """All cases asked, under one daemon that ends with the block."""
    with ExitStack() as stack:
        servers = {name: stack.enter_context(scripted(c.reply)) for name, c in cases.items()}
        for name, case in cases.items():
            servers[name].answers.update(
                (NO_OLLAMA if case.backend == "openai" else {}) | dict(case.answers)
            )
        home = stack.enter_context(house(folder, _settings(cases, servers, policies)))
        with closing(home.remote()) as desk:
            docs = [{**c.request, "type": f"t{n}"} for n, c in enumerate(cases.values())]
            made = desk.submit_part(docs)["tasks"]
        yield Many(home, {name: t["id"] for name, t in zip(cases, made, strict=True)}, servers)


def _settings(cases: Mapping[str, Case], servers: Mapping[str, Script], policies: str) -> str:
    hosts = "".join(
        f"  h{n}: {{slots: {c.slots}, backend: {c.backend}, url: '{servers[name].url}', models: [m], "
        f"telemetry: 'off'{', ' + c.more if c.more else ''}}}\n"
        for n, (name, c) in enumerate(cases.items())
    )
    types = "".join(f"  t{n}: {{route: [h{n}]}}\n" for n in range(len(cases)))
    return f"hosts:\n{hosts}task_types:\n  general: {{route: [h0]}}\n{types}policies: {policies}\n"
