"""This machine's NVIDIA driver, read through NVML.

A driver can hang inside a call. All calls are made in one thread that nobody waits for longer than the
host's timeout, and as long as one has not come back no other is made.
"""

from __future__ import annotations

from ygg.model import Reading, Telemetry
from ygg.ports import ProbeFailed
from ygg.probes.lone_thread import LoneThread, Stuck
from ygg.probes.nvml_driver import HUNG, Driver
from ygg.probes.pacing import Pace


class NvmlProbe:
    """Readings of the GPUs of this machine."""

    name = "nvml"
    measures = True

    def __init__(self, telemetry: Telemetry) -> None:
        self._limit_s = telemetry.timeout_s
        self._pace = Pace(telemetry.interval_s)
        self._thread = LoneThread("nvml")
        self._driver = Driver()

    async def sample(self) -> Reading:
        await self._pace.wait()
        try:
            reading = await self._thread.call(self._driver.read, self._limit_s)
        except TimeoutError:
            text = f"the NVIDIA driver did not answer within {self._limit_s:g} s"
            raise ProbeFailed(text, hint=HUNG) from None
        except Stuck as why:
            raise ProbeFailed(f"the NVIDIA driver hangs: {why}", hint=HUNG) from None
        self._pace.taken()
        return reading

    async def rest(self) -> None:
        """Let go of the driver: a card that nobody holds may sleep."""
        self._thread.post(self._driver.close)

    async def close(self) -> None:
        await self.rest()
        self._thread.end()
