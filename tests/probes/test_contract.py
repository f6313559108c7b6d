"""What every probe keeps to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from tests.probes import machines, stub
from tests.probes.machines import Home, Machine
from ygg.model import Reading, Telemetry
from ygg.ports import Probe
from ygg.probes.login import Login
from ygg.probes.nvml import NvmlProbe
from ygg.probes.ollama_ps import OllamaPsProbe
from ygg.probes.ssh import SshProbe
from ygg.probes.static import StaticProbe

Make = Callable[[float], Probe]
MEASURES = {"nvml": True, "ssh": True, "ollama_ps": False, "static": False}


class Ollama:
    """A server with one model in memory."""

    async def loaded(self, limit_s: float) -> tuple[str, ...] | None:
        return ("qwen3:8b",)

    async def close(self) -> None:
        raise OSError("closing went wrong")


@pytest.fixture(params=MEASURES)
async def make(
    request: pytest.FixtureRequest, tmp_path: Path, home: Home, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Make]:
    """Makes a probe with this interval."""
    match request.param:
        case "nvml":
            library = request.getfixturevalue("nvml_library")
            driver = stub.Stub(library, tmp_path, monkeypatch)
            yield lambda every_s: NvmlProbe(Telemetry(interval_s=every_s))
            await driver.ended()
        case "ssh":
            machine = Machine(tmp_path / "machine")
            async with machines.asyncssh_server(machine, home.public) as server:
                home.trust(server)
                login = Login("h", server.target, home.known_hosts)
                yield lambda every_s: SshProbe(login, Telemetry(interval_s=every_s, timeout_s=20))
            machine.end()
        case "ollama_ps":
            yield lambda every_s: OllamaPsProbe(Telemetry(interval_s=every_s), {"o": Ollama()})
        case _:
            yield lambda every_s: StaticProbe(Telemetry(interval_s=every_s))


async def test_it_names_itself_in_every_reading(make: Make) -> None:
    probe = make(0.05)
    found = await probe.sample()
    assert found.probe == probe.name
    assert probe.measures is MEASURES[probe.name]
    assert found.fault() is None
    await probe.close()


async def test_the_first_reading_comes_at_once_and_the_next_in_its_time(make: Make) -> None:
    probe, now = make(0.4), asyncio.get_running_loop().time
    assert isinstance(await probe.sample(), Reading)
    begun = now()
    await probe.sample()
    assert now() - begun > 0.4 * 0.7
    await probe.close()
    far = make(3600.0)
    await asyncio.wait_for(far.sample(), 20)
    await far.close()


async def test_rest_and_close_never_raise_and_may_come_at_any_time(make: Make) -> None:
    probe = make(0.05)
    await probe.rest()
    await probe.sample()
    await probe.rest()
    await probe.rest()
    await probe.sample()
    under_way = asyncio.create_task(probe.sample())
    await asyncio.sleep(0)
    under_way.cancel()
    await asyncio.wait({under_way})
    await probe.close()
    await probe.close()
