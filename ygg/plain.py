"""Foreign text made safe for terminals, logs and line-wise readers. Standard library only."""

from __future__ import annotations

import unicodedata
from functools import lru_cache
from math import floor

#: Control and format characters (C0, C1, bidirectional controls), line and paragraph separators, lone
#: surrogates, and what a font may show as anything.
UNSAFE = frozenset({"Cc", "Cf", "Zl", "Zp", "Cs", "Co"})
_GONE = frozenset({"Cc", "Cf"})
#: What ygg draws, for streams that know no Unicode.
_GLYPHS = {
    "●": "o", "▲": "!", "✗": "x", "◌": "?", "■": "#", "□": ".", "·": "-", "✓": "+", "─": "-", "█": "#",
    "░": ".", "▶": ">", "°": "", "↺": "<", "└": "`", "↑": "^", "↓": "v", "“": '"', "”": '"', "—": "-",
}  # fmt: skip


def unsafe(char: str) -> bool:
    """Whether a terminal or a reader of lines may take it for something else than text."""
    return unicodedata.category(char) in UNSAFE


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
    if kind in _GONE:
        return ""
    return "\N{REPLACEMENT CHARACTER}" if kind in UNSAFE else char


def marked(text: str) -> str:
    """On one line; what is not safe is seen to have been there."""
    if text.isprintable():
        return text
    return "".join(_marked(char) for char in text)


def _marked(char: str) -> str:
    if char in "\r\n":
        return " "
    return "\N{REPLACEMENT CHARACTER}" if char != "\t" and unsafe(char) else char


def in_ascii(text: str) -> str:
    """Text for a stream that knows nothing better, each character as wide as it was."""
    return "".join(c if c.isascii() else _GLYPHS.get(c, _dots(c)) for c in text)


def _dots(char: str) -> str:
    return ".." if unicodedata.east_asian_width(char) in "WF" else "."


def counted(count: object, what: str) -> str:
    """`1 task`, `2,000 tasks`; what is no number stays as it is."""
    said = f"{count:,}" if isinstance(count, int) else str(count)
    return f"{said} {what}{'' if count == 1 else 's'}"


def percent(used: float, total: float) -> int:
    """Rounded down: no text tells a threshold as reached that is not."""
    return floor(100 * used / total)


def tenths(percentage: float) -> float:
    """The same of a percentage, to a tenth."""
    return floor(10 * percentage) / 10


def span(seconds: float) -> str:
    """In the largest unit: `14 s`, `12 min`, `3 h`, `2 d`."""
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds // size:.0f} {unit}"
    return f"{max(1, round(seconds))} s"
