"""Changing models: who goes first, for how long, and what may not happen."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core.world import COMPLETED, World
from ygg.core import events as ev
from ygg.core.placement import residency
from ygg.model import (
    Candidate,
    Endpoint,
    Health,
    Host,
    HostHealth,
    Lane,
    Policy,
    Priority,
    ReasonCode,
    Residency,
    TaskType,
    Telemetry,
)
from ygg.telling.explain import explain

LOAD_S, RUN_S = 5.0, 1.0
SIZES = {"a": 5000.0, "b": 5000.0, "c": 1000.0}
OTHER = Endpoint("main", "ollama", "http://other:1", tuple(SIZES))
ELSEWHERE = Host("h", 2, (OTHER,))


@dataclass
class Bench:
    """One host whose server needs `LOAD_S` for a change of models; time passes call by call."""

    slots: int = 1
    residency: Residency = field(default_factory=Residency)
    known: bool = True  # the sizes
    world: World = field(init=False)
    resident: set[str] = field(default_factory=set)
    ends: dict[str, float] = field(default_factory=dict)
    swaps: int = 0
    thrash: int = 0  # loads while calls with another model ran

    def __post_init__(self) -> None:
        sizes = SIZES if self.known else {}
        endpoint = Endpoint("main", "ollama", "http://h:1", tuple(SIZES), sizes=sizes)
        types = {m: TaskType(m, (Candidate("h", "main", m),)) for m in SIZES}
        types["general"] = types["a"]
        one = Host("h", self.slots, (endpoint,))
        self.world = World((one,), types, Policy(residency=self.residency))
        self.world.feed(ev.HostChecked("h", "main", Health(HostHealth.UP, loaded=())))

    def start_new(self) -> None:
        for task, start in self.world.calls.items():
            if task in self.ends:
                continue
            model = start.candidate.model
            wait = 0.0
            if model not in self.resident:
                others = {self.world.rows[t].lane.type for t in self.ends if t in self.world.calls}
                self.thrash += bool(others - {model})
                self.resident, wait, self.swaps = {model}, LOAD_S, self.swaps + 1
            self.ends[task] = self.world.mono + wait + RUN_S

    def run(self, until: float = float("inf")) -> None:
        """Until nothing runs or that time."""
        self.start_new()
        while self.world.calls or self.world.board.where:
            due = min((self.ends[t] for t in self.world.calls), default=self.world.mono + 1)
            if due > until:
                return
            self.world.pass_time(max(0.0, due - self.world.mono))
            self.start_new()
            for task in [t for t in self.world.calls if self.ends[t] <= self.world.mono]:
                self.world.end(task, COMPLETED)
            self.start_new()


FIFO = Residency(max_wait_s=0.001, min_hold_s=0.001)


def alternating(bench: Bench, tasks: int) -> float:
    """Makespan of tasks whose models take turns."""
    begun = bench.world.mono
    bench.world.feed(ev.DispatchPaused(True))
    for n in range(tasks):
        bench.world.submit("ab"[n % 2])
    bench.world.feed(ev.DispatchPaused(False))
    bench.run()
    return bench.world.mono - begun


@pytest.mark.parametrize(("slots", "known"), [(1, True), (2, True), (1, False), (3, False)])
def test_two_models_that_take_turns_are_not_changed_for_every_task(slots: int, known: bool) -> None:
    plain = alternating(Bench(slots, FIFO, known), 200)
    kept = Bench(slots, known=known)
    assert alternating(kept, 200) <= 0.6 * plain
    assert kept.thrash == 0


def test_nobody_is_passed_over_for_longer_than_the_bound() -> None:
    bench = Bench()
    alternating(bench, 400)
    started = {t: bench.ends[t] - RUN_S for t in bench.ends}
    order = sorted(started, key=started.__getitem__)
    passed: dict[str, float] = {}
    for n, task in enumerate(order):
        for late in order[n + 1 :]:
            if int(late[1:]) < int(task[1:]):  # submitted before it, started after it
                passed.setdefault(late, started[task])
    longest = max(started[late] - since for late, since in passed.items())
    assert longest <= 60 + LOAD_S + 2 * RUN_S


def test_a_better_priority_is_never_passed() -> None:
    bench = Bench()
    for _ in range(20):
        bench.world.submit("a", 2)
    bench.run(until=bench.world.mono + 8)
    high = bench.world.submit("b", 1)
    bench.run()
    place = bench.world.started.index(high)
    assert bench.world.started[place - 1] in [f"t{n}" for n in range(1, 6)]
    assert bench.ends[high] < 1000 + 8 + 2 * RUN_S + LOAD_S + 1


def test_while_a_task_waits_for_a_change_only_its_equals_go_first() -> None:
    world = Bench(slots=3, known=False).world
    world.submit("b", 0)
    world.feed(ev.DispatchPaused(True))
    cold, worse, equal = world.submit("a", 0), world.submit("b", 1), world.submit("b", 0)
    world.feed(ev.DispatchPaused(False))
    assert equal in world.calls
    assert worse not in world.calls
    assert cold not in world.calls


def test_a_server_drains_before_it_changes_and_says_why_its_slot_is_idle() -> None:
    bench = Bench(slots=2)
    world = bench.world
    first = world.submit("a")
    cold, warm_low = world.submit("b", 1), world.submit("a", 3)
    assert list(world.calls) == [first], "a free slot waits for the change"
    reasons = explain(world.board, world.rows[cold], world.now)
    assert reasons[0].code is ReasonCode.SWAP_PENDING
    assert (
        "slot idle on purpose: swap pending: calls with another model end first" in reasons[0].text
    )
    text = explain(world.board, world.rows[warm_low], world.now)[0].text
    assert "it drains to change to b" in text
    world.end(first)
    assert list(world.calls) == [cold]


def test_a_model_that_nobody_waits_for_makes_room_at_once() -> None:
    world = Bench().world
    world.end(world.submit("a"))
    assert world.submit("b") in world.calls


def test_a_model_that_was_just_loaded_stays_a_while_for_those_who_wait_for_it() -> None:
    world = Bench(residency=Residency(1.0, 20.0)).world
    running = world.submit("a")
    cold = world.submit("b")
    while world.mono < 1000 + 19:
        following = world.submit("a")
        world.pass_time(1)
        world.end(running)
        assert following in world.calls, "though the other has waited longer than it must"
        running = following
    world.submit("a")
    world.pass_time(1.5)
    world.end(running)
    assert cold in world.calls


@pytest.mark.parametrize("how", ["refused", "avoid"])
def test_no_slot_is_kept_for_tasks_that_something_else_holds_back(how: str) -> None:
    """Tasks whose model is loaded go first only if they can go at all."""
    world = Bench().world
    world.hosts = (*world.hosts, replace(ELSEWHERE, name="g"))
    world.types["a"] = TaskType("a", (Candidate("h", "main", "a"), Candidate("g", "main", "a")))
    world.own()
    first, elsewhere = (
        world.submit("a"),
        [world.submit("a", lane=Lane("a", host="g")) for _ in "12"],
    )
    lane = replace(Lane("a"), **{how: ("h/main/a",)})
    cold, warm = world.submit("b"), world.submit("a", lane=lane)
    world.end(first)
    assert {cold, *elsewhere} == world.calls.keys()
    assert warm in world.board.where


def test_no_server_drains_for_a_model_that_finds_no_room_even_then() -> None:
    bench = Bench(slots=3)
    world, host = bench.world, bench.world.board.hosts["h"]
    host.host = replace(host.host, telemetry=Telemetry(memory_mb=4000))
    world.submit("c", 3)
    large, small = world.submit("b", 1), world.submit("c", 3)
    assert small in world.calls
    reason = explain(world.board, world.rows[large], world.now)[0]
    assert reason.code is ReasonCode.MODEL_TOO_LARGE


def test_one_task_makes_one_server_drain() -> None:
    bench = Bench(slots=2)
    world = bench.world
    world.hosts = (*world.hosts, replace(world.hosts[0], name="g"))
    for model in "ab":
        route = (Candidate("h", "main", model), Candidate("g", "main", model))
        world.types[model] = TaskType(model, route)
    world.own()
    world.feed(ev.HostChecked("g", "main", Health(HostHealth.UP, loaded=())))
    on_both = [world.submit("a", lane=Lane("a", host=name)) for name in "hg"]
    cold, warm = world.submit("b", 1), world.submit("a")
    assert cold not in world.calls
    assert world.calls[warm].candidate.host == "g"
    world.end(on_both[0])
    assert world.calls[cold].candidate.host == "h"


def test_a_better_priority_changes_a_model_that_was_just_loaded() -> None:
    world = Bench().world
    world.end(world.submit("a", 2))
    cold = world.submit("b", 1)
    assert cold in world.calls


def test_models_that_fit_together_need_no_change() -> None:
    bench = Bench(slots=2)
    host = bench.world.board.hosts["h"]
    host.host = replace(host.host, telemetry=Telemetry(memory_mb=8192))
    bench.world.submit("a")
    assert bench.world.submit("b") not in bench.world.calls
    assert bench.world.submit("c", 1) in bench.world.calls
    assert host.servers["main"].loaded == {"a", "c"}


def test_models_seen_together_fit_together() -> None:
    world = Bench(slots=2, known=False).world
    world.feed(ev.HostChecked("h", "main", Health(HostHealth.UP, loaded=("a", "b"))))
    world.feed(ev.HostChecked("h", "main", Health(HostHealth.UP, loaded=("a",))))
    world.submit("a")
    assert world.submit("b") in world.calls
    assert world.submit("c") not in world.calls


def test_an_answer_from_before_the_change_does_not_undo_it() -> None:
    world = Bench(slots=2).world
    world.end(world.submit("a"))
    world.pass_time(30)
    running = world.submit("b")
    world.feed(ev.HostChecked("h", "main", Health(HostHealth.UP, loaded=("a",))))
    assert world.board.hosts["h"].servers["main"].loaded == {"b"}
    assert world.submit("b") in world.calls
    assert world.submit("a") not in world.calls
    assert running in world.calls


def test_a_cancelled_task_leaves_no_change_pending() -> None:
    world = Bench(slots=2).world
    first = world.submit("a")
    cold = world.submit("b", 1)
    warm = world.submit("a")
    assert warm not in world.calls
    world.rows.pop(cold)
    world.feed(ev.TaskLeft(cold))
    assert warm in world.calls
    assert first in world.calls


def test_a_server_with_one_model_or_that_does_not_tell_is_left_alone() -> None:
    world = Bench(slots=2).world
    world.check_answer("h", HostHealth.DOWN)
    world.check_answer("h", HostHealth.UP)
    world.submit("a")
    assert world.submit("b") in world.calls


def test_a_model_is_loaded_with_one_set_of_options_whoever_asks() -> None:
    bench = Bench(slots=3)
    world = bench.world
    wide = {"num_ctx": 8192, "temperature": 0.1}
    world.types["a"] = replace(world.types["a"], options=wide)
    world.types["other"] = replace(world.types["a"], name="other", options={"temperature": 0.9})
    world.own()
    world.feed(ev.HostChecked("h", "main", Health(HostHealth.UP, loaded=())))
    asked = {"messages": [], "options": {"num_ctx": 2048, "seed": 7}}
    tasks = [world.submit("a"), world.submit("other"), world.submit("other", request=asked)]
    options = [world.calls[t].attempt.request["options"] for t in tasks]
    assert options == [
        {"num_ctx": 8192, "temperature": 0.1},
        {"num_ctx": 8192, "temperature": 0.9},
        {"num_ctx": 8192, "temperature": 0.9, "seed": 7},
    ]
    told = [n.reason.text for n in world.notes if n.task_id == tasks[2] and n.level == "WARNING"]
    assert told == ["num_ctx not used: hosts.yaml fixes how a is loaded"]
    world = Bench().world
    alone = world.submit("b", request=asked)
    assert world.calls[alone].attempt.request["options"] == {"seed": 7}


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 4), st.integers(0, 8)), max_size=40),
    st.integers(1, 3),
    st.booleans(),
)
@settings(max_examples=80, deadline=None)
def test_no_lower_priority_passes_a_higher_one_and_all_end(
    arrivals: list[tuple[str, int, int]], slots: int, known: bool
) -> None:
    bench = Bench(slots, known=known)
    world = bench.world
    for model, priority, gap in arrivals:
        bench.run(until=world.mono + gap)
        bench.start_new()
        before = len(world.started)
        world.submit(model, priority)
        bench.start_new()
        _no_better_waits(world, world.started[before:])
        _no_slot_is_idle_for_nobody(world)
    while world.calls or world.board.where:
        before = len(world.started)
        world.pass_time(1)
        bench.start_new()
        for task in [t for t in world.calls if bench.ends[t] <= world.mono]:
            world.end(task)
        bench.start_new()
        _no_better_waits(world, world.started[before:])
        _no_slot_is_idle_for_nobody(world)
    assert bench.thrash == 0


def _no_slot_is_idle_for_nobody(world: World) -> None:
    """A free slot of a server that runs nothing is held from nobody; beside running calls only from tasks behind one
    that needs another model, and is better ranked or has been passed over for long enough."""
    board, server = world.board, world.board.hosts["h"].servers["main"]
    waiting = {(h.lane.type, h.priority) for h in board.where.values()}
    if not waiting or board.hosts["h"].busy >= board.hosts["h"].limit:
        return
    assert world.calls, f"{waiting} wait beside an idle server"
    patient = world.mono < residency.patient_until(server, board.policy)
    for model, priority in waiting:
        if model in (server.loaded or ()):
            ahead = [p for m, p in waiting if m not in (server.loaded or ())]
            assert any(p < priority or (p == priority and not patient) for p in ahead), model


def _no_better_waits(world: World, started: list[str]) -> None:
    waiting = [h.priority for h in world.board.where.values()]
    for task in started:
        better = [p for p in waiting if p < Priority(world.rows[task].priority)]
        assert not better, f"{task} passed {better}"


def two_models(**policy: object) -> World:
    """Host `h` runs `a`, just loaded, and a task waits there for `b`."""
    bench = Bench(2, Residency(30.0, 60.0))
    world = bench.world
    world.policy = Policy(residency=bench.residency, **policy)  # type: ignore[arg-type]
    world.own()
    world.submit("a")
    world.submit("b")
    assert world.board.hosts["h"].servers["main"].swap_to == "b"
    return world


@pytest.mark.parametrize("hosts", [(), (ELSEWHERE,)])
def test_a_server_that_is_gone_changes_no_models(hosts: tuple[Host, ...]) -> None:
    world = two_models()
    world.feed(ev.DispatchPaused(True))
    world.hosts = hosts
    world.own()
    world.end("t1")
    world.feed(ev.DispatchPaused(False))
    assert world.board.changing == {}
