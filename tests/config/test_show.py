"""What is shown of a configuration: settings, differences, schema, documentation."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ygg import config
from ygg.config.__main__ import page
from ygg.config.forms import FORMS
from ygg.model import JsonDict

ROOT = Path(__file__).resolve().parents[2]
HEADER = ("schema", "source", "fingerprint")


def home(**changes: Any) -> config.Config:
    data: JsonDict = {
        "hosts": {
            "surtr": {"slots": 2, "backend": "ollama", "url": "http://surtr:1", "models": ["m"]},
            "loki": {"slots": 1, "backend": "openai", "url": "http://loki:1"},
        },
        "task_types": {"code": {"route": ["loki"]}, "general": {"route": ["surtr"]}},
    }
    for path, value in changes.items():
        *above, last = path.split("__")
        part = data
        for step in above:
            part = part.setdefault(step, {})
        if value is None:
            del part[last]
        else:
            part[last] = value
    return config.from_dict(data, "test")


def test_what_is_shown_reads_back_as_the_same_configuration() -> None:
    shipped = config.load(ROOT / "hosts.yaml")
    shown = json.loads(json.dumps(config.describe(shipped)))
    again = {key: value for key, value in shown.items() if key not in HEADER}
    assert config.from_dict(again, str(shipped.source)) == shipped


def test_the_fingerprint_changes_with_the_meaning_alone(tmp_path: Path) -> None:
    text = (ROOT / "hosts.yaml").read_text()
    prints = []
    for n, version in enumerate((text, f"# more\n\n{text}", text.replace("slots: 3", "slots: 4"))):
        path = tmp_path / f"{n}.yaml"
        path.write_text(version)
        prints.append(config.load(path).fingerprint)
    assert prints[0] == prints[1] != prints[2]


def test_credentials_among_options_are_hidden_and_others_are_not() -> None:
    options = {"api_key": "k1", "nested": {"Password": "k2"}, "max_tokens": 7, "token": "k3"}
    secret = home(hosts__loki__options=options, hosts__loki__api_key_file="/key")
    text = json.dumps(config.describe(secret))
    assert not any(key in text for key in ("k1", "k2", "k3"))
    assert '"max_tokens": 7' in text
    assert '"api_key_file": "/key"' in text
    assert not any("k1" in line for line in config.differences(home(), secret))


CHANGES: list[tuple[dict[str, Any], list[str]]] = [
    ({}, []),
    ({"hosts__surtr__slots": 3}, ["host surtr: slots 2 -> 3"]),
    (
        {"hosts__surtr__models": ["m", "n"]},
        ["host surtr: endpoints.ollama.models [m] -> [m, n]"],
    ),
    (
        {"hosts__odin": {"slots": 1, "backend": "openai", "url": "http://o"}},
        ["host odin added"],
    ),
    (
        {"hosts__loki": None, "task_types__code": None},
        ["host loki removed", "task type code removed"],
    ),
    (
        {"task_types__code__route": ["surtr", "loki"]},
        ["task type code: route [loki/openai] -> [surtr/ollama/m, loki/openai]"],
    ),
    ({"task_types__code__system": "Be brief."}, ["task type code: system not set -> Be brief."]),
    (
        {"policies__poll": "5s", "policies__ageing": 60},
        ["policies: ageing not set -> 60", "policies: poll 2 -> 5"],
    ),
    ({"api__token_file": "tokens"}, []),  # it has no effect
    ({"api__hosts": ["gpu.lan"]}, ["api: hosts [] -> [gpu.lan]"]),
]


@pytest.mark.parametrize(("changes", "expected"), CHANGES)
def test_a_reload_says_what_changes(changes: dict[str, Any], expected: list[str]) -> None:
    assert config.differences(home(), home(**changes)) == expected


def test_another_order_of_types_is_a_change_because_the_first_match_wins() -> None:
    body = config.describe(home())
    body["task_types"] = dict(reversed(body["task_types"].items()))
    turned = config.from_dict({k: v for k, v in body.items() if k not in HEADER}, "test")
    assert config.differences(home(), turned) == ["task types in another order: general, code"]
    assert turned.fingerprint != home().fingerprint


def _undescribed(schema: Any, path: str = "") -> list[str]:
    """Properties without a description, anywhere in a JSON Schema."""
    if isinstance(schema, list):
        return [found for part in schema for found in _undescribed(part, path)]
    if not isinstance(schema, dict):
        return []
    named = schema.get("properties", {})
    missing = [f"{path}.{key}" for key, value in named.items() if "description" not in value]
    return missing + [f for k, v in schema.items() for f in _undescribed(v, f"{path}.{k}")]


def test_every_key_of_the_schema_has_a_description() -> None:
    schema = config.schema()
    assert set(schema["properties"]) == {
        "hosts", "task_types", "policies", "privacy", "api", "metrics", "notify",
    }  # fmt: skip
    assert _undescribed(schema) == []


def test_the_schema_names_every_key_and_refuses_others() -> None:
    definitions = config.schema()["$defs"]
    for form in FORMS.values():
        if form.__name__ in ("FileForm", "CandidateForm"):  # the top; written out where it is used
            continue
        described = definitions[form.__name__]
        mapping = described.get("anyOf", [described])[-1]  # some may be written as one word
        assert set(mapping["properties"]) == set(form.model_fields)
        assert mapping["additionalProperties"] is False


def test_the_documentation_is_what_the_forms_say() -> None:
    assert (ROOT / "docs/configuration.md").read_text(encoding="utf-8") == page()


def test_the_documentation_names_every_key() -> None:
    text = page()
    for form in FORMS.values():
        assert all(f"| `{key}` |" in text for key in form.model_fields)


def test_a_change_of_privacy_is_told_by_a_reload() -> None:
    (line,) = config.differences(home(), home(privacy__titles=False))
    assert line == "privacy: titles True -> False"
