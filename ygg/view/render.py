"""One frame from one Snapshot: `render(snapshot, width, height)`, a pure function to padded rows.

Rows are built as plain padded strings with a style each, because rich's Layout and Table cost ten times
as much. Rows are given out by a budget: header, hosts, then running, waiting, recent and log share what
is left. State is a glyph and a word, never colour alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ygg.model import EndView, HostHealth, HostView, RunningView, Snapshot, State, WaitingView
from ygg.view.text import clock, duration, fit


class Row(NamedTuple):
    """One line of the frame, padded to its width. `style` is a rich style or ""."""

    text: str
    style: str = ""


class Glyphs(NamedTuple):
    up: str
    down: str
    unsure: str
    busy: str
    free: str
    gone: str
    done: str
    failed: str
    line: str


UNICODE = Glyphs("●", "✗", "◌", "■", "□", "·", "✓", "✗", "─")
ASCII = Glyphs("o", "x", "?", "#", ".", "-", "+", "x", "-")
MIN_WIDTH, MIN_HEIGHT = 60, 16  #: below: header and hosts only


def render(snapshot: Snapshot, width: int, height: int, *, plain: bool = False) -> list[Row]:
    """Exactly `height` rows of `width` columns; `plain` keeps to ASCII."""
    frame = _Frame(snapshot, width, ASCII if plain else UNICODE)
    rows = [frame.header(), *frame.alerts(), *frame.hosts()]
    if width >= MIN_WIDTH and height >= MIN_HEIGHT:
        rows += frame.body(height - len(rows) - 1)
    rows = rows[: height - 1]
    rows += [Row(" " * width)] * (height - 1 - len(rows))
    return [*rows, frame.footer()]


class _Frame:
    def __init__(self, snapshot: Snapshot, width: int, glyphs: Glyphs) -> None:
        self.s, self.width, self.g = snapshot, width, glyphs

    def row(self, text: str, style: str = "") -> Row:
        return Row(fit(text, self.width), style)

    def rule(self, title: str) -> Row:
        text = f"{self.g.line * 2} {title} "
        return Row(fit(text + self.g.line * (self.width - len(text)), self.width), "dim")

    # --- top -----------------------------------------------------------------------------------

    def header(self) -> Row:
        s, count = self.s, self.s.counts.state
        up = sum(h.health is HostHealth.UP for h in s.hosts)
        queue = count(State.QUEUED) + count(State.SCHEDULED)
        text = (
            f" ygg  up {duration((s.at_ms - s.started_ms) / 1000)}  {up}/{len(s.hosts)} hosts"
            f"  queue {queue}  running {len(s.running)}  done {count(State.COMPLETED)}"
            f"  failed {count(State.FAILED)}"
        )
        at = clock(s.at_ms) + " "
        space = self.width - len(text) - len(at)
        return self.row(text + " " * max(1, space) + at, "bold")

    def alerts(self) -> list[Row]:
        s, found = self.s, []
        if s.store_error:
            found.append(self.row(f" ! store: {s.store_error}", "bold red"))
        if s.draining:
            found.append(self.row(f" ! draining: {len(s.running)} calls still run", "bold yellow"))
        elif s.paused:
            found.append(self.row(" ! dispatch is paused", "bold yellow"))
        return found

    def hosts(self) -> list[Row]:
        return [self.host(h) for h in self.s.hosts]

    def host(self, host: HostView) -> Row:
        glyph, word, style = self._health(host)
        busy = min(len(host.running), host.slots)
        free = max(0, min(host.limit, host.slots) - busy)
        gone = host.slots - busy - free
        marks = self.g.busy * busy + self.g.free * free + self.g.gone * gone
        models = ", ".join(host.models)
        text = (
            f" {glyph} {fit(host.name, 16)} {fit(word, 9)} {fit(marks, 10)}"
            f" {busy}/{host.limit:<3} {fit(models, max(8, self.width - 52))}"
        )
        note = host.health_text if style == "red" else ""
        return self.row(text if not note else f"{text[:46].rstrip()}  {note}", style)

    def _health(self, host: HostView) -> tuple[str, str, str]:
        if host.drained:
            return self.g.unsure, "drained", "yellow"
        if host.health is HostHealth.UP:
            pausing = host.busy_until_ms is not None
            return (self.g.up, "busy", "yellow") if pausing else (self.g.up, "up", "")
        if host.health is HostHealth.UNKNOWN:
            return self.g.unsure, "--", "dim"
        word = "down" if host.health is HostHealth.DOWN else "no access"
        return self.g.down, word, "red"

    # --- body ----------------------------------------------------------------------------------

    def body(self, rows: int) -> list[Row]:
        """Running up to a third, the log two rows, recent at least three, waiting the rest."""
        s = self.s
        log = min(2, len(s.log)) if rows > 12 else 0
        running = min(len(s.running), max(1, rows // 3))
        rest = rows - running - 3 - (log + 1 if log else 0)
        recent = max(min(len(s.recent), 3), min(len(s.recent), rest // 2))
        waiting = max(0, rest - recent)
        out = [self.rule(f"RUNNING {len(s.running)}"), *self._running(running)]
        out += [self.rule("NEXT UP"), *self._waiting(waiting)]
        out += [self.rule("RECENT"), *self._recent(recent)]
        if log:
            out += [self.rule("LOG"), *(self.row(f" {line}", "dim") for line in s.log[-log:])]
        return out

    def _running(self, rows: int) -> list[Row]:
        chosen = sorted(self.s.running, key=lambda r: r.started_ms)[:rows]
        return [self.running(r) for r in chosen] or [self.row("   nothing runs", "dim")]

    def running(self, run: RunningView) -> Row:
        elapsed = duration((self.s.at_ms - run.started_ms) / 1000)
        fixed = (
            f"   {run.task_id[-6:]} P{int(run.priority)} {fit(run.type, 15)} {fit(run.host, 15)}"
            f" {fit(elapsed, 6, right=True)} {run.tokens:>5}t try {run.attempt}"
        )
        return self.row(f"{fixed}  {run.title or run.model}")

    def _waiting(self, rows: int) -> list[Row]:
        return [self.waiting(w) for w in self.s.waiting[: max(0, rows)]]

    def waiting(self, task: WaitingView) -> Row:
        age = duration((self.s.at_ms - task.created_ms) / 1000)
        return self.row(
            f"   {task.task_id[-6:]} P{int(task.priority)} {fit(task.type, 15)}"
            f" {fit(age, 6, right=True)}  {task.reason.text}"
        )

    def _recent(self, rows: int) -> list[Row]:
        ends: Sequence[EndView] = self.s.recent[-rows:] if rows > 0 else ()
        return [self.ended(e) for e in reversed(ends)]

    def ended(self, end: EndView) -> Row:
        good = end.state is State.COMPLETED
        took = duration(end.took_ms / 1000) if end.took_ms is not None else "--"
        tokens = "--" if end.output_tokens is None else str(end.output_tokens)
        glyph = self.g.done if good else self.g.failed
        text = (
            f" {glyph} {end.task_id[-6:]} {fit(end.host or '--', 15)} {fit(took, 6, right=True)}"
            f" {tokens:>5}t  {end.state}{'' if good else ': ' + end.reason}"
        )
        return self.row(text, "" if good else "yellow")

    def footer(self) -> Row:
        return self.row(" Ctrl-C drains and stops; a second one stops now", "dim")
