"""ygg top: the live view of a daemon that runs elsewhere on this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from ygg.cli import output
from ygg.cli.app import Globals, app
from ygg.cli.run import Ascii, Readonly
from ygg.errors import InvalidInput, Unavailable

if TYPE_CHECKING:
    from ygg.client import Remote


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


def _print_frame(remote: Remote, *, ascii_: bool) -> None:
    import shutil

    from ygg.view.render import render

    size = shutil.get_terminal_size((120, 40))
    for row in render(remote.snapshot(), size.columns, size.lines - 1, ascii=ascii_, colour=False):
        output.data(row.text.rstrip())


async def _watch(remote: Remote, *, ascii_: bool, readonly: bool) -> None:
    """Until q, Ctrl-C or SIGTERM. The terminal is taken only once the daemon has answered."""
    import asyncio
    import signal

    from ygg.model import Snapshot
    from ygg.view.live import LiveView, acting

    turn = asyncio.Lock()  # one connection: one request at a time

    async def snapshot() -> Snapshot:
        async with turn:
            return await asyncio.to_thread(remote.snapshot)

    async def pause(paused: bool) -> None:
        async with turn:
            await asyncio.to_thread(remote.pause, paused)

    async def drain_host(host: str, drained: bool) -> None:
        async with turn:
            await asyncio.to_thread(remote.drain_host, host, drained)

    await snapshot()
    over = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, over.set)
    act = acting(pause, drain_host)
    async with LiveView(snapshot, act, over.set, ascii_=ascii_, readonly=readonly):
        await over.wait()
