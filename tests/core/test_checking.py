"""A dispatcher goes through everything that can happen to one, in any order: nobody who could start waits, and
every slot and permit is given back once.

Each walk has a house of its own: hosts of both kinds with several servers and models, readings, limiters. Events
come early, late or never, store verbs fail, time passes between two timers. `check` looks after each step.
"""

from __future__ import annotations

import copy
import random
from collections import Counter
from dataclasses import replace

import pytest

from tests.core.world import COMPLETED, World, card, host
from ygg.core import effects as fx
from ygg.core import events as ev
from ygg.core.checking import check
from ygg.core.placement.dispatching import dispatch
from ygg.model import (
    Candidate,
    Counts,
    Endpoint,
    GpuNeed,
    Grant,
    Health,
    Host,
    HostHealth,
    Lane,
    Operation,
    Outcome,
    OutcomeKind,
    Permit,
    Policy,
    Priority,
    Process,
    Reading,
    Residency,
    Task,
    TaskType,
    Telemetry,
)
from ygg.model import State as S
from ygg.telling.explain import explain
from ygg.telling.snapshotting import snapshot

SIZES = {"m": 3000.0, "n": 5000.0, "big": 7000.0}
RATE, SOURCE = Permit("rate", "m"), Permit("source", "issues")
STORE = (fx.ClaimTasks, fx.Finish, fx.Peek, fx.Promote, fx.ListLanes)
FAULTS = (
    OutcomeKind.ERROR, OutcomeKind.UNREACHABLE, OutcomeKind.BUSY, OutcomeKind.OUT_OF_MEMORY,
    OutcomeKind.REFUSED, OutcomeKind.TIMEOUT, OutcomeKind.UNAUTHORIZED, OutcomeKind.BAD_REQUEST,
)  # fmt: skip
#: What happens, and how often.
ACTIONS = {
    "submit": 5, "end": 8, "fail": 2, "check": 1, "read": 3, "miss": 0.5, "pause": 0.5, "resume": 2,
    "drain": 0.5, "undrain": 1, "reload": 0.5, "cancel": 1, "repriorise": 1, "count": 1, "grant": 5,
    "time": 3, "timer": 2, "well": 2,
}  # fmt: skip


