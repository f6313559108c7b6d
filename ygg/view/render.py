"""One frame from one Snapshot: `render(snapshot, width, height)`, a pure function to padded rows.

Rows are given out by need: header, alerts and hosts first, hosts half of the frame at most; of what is left each panel
of tasks gets a few, then what runs all it needs, then what comes next, then what has ended, and the log what remains.
Nothing is blank while something is cut. Below 60x16 there is only the header and the hosts.
"""

from __future__ import annotations

from ygg.model import HostHealth, Priority, Snapshot, State
from ygg.plain import counted
from ygg.view import hosts, panels, panes
from ygg.view.frame import ASCII, COLOURS, PLAIN, UNICODE, Canvas, Row
from ygg.view.text import age, clock, duration
from ygg.view.ui import Ui

MIN_WIDTH, MIN_HEIGHT = 60, 16
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
        snapshot, width, height, ASCII if ascii else UNICODE, COLOURS if colour else PLAIN, ui.wanted,
    )  # fmt: skip
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
    """Hosts, what runs and waits, what ended badly, rate, time to empty; the first of `_SPARED` go when room is short.
    What waits for its time or for a person is there as long as there is any."""
    s, count = canvas.snapshot, canvas.snapshot.counts.state
    up = sum(h.health is HostHealth.UP for h in s.hosts)
    urgent = s.counts.priority(Priority.CRITICAL, State.QUEUED)
    parts = {
        "up": f"up {duration((s.at_ms - s.started_ms) / 1000)}",
        "hosts": f"{up}/{len(s.hosts)} hosts up",
        "running": f"running {len(s.running)}",
        "queued": f"queued {count(State.QUEUED)}" + (f" (C {urgent})" if urgent else ""),
        "later": f"later {count(State.SCHEDULED)}" if count(State.SCHEDULED) else "",
        "blocked": f"blocked {count(State.BLOCKED)}" if count(State.BLOCKED) else "",
        "done": f"done {count(State.COMPLETED)}",
        "failed": f"failed {count(State.FAILED)}" if count(State.FAILED) else "",
        "rate": "--/min" if s.per_minute is None else f"{s.per_minute:.1f}/min",
        "empty": _about(s),
    }
    at = clock(s.at_ms) + " "
    parts = {name: text for name, text in parts.items() if text}
    for name in ("", *_SPARED):
        parts.pop(name, None)
        text = "  ".join([" ygg", *parts.values()])
        if len(text) + 2 + len(at) <= canvas.width:
            break
    return canvas.row(text + " " * max(1, canvas.width - len(text) - len(at)) + at, style="bold")


_SPARED = ("up", "done", "rate", "failed", "empty", "later", "hosts")


def _about(s: Snapshot) -> str:
    """When the last waiting task starts; `unknown` where nothing is known of how long they take."""
    if s.drain_ms is not None:
        return f"empty in ~{duration(s.drain_ms / 1000)}"
    waits = s.counts.state(State.QUEUED) and not s.paused and not s.draining
    return "empty in: unknown" if waits else ""


def _alerts(canvas: Canvas) -> list[Row]:
    s, found = canvas.snapshot, []
    if s.store_error:
        found.append(canvas.row(f" ! store: {s.store_error}", style="alert"))
    if s.config_error:
        found.append(canvas.row(f" ! hosts.yaml: {s.config_error}", style="alert"))
    if s.notify_error:
        found.append(canvas.row(f" ! notify: {s.notify_error}", style="alert"))
    if s.exposed:
        found.append(canvas.row(f" ! {s.exposed}", style="alert"))
    if s.draining:
        found.append(canvas.row(f" ! {_draining(s)}", style="alert"))
    elif s.paused:
        found.append(canvas.row(" ! dispatch is paused: p, or ygg queue resume", style="alert"))
    return found


def _draining(s: Snapshot) -> str:
    """How long it still waits, and what ends that."""
    running = counted(len(s.running), "call")
    if not s.running:
        return "draining: nothing runs any more, nothing new starts"
    left = (
        "" if s.cut_off_ms is None else f" for {age(max(0, s.cut_off_ms - s.at_ms) / 1000)} at most"
    )
    return f"draining: waits for {running}{left}; Ctrl-C cuts off now, ygg retry --blocked later"


def _body(canvas: Canvas, room: int, height: int) -> list[Row]:
    if canvas.width < MIN_WIDTH or height < MIN_HEIGHT:
        return hosts.rows(canvas, room)
    rows = hosts.rows(canvas, room // 2 + 1)
    return rows + panels.rows(canvas, room - len(rows))


def _footer(canvas: Canvas, ui: Ui) -> Row:
    if ui.typing:
        return canvas.row(f" /{ui.wanted}_   Enter keeps it, Esc shows all", style="bold")
    if ui.old:
        return canvas.row(f" what you see is old: {ui.old}", style="alert")
    if ui.note:
        return canvas.row(f" {ui.note}", style="bold")
    shown = f" showing only {ui.wanted!r}, Esc shows all; " if ui.wanted else ""
    return canvas.row(shown + (KEYS if not ui.pane else " Esc back " + KEYS), style="dim")
