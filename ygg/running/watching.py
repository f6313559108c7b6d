"""Readings as events: one endless job per probe of a watched host.

A probe paces itself. One that fails is asked again after 1, 2, 4 … 60 s; a single failure is never
final, and whatever it raises never reaches the loop.
"""

from __future__ import annotations

import asyncio
import logging
import zlib
from collections.abc import Callable

from ygg.core import events as ev
from ygg.model import Reading
from ygg.ports import Probe, ProbeFailed, Probes

log = logging.getLogger("ygg.telemetry")

FIRST_S, LAST_S = 1.0, 60.0  #: pauses after failures
SPREAD = 0.2  #: share by which pauses differ between hosts, so that they do not knock together


async def watch(host: str, probe: Probe, feed: Callable[[ev.Event], None]) -> None:
    """Feed the readings of one probe until cancelled, then let it rest."""
    pause = FIRST_S
    try:
        while True:
            found = await _sample(probe)
            if isinstance(found, Reading):
                pause = FIRST_S
                feed(ev.ReadingTaken(host, found))
                continue
            log.debug("%s: no reading from %s: %s", host, probe.name, found)
            if probe.measures:
                feed(ev.ReadingMissed(host, probe.name, found))
            await asyncio.sleep(pause * (1 + SPREAD * (zlib.crc32(host.encode()) / 0xFFFFFFFF)))
            pause = min(LAST_S, 2 * pause)
    finally:
        await probe.rest()


async def _sample(probe: Probe) -> Reading | str:
    """The next reading, or what was in the way."""
    try:
        return await probe.sample()
    except ProbeFailed as why:
        return f"{why}; {why.hint}" if why.hint else str(why)
    except Exception as bug:
        log.exception("the %s probe failed unexpectedly", probe.name)
        return f"{type(bug).__name__}: {bug}"


class Watches:
    """The probes in use and the jobs that take their readings."""

    def __init__(self, feed: Callable[[ev.Event], None]) -> None:
        self._feed = feed
        self.probes: Probes = {}
        self._jobs: dict[str, list[asyncio.Task[None]]] = {}

    def use(self, probes: Probes) -> None:
        """Probes that are gone end; new ones of hosts that are watched begin."""
        watched = [host for host in self._jobs if probes.get(host) != self.probes.get(host)]
        for host in watched:
            self.watch(host, on=False)
        self.probes = probes
        for host in watched:
            self.watch(host, on=True)

    def watch(self, host: str, *, on: bool) -> None:
        """Take readings of a host from now on, or let its probes rest."""
        for job in self._jobs.pop(host, []):
            job.cancel()
        if on:
            loop = asyncio.get_running_loop()
            self._jobs[host] = [
                loop.create_task(watch(host, probe, self._feed))
                for probe in self.probes.get(host, ())
            ]

    def stop(self) -> None:
        for host in list(self._jobs):
            self.watch(host, on=False)
