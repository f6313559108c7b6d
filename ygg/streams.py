"""The standard streams as they are found: missing, closed, read by nobody, of an old locale, on a full disk.

Standard library only: every command begins here.
"""

from __future__ import annotations

import codecs
import contextlib
import errno
import io
import os
import sys
from typing import TextIO

from ygg.plain import in_ascii

FALLBACK = "ygg.ascii"  #: the name of our handler of what an encoding cannot say
NOBODY = (errno.EPIPE, errno.EIO, errno.EBADF)  #: the reader or the terminal is gone
_troubles: list[str] = []


def ready() -> None:
    """Make stdout and stderr streams that can be written to, whatever they are.

    A descriptor that is closed is opened on nothing: the next file must not get its number, and so take what
    is printed for its own."""
    for number in range(3):
        _open(number)
    codecs.register_error(FALLBACK, _said_in_ascii)
    sys.stdout, sys.stderr = _usable(sys.stdout), _usable(sys.stderr)


def _open(number: int) -> None:
    try:
        os.fstat(number)
    except OSError:
        os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free


def _usable(stream: TextIO | None) -> TextIO:
    if stream is None or stream.closed:
        return open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123 - it stays open to the end
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors=FALLBACK)
    return stream


def _said_in_ascii(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return in_ascii(error.object[error.start : error.end]), error.end


def knows_unicode(stream: TextIO) -> bool:
    return "utf" in (getattr(stream, "encoding", None) or "utf-8").lower()


def nobody(stream: TextIO) -> None:
    """Nobody reads a stream any more: what is left in it, and what comes, goes into nothing."""
    with contextlib.suppress(OSError, ValueError):
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, stream.fileno())
        os.close(nothing)
        stream.flush()


def put(stream: TextIO, text: str) -> None:
    """Print a line. What is in the way stops nobody who has more to do than print: `trouble` tells of it."""
    try:
        print(text, file=stream)
    except OSError as error:
        _failed(stream, error)


def _failed(stream: TextIO, error: OSError) -> None:
    nobody(stream)
    if error.errno not in NOBODY:
        _troubles.append(error.strerror or str(error))


def trouble(stream: TextIO) -> str:
    """Write what is left. Why not everything could be written; "" when it was, or when nobody reads it."""
    try:
        stream.flush()
    except OSError as error:
        _failed(stream, error)
    except ValueError:  # closed meanwhile
        return ""
    return _troubles[0] if _troubles else ""
