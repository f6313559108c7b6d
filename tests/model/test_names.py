"""Canonical model names: what is one model to a server, and what is not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ygg.model import Endpoint
from ygg.model.names import LLAMA_CPP, OLLAMA, UNKNOWN, VLLM, canonical, dialect_of, find, own, same

ONE_MODEL = {
    OLLAMA: [
        ("qwen3", "qwen3:latest"),
        ("qwen3", "Qwen3"),
        ("qwen3", "QWEN3:LATEST"),
        ("qwen3:8b", "Qwen3:8B"),
        ("qwen3", "library/qwen3"),
        ("qwen3", "registry.ollama.ai/library/qwen3:latest"),
        ("me/mine", "registry.ollama.ai/me/mine"),
        ("qwen3", " https://registry.ollama.ai/library/qwen3 "),
        ("hf.co/User/Repo:Q4_K_M", "hf.co/user/repo:q4_k_m"),
        ("localhost:5000/me/mine", "localhost:5000/me/mine:latest"),
    ],
    LLAMA_CPP: [
        ("Qwen-7B.gguf", "qwen-7b"),
        ("/models/Qwen-7B.gguf", "qwen-7b"),
        ("w/Qwen-7B.gguf", "Qwen-7B"),
        ("C:\\models\\a.gguf", "A"),
        ("User/Repo:Q4_K_M", "user/repo:q4_k_m"),
    ],
}
TWO_MODELS = {
    OLLAMA: [
        ("qwen3", "qwen3:8b"),
        ("qwen3:8b", "qwen3:14b"),
        ("qwen3", "me/qwen3"),
        ("hf.co/User/Repo", "hf.co/User/Repo:Q4_K_M"),
        ("hf.co/User/Repo", "User/Repo"),
        ("hf.co/User/Repo", "huggingface.co/User/Repo"),
        ("hf.co/library/x", "x"),
        ("qwen3.gguf", "qwen3"),
    ],
    LLAMA_CPP: [
        ("model-7b", "model-8b"),
        ("one/repo:q4", "two/repo:q4"),
        ("user/repo:q4", "user/repo:q8"),
        ("model", ""),
    ],
    VLLM: [("Qwen/Qwen3-8B", "qwen/qwen3-8b"), ("qwen3", "qwen3:latest"), ("a.gguf", "a")],
    UNKNOWN: [("Qwen3", "qwen3")],
}


def pairs(table: dict[str, list[tuple[str, str]]]) -> list[tuple[str, str, str]]:
    return [(dialect, one, other) for dialect, found in table.items() for one, other in found]


@pytest.mark.parametrize(("dialect", "one", "other"), pairs(ONE_MODEL))
def test_spellings_of_one_model_have_one_form(dialect: str, one: str, other: str) -> None:
    assert canonical(one, dialect) == canonical(other, dialect)
    assert same(one, other, dialect)


@pytest.mark.parametrize(("dialect", "one", "other"), pairs(TWO_MODELS))
def test_two_models_have_two_forms(dialect: str, one: str, other: str) -> None:
    assert canonical(one, dialect) != canonical(other, dialect)


@pytest.mark.parametrize(("dialect", "one", "other"), pairs(TWO_MODELS))
def test_only_llama_cpp_and_an_unknown_server_are_asked_loosely(
    dialect: str, one: str, other: str
) -> None:
    loose = {(LLAMA_CPP, "one/repo:q4"), (UNKNOWN, "Qwen3")}
    assert same(one, other, dialect) is ((dialect, one) in loose)


def endpoint(*models: str, backend: str = "ollama", dialect: str | None = None) -> Endpoint:
    return Endpoint("e", backend, "http://e", models=models, dialect=dialect)


@pytest.mark.parametrize("name", ["qwen3", "Qwen3:latest", "QWEN3", "library/qwen3"])
def test_inside_a_model_is_called_what_hosts_yaml_calls_it(name: str) -> None:
    assert own(endpoint("Qwen3:latest", "qwen3:8b"), name) == "Qwen3:latest"


def test_a_model_that_hosts_yaml_does_not_have_gets_the_one_form() -> None:
    assert own(endpoint("qwen3:8b"), "Qwen3:latest") == "qwen3"
    assert own(endpoint(backend="openai", dialect="llama.cpp"), "/m/Qwen-7B.gguf") == "qwen-7b"
    assert own(endpoint(backend="openai", dialect="vllm"), "Qwen/Qwen3-8B") == "Qwen/Qwen3-8B"
    assert own(endpoint(backend="openai"), "/m/Qwen-7B.gguf") == "/m/Qwen-7B.gguf"
    assert own(endpoint("m"), "") == ""


def test_a_server_that_is_not_known_is_taken_at_the_only_name_that_fits() -> None:
    unknown = endpoint("Qwen-7B.gguf", "gemma3", backend="openai")
    assert own(unknown, "/models/qwen-7b.gguf") == "Qwen-7B.gguf"
    assert own(unknown, "gemma3:latest") == "gemma3"
    assert own(unknown, "qwen-7b", VLLM) == "qwen-7b"  # it turned out to be exact


def test_the_strictest_rule_decides_and_a_doubt_finds_none() -> None:
    router = ("one/repo:q4", "two/repo:q4")
    assert find(router, "Two/Repo:Q4", LLAMA_CPP) == "two/repo:q4"
    assert find(router, "repo:q4", LLAMA_CPP) is None
    assert find(router[:1], "repo:q4", LLAMA_CPP) == "one/repo:q4"


def test_the_rules_are_those_of_the_driver_then_of_the_dialect() -> None:
    assert dialect_of("ollama", None) == OLLAMA
    assert dialect_of("openai", "llama.cpp") == LLAMA_CPP
    assert dialect_of("openai", None) == UNKNOWN


# --- properties -----------------------------------------------------------------------------------

WORD = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_-]{0,6}", fullmatch=True)
TAG = st.one_of(st.just(""), WORD.map(":{}".format))
PATH = st.lists(WORD, min_size=1, max_size=3).map("/".join)
NAME = st.builds("{}{}".format, PATH, TAG)
DIALECT = st.sampled_from([OLLAMA, LLAMA_CPP, VLLM, UNKNOWN])


@given(NAME, DIALECT)
def test_the_one_form_is_its_own_form(name: str, dialect: str) -> None:
    once = canonical(name, dialect)
    assert canonical(once, dialect) == once
    assert same(once, name, dialect)


@given(PATH, TAG.filter(bool), st.randoms(use_true_random=False))
def test_no_spelling_that_ollama_takes_makes_another_model(
    path: str, tag: str, dice: object
) -> None:
    plain = path if tag == ":latest" else path + tag
    spelled = "".join(dice.choice((c.lower(), c.upper())) for c in plain)  # type: ignore[attr-defined]
    bare = ":" not in spelled
    assert canonical(spelled + (":latest" if bare else ""), OLLAMA) == canonical(plain, OLLAMA)
    assert canonical(f"{path}:x1", OLLAMA) != canonical(f"{path}:x2", OLLAMA)


@given(st.lists(NAME, max_size=5, unique=True), NAME, DIALECT)
def test_what_is_called_own_is_found_again(models: list[str], name: str, dialect: str) -> None:
    backend = "ollama" if dialect == OLLAMA else "openai"
    told = None if dialect in (OLLAMA, UNKNOWN) else dialect
    box = endpoint(*models, backend=backend, dialect=told)
    mine = own(box, name)
    assert own(box, mine) == mine
    assert same(mine, name, dialect)
    assert all(own(box, model) == model for model in models)
