"""The dashboard of contrib/grafana: it provisions as it is, and asks for nothing that a page does not have."""

from __future__ import annotations

import json
import re
from itertools import combinations
from typing import Any

import yaml

from tests.contrib import CONTRIB, named, samples, unknown_labels

BOARD: dict[str, Any] = json.loads((CONTRIB / "grafana" / "ygg.json").read_text())
PANELS = [panel for panel in BOARD["panels"] if panel["type"] != "row"]
ROWS = [panel["title"] for panel in BOARD["panels"] if panel["type"] == "row"]
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
WIDE = 24  #: columns of Grafana's grid


def expressions() -> dict[str, str]:
    """What the panels ask, by title and letter."""
    return {f"{p['title']} {t['refId']}": t["expr"] for p in PANELS for t in p["targets"]}


def test_it_provisions_without_a_question() -> None:
    assert (BOARD["uid"], BOARD["schemaVersion"], BOARD["refresh"]) == ("ygg", 39, "10s")
    assert "__inputs" not in BOARD
    assert "id" not in BOARD, "an id is of one Grafana"
    (provider,) = yaml.safe_load((CONTRIB / "grafana" / "provisioning.yml").read_text())["providers"]  # fmt: skip
    assert provider["type"] == "file"


def test_every_panel_asks_the_prometheus_that_was_chosen() -> None:
    first, *others = BOARD["templating"]["list"]
    assert (first["name"], first["type"], first["query"]) == ("datasource", "datasource", "prometheus")  # fmt: skip
    asking = [*others, *PANELS, *(target for panel in PANELS for target in panel["targets"])]
    assert [one for one in asking if one["datasource"] != SOURCE] == []


def test_the_rows_are_those_of_the_house_and_no_panel_lies_on_another() -> None:
    assert ROWS == ["Queue", "Hosts", "GPUs", "Tasks and latency", "Tokens", "Telemetry and the daemon"]  # fmt: skip
    ids = [panel["id"] for panel in BOARD["panels"]]
    assert len(ids) == len(set(ids))
    for one, other in combinations([panel["gridPos"] for panel in BOARD["panels"]], 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        assert beside or one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
    assert all(p["gridPos"]["x"] + p["gridPos"]["w"] <= WIDE for p in PANELS)


def test_the_panels_ask_for_what_a_page_has() -> None:
    for title, asked in expressions().items():
        assert named(asked), title
        assert named(asked) <= samples().keys(), title
        assert unknown_labels(asked) == [], title
    for variable in BOARD["templating"]["list"][1:]:
        assert named(variable["query"]["query"]) <= samples().keys()


def test_a_legend_names_labels_that_its_answer_has() -> None:
    for panel in PANELS:
        assert panel["description"]
        for target in panel["targets"]:
            summed = re.search(r"by \(([^)]*)\)", target["expr"])
            for label in re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]):
                assert summed is None or label in summed[1], panel["title"]
