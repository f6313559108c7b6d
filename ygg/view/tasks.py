"""The task panels: running, next up with the reason each waits, recent ends."""

from __future__ import annotations

from ygg.model import EndView, Priority, RunningView, State, WaitingView
from ygg.view.frame import Canvas, Row, short_id
from ygg.view.text import duration, fit

NARROW = 70  #: columns below which ends leave out their type


def running_rows(canvas: Canvas, room: int) -> list[Row]:
    """A title and up to `room - 1` calls, below a header of columns on a wide frame."""
    calls = canvas.running()
    nothing = f"nothing with {canvas.wanted!r} runs" if canvas.wanted else "nothing runs"
    out = [canvas.rule(f"RUNNING {len(canvas.snapshot.running)}")]
    if canvas.wide and room > 3:
        out.append(_running_header(canvas))
    out += [running(canvas, r) for r in calls[: room - len(out)]]
    return out if calls else [*out, canvas.row(f"   {nothing}", style="dim")][:room]


def _running_header(canvas: Canvas) -> Row:
    kind, where = fit("TYPE", canvas.type_width), fit("HOST", canvas.host_width)
    cells = ("ID    ", "P ", kind, where, fit("MODEL", canvas.model_width), "ELAPSED", " TOKENS",
             fit("TOK/S", 8, right=True), "TRY", "TITLE")  # fmt: skip
    return canvas.row("   " + " ".join(cells), style="dim")


def running(canvas: Canvas, run: RunningView) -> Row:
    """One call in flight."""
    at = canvas.snapshot.at_ms
    elapsed = fit(duration((at - run.started_ms) / 1000), 7 if canvas.wide else 6, right=True)
    rate = run.rate(at)
    speed = fit(
        "--" if rate is None else f"{rate:.1f}" + ("" if canvas.wide else " t/s"), 8, right=True
    )
    kind, where = fit(run.type, canvas.type_width), fit(run.host, canvas.host_width)
    who = f"   {short_id(run.task_id)} P{int(run.priority)} {kind} {where}"
    if not canvas.wide:
        return canvas.row(f"{who} {elapsed} {speed}  {run.title or run.model}")
    tokens = fit(str(run.tokens) if run.tokens else "--", 7, right=True)
    return canvas.row(
        f"{who} {fit(run.model, canvas.model_width)} {elapsed} {tokens} {speed} {run.attempt:>3} {run.title}"
    )


def waiting_rows(canvas: Canvas, room: int) -> list[Row]:
    """A title with the queue by priority, and what starts next with the reason it waits."""
    counts = canvas.snapshot.counts
    by = [(p, counts.priority(p, State.QUEUED)) for p in Priority]
    total = sum(n for _, n in by)
    levels = "  ".join(f"P{int(p)} {n}" for p, n in by if n)
    out = [canvas.rule(f"NEXT UP {total}" + (f"  {levels}" if levels else ""))]
    tasks = canvas.waiting()
    shown = tasks[: room - 1 if len(tasks) < room else room - 2]
    out += [waiting(canvas, w) for w in shown]
    left = max(total, len(tasks)) - len(shown)
    more = left > 0 and shown and len(out) < room and not canvas.wanted
    return [*out, canvas.row(f"   {left} more: ygg list --queue", style="dim")] if more else out


def waiting(canvas: Canvas, task: WaitingView) -> Row:
    """One waiting task: how long, when it is expected to start, and why it waits."""
    age = fit(duration((canvas.snapshot.at_ms - task.created_ms) / 1000), 6, right=True)
    expected = "" if task.expected_ms is None else f"~{duration(task.expected_ms / 1000)}"
    kind = fit(task.type, canvas.type_width)
    return canvas.row(
        f"   {short_id(task.task_id)} P{int(task.priority)} {kind} {age} {fit(expected, 7, right=True)}"
        f"  {task.reason.text}"
    )


def recent_rows(canvas: Canvas, room: int) -> list[Row]:
    return [canvas.rule("RECENT"), *(ended(canvas, e) for e in canvas.recent()[: room - 1])]


def ended(canvas: Canvas, end: EndView) -> Row:
    """One end: where, how long, how fast, and what came of it."""
    good = end.state is State.COMPLETED
    took = "--" if end.took_ms is None else duration(end.took_ms / 1000)
    speed = "--"
    if end.output_tokens and end.took_ms:
        speed = f"{end.output_tokens * 1000 / end.took_ms:.0f} t/s"
    glyph = (canvas.glyphs.done, "good") if good else (canvas.glyphs.failed, "warn")
    kind = f" {fit(end.type or '--', canvas.type_width)}" if canvas.width >= NARROW else ""
    where = fit(end.host or "--", canvas.host_width)
    outcome = str(end.state) if good or end.reason == end.state else f"{end.state}: {end.reason}"
    return canvas.row(
        " ", glyph, f" {short_id(end.task_id)}{kind} {where}"
        f" {fit(took, 6, right=True)} {fit(speed, 8, right=True)}  {outcome}",
        style="" if good else "warn",
    )  # fmt: skip
