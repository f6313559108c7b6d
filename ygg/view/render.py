"""One frame from one Snapshot: `render(snapshot, width, height)`, a pure function to padded rows.

Rows are given out by a budget: header, alerts and hosts first; running gets up to a third of what is
left, the log two rows, recent ends at least three, the waiting tasks the rest. From 120 columns on, recent
ends stand beside the waiting tasks. Below 60x16 there is only the header and the hosts.
"""

from __future__ import annotations

from itertools import zip_longest

from ygg.model import HostHealth, Snapshot, State
from ygg.view import hosts, panes, tasks
from ygg.view.frame import ASCII, COLOURS, PLAIN, UNICODE, Canvas, Row, Span
from ygg.view.text import clock, duration
from ygg.view.ui import Ui

MIN_WIDTH, MIN_HEIGHT = 60, 16
BESIDE_FROM = 120  #: columns from which two panels stand side by side
HEADERS_FROM = 28  #: rows from which panels have headers
KEYS = " q quit  p pause  d drain  h hosts  t tasks  / filter  l log  ? help"


def render(
    snapshot: Snapshot,
    width: int,
    height: int,
    *,
    ascii: bool = False,  # noqa: A002 - the word of the option
    colour: bool = True,
    ui: Ui | None = None,
) -> list[Row]:
    """Exactly `height` rows of `width` columns."""
    ui = ui or Ui()
    canvas = Canvas(
        snapshot, width, ASCII if ascii else UNICODE, COLOURS if colour else PLAIN, ui.wanted
    )
    rows = [_header(canvas), *_alerts(canvas)]
    room = height - 1 - len(rows)
    if ui.pane:
        rows += panes.rows(canvas, ui, room)
    else:
        rows += _body(canvas, room, height)
    rows = rows[: height - 1]
    rows += [canvas.blank()] * (height - 1 - len(rows))
    return [*rows, _footer(canvas, ui)][-height:]


def _header(canvas: Canvas) -> Row:
    """Uptime, hosts, queue, running, done, failed, rate, time to drain; the first go when room is short. What waits
    for its time or for a person is there as long as there is any."""
    s, count = canvas.snapshot, canvas.snapshot.counts.state
    up = sum(h.health is HostHealth.UP for h in s.hosts)
    rate = "--" if s.per_minute is None else f"{s.per_minute:.1f}"
    parts = {
        "up": f"up {duration((s.at_ms - s.started_ms) / 1000)}",
        "hosts": f"{up}/{len(s.hosts)} hosts",
        "queue": f"queue {count(State.QUEUED)}",
        "later": f"later {count(State.SCHEDULED)}" if count(State.SCHEDULED) else "",
        "running": f"{'running' if canvas.wide else 'run'} {len(s.running)}",
        "done": f"done {count(State.COMPLETED)}",
        "failed": f"failed {count(State.FAILED)}",
        "blocked": f"blocked {count(State.BLOCKED)}" if count(State.BLOCKED) else "",
        "rate": f"{rate}/min",
        "drain": f"drain {_about(s)}",
    }
    at = clock(s.at_ms) + " "
    parts = {name: text for name, text in parts.items() if text}
    for name in ("up", "hosts", "rate", "drain", "failed", "later"):
        if len("  ".join([" ygg", *parts.values()])) + 2 + len(at) > canvas.width:
            parts.pop(name, None)
    text = "  ".join([" ygg", *parts.values()])
    space = canvas.width - len(text) - len(at)
    return canvas.row(text + " " * max(1, space) + at, style="bold")


def _about(s: Snapshot) -> str:
    """`unknown` where tasks wait and nothing is known of how long they take."""
    if s.drain_ms is not None:
        return f"~{duration(s.drain_ms / 1000)}"
    waits = s.counts.state(State.QUEUED) and not s.paused and not s.draining
    return "unknown" if waits else "--"


def _alerts(canvas: Canvas) -> list[Row]:
    s, found = canvas.snapshot, []
    if s.store_error:
        found.append(canvas.row(f" ! store: {s.store_error}", style="alert"))
    if s.config_error:
        found.append(canvas.row(f" ! hosts.yaml: {s.config_error}", style="alert"))
    if s.draining:
        text = f" ! draining: {len(s.running)} calls still run, nothing new starts"
        found.append(canvas.row(text, style="alert"))
    elif s.paused:
        found.append(canvas.row(" ! dispatch is paused: p, or ygg queue resume", style="alert"))
    return found


def _body(canvas: Canvas, room: int, height: int) -> list[Row]:
    roomy = height >= HEADERS_FROM
    rows = [canvas.rule("HOSTS")] if roomy else []
    rows += hosts.rows(canvas, header=roomy and canvas.wide)
    if canvas.width < MIN_WIDTH or height < MIN_HEIGHT:
        return rows
    return rows + _tasks(canvas, room - len(rows))


def _tasks(canvas: Canvas, room: int) -> list[Row]:
    log = min(2, len(canvas.snapshot.log)) if room > 12 else 0
    heads = 2 if canvas.wide else 1
    wanted = heads + max(1, len(canvas.running()))
    running = tasks.running_rows(canvas, min(wanted, max(2, room // 3 + heads)))
    left = room - len(running) - (log + 1 if log else 0)
    out = running + (_beside if canvas.width >= BESIDE_FROM else _below)(canvas, left)
    out += [canvas.blank()] * (room - len(out) - (log + 1 if log else 0))
    if log:
        out.append(canvas.rule("LOG"))
        out += [canvas.row(f" {line}", style="dim") for line in canvas.snapshot.log[-log:]]
    return out


def _below(canvas: Canvas, room: int) -> list[Row]:
    """Waiting tasks above recent ends, which get three rows, or what the waiting ones leave."""
    ends, waits = len(canvas.recent()), len(canvas.waiting())
    least = 4 if room >= 8 else room // 2
    recent = min(ends + 1, max(least, room - waits - 2))
    return tasks.waiting_rows(canvas, room - recent) + tasks.recent_rows(canvas, recent)


def _beside(canvas: Canvas, room: int) -> list[Row]:
    """Waiting tasks on the left, recent ends on the right."""
    right = min(60, max(54, canvas.width * 2 // 5))
    left_half, right_half = (
        Canvas(canvas.snapshot, columns, canvas.glyphs, canvas.styles, canvas.wanted)
        for columns in (canvas.width - right - 1, right)
    )
    waiting = tasks.waiting_rows(left_half, room)
    recent = tasks.recent_rows(right_half, room)
    pairs = zip_longest(waiting, recent)
    return [
        Row((*(a or left_half.blank()).spans, Span(" "), *(b or right_half.blank()).spans))
        for a, b in pairs
    ]


def _footer(canvas: Canvas, ui: Ui) -> Row:
    if ui.typing:
        return canvas.row(f" /{ui.wanted}_   Enter keeps it, Esc shows all", style="bold")
    if ui.old:
        return canvas.row(f" what you see is old: {ui.old}", style="alert")
    if ui.note:
        return canvas.row(f" {ui.note}", style="bold")
    shown = f" showing only {ui.wanted!r}, Esc shows all; " if ui.wanted else ""
    return canvas.row(shown + (KEYS if not ui.pane else " Esc back " + KEYS), style="dim")
