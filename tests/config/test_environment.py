"""Settings that the environment says: in force where hosts.yaml does not say them, and told either way."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.surface.cli import Cli
from tests.surface.conftest import offline as offline
from tests.test_config import GOOD
from ygg import config
from ygg.errors import ConfigError


def loaded(folder: Path, env: dict[str, str], policies: str = "") -> config.Config:
    path = folder / "hosts.yaml"
    path.write_text(f"{GOOD}{policies}")
    return config.load(path, env)


@pytest.mark.parametrize(
    ("name", "text", "field", "value"),
    [
        ("MAX_QUEUE_SIZE", "500", "capacity", 500),
        ("DEFAULT_TASK_TIMEOUT_S", "90", "api_timeout_s", 90.0),
        ("DEFAULT_TASK_TIMEOUT_S", "1.5", "api_timeout_s", 1.5),
        ("RESULT_TTL_SECONDS", "600", "read_retention_s", 600.0),
        ("RESULT_TTL_SECONDS", "10m", "read_retention_s", 600.0),
        ("YGG_INTERRUPTED", "requeue", "interrupted", "requeue"),
    ],
)
def test_a_variable_sets_what_the_file_does_not_say(
    tmp_path: Path, name: str, text: str, field: str, value: Any
) -> None:
    found = loaded(tmp_path, {name: text})
    assert getattr(found.policy, field) == value
    (said,) = found.environment
    assert (said.name, said.value, said.used) == (name, value, True)


def test_the_file_wins_and_what_was_passed_over_is_shown(tmp_path: Path) -> None:
    env = {"MAX_QUEUE_SIZE": "500", "RESULT_TTL_SECONDS": "60"}
    found = loaded(tmp_path, env, "policies: {capacity: 2000}\n")
    assert (found.policy.capacity, found.policy.read_retention_s) == (2000, 60.0)
    shown = config.describe(found)["environment"]
    assert shown["MAX_QUEUE_SIZE"] == {
        "sets": "policies.capacity", "value": 500, "used": False, "why": "hosts.yaml says 2000",
    }  # fmt: skip
    assert shown["RESULT_TTL_SECONDS"]["used"] is True


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("MAX_QUEUE_SIZE", "many"),
        ("MAX_QUEUE_SIZE", "0"),
        ("MAX_QUEUE_SIZE", "10000001"),
        ("MAX_QUEUE_SIZE", "-1"),
        ("DEFAULT_TASK_TIMEOUT_S", "0"),
        ("DEFAULT_TASK_TIMEOUT_S", "soon"),
        ("RESULT_TTL_SECONDS", "-5"),
        ("YGG_INTERRUPTED", "drop"),
        ("ALLOW_INSECURE_DEV", "perhaps"),
        ("PRIORITY_WEIGHTS", "0,10,20"),
        ("PRIORITY_WEIGHTS", "{}"),
        ("PRIORITY_WEIGHTS", '{"HIGH": "x"}'),
        ("PRIORITY_WEIGHTS", '{"URGENT": 1}'),
    ],
)
def test_a_wrong_value_names_its_variable(tmp_path: Path, name: str, text: str) -> None:
    with pytest.raises(ConfigError, match=rf"^\${name}: expected .*, got "):
        loaded(tmp_path, {name: text})


def test_one_without_a_value_says_nothing(tmp_path: Path) -> None:
    assert loaded(tmp_path, {"MAX_QUEUE_SIZE": ""}).environment == ()


def test_weights_may_say_the_order_there_is_and_no_other(tmp_path: Path) -> None:
    weights = '{"CRITICAL": 0, "HIGH": 10, "NORMAL": 20, "LOW": 30}'
    (said,) = loaded(tmp_path, {"PRIORITY_WEIGHTS": weights}).environment
    assert said.used
    for other in ('{"CRITICAL": 30, "LOW": 0}', '{"HIGH": 10, "NORMAL": 10}'):
        with pytest.raises(ConfigError, match="another order than CRITICAL, HIGH, NORMAL, LOW"):
            loaded(tmp_path, {"PRIORITY_WEIGHTS": other})


def test_what_does_nothing_is_told_by_the_check(
    offline: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAX_BATCH_SIZE", "8")
    ran = offline("config", "check")
    assert ran.code == 0
    assert "$MAX_BATCH_SIZE: each call carries one task: it has no effect" in ran.err
    assert offline("config", "check", "--json").json["notes"] == [
        "$MAX_BATCH_SIZE: each call carries one task: it has no effect"
    ]
