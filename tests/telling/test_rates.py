"""Rates shown to people come from what was recorded, and say nothing where nothing was."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ygg.model import EndView, Lane, Operation, Priority, RunningView, State, Task
from ygg.telling.rates import (
    completed_share,
    ends_of,
    history,
    lengths,
    per_minute,
    progress,
    tokens_per_s,
    took_ms,
)

AT = 1_800_000_000_000


def ended(ago_s: float, took_s: float, tokens: int | None, host: str = "a") -> EndView:
    at = AT - round(ago_s * 1000)
    return EndView("t", at, State.COMPLETED, "completed", host, round(took_s * 1000), 0, tokens)


def running(tokens: int, first_ago_s: float | None, host: str = "a") -> RunningView:
    first = None if first_ago_s is None else AT - round(first_ago_s * 1000)
    return RunningView(
        "t", 1, "x", "", Priority.LOW, host, "m", "ollama", AT - 60_000, 60, tokens, None, first
    )


def test_tokens_count_evenly_over_the_time_they_took() -> None:
    row = history([ended(20, 20, 200)], (), AT)["a"]
    assert row == (0, 0, 0, 0, 0, 0, 0, 0, 10, 10, 0, 0)


def test_a_running_call_counts_up_to_now() -> None:
    assert history([], [running(150, 15)], AT)["a"][-2:] == (5, 10)


def test_what_is_older_than_two_minutes_is_left_out_and_hosts_are_apart() -> None:
    recent = [ended(121, 5, 999), ended(115, 10, 100, "b")]
    found = history(recent, (), AT)
    assert found.keys() == {"b"}
    assert sum(found["b"]) * 10 == pytest.approx(50)  # the other half was before


def test_a_host_streams_as_fast_as_its_calls_together() -> None:
    calls = [running(100, 10), running(40, 10), running(7, None), running(99, 9, "b")]
    assert tokens_per_s("a", calls, AT) == 14
    assert tokens_per_s("c", calls, AT) is None


def test_completed_tasks_per_minute_need_a_completed_task() -> None:
    assert per_minute([], [], AT) is None
    assert per_minute([], [running(10, 5)], AT) is None
    assert per_minute([ended(60 * n, 60, 1) for n in (2, 1, 0)], [], AT) == pytest.approx(1)


def test_time_in_which_nothing_ran_is_no_part_of_the_rate() -> None:
    busy = [ended(ago, 6, 1) for ago in (3018, 3012, 3006, 18, 12, 6)]
    assert per_minute(busy, [], AT) == per_minute(busy, [], AT + 3_600_000) == pytest.approx(10)


def test_calls_side_by_side_are_the_same_work() -> None:
    assert per_minute([ended(n / 10, 6, 1) for n in (2, 1, 0)], [], AT) == pytest.approx(29, abs=1)


def test_what_runs_now_is_work_that_has_brought_nothing_yet() -> None:
    assert per_minute([ended(60, 30, 1)], [running(0, None)], AT) == pytest.approx(60 / 90)


def test_the_newest_five_minutes_of_work_count() -> None:
    slow = [ended(400 + 100 * n, 100, 1) for n in range(9, -1, -1)]
    fast = [ended(10 * n, 10, 1) for n in range(39, -1, -1)]
    assert per_minute([*slow, *fast], [], AT) == pytest.approx(6)


def test_what_was_recorded_is_the_ends_of_earlier_runs_in_their_order() -> None:
    def task(name: str, started_ms: int | None, finished_ms: int | None) -> Task:
        times = {"created_ms": AT - 9000, "queued_ms": AT - 9000}
        state = State.CANCELLED if started_ms is None else State.COMPLETED
        return Task(
            name, 1, 1, Lane("chat"), Priority.LOW, state, Operation.CHAT, {}, host="a", reason=str(state),
            started_ms=started_ms, finished_ms=finished_ms, **times,
        )  # fmt: skip

    found = ends_of(
        [task("late", AT - 3000, AT - 1000), task("early", AT - 8000, AT - 6000), task("never", None, AT - 4000)]
    )  # fmt: skip
    assert [(e.task_id, e.took_ms, e.wait_ms, e.type) for e in found] == [
        ("early", 2000, 1000, "chat"), ("never", None, None, "chat"), ("late", 2000, 6000, "chat"),
    ]  # fmt: skip


def test_an_answer_is_measured_against_what_nine_of_ten_get() -> None:
    recent = [ended(0, 1, n) for n in range(1, 11)]
    assert lengths(recent) == {"": 9}
    assert lengths(recent[:4]) == {}
    assert lengths([ended(0, 1, 500), *[ended(0, 1, 10)] * 50]) == {"": 10}, "the newest count"


@pytest.mark.parametrize(
    ("most", "usual", "percent"),
    [(100, None, 30), (None, 60, 50), (100, 60, 50), (60, 100, 50), (None, 20, 99), (None, None, None)],
)  # fmt: skip
def test_progress_is_of_the_smaller_limit_and_99_at_most(
    most: int | None, usual: int | None, percent: int | None
) -> None:
    assert progress(30, most, usual) == percent


def test_percentiles_are_of_what_completed_in_the_last_quarter_of_an_hour() -> None:
    shares = (0.50, 0.95, 0.99)
    assert took_ms([], shares, AT) is None
    assert took_ms([ended(1, 3, 1)], shares, AT) == [3000, 3000, 3000]
    recent = [ended(901, 999, 1), *(ended(899, n, 1) for n in range(1, 101))]
    assert took_ms(recent, shares, AT) == [50_000, 95_000, 99_000]
    failed = replace(ended(1, 500, 1), state=State.FAILED)
    assert took_ms([*recent, failed, replace(failed, took_ms=None)], shares, AT) == [50_000, 95_000, 99_000]  # fmt: skip


def test_the_share_that_completed_is_of_the_ends_that_count() -> None:
    done = ended(1, 1, 1)
    states = (State.FAILED, State.CANCELLED, State.QUEUED, State.EXPIRED)
    assert completed_share([]) is None
    assert completed_share([replace(done, state=State.CANCELLED)]) is None
    assert completed_share([done, done, *(replace(done, state=s) for s in states)]) == 0.5
