"""What a task without a title is called: the first words of what it says."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ygg.model import JsonDict

MOST = 60  #: characters of a title that nobody gave
READ = 400  #: characters it is looked for in


def first_words(request: JsonDict) -> str:
    """Of its prompt, its input or its last message by a person, on one line; "" when it holds no text."""
    words = " ".join(next(filter(None, map(_start, _texts(request))), "").split())
    if len(words) <= MOST:
        return words
    kept = words[:MOST]
    return f"{kept[: kept.rfind(' ')] if ' ' in kept else kept}…"


def _start(text: object) -> str:
    return text[:READ].strip() if isinstance(text, str) else ""


def _texts(request: JsonDict) -> Iterable[object]:
    """Wherever it says something, the best first."""
    yield request.get("prompt")
    given = request.get("input")
    yield from given[:1] if isinstance(given, list) else [given]
    newest = request.get("messages", ())[::-1]
    for message in sorted(newest, key=lambda m: bool(m.get("role") != "user")):
        yield from _said(message.get("content"))


def _said(content: Any) -> Iterable[object]:
    """A message is text, or a list of parts of which some are."""
    if isinstance(content, list):
        return [part.get("text") for part in content if isinstance(part, dict)]
    return [content]
