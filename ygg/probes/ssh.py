"""Readings of another machine: nvidia-smi over SSH.

A job of its own holds the connection, so that a slow login, or a driver that needs seconds to wake, spans
several samples instead of beginning anew with each.
"""

from __future__ import annotations

import asyncio
from typing import Any

from ygg.model import Reading, Telemetry
from ygg.ports import ProbeFailed
from ygg.probes.login import BYE_S, Login, connected
from ygg.probes.pacing import Pace
from ygg.probes.ssh_session import Habits, Session

EARLY = 0.25  #: share of the interval by which a line of the stream may come early


class SshProbe:
    """One connection to the host's machine, opened by the first sample and ended by `rest`."""

    name = "ssh"
    measures = True

    def __init__(self, login: Login, telemetry: Telemetry) -> None:
        self._login, self._telemetry = login, telemetry
        self._pace = Pace(telemetry.interval_s)
        self._habits = Habits()
        self._job: asyncio.Task[None] | None = None
        self._awaited: asyncio.Future[Reading] | None = None
        self._doing = ""

    async def sample(self) -> Reading:
        to_come = await self._pace.wait(EARLY * self._telemetry.interval_s)
        job = self._job = self._job or self._begun()
        awaited: asyncio.Future[Reading] = asyncio.get_running_loop().create_future()
        self._awaited = awaited
        ends: set[asyncio.Future[Any]] = {awaited, job}
        await asyncio.wait(
            ends,
            timeout=to_come + self._telemetry.timeout_s,
            return_when=asyncio.FIRST_COMPLETED,
        )
        if not awaited.done():
            raise self._failed(job)
        self._pace.taken()
        return awaited.result()

    def _begun(self) -> asyncio.Task[None]:
        job = asyncio.create_task(self._hold())
        job.add_done_callback(_noticed)
        return job

    def _failed(self, job: asyncio.Task[None]) -> BaseException:
        """Why there is no reading. A job that is over is told once; then a new one begins."""
        who, limit_s = self._login.target, self._telemetry.timeout_s
        if not job.done():
            text = f"{who}: {self._doing} takes longer than {limit_s:g} s"
            return ProbeFailed(text, hint="is it awake? telemetry.timeout may be raised")
        if self._job is job:
            self._job = None
        error = None if job.cancelled() else job.exception()
        return error or ProbeFailed(f"the connection to {who} was ended")

    async def rest(self) -> None:
        """End the connection, and with it what runs at its other end."""
        job, self._job = self._job, None
        if job is not None:
            job.cancel()
            await asyncio.wait({job}, timeout=2 * BYE_S)

    async def close(self) -> None:
        await self.rest()

    async def _hold(self) -> None:
        """Pass on readings until something breaks. Raises ProbeFailed."""
        self._doing = "logging in"
        async with connected(self._login) as connection:
            self._doing = "nvidia-smi"
            session = Session(connection, self._login.target, self._telemetry, self._habits)
            async for reading in session.readings():
                if self._awaited is not None and not self._awaited.done():
                    self._awaited.set_result(reading)


def _noticed(job: asyncio.Task[None]) -> None:
    """An end between two samples is told by the next one, not by the loop."""
    if not job.cancelled():
        job.exception()
