"""Words that commands, reasons and the view share: counts, and which model to pull."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.surface.view_world import AT, home, host, text
from ygg.model import ReasonCode, SickView, because
from ygg.model.reasons import pull
from ygg.plain import counted, percent, span, tenths
from ygg.telling.troubles import troubles

LACKS = "model 'm:7b' not found, try pulling it first"
COMMAND = "ygg models pull m:7b --host surtr"


@pytest.mark.parametrize(
    ("count", "said"),
    [(0, "0 tasks"), (1, "1 task"), (2, "2 tasks"), (12345, "12,345 tasks"), ("?", "? tasks")],
)
def test_one_is_told_in_the_singular(count: object, said: str) -> None:
    assert counted(count, "task") == said


def test_the_command_is_given_for_a_model_that_is_not_there_alone() -> None:
    assert pull("surtr", "m:7b", LACKS) == COMMAND
    assert pull("surtr", "m:7b", "model 'other' not found") == ""
    assert pull("surtr", "m:7b", "model 'm:7b' needs more memory") == ""
    assert pull("surtr", "", "not found") == ""
    assert pull("surtr", "m", "model 'm:7b' not found") == "", "not that one"


def test_reasons_and_all_who_show_hosts_say_which_model_to_pull() -> None:
    facts = {"model": "m:7b", "message": LACKS, "again": "asked again in 9 s"}
    assert because(ReasonCode.HOST_SICK, "surtr", **facts).text.endswith(f"is spent: {COMMAND}")
    one = host("surtr", 1, sick=(SickView("ollama", "m:7b", LACKS, AT + 9000),))
    assert troubles(one, AT)[0].endswith(f"asked again in 9 s, no task is spent: {COMMAND}")
    lines = " ".join(
        line.strip() for line in text(replace(home(), hosts=(one,)), 80, 24).splitlines()
    )
    assert COMMAND in lines


def test_a_span_is_told_in_its_largest_unit() -> None:
    assert [span(s) for s in (-3, 0.2, 59, 60, 3599, 3600, 200_000)] == [
        "1 s", "1 s", "59 s", "1 min", "59 min", "1 h", "2 d",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("used", "total", "said"), [(94.99, 100, 94), (95, 100, 95), (0, 8, 0), (8192, 8192, 100)]
)
def test_a_share_is_not_told_to_have_reached_what_it_has_not(
    used: float, total: float, said: int
) -> None:
    assert percent(used, total) == said


@pytest.mark.parametrize(("share", "said"), [(69.96, 69.9), (70.0, 70.0), (0.0, 0.0)])
def test_nor_to_a_tenth(share: float, said: float) -> None:
    assert tenths(share) == said
