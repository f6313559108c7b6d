"""Commands on another machine, read with bounds: what they print may be anything, and never end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncssh

LINE_MAX = 8192  #: bytes of one line; real ones have two hundred
TEXT_MAX = 262_144  #: bytes of one answer
END_S = 2.0  #: for the exit status after the last output

Connection = asyncssh.SSHClientConnection


class Run:
    """A command that runs there: its output line by line, then how it ended."""

    def __init__(self, process: asyncssh.SSHClientProcess[bytes]) -> None:
        self._process = process
        self._rest = b""

    async def line(self) -> str | None:
        """The next line; None at the end. Raises ValueError for one that does not end."""
        while b"\n" not in self._rest:
            chunk = await self._process.stdout.read(LINE_MAX)
            if not chunk:
                last, self._rest = self._rest, b""
                return last.decode(errors="replace") if last else None
            self._rest += chunk
            if len(self._rest) > LINE_MAX and b"\n" not in self._rest:
                raise ValueError(f"a line of more than {LINE_MAX} bytes")
        line, _, self._rest = self._rest.partition(b"\n")
        return line.decode(errors="replace")

    async def text(self) -> str:
        """All output to its end, cut at TEXT_MAX."""
        while len(self._rest) < TEXT_MAX:
            chunk = await self._process.stdout.read(TEXT_MAX)
            if not chunk:
                break
            self._rest += chunk
        return self._rest.decode(errors="replace")

    def so_far(self) -> str:
        """Output that `text` was reading when it was cut off."""
        return self._rest.decode(errors="replace")

    async def status(self) -> int | None:
        """The exit status once the output has ended; None when it was killed or does not tell."""
        try:
            async with asyncio.timeout(END_S):
                await self._process.wait_closed()
        except TimeoutError:
            return None
        return self._process.exit_status


@asynccontextmanager
async def running(connection: Connection, command: str) -> AsyncIterator[Run]:
    """Run a command for the length of a `with`; closing its channel ends it."""
    process = await connection.create_process(
        command, encoding=None, stdin=asyncssh.DEVNULL, stderr=asyncssh.STDOUT, request_pty=False
    )
    try:
        yield Run(process)
    finally:
        process.close()


async def ask(connection: Connection, command: str, limit_s: float) -> tuple[str, int | None]:
    """Output and exit status of a short command. One that does not end in time is cut off: no status."""
    async with running(connection, command) as run:
        try:
            async with asyncio.timeout(limit_s):
                return await run.text(), await run.status()
        except TimeoutError:
            return run.so_far(), None
