"""What the core costs as the house grows: the real `step` over simulated hosts, a dictionary as the store.

Every slot is taken and tasks wait. A *decision* is everything the core does for one slot that is freed:
the steps of CallEnded, Claimed, Finished and CallStarted, and of HeadsSeen where a window had to be filled
again; it ends with the next call in that slot. A *submit* is the step of TasksQueued for one task. A *poll* is
what the core does every 2 s to be sure that it has missed nothing. What the store and the servers would do
costs nothing here.

A figure is the least over batches of the mean in a batch, since other work on the machine only adds.
"""

from __future__ import annotations

import gc
import json
import statistics
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from ygg.core import effects as fx
from ygg.core import events as ev
from ygg.core.board import Board
from ygg.core.step import step
from ygg.model import (
    Call,
    Candidate,
    Endpoint,
    Head,
    Health,
    Host,
    HostHealth,
    Lane,
    Now,
    Operation,
    Outcome,
    OutcomeKind,
    Policy,
    Priority,
    Result,
    State,
    Task,
    TaskType,
    Usage,
)

SLOTS, ROUTE, CALL_S = 8, 100, 10.0
HOSTS, TYPES, DEPTHS = (3, 30, 300, 1000), (10, 1000), (1_000, 100_000)
BATCHES, BATCH, POLLS = 10, 200, 3
START_MS = 1_800_000_000_000
DONE = Outcome(OutcomeKind.COMPLETED, result=Result("text", "stop", "m", "ollama"))
WHERE = (State.PROCESSING, Operation.CHAT, {"messages": []})


def _host(name: str) -> Host:
    return Host(name, SLOTS, (Endpoint("main", "ollama", f"http://{name}:11434", ("m",)),))


def _types(hosts: int, types: int) -> dict[str, TaskType]:
    """Each with a route of up to `ROUTE` hosts, which begins somewhere else for each."""
    reach = min(ROUTE, hosts)
    return {
        f"type-{n}": TaskType(
            f"type-{n}",
            tuple(
                Candidate(f"host-{(n * hosts // types + k) % hosts}", "main", "m")
                for k in range(reach)
            ),
        )
        for n in range(types)
    }


