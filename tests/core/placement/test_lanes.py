"""Windows: how far the dispatcher looks ahead, and what it counts beyond."""

from __future__ import annotations

from dataclasses import replace

from tests.core.world import START_MS, World, host, kind
from ygg.core import effects as fx
from ygg.core import events as ev
from ygg.core.placement import lanes
from ygg.model import Head, Lane, Priority
from ygg.model import State as S

GENERAL = Lane("general")


def deep(count: int, slots: int = 1) -> World:
    world = World((host("a", slots),), {"general": kind("general", "a")})
    world.feed(ev.DispatchPaused(True))
    for _ in range(count):
        world.submit("general")
    return world


def test_a_window_holds_two_rounds_of_the_slots_its_lane_reaches_and_64_at_most() -> None:
    sizes = {slots: deep(1, slots).board.lanes[GENERAL].window_size for slots in (1, 8, 20, 4000)}
    assert sizes == {1: 16, 8: 16, 20: 40, 4000: 64}


def test_a_window_is_refilled_at_half() -> None:
    world = deep(300, 20)
    world.board.lanes[GENERAL].windows[Priority.NORMAL].complete = False
    world.feed(ev.DispatchPaused(False), settle=False)
    size = world.board.lanes[GENERAL].window_size
    peeks = [e for e in world.todo if isinstance(e, fx.Peek)]
    assert [p.limit for p in peeks] in ([], [size])
    world.settle()
    while world.calls:
        world.end(next(iter(world.calls)))
    assert world.started == sorted(world.started, key=lambda t: int(t[1:]))
    assert len(world.started) == 300


def test_heads_stand_by_rank_then_by_number() -> None:
    world = deep(0)
    heads = [
        Head(f"h{n}", n, 1, GENERAL, Priority.NORMAL, START_MS, rank=rank)
        for n, rank in ((1, 30), (2, 10), (3, 20), (4, 10))
    ]
    world.feed(ev.TasksQueued(tuple(heads)))
    window = world.board.lanes[GENERAL].windows[Priority.NORMAL]
    assert [h.id for h in window.heads] == ["h2", "h4", "h3", "h1"]


def test_heads_of_several_lanes_that_come_together_are_all_looked_at() -> None:
    world = deep(0)
    given = [(Lane(kind), priority) for kind in ("general", "x") for priority in (2, 3)]
    heads = [Head(f"h{n}", n, 1, lane, Priority(p), START_MS) for n, (lane, p) in enumerate(given)]
    world.feed(ev.TasksQueued(tuple(heads)), settle=False)
    assert {lane.type: world.board.lanes[lane].queued for lane, _ in given} == {
        "general": 2,
        "x": 2,
    }


def test_what_the_store_shows_by_rank_is_taken_over_by_rank() -> None:
    world = deep(0)
    window = lanes.window(world.board, GENERAL, Priority.NORMAL)
    window.complete, window.peeking, window.beyond = False, True, 9
    late = Head("late", 1, 1, GENERAL, Priority.NORMAL, START_MS, rank=99)
    shown = tuple(
        Head(f"s{n}", 50 - n, 1, GENERAL, Priority.NORMAL, START_MS, rank=n) for n in (1, 2)
    )
    world.feed(ev.TasksQueued((late,)))
    world.feed(ev.HeadsSeen(GENERAL, Priority.NORMAL, shown, False))
    assert [h.id for h in window.heads] == ["s1", "s2"], (
        "the store holds others before the late one"
    )


def test_a_lane_without_tasks_is_forgotten_and_comes_back_with_its_next_task() -> None:
    world = deep(1)
    world.feed(ev.DispatchPaused(False))
    world.end("t1")
    world.pass_time(3)
    assert world.board.lanes == {}
    assert not any(world.board.serving.values())
    task = world.submit("general")
    assert world.rows[task].state is S.PROCESSING


def test_a_reload_routes_every_lane_anew() -> None:
    world = deep(3)
    world.types = {"general": kind("general", "b")}
    world.hosts = (host("b", 2),)
    world.own()
    world.feed(ev.DispatchPaused(False))
    assert sorted(world.running_on("b")) == ["t1", "t2"]


def test_ageing_that_is_set_by_a_reload_ranks_the_waiting_tasks_anew() -> None:
    world = deep(1)
    world.submit("general", priority=0)
    world.policy = replace(world.policy, ageing_s=3600.0)
    world.own()
    state = world.board.lanes[GENERAL]
    assert state.best is not None
    assert state.best.rank[0] > START_MS / 2, "by time now, not by priority alone"
