"""One tuple of links answers where a task runs and why not elsewhere, and asking changes nothing."""

from __future__ import annotations

from copy import deepcopy

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core.placement.test_kinds import mixed
from tests.core.world import World, card, host, kind
from ygg.core import events as ev
from ygg.core.board import Board
from ygg.core.placement import lanes, links, order
from ygg.core.placement.ranking import rank
from ygg.core.placement.rounds import Round
from ygg.model import Endpoint, Host, HostHealth, Lane, Priority, ReasonCode
from ygg.telling.explain import explain
from ygg.telling.snapshotting import host_views


def picture(board: Board) -> dict[str, object]:
    """Everything the board holds, as values."""
    return {
        name: deepcopy(getattr(board, name)) for name in Board.__slots__ if name not in _BY_IDENTITY
    }


_BY_IDENTITY = (
    "lanes",
    "serving",
    "mixed",
    "avoiding",
)  # lane states are compared as what is written in them


def lanes_of(board: Board) -> list[tuple[object, ...]]:
    return [
        (lane, s.route, s.queued, s.best, deepcopy(s.windows), tuple(board.serving))
        for lane, s in board.lanes.items()
    ]


def two_models() -> World:
    """A server that changes models on demand, one task running, two that want another model."""
    ollama = Endpoint("main", "ollama", "http://h", ("a", "b"), sizes={"a": 6000.0, "b": 6000.0})
    types = {"a": kind("a", "h", model="a"), "b": kind("b", "h", model="b")}
    world = World((Host("h", 2, (ollama,), models=("a", "b")),), types, measured=("h",))
    world.read("h", card(75), loaded=(("main", ("a",)),))
    for name in ("a", "b", "b"):
        world.submit(name)
    return world


def test_asking_why_a_thousand_times_changes_nothing() -> None:
    for world in (two_models(), mixed(gpus=1, cpus=1)):
        for lane in (Lane("general"), Lane("nobody", host="nowhere")):
            world.submit(lane=lane)
        before, waiting = picture(world.board), lanes_of(world.board)
        world.mono += 7  # what the last step wrote down it wrote at another time
        for n in range(1000):
            for row in world.rows.values():
                explain(world.board, row, world.now)
            if n % 100 == 0:
                host_views(world.board, world.now)
        assert picture(world.board) == before
        assert lanes_of(world.board) == waiting


def test_the_candidate_that_is_chosen_is_the_first_that_every_link_passes() -> None:
    world = World((host("a"), host("b"), host("c")), {"general": kind("general", "a", "b", "c")})
    world.feed(ev.HostDrained("a", True))
    task = world.submit("general")
    assert world.rows[task].host == "b"
    (why,) = [n.reason for n in world.notes if n.task_id == task]
    assert [r.code for r in why.facts["passed"]] == [ReasonCode.HOST_DRAINED]
    assert why.text.endswith("; a is drained by the operator")


def test_the_reason_of_a_start_names_a_few_candidates_and_counts_the_rest() -> None:
    names = [f"h{n:02}" for n in range(30)]
    world = World(tuple(host(n) for n in names), {"general": kind("general", *names)})
    for name in names[:-1]:
        world.feed(ev.HostDrained(name, True))
    task = world.submit("general")
    (why,) = [n.reason for n in world.notes if n.task_id == task]
    assert (len(why.facts["passed"]), why.facts["further"]) == (links.NAMED, 29 - links.NAMED)
    assert why.text.endswith("and 25 more")


def test_why_names_fifty_candidates_and_counts_the_rest() -> None:
    names = [f"h{n:02}" for n in range(60)]
    world = World(tuple(host(n) for n in names), {"general": kind("general", *names)})
    world.feed(ev.DispatchPaused(True))
    task = world.submit("general")
    reasons = explain(world.board, world.rows[task], world.now)
    assert len(reasons) == 1 + 50 + 1
    assert reasons[-1].text == "and 10 further candidates"


def test_a_host_is_kept_for_better_ranked_tasks_that_were_not_seen_yet() -> None:
    world = World((host("a"),), {"general": kind("general", "a")})
    world.feed(ev.DispatchPaused(True))
    task = world.submit("general", priority=3)
    kept = lanes.window(world.board, Lane("general"), Priority.HIGH)
    kept.complete, kept.beyond = False, 1
    lanes._refresh(world.board, world.board.lanes[Lane("general")], Priority.HIGH)
    state = world.board.lanes[Lane("general")]
    turn = Round(world.board, world.now, Priority.LOW, rank(world.rows[task].head, world.policy))
    reason = links.first_no(turn, state, state.route[0])
    assert reason is not None
    assert reason.code is ReasonCode.UNSEEN
    urgent = Round(world.board, world.now, Priority.CRITICAL, (0, 0))
    assert links.first_no(urgent, state, state.route[0]) is None


def test_thinking_calls_away_shows_what_links_would_say_without_them() -> None:
    world = World((host("a"),), {"general": kind("general", "a")})
    world.submit("general")
    world.submit("general")
    state = world.board.lanes[Lane("general")]
    turn = Round(world.board, world.now)
    full = links.first_no(turn, state, state.route[0])
    assert full is not None
    assert full.code is ReasonCode.HOST_FULL
    assert links.first_no(turn.without(world.board.calls), state, state.route[0]) is None
    assert world.board.hosts["a"].busy == 1


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_why_says_next_exactly_where_a_round_would_place_the_task(data: st.DataObject) -> None:
    names = ("a", "b", "c")
    world = World(
        tuple(host(n, data.draw(st.integers(1, 2))) for n in names),
        {t: kind(t, *data.draw(st.permutations(names))) for t in ("x", "y")},
    )
    for _ in range(data.draw(st.integers(1, 12))):
        match data.draw(st.sampled_from(("submit", "drain", "check", "end"))):
            case "submit":
                world.submit(data.draw(st.sampled_from(("x", "y"))), data.draw(st.integers(0, 4)))
            case "drain":
                world.feed(
                    ev.HostDrained(data.draw(st.sampled_from(names)), data.draw(st.booleans()))
                )
            case "check":
                world.check_answer(
                    data.draw(st.sampled_from(names)), data.draw(st.sampled_from(HostHealth))
                )
            case "end" if world.calls:
                world.end(data.draw(st.sampled_from(sorted(world.calls))))
    for state in world.board.lanes.values():
        if state.best is None:
            continue
        turn = Round(world.board, world.now, state.best.head.priority, state.best.rank)
        asked = order.best_first(world.board, state)
        assert all(links.first_no(turn, state, c) is not None for c in asked), (
            "it would have started"
        )
