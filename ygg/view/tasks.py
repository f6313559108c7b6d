"""The task panels: running, next up with the reason each waits, recent ends."""

from __future__ import annotations

from ygg.model import EndView, Priority, RunningView, State, WaitingView
from ygg.view.frame import Canvas, Row, short_id
from ygg.view.text import duration, fit


def running_rows(canvas: Canvas, room: int) -> list[Row]:
    """A title and up to `room - 1` calls, below a header of columns on a wide frame."""
    calls = canvas.running()
    out = [canvas.rule(f"RUNNING {len(canvas.snapshot.running)}")]
    if canvas.wide and room > 3:
        out.append(_running_header(canvas))
    out += [running(canvas, r) for r in calls[: room - len(out)]]
    return out if calls else [*out, canvas.row("   nothing runs", style="dim")][:room]


def _running_header(canvas: Canvas) -> Row:
    cells = ("ID    ", "P ", fit("TYPE", 16), fit("HOST", 16), fit("MODEL", 18), "ELAPSED",
             " TOKENS", fit("TOK/S", 8, right=True), "TRY", "TITLE")  # fmt: skip
    return canvas.row("   " + " ".join(cells), style="dim")


def running(canvas: Canvas, run: RunningView) -> Row:
    """One call in flight."""
    at = canvas.snapshot.at_ms
    elapsed = fit(duration((at - run.started_ms) / 1000), 7 if canvas.wide else 6, right=True)
    rate = run.rate(at)
    speed = fit(
        "--" if rate is None else f"{rate:.1f}" + ("" if canvas.wide else " t/s"), 8, right=True
    )
    who = f"   {short_id(run.task_id)} P{int(run.priority)} "
    if not canvas.wide:
        text = (
            f"{fit(run.type, 12)} {fit(run.host, 14)} {elapsed} {speed}  {run.title or run.model}"
        )
        return canvas.row(who + text)
    tokens = fit(str(run.tokens) if run.tokens else "--", 7, right=True)
    text = (
        f"{fit(run.type, 16)} {fit(run.host, 16)} {fit(run.model, 18)} {elapsed} {tokens} {speed}"
    )
    return canvas.row(f"{who}{text} {run.attempt:>3} {run.title}")


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
    kind = fit(task.type, 16 if canvas.wide else 12)
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
    where = fit(end.host or "--", 16 if canvas.wide else 14)
    outcome = str(end.state) if good or end.reason == end.state else f"{end.state}: {end.reason}"
    return canvas.row(
        " ", glyph, f" {short_id(end.task_id)} {fit(end.type or '--', 12)} {where}"
        f" {fit(took, 6, right=True)} {fit(speed, 8, right=True)}  {outcome}",
        style="" if good else "warn",
    )  # fmt: skip
