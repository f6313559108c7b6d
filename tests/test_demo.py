"""The demo judges itself from what the servers recorded, and the judge can say no."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ygg.model import State
from ygg.sim.audit import ALL_ALONG, Ack, Visit, bound_s, freed, inversions
from ygg.sim.demo import demo
from ygg.sim.house import Options


def test_the_example_tasks_end_as_planned() -> None:
    report = asyncio.run(demo(Options(as_json=True, latency_ms=100)))
    assert report.states == {State.COMPLETED: 23, State.CANCELLED: 1}
    assert report.retried == 1
    assert report.ok
    assert report.peak_in_flight == report.slots


@pytest.mark.timeout(200)
def test_two_thousand_tasks_violate_no_gate_and_invert_no_priority() -> None:
    report = asyncio.run(demo(Options(as_json=True, tasks=2000, latency_ms=5, seed=3)))
    assert report.states == {State.COMPLETED: 2000}
    assert (report.gate_violations, report.priority_inversions) == (0, 0)


@pytest.mark.soak
def test_ten_thousand_tasks_violate_no_gate_and_invert_no_priority() -> None:
    for seed in range(3):
        report = asyncio.run(demo(Options(as_json=True, tasks=10_000, latency_ms=5, seed=seed)))
        assert report.states == {State.COMPLETED: 10_000}
        assert (report.gate_violations, report.priority_inversions) == (0, 0)


def test_json_is_the_only_thing_on_stdout() -> None:
    command = [sys.executable, "-m", "ygg", "demo", "--json", "--tasks", "30", "--latency", "20"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    body = json.loads(done.stdout)
    assert list(body) == [
        "tasks", "completed", "failed", "cancelled", "makespan_s", "bound_s", "slots",
        "peak_in_flight", "gate_violations", "priority_inversions",
    ]  # fmt: skip
    assert (body["tasks"], body["completed"]) == (30, 30)
    assert done.stderr == ""


def ack(name: str, priority: int, at: float, *hosts: str) -> Ack:
    return Ack(name, (priority, int(at * 1000)), frozenset(hosts or ("a",)), at)


def worse(freed: float = 1.5, at: float = 2.0) -> Visit:
    return Visit("w", "a", at, freed)


def test_a_slot_that_a_worse_task_gets_while_a_better_one_waits_on_is_an_inversion() -> None:
    acks = [ack("b", 0, 1.0), ack("w", 3, 1.0)]
    visits = [worse(), Visit("b", "a", 3.0, 2.9)]
    assert [(v.task_id, o.task_id) for v, o in inversions(acks, visits)] == [("w", "b")]


def test_of_another_caller_only_a_better_priority_is_better() -> None:
    visits = [worse(), Visit("b", "a", 3.0, 2.9)]
    for priority, passed in ((3, []), (2, ["w"])):
        other = replace(ack("b", priority, 0.5), caller="other")
        found = inversions([other, ack("w", 3, 1.0)], visits)
        assert [v.task_id for v, _ in found] == passed


BETTER = ack("b", 0, 1.0)


@pytest.mark.parametrize(
    ("better", "visits"),
    [
        (ack("b", 0, 1.6), [worse(), Visit("b", "a", 3.0, 2.9)]),
        (ack("b", 0, 1.0, "b"), [worse(), Visit("b", "b", 3.0, 2.9)]),
        (BETTER, [worse()]),
        (BETTER, [Visit("b", "a", 2.0, 1.5), worse(2.05, 2.1)]),
        (BETTER, [worse(), Visit("b", "a", 2.01, 1.9)]),
        (BETTER, [worse(ALL_ALONG), Visit("b", "a", 3.0, 2.9)]),
    ],
    ids=[
        "acknowledged after the slot came free", "not for that host", "never arrived", "in order",
        "both had their slots at once", "the first calls of all",
    ],
)  # fmt: skip
def test_what_is_no_inversion(better: Ack, visits: list[Visit]) -> None:
    assert inversions([better, ack("w", 3, 1.0)], visits) == []


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 50), st.integers(0, 50)), max_size=25))
def test_the_sweep_finds_exactly_the_arrivals_that_the_definition_names(
    tasks: list[tuple[int, int, int]],
) -> None:
    acks = [Ack(str(n), (p, n), frozenset("a"), at / 100) for n, (p, at, _) in enumerate(tasks)]
    arrivals = sorted(((at + wait) / 100 + n * 1e-6, n) for n, (_, at, wait) in enumerate(tasks))
    ends = [at + 0.1 for at, _ in arrivals]
    slots = freed(2, [at for at, _ in arrivals], ends)
    visits = [Visit(str(n), "a", at, slot) for (at, n), slot in zip(arrivals, slots, strict=True)]
    arrived = {v.task_id: v for v in visits}
    ranks = {a.task_id: a.rank for a in acks}
    expected = {
        v.task_id
        for v in visits
        for a in acks
        if a.at <= v.freed
        and a.rank < ranks[v.task_id]
        and min(arrived[a.task_id].at, arrived[a.task_id].freed) > v.at
    }
    assert {v.task_id for v, _ in inversions(acks, visits)} == expected


def test_a_slot_is_that_of_the_call_that_ended_first_and_none_that_its_server_still_has_to_free() -> (
    None
):
    assert freed(2, [0.0, 0.1, 1.0, 1.1, 2.0], [0.9, 1.05, 2.1]) == [
        ALL_ALONG, ALL_ALONG, 0.9, 1.05, ALL_ALONG,
    ]  # fmt: skip


def test_the_bound_is_that_of_the_busiest_host() -> None:
    assert bound_s(["a"] * 5 + ["b"] * 9, {"a": 2, "b": 3}, 0.2) == pytest.approx(0.6)
