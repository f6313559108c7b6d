"""Slots are taken and given back exactly once; permits from outside hold nobody up for ever."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core.world import COMPLETED, World, host, kind
from ygg.core import effects as fx
from ygg.core import events as ev
from ygg.core.placement import permits
from ygg.model import Grant, OutcomeKind, Permit, ReasonCode
from ygg.model import State as S
from ygg.telling.explain import explain

RATE, CLAIM = Permit("rate", "m"), Permit("source", "issues")


def guarded(*needs: Permit, slots: int = 1, hosts: str = "a") -> World:
    """Hosts whose calls need these permits."""
    places = tuple(host(name, slots) for name in hosts)
    world = World(places, {"general": kind("general", *hosts)}, own=False)
    world.needs = {(name, "main"): needs for name in hosts}
    world.own()
    return world


def asked(world: World) -> list[Grant]:
    """What was asked for and is not settled, in the order of asking."""
    settled = [e.grant for e in world.permits if isinstance(e, fx.Settle)]
    return [e.grant for e in world.permits if isinstance(e, fx.Acquire) and e.grant not in settled]


def settles(world: World) -> Counter[Grant]:
    return Counter(e.grant for e in world.permits if isinstance(e, fx.Settle))


def test_a_call_starts_once_all_its_permits_are_granted_one_after_another() -> None:
    world = guarded(CLAIM, RATE)
    task = world.submit("general")
    assert [g.permit for g in asked(world)] == [CLAIM]
    assert world.board.hosts["a"].busy == 1, "its slot is taken first"
    world.feed(ev.Granted(asked(world)[0]))
    assert [g.permit for g in asked(world)] == [CLAIM, RATE]
    assert world.started == []
    world.feed(ev.Granted(asked(world)[1]))
    assert world.started == [task]
    assert settles(world) == {}


def test_the_end_of_a_call_settles_each_permit_with_what_it_used() -> None:
    world = guarded(CLAIM, RATE)
    task = world.submit("general")
    for _ in range(2):
        world.feed(ev.Granted(asked(world)[-1]))
    ended = world.ended(world.calls[task], COMPLETED)
    world.end(task)
    used = [e.used for e in world.permits if isinstance(e, fx.Settle)]
    assert used == [ended.usage, ended.usage]
    assert world.board.hosts["a"].busy == 0


def test_a_denial_gives_back_the_slot_and_what_was_granted_before_and_says_until_when() -> None:
    world = guarded(CLAIM, RATE)
    task = world.submit("general")
    world.feed(ev.Granted(asked(world)[0]))
    world.feed(ev.Denied(asked(world)[1], "800 a minute are spent", 20.0))
    assert world.board.hosts["a"].busy == 0
    assert sorted(settles(world).values()) == [1, 1]
    reason = explain(world.board, world.rows[task], world.now)[0]
    assert (reason.code, reason.until_ms) == (ReasonCode.DENIED, world.now.wall_ms + 20_000)
    assert "800 a minute are spent" in reason.text
    world.pass_time(19)
    assert asked(world) == [], "not asked again before its time"
    world.pass_time(1.2)
    assert [g.permit for g in asked(world)] == [CLAIM]


def test_a_limiter_that_never_answers_counts_as_one_that_denied() -> None:
    world = guarded(RATE)
    task = world.submit("general")
    (grant,) = asked(world)
    world.pass_time(permits.ACQUIRE_S + 0.01)
    assert settles(world) == {grant: 1}
    assert world.board.hosts["a"].busy == 0
    assert "no answer" in explain(world.board, world.rows[task], world.now)[0].text
    world.pass_time(1.1)
    (again,) = asked(world)
    assert again.call != grant.call
    world.feed(ev.Granted(again))
    assert world.started == [task]


def test_pauses_grow_while_a_limiter_does_not_answer_and_start_over_once_it_does() -> None:
    world = guarded(RATE)
    world.submit("general")
    tries = []
    for _ in range(4):
        while not asked(world):
            world.pass_time(0.5)
        tries.append(world.mono)
        world.pass_time(permits.ACQUIRE_S + 0.01)
    pauses = [b - a for a, b in pairwise(tries)]
    assert pauses == sorted(pauses)
    assert pauses[-1] > 2 * pauses[0]
    while not asked(world):
        world.pass_time(0.5)
    world.feed(ev.Granted(asked(world)[0]))
    assert world.board.denials == {}


def test_a_grant_of_a_permit_that_is_not_the_one_waited_for_starts_nothing() -> None:
    """It is a second answer to an Acquire that was answered, which nobody needs."""
    world = guarded(CLAIM, RATE)
    world.submit("general")
    first = asked(world)[0]
    for _ in range(3):
        world.feed(ev.Granted(first))
    assert [g.permit for g in asked(world)] == [CLAIM, RATE]
    assert world.started == []


def test_an_answer_that_comes_too_late_changes_nothing() -> None:
    world = guarded(RATE)
    world.submit("general")
    (grant,) = asked(world)
    world.pass_time(permits.ACQUIRE_S + 0.01)
    world.feed(ev.Granted(grant))
    world.feed(ev.Denied(grant, "late", 60.0))
    assert world.started == []
    assert settles(world) == {grant: 1}, "it was settled when it was given up"


def test_a_better_ranked_task_takes_the_slot_of_a_call_that_waits_for_a_permit() -> None:
    world = guarded(RATE)
    low = world.submit("general", priority=3)
    (first,) = asked(world)
    urgent = world.submit("general", priority=0)
    assert settles(world) == {first: 1}
    (second,) = asked(world)
    world.feed(ev.Granted(second))
    assert world.started == [urgent]
    world.end(urgent)
    world.feed(ev.Granted(asked(world)[0]))
    assert world.started == [urgent, low]


def test_a_worse_ranked_task_waits_for_a_call_that_waits_for_a_permit() -> None:
    world = guarded(RATE)
    world.submit("general", priority=1)
    low = world.submit("general", priority=3)
    assert len(asked(world)) == 1
    assert explain(world.board, world.rows[low], world.now)[0].code is ReasonCode.HOST_FULL


@pytest.mark.parametrize(
    "stop", [ev.DispatchPaused(True), ev.ShutdownAsked(), ev.HostDrained("a", True)]
)
def test_nothing_waits_for_a_permit_once_its_start_is_not_wanted(stop: ev.Event) -> None:
    world = guarded(RATE)
    task = world.submit("general")
    world.feed(stop)
    assert asked(world) == []
    assert world.board.calls == {}
    assert task in world.board.where, "it keeps its place"


def test_a_task_that_is_cancelled_while_its_call_waits_for_a_permit_is_gone_at_once() -> None:
    world = guarded(RATE)
    task = world.submit("general")
    world.rows.pop(task)
    world.feed(ev.TaskLeft(task))
    assert asked(world) == []
    assert world.board.calls == {}
    assert task not in world.board.where


def test_a_host_that_went_down_meanwhile_gets_no_call() -> None:
    world = guarded(RATE)
    task = world.submit("general")
    (grant,) = asked(world)
    world.board.hosts["a"].servers["main"].health = "down"  # type: ignore[assignment]
    world.feed(ev.Granted(grant))
    assert world.started == []
    assert settles(world) == {grant: 1}
    assert task in world.board.where


def test_a_reload_ends_the_wait_for_permits_that_are_not_needed_any_more() -> None:
    world = guarded(RATE)
    task = world.submit("general")
    world.needs = {}
    world.own()
    assert world.started == [task]
    assert sum(settles(world).values()) == 1


def _something(world: World, late: list[Grant], data: st.DataObject) -> list[Grant]:
    """One thing happens; grants that may yet be answered though nobody waits for them."""
    match data.draw(st.sampled_from(("submit", "grant", "deny", "time", "late", "end", "fail"))):
        case "submit":
            world.submit("general", priority=data.draw(st.integers(0, 4)))
        case "grant" if asked(world):
            world.feed(ev.Granted(data.draw(st.sampled_from(asked(world)))))
        case "deny" if asked(world):
            grant = data.draw(st.sampled_from(asked(world)))
            world.feed(ev.Denied(grant, "no", data.draw(st.none() | st.floats(0, 9))))
            return [grant]
        case "time":
            waiting = asked(world)
            world.pass_time(data.draw(st.floats(0.1, 3)))
            return waiting
        case "late" if late:
            world.feed(ev.Granted(data.draw(st.sampled_from(late))))
        case "end" if world.calls:
            world.end(data.draw(st.sampled_from(sorted(world.calls))))
        case "fail" if world.calls:
            world.fail(data.draw(st.sampled_from(sorted(world.calls))), OutcomeKind.WITHDRAWN)
    return []


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_whatever_limiters_do_no_slot_is_lost_and_no_task_stands_still(data: st.DataObject) -> None:
    world = guarded(CLAIM, RATE, slots=2, hosts="ab")
    late: list[Grant] = []
    for _ in range(data.draw(st.integers(3, 25))):
        late += _something(world, late, data)
    for _ in range(400):  # from here on every limiter grants and every call ends
        for _permit in (CLAIM, RATE):
            for grant in asked(world):
                world.feed(ev.Granted(grant))
        for task in list(world.calls):
            world.end(task)
        world.pass_time(1)
        if all(row.state is S.COMPLETED for row in world.rows.values()):
            break
    assert all(row.state is S.COMPLETED for row in world.rows.values())
    assert all(h.busy == 0 and not h.grants for h in world.board.hosts.values())
    acquired = {e.grant for e in world.permits if isinstance(e, fx.Acquire)}
    assert settles(world) == Counter(acquired), "each Acquire ends in exactly one Settle"


def test_a_call_that_gives_way_has_asked_before_it_settles() -> None:
    """Its first permit is granted, which ends a denial for everybody: a better task takes its slot at once."""
    world = guarded(RATE, CLAIM, hosts="ab")
    better, worse = world.submit("general", 1), world.submit("general", 3)
    first, second = asked(world)
    world.feed(ev.Denied(first, "spent", 60.0))
    world.feed(ev.HostDrained("a", True))
    assert asked(world) == [second], "the better task waits for the limiter"
    world.feed(ev.Granted(second))
    assert world.board.call_of.keys() == {better}, worse
    mine = [type(e) for e in world.permits if e.grant == Grant(second.call, CLAIM)]
    assert mine == [fx.Acquire, fx.Settle]
