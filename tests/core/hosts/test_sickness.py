"""What shows that a model works on a server, and what does not."""

from __future__ import annotations

from dataclasses import replace

from tests.core.placement.test_canaries import OVER, K, S, one
from tests.core.world import World
from ygg.core.hosts import sickness
from ygg.core.house import Server
from ygg.model import Now, Policy, ReasonCode
from ygg.telling.explain import explain


def at(seconds: float) -> Now:
    return Now(1000.0 + seconds, 0)


def test_where_nothing_has_worked_every_error_is_in_doubt() -> None:
    assert sickness.doubtful(Server(), "m", "t1", at(0))


def test_a_model_that_has_just_worked_is_not_doubted_for_one_task() -> None:
    server = Server()
    sickness.worked(server, "m", at(0))
    assert not sickness.doubtful(server, "m", "t1", at(60))
    assert not sickness.doubtful(server, "m", "t1", at(60)), "the same task again"
    assert sickness.doubtful(server, "m", "t2", at(60)), "another one too"
    assert sickness.doubtful(server, "n", "t1", at(0)), "another model"


def test_a_success_is_no_proof_for_ever() -> None:
    server = Server()
    sickness.worked(server, "m", at(0))
    assert sickness.doubtful(server, "m", "t1", at(61))


def test_news_are_told_once_and_a_success_ends_all_doubt() -> None:
    server, policy = Server(), Policy()
    assert sickness.failed(server, "m", "", policy, at(0))
    assert not sickness.failed(server, "m", "boom", policy, at(1))
    assert sickness.sick(server)["m"].sick == "boom"
    assert sickness.worked(server, "m", at(2))
    assert not sickness.worked(server, "m", at(3))
    assert not sickness.sick(server)
    assert not sickness.doubtful(server, "m", "t1", at(4))


# --- tasks that fail together ----------------------------------------------------------------------------


def together(world: World, count: int, type_: str = "m") -> list[str]:
    """So many tasks, which run and fail at once."""
    tasks = [world.submit(type_) for _ in range(count)]
    for task in tasks:
        world.fail(task, K.ERROR)
    return tasks


def crashes(world: World, poison: str, seconds: float = 3000) -> int:
    """Let every call end: all at once with an error when the poison is among them, well otherwise. How many ran at
    the same time at most."""
    until, most = world.mono + seconds, 0
    while world.mono < until and not {row.state for row in world.rows.values()} <= OVER:
        most = max(most, len(world.calls))
        dies = poison in world.calls
        for task in list(world.calls):
            world.fail(task, K.ERROR) if dies else world.end(task)
        world.pass_time(1)
    return most


def test_of_tasks_that_fail_together_only_the_poison_pays_more_than_once() -> None:
    world = one(4, jitter=0.0)
    tasks = [world.submit("m") for _ in range(4)]
    poison = tasks[1]
    crashes(world, poison)
    ends = {t: (world.rows[t].state, world.rows[t].errors) for t in tasks}
    assert ends.pop(poison) == (S.FAILED, 5)
    assert set(ends.values()) == {(S.COMPLETED, 1)}
    assert world.board.apart == {}


def test_a_task_that_failed_along_with_others_waits_while_one_of_those_runs_there() -> None:
    world = one(3, backoff_s=(1.0,), jitter=0.0)
    tasks = together(world, 3)
    world.pass_time(1)
    (runs,) = world.calls
    waits = next(t for t in tasks if t != runs)
    reason = explain(world.board, world.rows[waits], world.now)[0]
    assert reason.code is ReasonCode.APART
    assert reason.text.endswith("which are tried again a few at a time: 1 on a now")
    assert world.submit("n") in world.calls, "the slots beside it are everybody's"
    world.end(runs)
    assert waits in world.calls


def test_tasks_that_a_sick_server_gave_back_together_are_tried_one_by_one() -> None:
    world = one(3)
    world.silent = True
    together(world, 3)
    world.sick = {"a"}
    world.verdict()
    world.settle()
    world.sick, world.silent = set(), False
    world.pass_time(5)
    assert len(world.calls) == 1


def test_tasks_that_fail_one_after_the_other_run_side_by_side_again() -> None:
    world = one(3, backoff_s=(5.0,), jitter=0.0)
    tasks = [world.submit("m") for _ in range(3)]
    for task in tasks:
        world.fail(task, K.ERROR)
        world.pass_time(1.5)
    world.pass_time(10)
    assert set(world.calls) == set(tasks)


def test_of_many_that_fail_together_a_share_is_tried_at_a_time_and_ever_fewer_pay() -> None:
    world = one(64, jitter=0.0)
    tasks = together(world, 64)
    poison = tasks.pop(20)
    assert crashes(world, poison) == 16
    errors = [world.rows[t].errors for t in tasks]
    assert {world.rows[t].state for t in tasks} == {S.COMPLETED}
    assert world.rows[poison].state is S.FAILED
    assert sum(n > 1 for n in errors) <= 15
    assert sum(n > 2 for n in errors) <= 3


def test_where_two_groups_meet_the_smaller_says_how_many_run() -> None:
    world = one(40, backoff_s=(60.0,), jitter=0.0)
    few = together(world, 3)
    world.pass_time(2)
    many = together(world, 40, "n")
    world.pass_time(58.5)
    assert [task in world.calls for task in few] == [True, False, False], "not a share of all 43"
    world.pass_time(2)
    assert not world.calls.keys() & {*many}, "none of the many beside one of the few"
    for task in few:
        world.end(task)
    assert len(world.calls.keys() & {*many}) == 10


def test_who_has_ended_elsewhere_is_remembered_no_longer() -> None:
    world = one(2)
    world.silent = True
    for task in together(world, 2):
        world.rows[task] = replace(world.rows[task], attempt=2)
    world.verdict()
    world.settle()
    assert (world.board.apart, world.board.suspected) == ({}, {})
