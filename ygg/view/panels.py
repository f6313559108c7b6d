"""The panels of tasks, and how they share the rows that the hosts leave."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from ygg.model import Priority, State
from ygg.view import logs, tasks
from ygg.view.frame import Canvas, Row
from ygg.view.table import Table

T = TypeVar("T")
LEAST = 4  #: rows of a panel that has as many to show, before another gets more


@dataclass(frozen=True)
class Panel:
    """Heads, and the rows of each entry. `more`: entries there are beside those; `hint`: where the ones that are not
    shown are found, "" where nobody has to be told."""

    canvas: Canvas
    heads: list[Row]
    blocks: list[list[Row]]
    more: int = 0
    hint: str = ""

    @property
    def needs(self) -> int:
        """Rows that show all of it."""
        return len(self.heads) + sum(map(len, self.blocks)) + bool(self.more and self.hint)

    def rows(self, room: int) -> list[Row]:
        """Whole entries, as many as fit, and how many more there are."""
        left = room - len(self.heads)
        if left <= 0:
            return []
        shown, fewer = self._fitting(left), self._fitting(left - 1)
        if not self.hint or not self._hidden(shown) or fewer < min(shown, 1):
            return [*self.heads, *self._first(shown)]
        shown = fewer
        text = f"{self._hidden(shown)} more{self.hint}"
        return [*self.heads, *self._first(shown), self.canvas.row("     ", text, style="dim")]

    def _hidden(self, shown: int) -> int:
        return len(self.blocks) - shown + self.more

    def _first(self, shown: int) -> list[Row]:
        return [row for block in self.blocks[:shown] for row in block]

    def _fitting(self, room: int) -> int:
        for n, block in enumerate(self.blocks):
            room -= len(block)
            if room < 0:
                return n
        return len(self.blocks)


def rows(canvas: Canvas, room: int) -> list[Row]:
    """All panels; the log has what the others leave."""
    panels = [_running(canvas, room), _waiting(canvas, room), _recent(canvas, room)]
    shares = shared(room, [panel.needs for panel in panels])
    drawn = [panel.rows(n) for panel, n in zip(panels, shares, strict=True)]
    for n, panel in enumerate(panels):  # an entry that did not fit whole has left rows behind
        drawn[n] = panel.rows(len(drawn[n]) + room - sum(map(len, drawn)))
    out = [row for part in drawn for row in part]
    return out + logs.rows(canvas, room - len(out))


def shared(room: int, needs: Sequence[int]) -> list[int]:
    """Rows of each: first a few for every one, then all that the first ones need."""
    found = [min(need, LEAST) for need in needs]
    while sum(found) > room:
        found[found.index(max(found))] -= 1
    left = room - sum(found)
    for n, need in enumerate(needs):
        more = min(left, need - found[n])
        found[n], left = found[n] + more, left - more
    return found


def _running(canvas: Canvas, room: int) -> Panel:
    found, total = canvas.running(), len(canvas.snapshot.running)
    title = _title(canvas, "RUNNING", len(found), total)
    if not found:
        return _nothing(canvas, title, "runs")
    return _panel(canvas, room, tasks.running, found, title, hint=": ygg list --state processing")


def _waiting(canvas: Canvas, room: int) -> Panel:
    found, counts = canvas.waiting(), canvas.snapshot.counts
    by = {p.name[0]: counts.priority(p, State.QUEUED) for p in Priority}
    by |= {"later": counts.state(State.SCHEDULED)}
    total = sum(by.values())
    title = _title(canvas, "NEXT UP", len(found), total)
    if not found:
        return _nothing(canvas, title, "waits")
    note = "  ".join(f"{k} {n}" for k, n in by.items() if n)
    if canvas.wanted:
        return _panel(canvas, room, tasks.waiting, found, title, note)
    more = max(0, total - len(found))
    return _panel(canvas, room, tasks.waiting, found, title, note, more, ": ygg list --queue")


def _recent(canvas: Canvas, room: int) -> Panel:
    found = canvas.recent()
    if not found:
        return _nothing(canvas, "RECENT", "has ended yet")
    return _panel(canvas, room, tasks.recent, found, "RECENT")


def _panel(
    canvas: Canvas,
    room: int,
    draw: Callable[[Canvas, Sequence[T]], Table],
    found: Sequence[T],
    title: str,
    note: str = "",
    more: int = 0,
    hint: str = "",
) -> Panel:
    """No more entries than there are rows."""
    listed = draw(canvas, found[:room])
    more += len(found) - len(listed.lines)
    return Panel(canvas, listed.heads(title, note), listed.blocks(), more, hint)


def _title(canvas: Canvas, name: str, found: int, total: int) -> str:
    return f"{name} {found} of {total}" if canvas.wanted else f"{name} {total}"


def _nothing(canvas: Canvas, title: str, verb: str) -> Panel:
    what = f"nothing with {canvas.wanted!r} {verb}" if canvas.wanted else f"nothing {verb}"
    return Panel(canvas, [canvas.rule(title)], [[canvas.row("     ", what, style="dim")]])
