"""A house of scripted servers under one real daemon."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from tests.cases.scripted import Script
from tests.system.rig import Daemon

ENDED = ("completed", "failed", "cancelled", "expired", "blocked")
QUICK = "{backoff: [1s], defer: [1s], max_errors: 3, max_deferrals: 3}"


def config(
    scripts: dict[str, Script], backend: str = "ollama", policies: str = QUICK, more: str = ""
) -> str:
    """hosts.yaml: a host of one slot for each server, all of them in the route of `general`."""
    hosts = "\n".join(
        f"  {name}: {{slots: 1, backend: {backend}, url: '{s.url}', models: [m], telemetry: 'off'}}"
        for name, s in scripts.items()
    )
    route = ", ".join(scripts)
    types = f"task_types:\n  general: {{route: [{route}]}}"
    return f"hosts:\n{hosts}\n{types}\npolicies: {policies}\n{more}"


class House(Daemon):
    """The daemon, and what a case asks of it."""

    def submit(self, *args: str, stdin: bytes | None = None) -> str:
        """`ygg submit`: the id of the task."""
        done = self.ygg("submit", "--json", *args, stdin=stdin)
        assert done.returncode == 0, done.stderr
        return str(json.loads(done.stdout)["id"])

    def task(self, task_id: str) -> dict[str, Any]:
        with closing(self.remote()) as desk:
            return dict(desk.show(task_id))

    def end(self, task_id: str, limit_s: float = 30) -> dict[str, Any]:
        """The task once it has ended."""
        with closing(self.remote()) as desk:
            desk.wait(task_id, limit_s)
            task = dict(desk.show(task_id))
        assert task["state"] in ENDED, f"{task_id} has not ended after {limit_s} s: {task}"
        return task

    def result(self, task_id: str) -> dict[str, Any]:
        done = self.ygg("result", task_id, "--json")
        assert done.returncode == 0, done.stderr
        return dict(json.loads(done.stdout))


@contextmanager
def house(folder: Path, text: str, *args: str) -> Iterator[House]:
    """A started daemon on the hosts.yaml `text`, ended whatever happens."""
    path = folder / "hosts.yaml"
    path.write_text(text)
    running = House(folder, path, *args)
    running.start()
    try:
        yield running
    finally:
        running.stop()
