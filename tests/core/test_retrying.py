"""What follows an attempt."""

from __future__ import annotations

import pytest

from tests.core.world import World, host, kind
from ygg.core import effects as fx
from ygg.core import events as ev
from ygg.core.retrying import jitter
from ygg.model import End, HostHealth, Outcome, Policy, ReasonCode
from ygg.model import OutcomeKind as K
from ygg.model import State as S


def two_hosts(**policy: object) -> World:
    return World((host("a"), host("b")), {"general": kind("general", "a", "b")}, Policy(**policy))  # type: ignore[arg-type]


def one_host(retries: int | None = None, **policy: object) -> World:
    types = {"general": kind("general", "a", retries=retries)}
    return World((host("a"),), types, Policy(**policy))  # type: ignore[arg-type]


def test_a_bad_request_fails_at_once_without_a_second_host() -> None:
    world = two_hosts()
    task = world.submit("general")
    world.fail(task, K.BAD_REQUEST, "no messages")
    assert (world.rows[task].state, world.rows[task].error) == (S.FAILED, "no messages")
    assert world.rows[task].errors == 0


def test_a_refusal_goes_to_the_next_candidate_and_fails_when_all_refused() -> None:
    world = two_hosts()
    task = world.submit("general")
    world.fail(task, K.REFUSED, "context too long")
    assert world.rows[task].host == "b"
    world.fail(task, K.REFUSED, "context too long")
    assert (world.rows[task].state, world.rows[task].reason) == (S.FAILED, "all_refused")


def test_a_refused_task_waits_for_the_candidate_that_is_down() -> None:
    world = two_hosts()
    world.check_answer("b", HostHealth.DOWN)
    task = world.submit("general")
    world.fail(task, K.REFUSED)
    assert world.rows[task].state is S.QUEUED
    assert task not in world.calls
    world.check_answer("b", HostHealth.UP)
    assert world.rows[task].host == "b"


def test_an_error_is_tried_once_at_once_elsewhere_then_backs_off() -> None:
    world = two_hosts()
    task = world.submit("general")
    world.fail(task, K.ERROR)
    assert (world.rows[task].host, world.rows[task].errors) == ("b", 1)
    world.fail(task, K.ERROR)
    row = world.rows[task]
    assert (row.state, row.reason, row.errors) == (S.SCHEDULED, "backing_off", 2)
    assert row.due_ms is not None
    wait = (row.due_ms - world.now.wall_ms) / 1000
    assert wait == pytest.approx(8 * jitter(task, 2, 0.2), abs=0.001)
    world.pass_time(10)
    assert world.rows[task].host == "a"


def test_back_off_grows_as_the_policy_says_and_the_fifth_error_ends_it() -> None:
    world = one_host()
    task = world.submit("general")
    for expected in (2, 8, 32, 120):
        world.fail(task, K.ERROR)
        due = world.rows[task].due_ms
        assert due is not None
        assert 0.8 * expected <= (due - world.now.wall_ms) / 1000 <= 1.2 * expected
        world.pass_time(expected * 1.3)
    world.fail(task, K.ERROR, "last words")
    row = world.rows[task]
    assert (row.state, row.reason, row.error) == (S.FAILED, "error_budget", "last words")


def test_jitter_stays_in_its_share_and_differs_between_tasks() -> None:
    factors = {jitter(f"t{n}", 1, 0.2) for n in range(100)}
    assert len(factors) > 90
    assert all(0.8 <= f <= 1.2 for f in factors)


def test_a_timeout_fails_unless_the_type_allows_retries() -> None:
    world = one_host()
    task = world.submit("general")
    world.fail(task, K.TIMEOUT)
    assert (world.rows[task].state, world.rows[task].reason) == (S.FAILED, "timeout")
    patient = one_host(retries=1)
    task = patient.submit("general")
    patient.fail(task, K.TIMEOUT)
    assert patient.rows[task].state is S.SCHEDULED
    patient.pass_time(5)
    patient.fail(task, K.TIMEOUT)
    assert (patient.rows[task].state, patient.rows[task].reason) == (S.FAILED, "timeout")


@pytest.mark.parametrize("outcome", sorted(set(K) - {K.COMPLETED, K.CANCELLED, K.EXPIRED}))
def test_nothing_is_tried_again_once_a_client_has_got_some_of_the_answer(outcome: K) -> None:
    world = two_hosts(interrupted="requeue")
    task = world.submit("general")
    world.end(task, Outcome(outcome, "cut", delivered=True))
    row = world.rows[task]
    error = "cut off by a shutdown after 0 s, cut" if outcome is K.INTERRUPTED else "cut"
    assert (row.state, row.reason, row.error) == (S.FAILED, "cut_short", error)
    assert (row.errors, row.deferrals, row.attempt) == (0, 0, 1)
    assert task not in world.calls


