"""hosts.yaml may spell a model in more ways than one: it stays one model, under its first spelling."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.test_config import GOOD, complaints, edited, read
from ygg.model import Candidate

QWEN = edited(("[big, small]", "[qwen3, small]"))


def routed(*routes: str) -> str:
    """A file with a type for each of these routes."""
    types = "".join(f"  t{n}: {{route: [{route}]}}\n" for n, route in enumerate(routes))
    return QWEN.replace("task_types:\n", f"task_types:\n{types}")


@pytest.mark.parametrize("name", ["qwen3", "Qwen3", "qwen3:latest", "library/qwen3"])
def test_a_route_finds_its_model_under_any_spelling(tmp_path: Path, name: str) -> None:
    found = read(tmp_path, routed(f"surtr/{name}")).types["t0"].route
    assert found == (Candidate("surtr", "ollama", "qwen3"),)


def test_another_tag_is_another_model(tmp_path: Path) -> None:
    told = complaints(tmp_path, routed("surtr/qwen3:8b"))
    assert "expected a model of surtr, got `qwen3:8b`; did you mean `qwen3`?" in told[0]


def test_two_spellings_in_one_route_are_one_place(tmp_path: Path) -> None:
    found = read(tmp_path, routed("surtr/qwen3, surtr/small, surtr/Qwen3:latest"))
    assert [c.model for c in found.types["t0"].route] == ["qwen3", "small"]


def test_two_spellings_of_one_server_are_one_model_with_one_size(tmp_path: Path) -> None:
    models = "[Qwen3, {name: 'qwen3:latest', memory: 6GB}, small]"
    surtr = read(tmp_path, edited(("[big, small]", models))).hosts["surtr"]
    assert surtr.models == surtr.endpoints[0].models == ("Qwen3", "small")
    assert surtr.endpoints[0].sizes == {"Qwen3": 6144.0}


def test_two_sizes_of_one_model_are_a_mistake(tmp_path: Path) -> None:
    models = "[{name: qwen3, memory: 6GB}, {name: Qwen3, memory: 7GB}]"
    assert complaints(tmp_path, edited(("[big, small]", models))) == [
        "hosts.yaml:6: hosts.surtr.models[1].memory: expected 6144MB, as the same model has it under "
        "the name `qwen3`, got 7168MB"
    ]


def test_two_ways_to_load_one_model_under_two_names_are_a_mistake(tmp_path: Path) -> None:
    text = QWEN.replace(
        "task_types:\n",
        "task_types:\n  a: {route: [surtr/qwen3], options: {num_ctx: 4096}}\n"
        "  b: {route: ['surtr/Qwen3:latest'], options: {num_ctx: 8192}}\n",
    )
    assert "expected 4096, as task type `a` has it for surtr/qwen3" in complaints(tmp_path, text)[0]


def llama_cpp(dialect: str) -> str:
    old = 'one: {backend: openai, url: "http://loki:8080/v1/"}'
    models = f"models: [Qwen-7B.gguf, qwen-7b], dialect: {dialect}"
    return edited((old, f"{old[:-1]}, {models}}}"))


@pytest.mark.parametrize(("dialect", "models"), [("llama.cpp", 1), ("vllm", 2), ("", 2)])
def test_only_where_the_server_s_rule_is_known_are_two_names_of_a_file_one(
    tmp_path: Path, dialect: str, models: int
) -> None:
    found = read(tmp_path, llama_cpp(dialect)).hosts["loki"].endpoints[0].models
    assert found == ("Qwen-7B.gguf", "qwen-7b")[:models]


def test_a_server_that_lists_no_models_is_asked_by_the_one_form(tmp_path: Path) -> None:
    text = GOOD.replace("general:\n    route: [surtr]", "general:\n    route: [loki/Other:latest]")
    other = text.replace(
        'one: {backend: openai, url: "http://loki:8080/v1/"}',
        "one: {backend: openai, url: http://l, dialect: llama.cpp}",
    )
    assert read(tmp_path, text).types["general"].route[0].model == "Other:latest"
    assert read(tmp_path, other).types["general"].route[0].model == "other:latest"
