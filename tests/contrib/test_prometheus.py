"""A real Prometheus scrapes a real daemon, evaluates the rules and answers what the dashboard asks."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.contrib import RULES, named, samples
from tests.contrib.test_dashboard import BOARD, expressions
from tests.surface.test_tcp import free_port
from tests.system.rig import daemon, hosts_yaml, sim_servers, until

pytestmark = pytest.mark.skipif(
    not shutil.which("prometheus"), reason="no prometheus here: apt install prometheus"
)
SLOTS = {"surtr": 2}
TASKS = 20
#: What stands in the panels for what a person chooses, and for Grafana's own word.
CHOSEN = {"$instance": ".*", "$host": ".*", "$__rate_interval": "1m"}
#: Panels that are empty in a house of one host without a card in which all is well.
EMPTY = {
    "Empty in A", "Throttled A", "Temperature A", "Memory in use A", "Memory A", "Utilization A", "Power A", "Degrees left A",
    "Age of the newest reading A", "Readings that failed A", "Models loaded A", "Attempts tried again A", "Fail A",
}  # fmt: skip


class Prometheus:
    def __init__(self, port: int) -> None:
        self.http = httpx.Client(base_url=f"http://127.0.0.1:{port}/api/v1")

    def ask(self, path: str, **query: str) -> Any:
        answer = self.http.get(path, params=query)
        assert answer.status_code == 200, f"{query}: {answer.text}"
        return answer.json()["data"]

    def query(self, text: str) -> list[Any]:
        return list(self.ask("/query", query=text)["result"])

    def rules(self) -> list[Any]:
        return [rule for group in self.ask("/rules")["groups"] for rule in group["rules"]]

    def ready(self) -> bool:
        """Whether it has scraped some times. While it starts it answers nothing, or 503."""
        try:
            begun = self.http.get("/status/runtimeinfo").status_code == httpx.codes.OK
        except httpx.TransportError:
            return False
        return begun and bool(self.query("count_over_time(up[1m]) > 3"))


def configured(folder: Path, scraped: int) -> Path:
    """scrape.yml as it lies there, with this daemon's address and a faster clock."""
    config = yaml.safe_load(RULES.with_name("scrape.yml").read_text())
    config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    config["rule_files"] = [str(RULES.with_name(name)) for name in config["rule_files"]]
    config["scrape_configs"][0]["static_configs"] = [{"targets": [f"127.0.0.1:{scraped}"]}]
    path = folder / "prometheus.yml"
    path.write_text(yaml.safe_dump(config))
    return path


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """After some scrapes of a daemon that has done some work."""
    folder, metrics, port = tmp_path_factory.mktemp("prometheus"), free_port(), free_port()
    with sim_servers(folder, 0.02, SLOTS) as urls:
        config = hosts_yaml(folder / "hosts.yaml", urls, SLOTS, f"metrics: {{listen: '127.0.0.1:{metrics}'}}\n")  # fmt: skip
        with daemon(folder, config) as target, closing(target.remote()) as desk:
            with (folder / "prometheus.out").open("wb") as out:
                process = subprocess.Popen(
                    ["prometheus", f"--config.file={configured(folder, metrics)}", f"--storage.tsdb.path={folder / 'tsdb'}",
                     f"--web.listen-address=127.0.0.1:{port}"], stdout=out, stderr=out,
                )  # fmt: skip
            prometheus = Prometheus(port)
            try:
                until(prometheus.ready, 60, "it has scraped")
                for task in desk.submit([{"prompt": "hello"} for _ in range(TASKS)]):
                    assert desk.wait(task["id"], 30)["state"] == "completed"
                until(lambda: prometheus.query(f"sum(ygg_tasks_total) == {TASKS}"), 30)
                until(lambda: prometheus.query("sum(rate(ygg_tasks_total[1m]))"), 30)
                yield prometheus
            finally:
                prometheus.http.close()
                process.terminate()
                process.wait(20)


def test_the_daemon_is_scraped_without_a_complaint(found: Prometheus) -> None:
    (target,) = found.ask("/targets")["activeTargets"]
    assert (target["health"], target["lastError"]) == ("up", "")


def test_every_rule_is_evaluated_and_none_fires_while_all_is_well(found: Prometheus) -> None:
    until(lambda: all(rule["health"] != "unknown" for rule in found.rules()))
    rules = found.rules()
    assert len(rules) == len(yaml.safe_load(RULES.read_text())["groups"][0]["rules"])
    assert {rule["name"]: rule.get("lastError") for rule in rules if rule["health"] != "ok"} == {}
    firing = {rule["name"] for rule in rules if rule["state"] == "firing"}
    assert firing == set()


def test_every_name_of_a_rule_or_panel_was_scraped(found: Prometheus) -> None:
    """With or without samples: a family is announced all the same."""
    told = {one["metric"] for one in found.ask("/targets/metadata")}
    asked = {name for text in (RULES.read_text(), *expressions().values()) for name in named(text)}
    missing = {name for name in asked if not {name, samples()[name]} & told}
    assert len(asked) > 25
    assert missing == set()


def test_every_panel_gets_an_answer(found: Prometheus) -> None:
    empty = {title for title, text in expressions().items() if not found.query(_filled(text))}
    assert empty <= EMPTY


def test_the_variables_offer_what_there_is(found: Prometheus) -> None:
    offered = {v["name"]: _offered(found, v["definition"]) for v in BOARD["templating"]["list"][1:]}
    assert offered["host"] == ["surtr"]
    assert len(offered["instance"]) == 1


def _offered(found: Prometheus, definition: str) -> list[str]:
    asked = re.fullmatch(r"label_values\((.+), (\w+)\)", definition)
    assert asked is not None
    return list(found.ask(f"/label/{asked[2]}/values", **{"match[]": _filled(asked[1])}))


def _filled(text: str) -> str:
    for word, value in CHOSEN.items():
        text = text.replace(word, value)
    assert "$" not in text, text
    return text
