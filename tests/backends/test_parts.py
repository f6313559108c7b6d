"""Images and texts of one message, in the words of Ollama."""

from __future__ import annotations

from typing import Any

import pytest

from ygg.backends.parts import for_ollama

IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}


def text(words: str) -> dict[str, Any]:
    return {"type": "text", "text": words}


def test_images_stand_beside_the_text() -> None:
    content = [text("What is this?"), IMAGE, text("And why?")]
    assert for_ollama({"role": "user", "content": content}) == {
        "role": "user",
        "content": "What is this?\nAnd why?",
        "images": ["AAAA"],
    }


def test_parts_of_text_alone_are_one_text() -> None:
    assert for_ollama({"role": "user", "content": [text("a"), text("b")]}) == {
        "role": "user",
        "content": "a\nb",
    }


def test_images_that_are_there_stay() -> None:
    message = {"role": "user", "content": [IMAGE], "images": ["BBBB"]}
    assert for_ollama(message)["images"] == ["BBBB", "AAAA"]


@pytest.mark.parametrize(
    "content",
    [
        "plain",
        [],
        [text("a"), {"type": "image_url", "image_url": {"url": "https://x/a.png"}}],
        [text("a"), {"type": "input_audio", "input_audio": {}}],
        [text("a"), {"type": "text", "text": 3}],
        ["a"],
        [{"type": "image_url", "image_url": "data:image/png;base64,AAAA"}],
    ],
)
def test_what_ollama_has_no_word_for_stays_as_it_is(content: Any) -> None:
    message = {"role": "user", "content": content}
    if content == []:
        message["content"] = ""
    assert for_ollama({"role": "user", "content": content}) == message
