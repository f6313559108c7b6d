"""The advice on slots: each threshold from both sides, and what keeps a rule from speaking."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ygg.model import MinuteRow
from ygg.telling.tuning import Advice, Verdict, advise, measure

AT = 1_800_000_000_000
CALM = MinuteRow(
    "surtr", AT, 12, 2, 2, 1.5, 0, 3, 5_000, 20_000, 4000.0, 8192.0, 0.5, 60.0, 70.0
)  # fmt: skip
Fields = dict[str, object]
LATE: Fields = {"wait_max_ms": 60_100}
IDLE: Fields = {"waiting": 4, "utilization": 49.0}


def minutes(count: int, **fields: object) -> list[MinuteRow]:
    return [replace(CALM, minute_ms=AT + n * 60_000, **fields) for n in range(count)]  # type: ignore[arg-type]


def advice(*rows: list[MinuteRow], slots: int = 2) -> Advice:
    return advise("surtr", slots, [r for part in rows for r in part])


@pytest.mark.parametrize(
    ("fields", "verdict", "to"),
    [
        ({}, Verdict.FINE, None),
        ({"used_share": 0.9}, Verdict.FINE, None),
        ({"used_share": 0.901}, Verdict.FEWER, 1),
        ({"used_share": 0.95, **LATE}, Verdict.FEWER, 1),
        ({"wait_max_ms": 60_000}, Verdict.FINE, None),
        (LATE, Verdict.MORE, 3),
        ({**LATE, "used_share": 0.85}, Verdict.MORE, 3),
        ({**LATE, "used_share": 0.851}, Verdict.FINE, None),
        ({**LATE, "used_share": None}, Verdict.UNKNOWN, None),
        (IDLE, Verdict.MORE, 3),
        ({**IDLE, "utilization": 50.0}, Verdict.FINE, None),
        ({**IDLE, "waiting": 0}, Verdict.FINE, None),
        ({**IDLE, "utilization": None}, Verdict.FINE, None),
        ({**IDLE, "used_share": 0.86}, Verdict.FINE, None),
        ({**LATE, **IDLE, "limit": 1}, Verdict.FINE, None),
        ({"used_share": 0.95, "limit": 1}, Verdict.FEWER, 1),
        ({"used_share": None, "utilization": None}, Verdict.FINE, None),
    ],
)
def test_each_rule_from_both_sides_of_its_threshold(
    fields: Fields, verdict: Verdict, to: int | None
) -> None:
    found = advice(minutes(40, **fields))
    assert (found.verdict, found.to) == (verdict, to), found.text


@pytest.mark.parametrize("fields", [{"used_share": 0.95}, LATE])
@pytest.mark.parametrize(("bad", "speaks"), [(10, False), (11, True)])
def test_a_rule_speaks_from_more_than_a_tenth_of_the_minutes_on(
    fields: Fields, bad: int, speaks: bool
) -> None:
    found = advice(minutes(100 - bad), minutes(bad, **fields))
    assert (found.verdict is not Verdict.FINE) == speaks, found.figures


def test_use_is_a_mean_over_the_minutes_in_which_tasks_waited() -> None:
    queued = minutes(10, waiting=1, utilization=40.0), minutes(10, waiting=1, utilization=58.0)
    found = advice(minutes(30, utilization=95.0), *queued)
    assert (found.verdict, found.figures.waiting_utilization_percent) == (Verdict.MORE, 49.0)
    assert found.text == "the GPU was 49 % busy while tasks waited, and memory is free"


@pytest.mark.parametrize(
    "rows",
    [
        [minutes(29, **LATE)],
        [minutes(29, **LATE), minutes(100, running=0.0, started=0, **LATE)],
        [minutes(29, **LATE), minutes(100, slots=1, **LATE)],
        [],
    ],
    ids=["few", "idle", "of-other-slots", "none"],
)
def test_too_little_history_is_said_with_what_is_needed(rows: list[list[MinuteRow]]) -> None:
    found = advice(*rows)
    assert (found.verdict, found.to) == (Verdict.UNKNOWN, None)
    assert found.text.startswith(f"not enough history yet: {29 if rows else 0} of 30 minutes")
    assert ("since it has 2 slots" in found.text) == bool(found.figures.other_minutes)


def test_thirty_minutes_are_enough() -> None:
    assert advice(minutes(30, **LATE)).verdict is Verdict.MORE


def test_a_few_readings_or_starts_decide_nothing() -> None:
    silent = {"used_share": None, "utilization": None}
    few = advice(minutes(60, **silent), minutes(9, used_share=0.99))
    assert (few.verdict, few.figures.memory_percent) == (Verdict.FINE, None)
    assert advice(minutes(60, started=0), minutes(9, **LATE)).verdict is Verdict.FINE
    assert advice(minutes(60), minutes(9, **IDLE)).verdict is Verdict.FINE


def test_one_slot_is_the_least() -> None:
    found = advice(minutes(40, slots=1, limit=1, used_share=0.97), slots=1)
    assert (found.verdict, found.to) == (Verdict.FEWER, None)
    assert "a smaller model" in found.text


def test_a_lowered_limit_is_not_the_slots_fault() -> None:
    held = advice(minutes(20, limit=1, **LATE), minutes(20))
    assert held.verdict is Verdict.FINE
    assert held.text.startswith("its limit was below 2 in 50 % of the minutes")
    assert advice(minutes(19, limit=1), minutes(21)).text.startswith("memory, waits and use")


def test_more_slots_for_a_gpu_that_is_busy_come_with_a_doubt() -> None:
    assert advice(minutes(40, **LATE, waiting=2, utilization=84.0)).text.endswith("memory is free")
    found = advice(minutes(40, **LATE, waiting=2, utilization=96.0))
    assert found.verdict is Verdict.MORE
    assert "the GPU is 96 % busy already" in found.text


def test_both_wishes_are_told() -> None:
    assert advice(minutes(40, **LATE, **IDLE)).text == (
        "tasks waited longer than 1 min and the GPU was 49 % busy while tasks waited,"
        " and memory is free"
    )


def test_the_figures_are_those_of_the_minutes_with_work_at_these_slots() -> None:
    rows = [
        *minutes(40),
        *minutes(10, wait_ms=20_000, wait_max_ms=45_000, used_share=0.625, started=6, running=2.0),
        *minutes(7, slots=3, used_share=0.99),
        *minutes(5, running=0.0, started=0, used_share=0.99),
    ]
    found = measure(2, rows)
    assert (found.minutes, found.other_minutes, found.started) == (50, 7, 180)
    assert (found.first_ms, found.last_ms) == (AT, AT + 39 * 60_000)
    assert (found.memory_percent, found.memory_max_percent) == (62.5, 62.5)
    assert (found.wait_s, found.wait_max_s, found.wait_mean_s) == (45.0, 45.0, 10.0)
    assert (found.running, found.utilization_percent) == (1.6, 70.0)
    assert (found.waiting_minutes, found.waiting_utilization_percent) == (0, None)
    assert found.limited_percent == 0.0


def test_no_minutes_no_figures() -> None:
    found = measure(2, [])
    assert (found.minutes, found.first_ms, found.running, found.memory_max_percent) == (
        0,
        None,
        None,
        None,
    )
    assert (found.wait_mean_s, found.limited_percent) == (None, None)
