"""Printing: data to stdout, messages to stderr, tables that survive a pipe."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from ygg.errors import YggError
from ygg.view.text import clean, fit, width


def say(text: str) -> None:
    """A message for a person, on stderr."""
    print(clean(text, keep_newlines=True), file=sys.stderr, flush=True)


def hint(text: str) -> None:
    """A next step, only when a person is looking."""
    if sys.stderr.isatty():
        say(text)


def say_error(error: YggError) -> None:
    say(f"error: {error.message}")
    if error.hint:
        say(f"hint: {error.hint}")


def data(text: str) -> None:
    """One line of data on stdout."""
    print(text)


def as_json(value: Any) -> None:
    """JSON on stdout; indented for a terminal, one line for a pipe."""
    print(json.dumps(value, indent=2 if sys.stdout.isatty() else None, ensure_ascii=False))


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Aligned columns without borders. The last column is cut to the terminal, never to a pipe."""
    lines = [[clean(str(cell)) for cell in row] for row in rows]
    columns = [max(width(cell) for cell in column) for column in zip(header, *lines, strict=True)]
    room = _columns()
    for line in ([*header], *lines):
        padded = [fit(cell, w) for cell, w in zip(line[:-1], columns[:-1], strict=True)]
        text = "  ".join([*padded, line[-1]])
        print(fit(text, room).rstrip() if room and width(text) > room else text.rstrip())


def host_state(host: dict[str, Any]) -> str:
    """One word, two when the host is drained."""
    word = {True: "● up", False: f"✗ {host['health']}", None: "◌ unknown"}[host["reachable"]]
    return f"{word}, drained" if host["drained"] else word


def _columns() -> int:
    """Columns of the terminal; 0 for a pipe: nothing is cut."""
    if not sys.stdout.isatty():
        return 0
    try:
        return os.get_terminal_size(sys.stdout.fileno()).columns
    except OSError:
        return 80


def safe_for_terminal(text: str) -> str:
    """Text for stdout: as it is for a pipe, without escape codes on a terminal."""
    return clean(text, keep_newlines=True) if sys.stdout.isatty() else text


def age(at: str | None) -> str:
    """How long ago an ISO time was, short."""
    if at is None:
        return "--"
    from datetime import UTC, datetime

    from ygg.view.text import duration

    passed = (datetime.now(UTC) - datetime.fromisoformat(at)).total_seconds()
    return duration(max(0.0, passed))
