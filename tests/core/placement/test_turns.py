"""Callers share what they wait for: nobody starves another, and a better class goes first whoever asks."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core.hosts.test_ghosts import ABANDONED
from tests.core.placement.test_permits import RATE, asked, guarded, settles
from tests.core.placement.test_residency import LOAD_S, RUN_S, Bench
from tests.core.world import START_MS, World, host, kind
from tests.sizes import examples
from ygg.core import effects as fx
from ygg.core import events as ev
from ygg.core.board import Board, LaneState
from ygg.core.placement import order, turns
from ygg.core.placement.ranking import class_of, rank
from ygg.core.step import step
from ygg.model import (
    Candidate,
    Counts,
    Head,
    Lane,
    Now,
    Operation,
    Policy,
    Priority,
    ReasonCode,
    Task,
)
from ygg.model import State as S
from ygg.telling.explain import explain
from ygg.telling.snapshotting import snapshot

CROWD, LONER = Lane("general", caller="crowd"), Lane("general", caller="loner")


def house(slots: int = 1, **policy: object) -> World:
    types = {"general": kind("general", "a"), "x": kind("x", "a")}
    return World((host("a", slots),), types, Policy(**policy))  # type: ignore[arg-type]


def of(world: World, task: str) -> str:
    return world.rows[task].lane.caller


def put(world: World, lane: Lane, tasks: int, priority: int = 2) -> None:
    """So many tasks at once."""
    heads = []
    for _ in range(tasks):
        world.submitted += 1
        row = Task(
            f"t{world.submitted}", world.submitted, 1, lane, Priority(priority), S.QUEUED,
            Operation.CHAT, {"messages": []}, created_ms=world.now.wall_ms, queued_ms=world.now.wall_ms,
        )  # fmt: skip
        world.rows[row.id] = row
        heads.append(row.head)
    world.feed(ev.TasksQueued(tuple(heads)))


def oldest_ends(world: World) -> str:
    """The call that has run longest ends; whose task it was."""
    task = next(iter(world.calls))
    world.end(task)
    return of(world, task)


def starters(world: World, begin: int = 0) -> str:
    """The first letters of the callers, in the order of their starts."""
    return "".join(of(world, task)[0] for task in world.started[begin:])


# --- the bound --------------------------------------------------------------------------------------


@pytest.mark.parametrize("slots", [1, 4])
def test_one_task_beside_ten_thousand_gets_the_next_slot(slots: int) -> None:
    world = house(slots)
    put(world, CROWD, 10_000)
    oldest_ends(world)
    begun = len(world.started)
    one = world.submit(lane=LONER)
    oldest_ends(world)
    assert world.started[begun:] == [one]


def test_of_five_callers_the_last_gets_the_fourth_slot_at_the_latest() -> None:
    world = house()
    for name in "abcd":
        put(world, Lane("general", caller=name), 100)
    oldest_ends(world)
    begun = len(world.started)
    last = world.submit(lane=Lane("general", caller="e"))
    for _ in range(4):
        oldest_ends(world)
    assert last in world.started[begun:]


@dataclass
class Judge:
    """Counts, for the first task of each caller, what others start before it on each server it may use."""

    world: World
    seen: dict[str, Counter[tuple[str, str]]] = field(default_factory=dict)  # by task

    def places(self, row: Task) -> set[str]:
        return {row.lane.host} if row.lane.host else self.hosts(row)

    def hosts(self, row: Task) -> set[str]:
        return {c.host for c in self.world.types[row.lane.type].route}

    def follow(self, waiting: list[Task], busy: list[Task], begun: list[Task]) -> None:
        """`waiting` and `busy` as they were before these starts, one after another."""
        for start in begun:
            waiting = [r for r in waiting if r.id != start.id]
            self._order(waiting, start)
            for first in self._firsts(waiting, start):
                self._count(first, start, busy)
            own = (r for r in waiting if r.lane.caller == start.lane.caller)
            for row in (r for r in own if start.host in self.places(r)):
                self.seen.pop(row.id, None)  # it has a call there again
            busy = [*busy, start]

    def _order(self, waiting: list[Task], start: Task) -> None:
        for row in (r for r in waiting if start.host in self.places(r)):
            assert start.priority <= row.priority, "a better priority waits, whoever asks"
            if row.lane.caller == start.lane.caller:
                assert (start.priority, start.seq) < (row.priority, row.seq), "its caller's order"

    @staticmethod
    def _firsts(waiting: list[Task], start: Task) -> list[Task]:
        found: dict[str, Task] = {}
        for row in sorted(waiting, key=lambda r: (r.priority, r.seq)):
            found.setdefault(row.lane.caller, row)
        own = start.lane.caller
        return [r for name, r in found.items() if name != own and r.priority == start.priority]

    def _count(self, first: Task, start: Task, busy: list[Task]) -> None:
        places = self.places(first)
        if any(r.lane.caller == first.lane.caller and r.host in places for r in busy):
            self.seen.pop(first.id, None)
        elif start.host in places:
            counts = self.seen.setdefault(first.id, Counter())
            counts[start.lane.caller, start.host] += 1
            assert max(counts.values()) == 1, f"{start.lane.caller} had two turns"


@given(st.data())
@settings(max_examples=examples(120, 2000), deadline=None)
def test_while_a_caller_has_no_call_there_each_other_starts_one_before_it(
    data: st.DataObject,
) -> None:
    """Callers, lanes, slots, and when which call ends, all by chance."""
    slots = data.draw(st.tuples(*[st.integers(1, 3)] * 3))
    types = {
        "x": kind("x", "a"),
        "y": kind("y", "b"),
        "general": kind("general", "a", "b", "c"),
        "z": kind("z", "c", "b"),
    }
    world = World(tuple(host(n, s) for n, s in zip("abc", slots, strict=True)), types)
    judge = Judge(world)
    callers = "pqrst"[: data.draw(st.integers(2, 5))]
    for _ in range(data.draw(st.integers(1, 60))):
        before, begun = dict(world.rows), len(world.started)
        if world.calls and data.draw(st.booleans()):
            world.end(data.draw(st.sampled_from(sorted(world.calls))))
        else:
            lane = Lane(data.draw(st.sampled_from(sorted(types))), caller=data.draw(st.sampled_from(callers)))  # fmt: skip
            world.feed(ev.DispatchPaused(True))
            for _ in range(data.draw(st.sampled_from((1, 1, 4)))):
                world.submit(lane=lane, priority=data.draw(st.sampled_from((2, 2, 2, 1))))
            before = dict(world.rows)
            world.feed(ev.DispatchPaused(False))
        waiting = [r for r in before.values() if r.state is S.QUEUED]
        ended = {t for t, r in world.rows.items() if r.state is S.COMPLETED}
        busy = [r for r in before.values() if r.state is S.PROCESSING and r.id not in ended]
        judge.follow(waiting, busy, [world.rows[t] for t in world.started[begun:]])


# --- who comes first --------------------------------------------------------------------------------


def test_a_better_priority_goes_first_whosever_turn_it_is() -> None:
    world = house()
    put(world, CROWD, 3, priority=1)
    world.submit(lane=LONER)
    while world.calls:
        oldest_ends(world)
    assert starters(world) == "cccl"


def test_callers_of_one_class_take_turns_and_keep_their_own_order() -> None:
    world = house()
    put(world, CROWD, 4)
    put(world, Lane("x", caller="crowd"), 2)
    put(world, LONER, 3)
    while world.calls:
        oldest_ends(world)
    assert starters(world) == "clclclccc"
    own = [int(t[1:]) for t in world.started if of(world, t) == "crowd"]
    assert own == sorted(own), "over its lanes"


def test_long_calls_of_one_caller_do_not_take_the_share_of_another() -> None:
    world = house(slots=4)
    put(world, LONER, 100)
    put(world, CROWD, 100)
    for _ in range(2):
        oldest_ends(world)
    assert Counter(of(world, t) for t in world.calls) == {"loner": 2, "crowd": 2}
    for _ in range(20):
        world.end(next(t for t in world.calls if of(world, t) == "loner"))
        assert Counter(of(world, t) for t in world.calls) == {"loner": 2, "crowd": 2}


def test_a_call_that_was_cut_off_counts_as_long_as_it_keeps_its_slot() -> None:
    world = house(slots=3)
    put(world, CROWD, 100)
    put(world, LONER, 100)
    while Counter(of(world, t) for t in world.calls) != {"crowd": 2, "loner": 1}:
        oldest_ends(world)
    for _ in range(2):  # crowd cancels what it runs, and its ghosts keep two of the three slots
        world.end(next(t for t in world.calls if of(world, t) == "crowd"), ABANDONED)
    assert Counter(of(world, t) for t in world.calls) == {"loner": 1}
    for _ in range(3):
        oldest_ends(world)
        assert Counter(of(world, t) for t in world.calls) == {"loner": 1}, "not a third slot"
    world.feed(ev.InsideTold("a", "main", 0, tells=True))
    assert Counter(of(world, t) for t in world.calls) == {"loner": 1, "crowd": 2}


def test_what_a_caller_has_elsewhere_does_not_cost_it_its_turn() -> None:
    world = World((host("a"), host("b", 4)), {"x": kind("x", "a"), "y": kind("y", "b")})
    put(world, Lane("y", caller="loner"), 100)
    put(world, Lane("x", caller="crowd"), 100)
    put(world, Lane("x", caller="loner"), 3)
    begun = len(world.started)
    for _ in range(6):
        world.end(world.running_on("b")[0])
        world.end(world.running_on("a")[0])
    assert [of(world, t) for t in world.started[begun:] if world.rows[t].host == "a"] == [
        "loner", "crowd", "loner", "crowd", "loner", "crowd",
    ]  # fmt: skip


def test_a_turn_that_was_not_used_is_not_lost() -> None:
    world = house()
    first = world.submit(lane=LONER)
    put(world, CROWD, 2)
    world.end(first)
    other, late = world.submit(lane=LONER), next(t for t in world.calls if of(world, t) == "crowd")
    world.rows[other] = replace(world.rows[other], version=7)  # its claim will be refused
    world.end(late)
    while world.calls:
        oldest_ends(world)
    assert starters(world) == "lclc"


def test_a_server_forgets_who_was_served_longest_ago(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "KNOWN", 2)
    world = house()
    for name in ("a", "b", "a", "c"):
        world.end(world.submit(lane=Lane("general", caller=name)))
    assert list(world.board.hosts["a"].servers["main"].served) == ["a", "c"]


# --- beside other rules -------------------------------------------------------------------------------


def test_with_ageing_a_task_that_has_waited_comes_to_the_best_class_and_no_further() -> None:
    policy, now = Policy(ageing_s=10.0), Now(0.0, START_MS)

    def group(priority: int, waited_s: int) -> float:
        head = Head("h", 1, 1, CROWD, Priority(priority), START_MS - waited_s * 1000)
        return class_of(rank(head, policy), policy, now)

    assert [group(2, s) for s in (0, 9, 10, 19, 20, 500)] == [2, 2, 1, 1, 0, 0]
    assert group(0, 500) == 0
    strict = Policy()
    assert class_of(rank(Head("h", 1, 1, CROWD, Priority.LOW, 0), strict), strict, now) == 3


def test_with_ageing_old_tasks_of_a_crowd_take_turns_with_new_ones() -> None:
    world = house(ageing_s=10.0)
    put(world, CROWD, 100, priority=3)
    world.pass_time(100)
    urgent = world.submit(lane=LONER, priority=0)
    fresh = world.submit(lane=Lane("general", caller="other"), priority=2)
    oldest_ends(world)
    assert world.started[-1] == urgent
    for _ in range(3):
        oldest_ends(world)
    assert starters(world) == "clccc", "what is fresh has still to wait"
    world.pass_time(20)
    oldest_ends(world)
    assert world.started[-1] == fresh


def test_callers_with_different_models_do_not_change_them_at_each_turn() -> None:
    """The other model is loaded once in `max_wait_s`, and within it everybody is served."""
    bench = Bench()
    put(bench.world, Lane("a", caller="crowd"), 300)
    put(bench.world, Lane("b", caller="loner"), 300)
    bench.run(until=bench.world.mono + 400)
    begun = {t: at - RUN_S for t, at in bench.ends.items() if of(bench.world, t) == "loner"}
    bound = bench.residency.max_wait_s
    assert 4 <= bench.swaps <= 2 + 400 / bound
    assert min(begun.values()) - 1000 <= bound + RUN_S + 2 * LOAD_S
    assert bench.thrash == 0


def test_a_call_that_waits_for_a_permit_keeps_its_slot_from_another_caller_of_its_class() -> None:
    world = guarded(RATE)
    served = world.submit(lane=LONER)
    world.feed(ev.Granted(asked(world)[0]))
    put(world, LONER, 1)
    put(world, CROWD, 1)
    world.end(served)
    turn = asked(world)[-1]  # of the crowd, though its task has the worse number
    world.feed(ev.DispatchPaused(False))
    assert settles(world)[turn] == 0
    urgent = world.submit(lane=LONER, priority=0)
    assert settles(world)[turn] == 1, "a better class takes it"
    world.feed(ev.Granted(asked(world)[-1]))
    world.end(urgent)
    world.feed(ev.Granted(asked(world)[-1]))
    assert starters(world) == "llc"


def test_one_caller_costs_no_question_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor do many where one host is open: whoever is asked first takes the slot."""
    world = house()
    for name in ("a", "b", "c", "a", "b", "c"):
        world.submit(lane=Lane("general", caller=name))
    ranked, asked_ = order.best_first, []

    def counted(board: Board, state: LaneState) -> tuple[Candidate, ...]:
        asked_.append(state.lane.caller)
        return ranked(board, state)

    monkeypatch.setattr(order, "best_first", counted)
    found = step(world.board, world.ended(world.calls["t1"]), world.now)
    assert asked_ == ["b"]
    assert [e.claims[0].task_id for e in found if isinstance(e, fx.ClaimTasks)] == ["t2"]