@pytest.mark.parametrize(("outcome", "state"), [(K.CANCELLED, S.CANCELLED), (K.EXPIRED, S.EXPIRED)])
def test_a_delivered_answer_that_was_stopped_ends_as_it_was_meant_to(outcome: K, state: S) -> None:
    world = one_host()
    task = world.submit("general")
    world.end(task, Outcome(outcome, delivered=True))
    assert world.rows[task].state is state


def test_a_shutdown_fails_a_task_whose_client_has_got_some_of_the_answer() -> None:
    world = one_host(interrupted="requeue")
    task = world.submit("general")
    world.feed(ev.ShutdownAsked())
    world.feed(ev.CutAsked())
    world.end(task, Outcome(K.CANCELLED, delivered=True))
    assert (world.rows[task].state, world.rows[task].reason) == (S.FAILED, "cut_short")


@pytest.mark.parametrize("outcome", [K.UNREACHABLE, K.UNAUTHORIZED])
def test_a_sick_host_is_charged_and_its_task_is_not(outcome: K) -> None:
    world = one_host()
    task = world.submit("general")
    world.fail(task, outcome, "no route to host")
    row = world.rows[task]
    assert (row.state, row.errors, row.deferrals) == (S.QUEUED, 0, 0)
    assert task not in world.calls
    world.check_answer("a", HostHealth.UP)
    assert task in world.calls


@pytest.mark.parametrize("outcome", [K.BUSY, K.OUT_OF_MEMORY])
def test_busy_is_a_deferral_that_keeps_the_retry_after(outcome: K) -> None:
    world = one_host()
    task = world.submit("general")
    world.fail(task, outcome, after=17.0)
    row = world.rows[task]
    assert (row.state, row.errors, row.deferrals) == (S.SCHEDULED, 0, 1)
    assert row.due_ms == world.now.wall_ms + 17_000


def test_deferrals_have_their_own_budget() -> None:
    world = one_host(max_deferrals=3)
    task = world.submit("general")
    for _ in range(3):
        world.pass_time(100)
        world.fail(task, K.BUSY)
    assert (world.rows[task].state, world.rows[task].reason) == (S.FAILED, "deferral_budget")


def test_out_of_memory_goes_to_the_other_candidate_at_once() -> None:
    world = two_hosts()
    task = world.submit("general")
    world.fail(task, K.OUT_OF_MEMORY)
    assert world.rows[task].host == "b"


@pytest.mark.parametrize(("policy", "state"), [("block", S.BLOCKED), ("requeue", S.QUEUED)])
def test_a_call_cut_off_by_shutdown_follows_the_policy(policy: str, state: S) -> None:
    world = one_host(interrupted=policy)
    task = world.submit("general")
    world.feed(ev.ShutdownAsked())
    world.feed(ev.CutAsked())
    assert world.cancels == [fx.Cancel(world.calls[task].id)]
    world.fail(task, K.CANCELLED)
    assert (world.rows[task].state, world.rows[task].reason) == (state, "interrupted")


@pytest.mark.parametrize(
    ("policy", "reached", "delivered", "text"),
    [
        ("block", 40, False, "cut off by a shutdown after 5 s, 40 % done; ygg retry t1"),
        ("block", None, False, "cut off by a shutdown after 5 s; ygg retry t1"),
        ("requeue", 40, False, "cut off by a shutdown after 5 s, 40 % done"),
        ("block", 40, True, "cut off by a shutdown after 5 s, 40 % done"),
    ],
)
def test_what_a_shutdown_cut_off_says_how_far_it_was_and_what_to_type(
    policy: str, reached: int | None, delivered: bool, text: str
) -> None:
    world = one_host(interrupted=policy)
    task = world.submit("general")
    world.pass_time(5)
    world.feed(ev.ShutdownAsked())
    world.feed(ev.CutAsked({} if reached is None else {task: reached}))
    world.end(task, Outcome(K.CANCELLED, delivered=delivered))
    assert world.rows[task].error == text


def test_a_deadline_that_passes_while_it_runs_expires_the_task() -> None:
    world = one_host()
    task = world.submit("general")
    world.fail(task, K.EXPIRED)
    assert world.rows[task].state is S.EXPIRED


def test_a_cancelled_call_ends_cancelled_whatever_error_arrives() -> None:
    world = one_host()
    task = world.submit("general")
    world.feed(ev.CancelAsked(task))
    world.fail(task, K.ERROR)
    assert world.rows[task].state is S.CANCELLED


def test_an_answer_that_was_whole_before_the_cancel_is_kept() -> None:
    world = one_host()
    task = world.submit("general")
    world.feed(ev.CancelAsked(task))
    world.end(task)
    assert world.rows[task].state is S.COMPLETED


def test_a_stale_end_is_counted_and_noted() -> None:
    world = one_host()
    task = world.submit("general")
    world._finish(End(task, 1, S.FAILED, ReasonCode.ERROR_BUDGET))  # the store has an end already
    world.end(task)
    assert world.board.stale_ends == 1
    assert "stale" in world.notes[-1].reason.text
