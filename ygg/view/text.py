"""Foreign text made safe for a terminal, and short forms of numbers people read."""

from __future__ import annotations

import unicodedata
from datetime import datetime
from functools import lru_cache


def clean(text: str, *, keep_newlines: bool = False) -> str:
    """Without control characters, escape codes, bidirectional overrides and lone surrogates.

    Tabs and newlines become spaces unless `keep_newlines`.
    """
    if text.isascii() and text.isprintable():
        return text
    return _cleaned(text, keep_newlines)


@lru_cache(1024)  # rules, gauges and names come again in every frame
def _cleaned(text: str, keep_newlines: bool) -> str:
    return "".join(_safe(char, keep_newlines) for char in text)


def _safe(char: str, keep_newlines: bool) -> str:
    if char in "\n\t":
        return char if keep_newlines else " "
    kind = unicodedata.category(char)
    if kind in ("Cc", "Cf"):
        return ""
    return "\N{REPLACEMENT CHARACTER}" if kind in ("Cs", "Co", "Zl", "Zp") else char


def width(text: str) -> int:
    """Terminal columns of clean text: wide characters take two, combining ones none."""
    return len(text) if text.isascii() else _width(text)


@lru_cache(1024)
def _width(text: str) -> int:
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1
        for c in text
    )


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
    used, kept = 0, ""
    for char in text:
        used += width(char)
        if used > columns:
            break
        kept += char
    return kept


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
