"""The task panels: what runs, what comes next and why not now, what has ended and how."""

from __future__ import annotations

from collections.abc import Sequence

from ygg.model import EndView, Priority, RunningView, State, WaitingView
from ygg.plain import counted
from ygg.view.frame import Canvas, Part, short_id
from ygg.view.table import Column, Line, Table, table
from ygg.view.text import clock, duration, fit

BAR = 10
TYPE = Column("TYPE", 16, 6)


def _title(canvas: Canvas) -> Column:
    return Column("TITLE", 60, 24 if canvas.wide else 14, grows=True)


def _mark(canvas: Canvas, priority: Priority, glyph: Part = " ") -> tuple[Part, ...]:
    return " ", glyph, " ", (priority.name[0], priority.name), " "


def place(host: str | None, endpoint: str = "") -> str:
    """A host, and which of its servers."""
    return f"{host or '--'}/{endpoint}" if endpoint else host or "--"


# --- running --------------------------------------------------------------------------------------


def running(canvas: Canvas, runs: Sequence[RunningView]) -> Table:
    progress = 16 if canvas.wide else 12
    columns = (
        _title(canvas), TYPE, Column("HOST · MODEL", 44, 12), Column("ELAPSED", 7, right=True),
        Column("PROGRESS", progress), Column("TOK/S", 7, right=True, rank=2), Column("TRY", 3, right=True, rank=1),
        Column("ID", 6, rank=3),
    )  # fmt: skip
    return table(canvas, columns, [_running(canvas, r) for r in runs])


def _running(canvas: Canvas, run: RunningView) -> Line:
    """One call in flight."""
    at = canvas.snapshot.at_ms
    rate = run.rate(at)
    cells: tuple[Part, ...] = (
        run.title, run.type, f"{place(run.host, run.endpoint)} · {run.model}",
        duration((at - run.started_ms) / 1000), _progress(canvas, run),
        "--" if rate is None else f"{rate:.1f}", str(run.attempt) if run.attempt > 1 else "", short_id(run.task_id),
    )  # fmt: skip
    return Line(_mark(canvas, run.priority), cells)


def _progress(canvas: Canvas, run: RunningView) -> Part:
    """Against how long it will be, where that is known, else what there is of it."""
    if run.progress is None:
        return counted(run.tokens, "token") if run.tokens else ("--", "dim")
    percent = fit(f"{run.progress} %", 5, right=True)
    if not canvas.wide:
        return percent
    full = round(run.progress * BAR / 100)
    return f"{canvas.glyphs.full * full}{canvas.glyphs.empty * (BAR - full)} {percent}"


# --- next up --------------------------------------------------------------------------------------


def waiting(canvas: Canvas, tasks: Sequence[WaitingView]) -> Table:
    columns = (
        _title(canvas), TYPE, Column("WAITED", 7, right=True, rank=1), Column("STARTS", 11 if canvas.wide else 8), Column("ID", 6, rank=2),
    )  # fmt: skip
    return table(
        canvas,
        columns,
        [_waiting(canvas, w) for w in tasks],
        "WHY NOT NOW",
        beside=0.4 if canvas.wide else 0.5,
    )


def _waiting(canvas: Canvas, task: WaitingView) -> Line:
    """One waiting task: since when, when it is expected to start, and why it waits."""
    waited = duration((canvas.snapshot.at_ms - task.created_ms) / 1000)
    cells = (task.title, task.type, waited, starts(canvas, task), short_id(task.task_id))
    return Line(_mark(canvas, task.priority), cells, task.reason.text, note_style="")


def starts(canvas: Canvas, task: WaitingView) -> str:
    """When: by the clock where that is given, else about."""
    at, about = ("at ", "in ~") if canvas.wide else ("", "~")
    if task.due_ms is not None:
        return f"{at}{clock(task.due_ms)}"
    return "--" if task.expected_ms is None else f"{about}{duration(task.expected_ms / 1000)}"


# --- recent ---------------------------------------------------------------------------------------


def recent(canvas: Canvas, ends: Sequence[EndView]) -> Table:
    columns = (
        _title(canvas), TYPE, Column("HOST", 20, 8), Column("TOOK", 6, right=True), Column("TOKENS", 7, right=True, rank=1),
        Column("TOK/S", 6, right=True, rank=2), Column("ID", 6, rank=3),
    )  # fmt: skip
    return table(canvas, columns, [_ended(canvas, e) for e in ends], " ")


def _ended(canvas: Canvas, end: EndView) -> Line:
    """One end: where, how long, how fast, and what came of it."""
    g, good = canvas.glyphs, end.state is State.COMPLETED
    again = end.state in (State.QUEUED, State.SCHEDULED)
    glyph = (g.done, "good") if good else (g.back, "dim") if again else (g.failed, "bad")
    tokens = good and end.output_tokens
    speed = f"{tokens * 1000 / end.took_ms:.0f}" if tokens and end.took_ms else ""
    cells: tuple[Part, ...] = (
        end.title, end.type, end.host or "--", duration(None if end.took_ms is None else end.took_ms / 1000),
        f"{tokens:,}" if tokens else "", speed, short_id(end.task_id),
    )  # fmt: skip
    return Line(
        _mark(canvas, end.priority, glyph), cells, "" if good else outcome(end), note_style="warn"
    )


_WORDS = {State.QUEUED: "back in the queue", State.SCHEDULED: "tried again later"}


def outcome(end: EndView) -> str:
    """How it ended and why, and what to type where a person has to."""
    word, why = _WORDS.get(end.state, str(end.state)), end.detail or end.reason.replace("_", " ")
    said = word if why == end.state else f"{word}: {why}"
    asks = end.state in (State.FAILED, State.BLOCKED) and "ygg retry" not in said
    return f"{said}; ygg retry {short_id(end.task_id)}" if asks else said
