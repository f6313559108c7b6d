"""Words that commands, reasons and the view share: counts, and which model to pull."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.surface.view_world import AT, home, host, text
from ygg.cli.output import sick
from ygg.model import ReasonCode, SickView, because
from ygg.plain import counted, pull

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


def test_reason_status_and_view_say_which_model_to_pull() -> None:
    facts = {"model": "m:7b", "message": LACKS, "again": "asked again in 9 s"}
    assert because(ReasonCode.HOST_SICK, "surtr", **facts).text.endswith(
        f"no task is spent: {COMMAND}"
    )
    body: dict[str, Any] = {
        "name": "surtr", "endpoints": [{}],
        "sick": [{"endpoint": "ollama", "model": "m:7b", "message": LACKS, "asked_again_at": "2030-01-01T00:00:00Z"}],
    }  # fmt: skip
    assert sick(body)[0].endswith(f"no task is spent: {COMMAND}")
    body["sick"][0]["message"] = "it hangs up"
    assert sick(body)[0].endswith("ygg doctor --try")
    one = host("surtr", 1, sick=(SickView("ollama", "m:7b", LACKS, AT + 9000),))
    lines = " ".join(
        line.strip() for line in text(replace(home(), hosts=(one,)), 80, 24).splitlines()
    )
    assert COMMAND in lines
