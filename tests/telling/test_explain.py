"""Every waiting task has a reason a person understands."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.core.world import World, host, kind
from ygg.core import events as ev
from ygg.model import Counts, HostHealth, Lane, Priority, ReasonCode
from ygg.model import OutcomeKind as K
from ygg.telling.explain import explain, rivals
from ygg.telling.pacing import Plan
from ygg.telling.snapshotting import snapshot


def world_ab() -> World:
    return World(
        (host("a"), host("b")), {"general": kind("general", "a"), "x": kind("x", "a", "b")}
    )


def codes(world: World, task: str) -> list[str]:
    return [r.code for r in explain(world.board, world.rows[task], world.now)]


def test_a_task_behind_others_says_so_and_names_each_candidate() -> None:
    world = world_ab()
    for _ in range(3):
        world.submit("general")
    last = world.submit("general")
    reasons = explain(world.board, world.rows[last], world.now)
    assert [r.code for r in reasons] == [ReasonCode.BEHIND, ReasonCode.HOST_FULL]
    assert "1 of 1 slot busy" in reasons[1].text


@pytest.mark.parametrize(
    ("event", "code"),
    [
        (ev.DispatchPaused(True), ReasonCode.PAUSED),
        (ev.ShutdownAsked(), ReasonCode.DRAINING),
        (ev.HostDrained("a", True), ReasonCode.HOST_DRAINED),
    ],
)
def test_what_the_operator_did_is_the_first_reason(event: ev.Event, code: ReasonCode) -> None:
    world = world_ab()
    world.feed(event)
    assert codes(world, world.submit("general"))[0] == code


def test_a_dead_host_tells_when_it_is_tried_next() -> None:
    world = world_ab()
    world.check_answer("a", HostHealth.UNAUTHORIZED)
    task = world.submit("general")
    reason = explain(world.board, world.rows[task], world.now)[0]
    assert reason.code is ReasonCode.HOST_UNAUTHORIZED
    assert reason.until_ms == world.now.wall_ms + 1000


def test_a_pin_that_no_host_serves_is_named() -> None:
    world = world_ab()
    task = world.submit(lane=Lane("general", host="nowhere"))
    assert codes(world, task) == [ReasonCode.NO_HOST]


def test_backing_off_running_and_ended_tasks_have_reasons_too() -> None:
    world = world_ab()
    task = world.submit("general")
    assert codes(world, task) == [ReasonCode.CHOSEN]
    world.fail(task, K.ERROR, "boom")
    reason = explain(world.board, world.rows[task], world.now)[0]
    assert (reason.code, reason.until_ms) == (ReasonCode.BACKING_OFF, world.rows[task].due_ms)
    assert "boom" in reason.text
    other = world.submit("x")
    world.fail(other, K.BAD_REQUEST, "what?")
    assert codes(world, other) == [ReasonCode.BAD_REQUEST]


def test_an_ended_task_tells_its_error_and_what_its_last_attempt_took() -> None:
    world = World((host("a"),), {"general": kind("general", "a")})
    first, task = world.submit("general"), world.submit("general")
    world.pass_time(61)
    world.end(first)
    world.pass_time(5)
    world.fail(task, K.BAD_REQUEST, "what?")
    row = replace(world.rows[task], finished_ms=world.now.wall_ms)
    (reason,) = explain(world.board, row, world.now)
    assert reason.text == "what?; ran on a m for 5.0 s, waited 1 min 1 s for its slot"


def test_rivals_are_the_lanes_that_share_a_host() -> None:
    world = world_ab()
    world.feed(ev.DispatchPaused(True))
    world.submit("general")
    world.submit("x")
    assert {lane.type for lane in rivals(world.board, Lane("general"))} == {"general", "x"}
    apart = World()
    apart.feed(ev.DispatchPaused(True))
    apart.submit("code")
    apart.submit("text")
    assert {lane.type for lane in rivals(apart.board, Lane("text"))} == {"text"}


def test_the_wait_estimate_comes_from_measured_runs_only() -> None:
    world = World((host("a", 2),), {"general": kind("general", "a")})
    lane = Lane("general")
    assert Plan(world.board, world.now).wait_ms(lane, Priority.NORMAL, 0) is None
    task = world.submit("general")
    world.pass_time(4)
    world.end(task)
    assert Plan(world.board, world.now).wait_ms(lane, Priority.NORMAL, 0) == 0


def test_a_snapshot_shows_hosts_running_and_waiting_with_reasons() -> None:
    world = world_ab()
    first, second = world.submit("general"), world.submit("general", 0)
    world.pass_time(1)
    world.feed(ev.CallStarted(world.calls[first].id))
    world.pass_time(2)
    view = snapshot(
        world.board,
        world.now,
        epoch=7,
        started_ms=1,
        counts=Counts({}),
        streamed={first: 12},
    )
    a = next(h for h in view.hosts if h.name == "a")
    assert (a.running, a.free, a.limit) == ((first,), 0, 1)
    assert a.tokens_per_s == 6
    assert a.history[-2:] == (0, 1.2)
    assert [(r.task_id, r.tokens, view.at_ms - r.started_ms) for r in view.running] == [
        (first, 12, 3000)
    ]
    assert [(w.task_id, w.reason.code) for w in view.waiting] == [(second, ReasonCode.HOST_FULL)]
