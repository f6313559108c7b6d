"""The house of `ygg demo`: three machines, what they serve, and the configuration that says so."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ygg.model import JsonDict
from ygg.sim.faults import Fault, FaultPlan

if TYPE_CHECKING:
    from ygg.config import Config
    from ygg.sim.servers import SimServer

#: The mission's home: host, slots, model and the task types it serves.
HOME = (
    ("surtr-reasoning", 2, "qwen3:8b"),
    ("fenrir-chat", 3, "gemma3:4b"),
    ("skadi-code", 2, "qwen2.5-coder:3b"),
)
TYPES = {
    "code-generation": "skadi-code",
    "text-processing": "fenrir-chat",
    "reasoning": "surtr-reasoning",
    "general": "surtr-reasoning",
}
CARDS = {"surtr-reasoning": "RTX 3090", "fenrir-chat": "RTX 3070", "skadi-code": "Tesla P4"}
SECOND = ("fenrir-chat", "aya-expanse:8b")  #: a model that is loaded in the course of the scene
TRANSLATION = "translation"  #: the type of task that needs it
MODEL = "4.7GB"  #: what each takes, as `sim.dialects` says
ONCE = {
    "this call fails once": (Fault.ERROR_500,)
}  #: words in the prompt of the one that is retried
STAGED = 4  #: a scene is played so much slower


@dataclass(frozen=True, slots=True)
class Options:
    """What `ygg demo` was asked for."""

    as_json: bool = False
    tasks: int | None = None  #: None: the example file
    seed: int = 0
    latency_ms: float = 400.0
    faults: bool = False
    keep: Path | None = None  #: where the store is left for a look; None: removed

    @property
    def staged(self) -> bool:
        """Whether somebody watches, so that there are machines with GPUs and a scene."""
        return self.tasks is None and not self.as_json


@asynccontextmanager
async def serving(options: Options) -> AsyncIterator[list[SimServer]]:
    from ygg.sim.servers import SimServer

    faults = FaultPlan.light(options.seed) if options.faults else FaultPlan(by_prompt=ONCE)
    slowly: JsonDict = {"tokens": 60, "load_s": 0.6, "max_loaded": 1} if options.staged else {}
    servers = [
        SimServer(
            name, slots=slots, models=_models(name, model, staged=options.staged),
            latency_s=options.latency_ms / 1000 * (STAGED if options.staged else 1),
            faults=faults, seed=options.seed, **slowly,
        )
        for name, slots, model in HOME
    ]  # fmt: skip
    for server in servers:
        await server.start()
    try:
        yield servers
    finally:
        for server in servers:
            await server.stop()


def config_of(urls: dict[str, str], ports: Mapping[str, int] | None = None) -> Config:
    """Without `ports` nothing is read: the real GPU of this machine is none of the demo's business."""
    from ygg.config import from_dict

    hosts = {
        name: {
            "slots": slots, "backend": "ollama", "url": urls[name],
            "models": [{"name": m, "memory": MODEL} for m in _models(name, model, staged=bool(ports))],
            **(_measured(ports[name]) if ports else {"telemetry": "off"}),
        }
        for name, slots, model in HOME
    }  # fmt: skip
    types = TYPES | ({TRANSLATION: "/".join(SECOND)} if ports else {})
    return from_dict(
        {
            "hosts": hosts, "task_types": {name: {"route": [place]} for name, place in types.items()},
            "policies": {"regain_slot": 1.5},
        },
        "the demo",
    )  # fmt: skip


def _models(name: str, model: str, *, staged: bool) -> tuple[str, ...]:
    return (model, SECOND[1]) if staged and name == SECOND[0] else (model,)


def _measured(port: int) -> JsonDict:
    """Read often, and quick to start again, so that a scene is over in half a minute."""
    telemetry = {
        "source": "ssh",
        "ssh": f"demo@127.0.0.1:{port}",
        "interval": 0.4,
        "on_unknown": "static",
    }
    return {"telemetry": telemetry, "heat": {"hold": 1}}
