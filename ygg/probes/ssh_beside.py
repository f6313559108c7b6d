"""What changes slowly, asked beside the stream: thermal limits once, processes every ten seconds.

A login that is bound to one command gives the stream's rows for every question: then nothing is asked any
more. Nothing here is worth an error: what cannot be had is left out.
"""

from __future__ import annotations

import asyncio
import logging

from ygg.model import Process
from ygg.probes import smi
from ygg.probes.login import BROKEN
from ygg.probes.remote import Connection, ask, running

log = logging.getLogger("ygg.telemetry")

SLOWLY_S = 10.0  #: between two looks at the processes
FIRST_S = 1.0  #: the first reading waits so long for the answers
MEMORY_S = 1.0
MEMINFO = "cat /proc/meminfo"


class Beside:
    """The answers so far. `limit_s`: what one may take."""

    def __init__(self, connection: Connection, limit_s: float) -> None:
        self._connection, self._limit_s = connection, limit_s
        self.processes: tuple[Process, ...] | None = None
        self.limits: dict[str, float] = {}
        self._answered = asyncio.Event()
        self._tells_memory = True

    async def run(self, query: smi.Query, prefix: str) -> None:
        """Ask until cancelled, or until it is of no use."""
        try:
            text = await self._limits(query, prefix)
            if text is None:
                return
            self.limits = smi.limits(text)
            while True:
                self.processes = await self._processes(prefix)
                self._answered.set()
                await asyncio.sleep(SLOWLY_S)
        except (*BROKEN, ValueError) as why:
            log.debug("nothing is told beside the stream: %s", why)
        finally:
            self.processes = None
            self._answered.set()

    async def _limits(self, query: smi.Query, prefix: str) -> str | None:
        """What nvidia-smi says of its limits; None from a login that always gives the stream's rows."""
        said: list[str] = []
        async with running(self._connection, prefix + smi.LIMITS) as run:
            async with asyncio.timeout(self._limit_s):
                while (line := await run.line()) is not None:
                    if _is_row(query, line):
                        return None
                    said.append(line)
        return "\n".join(said)

    async def _processes(self, prefix: str) -> tuple[Process, ...] | None:
        text, status = await ask(self._connection, prefix + smi.PROCESSES, self._limit_s)
        return smi.processes(text) if status == 0 else None

    async def answered(self) -> None:
        """Wait for the first answers, but not long."""
        try:
            async with asyncio.timeout(0 if self._answered.is_set() else FIRST_S):
                await self._answered.wait()
        except TimeoutError:
            self._answered.set()  # no reading waits again

    async def memory(self) -> tuple[float, float] | None:
        """Total and available MiB of the machine; None where it does not tell."""
        if not self._tells_memory:
            return None
        try:
            text, _ = await ask(self._connection, MEMINFO, MEMORY_S)
        except BROKEN:
            text = ""
        found = smi.meminfo(text)
        self._tells_memory = found is not None
        return found


def _is_row(query: smi.Query, line: str) -> bool:
    """Whether a line is an answer to quite another question."""
    try:
        query.row(line)
    except ValueError:
        return False
    return True
