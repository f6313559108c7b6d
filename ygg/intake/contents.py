"""What a file is, by its bytes: its name and what a client says of it do not count."""

from __future__ import annotations

import puremagic

TEXT = "text/plain"
UNKNOWN = "application/octet-stream"
IMAGES = ("image/png", "image/jpeg", "image/webp", "image/gif")  #: what vision models are shown
#: What the library takes for one of the formats that are made of them, and what can be text to look at.
CERTAIN = {b"PK\x03\x04": "application/zip", b"%PDF-": "application/pdf"}
#: Frames of MP3 without a head before them, of which the library knows one kind.
FRAMES = (b"\xff\xfb", b"\xff\xfa", b"\xff\xf3", b"\xff\xf2")
#: Containers of sound, of pictures, or of both: what begins in them tells which.
CONTAINERS = {b"OggS": "audio/ogg", b"\x1a\x45\xdf\xa3": "audio/webm"}
SOUND = (b"OpusHead", b"\x01vorbis", b"Speex   ", b"\x7fFLAC", b"A_OPUS", b"A_VORBIS")
MOVING = (b"\x80theora", b"V_VP", b"V_AV1", b"V_MPEG", b"V_THEORA")


def media_of(head: bytes, *, is_text: bool) -> str:
    """The media type of a file that begins so; `is_text`: all of it is UTF-8."""
    for begins, media in CERTAIN.items():
        if head.startswith(begins):
            return media
    if is_text:
        return TEXT
    return _sound(head) or next(filter(None, _guesses(head)), UNKNOWN)


def _sound(head: bytes) -> str | None:
    """What the library cannot tell from pictures that move, or not at all."""
    if head.startswith(FRAMES):
        return "audio/mpeg"
    heard = any(mark in head for mark in SOUND) and not any(mark in head for mark in MOVING)
    return CONTAINERS.get(head[:4]) if heard else None


def _guesses(head: bytes) -> list[str]:
    """What its first bytes fit, the longest match first."""
    try:
        return [found.mime_type for found in puremagic.magic_string(head)]
    except (puremagic.PureError, ValueError):
        return []
