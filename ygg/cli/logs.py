"""ygg logs: what the daemon has written, from the journal of a service, else from its own file."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Annotated, NamedTuple

import typer

from ygg.cli import output
from ygg.cli.app import Globals, Json, app, desk
from ygg.errors import NotFound, Unavailable, YggError

POLL_S = 0.25  #: how often a file that is followed is looked at
BLOCK = 65_536


class Place(NamedTuple):
    """Where the log is: a file, or a journal and how it is read."""

    file: Path | None
    journal: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return str(self.file) if self.file is not None else " ".join(self.journal)


@app.command()
def logs(
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Go on with what comes.")] = False,
    lines: Annotated[int, typer.Option("-n", "--lines", min=0, help="How many of the last.")] = 50,
    json_: Json = False,
) -> None:
    """Print the log of the daemon: from the journal where a service is installed, else from its file."""
    place = _place()
    found = (
        _journal(place, lines, follow=follow)
        if place.file is None
        else _file(place.file, lines, follow=follow)
    )
    if not json_:
        for line in found:
            output.data(line)
    elif follow:
        for line in found:
            output.as_json({"line": line})
    else:
        output.as_json({"schema": "ygg.logs/1", "source": place.name, "lines": [*found]})


def _place() -> Place:
    from ygg import meant, paths

    queue = meant.queue(Globals.socket, os.environ)
    if queue.service:
        user = ("--user",) if "--user" in queue.service else ()
        return Place(None, ("journalctl", *user, "--unit", paths.UNIT, "--no-pager"))
    return Place(paths.log_file(queue.database.parent if queue.database else _told()))


def _told() -> Path:
    """The state directory of whoever listens on the socket that was named."""
    with desk(write=False) as found:
        daemon = found.status(probe=False)["daemon"]
    store = daemon and daemon["store"]
    if not store:
        raise Unavailable(
            "the daemon does not say where its state is", hint="ygg --socket PATH status"
        )
    return Path(store).parent


# --- the journal ----------------------------------------------------------------------------------


def _journal(place: Place, lines: int, *, follow: bool) -> Iterator[str]:
    import subprocess

    more = ("--lines", str(lines), *(("--follow",) if follow else ()))
    try:
        reading = subprocess.Popen(
            [*place.journal, *more],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
        )
    except OSError as error:
        raise YggError(
            f"{place.journal[0]}: {error.strerror}", hint="sudo journalctl --unit ygg"
        ) from None
    with reading:
        assert reading.stdout is not None
        assert reading.stderr is not None
        try:
            yield from (line.rstrip("\n") for line in reading.stdout)
        finally:
            reading.terminate()
        why = reading.stderr.read().strip()
    if reading.returncode > 0:
        raise YggError(f"{place.name}: {why or reading.returncode}", hint="sudo ygg logs")


# --- the file -------------------------------------------------------------------------------------


def _file(path: Path, lines: int, *, follow: bool) -> Iterator[str]:
    """The last lines, and those that come; also once the file has been put aside and a new one begun."""
    try:
        stream = path.open("rb")
    except FileNotFoundError:
        raise NotFound(f"no log: {path} is not there", hint="ygg loop --async writes it") from None
    except OSError as error:
        raise YggError(
            f"{path}: {error.strerror}", hint="the user of the daemon may read it"
        ) from None
    with stream:
        yield from _last(stream, lines)
        if follow:
            yield from _coming(path, stream)


def _last(stream: IO[bytes], lines: int) -> Iterator[str]:
    """Read backwards, block by block, until there are enough."""
    start, found = stream.seek(0, os.SEEK_END), b""
    while start and found.count(b"\n") <= lines:
        size = min(BLOCK, start)
        start = stream.seek(start - size)
        found = stream.read(size) + found
    stream.seek(0, os.SEEK_END)
    return map(_text, deque(found.splitlines(), maxlen=lines))


def _coming(path: Path, stream: IO[bytes]) -> Iterator[str]:
    begun = b""
    try:
        while True:
            *whole, begun = (begun + stream.read()).split(b"\n")
            yield from map(_text, whole)
            if whole:
                continue
            if _replaced(path, stream):
                stream.close()
                stream, begun = path.open("rb"), b""
            else:
                time.sleep(POLL_S)
    finally:
        stream.close()


def _replaced(path: Path, stream: IO[bytes]) -> bool:
    """Whether another file stands there now."""
    try:
        there, ours = path.stat(), os.fstat(stream.fileno())
    except FileNotFoundError:
        return False
    return (there.st_dev, there.st_ino) != (ours.st_dev, ours.st_ino)


def _text(line: bytes) -> str:
    return line.decode("utf-8", "replace")
