"""Keys of a terminal: bytes to names, and the terminal's mode while the view has it."""

from __future__ import annotations

import contextlib
import os
import sys
import termios
import tty
from collections.abc import Iterator
from typing import TextIO

GONE = (OSError, termios.error)  #: what a terminal that was closed answers

_SEQUENCES = {
    "\x1b[A": "up", "\x1b[B": "down", "\x1bOA": "up", "\x1bOB": "down",
    "\r": "enter", "\n": "enter", "\x7f": "backspace", "\x08": "backspace",
}  # fmt: skip


def names(data: bytes) -> list[str]:
    """What was typed: characters, and up, down, enter, escape, backspace. Other sequences are dropped."""
    text, found = data.decode("utf-8", "ignore"), []
    while text:
        known = next((s for s in _SEQUENCES if text.startswith(s)), None)
        if known is not None:
            found.append(_SEQUENCES[known])
            text = text[len(known) :]
        elif text[0] == "\x1b":
            rest = text[1:].lstrip("[O0123456789;?")
            dropped = len(text) > 1 and text[1] in "[O"
            found += [] if dropped else ["escape"]
            text = rest[1:] if dropped else text[1:]
        else:
            found.append(text[0])
            text = text[1:]
    return found


def read() -> bytes:
    """What was typed since; nothing from a terminal that was closed."""
    try:
        return os.read(sys.stdin.fileno(), 1024)
    except OSError:
        return b""


def foreground(stream: TextIO) -> bool:
    """Whether this stream is a terminal in whose foreground we are: the shell has not sent us away."""
    try:
        return stream.isatty() and os.tcgetpgrp(stream.fileno()) == os.getpgrp()
    except (OSError, ValueError):
        return False


@contextlib.contextmanager
def unbuffered() -> Iterator[None]:
    """Keys come one by one and are not echoed; Ctrl-C and Ctrl-Z stay signals."""
    number = sys.stdin.fileno()
    before = termios.tcgetattr(number)
    tty.setcbreak(number)
    try:
        yield
    finally:
        termios.tcsetattr(number, termios.TCSADRAIN, before)
