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


ROOMY_FROM = 36  #: rows from which a panel has a rule above its heads
#: Of the sparklines, tokens per second.
SCALES = (10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000, 50_000)
Part = str | tuple[str, str]  #: of a row: text, or text with a style word


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
    back: str
    below: str
    rises: str
    falls: str
    line: str
    full: str
    empty: str
    degree: str
    cursor: str
    spark: str


UNICODE = Glyphs(
    "●", "▲", "✗", "◌", "■", "□", "·", "✓", "✗", "↺", "└", "↑", "↓", "─", "█", "░", "°", "▶", "▁▂▃▄▅▆▇█"
)  # fmt: skip
ASCII = Glyphs(
    "o", "!", "x", "?", "#", ".", "-", "+", "x", "<", "`", "^", "v", "-", "#", ".", "", ">", " .:-=+*#"
)  # fmt: skip

#: What a style word looks like with and without colour.
COLOURS = {
    "": "", "bold": "bold", "dim": "dim", "good": "green", "warn": "yellow", "bad": "red",
    "alert": "bold red", "high": "bold yellow", "critical": "bold white on red",
    "cursor": "reverse", "title": "bold cyan", "CRITICAL": "bold red", "HIGH": "yellow", "NORMAL": "",
    "LOW": "dim", "BACKLOG": "dim",
}  # fmt: skip
PLAIN = {
    "": "", "bold": "bold", "dim": "dim", "good": "", "warn": "bold", "bad": "bold",
    "alert": "bold reverse", "high": "bold", "critical": "bold reverse", "cursor": "reverse",
    "title": "bold", "CRITICAL": "bold", "HIGH": "bold", "NORMAL": "", "LOW": "dim", "BACKLOG": "dim",
}  # fmt: skip


@dataclass(frozen=True)
class Canvas:
    """One frame's snapshot, size and looks; panels draw rows on it."""

    snapshot: Snapshot
    width: int
    height: int
    glyphs: Glyphs
    styles: dict[str, str]
    wanted: str = ""  #: only tasks that hold this text are shown

    @property
    def roomy(self) -> bool:
        """Whether there are rows to spare, for a rule above each head."""
        return self.height >= ROOMY_FROM

    @cached_property
    def scale(self) -> int:
        """Tokens per second of a full bar, the same for every host."""
        most = max((v for h in self.snapshot.hosts for v in h.history), default=0.0)
        return next((s for s in SCALES if s >= most), SCALES[-1])

    @property
    def wide(self) -> bool:
        return self.width >= 100

    def row(self, *parts: Part, style: str = "") -> Row:
        """Parts (text, or text with a style word) cut or padded to the width."""
        spans, left = list[Span](), self.width
        for part in parts:
            text, word = (part, style) if isinstance(part, str) else part
            text = self._ascii(clean(text))
            used = width(text)
            if used > left:
                text = self._ascii(cut(text, left - 1) + "…" if left > 1 else " " * left)
                used = width(text)
            left -= used
            self._add(spans, text, self.styles[word])
        if left:
            self._add(spans, " " * left, self.styles[style])
        return Row(tuple(spans))

    def _add(self, spans: list[Span], text: str, style: str) -> None:
        """Neighbours of one style are one span: the terminal driver pays for each."""
        if spans and spans[-1].style == style:
            spans[-1] = Span(spans[-1].text + text, style)
        elif text:
            spans.append(Span(text, style))

    def _ascii(self, text: str) -> str:
        """ASCII frames keep their columns: a wide character becomes two dots."""
        if self.glyphs is UNICODE or text.isascii():
            return text
        text = text.replace("°", "")
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
        """The queue in its order, and what waits for its time where it will have come."""
        later = list(self.snapshot.scheduled)
        found = list[WaitingView]()
        for task in self.snapshot.waiting:
            starts = None if task.expected_ms is None else self.snapshot.at_ms + task.expected_ms
            while later and starts is not None and (later[0].due_ms or 0) < starts:
                found.append(later.pop(0))
            found.append(task)
        return [w for w in [*found, *later] if self._shown(w, w.title, w.reason.text)]

    def recent(self) -> list[EndView]:
        """The newest first."""
        ends = reversed(self.snapshot.recent)
        return [
            e for e in ends if self._shown(e, e.title, e.host or "", e.state, e.reason, e.detail)
        ]

    def _shown(self, task: RunningView | WaitingView | EndView, *texts: str) -> bool:
        if not self.wanted:
            return True
        wanted = self.wanted.lower()
        return any(wanted in t.lower() for t in (task.task_id, task.type, *texts))


def short_id(task_id: str) -> str:
    """The end of an id, which commands take for the whole."""
    return fit(task_id[-6:], 6)
