"""ygg top: the live view of a daemon that runs elsewhere on this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from ygg.cli import output
from ygg.cli.app import Globals, app
from ygg.cli.run import Ascii, Readonly
from ygg.errors import InvalidInput, Unavailable

if TYPE_CHECKING:
    from ygg.desk import Desk
    from ygg.model import Snapshot


@app.command()
def top(
    ascii_: Ascii = False,
    readonly: Readonly = False,
    once: bool = typer.Option(False, "--once", help="Print one frame and end."),
) -> None:
    """Watch the running daemon; q leaves it running."""
    import asyncio
    import os

    from ygg.client import connect
    from ygg.view import live

    remote = connect(Globals.socket, os.environ)
    if remote is None:
        raise Unavailable("no daemon is running", hint="ygg loop --async starts one")
    try:
        if once:
            _print_frame(remote, ascii_=ascii_ or live.ascii_only())
        elif not live.wanted():
            raise InvalidInput("stdout is no terminal", hint="ygg top --once, or ygg status --json")
        else:
            asyncio.run(_watch(remote, ascii_=ascii_, readonly=readonly))
    finally:
        remote.close()


def _print_frame(remote: Desk, *, ascii_: bool) -> None:
    import shutil

    from ygg.view.render import render

    size = shutil.get_terminal_size((120, 40))
    for row in render(_snapshot(remote), size.columns, size.lines - 1, ascii=ascii_, colour=False):
        output.data(row.text.rstrip())


def _snapshot(remote: Desk) -> Snapshot:
    """The dispatcher as it is now. Unavailable when the daemon is of another version."""
    from ygg.model import Snapshot
    from ygg.model.transfer import from_plain

    body = remote.snapshot()
    try:
        return from_plain(Snapshot, body["snapshot"])
    except (KeyError, TypeError, ValueError) as error:
        text = f"{remote.where} runs another version of ygg: its snapshot is not understood"
        raise Unavailable(text, hint="restart the daemon after an upgrade") from error


async def _watch(remote: Desk, *, ascii_: bool, readonly: bool) -> None:
    """Until q, Ctrl-C or SIGTERM. The terminal is taken only once the daemon has answered."""
    import asyncio
    import signal

    from ygg.view.live import LiveView, acting

    turn = asyncio.Lock()  # one connection: one request at a time

    async def snapshot() -> Snapshot:
        async with turn:
            return await asyncio.to_thread(_snapshot, remote)

    async def pause(paused: bool) -> None:
        async with turn:
            await asyncio.to_thread(remote.pause if paused else remote.resume)

    async def drain_host(host: str, drained: bool) -> None:
        async with turn:
            verb = remote.drain_host if drained else remote.resume_host
            await asyncio.to_thread(verb, host)

    await snapshot()
    over = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, over.set)
    act = acting(pause, drain_host)
    async with LiveView(snapshot, act, over.set, ascii_=ascii_, readonly=readonly):
        await over.wait()
