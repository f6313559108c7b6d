"""A pin to a model means it in any spelling that the server takes."""

from __future__ import annotations

import pytest

from ygg.core.placement.candidates import configured
from ygg.model import Candidate, Endpoint, Host, Lane, TaskType

OLLAMA = Endpoint("o", "ollama", "http://o", models=("Qwen3", "qwen3:8b"))
LLAMA = Endpoint("l", "openai", "http://l", models=("qwen-7b",), dialect="llama.cpp")
VLLM = Endpoint("v", "openai", "http://v", models=("Qwen/Qwen3",), dialect="vllm")
HOSTS = {e.name: Host(e.name, 1, (e,)) for e in (OLLAMA, LLAMA, VLLM)}
KIND = TaskType("general", (Candidate("o", "o", "Qwen3"),))


@pytest.mark.parametrize(
    ("pin", "where"),
    [
        ("qwen3:latest", "o/o/Qwen3"),
        ("QWEN3:8B", "o/o/qwen3:8b"),
        ("Qwen-7B.gguf", "l/l/qwen-7b"),
        ("Qwen/Qwen3", "v/v/Qwen/Qwen3"),
    ],
)
def test_a_pin_in_another_spelling_finds_its_model(pin: str, where: str) -> None:
    assert [c.key for c in configured(KIND, HOSTS, Lane("general", None, pin))] == [where]


@pytest.mark.parametrize("pin", ["qwen3:14b", "qwen/qwen3", "qwen-8b"])
def test_a_pin_to_another_model_finds_none(pin: str) -> None:
    assert configured(KIND, HOSTS, Lane("general", None, pin)) == ()
