"""How wide text is on a terminal, and short forms of numbers people read."""

from __future__ import annotations

import re
from datetime import datetime
from functools import lru_cache

from ygg.plain import clean as clean

#: Latin letters, and what ygg itself draws.
_NARROW = re.compile(r"[ -~\xa0-\u02ff●▲✗◌■□·✓─█░▶▁-▇…°↺└↑↓]*")


def width(text: str) -> int:
    """Terminal columns of clean text: wide characters take two, combining ones none."""
    return len(text) if text.isascii() or _NARROW.fullmatch(text) else _width(text)


@lru_cache(1024)
def _width(text: str) -> int:
    from wcwidth import wcswidth  # twenty milliseconds: only where somebody writes more than ASCII

    return max(0, wcswidth(text))


def fit(text: str, columns: int, *, right: bool = False) -> str:
    """Exactly `columns` wide: padded, or cut with an ellipsis."""
    text = clean(text)
    if text.isascii() and len(text) <= columns:
        return text.rjust(columns) if right else text.ljust(columns)
    if width(text) > columns:
        text = cut(text, columns - 1) + "…" if columns > 0 else ""
    space = " " * (columns - width(text))
    return space + text if right else text + space


def cut(text: str, columns: int) -> str:
    """As much of clean text as fits."""
    if text.isascii():
        return text[: max(0, columns)]
    from wcwidth import iter_graphemes

    used, kept = 0, ""
    for piece in iter_graphemes(text):
        used += width(piece)
        if used > columns:
            break
        kept += piece
    return kept


def wrapped(text: str, columns: int, rows: int) -> list[str]:
    """Lines of at most `columns`, broken between words where it can be; the last of `rows` ends with an ellipsis where
    that is not all."""
    lines, left = list[str](), clean(text)
    while width(left) > columns > 1 and len(lines) < rows - 1:
        head = cut(left, columns + 1)
        at = head.rfind(" ")
        head = head[:at] if at > columns // 2 else cut(left, columns)
        lines.append(head)
        left = left[len(head) :].lstrip(" ")
    return [*lines, fit(left, columns).rstrip()] if left else lines


def age(seconds: float) -> str:
    """Of a reading, in the largest unit: `14s`, `12m`, `3h`, `2d`."""
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= size:
            return f"{seconds // size:.0f}{unit}"
    return f"{max(1, round(seconds))}s"


def duration(seconds: float | None) -> str:
    """`0.4s`, `12s`, `3m05s`, `2h10m`, `4d3h`; `--` when not known."""
    if seconds is None:
        return "--"
    if seconds < 10:
        return f"{max(seconds, 0):.1f}s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02}s"
    if whole < 86400:
        return f"{whole // 3600}h{whole % 3600 // 60:02}m"
    return f"{whole // 86400}d{whole % 86400 // 3600}h"


def clock(at_ms: int) -> str:
    """Local time of day."""
    return datetime.fromtimestamp(at_ms / 1000).astimezone().strftime("%H:%M:%S")
