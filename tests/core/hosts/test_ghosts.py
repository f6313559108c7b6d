"""A call that was cut off before its first token keeps its slot until its server is done with it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.core.world import World, host, kind
from ygg.core import events as ev
from ygg.core.hosts.ghosts import ASK_S, SILENT_S
from ygg.model import Endpoint, Health, HostHealth, Outcome, Policy, ReasonCode
from ygg.model import OutcomeKind as K
from ygg.model import State as S
from ygg.telling.explain import explain
from ygg.telling.snapshotting import host_views

ABANDONED = Outcome(K.CANCELLED, abandoned=True)


def house(*, kind_: str = "gpu", slots: int = 1, policy: Policy | None = None) -> World:
    one = replace(host("a", slots), kind=kind_)
    return World((one,), {"general": kind("general", "a")}, policy)


def haunted(world: World) -> str:
    """A task that waits for the slot of a call that was cut off."""
    first, second = world.submit("general"), world.submit("general")
    world.end(first, ABANDONED)
    return second


def inside(world: World, count: int | None, *, tells: bool = True) -> None:
    world.feed(ev.InsideTold("a", "main", count, tells=tells))


def test_the_slot_is_free_when_the_server_says_so_and_not_before() -> None:
    world = house()
    second = haunted(world)
    assert second not in world.calls
    assert world.asked_inside == []
    world.pass_time(ASK_S)
    assert world.asked_inside == [("a", "main")]
    inside(world, 1)
    world.pass_time(ASK_S)
    assert second not in world.calls
    assert len(world.asked_inside) == 2
    inside(world, 0)
    assert second in world.calls
    world.pass_time(100)
    assert len(world.asked_inside) == 2, "nobody is asked without a ghost"


def test_the_core_asks_to_be_woken_when_the_server_is_to_be_asked() -> None:
    world = house()
    haunted(world)
    assert world.board.wake_at == world.mono + ASK_S


def test_one_question_at_a_time_and_none_before_its_answer() -> None:
    world = house(slots=3)
    for task in [world.submit("general") for _ in range(3)]:
        world.end(task, ABANDONED)
        world.pass_time(0.2)
    world.pass_time(60)
    assert world.asked_inside == [("a", "main")]


@pytest.mark.parametrize("count", [None, 1, 7])
def test_after_the_bound_it_is_free_whatever_the_server_says(count: int | None) -> None:
    world = house(policy=Policy(ghost_s=20.0))
    second = haunted(world)
    for _ in range(10):
        world.pass_time(1.9)
        inside(world, count)
    assert second not in world.calls
    world.pass_time(1.1)
    assert second in world.calls


@pytest.mark.parametrize("kind_", ["gpu", "cpu"])
def test_a_server_that_has_no_word_for_it_is_believed_to_be_done_soon(kind_: str) -> None:
    world = house(kind_=kind_)
    second = haunted(world)
    world.pass_time(ASK_S)
    inside(world, None, tells=False)
    world.pass_time(SILENT_S[kind_] - ASK_S - 0.1)
    assert second not in world.calls
    world.pass_time(0.2)
    assert second in world.calls
    assert world.asked_inside == [("a", "main")]


@pytest.mark.parametrize(
    "outcome",
    [
        Outcome(K.CANCELLED),
        Outcome(K.ERROR, "HTTP 500"),
        Outcome(K.BUSY, "HTTP 503", 0.0),
        Outcome(K.REFUSED, "too long"),
    ],
)
def test_what_the_server_itself_ended_leaves_nothing_behind(outcome: Outcome) -> None:
    world = house(slots=2)
    world.end(world.submit("general"), outcome)
    assert not world.board.hosts["a"].servers["main"].ghosts


@pytest.mark.parametrize("kind_", [K.CANCELLED, K.EXPIRED, K.ERROR, K.TIMEOUT, K.WITHDRAWN])
def test_whoever_cut_it_off_the_call_is_a_ghost(kind_: K) -> None:
    world = house(slots=2)
    world.end(world.submit("general"), Outcome(kind_, "cut", abandoned=True))
    assert len(world.board.hosts["a"].servers["main"].ghosts) == 1


def test_a_call_that_has_begun_to_answer_frees_its_slot_at_once() -> None:
    world = house()
    first, second = world.submit("general"), world.submit("general")
    world.feed(ev.CallStarted(world.calls[first].id))
    world.end(first, ABANDONED)
    assert second in world.calls


def test_calls_that_answer_are_no_ghosts_and_those_that_do_not_yet_may_be() -> None:
    world = house(slots=4)
    cut, answering, silent = (world.submit("general") for _ in range(3))
    world.feed(ev.CallStarted(world.calls[answering].id))
    world.end(cut, ABANDONED)
    world.pass_time(ASK_S)
    inside(world, 2)  # the one that answers, and one of the others
    assert world.board.hosts["a"].busy == 3
    world.feed(ev.CallStarted(world.calls[silent].id))
    inside(world, 2)
    assert world.board.hosts["a"].busy == 2


def test_the_oldest_of_several_leave_first() -> None:
    world = house(slots=3)
    for task in [world.submit("general") for _ in range(3)]:
        world.end(task, ABANDONED)
        world.pass_time(0.1)
    inside(world, 1)
    (ghost,) = world.board.hosts["a"].servers["main"].ghosts.values()
    assert ghost.since == pytest.approx(world.mono - 0.1)


def test_it_is_told_why_the_slot_waits_and_until_when_at_most() -> None:
    world = house(policy=Policy(ghost_s=20.0))
    second = haunted(world)
    reason = explain(world.board, world.rows[second], world.now)[0]
    assert reason.code is ReasonCode.GHOST
    assert "cut off before the first token has not left the server yet" in reason.text
    assert reason.until_ms == world.now.wall_ms + 20_000
    assert [n.reason.code for n in world.notes if n.reason.code is ReasonCode.GHOST]
    (view,) = host_views(world.board, world.now)
    assert (view.ghosts, view.free, view.running) == (1, 0, ())


def test_a_host_whose_calls_fill_it_is_full_and_not_haunted() -> None:
    world = house(slots=2)
    cut = world.submit("general")
    tasks = [world.submit("general") for _ in range(3)]
    world.end(cut, ABANDONED)
    inside(world, 0)
    reason = explain(world.board, world.rows[tasks[-1]], world.now)[0]
    assert reason.code is ReasonCode.HOST_FULL


def test_a_person_who_resumes_the_host_frees_its_slots() -> None:
    world = house()
    second = haunted(world)
    world.feed(ev.HostDrained("a", False))
    assert second in world.calls


def test_a_new_configuration_keeps_ghosts_and_forgets_those_of_a_server_that_changed() -> None:
    world = house(slots=2)
    world.end(world.submit("general"), ABANDONED)
    world.own()
    assert world.board.hosts["a"].busy == 1
    other = Endpoint("main", "ollama", "http://b:11434", ("m",))
    world.hosts = (replace(world.hosts[0], endpoints=(other,)),)
    world.own()
    assert world.board.hosts["a"].busy == 0
    inside(world, 0)


def test_a_host_that_is_down_and_comes_back_keeps_them_until_it_tells() -> None:
    world = house()
    second = haunted(world)
    world.check_answer("a", HostHealth.DOWN)
    world.pass_time(1)
    world.feed(ev.HostChecked("a", "main", Health(HostHealth.UP)))
    assert second not in world.calls
    inside(world, 0)
    assert world.rows[second].state is S.PROCESSING
