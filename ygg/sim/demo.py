"""`ygg demo`: three simulated model servers, a temporary store, and the real loop.

The servers are real HTTP on loopback in Ollama's dialect. What the summary says comes from what they
recorded, not from what the dispatcher believes (see `audit`). Where somebody watches, the machines have GPUs that are
read over SSH, and a scene is played (see `machines`, `scene`).
"""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ygg import paths, streams, wire
from ygg.model import JsonDict, State, Task
from ygg.plain import counted
from ygg.running import evented
from ygg.sim.audit import Ack, Visit, bound_s, freed, inversions
from ygg.sim.driving import Driver, documents, driven
from ygg.sim.house import CARDS, Options, config_of, serving

if TYPE_CHECKING:
    from ygg.model import Snapshot
    from ygg.running.dispatcher import Dispatcher
    from ygg.sim.machines import Access, Machine
    from ygg.sim.servers import SimServer


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


Show = Callable[["Dispatcher"], AbstractAsyncContextManager[None]]


async def demo(options: Options, show: Show | None = None) -> Report:
    """Servers, store and loop up; tasks through; everything down again. `show`: instead of the live view."""
    async with AsyncExitStack() as stack:
        servers = await stack.enter_async_context(serving(options))
        folder = options.keep or Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix="ygg-demo-"))
        )
        stage = await _stage(stack, folder, servers) if options.staged else None
        config = config_of({s.name: s.url for s in servers}, stage.access.ports if stage else None)
        env = os.environ | (stage.access.env if stage else {})
        started = wire.running(config, folder / paths.DATABASE, env=env)
        dispatcher = (await stack.enter_async_context(started)).dispatcher
        if show or not options.as_json:
            await stack.enter_async_context((show or _view)(dispatcher))
        driver = await driven(dispatcher, config, options)
        notes = await _played(stage, driver, servers, options) if stage else []
        report = _judge(servers, driver.acks, await driver.ended())
        report.notes += notes
        return report


@dataclass(frozen=True)
class _Stage:
    """Machines with GPUs, and the way in."""

    machines: Mapping[str, Machine]
    access: Access


async def _stage(stack: AsyncExitStack, folder: Path, servers: Sequence[SimServer]) -> _Stage:
    from ygg.sim.machines import listening
    from ygg.sim.scene import machine_of

    there = {s.name: machine_of(s, CARDS[s.name]) for s in servers}
    way = listening([*there.values()], folder, folder / wire.KNOWN_HOSTS)
    return _Stage(there, await stack.enter_async_context(way))


async def _played(
    stage: _Stage, driver: Driver, servers: Sequence[SimServer], options: Options
) -> list[str]:
    """What was seen of the scene."""
    from ygg.sim.scene import Scene

    def view() -> Snapshot:
        return driver.dispatcher.snapshot(0.0)

    scene = Scene(view, driver.one, stage.machines, {s.name: s for s in servers})
    await driver.busy_while(scene.play(), documents(options))
    return scene.told


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
    seen = "".join(f"  {note}\n" for note in report.notes)
    fastest = "" if seen else f" (no schedule is faster than {report.bound_s:.1f} s)"
    return f"""
{"What you have seen, and what the servers saw of it:" if seen else ""}
{seen}
{counted(report.tasks, "task")}: {states}; {report.retried} retried
{report.makespan_s:.1f} s{fastest}
{hosts}
  gate violations      {report.gate_violations}   (arrivals beyond a host's slots, as the servers saw them)
  priority inversions  {report.priority_inversions}   (a worse task got a slot that a better one waited for)

Next, with your own model servers in hosts.yaml:
  ygg config check                 is hosts.yaml right?
  ygg status                       can every host be reached?
  ygg loop --async                 start the dispatcher
  ygg submit -p 1 "Explain WAL"    queue a task; add --wait for the answer"""