@dataclass
class House:
    """A full house, its queue and its clock. `spent`: seconds in `step`."""

    hosts: int
    types: int
    board: Board = field(default_factory=lambda: Board(run="run"))
    mono: float = 1000.0
    spent: float = 0.0
    queued: dict[tuple[Lane, Priority], deque[Head]] = field(default_factory=dict)
    calls: deque[Call] = field(default_factory=deque)
    submitted: int = 0

    def __post_init__(self) -> None:
        hosts = tuple(_host(f"host-{n}") for n in range(self.hosts))
        self.feed(ev.HostsOwned(hosts, _types(self.hosts, self.types), Policy(), {}, {}))

    @property
    def now(self) -> Now:
        return Now(self.mono, START_MS + round(self.mono * 1000))

    def feed(self, event: ev.Event) -> None:
        """One event and all that follows from it."""
        todo = deque([event])
        while todo:
            event, now = todo.popleft(), self.now
            began = time.perf_counter()
            effects = step(self.board, event, now)
            self.spent += time.perf_counter() - began
            for effect in effects:
                todo += self._perform(effect)

    def _perform(self, effect: fx.Effect) -> list[ev.Event]:
        match effect:
            case fx.ClaimTasks(claims):
                rows = tuple(self._row(self.board, claim.call, claim.task_id) for claim in claims)
                return [ev.Claimed(claims, rows)]
            case fx.Start(call):
                self.calls.append(call)
                return [ev.CallStarted(call.id)]
            case fx.Finish(ends):
                return [ev.Finished(ends, tuple(self.ending for _ in ends))]
            case fx.Peek(lane, priority, limit):
                heads = tuple(islice(self.queued.get((lane, priority), ()), limit))
                return [ev.HeadsSeen(lane, priority, heads, len(heads) < limit)]
            case fx.ListLanes():
                return [ev.LanesSeen(tuple((*k, len(v)) for k, v in self.queued.items() if v))]
            case fx.Promote():
                return [ev.Promoted((), (), None)]
            case fx.CheckHost(host, endpoint):
                return [ev.HostChecked(host, endpoint, Health(HostHealth.UP, loaded=("m",)))]
        return []

    def _row(self, board: Board, call: str, task_id: str) -> Task:
        """The claimed row; the queue has the task no more."""
        head = board.calls[call].tries[task_id].head
        heads = self.queued[head.lane, head.priority]
        heads.popleft() if heads[0].id == task_id else heads.remove(head)
        return Task(head.id, head.seq, 2, head.lane, head.priority, *WHERE, attempt=1)

    # --- what happens in it ---------------------------------------------------------------------

    def store(self) -> Head:
        """A task is in the store, and nobody has told the core."""
        self.submitted += 1
        lane, priority = Lane(f"type-{self.submitted % self.types}"), Priority.NORMAL
        head = Head(f"task-{self.submitted}", self.submitted, 1, lane, priority, START_MS)
        self.queued.setdefault((lane, priority), deque()).append(head)
        return head

    def end(self) -> None:
        """The oldest call ends."""
        self.mono += CALL_S / (self.hosts * SLOTS)
        call = self.calls.popleft()
        (attempt,) = call.attempts
        self.ending = attempt.task
        self.feed(ev.CallEnded(call.id, {attempt.id: DONE}, Usage()))

    def submit(self) -> None:
        self.feed(ev.TasksQueued((self.store(),)))

    def poll(self) -> None:
        self.mono = max(self.mono, self.board.poll_at)
        self.feed(ev.Ticked())

    def cost_us(self, what: Callable[[], None]) -> float:
        """Microseconds in `step`."""
        self.spent = 0.0
        what()
        return self.spent * 1e6


def full_house(hosts: int, types: int, depth: int) -> House:
    """Every slot taken and so many tasks queued."""
    house = House(hosts, types)
    for _ in range(hosts * SLOTS + depth):
        house.submit()
    assert len(house.calls) == hosts * SLOTS
    return house


def measure(hosts: int, types: int, depth: int) -> dict[str, float]:
    """Microseconds of a decision, a submit and a poll."""
    house = full_house(hosts, types, depth)
    gc.collect()
    gc.freeze()  # what the driver keeps is no work of the core's
    batches: list[tuple[float, float]] = []
    for _ in range(BATCHES):
        pairs = [(house.cost_us(house.end), house.cost_us(house.submit)) for _ in range(BATCH)]
        batches.append((statistics.mean(d for d, _ in pairs), statistics.mean(s for _, s in pairs)))
    polls = [house.cost_us(house.poll) for _ in range(POLLS)]
    gc.unfreeze()
    assert len(house.calls) == hosts * SLOTS
    return {
        "decision_us": round(min(decision for decision, _ in batches), 1),
        "submit_us": round(min(submit for _, submit in batches), 1),
        "poll_us": round(min(polls), 1),
    }


def run() -> dict[str, Any]:
    """By hosts, types and depth of the queue; the largest house is the one that is judged."""
    found = {(h, t, d): measure(h, t, d) for h in HOSTS for t in TYPES for d in DEPTHS}
    shallow, deep = (found[HOSTS[-1], TYPES[-1], depth] for depth in DEPTHS)
    return {
        "slots": SLOTS,
        "route": ROUTE,
        "houses": {f"{h} hosts, {t} types, {d} queued": f for (h, t, d), f in found.items()},
        "decision_us": max(f["decision_us"] for (h, _, _), f in found.items() if h == HOSTS[-1]),
        "depth_ratio": round(deep["decision_us"] / shallow["decision_us"], 2),
    }


if __name__ == "__main__":
    print(json.dumps(run(), indent=2))
