"""Tables of a frame: columns that share the width there is, heads over them, a text that is never cut.

A column has the width of its longest cell, `most` at most. Where room is short whole columns go, the highest `rank`
first, then those with a `least` are cut. What is left over belongs to the column that grows. A line may have a note: it
stands beside its cells where all of it fits, else below them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from ygg.view.frame import Canvas, Part, Row
from ygg.view.text import fit, width, wrapped

MARK = 5  #: columns before the first: a glyph and the letter of a priority
NOTE_ROWS = 3  #: a note has no more, however long it is


class Column(NamedTuple):
    """`least` None: as wide as `most`, always. `rank` 0: never left out. One that grows has `least` until all others
    have what they need."""

    head: str
    most: int
    least: int | None = None
    right: bool = False
    rank: int = 0
    grows: bool = False


@dataclass(frozen=True)
class Line:
    """One entry: what stands before it, a cell for each column, a note, and what always stands below."""

    mark: tuple[Part, ...]
    cells: tuple[Part, ...]
    note: str = ""
    note_style: str = "dim"
    below: tuple[str, ...] = ()


@dataclass(frozen=True)
class Table:
    """Lines that stand under the same heads. `note`: the head over the notes, "" where they stand below."""

    canvas: Canvas
    columns: tuple[Column, ...]
    widths: tuple[int, ...]  #: 0: left out
    lines: tuple[Line, ...]
    note: str

    @property
    def gap(self) -> str:
        return "  " if self.canvas.wide else " "

    def heads(self, title: str, counts: str = "") -> list[Row]:
        """What the panel is called, and its columns: on one line where it is low."""
        cells = self._joined([c.head for c in self.columns])
        if self.canvas.roomy:
            return [
                self.canvas.rule(title, counts),
                self.canvas.row(" " * MARK, cells, style="dim"),
            ]
        named = f"{self.canvas.glyphs.line * 2} {title} "
        taken = max(self.widths[0], width(named) - MARK)
        while cells[taken - 1 : taken].strip() and cells[taken : taken + 1].strip():
            taken += 1  # a head that the title would cut is not there
        line = named + self.canvas.glyphs.line * (taken + MARK - 1 - width(named))
        return [self.canvas.row((f"{line.rstrip()} ", "title"), (cells[taken:], "dim"))]

    def _joined(self, texts: Sequence[str]) -> str:
        shown = [
            fit(text, columns, right=column.right)
            for text, columns, column in zip(texts, self.widths, self.columns, strict=True)
            if columns
        ]
        return self.gap.join([*shown, self.note] if self.note else shown)

    def blocks(self) -> list[list[Row]]:
        """The rows of each line."""
        return [self._rows(line) for line in self.lines]

    def _rows(self, line: Line) -> list[Row]:
        """The line, and its note below it where there is no room beside it."""
        parts, run = (
            list[Part](line.mark),
            "",
        )  # text of no style of its own is one part: each costs as much
        for part, columns, column in zip(line.cells, self.widths, self.columns, strict=True):
            if columns:
                text, style = part if isinstance(part, tuple) else (part, "")
                cell = fit(text, columns, right=column.right)
                shown = cell.strip(" ") if style else ""
                if shown:
                    before, _, after = cell.partition(shown)
                    parts += [(run + before, ""), (shown, style)]
                    run = after + self.gap
                else:
                    run += cell + self.gap
        beside = self.note and width(line.note) <= self.canvas.width - self._used
        parts += [(run, ""), (line.note, line.note_style)] if beside else [(run.rstrip(" "), "")]
        hung = line.below if beside else (line.note, *line.below)
        rows = [self.canvas.row(*parts)]
        return rows + [row for text in hung for row in self._below(text, line.note_style)]

    def _below(self, text: str, style: str) -> list[Row]:
        """A text under its line, on as many rows as it needs, `NOTE_ROWS` at most."""
        hook = f"   {self.canvas.glyphs.below} "
        return [
            self.canvas.row((hook if n == 0 else " " * len(hook), "dim"), (part, style))
            for n, part in enumerate(wrapped(text, self.canvas.width - MARK - 2, NOTE_ROWS))
        ]

    @property
    def _used(self) -> int:
        """Columns before the notes."""
        shown = [n for n in self.widths if n]
        return MARK + sum(shown) + len(self.gap) * len(shown)


def table(
    canvas: Canvas,
    columns: Sequence[Column],
    lines: Sequence[Line],
    note: str = "",
    beside: float = 0.5,
) -> Table:
    """The columns as wide as they may be for these lines. Notes stand beside them that take no more than this share of the
    width; longer ones go below."""
    natural = [
        c.most
        if c.least is None
        else min(c.most, max([width(c.head), *(width(_text(line.cells[n])) for line in lines)]))
        for n, c in enumerate(columns)
    ]
    gap = 2 if canvas.wide else 1
    fitting = [w for line in lines if (w := width(line.note)) <= canvas.width * beside]
    notes = gap + max([width(note), *fitting]) if note else 0
    widths = _shared(columns, natural, canvas.width - MARK - notes, gap)
    return Table(canvas, tuple(columns), widths, tuple(lines), note)


def _text(part: Part) -> str:
    return part if isinstance(part, str) else part[0]


def _shared(
    columns: Sequence[Column], natural: Sequence[int], room: int, gap: int
) -> tuple[int, ...]:
    """Widths that fit into `room`: whole columns go before others than the growing one are cut."""
    found = [c.least or n if c.grows else n for c, n in zip(columns, natural, strict=True)]
    found = [min(f, n) for f, n in zip(found, natural, strict=True)]
    for n in sorted(range(len(columns)), key=lambda n: -columns[n].rank):
        if columns[n].rank and _over(found, room, gap) > 0:
            found[n] = 0
    for n in reversed(range(len(columns))):
        least = columns[n].least
        if least is not None and found[n] > least:
            found[n] -= min(found[n] - least, max(0, _over(found, room, gap)))
    for n, column in enumerate(columns):
        if column.grows and found[n]:
            found[n] += min(natural[n] - found[n], max(0, -_over(found, room, gap)))
    return tuple(found)


def _over(widths: Sequence[int], room: int, gap: int) -> int:
    """By how much they exceed the room."""
    shown = [w for w in widths if w]
    return sum(shown) + gap * (len(shown) - 1) - room
