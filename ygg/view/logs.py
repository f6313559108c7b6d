"""Lines of the log: when, which task, and what was said."""

from __future__ import annotations

from collections.abc import Sequence

from ygg.model import LogView
from ygg.view.frame import Canvas, Row, short_id
from ygg.view.table import Column, Line, Table, table
from ygg.view.text import clock

STYLES = {"WARNING": "warn", "ERROR": "bad", "CRITICAL": "bad"}


def rows(canvas: Canvas, room: int) -> list[Row]:
    """The newest lines, each to its end, in at most `room` rows."""
    listed = _table(canvas, _wanted(canvas)[-max(1, room) :])
    heads = listed.heads("LOG")
    if not listed.lines or room <= len(heads):
        return []
    return [*heads, *[row for block in listed.blocks() for row in block][len(heads) - room :]]


def _wanted(canvas: Canvas) -> Sequence[LogView]:
    wanted = canvas.wanted.lower()
    return [
        line
        for line in canvas.snapshot.log
        if any(wanted in part.lower() for part in (line.text, line.title, line.type, line.task_id))
    ]


def _table(canvas: Canvas, lines: Sequence[LogView]) -> Table:
    columns = (
        Column("TIME", 8), Column("TITLE", 32, 12), Column("TYPE", 16, 6, rank=1), Column("ID", 6, rank=2),
    )  # fmt: skip
    return table(canvas, columns, [_line(line) for line in lines], "WHAT", beside=0.65)


def _line(line: LogView) -> Line:
    style = STYLES.get(line.level, "")
    cells = (
        clock(line.at_ms),
        line.title,
        line.type,
        short_id(line.task_id) if line.task_id else "",
    )
    return Line(("     ",), cells, line.text, note_style=style)
