"""ygg backup: a checked copy of the database, also while the daemon runs."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Annotated, NoReturn

import typer

from ygg.cli import output
from ygg.cli.app import Globals, Json, app
from ygg.errors import Interrupted
from ygg.plain import counted

SHOW_AFTER_S, SHOW_EVERY_S = 1.0, 0.2


@app.command()
def backup(
    file: Annotated[str, typer.Argument(metavar="FILE", help="Where to put the copy.")],
    force: Annotated[
        bool, typer.Option("--force", help="Replace FILE when it is already there.")
    ] = False,
    json_: Json = False,
) -> None:
    """Copy the database into one file and check the copy; a running daemon goes on working."""
    import os

    from ygg.ops import backup as work

    meter = _Meter()
    with _terminable(), meter:
        source = work.database(Globals.socket, os.environ)
        done = work.back_up(source, Path(file), force=force, progress=meter)
    if json_:
        output.as_json(done.body())
    else:
        output.data(f"{done.path}: {counted(done.tasks, 'task')}, {done.size:,} bytes, checked")
        output.hint(f"to restore it: stop the daemon, then put it in the place of {done.source}")


class _Meter:
    """Shows progress on a terminal once the copy has taken a second."""

    def __init__(self) -> None:
        self._next = time.monotonic() + SHOW_AFTER_S
        self._shown = False

    def __call__(self, done: int, total: int) -> None:
        if time.monotonic() < self._next or not sys.stderr.isatty():
            return
        self._next = time.monotonic() + SHOW_EVERY_S
        self._shown = True
        word = "checking the copy" if done >= total else f"copying {100 * done // max(1, total)} %"
        sys.stderr.write(f"\r\x1b[K{word}")
        sys.stderr.flush()

    def __enter__(self) -> None:
        return

    def __exit__(self, *_: object) -> None:
        if self._shown:
            sys.stderr.write("\r\x1b[K")


@contextmanager
def _terminable() -> Iterator[None]:
    """SIGTERM ends the copy as Ctrl-C does: nothing half written stays."""

    def stop(number: int, frame: FrameType | None) -> NoReturn:
        raise Interrupted("the backup was stopped", hint="nothing of it is left behind")

    try:
        old = signal.signal(signal.SIGTERM, stop)
    except ValueError:  # not the main thread
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, old)