class Walk(World):
    """A house of its own, and a dispatcher in it to which things happen by chance."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.asked: Counter[Grant] = Counter()
        self.settled: Counter[Grant] = Counter()
        self.failing = self.chance.choice((0, 0, 0.1))
        super().__init__(self.some_hosts(), {}, self.some_policy(), own=False)
        self.use_some()

    # --- the house ------------------------------------------------------------------------------

    def some_hosts(self) -> tuple[Host, ...]:
        pick = self.chance.choice
        telemetry = Telemetry(
            on_unknown=pick(("conservative", "static", "hold")),
            idle_interval_s=pick((None, 30.0)),
            memory_mb=pick((None, 8192.0)),
        )
        a, b = host("a", pick((1, 2, 3)), ("m", "n")), host("b", pick((1, 2)), ("m", "n", "big"))
        main = replace(b.endpoints[0], sizes=pick((SIZES, {})))
        b = replace(b, endpoints=(main, Endpoint("v", "openai", "http://b:8000", ("m",), "vllm")))
        batching = Endpoint("main", "openai", "http://e:8000", ("m", "n"), "vllm")
        e = replace(host("e", pick((2, 4))), endpoints=(batching,))
        gpus = (replace(h, telemetry=telemetry) for h in (a, b, e))
        return (*gpus, host("c", pick((1, 2)), ("m", "n"), "cpu"), host("d", 1, kind="cpu"))

    def some_policy(self) -> Policy:
        pick = self.chance.choice
        return Policy(
            poll_s=pick((2.0, 300.0)), overflow_margin=pick((0, 1, 5)), ageing_s=pick((None, 5.0)),
            residency=pick((Residency(5.0, 10.0), Residency(30.0, 60.0))),
            regain_slot_s=pick((3.0, 30.0)), check_every_s=pick((30.0, 300.0)),
        )  # fmt: skip

    def some_route(self) -> tuple[Candidate, ...]:
        every = [
            Candidate(h.name, e.name, m) for h in self.hosts for e in h.endpoints for m in e.models
        ]
        return tuple(self.chance.sample(every, min(len(every), self.chance.randint(1, 5))))

    def use_some(self) -> None:
        """Own the hosts of now, with types, probes and limiters by chance."""
        pick, names = self.chance.choice, {h.name for h in self.hosts}
        self.types = {
            name: TaskType(name, self.some_route(), choose=pick(("order", "best")))
            for name in ("general", "x", "y")
        }
        self.measured = {n: pick((True, True, False)) for n in "abe" if n in names and pick((0, 1))}
        self.needs = pick(({}, {("a", "main"): (RATE,), ("b", "main"): (SOURCE, RATE)}))
        owned = ev.HostsOwned(self.hosts, self.types, self.policy, self.measured, self.needs)
        self.feed(owned, settle=False)

    # --- what happens -----------------------------------------------------------------------------

    def go_on(self) -> None:
        """One thing happens, and some of what is to be done is."""
        (what,) = self.chance.choices(list(ACTIONS), list(ACTIONS.values()))
        getattr(self, f"do_{what}")()
        for _ in range(self.chance.choice((0, 1, 3, 100, 100))):
            if self.todo:
                self.answer(self.todo.popleft())
        self.look()

    def answer(self, effect: fx.Effect) -> None:
        if isinstance(effect, STORE) and self.chance.random() < self.failing:
            self.feed(_failed(effect), settle=False)
        elif isinstance(effect, fx.CheckHost):
            self.checked(effect.host, effect.endpoint)
        elif isinstance(effect, fx.Unload):
            place = (effect.host, effect.endpoint, effect.model)
            self.feed(ev.ModelUnloaded(*place, self.chance.choice((True, False))), settle=False)
        else:
            self.perform(effect)

    def perform(self, effect: fx.Effect) -> None:
        if isinstance(effect, fx.Acquire):
            self.asked[effect.grant] += 1
        if isinstance(effect, fx.Settle):
            self.settled[effect.grant] += 1
            assert self.asked[effect.grant] == self.settled[effect.grant] == 1
        super().perform(effect)

    def look(self) -> None:
        """A look at the whole house starts nothing that was not started by itself."""
        check(self.board, self.now)
        late = self.board.wake_at is not None and self.board.wake_at <= self.mono
        if late or self.board.paused or self.board.store_retry_at is not None:
            return
        whole = copy.deepcopy(self.board)
        whole.all_changed()
        starts = [e for e in dispatch(whole, self.now) if isinstance(e, fx.ClaimTasks | fx.Acquire)]
        assert starts == [], "these waited for nothing"

    def checked(self, name: str, endpoint: str, health: HostHealth | None = None) -> None:
        found = self.board.hosts[name].host if name in self.board.hosts else None
        models = (
            next((e.models for e in found.endpoints if e.name == endpoint), ()) if found else ()
        )
        loaded = tuple(self.chance.sample(models, self.chance.randint(0, min(2, len(models)))))
        told = loaded if self.chance.random() < 0.6 else None
        up = self.chance.random() < 0.8
        health = health or (HostHealth.UP if up else HostHealth.DOWN)
        self.feed(ev.HostChecked(name, endpoint, Health(health, loaded=told)), settle=False)

    def places(self) -> list[tuple[str, str]]:
        return [(name, e) for name, h in self.board.hosts.items() for e in h.servers]

    def some_row(self, *states: S) -> Task | None:
        rows = [t for t in self.rows.values() if t.state in states]
        return self.chance.choice(rows) if rows else None

    def do_submit(self) -> None:
        pick = self.chance.choice
        lane = Lane(
            pick(("general", "x", "y")), host=pick((None, None, None, "a", "b", "c", "e")),
            model=pick((None, None, None, "m", "n")), gpu=pick(list(GpuNeed)),
            caller=pick(("local", "local", "one", "two")),
        )  # fmt: skip
        priority, late = Priority(self.chance.randint(0, 4)), self.chance.random() < 0.15
        deadline_ms = self.now.wall_ms + pick((100, 1500, 20_000)) if late else None
        heads = []
        for _ in range(pick((1, 1, 1, 3, 40))):
            self.submitted += 1
            row = Task(
                f"t{self.submitted}", self.submitted, 1, lane, priority, S.QUEUED, Operation.CHAT,
                {"messages": []}, created_ms=self.now.wall_ms, queued_ms=self.now.wall_ms,
                deadline_ms=deadline_ms,
            )  # fmt: skip
            self.rows[row.id] = row
            heads.append(row.head)
        if pick((True, True, True, False)):  # else the next count of lanes finds them
            self.feed(ev.TasksQueued(tuple(heads)), settle=False)

    def do_end(self, outcome: Outcome = COMPLETED) -> None:
        if self.calls:
            task = self.chance.choice(sorted(self.calls))
            self.feed(self.ended(self.calls.pop(task), outcome), settle=False)

    def do_fail(self) -> None:
        after = self.chance.choice((None, 0.3, 7.0))
        self.do_end(Outcome(self.chance.choice(FAULTS), "boom", retry_after_s=after))

    def do_check(self) -> None:
        if self.places():
            self.checked(*self.chance.choice(self.places()))

    def do_well(self) -> None:
        for name, endpoint in self.places():
            self.checked(name, endpoint, HostHealth.UP)

    def do_read(self) -> None:
        pick = self.chance.choice
        name, used, celsius = (
            pick("abe"),
            pick((20, 20, 20, 60, 85, 97)),
            pick((50, 50, 50, 79, 84, 95, 900, None)),
        )
        devices = (card(used, celsius),) if pick((True,) * 9 + (False,)) else ()
        loaded = pick((None, (("main", pick(((), ("m",), ("n",), ("m", "n")))),)))
        processes = pick((None, None, (Process(1, "ollama", 2000.0),)))
        reading = Reading("nvml", devices, processes=processes, loaded=loaded)
        if name in self.measured:
            self.feed(ev.ReadingTaken(name, reading), settle=False)

    def do_miss(self) -> None:
        name = self.chance.choice("abe")
        if name in self.measured:
            self.feed(ev.ReadingMissed(name, "nvml", "gone"), settle=False)

    def do_pause(self) -> None:
        self.feed(ev.DispatchPaused(True), settle=False)

    def do_resume(self) -> None:
        if self.board.paused:
            self.feed(ev.DispatchPaused(False), settle=False)

    def do_drain(self) -> None:
        self.feed(ev.HostDrained(self.chance.choice("abcde"), True), settle=False)

    def do_undrain(self) -> None:
        for name in [n for n, h in self.board.hosts.items() if h.drained]:
            self.feed(ev.HostDrained(name, False), settle=False)

    def do_reload(self) -> None:
        self.hosts = tuple(h for h in self.some_hosts() if self.chance.random() < 0.8)
        self.use_some()

    def do_cancel(self) -> None:
        row = self.some_row(S.QUEUED, S.PROCESSING)
        if row is not None and row.state is S.QUEUED:
            row = self.rows[row.id] = replace(row, state=S.CANCELLED, version=row.version + 1)
            self.feed(ev.TaskLeft(row.id, row), settle=False)
        elif row is not None:
            self.rows[row.id] = replace(row, cancel_requested=True)
            self.feed(ev.CancelAsked(row.id), settle=False)

    def do_repriorise(self) -> None:
        row = self.some_row(S.QUEUED)
        if row is not None:
            priority = Priority(self.chance.randint(0, 4))
            row = self.rows[row.id] = replace(row, version=row.version + 1, priority=priority)
            self.feed(ev.TaskLeft(row.id), settle=False)
            self.feed(ev.TasksQueued((row.head,)), settle=False)

    def do_count(self) -> None:
        self.perform(fx.ListLanes())

    def do_grant(self) -> None:
        asked = sorted(self.asked - self.settled)
        if asked:
            grant, pause = self.chance.choice(asked), self.chance.choice((None, 0.2, 5.0))
            yes = self.chance.random() < 0.8
            self.feed(ev.Granted(grant) if yes else ev.Denied(grant, "no", pause), settle=False)

    def do_time(self) -> None:
        """Time passes whatever a timer says; one that rang is heard late."""
        self.mono += self.chance.choice((0.05, 0.3, 0.31, 1.0, 2.5, 8, 31, 70))
        if self.board.wake_at is not None and self.board.wake_at <= self.mono:
            self.feed(ev.Ticked(), settle=False)

    def do_timer(self) -> None:
        if self.board.wake_at is not None:
            self.mono = max(self.mono, self.board.wake_at)
            self.feed(ev.Ticked(), settle=False)

    # --- the end ----------------------------------------------------------------------------------

    def shut_down(self) -> None:
        self.failing = 0
        self.feed(ev.ShutdownAsked())
        for _ in range(3):  # a store that failed is tried again
            self.mono += 2
            self.feed(ev.Ticked())
        while self.calls:
            self.do_end()
            self.settle()


def _failed(effect: fx.Effect) -> ev.StoreFailed:
    match effect:
        case fx.ClaimTasks(claims):
            return ev.StoreFailed(claims=claims, message="disk full")
        case fx.Finish(ends):
            return ev.StoreFailed(ends=ends, message="disk full")
        case fx.Peek(lane, priority):
            return ev.StoreFailed(peeked=(lane, priority), message="disk full")
        case _:
            return ev.StoreFailed(promoting=isinstance(effect, fx.Promote), message="disk full")


SOAK = (pytest.param(seed, marks=pytest.mark.soak) for seed in range(10, 216))


@pytest.mark.parametrize("seed", [*range(10), *SOAK])
def test_nobody_who_could_start_waits_and_whatever_was_taken_is_given_back_once(seed: int) -> None:
    walk = Walk(seed)
    for n in range(100):
        walk.go_on()
        if n % 5 == 0:
            _read_aloud(walk)
    walk.shut_down()
    _read_aloud(walk)
    assert walk.board.calls == {}
    assert {h.busy for h in walk.board.hosts.values()} <= {0}
    assert walk.asked == walk.settled


def _read_aloud(walk: Walk) -> None:
    """Each reason that is noted, told of a task or shown in a snapshot: `conftest` sees that none lacks a fact
    of its sentence. Asking changes nothing."""
    before = repr(walk.board)
    shown = snapshot(walk.board, walk.now, epoch=1, started_ms=0, counts=Counts({}), streamed={})
    told = [note.reason for note in walk.notes] + [view.reason for view in shown.waiting]
    rows = list(walk.rows.values())
    for row in walk.chance.sample(rows, min(len(rows), 5)):
        told += explain(walk.board, row, walk.now)
    assert repr(walk.board) == before, "a question wrote to the board"
    walk.notes.clear()
    for reason in told:
        assert reason.text, reason
        assert reason.as_dict()["text"] == reason.text
