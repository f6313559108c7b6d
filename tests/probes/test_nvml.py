"""This machine's driver: what is read of it, and how it fails, by a stand-in library."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pynvml
import pytest

from tests.probes.stub import (
    DRIVER_NOT_LOADED,
    FUNCTION_NOT_FOUND,
    GPU_IS_LOST,
    NO_PERMISSION,
    NOT_SUPPORTED,
    UNINITIALIZED,
    UNKNOWN,
    VERSION_MISMATCH,
    Stub,
    threads,
)
from ygg.model import Device, Process, Reading, Telemetry
from ygg.ports import ProbeFailed
from ygg.probes.nvml import NvmlProbe

Probe = Callable[..., NvmlProbe]
TEMPERATURE = "nvmlDeviceGetTemperatureV"


@pytest.fixture
async def probe(nvml: Stub) -> AsyncIterator[Probe]:
    made: list[NvmlProbe] = []

    def make(**telemetry: Any) -> NvmlProbe:
        made.append(NvmlProbe(Telemetry(**{"interval_s": 0.01, "timeout_s": 20.0} | telemetry)))
        return made[-1]

    yield make
    for found in made:
        await found.close()


async def only(probe: Probe) -> Device:
    (device,) = (await probe().sample()).devices
    return device


async def failure(probe: NvmlProbe) -> ProbeFailed:
    with pytest.raises(ProbeFailed) as caught:
        await probe.sample()
    assert caught.value.hint
    return caught.value


# --- what is read -----------------------------------------------------------------------------------------


async def test_a_reading_tells_all_of_a_card(probe: Probe) -> None:
    found = await probe().sample()
    assert found == Reading(
        "nvml",
        (
            Device(
                uuid="GPU-stub-0",
                name="NVIDIA Stub",
                total_mb=8192,
                free_mb=7000,
                temperature_c=55,
                margin_c=35,
                max_c=90,
                reasons=1,
                power_w=98.5,
                utilization=40,
            ),
        ),
        processes=(),
    )


async def test_two_cards_are_one_reading_by_uuid(nvml: Stub, probe: Probe) -> None:
    nvml.tell(count=2, temperature1=70, free1=100)
    found = (await probe().sample()).devices
    assert [(d.uuid, d.index, d.temperature_c) for d in found] == [
        ("GPU-stub-0", 0, 55),
        ("GPU-stub-1", 1, 70),
    ]


async def test_older_drivers_are_asked_in_older_ways(nvml: Stub, probe: Probe) -> None:
    nvml.tell(
        **{
            TEMPERATURE: FUNCTION_NOT_FOUND,
            "nvmlDeviceGetCurrentClocksEventReasons": FUNCTION_NOT_FOUND,
            "nvmlDeviceGetMarginTemperature": FUNCTION_NOT_FOUND,
            "reasons": 0x20,
        }
    )
    found = await only(probe)
    assert (found.temperature_c, found.margin_c, found.reasons) == (55, None, 0x20)
    assert nvml.calls("nvmlDeviceGetTemperature") == 1
    assert nvml.calls("nvmlDeviceGetCurrentClocksThrottleReasons") == 1


async def test_a_binding_without_newer_functions_is_enough(
    probe: Probe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(pynvml, TEMPERATURE)
    monkeypatch.delattr(pynvml, "nvmlDeviceGetMarginTemperature")
    found = await only(probe)
    assert (found.temperature_c, found.margin_c) == (55, None)


@pytest.mark.parametrize(
    ("function", "field"),
    [
        ("nvmlDeviceGetPowerUsage", "power_w"),
        ("nvmlDeviceGetUtilizationRates", "utilization"),
        ("nvmlDeviceGetTemperatureThreshold", "max_c"),
        ("nvmlDeviceGetMarginTemperature", "margin_c"),
    ],
)
@pytest.mark.parametrize("code", [NOT_SUPPORTED, NO_PERMISSION, FUNCTION_NOT_FOUND, UNKNOWN])
async def test_what_a_card_does_not_tell_is_none_and_hides_no_other(
    nvml: Stub, probe: Probe, function: str, field: str, code: int
) -> None:
    whole = await only(probe)
    nvml.tell(**{function: code})
    found = await only(probe)
    different = [a for a in Device.__slots__ if getattr(found, a) != getattr(whole, a)]
    assert different == [field]
    assert getattr(found, field) is None


@pytest.mark.parametrize("limit", [0, 2**32 - 2, 131])
async def test_a_limit_that_is_no_temperature_is_none(nvml: Stub, probe: Probe, limit: int) -> None:
    nvml.tell(max=limit)
    assert (await only(probe)).max_c is None


@pytest.mark.parametrize("told", [{"nvmlDeviceGetMemoryInfo": NOT_SUPPORTED}, {"total": 0}])
async def test_memory_that_is_not_supported_is_the_machines_own(
    nvml: Stub, probe: Probe, told: dict[str, int]
) -> None:
    nvml.tell(**told)
    found = await only(probe)
    assert found.unified
    assert found.total_mb is not None
    assert found.free_mb is not None
    assert 0 < found.free_mb < found.total_mb


@pytest.mark.parametrize("code", [UNKNOWN, NO_PERMISSION, FUNCTION_NOT_FOUND])
async def test_memory_that_is_unknown_for_another_reason_is_nobodys(
    nvml: Stub, probe: Probe, code: int
) -> None:
    nvml.tell(nvmlDeviceGetMemoryInfo=code)
    found = await only(probe)
    assert not found.unified
    assert (found.total_mb, found.free_mb) == (None, None)


# --- processes ----------------------------------------------------------------------------------------------


async def test_processes_that_compute_and_draw_count_once(nvml: Stub, probe: Probe) -> None:
    nvml.tell(compute=1, graphics=2, process101="/usr/games/doom")
    assert (await probe().sample()).processes == (
        Process(100, "/usr/bin/ollama", 1024),
        Process(101, "/usr/games/doom", 1024),
    )


async def test_processes_whose_memory_is_not_told_are_unknown(nvml: Stub, probe: Probe) -> None:
    nvml.tell(compute=1, used=2**64 - 1)
    assert (await probe().sample()).processes is None
    nvml.tell(compute=0)
    assert (await probe().sample()).processes == ()


async def test_a_driver_that_lists_no_processes_leaves_them_unknown(
    nvml: Stub, probe: Probe
) -> None:
    for kind in ("Compute", "Graphics"):
        nvml.tell(**{f"nvmlDeviceGet{kind}RunningProcesses_v3": NOT_SUPPORTED})
    assert (await probe().sample()).processes is None


async def test_a_process_without_a_name_still_holds_memory(nvml: Stub, probe: Probe) -> None:
    nvml.tell(compute=1, nvmlSystemGetProcessName=NO_PERMISSION)
    assert (await probe().sample()).processes == (Process(100, "", 1024),)


# --- errors -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "advice"),
    [
        (GPU_IS_LOST, "reboot"), (VERSION_MISMATCH, "reboot"), (DRIVER_NOT_LOADED, "modprobe"),
        (UNINITIALIZED, "anew"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("function", ["nvmlInitWithFlags", TEMPERATURE, "nvmlDeviceGetMemoryInfo"])
async def test_a_sick_driver_is_opened_anew_with_the_next_reading(
    nvml: Stub, probe: Probe, function: str, code: int, advice: str
) -> None:
    source = probe()
    nvml.tell(**{function: code})
    error = await failure(source)
    assert str(error).startswith("NVML: ")
    assert advice in error.hint
    nvml.tell(**{function: None})
    await source.sample()
    assert nvml.calls("nvmlInitWithFlags") == 2


@pytest.mark.parametrize("code", [GPU_IS_LOST, UNKNOWN, NO_PERMISSION, UNINITIALIZED])
@pytest.mark.parametrize("known", [True, False])
async def test_an_error_of_one_card_is_that_cards(
    nvml: Stub, probe: Probe, code: int, known: bool
) -> None:
    source = probe()
    nvml.tell(count=2, compute0=1)
    if known:
        await source.sample()
    nvml.tell(error1=code, temperature0=91)
    for _ in range(2):
        found = await source.sample()
        well, lost = found.devices
        assert (well.temperature_c, well.error) == (91, "")
        assert (lost.index, lost.temperature_c, lost.total_mb) == (1, None, None)
        assert "dmesg" in lost.error
        assert found.processes
    assert lost.uuid == ("GPU-stub-1" if known else "GPU 1")
    nvml.tell(error1=None)
    assert [d.error for d in (await source.sample()).devices] == ["", ""]
    assert nvml.calls("nvmlInitWithFlags") == 1


@pytest.mark.parametrize("kind", ["Compute", "Graphics"])
async def test_a_card_that_dies_while_its_processes_are_asked_for_hides_no_heat(
    nvml: Stub, probe: Probe, kind: str
) -> None:
    nvml.tell(count=2, temperature0=91)
    nvml.tell(**{f"nvmlDeviceGet{kind}RunningProcesses_v31": GPU_IS_LOST})
    found = await probe().sample()
    assert [d.temperature_c for d in found.devices] == [91, 55]
    assert found.processes is None


async def test_a_driver_in_which_every_card_is_lost_is_opened_anew(
    nvml: Stub, probe: Probe
) -> None:
    source = probe()
    nvml.tell(count=2, error0=GPU_IS_LOST, error1=UNKNOWN)
    assert "Xid" in (await failure(source)).hint
    nvml.tell(error0=None)
    assert [bool(d.error) for d in (await source.sample()).devices] == [False, True]
    assert nvml.calls("nvmlInitWithFlags") == 2


async def test_a_machine_without_a_driver_says_so_and_heals(
    nvml: Stub, probe: Probe, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = pynvml.nvmlLib

    def missing(_name: str) -> None:
        raise OSError("cannot open shared object file")

    source = probe()
    monkeypatch.setattr(pynvml, "nvmlLib", None)
    monkeypatch.setattr(pynvml, "CDLL", missing)
    error = await failure(source)
    assert "Library Not Found" in str(error)
    assert "install the NVIDIA driver" in error.hint
    monkeypatch.setattr(pynvml, "nvmlLib", library)
    await source.sample()


async def test_a_driver_without_cards_is_an_error_and_heals(nvml: Stub, probe: Probe) -> None:
    source = probe()
    nvml.tell(count=0)
    assert "sees no GPU" in str(await failure(source))
    nvml.tell(count=1)
    await source.sample()


# --- a driver that hangs --------------------------------------------------------------------------------------


async def test_a_hung_driver_gets_no_second_call_and_holds_nobody_up(
    nvml: Stub, probe: Probe
) -> None:
    source, loop = probe(timeout_s=0.05), asyncio.get_running_loop()
    nvml.tell(hang=TEMPERATURE)
    begun = loop.time()
    assert "did not answer within 0.05 s" in str(await failure(source))
    calls = nvml.calls()
    for _ in range(3):
        error = await failure(source)
        assert "hangs: no answer for" in str(error)
        assert "reboot" in error.hint
    await asyncio.wait_for(source.rest(), 1)
    assert loop.time() - begun < 5
    assert nvml.calls() == calls, "nothing was asked as long as it hung"
    nvml.tell(hang=None)
    await nvml.called("nvmlShutdown")
    assert (await source.sample()).devices


async def test_closing_does_not_wait_for_a_hung_driver(nvml: Stub, probe: Probe) -> None:
    source = probe(timeout_s=0.05)
    nvml.tell(hang=TEMPERATURE)
    await failure(source)
    await asyncio.wait_for(source.close(), 1)
    assert threads()
    await nvml.ended()
    assert nvml.calls("nvmlShutdown") == 1


async def test_a_call_whose_sample_was_given_up_is_no_hang(nvml: Stub, probe: Probe) -> None:
    source = probe()
    nvml.tell(hang=TEMPERATURE)
    given_up = asyncio.create_task(source.sample())
    await nvml.called(TEMPERATURE)
    given_up.cancel()
    await asyncio.wait({given_up})
    waiting = asyncio.create_task(source.sample())
    await asyncio.sleep(0)
    nvml.tell(hang=None)
    assert (await waiting).devices
    assert nvml.calls("nvmlInitWithFlags") == 1


def test_a_hung_driver_does_not_hold_up_the_end_of_the_interpreter(
    nvml_library: Path, tmp_path: Path
) -> None:
    told = tmp_path / "stub"
    told.write_text(f"hang={TEMPERATURE}\n")
    program = (
        "import asyncio\n"
        "from ygg.model import Telemetry\n"
        "from ygg.ports import ProbeFailed\n"
        "from ygg.probes.nvml import NvmlProbe\n"
        "async def main():\n"
        "    probe = NvmlProbe(Telemetry(timeout_s=0.1))\n"
        "    try:\n"
        "        await probe.sample()\n"
        "    except ProbeFailed as why:\n"
        "        print(why)\n"
        "    await probe.close()\n"
        "asyncio.run(main())\n"
    )
    env = os.environ | {"LD_LIBRARY_PATH": str(nvml_library.parent), "YGG_STUB": str(told)}
    command = [sys.executable, "-c", program]
    ran = subprocess.run(command, env=env, capture_output=True, text=True, timeout=30, check=True)
    assert "did not answer within 0.1 s" in ran.stdout
    assert ran.stderr == ""


# --- rest -----------------------------------------------------------------------------------------------------


async def test_rest_lets_go_of_the_driver_and_the_next_sample_opens_it_anew(
    nvml: Stub, probe: Probe
) -> None:
    source = probe()
    await source.rest()
    assert not threads(), "nothing was opened"
    await source.sample()
    await source.rest()
    await nvml.called("nvmlShutdown")
    await source.sample()
    assert nvml.calls("nvmlInitWithFlags") == 2
    await source.close()
    await nvml.ended()
    assert nvml.calls("nvmlShutdown") == 2
