"""The alerts of contrib/prometheus: each fires in its trouble and in nothing else, over a simulated day and in the unit tests beside it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.contrib import RULES, named, samples, unknown_labels
from tests.contrib.story import BESIDE, FIRES, MINUTES, MORNING, Fires, lived, series
from tests.surface.cli_doc import commands

needs_promtool = pytest.mark.skipif(
    not shutil.which("promtool"), reason="no promtool here: apt install prometheus"
)
ALERTS = {rule["alert"]: rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]}  # fmt: skip
SEVERITIES = {"critical", "warning", "info"}


def promtool(*words: object) -> str:
    """What it says of what it finds good."""
    done = subprocess.run(["promtool", *map(str, words)], capture_output=True, text=True, check=False)  # fmt: skip
    assert done.returncode == 0, (done.stdout + done.stderr)[:4000]
    return done.stdout


# --- each by itself -------------------------------------------------------------------------------


def test_the_alerts_ask_for_what_a_page_has() -> None:
    for name, rule in ALERTS.items():
        assert named(rule["expr"]) <= samples().keys(), name
        assert unknown_labels(rule["expr"]) == [], name
    assert len({metric for rule in ALERTS.values() for metric in named(rule["expr"])}) > 10


def test_an_alert_waits_and_says_where_and_what_to_do() -> None:
    known = {name for name, _ in commands()}
    for name, rule in ALERTS.items():
        told = rule["annotations"]
        assert rule["labels"]["severity"] in SEVERITIES, name
        assert int(rule["for"].removesuffix("m")) >= 1, name
        assert "$labels." in told["summary"], f"{name} does not say where"
        asked = re.findall(r"\bygg ([a-z]+(?: [a-z]+)?)", told["description"])
        assert asked, f"{name} does not say what to do"
        for words in asked:
            assert words in known or words.split()[0] in known, f"{name}: ygg {words}"


@needs_promtool
def test_promtool_takes_the_rules_and_the_scrape_with_them() -> None:
    assert f"{len(ALERTS)} rules found" in promtool("check", "rules", RULES)
    assert "valid prometheus config" in promtool("check", "config", RULES.with_name("scrape.yml"))


@needs_promtool
def test_the_unit_tests_beside_the_rules_pass() -> None:
    assert "SUCCESS" in promtool("test", "rules", RULES.with_name("ygg.rules.test.yml"))


def test_the_unit_tests_know_each_alert_firing_and_calm() -> None:
    cases = yaml.safe_load(RULES.with_name("ygg.rules.test.yml").read_text())["tests"]
    checks = [check for case in cases for check in case["alert_rule_test"]]
    fire = {check["alertname"] for check in checks if check.get("exp_alerts")}
    calm = {check["alertname"] for check in checks if not check.get("exp_alerts")}
    assert fire == calm == ALERTS.keys()


# --- over a day -----------------------------------------------------------------------------------


def expected(alert: str, minute: int) -> list[dict[str, Any]] | None:
    """The samples of ALERTS; None where it is left open."""
    mine = [fires for fires in FIRES if fires.alert == alert]
    if any(_beside(fires, minute) for fires in mine):
        return None
    firing = (fires for fires in mine if fires.first <= minute <= fires.last)
    return [{"labels": _labels(fires), "value": 1} for fires in firing]


def _labels(fires: Fires) -> str:
    labels = {"alertname": fires.alert} | ({"host": fires.where} if fires.where else {})
    return "{" + ",".join(f'{name}="{value}"' for name, value in labels.items()) + "}"


def _beside(fires: Fires, minute: int) -> bool:
    return 0 < fires.first - minute <= BESIDE or 0 < minute - fires.last <= BESIDE


def checks(minutes: int) -> list[dict[str, Any]]:
    """Of each alert at each minute: where it fires."""
    found = [
        (alert, minute, expected(alert, minute)) for alert in ALERTS for minute in range(minutes)
    ]
    return [
        {"expr": f'group by (alertname, host) (ALERTS{{alertname="{alert}",alertstate="firing"}})',
         "eval_time": f"{minute}m", "exp_samples": samples}
        for alert, minute, samples in found if samples is not None
    ]  # fmt: skip


def day(folder: Path, minutes: int) -> str:
    """The test of a day as promtool reads it, and what it says."""
    names = frozenset(named(RULES.read_text()))
    case = {"interval": "1m", "input_series": series(lived(minutes, names)), "promql_expr_test": checks(minutes)}  # fmt: skip
    path = folder / "day.test.yml"
    path.write_text(json.dumps({"rule_files": [str(RULES)], "evaluation_interval": "1m", "tests": [case]}))  # fmt: skip
    return promtool("test", "rules", path)


def table(minutes: int) -> str:
    rows = (f"{f.first // 60:02}:{f.first % 60:02}-{f.last // 60:02}:{f.last % 60:02}  {f.alert} {f.where}" for f in FIRES if f.first < minutes)  # fmt: skip
    return "\n".join(rows)


@needs_promtool
def test_a_simulated_morning_fires_what_its_trouble_is_for_and_nothing_else(tmp_path: Path) -> None:
    assert "SUCCESS" in day(tmp_path, MORNING)
    print(table(MORNING))


@needs_promtool
@pytest.mark.soak
def test_a_simulated_day_fires_every_alert_in_its_trouble_and_nothing_else(tmp_path: Path) -> None:
    assert {fires.alert for fires in FIRES} == ALERTS.keys()
    assert "SUCCESS" in day(tmp_path, MINUTES)
    print(table(MINUTES))
