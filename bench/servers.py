"""Simulated model servers in a process of their own, so that their work is not counted as ours."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HOME = {"surtr-reasoning": 2, "fenrir-chat": 3, "skadi-code": 2}
TYPES = {
    "reasoning": "surtr-reasoning",
    "text-processing": "fenrir-chat",
    "code-generation": "skadi-code",
}
KINDS = sorted(TYPES)


@dataclass
class Servers:
    """Their URLs while they run, and what they recorded once they have ended."""

    urls: dict[str, str]
    records: dict[str, dict[str, Any]] = field(default_factory=dict)


@contextmanager
def servers(latency_s: float, **more: Any) -> Iterator[Servers]:
    """Three hosts as in the shipped hosts.yaml; `records` is filled on the way out."""
    with tempfile.TemporaryDirectory() as folder:
        specs = [
            {
                "name": name, "slots": slots, "models": ["m"], "latency_s": latency_s,
                "records": f"{folder}/{name}.json", **more,
            }
            for name, slots in HOME.items()
        ]  # fmt: skip
        process = subprocess.Popen(
            [sys.executable, "-m", "ygg.sim.servers", json.dumps(specs)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert process.stdin is not None
        assert process.stdout is not None
        lines = [json.loads(process.stdout.readline()) for _ in specs]
        running = Servers({line["name"]: line["url"] for line in lines})
        try:
            yield running
        finally:
            process.stdin.close()
            process.wait(20)
            process.stdout.close()
            for spec in specs:
                path = Path(str(spec["records"]))
                if path.exists():
                    running.records[str(spec["name"])] = json.loads(path.read_text())


def config_dict(urls: dict[str, str]) -> dict[str, Any]:
    """hosts.yaml for those servers."""
    hosts = {
        name: {"slots": slots, "backend": "ollama", "url": urls[name], "models": ["m"]}
        for name, slots in HOME.items()
    }
    routes = {**TYPES, "general": "surtr-reasoning"}
    return {"hosts": hosts, "task_types": {t: {"route": [h]} for t, h in routes.items()}}
