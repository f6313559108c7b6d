"""Where log lines go: a rotated file always, and the console or the journal.

Standard library, and what makes foreign text plain.
"""

from __future__ import annotations

import contextlib
import logging
import logging.handlers
import os
import sys
import threading
import time
from collections.abc import Mapping
from io import TextIOWrapper
from pathlib import Path
from typing import TextIO

from ygg import private, streams
from ygg.paths import log_file
from ygg.plain import marked

LOG_BYTES, LOG_FILES = 10_000_000, 5
WRITE_S = 0.05
ASK_LINES = 64  #: a file may be longer than `LOG_BYTES` by so many


class CleanFormatter(logging.Formatter):
    """Time, level, text on one line, with no control character of foreign text left in it."""

    def __init__(self) -> None:
        super().__init__()
        self._second, self._stamp = 0, ""

    def format(self, record: logging.LogRecord) -> str:
        line = f"{self._time(record)} {record.levelname:<7} {_clean(record)}"
        if record.exc_info:
            line += "\n" + "\n".join(_trace(self, record))
        return line

    def _time(self, record: logging.LogRecord) -> str:
        """Local time with milliseconds; the calendar is consulted once a second."""
        second = int(record.created)
        if second != self._second:
            self._second = second
            self._stamp = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(second))
        return f"{self._stamp}.{int(record.msecs):03}"


class JournalFormatter(logging.Formatter):
    """`<N>text`: the journal reads the priority off every line and has its own clock."""

    def format(self, record: logging.LogRecord) -> str:
        lines = [_clean(record)]
        if record.exc_info:
            lines += _trace(self, record)
        prefix = f"<{_priority(record.levelno)}>"
        return "\n".join(prefix + line for line in lines)


def _priority(level: int) -> int:
    """The syslog priority of a level: crit, err, warning, info, debug."""
    steps = ((logging.CRITICAL, 2), (logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6))
    return next((priority for least, priority in steps if level >= least), 7)


def _trace(formatter: logging.Formatter, record: logging.LogRecord) -> list[str]:
    assert record.exc_info
    return [marked(line) for line in formatter.formatException(record.exc_info).split("\n")]


def _clean(record: logging.LogRecord) -> str:
    """Log lines may quote servers and prompts: one line, in which no terminal is steered."""
    return marked(record.getMessage())


class RotatingLog(logging.handlers.RotatingFileHandler):
    """Rotates by size, and writes to the file from a thread of its own: a line below WARNING within
    `WRITE_S`, together with those beside it. The file is asked for its size once in `ASK_LINES` lines. Either
    costs more than to make a line.

    It is opened with the first line, and anew after trouble with the disk: lines that it does not take are lost
    and counted, and the next one that it takes comes after a word on them."""

    def __init__(self, path: Path, *, most: int, kept: int) -> None:
        super().__init__(
            path, maxBytes=most, backupCount=kept, encoding="utf-8", errors="replace", delay=True
        )
        self._unasked, self._urgent, self._waits = 0, False, threading.Event()
        self._pending, self._lost = 0, 0  # lines since the last that is in the file
        threading.Thread(target=self._write, name="ygg-log", daemon=True).start()

    def _open(self) -> TextIOWrapper:  # type: ignore[type-arg,unused-ignore]
        path = Path(self.baseFilename)
        private.folder(path.parent)
        handle = private.opened(path, os.O_WRONLY | os.O_APPEND)
        stream = os.fdopen(handle, "a", encoding=self.encoding, errors=self.errors)
        if self._lost:
            stream.write(f"... {self._lost} lines are missing here: they could not be written\n")
        return stream

    def emit(self, record: logging.LogRecord) -> None:
        self._urgent = record.levelno >= logging.WARNING
        self._pending += 1
        super().emit(record)
        self._waits.set()

    def flush(self) -> None:
        """What is urgent is written at once, and so is everything at the end."""
        if self._urgent:
            self._put()

    def _put(self) -> None:
        super().flush()
        if self.stream is not None:
            self._pending = self._lost = 0

    def close(self) -> None:
        self._urgent = True
        try:
            super().close()
        except OSError:
            self._give_up()

    def handleError(self, record: logging.LogRecord) -> None:
        """A disk that takes no line is no error of the line: who looks at the console has it."""
        if isinstance(sys.exc_info()[1], OSError):
            self._give_up()
        else:
            super().handleError(record)

    def _give_up(self) -> None:
        """What waits to be written is lost; the next line opens the file anew."""
        self._lost, self._pending = self._lost + self._pending, 0
        if self.stream is not None:
            streams.nobody(self.stream)
            self.stream.close()
            self.stream = None

    def _write(self) -> None:
        while self._waits.wait():
            time.sleep(WRITE_S)
            self._waits.clear()
            with self.lock or contextlib.nullcontext():
                try:
                    self._put()
                except OSError:
                    self._give_up()
                except ValueError:  # closed
                    return

    def shouldRollover(self, record: logging.LogRecord) -> bool:
        if self.stream is None:
            self.stream = self._open()
        self._unasked = (self._unasked + 1) % ASK_LINES
        return self._unasked == 1 and self.stream.tell() >= self.maxBytes


def set_up_logging(state: Path, *, console: bool) -> Path:
    """Log to `<state>/logs/ygg.log`, rotated, and to the journal or stdout when `console`."""
    path = log_file(state)
    root = logging.getLogger("ygg")
    root.setLevel(logging.INFO)
    root.propagate = False
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False  # no line tells
    file = RotatingLog(path, most=LOG_BYTES, kept=LOG_FILES)
    file.setFormatter(CleanFormatter())
    root.addHandler(file)
    if console:
        root.addHandler(_console())
    return path


class Console(logging.StreamHandler[TextIO]):
    """Lines for whoever looks. A terminal that is closed or a full disk is no error of the line."""

    def handleError(self, record: logging.LogRecord) -> None:
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            super().handleError(record)
        elif error.errno in streams.NOBODY:
            streams.nobody(self.stream)


def _console() -> logging.Handler:
    journal = journal_stream(os.environ)
    handler = Console(journal or sys.stdout)
    handler.setFormatter(JournalFormatter() if journal else CleanFormatter())
    return handler


def journal_stream(env: Mapping[str, str]) -> TextIO | None:
    """The standard stream that is connected to the journal, by `$JOURNAL_STREAM`; None without."""
    wanted = env.get("JOURNAL_STREAM")
    for stream in (sys.stderr, sys.stdout):
        if wanted and _device(stream) == wanted:
            return stream
    return None


def _device(stream: TextIO) -> str:
    """`device:inode` of an open stream; empty for a closed or pretended one."""
    try:
        found = os.fstat(stream.fileno())
    except (OSError, ValueError, AttributeError):
        return ""
    return f"{found.st_dev}:{found.st_ino}"
