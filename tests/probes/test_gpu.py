"""The real driver of this machine: `make gpu-check`. Skipped where there is none."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from dataclasses import replace

import pytest

from ygg.model import Device, Reading, Telemetry
from ygg.ports import ProbeFailed
from ygg.probes import here, smi
from ygg.probes.nvml import NvmlProbe

SMI = shutil.which("nvidia-smi")

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not here.has_driver(), reason="no NVIDIA driver on this machine"),
]


async def by_nvml() -> Reading:
    probe = NvmlProbe(Telemetry(source="nvml", interval_s=0.1, timeout_s=30))
    try:
        return await probe.sample()
    except ProbeFailed as why:
        pytest.skip(f"{why}: {why.hint}")
    finally:
        await probe.close()


def printed(*arguments: str) -> str:
    if SMI is None:
        pytest.skip("no nvidia-smi")
    ran = subprocess.run([SMI, *arguments], capture_output=True, text=True, timeout=60, check=False)
    return ran.stdout + ran.stderr


def by_smi() -> tuple[Device, ...]:
    query = smi.Query()
    while True:
        text = printed(*query.command.split()[1:])
        print(query.command, text, sep="\n")
        if "not a valid field" not in text:
            limits = smi.limits(printed(*smi.LIMITS.split()[1:]))
            rows = map(query.row, text.strip().splitlines())
            return tuple(replace(r.device, max_c=limits.get(r.bus_id)) for r in rows)
        other = query.instead(text)
        assert other is not None
        query = other


async def test_nvml_reads_the_cards_of_this_machine() -> None:
    found = await by_nvml()
    print(*found.devices, found.processes, sep="\n")
    assert found.fault() is None
    for device in found.devices:
        assert device.uuid
        assert device.name
        assert device.total_mb is not None
        assert device.free_mb is not None
        assert device.max_c is None or 40 < device.max_c < 130


async def test_nvidia_smi_says_the_same() -> None:
    print(printed("-q", "-d", "TEMPERATURE"))
    told = {d.uuid: d for d in by_smi()}
    for device in (await by_nvml()).devices:
        other = told[device.uuid]
        assert (device.name, device.index, device.unified) == (
            other.name,
            other.index,
            other.unified,
        )
        assert device.total_mb == pytest.approx(other.total_mb, abs=2)
        assert device.free_mb == pytest.approx(other.free_mb, rel=0.05, abs=64)
        assert device.max_c is None or other.max_c is None or device.max_c == other.max_c
        for mine, its in (
            (device.temperature_c, other.temperature_c),
            (device.margin_c, other.margin_c),
        ):
            assert mine is None or its is None or abs(mine - its) <= 5


async def test_the_stream_tells_one_line_at_a_time_through_a_pipe() -> None:
    """What the SSH probe counts on: real nvidia-smi does not hold its lines back."""
    if SMI is None:
        pytest.skip("no nvidia-smi")
    query = "--query-gpu=uuid,temperature.gpu"
    process = await asyncio.create_subprocess_exec(
        SMI, query, smi.PLAIN, "-l", "1", stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(30):
            lines = [await process.stdout.readline() for _ in range(3)]
    finally:
        process.kill()
        await process.communicate()
    print(*lines, sep="\n")
    assert all(line.startswith(b"GPU-") for line in lines)


def test_processes_can_be_asked_for() -> None:
    text = printed(*smi.PROCESSES.split()[1:])
    print(smi.PROCESSES, text, sep="\n")
    assert smi.processes(text) is None or "," in text or not text.strip()
