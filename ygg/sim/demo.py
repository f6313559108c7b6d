"""`ygg demo`: three simulated model servers, a temporary store, and the real loop.

The servers are real HTTP on loopback in Ollama's dialect. What the summary says comes from what they
recorded, not from what the dispatcher believes (see `audit`).
"""

from __future__ import annotations

import asyncio
import json
import logging
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ygg import paths, streams, wire
from ygg.errors import NotFound
from ygg.model import FINAL, JsonDict, NewTask, State, Submitted, Task
from ygg.plain import counted
from ygg.running import evented
from ygg.sim.audit import Ack, Visit, bound_s, freed, inversions
from ygg.sim.faults import Fault, FaultPlan

if TYPE_CHECKING:
    from ygg.config import Config
    from ygg.running.dispatcher import Dispatcher
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
EXAMPLE = "demo-tasks.jsonl"
CANCEL = "demo-cancel"  #: label of the task in the example file that is cancelled
ONCE = {
    "this call fails once": (Fault.ERROR_500,)
}  #: words in the prompt of the one that is retried


@dataclass(frozen=True, slots=True)
class Options:
    """What `ygg demo` was asked for."""

    as_json: bool = False
    tasks: int | None = None  #: None: the example file
    seed: int = 0
    latency_ms: float = 400.0
    faults: bool = False
    keep: Path | None = None  #: where the store is left for a look; None: removed


@dataclass(slots=True)
class Report:
    """One demo run, judged."""

    tasks: int
    states: Counter[State]
    makespan_s: float
    bound_s: float
    slots: dict[str, int]
    peak_in_flight: dict[str, int]
    gate_violations: int
    priority_inversions: int
    retried: int = 0
    notes: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        ended = sum(self.states.values()) == self.tasks
        return ended and not self.gate_violations and not self.priority_inversions

    def as_dict(self) -> JsonDict:
        return {
            "tasks": self.tasks,
            "completed": self.states[State.COMPLETED],
            "failed": self.states[State.FAILED],
            "cancelled": self.states[State.CANCELLED],
            "makespan_s": round(self.makespan_s, 3),
            "bound_s": round(self.bound_s, 3),
            "slots": self.slots,
            "peak_in_flight": self.peak_in_flight,
            "gate_violations": self.gate_violations,
            "priority_inversions": self.priority_inversions,
        }


def run(options: Options) -> int:
    """Run the demo; 0 when every task ended as it should and nothing was off."""
    logging.getLogger("ygg").addHandler(logging.NullHandler())  # the last resort would be stderr
    report = evented.run(demo(options))
    if options.as_json:
        streams.put(sys.stdout, json.dumps(report.as_dict()))
    else:
        streams.put(sys.stdout, summary(report))
    return 0 if report.ok and _as_planned(report, options) else 1


def _as_planned(report: Report, options: Options) -> bool:
    if options.tasks is not None:
        return options.faults or report.states[State.COMPLETED] == report.tasks
    return report.states[State.CANCELLED] == 1 and report.states[State.FAILED] == 0


async def demo(options: Options) -> Report:
    """Servers, store and loop up; tasks through; everything down again."""
    async with AsyncExitStack() as stack:
        servers = await stack.enter_async_context(_servers(options))
        folder = options.keep or Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix="ygg-demo-"))
        )
        config = _config({s.name: s.url for s in servers})
        scope = await stack.enter_async_context(wire.running(config, folder / paths.DATABASE))
        if not options.as_json:
            await stack.enter_async_context(_view(scope.dispatcher))
        acks, tasks = await _drive(scope.dispatcher, config, options)
        return _judge(servers, acks, tasks)


