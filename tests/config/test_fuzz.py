"""Whatever stands in the file: a Config or a ConfigError, never anything else."""

from __future__ import annotations

import string
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.sizes import examples
from ygg import config
from ygg.config.tree import parse
from ygg.errors import ConfigError

KEYS = [
    "hosts",
    "task_types",
    "policies",
    "api",
    "slots",
    "url",
    "backend",
    "models",
    "endpoints",
    "kind",
    "tags",
    "route",
    "match",
    "labels",
    "titles",
    "timeout",
    "retries",
    "options",
    "system",
    "ageing",
    "backoff",
    "listen",
    "host",
    "model",
    "endpoint",
    "general",
    "a",
    "<<",
]
SHIPPED = (Path(__file__).resolve().parents[2] / "hosts.yaml").read_text()

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=12),
    st.sampled_from(
        ["ollama", "openai", "http://a:1", "a", "a/b", "10m", "off", "general", "(", "[[a]"]
    ),
)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=4), inner, max_size=5)
    ),
    max_leaves=25,
)
hosts = st.fixed_dictionaries(
    {
        "slots": st.integers(0, 257),
        "backend": st.sampled_from(["ollama", "openai"]),
        "url": st.sampled_from(["http://a:1", "https://b/x", "http://c/v1"]),
    },
    optional={
        "models": st.lists(st.sampled_from(["m", "n"]), max_size=3, unique=True),
        "tags": values,
        "options": values,
    },
)
routes = st.lists(st.sampled_from(["a", "b", "a/m", "b/n", "c"]), max_size=3)
files = st.fixed_dictionaries(
    {
        "hosts": st.dictionaries(st.sampled_from(["a", "b"]), hosts, min_size=1),
        "task_types": st.fixed_dictionaries(
            {"general": st.fixed_dictionaries({"route": routes})},
            optional={
                "a": values,
                "b": st.fixed_dictionaries({"route": routes}, optional={"match": values}),
            },
        ),
    },
    optional={"policies": values, "api": values},
)
fuzz = settings(
    max_examples=examples(60, 1000),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)


def attempt(read: Callable[[], config.Config]) -> config.Config | ConfigError:
    try:
        return read()
    except ConfigError as error:
        failure = error
    failure.message.encode()  # it can be printed
    assert "expected" in failure.message
    return failure


def from_bytes(folder: Path, raw: bytes) -> config.Config | ConfigError:
    path = folder / "hosts.yaml"
    path.write_bytes(raw)
    return attempt(lambda: config.load(path))


@fuzz
@given(st.binary(max_size=400))
def test_random_bytes(tmp_path: Path, raw: bytes) -> None:
    assert isinstance(from_bytes(tmp_path, raw), ConfigError)


@fuzz
@given(st.text(alphabet=st.sampled_from(list(string.printable + "\u2028\x85ä😀")), max_size=200))
def test_random_text_with_the_signs_of_yaml(tmp_path: Path, text: str) -> None:
    assert isinstance(from_bytes(tmp_path, text.encode()), ConfigError)


@fuzz
@given(
    st.integers(0, len(SHIPPED)), st.integers(0, 40), st.text(alphabet=string.printable, max_size=6)
)
def test_the_shipped_file_with_a_piece_replaced(
    tmp_path: Path, at: int, length: int, text: str
) -> None:
    from_bytes(tmp_path, (SHIPPED[:at] + text + SHIPPED[at + length :]).encode())


@fuzz
@given(values)
def test_random_data(data: Any) -> None:
    attempt(lambda: config.from_dict(data if isinstance(data, dict) else {"hosts": data}, "x"))


@fuzz
@given(files)
def test_a_config_that_is_accepted_keeps_its_promises_and_reads_back(data: dict[str, Any]) -> None:
    found = attempt(lambda: config.from_dict(data, "x"))
    if isinstance(found, ConfigError):
        return
    for kind in found.types.values():
        for place in kind.route:
            endpoint = next(
                e for e in found.hosts[place.host].endpoints if e.name == place.endpoint
            )
            assert place.model in endpoint.models or not endpoint.models
    shown = config.describe(found)
    options = [e["options"] for h in shown["hosts"].values() for e in h["endpoints"].values()]
    if "***" not in str(options):
        again = {k: v for k, v in shown.items() if k not in ("schema", "source", "fingerprint")}
        assert config.from_dict(again, "x") == found
        assert config.differences(found, config.from_dict(again, "x")) == []


def _reread(text: str) -> object:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        return None


@fuzz
@given(files)
def test_the_same_from_yaml_and_from_data(tmp_path: Path, data: dict[str, Any]) -> None:
    text = yaml.safe_dump(data, allow_unicode=True, sort_keys=False)
    if repr(_reread(text)) != repr(
        data
    ):  # PyYAML writes some line breaks so that it cannot read them again
        return
    same = attempt(lambda: config.from_dict(data, str(tmp_path / "hosts.yaml")))
    read = from_bytes(tmp_path, text.encode("utf-8", "replace"))
    if isinstance(same, config.Config):
        assert read == same


@fuzz
@given(st.dictionaries(st.sampled_from(KEYS[:-1]), values, max_size=4))
def test_the_tree_holds_what_pyyaml_reads(data: dict[str, Any]) -> None:
    text = yaml.safe_dump(data, allow_unicode=True)
    tree = parse(text.encode("utf-8", "replace"), "x")
    if not tree.problems.found and "<<" not in text:
        assert repr(tree.data) == repr(yaml.safe_load(text))


@pytest.mark.soak
@settings(fuzz, max_examples=20_000)
@given(
    st.binary(max_size=2000) | values.map(lambda v: yaml.safe_dump(v).encode("utf-8", "replace"))
)
def test_a_long_run_of_random_files(tmp_path: Path, raw: bytes) -> None:
    from_bytes(tmp_path, raw)
