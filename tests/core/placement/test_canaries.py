"""Whose fault an error is: sick servers cost no task anything, and bad tasks pay for themselves."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core.world import COMPLETED, World, card, host, kind
from tests.sizes import examples
from ygg.core import events as ev
from ygg.core.placement.canaries import MOST
from ygg.core.placement.requests import canary
from ygg.model import (
    Candidate,
    HostHealth,
    Operation,
    OutcomeKind,
    Policy,
    ReasonCode,
    TaskType,
)
from ygg.model import State as S
from ygg.telling.explain import explain

K = OutcomeKind
OVER = {S.COMPLETED, S.FAILED, S.CANCELLED, S.BLOCKED}


def one(slots: int = 1, **policy: object) -> World:
    """Host `a` with models m and n, and types of their names."""
    models = ("m", "n", "o")
    types = {m: kind(m, "a", model=m) for m in models}
    found = World(
        (host("a", slots, models),),
        {**types, "general": types["m"]},
        Policy(**policy),  # type: ignore[arg-type]
    )
    found.check_answer("a", HostHealth.UP)
    return found


def run(world: World, *, bad: tuple[str, ...] = (), seconds: float = 600) -> None:
    """Let every call end: with an error on a sick host and for a bad task, well otherwise."""
    until = world.mono + seconds
    while world.mono < until:
        for task in list(world.calls):
            sick = world.calls[task].candidate.host in world.sick or task in bad
            world.fail(task, K.ERROR) if sick else world.end(task)
        if not (world.board.where or world.calls) and world.board.next_due_ms is None:
            return
        world.pass_time(1)


def test_a_sick_server_costs_no_task_anything_however_long_it_lasts() -> None:
    world = one(2)
    world.sick = {"a"}
    tasks = [world.submit("m") for _ in range(20)]
    run(world)
    assert {world.rows[t].state for t in tasks} == {S.QUEUED}
    assert {world.rows[t].errors for t in tasks} == {0}
    assert sum(world.rows[t].attempt for t in tasks) <= 2, "one try for each slot"
    world.sick = set()
    run(world)
    assert {world.rows[t].state for t in tasks} == {S.COMPLETED}


def test_it_is_asked_again_after_1_2_4_up_to_60_seconds() -> None:
    world = one()
    world.sick = {"a"}
    at: list[float] = []
    task = world.submit("m")
    world.fail(task, K.ERROR)
    begun = world.mono
    for _ in range(200):
        seen = len(world.canaries)
        world.pass_time(1)
        at += [world.mono - begun] * (len(world.canaries) - seen)
    assert at == [1, 3, 7, 15, 31, 63, 123, 183]
    reason = explain(world.board, world.rows[task], world.now)[0]
    assert reason.code is ReasonCode.HOST_SICK
    assert reason.text == "a: m is sick: boom; asked again in 43 s, no task is spent"


def test_an_error_of_a_task_on_a_server_that_works_is_its_own() -> None:
    world = one(backoff_s=(1.0,))
    bad = world.submit("m")
    run(world, bad=(bad,))
    assert (world.rows[bad].state, world.rows[bad].errors) == (S.FAILED, 5)
    assert world.rows[bad].attempt == 5
    assert world.board.suspected == {}


def test_poison_of_the_best_rank_fails_and_good_work_beside_it_goes_on() -> None:
    world = one()
    poison = [world.submit("m", 1) for _ in range(30)]
    good = [world.submit("m", 3) for _ in range(10)]
    run(world, bad=tuple(poison), seconds=3000)
    assert {world.rows[t].state for t in poison} == {S.FAILED}
    assert {world.rows[t].state for t in good} == {S.COMPLETED}


def test_a_type_that_fails_everywhere_pays_for_itself() -> None:
    world = World(
        (host("a"), host("b")), {"x": kind("x", "a", "b"), "general": kind("general", "a")}
    )
    bad = [world.submit("x") for _ in range(4)]
    run(world, bad=tuple(bad), seconds=3000)
    assert {world.rows[t].state for t in bad} == {S.FAILED}


def test_one_bad_model_of_two_costs_its_tasks_nothing_and_the_other_goes_on() -> None:
    world = one()
    world.silent = True
    ill, well = [world.submit("m") for _ in range(5)], [world.submit("n") for _ in range(5)]
    for _ in range(100):
        for task in list(world.calls):
            world.fail(task, K.ERROR) if task in ill else world.end(task)
        while world.answered < len(world.canaries):
            world.sick = {"a"} if world.canaries[world.answered].candidate.model == "m" else set()
            world.verdict()
            world.settle()
        world.pass_time(1)
    assert {world.rows[t].state for t in well} == {S.COMPLETED}
    assert {(world.rows[t].state, world.rows[t].errors) for t in ill} == {(S.QUEUED, 0)}


def test_a_crash_with_all_slots_busy_is_asked_about_once_and_nobody_pays() -> None:
    world = one(3)
    world.silent = True
    tasks = [world.submit("m") for _ in range(3)]
    for task in tasks:
        world.fail(task, K.ERROR, "connection closed")
    assert len(world.canaries) == 1
    world.sick = {"a"}  # it is starting again
    world.verdict()
    world.settle()
    world.sick, world.silent = set(), False
    run(world)
    assert {(world.rows[t].state, world.rows[t].errors) for t in tasks} == {(S.COMPLETED, 0)}


def test_a_good_health_check_cures_nothing() -> None:
    world = one()
    world.sick = {"a"}
    task = world.submit("m")
    world.fail(task, K.ERROR)
    for _ in range(20):
        world.check_answer("a", HostHealth.UP)
        world.pass_time(1)
    assert world.calls == {}
    assert world.rows[task].attempt == 1


def test_two_sick_models_are_a_sick_server_but_for_a_model_that_has_just_worked() -> None:
    world = one(3)
    proven = world.submit("o")
    world.end(proven)
    world.sick = {"a"}
    for model in "mn":
        world.fail(world.submit(model), K.ERROR)
    assert world.submit("o") in world.calls
    world.pass_time(61)
    late = world.submit("o")
    assert late not in world.calls
    text = explain(world.board, world.rows[late], world.now)[0].text
    assert "a: m is sick" in text


def test_tasks_with_another_host_go_there_at_once() -> None:
    both = kind("x", "a", "b")
    world = World((host("a"), host("b", 5)), {"x": both, "general": both})
    world.sick = {"a"}
    first = world.submit("x")
    world.fail(first, K.ERROR)
    following = [world.submit("x") for _ in range(3)]
    assert {world.calls[t].candidate.host for t in (first, *following)} == {"b"}
    assert world.rows[first].errors == 0


def test_several_tasks_that_fail_after_a_success_are_in_doubt_again() -> None:
    world = one(2)
    world.end(world.submit("m"))
    world.sick = {"a"}
    tasks = [world.submit("m") for _ in range(6)]
    run(world, seconds=55)
    assert sum(world.rows[t].errors for t in tasks) == 1, "the first alone is taken for a bad one"
    assert {world.rows[t].state for t in tasks} <= {S.QUEUED, S.SCHEDULED}


def test_a_canary_takes_a_slot_like_any_other_call() -> None:
    world = one(2)
    world.silent = True
    first, second, third = (world.submit("m") for _ in range(3))
    world.fail(first, K.ERROR)
    assert len(world.canaries) == 1
    assert world.board.hosts["a"].busy == 2
    assert third not in world.calls
    assert second in world.calls
    world.sick = {"a"}
    world.verdict()
    world.settle()
    fourth = world.submit("n")
    assert fourth in world.calls
    world.pass_time(30)
    assert len(world.canaries) == 1, "no slot is free for another"
    world.end(fourth)
    world.pass_time(1)
    assert len(world.canaries) == 2


@pytest.mark.parametrize("shut", ["hot", "drained", "paused"])
def test_where_nothing_may_start_no_canary_does(shut: str) -> None:
    world = one(2)
    world.measured = {"a": True}
    world.own()
    world.read("a", card())
    running, other = world.submit("m"), world.submit("m")
    if shut == "hot":
        world.read("a", card(celsius=95))
    if shut == "drained":
        world.feed(ev.HostDrained("a", True))
    if shut == "paused":
        world.feed(ev.DispatchPaused(True))
    world.fail(running, K.ERROR)
    assert world.canaries == []
    assert (world.rows[running].state, world.rows[running].errors) == (S.QUEUED, 0)
    assert other in world.calls


def test_a_canary_of_a_hot_host_waits_until_it_has_cooled() -> None:
    world = one()
    world.measured = {"a": True}
    world.own()
    world.read("a", card())
    world.sick = {"a"}
    world.fail(world.submit("m"), K.ERROR)
    for _ in range(100):
        world.read("a", card(celsius=95))
        world.pass_time(1)
    assert len(world.canaries) == 1


def test_a_suspect_that_is_cancelled_ends_at_once() -> None:
    world = one()
    world.silent = True
    task = world.submit("m")
    world.fail(task, K.ERROR)
    assert world.rows[task].state is S.PROCESSING
    assert "being asked now" in explain(world.board, world.rows[task], world.now)[0].text
    world.feed(ev.CancelAsked(task))
    assert world.rows[task].state is S.CANCELLED
    world.verdict()
    world.settle()
    assert world.board.hosts["a"].busy == 0


def test_a_suspect_keeps_its_place_when_the_daemon_stops() -> None:
    world = one()
    world.silent = True
    task = world.submit("m")
    world.fail(task, K.ERROR)
    world.feed(ev.ShutdownAsked())
    world.feed(ev.CutAsked())
    assert (world.rows[task].state, world.rows[task].errors) == (S.QUEUED, 0)
    assert [c.call for c in world.cancels] == [world.canaries[0].id]


def test_the_store_s_rows_of_suspects_are_no_strays() -> None:
    world = one()
    world.silent = True
    task = world.submit("m")
    world.fail(task, K.ERROR)
    world.pass_time(10)
    assert world.rows[task].state is S.PROCESSING


def test_a_task_that_always_takes_its_server_down_is_poison_in_the_end() -> None:
    world = one()
    world.silent = True
    task = world.submit("m")
    for n in range(MOST):
        assert task in world.calls, n
        world.fail(task, K.ERROR)
        world.sick = {"a"}  # it has fallen, and is back a while later
        world.verdict()
        world.settle()
        world.sick = set()
        while world.answered == len(world.canaries) and world.rows[task].state is S.QUEUED:
            world.pass_time(1)
        if world.answered < len(world.canaries):
            world.verdict()
            world.settle()
        world.pass_time(61)
    assert (world.rows[task].state, world.rows[task].reason) == (S.BLOCKED, ReasonCode.POISON)
    assert world.board.suspected == {}


def test_a_person_who_resumes_the_host_has_it_asked_at_once() -> None:
    world = one()
    world.sick = {"a"}
    task = world.submit("m")
    world.fail(task, K.ERROR)
    world.pass_time(40)
    world.sick = set()
    seen = len(world.canaries)
    world.feed(ev.HostDrained("a", False))
    assert len(world.canaries) == seen + 1
    assert task in world.calls


def test_nobody_asks_a_sick_model_that_no_task_waits_for() -> None:
    world = one()
    world.sick = {"a"}
    task = world.submit("m")
    world.fail(task, K.ERROR)
    world.rows.pop(task)
    world.feed(ev.TaskLeft(task))
    seen = len(world.canaries)
    world.pass_time(600)
    assert len(world.canaries) == seen


@pytest.mark.parametrize("outcome", [K.BAD_REQUEST, K.REFUSED])
def test_a_server_that_refuses_the_canary_in_words_works(outcome: OutcomeKind) -> None:
    """Such as a model that only makes vectors."""
    world = one()
    world.silent = True
    task = world.submit("m")
    world.fail(task, K.ERROR)
    world.feed(World.ended(world.canaries[0], replace(COMPLETED, kind=outcome)))
    assert world.rows[task].errors == 1


@pytest.mark.parametrize("outcome", [K.UNREACHABLE, K.UNAUTHORIZED, K.BUSY, K.OUT_OF_MEMORY])
def test_what_the_gate_knows_how_to_treat_makes_no_model_sick(outcome: OutcomeKind) -> None:
    world = one()
    world.silent = True
    task = world.submit("m")
    world.fail(task, K.ERROR)
    world.feed(World.ended(world.canaries[0], replace(COMPLETED, kind=outcome, message="x")))
    assert (world.rows[task].state, world.rows[task].errors) == (S.QUEUED, 0)
    assert explain(world.board, world.rows[task], world.now)[0].code is not ReasonCode.HOST_SICK


def test_a_canary_asks_for_what_failed_with_the_options_of_its_model() -> None:
    world = one()
    world.types["m"] = TaskType(
        "m", (Candidate("a", "main", "m"),), options={"num_ctx": 8192, "seed": 1}
    )
    world.own()
    world.fail(world.submit("m"), K.ERROR)
    assert world.canaries[0].attempt.request == {
        "messages": [{"role": "user", "content": "Say OK."}],
        "max_tokens": 1,
        "options": {"num_ctx": 8192},
    }


def test_a_canary_to_a_server_that_listens_is_a_recording_of_nothing() -> None:
    world = one()
    call = canary(world.board, "c", Candidate("a", "main", "m"), Operation.TRANSCRIBE)
    assert call.attempt.request == {"options": {}, "max_tokens": 1}
    assert call.attempt.task.operation is Operation.TRANSCRIBE


@given(st.data())
@settings(max_examples=examples(30, 500), deadline=None)
def test_no_order_of_sickness_loses_a_task_or_passes_a_gate(data: st.DataObject) -> None:
    both = kind("x", "a", "b")
    world = World((host("a", 2), host("b", 1)), {"x": both, "general": both})
    world.silent = True
    for _ in range(data.draw(st.integers(1, 40))):
        thing = data.draw(
            st.sampled_from(("submit", "end", "fail", "verdict", "sick", "time", "drain", "cancel"))
        )
        running = sorted(world.calls)
        match thing:
            case "submit":
                world.submit("x", data.draw(st.integers(0, 4)))
            case "end" | "fail" if running:
                task = data.draw(st.sampled_from(running))
                world.end(task) if thing == "end" else world.fail(task, K.ERROR)
            case "verdict" if world.answered < len(world.canaries):
                world.verdict()
                world.settle()
            case "sick":
                world.sick = data.draw(st.sets(st.sampled_from("ab")))
            case "drain":
                world.feed(ev.HostDrained("a", data.draw(st.booleans())))
            case "cancel" if world.board.suspects:
                world.feed(ev.CancelAsked(min(world.board.suspects)))
            case _:
                world.pass_time(data.draw(st.sampled_from((0.5, 5.0, 70.0))))
    world.sick = set()
    world.feed(ev.HostDrained("a", False))
    for _ in range(3000):
        if world.answered < len(world.canaries):
            world.verdict()
            world.settle()
        for task in list(world.calls):
            world.end(task)
        world.pass_time(10)
        out = world.answered < len(world.canaries)
        if not out and {row.state for row in world.rows.values()} <= OVER:
            break
    assert {row.state for row in world.rows.values()} <= OVER
    assert world.board.suspects == {}
    assert {h.busy for h in world.board.hosts.values()} == {0}