@asynccontextmanager
async def _servers(options: Options) -> AsyncIterator[list[SimServer]]:
    from ygg.sim.servers import SimServer

    faults = FaultPlan.light(options.seed) if options.faults else FaultPlan(by_prompt=ONCE)
    servers = [
        SimServer(
            name, slots=slots, models=(model,), latency_s=options.latency_ms / 1000,
            faults=faults, seed=options.seed,
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


def _config(urls: dict[str, str]) -> Config:
    from ygg.config import from_dict

    return from_dict(
        {
            "hosts": {
                name: {
                    "slots": slots, "backend": "ollama", "url": urls[name], "models": [model],
                    "telemetry": "off",  # the real GPU of this machine is none of its business
                }
                for name, slots, model in HOME
            },
            "task_types": {name: {"route": [host]} for name, host in TYPES.items()},
        },
        "the demo",
    )  # fmt: skip


@asynccontextmanager
async def _view(dispatcher: Dispatcher) -> AsyncIterator[None]:
    """The live view on a terminal, plain log lines elsewhere."""
    from ygg.view.live import LiveView, acting, log_lines, wanted

    if wanted():
        act = acting(dispatcher.pause, dispatcher.drain_host)
        async with LiveView(dispatcher.view, act, lambda: signal.raise_signal(signal.SIGINT)):
            yield
    else:
        with log_lines(sys.stdout):
            yield


# --- driving --------------------------------------------------------------------------------------


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


async def _drive(
    dispatcher: Dispatcher, config: Config, options: Options
) -> tuple[list[Ack], list[Task]]:
    """Submit everything while the loop runs, cancel and let fail what is marked, wait for all ends."""
    from ygg.intake.tasks import new_task

    docs = documents(options)
    acks: list[Ack] = []
    cancels: list[str] = []
    for start in range(0, len(docs), 100):
        batch = docs[start : start + 100]
        new: list[NewTask] = [new_task(doc, config, caller="local") for doc in batch]
        answers = await dispatcher.submit(new)
        at = time.monotonic()
        for doc, answer in zip(batch, answers, strict=True):
            assert isinstance(answer, Submitted), answer
            acks.append(_ack(answer.task, config, at))
            if CANCEL in doc.get("labels", ()):
                cancels.append(answer.task.id)
        await asyncio.sleep(0)
    for task_id in cancels:
        await dispatcher.cancel(task_id)
    tasks = [await _end_of(dispatcher, ack.task_id) for ack in acks]
    return acks, tasks


async def _end_of(dispatcher: Dispatcher, task_id: str) -> Task:
    while True:
        task = await dispatcher.wait_end(task_id, 60.0)
        if task.state in FINAL or task.state is State.BLOCKED:
            return task


def _ack(task: Task, config: Config, at: float) -> Ack:
    route = config.type_of(task.lane.type).route
    return Ack(task.id, (task.priority, task.seq), frozenset(c.host for c in route), at)


# --- judging --------------------------------------------------------------------------------------


def _judge(servers: Sequence[SimServer], acks: list[Ack], tasks: list[Task]) -> Report:
    visits = _first_visits(servers)
    slots = {s.name: s.slots for s in servers}
    ended = [r.ended for s in servers for r in s.records if r.ended is not None]
    latency = max((s.latency_s for s in servers), default=0.0)
    return Report(
        tasks=len(acks),
        states=Counter(t.state for t in tasks),
        makespan_s=max(ended, default=0.0) - min((a.at for a in acks), default=0.0),
        bound_s=bound_s((v.host for v in visits), slots, latency),
        slots=slots,
        peak_in_flight={s.name: s.peak_in_flight for s in servers},
        gate_violations=sum(s.violations for s in servers),
        priority_inversions=len(inversions(acks, visits)),
        retried=sum(t.attempt > 1 for t in tasks),
    )


def _first_visits(servers: Iterable[SimServer]) -> list[Visit]:
    """Each task's first arrival; `records` carry the X-Ygg-Task header `<task>.<attempt>`."""
    visits = []
    for server in servers:
        calls = sorted(server.records, key=lambda r: r.at)
        ends = [call.ended for call in calls if call.ended is not None]
        slots = freed(server.slots, [call.at for call in calls], ends)
        visits += [
            Visit(call.task.rpartition(".")[0], server.name, call.at, slot)
            for call, slot in zip(calls, slots, strict=False)
            if call.task.endswith(".1")
        ]
    return visits


def summary(report: Report) -> str:
    """What happened, in a few lines, and the commands to try next."""
    states = ", ".join(f"{n} {state}" for state, n in report.states.items())
    hosts = "\n".join(
        f"  {name:<16} {report.peak_in_flight[name]} of {counted(slots, 'slot')} used at the peak"
        for name, slots in report.slots.items()
    )
    return f"""
{counted(report.tasks, "task")}: {states}; {report.retried} retried
{report.makespan_s:.1f} s (no schedule is faster than {report.bound_s:.1f} s)
{hosts}
  gate violations      {report.gate_violations}   (arrivals beyond a host's slots, as the servers saw them)
  priority inversions  {report.priority_inversions}   (a worse task got a slot that a better one waited for)

Next, with your own model servers in hosts.yaml:
  ygg config check                 is hosts.yaml right?
  ygg status                       can every host be reached?
  ygg loop --async                 start the dispatcher
  ygg submit -p 1 "Explain WAL"    queue a task; add --wait for the answer"""
