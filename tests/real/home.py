"""A daemon over real servers, and what tests ask of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from tests.cases.house import House
from tests.real.counting import Counted
from tests.system.rig import until

SLOTS = 2  #: of each server, and of its host; the Ollama of `box` may use one
SETTINGS = """\
hosts:
  ollama: {{slots: {slots}, backend: ollama, url: "{ollama}", models: [a, b, c, slow, narrow], telemetry: "off"}}
  llama: {{slots: {slots}, backend: openai, url: "{llama}", models: [slow], telemetry: "off"}}
  box:
    telemetry: "off"
    endpoints:
      - {{backend: ollama, url: "{box_ollama}", models: [a, b], slots: 1}}
      - {{backend: openai, url: "{box_llama}", models: [slow], slots: {slots}}}
task_types:
  general: {{route: [ollama, llama]}}
policies:
  backoff: [1s]
  defer: [1s]
  probe_min: 1s
  probe_max: 1s
  residency: {{max_wait: 60s}}
"""


def settings(urls: Mapping[str, str]) -> str:
    """hosts.yaml of the house."""
    return SETTINGS.format(slots=SLOTS, **urls)


class Home(House):
    """The daemon; `servers` are the counting proxies before its hosts, and before the endpoints of `box`."""

    servers: Mapping[str, Counted]

    def __init__(self, folder: Path, config: Path) -> None:
        super().__init__(folder, config)
        self.servers = {}

    def put(self, *docs: Mapping[str, Any]) -> list[str]:
        """Submit tasks in one piece; their ids."""
        with closing(self.remote()) as desk:
            return [str(t["id"]) for t in desk.submit_part([dict(d) for d in docs])["tasks"]]

    def ends(self, ids: Sequence[str], limit_s: float = 60) -> list[dict[str, Any]]:
        """The tasks once all have ended."""
        return [self.end(task_id, limit_s) for task_id in ids]

    def cancel(self, task_id: str) -> None:
        with closing(self.remote()) as desk:
            desk.cancel(task_id)

    def clear(self) -> None:
        """Cancel whatever has not ended."""
        with closing(self.remote()) as desk:
            for state in ("queued", "scheduled", "processing", "blocked"):
                for task in desk.tasks(state=state)["tasks"]:
                    desk.cancel(task["id"])

    def host(self, name: str) -> dict[str, Any]:
        with closing(self.remote()) as desk:
            return dict(next(h for h in desk.hosts()["hosts"] if h["name"] == name))

    def paused(self, paused: bool) -> None:
        with closing(self.remote()) as desk:
            desk.pause() if paused else desk.resume()

    def writes(self, task_id: str) -> None:
        """Wait until some of its answer has come."""

        def tokens() -> int:
            with closing(self.remote()) as desk:
                running = desk.snapshot()["snapshot"]["running"]
            return next((int(r["tokens"]) for r in running if r["task_id"] == task_id), 0)

        until(tokens, 30, f"{task_id} writes")
