"""Lines of the log: when, which task, and what was said."""

from __future__ import annotations

from collections.abc import Sequence

from ygg.model import LogView
from ygg.view.frame import Canvas, Row, short_id
from ygg.view.table import Column, Line, Table, table
from ygg.view.text import clock

STYLES = {"WARNING": "warn", "ERROR": "bad", "CRITICAL": "bad"}


def panel(canvas: Canvas, room: int) -> list[Row]:
    """The newest lines, one row each."""
    found = _wanted(canvas)[-max(0, room - 1) :]
    if room < 2 or not found:
        return []
    heads = _table(canvas, found).heads("LOG")
    found = found[-max(0, room - len(heads)) :] if room > len(heads) else []
    listed = _table(canvas, found)
    return [*heads, *(listed.rows(_line(line))[0] for line in found)] if found else []


def pane(canvas: Canvas, room: int) -> list[Row]:
    """The newest lines, each to its end."""
    found = _wanted(canvas)[-max(1, room) :]
    listed = _table(canvas, found)
    heads = listed.heads("LOG")
    rows = [row for line in found for row in listed.rows(_line(line))]
    return [*heads, *rows[-max(1, room - len(heads)) :]]


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