# --- what is told -------------------------------------------------------------------------------------


def test_why_tells_of_the_turn_of_others() -> None:
    world = house()
    world.submit(lane=LONER)
    mine, other = world.submit(lane=LONER), world.submit(lane=CROWD)
    found = explain(world.board, world.rows[mine], world.now)[0]
    assert (found.code, found.facts["callers"]) == (ReasonCode.TURN, 1)
    assert found.text == "after a task of another caller on a; a: 1 of 1 slot busy"
    assert explain(world.board, world.rows[other], world.now)[0].code is ReasonCode.HOST_FULL
    world.submit(lane=Lane("general", caller="third"))
    assert "of 2 other callers" in explain(world.board, world.rows[mine], world.now)[0].text


def test_what_comes_next_is_shown_in_turns() -> None:
    world = house()
    put(world, CROWD, 40)
    put(world, LONER, 2)
    put(world, Lane("general", caller="third"), 1)
    put(world, CROWD, 1, priority=1)
    shown = snapshot(world.board, world.now, epoch=1, started_ms=0, counts=Counts({}), streamed={})
    begun = len(world.started)
    while len(world.started) < begun + len(shown.waiting):
        oldest_ends(world)
    assert "".join(of(world, v.task_id)[0] for v in shown.waiting[:7]) == "ccltclc"
    assert Counter(starters(world, begun)) == Counter(
        of(world, v.task_id)[0] for v in shown.waiting
    )
