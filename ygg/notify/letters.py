"""One message as it leaves: one notice, or several that waited together."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import uuid4

from ygg.model import JsonDict
from ygg.model.notices import Notice
from ygg.plain import clean, counted

TITLE_MAX = 200  #: characters
TEXT_MAX = 3500  #: bytes; ntfy makes a file of what is longer than 4096


@dataclass(frozen=True, slots=True)
class Letter:
    """`id` stays the same however often it is tried. `title` is one line; nothing in either is a control code."""

    id: str
    title: str
    text: str
    notices: tuple[Notice, ...]

    @property
    def body(self) -> JsonDict:
        """What webhooks and commands get."""
        return {
            "schema": "ygg.notice/1",
            "id": self.id,
            "title": self.title,
            "text": self.text,
            "notices": [_plain(n) for n in self.notices],
        }

    @property
    def json(self) -> bytes:
        return json.dumps(self.body, ensure_ascii=False).encode()


def letter(notices: Sequence[Notice]) -> Letter:
    """Of at least one notice; several are listed with their times of the local day."""
    first = notices[0]
    if len(notices) == 1:
        title, text = first.title, first.text
    else:
        titles = ", ".join(dict.fromkeys(n.title for n in notices))
        title = f"{counted(len(notices), 'message')}: {titles}"
        text = "\n".join(f"{_clock(n.at_ms)} {n.title}{_first_line(n)}" for n in notices)
    return Letter(str(uuid4()), _short(clean(title)), cut(_lines(text)), tuple(notices))


def _first_line(notice: Notice) -> str:
    return f": {notice.text.splitlines()[0]}" if notice.text else ""


def _clock(at_ms: int) -> str:
    return time.strftime("%H:%M", time.localtime(at_ms / 1000))


def _short(title: str) -> str:
    return title if len(title) <= TITLE_MAX else f"{title[: TITLE_MAX - 1]}…"


def _lines(text: str) -> str:
    return clean(text, keep_newlines=True).replace("\t", " ")


def cut(text: str) -> str:
    """At most `TEXT_MAX` bytes of it, whole characters."""
    raw = text.encode()
    if len(raw) <= TEXT_MAX:
        return text
    return raw[: TEXT_MAX - len("…".encode())].decode(errors="ignore") + "…"


def _plain(notice: Notice) -> JsonDict:
    at = datetime.fromtimestamp(notice.at_ms / 1000, UTC).isoformat(timespec="seconds")
    return {
        "event": notice.event,
        "at": at.replace("+00:00", "Z"),
        "host": notice.host or None,
        "title": _short(clean(notice.title)),
        "text": cut(_lines(notice.text)),
    }
