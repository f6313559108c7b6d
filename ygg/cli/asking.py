"""Questions, put only to a person at a terminal."""

from __future__ import annotations

import sys


def person() -> bool:
    """Whether somebody is there to answer."""
    return sys.stdin is not None and sys.stdin.isatty()


def ask(question: str) -> bool:
    """Yes only from a person at a terminal who says so."""
    if not person():
        return False
    sys.stderr.write(f"{question} [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")
