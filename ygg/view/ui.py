"""What keys do to the view: (ui, key, snapshot) -> (ui, action), a pure function.

The view itself never changes the dispatcher: `p` and `d` become actions which the driver performs, and
with `readonly` they become a word in the footer.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from ygg.model import Snapshot
from ygg.plain import counted

PANES = {"t": "task", "h": "host", "l": "log", "?": "help"}


@dataclass(frozen=True)
class Ui:
    """What a person has chosen to see."""

    pane: str = ""  #: "", task, host, log or help
    cursor: int = 0
    wanted: str = ""  #: the filter
    typing: bool = False  #: keys go to the filter
    note: str = ""  #: a word in the footer until the next key
    old: str = ""  #: why no newer snapshot could be had
    readonly: bool = False
    asks: bool = False  #: whoever leaves stops the dispatcher: they are asked
    leaving: bool = False  #: they have been


@dataclass(frozen=True)
class Action:
    """What the driver shall do: quit, pause, resume, drain or undrain (a host)."""

    verb: str
    host: str = ""


def press(ui: Ui, key: str, snapshot: Snapshot) -> tuple[Ui, Action | None]:
    """One key: a character, or up, down, enter, escape, backspace."""
    asked, ui = ui.leaving, replace(ui, note="", leaving=False)
    if ui.typing:
        return _typed(ui, key), None
    if key == "q":
        return _leave(ui, snapshot, asked=asked)
    if key in ("p", "d"):
        return _act(ui, key, snapshot)
    return _look(ui, key), None


def _leave(ui: Ui, snapshot: Snapshot, *, asked: bool) -> tuple[Ui, Action | None]:
    if asked or not ui.asks or snapshot.draining:
        return ui, Action("quit")
    running = len(snapshot.running)
    calls = f"{counted(running, 'call')} may end first; " if running else ""
    note = f"q again stops the dispatcher: {calls}any other key goes on"
    return replace(ui, leaving=True, note=note), None


def _typed(ui: Ui, key: str) -> Ui:
    if key == "enter":
        return replace(ui, typing=False)
    if key == "escape":
        return replace(ui, typing=False, wanted="")
    if key == "backspace":
        return replace(ui, wanted=ui.wanted[:-1])
    return replace(ui, wanted=ui.wanted + key) if len(key) == 1 and key.isprintable() else ui


def _act(ui: Ui, key: str, snapshot: Snapshot) -> tuple[Ui, Action | None]:
    if ui.readonly:
        return replace(ui, note="readonly: nothing is changed from here"), None
    if key == "p":
        return ui, Action("resume" if snapshot.paused else "pause")
    if ui.pane != "host":
        return replace(
            ui, pane="host", cursor=0, note="choose a host; d drains or resumes it"
        ), None
    hosts = snapshot.hosts
    if not hosts:
        return ui, None
    host = hosts[min(ui.cursor, len(hosts) - 1)]
    return ui, Action("undrain" if host.drained else "drain", host.name)


def _look(ui: Ui, key: str) -> Ui:
    if key in PANES:
        return replace(ui, pane="" if ui.pane == PANES[key] else PANES[key], cursor=0)
    if key == "/":
        return replace(ui, pane="", typing=True)
    if key == "escape":
        return replace(ui, pane="", wanted="" if not ui.pane else ui.wanted)
    step = {"up": -1, "k": -1, "down": 1, "j": 1}.get(key, 0)
    return replace(ui, cursor=max(0, ui.cursor + step))
