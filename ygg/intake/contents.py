"""What a file is, by its bytes: its name and what a client says of it do not count."""

from __future__ import annotations

import puremagic

TEXT = "text/plain"
UNKNOWN = "application/octet-stream"
IMAGES = ("image/png", "image/jpeg", "image/webp", "image/gif")  #: what vision models are shown
#: What the library takes for one of the formats that are made of them, and what can be text to look at.
CERTAIN = {b"PK\x03\x04": "application/zip", b"%PDF-": "application/pdf"}


def media_of(head: bytes, *, is_text: bool) -> str:
    """The media type of a file that begins so; `is_text`: all of it is UTF-8."""
    for begins, media in CERTAIN.items():
        if head.startswith(begins):
            return media
    return TEXT if is_text else next(filter(None, _guesses(head)), UNKNOWN)


def _guesses(head: bytes) -> list[str]:
    """What its first bytes fit, the longest match first."""
    try:
        return [found.mime_type for found in puremagic.magic_string(head)]
    except (puremagic.PureError, ValueError):
        return []
