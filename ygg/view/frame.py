"""What frames are made of: rows of styled spans that are exactly as wide as the terminal.

rich's Layout and Table cost ten times as much as plain padded strings, and drop columns on their own.
State is a glyph and a word, never colour alone: without colour the styles keep bold, dim and reverse.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from ygg.model import EndView, RunningView, Snapshot, WaitingView
from ygg.view.text import clean, cut, fit, width


class Span(NamedTuple):
    """A piece of a row. `style` is a rich style, or ""."""

    text: str
    style: str = ""


class Row(NamedTuple):
    """One line of a frame, as wide as the frame."""

    spans: tuple[Span, ...]

    @property
    def text(self) -> str:
        return "".join(span.text for span in self.spans)


class Glyphs(NamedTuple):
    up: str
    warn: str
    down: str
    unsure: str
    busy: str
    free: str
    gone: str
    done: str
    failed: str
    line: str
    full: str
    empty: str
    degree: str
    cursor: str
    spark: str


UNICODE = Glyphs(
    "●", "▲", "✗", "◌", "■", "□", "·", "✓", "✗", "─", "█", "░", "°", "▶", "▁▂▃▄▅▆▇█"
)  # fmt: skip
ASCII = Glyphs("o", "!", "x", "?", "#", ".", "-", "+", "x", "-", "#", ".", "", ">", " .:-=+*#")

#: What a style word looks like with and without colour.
COLOURS = {
    "": "", "bold": "bold", "dim": "dim", "good": "green", "warn": "yellow", "bad": "red",
    "alert": "bold red", "high": "bold yellow", "critical": "bold white on red",
    "cursor": "reverse", "title": "bold cyan",
}  # fmt: skip
PLAIN = {
    "": "", "bold": "bold", "dim": "dim", "good": "", "warn": "bold", "bad": "bold",
    "alert": "bold reverse", "high": "bold", "critical": "bold reverse", "cursor": "reverse",
    "title": "bold",
}  # fmt: skip


@dataclass(frozen=True)
class Canvas:
    """One frame's snapshot, size and looks; panels draw rows on it."""

    snapshot: Snapshot
    width: int
    glyphs: Glyphs
    styles: dict[str, str]
    wanted: str = ""  #: only tasks that hold this text are shown

    @property
    def wide(self) -> bool:
        return self.width >= 100

    @cached_property
    def host_width(self) -> int:
        return min(16, max([4, *(len(h.name) for h in self.snapshot.hosts)]))

    @cached_property
    def model_width(self) -> int:
        return min(18, max([5, *(len(r.model) for r in self.snapshot.running)]))

    @cached_property
    def type_width(self) -> int:
        s = self.snapshot
        types = [r.type for r in s.running] + [w.type for w in s.waiting]
        types += [e.type for e in s.recent[-20:]]
        return min(16, max([4, *(len(t) for t in types)]))

    def row(self, *parts: str | tuple[str, str], style: str = "") -> Row:
        """Parts (text, or text with a style word) cut or padded to the width."""
        spans, left = list[Span](), self.width
        for part in parts:
            text, word = (part, style) if isinstance(part, str) else part
            text = clean(text)
            used = width(text)
            if used > left:
                text = cut(text, left - 1) + "…" if left > 1 else " " * left
                used = width(text)
            left -= used
            self._add(spans, text, self.styles[word])
        if left:
            self._add(spans, " " * left, self.styles[style])
        return Row(tuple(spans))

    def _add(self, spans: list[Span], text: str, style: str) -> None:
        """Neighbours of one style are one span: the terminal driver pays for each."""
        text = self._ascii(text)
        if spans and spans[-1].style == style:
            spans[-1] = Span(spans[-1].text + text, style)
        elif text:
            spans.append(Span(text, style))

    def _ascii(self, text: str) -> str:
        """ASCII frames keep their columns: a wide character becomes two question marks."""
        if self.glyphs is UNICODE or text.isascii():
            return text
        return "".join(c if c.isascii() else "..."[: width(c)] for c in text)

    def rule(self, title: str, note: str = "") -> Row:
        """A line with a title in it, and a note at its right end."""
        line = self.glyphs.line
        left, right = f"{line * 2} ", f" {note} {line}" if note else ""
        fill = max(0, self.width - width(left) - width(title) - 1 - width(right))
        return self.row((left, "dim"), (title, "title"), (f" {line * fill}{right}", "dim"))

    def blank(self) -> Row:
        return self.row("")

    # --- tasks that pass the filter --------------------------------------------------------------

    def running(self) -> list[RunningView]:
        """The longest-running first."""
        runs = [r for r in self.snapshot.running if self._shown(r, r.host, r.model, r.title)]
        return sorted(runs, key=lambda r: (r.started_ms, r.task_id))

    def waiting(self) -> list[WaitingView]:
        return [w for w in self.snapshot.waiting if self._shown(w, w.reason.text)]

    def recent(self) -> list[EndView]:
        """The newest first."""
        ends = reversed(self.snapshot.recent)
        return [e for e in ends if self._shown(e, e.host or "", e.state, e.reason)]

    def _shown(self, task: RunningView | WaitingView | EndView, *texts: str) -> bool:
        if not self.wanted:
            return True
        wanted = self.wanted.lower()
        return any(wanted in t.lower() for t in (task.task_id, task.type, *texts))


def short_id(task_id: str) -> str:
    """The end of an id, which commands take for the whole."""
    return fit(task_id[-6:], 6)
