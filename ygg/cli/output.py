"""Printing: data to stdout, messages to stderr, tables that survive a pipe."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Iterable, Sequence
from typing import Any, TextIO

from ygg import streams
from ygg.cli import layout
from ygg.errors import YggError
from ygg.plain import clean, unsafe


def say(text: str) -> None:
    """A message for a person, on stderr."""
    with contextlib.suppress(OSError):  # nobody reads it: no reason to stop
        print(clean(text, keep_newlines=True), file=sys.stderr, flush=True)


def hint(text: str) -> None:
    """A next step, only when a person is looking."""
    if sys.stderr.isatty():
        say(text)


def note(text: str) -> None:
    """A sentence on stderr, on as many lines as the terminal needs."""
    for line in layout.sentence(clean(text), _columns(sys.stderr), ""):
        say(line)


def say_error(error: YggError) -> None:
    say(f"error: {error.message}")
    if error.hint:
        say(f"hint: {error.hint}")


def data(text: str) -> None:
    """A line or several on stdout, without escape codes."""
    _put(clean(text, keep_newlines=True))


def as_json(value: Any) -> None:
    """JSON on stdout; indented for a terminal, one line for a pipe. Characters that steer a terminal or end a
    line are written as escapes: they mean the same."""
    whole = streams.knows_unicode(sys.stdout)
    indent = 2 if sys.stdout.isatty() else None
    text = json.dumps(value, indent=indent, ensure_ascii=not whole)
    _put(text if text.isascii() and "\x7f" not in text else "".join(map(_escaped, text)))


def _escaped(char: str) -> str:
    if char < "\x7f" or not unsafe(char):
        return char
    return "\\u007f" if char == "\x7f" else json.dumps(char)[1:-1]


def answer(text: str) -> None:
    """A model's words as they come: without escape codes on a terminal, as they are for a pipe; what its
    encoding cannot say is written as an escape."""
    text = safe_for_terminal(text)
    if not streams.knows_unicode(sys.stdout):
        name = sys.stdout.encoding
        text = text.encode(name, "backslashreplace").decode(name)
    sys.stdout.write(text)


def safe_for_terminal(text: str) -> str:
    """As it is for a pipe, without escape codes on a terminal."""
    return clean(text, keep_newlines=True) if sys.stdout.isatty() else text


def _put(text: str) -> None:
    """Print. A reader that has seen enough does not stop a command that has more to do than print."""
    streams.put(sys.stdout, text)


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Aligned columns without borders; on a terminal as wide as that, and nothing is cut."""
    lines = [[clean(str(cell)) for cell in row] for row in rows]
    for text in layout.table(header, lines, _columns(sys.stdout)):
        _put(text)


def told(text: str) -> None:
    """A sentence on stdout, on as many lines as the terminal needs."""
    said = clean(text).lstrip()
    for line in layout.sentence(said, _columns(sys.stdout), " " * (len(text) - len(text.lstrip()))):
        _put(line)


def field(name: str, text: str, names: int = 15) -> None:
    """A name and its value on stdout."""
    for line in layout.field(name, clean(text), names, _columns(sys.stdout)):
        _put(line)


def host_state(host: dict[str, Any]) -> str:
    """One word, two when the host is drained."""
    word = {True: "● up", False: f"✗ {host['health']}", None: "◌ unknown"}[host["reachable"]]
    if host["sick"] and host["reachable"]:
        word = "▲ sick"
    return f"{word}, drained" if host["drained"] else word


def slots(of: dict[str, Any]) -> str:
    """Of a host or a server: busy ones of those that are open now, and how many it has where that is more."""
    asked = of["health"] != "unknown"
    open_ = of["in_flight"] + of["available_slots"] if asked else of["limit"]
    said = f"{of['in_flight']}/{open_}"
    return said if open_ >= of["slots"] else f"{said} of {of['slots']}"


def servers(host: dict[str, Any]) -> list[tuple[str, str, str, str]]:
    """Name, state, slots and backend of each of its servers, where it has several."""
    found = [e for e in host["endpoints"] if "health" in e] if len(host["endpoints"]) > 1 else []
    sick = {s["endpoint"] for s in host["sick"]}
    return [
        (
            f"  /{e['name']}",
            _state(e["health"], sick=e["name"] in sick),
            slots(e),
            e["backend"],
        )
        for e in found
    ]


def _state(health: str, *, sick: bool) -> str:
    if health == "up":
        return "▲ sick" if sick else "● up"
    return f"◌ {health}" if health == "unknown" else f"✗ {health}"


def troubles(host: dict[str, Any]) -> list[str]:
    """What is the matter with a host, a sentence each."""
    return [f"{host['name']}: {text}" for text in host["troubles"]]


def _columns(stream: TextIO) -> int:
    """Columns of the terminal; 0 for a pipe: nothing is cut."""
    if not stream.isatty():
        return 0
    try:
        return os.get_terminal_size(stream.fileno()).columns
    except OSError:
        return 80


def clock(at: str | None) -> str:
    """An ISO time by the clock on the wall, with its day where that is not today."""
    from datetime import datetime

    if at is None:
        return ""
    local, now = datetime.fromisoformat(at).astimezone(), datetime.now().astimezone()
    return local.strftime("%H:%M:%S" if local.date() == now.date() else "%Y-%m-%d %H:%M:%S")


def age(at: str | None) -> str:
    """How long ago an ISO time was, short."""
    return "--" if at is None else _span(at, -1)


def left(at: str) -> str:
    """How long until an ISO time, short."""
    return _span(at, 1)


def _span(at: str, sign: int) -> str:
    from datetime import UTC, datetime

    from ygg.view.text import duration

    ahead = (datetime.fromisoformat(at) - datetime.now(UTC)).total_seconds()
    return duration(max(0.0, sign * ahead))
