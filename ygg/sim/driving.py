"""What `ygg demo` submits, and what it was told of it."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ygg.errors import NotFound
from ygg.model import FINAL, JsonDict, NewTask, State, Submitted, Task
from ygg.sim.audit import Ack
from ygg.sim.house import TYPES, Options

if TYPE_CHECKING:
    from ygg.config import Config
    from ygg.running.dispatcher import Dispatcher

EXAMPLE = "demo-tasks.jsonl"
CANCEL = "demo-cancel"  #: label of the task in the example file that is cancelled
WAITING = 12  #: tasks that wait while a scene is played, at least


def example_path() -> Path:
    """The example tasks: beside the package in a checkout, inside it when installed."""
    here = Path(__file__).resolve().parent
    for path in (here.parent.parent / "examples" / EXAMPLE, here / EXAMPLE):
        if path.exists():
            return path
    raise NotFound(f"{EXAMPLE} is missing from this installation", hint="reinstall ygg")


def documents(options: Options) -> list[JsonDict]:
    """The submit documents: the example file, or `tasks` random ones from the seed."""
    if options.tasks is None:
        lines = example_path().read_text(encoding="utf-8").splitlines()
        return [json.loads(line) for line in lines if line.strip()]
    draw = random.Random(options.seed)
    return [
        {"prompt": f"task {n}", "type": draw.choice(sorted(TYPES)), "priority": draw.randrange(5)}
        for n in range(options.tasks)
    ]


@dataclass
class Driver:
    """Who submits: keeps what was acknowledged, and when."""

    dispatcher: Dispatcher
    config: Config
    acks: list[Ack] = field(default_factory=list)
    cancels: list[str] = field(default_factory=list)

    async def submit(self, docs: Sequence[JsonDict]) -> None:
        from ygg.intake.tasks import new_task

        for start in range(0, len(docs), 100):
            batch = docs[start : start + 100]
            new: list[NewTask] = [new_task(doc, self.config, caller="local") for doc in batch]
            answers = await self.dispatcher.submit(new)
            at = time.monotonic()
            for doc, answer in zip(batch, answers, strict=True):
                assert isinstance(answer, Submitted), answer
                self.acks.append(_ack(answer.task, self.config, at))
                if CANCEL in doc.get("labels", ()):
                    self.cancels.append(answer.task.id)
            await asyncio.sleep(0)

    async def one(self, doc: JsonDict) -> str:
        await self.submit([doc])
        return self.acks[-1].task_id

    async def busy_while(
        self, scene: Coroutine[None, None, None], docs: Sequence[JsonDict]
    ) -> None:
        """Keep tasks waiting as long as the scene is played; it ends with whoever ends this."""
        again = [doc for doc in docs if not doc.get("labels")]
        async with asyncio.TaskGroup() as group:
            playing = group.create_task(scene)
            while not playing.done():
                if len(self.dispatcher.snapshot(0.0).waiting) < WAITING:
                    await self.submit(again[:WAITING])
                    again = again[WAITING:] + again[:WAITING]
                await asyncio.wait({playing}, timeout=0.5)

    async def ended(self) -> list[Task]:
        return [await _end_of(self.dispatcher, ack.task_id) for ack in self.acks]


async def driven(dispatcher: Dispatcher, config: Config, options: Options) -> Driver:
    """Submit everything while the loop runs, and cancel what is marked."""
    driver = Driver(dispatcher, config)
    await driver.submit(documents(options))
    for task_id in driver.cancels:
        await dispatcher.cancel(task_id)
    return driver


async def _end_of(dispatcher: Dispatcher, task_id: str) -> Task:
    while True:
        task = await dispatcher.wait_end(task_id, 60.0)
        if task.state in FINAL or task.state is State.BLOCKED:
            return task


def _ack(task: Task, config: Config, at: float) -> Ack:
    """Where a host changes its models, tasks of one priority need not go by age."""
    route = config.type_of(task.lane.type).route
    age = 0 if any(len(config.hosts[c.host].models) > 1 for c in route) else task.seq
    hosts = frozenset(c.host for c in route)
    return Ack(task.id, (task.priority, age), hosts, at, task.lane.caller)
