"""Messages whose content is a list of parts, as the OpenAI protocol has them, in the words of Ollama."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from ygg.model import JsonDict
from ygg.uploads import Kept

_DATA = re.compile(r"data:[\w.+/-]*;base64,")


def for_ollama(message: JsonDict) -> JsonDict:
    """Its text as one, its images beside it. A message that has other parts, such as the address of an image, which
    Ollama does not fetch, stays as it is: the server says what it does not take."""
    parts = message.get("content")
    if not isinstance(parts, list):
        return message
    texts, images = list(map(_text, parts)), list(map(_image, parts))
    if any(text is None and image is None for text, image in zip(texts, images, strict=True)):
        return message
    told = "\n".join(filter(None, texts))
    shown = [*message.get("images", ()), *(image for image in images if image is not None)]
    return {**message, "content": told, **({"images": shown} if shown else {})}


def _text(part: Any) -> str | None:
    told = part.get("text") if isinstance(part, dict) and part.get("type") == "text" else None
    return told if isinstance(told, str) else None


def _image(part: Any) -> str | Kept | None:
    """Its bytes in base64, where it has them with it."""
    shown = part.get("image_url") if isinstance(part, dict) else None
    url = shown.get("url") if isinstance(shown, dict) else None
    if isinstance(url, Kept):
        return replace(url, says="")
    found = _DATA.match(url) if isinstance(url, str) else None
    return None if found is None else found.string[found.end() :]
