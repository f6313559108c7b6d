"""Random mixes of models on servers that hold one at a time: is putting a change off ever worse than plain order?

The dispatcher's own core in simulated time, in front of servers that behave like Ollama: calls are taken in the order
in which they come, one whose model is not in memory waits until the calls of the other one have ended, then loads,
and whoever comes later waits behind it. Plain order is the same core told that all models fit beside each other.
Every seed draws the number of hosts, slots and models, loads of 0.05 to 60 s, calls of 0.2 to 10 s, priorities and
arrivals: half of the tasks at once, the others while those are worked off.
"""

from __future__ import annotations

import heapq
import json
import random
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from tests.core.world import World
from ygg.core import events as ev
from ygg.model import (
    Candidate,
    Endpoint,
    Health,
    Host,
    HostHealth,
    Lane,
    Policy,
    TaskType,
    Telemetry,
)

SEEDS, TASKS = 200, 60
MODEL_MB = 5000.0


@dataclass(frozen=True)
class Mix:
    """What one seed draws. `tasks`: when each comes (s), its model, priority and how long its call runs (s)."""

    slots: tuple[int, ...]  #: by host
    loads: dict[str, float]  #: s, by model
    tasks: tuple[tuple[float, str, int, float], ...]


def mix(seed: int, hosts: int) -> Mix:
    """One host, or several that all have every model."""
    draw = random.Random(f"{seed} {hosts}")
    slots = tuple(draw.randint(1, 4) for _ in range(hosts))
    load = 0.05 * 1200 ** draw.random()
    loads = {m: load * draw.uniform(0.5, 1.5) for m in "abcd"[: draw.randint(2, 4)]}
    runs = [0.2 * 50 ** draw.random() for _ in range(TASKS)]
    window = sum(runs) / sum(slots) / 2
    came = sorted(0.0 if n % 2 else draw.uniform(0, window) for n in range(TASKS))
    levels = draw.choice(((2,), (1, 2, 3)))
    names = list(loads)
    return Mix(
        slots,
        loads,
        tuple(
            (at, draw.choice(names), draw.choice(levels), run)
            for at, run in zip(came, runs, strict=True)
        ),
    )


@dataclass
class Server:
    """What it has in memory, the calls inside, and those that wait for it: (task, model, run s)."""

    loads: dict[str, float]
    model: str = ""
    ready: float = 0.0  #: when its model is loaded
    inside: int = 0
    waiting: deque[tuple[str, str, float]] = field(default_factory=deque)
    changes: int = 0

    def begun(self, now: float) -> Iterator[tuple[float, str]]:
        """When each of the calls that get in now will end."""
        while self.waiting:
            task, model, run = self.waiting[0]
            if model != self.model:
                if self.inside:
                    return
                self.model, self.ready, self.changes = (
                    model,
                    now + self.loads[model],
                    self.changes + 1,
                )
            self.waiting.popleft()
            self.inside += 1
            yield max(now, self.ready) + run, task


class House:
    """The core and its servers in simulated time."""

    def __init__(self, mix: Mix, *, plain: bool) -> None:
        names = tuple(mix.loads)
        sizes = dict.fromkeys(names, MODEL_MB)
        telemetry = Telemetry(memory_mb=MODEL_MB * (len(names) if plain else 1.5))
        self.mix, hosts = mix, []
        for n, slots in enumerate(mix.slots):
            endpoint = Endpoint("main", "ollama", f"http://h{n}:1", names, sizes=sizes)
            hosts.append(Host(f"h{n}", slots, (endpoint,), telemetry=telemetry))
        routes = {m: tuple(Candidate(h.name, "main", m) for h in hosts) for m in names}
        types = {m: TaskType(m, route) for m, route in routes.items()}
        self.world = World(tuple(hosts), {**types, "general": types[names[0]]}, Policy())
        self.servers = {h.name: Server(mix.loads) for h in hosts}
        for name in self.servers:
            self.world.feed(ev.HostChecked(name, "main", Health(HostHealth.UP, loaded=())))
        self.sent = 0  #: calls that are with the servers
        self.runs: dict[str, float] = {}
        self.ends: list[tuple[float, str]] = []

    def run(self) -> float:
        """Seconds until the last task has ended."""
        world, begun, coming = self.world, self.world.mono, deque(self.mix.tasks)
        while coming or world.calls or world.board.where:
            times = [begun + coming[0][0]] if coming else []
            times += [self.ends[0][0]] if self.ends else []
            times += [world.board.wake_at] if world.board.wake_at is not None else []
            world.pass_time(max(0.0, min(times) - world.mono))
            while coming and begun + coming[0][0] <= world.mono:
                _, model, priority, run = coming.popleft()
                self.runs[world.submit(priority=priority, lane=Lane(model))] = run
            while self.ends and self.ends[0][0] <= world.mono:
                self._end(heapq.heappop(self.ends)[1])
            self._send()
        return world.mono - begun

    def _send(self) -> None:
        """Calls that the core started since are with their servers."""
        for task in self.world.started[self.sent :]:
            place = self.world.calls[task].candidate
            self.servers[place.host].waiting.append((task, place.model, self.runs[task]))
        self.sent = len(self.world.started)
        for server in self.servers.values():
            for at, task in server.begun(self.world.mono):
                heapq.heappush(self.ends, (at, task))

    def _end(self, task: str) -> None:
        self.servers[self.world.calls[task].candidate.host].inside -= 1
        self.world.end(task)


def ratio(seed: int, hosts: int) -> float:
    """Makespan by makespan of plain order."""
    drawn = mix(seed, hosts)
    return House(drawn, plain=False).run() / House(drawn, plain=True).run()


def run(seeds: int = SEEDS) -> dict[str, float]:
    """Mean and worst ratios over all seeds, for one host, and for two or three."""
    one = [ratio(seed, 1) for seed in range(seeds)]
    several = [ratio(seed, 2 + seed % 2) for seed in range(seeds)]
    return {
        "seeds": seeds,
        "one_mean": round(sum(one) / seeds, 3),
        "one_worst": round(max(one), 3),
        "several_mean": round(sum(several) / seeds, 3),
        "several_worst": round(max(several), 3),
    }


if __name__ == "__main__":
    print(json.dumps(run(), indent=2))
