"""What the servers of hosts.yaml are there for."""

from __future__ import annotations

from typing import Any

import pytest

from ygg.config import Config, from_dict
from ygg.config.show import describe
from ygg.errors import ConfigError


def built(route: str = "a", backend: str = "openai", **echo: Any) -> Config:
    hosts = {
        "a": {"slots": 1, "backend": "openai", "url": "http://a:1", "models": ["m"]},
        "echo": {"slots": 1, "backend": backend, "url": "http://e:1", "models": ["w"], **echo},
    }
    data = {"hosts": hosts, "task_types": {"general": {"route": [route]}}}
    return from_dict(data, "test")


def serves(config: Config) -> tuple[str, ...]:
    return config.hosts["echo"].endpoints[0].serves


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ({}, ("text",)),
        ({"serves": "transcription"}, ("transcription",)),
        ({"serves": ["transcription", "text", "text"]}, ("transcription", "text")),
    ],
)
def test_a_word_or_a_list_says_it(said: dict[str, Any], found: tuple[str, ...]) -> None:
    config = built(**said)
    assert serves(config) == found
    told = describe(config)["hosts"]["echo"]["endpoints"]["openai"]
    assert told["serves"] == list(found)


@pytest.mark.parametrize("wrong", ["speech", [], ["text", 1], {"a": 1}, 7])
def test_other_words_are_refused(wrong: Any) -> None:
    with pytest.raises(ConfigError) as caught:
        built(serves=wrong)
    assert "hosts.echo.serves: expected `text`, `transcription`, or a list of both" in str(
        caught.value
    )


def test_an_ollama_is_asked_as_openai() -> None:
    with pytest.raises(ConfigError) as caught:
        built(backend="ollama", serves="transcription")
    assert "hosts.echo.serves: expected `text` alone, or openai" in str(caught.value)


def test_general_needs_a_server_for_text() -> None:
    with pytest.raises(ConfigError) as caught:
        built("echo", serves="transcription")
    assert "task_types.general.route: expected a server that serves `text`" in str(caught.value)
    assert serves(built("echo", serves=["text", "transcription"]))
