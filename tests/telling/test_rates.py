"""Rates shown to people come from what was recorded, and say nothing where nothing was."""

from __future__ import annotations

import pytest

from ygg.model import EndView, Priority, RunningView, State
from ygg.telling.rates import history, per_minute, tokens_per_s

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
    assert per_minute([], AT) is None
    assert per_minute([ended(60 * n, 60, 1) for n in (2, 1, 0)], AT) == pytest.approx(1)
    assert per_minute([ended(400, 1, 1)], AT) is None
