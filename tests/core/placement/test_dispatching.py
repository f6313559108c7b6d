"""Who gets the free slots."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core.world import START_MS, World, host, kind
from tests.sizes import examples
from ygg.core import effects as fx
from ygg.core import events as ev
from ygg.core.board import WINDOW, Board, LaneState
from ygg.core.placement import order
from ygg.core.placement.ranking import rank
from ygg.core.step import step
from ygg.model import Candidate, Claim, Head, HostHealth, Lane, Policy, Priority
from ygg.model import OutcomeKind as K
from ygg.model import State as S

OVER = {S.COMPLETED, S.FAILED, S.CANCELLED}


def one_host(slots: int = 1, **policy: object) -> World:
    return World((host("a", slots),), {"general": kind("general", "a")}, Policy(**policy))  # type: ignore[arg-type]


def test_a_task_runs_on_the_host_of_its_type() -> None:
    world = World()
    code, text, thought, odd = (
        world.submit(t) for t in ("code", "text", "reasoning", "unheard-of")
    )
    assert {t: s.candidate.host for t, s in world.calls.items()} == {
        code: "skadi", text: "fenrir", thought: "surtr", odd: "surtr",
    }  # fmt: skip


def test_no_host_is_given_more_than_its_slots() -> None:
    world = World()
    for type_ in ("code", "text", "reasoning") * 5:
        world.submit(type_)
    assert [len(world.running_on(h)) for h in ("surtr", "fenrir", "skadi")] == [2, 3, 2]


def test_better_priority_goes_first_and_equals_keep_their_order() -> None:
    world = one_host()
    first = world.submit(priority=2)
    waiting = [world.submit(priority=p) for p in (3, 2, 0, 2, 1, 0)]
    for _ in waiting:
        world.end(world.started[-1])
    by_rank = sorted(waiting, key=lambda t: (world.rows[t].priority, world.rows[t].seq))
    assert world.started == [first, *by_rank]


def test_tasks_of_several_types_share_a_host_by_rank_alone() -> None:
    types = {"general": kind("general", "a"), "x": kind("x", "a")}
    world = World((host("a"),), types)
    world.submit("general")
    low, high = world.submit("general", 3), world.submit("x", 1)
    world.end(world.started[0])
    assert world.started[-1] == high
    world.end(high)
    assert world.started[-1] == low


def test_a_task_takes_the_first_usable_candidate_of_its_route() -> None:
    types = {"general": kind("general", "a", "b")}
    world = World((host("a"), host("b")), types)
    one, two, three = (world.submit("general") for _ in range(3))
    assert (world.running_on("a"), world.running_on("b")) == ([one], [two])
    assert three not in world.calls
    chosen = [n.reason.text for n in world.notes if n.task_id == two]
    assert chosen == ["general -> b m (GPU, waiting: 1 GPU, 0 CPU); a: 1 of 1 slot busy"]


def test_pins_narrow_the_route_and_reach_beyond_it() -> None:
    types = {"general": kind("general", "a")}
    world = World((host("a"), host("b", models=("m", "big"))), types)
    to_b = world.submit(lane=Lane("general", host="b"))
    to_big = world.submit(lane=Lane("general", model="big"))
    assert world.calls[to_b].candidate == ("b", "main", "m")
    world.end(to_b)
    assert world.calls[to_big].candidate == ("b", "main", "big")


def test_a_lane_whose_host_is_down_does_not_hold_up_the_others() -> None:
    world = World()
    world.check_answer("skadi", HostHealth.DOWN)
    stuck = [world.submit("code", 0) for _ in range(3)]
    text = world.submit("text", 4)
    assert world.started == [text]
    world.check_answer("skadi", HostHealth.UP)
    assert world.started[1:] == stuck[:2]


def test_an_unseen_window_keeps_its_hosts_from_worse_tasks() -> None:
    world = World((host("a"),), {"general": kind("general", "a")}, own=False)
    lane, other = Lane("general"), Lane("general", caller="other")
    world.feed(ev.HostsOwned(world.hosts, world.types, world.policy), settle=False)
    world.todo.clear()
    world.feed(ev.LanesSeen(((lane, Priority.CRITICAL, 1),)), settle=False)
    late = Head("late", 9, 1, other, Priority.LOW, START_MS)
    world.feed(ev.TasksQueued((late,)), settle=False)
    kinds = [type(e) for e in world.todo]
    assert fx.Peek in kinds
    assert fx.ClaimTasks not in kinds
    world.feed(ev.HeadsSeen(lane, Priority.CRITICAL, (), True), settle=False)
    assert [e.claims[0].task_id for e in world.todo if isinstance(e, fx.ClaimTasks)] == ["late"]


def test_the_window_is_refilled_before_it_runs_dry() -> None:
    world = one_host()
    ids = [world.submit() for _ in range(200)]
    assert len(world.board.where) <= 2 * WINDOW
    for _ in ids:
        world.end(world.started[-1])
    assert world.started == ids


def test_heads_that_come_in_during_a_peek_do_not_overtake_what_it_has_not_shown() -> None:
    world = one_host()
    world.feed(ev.DispatchPaused(True))
    ids = [world.submit() for _ in range(200)]
    world.feed(ev.DispatchPaused(False))
    while not any(isinstance(e, fx.Peek) for e in world.todo):
        task = world.started[-1]
        call = world.calls.pop(task)
        world.feed(world.ended(call), settle=False)
        while world.todo and not isinstance(world.todo[0], fx.Peek):
            world.perform(world.todo.popleft())
    peek = world.todo.popleft()
    late = [world.submit() for _ in range(40)]  # told to the core before the store has answered
    world.perform(peek)
    world.settle()
    while world.calls:
        world.end(next(iter(world.calls)))
    assert world.started == [*ids, *late]


def test_a_refused_claim_gives_its_slot_back_and_looks_again() -> None:
    world = one_host()
    world.submit()
    world.feed(ev.DispatchPaused(True))
    task = world.submit()
    world.rows[task] = replace(world.rows[task], version=7)
    world.feed(ev.DispatchPaused(False))
    world.end(world.started[0])
    assert world.started[-1] == task
    assert world.rows[task].attempt == 1


@pytest.mark.parametrize("stop", [ev.DispatchPaused(True), ev.ShutdownAsked()])
def test_nothing_starts_while_paused_or_draining(stop: ev.Event) -> None:
    world = World()
    world.feed(stop)
    world.submit()
    assert world.started == []


def test_a_claim_that_returns_while_draining_goes_back_without_a_call() -> None:
    world = one_host()
    world.feed(ev.DispatchPaused(True))
    task = world.submit()
    world.feed(ev.DispatchPaused(False), settle=False)
    claim = next(e for e in world.todo if isinstance(e, fx.ClaimTasks))
    world.todo.clear()
    world.feed(ev.ShutdownAsked())
    world.perform(claim)
    world.settle()
    assert world.started == []
    assert (world.rows[task].state, world.rows[task].reason) == (S.QUEUED, "withdrawn")


def test_an_overdue_head_is_never_claimed() -> None:
    world = one_host()
    world.submit()
    late = world.submit(deadline_ms=START_MS + 1000)
    world.pass_time(2)
    world.end(world.started[0])
    assert world.rows[late].state is S.EXPIRED
    assert world.started == ["t1"]


def test_drained_hosts_finish_what_they_run_and_take_nothing_new() -> None:
    world = one_host()
    running, waiting = world.submit(), world.submit()
    world.feed(ev.HostDrained("a", True))
    world.end(running)
    assert world.rows[running].state is S.COMPLETED
    assert waiting not in world.started
    world.feed(ev.HostDrained("a", False))
    assert world.started[-1] == waiting


def test_a_repriorised_task_overtakes_even_when_its_claim_was_on_the_way() -> None:
    world = one_host()
    running = world.submit()
    low = world.submit(priority=4)
    other = world.submit(priority=3)
    world.rows[low] = replace(world.rows[low], version=2, priority=Priority.CRITICAL)
    world.feed(ev.TaskLeft(low))
    world.feed(ev.TasksQueued((world.rows[low].head,)))
    world.end(running)
    assert world.started[1:] == [low]
    world.end(low)
    assert world.started[-1] == other


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 50)), min_size=2, max_size=40))
@settings(max_examples=60, deadline=None)
def test_ageing_lets_a_task_be_overtaken_only_within_its_stated_bound(
    arrivals: list[tuple[int, int]],
) -> None:
    """Bound: by tasks created less than (priority difference) * W later."""
    w = 10.0
    policy = Policy(ageing_s=w)
    heads, at = [], 0
    for seq, (priority, gap) in enumerate(arrivals):
        at += gap * 1000
        heads.append(Head(str(seq), seq, 1, Lane("general"), Priority(priority), at))
    order = sorted(heads, key=lambda h: rank(h, policy))
    for place, winner in enumerate(order):
        for loser in order[place + 1 :]:
            if winner.created_ms > loser.created_ms:
                bound = (loser.priority - winner.priority) * w * 1000
                assert winner.created_ms - loser.created_ms <= bound


@given(st.data())
@settings(max_examples=examples(60, 1000), deadline=None)
def test_no_order_of_events_breaks_gates_ranks_or_loses_a_task(data: st.DataObject) -> None:
    types = {"general": kind("general", "a"), "x": kind("x", "a", "b"), "y": kind("y", "b", "a")}
    world = World((host("a", 2), host("b", 1)), types, Policy(poll_s=300, check_every_s=300))
    for _ in range(data.draw(st.integers(1, 60))):
        _one_random_thing(world, data)
        assert len(world.running_on("a")) <= 2
        assert len(world.running_on("b")) <= 1
    for name in ("a", "b"):
        world.check_answer(name, HostHealth.UP)
    for _ in range(len(world.rows) * 3 + 3):
        if {t.state for t in world.rows.values()} <= OVER:
            break
        world.pass_time(400)
        for name in ("a", "b"):
            world.check_answer(name, HostHealth.UP)
        for task in list(world.calls):
            world.end(task)
    assert {t.state for t in world.rows.values()} <= OVER
    assert not world.board.running
    assert not world.board.where


def _one_random_thing(world: World, data: st.DataObject) -> None:
    what = data.draw(st.sampled_from(("submit", "submit", "end", "fail", "down", "up", "time")))
    if what == "submit":
        world.submit(
            data.draw(st.sampled_from(("general", "x", "y"))), data.draw(st.integers(0, 4))
        )
    elif what in ("end", "fail") and world.calls:
        task = data.draw(st.sampled_from(sorted(world.calls)))
        if what == "end":
            world.end(task)
        else:
            kinds = (K.ERROR, K.UNREACHABLE, K.BUSY, K.OUT_OF_MEMORY, K.REFUSED, K.TIMEOUT)
            world.fail(task, data.draw(st.sampled_from(kinds)))
    elif what in ("down", "up"):
        health = HostHealth.DOWN if what == "down" else HostHealth.UP
        world.check_answer(data.draw(st.sampled_from(("a", "b"))), health)
    else:
        world.pass_time(data.draw(st.sampled_from((0.5, 3, 40))))


@given(st.lists(st.tuples(st.sampled_from("xyz"), st.integers(0, 4)), min_size=1, max_size=60))
@settings(max_examples=80, deadline=None)
def test_every_start_is_the_best_task_its_host_could_have_had(
    arrivals: list[tuple[str, int]],
) -> None:
    types = {
        "general": kind("general", "a"),
        "x": kind("x", "a"),
        "y": kind("y", "a", "b"),
        "z": kind("z", "b"),
    }
    world = World((host("a", 2), host("b", 1)), types)
    for type_, priority in arrivals:
        world.submit(type_, priority)
    while world.calls:
        before = len(world.started)
        world.end(
            world.started[-1] if world.started[-1] in world.calls else next(iter(world.calls))
        )
        for task in world.started[before:]:
            row = world.rows[task]
            assert row.host is not None
            rivals = [
                r for r in world.rows.values()
                if r.state is S.QUEUED and any(c.host == row.host for c in types[r.lane.type].route)
            ]  # fmt: skip
            assert all((row.priority, row.seq) < (r.priority, r.seq) for r in rivals)


def test_a_claim_carries_the_version_it_saw() -> None:
    world = one_host()
    world.feed(
        ev.TasksQueued((Head("h", 1, 42, Lane("general"), Priority.NORMAL, START_MS),)),
        settle=False,
    )
    (claim,) = [e.claims[0] for e in world.todo if isinstance(e, fx.ClaimTasks)]
    assert claim == Claim("h", 42, world.types["general"].route[0], claim.why, "run-1")
    assert claim.why is not None
    assert claim.why.text == "a m (GPU, waiting: 1 GPU, 0 CPU): first choice"
    assert not [e for e in world.todo if isinstance(e, fx.Note)], "it is told once it is ours"


def test_a_slot_that_is_taken_again_asks_no_further_lane(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many lanes reach it: most of a large house waits for slots that are taken."""
    names = [f"k{n}" for n in range(5)]
    types = {name: kind(name, "a", "b") for name in names} | {"other": kind("other", "c")}
    world = World((host("a"), host("b"), host("c")), types)
    for name in [*names, *names]:
        world.submit(name)
    asked: list[str] = []
    ranked = order.best_first

    def counted(board: Board, state: LaneState) -> tuple[Candidate, ...]:
        asked.append(state.lane.type)
        return ranked(board, state)

    monkeypatch.setattr(order, "best_first", counted)
    step(world.board, world.ended(world.calls["t1"]), world.now)
    assert asked == ["k2"]


def test_a_task_goes_back_to_the_host_it_avoids_at_once_when_the_others_go_down() -> None:
    types = {"general": kind("general", "b", "a"), "x": kind("x", "a")}
    world = World((host("a"), host("b")), types)
    world.submit("x")  # keeps the other host busy
    task = world.submit("general")
    world.fail(task, K.ERROR)
    assert world.running_on("b") == []
    world.check_answer("a", HostHealth.DOWN)
    assert world.running_on("b") == [task]
