"""What `ygg demo` plays: machines whose GPUs are read over SSH, troubles that the dispatcher is seen to react to."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from ygg.model import State, Telemetry
from ygg.probes.login import Login
from ygg.probes.smi import Query, processes
from ygg.probes.ssh import SshProbe
from ygg.sim.demo import demo, summary
from ygg.sim.driving import WAITING, Driver
from ygg.sim.house import HOME, Options, config_of
from ygg.sim.machines import COOLS_S, MODEL_MB, WARMS_S, Machine, listening


def machine(models: int = 1, busy: int = 0) -> Machine:
    return Machine("surtr", "RTX 3070", 8192, lambda: models, lambda: busy)


def test_a_machine_speaks_as_nvidia_smi_does() -> None:
    row = Query().row(machine().row(Query().fields, 1.0)).device
    assert (row.uuid, row.name, row.total_mb, row.temperature_c) == (
        "GPU-surtr",
        "RTX 3070",
        8192,
        48,
    )
    assert row.free_mb == round(8192 - 300 - MODEL_MB)
    one = machine()
    one.foreign_mb = 100
    assert [(p.name, p.used_mb) for p in processes(one.processes()) or ()] == [
        ("/usr/bin/ollama", round(MODEL_MB)), ("game.exe", 100),
    ]  # fmt: skip


def test_a_card_warms_up_slowly_and_cools_down_faster() -> None:
    one = machine()
    assert one.celsius(10.0) == one.rests_c
    one.heated_c = 96.0
    warm = one.celsius(10.0 + WARMS_S)
    assert 75 < warm < 80
    one.heated_c = None
    assert one.celsius(10.0 + WARMS_S + COOLS_S) < 62
    assert one.celsius(100.0) == pytest.approx(one.rests_c)


async def test_it_is_read_over_ssh_with_its_host_key_checked(tmp_path: Path) -> None:
    known = tmp_path / "known_hosts"
    async with listening([machine()], tmp_path, known) as access:
        login = Login(
            "surtr", f"demo@127.0.0.1:{access.ports['surtr']}", known, tmp_path / "ssh_key"
        )
        probe = SshProbe(login, Telemetry("ssh", interval_s=0.1))
        readings = [await probe.sample() for _ in range(2)]
        await probe.close()
    assert {r.devices[0].name for r in readings} == {"RTX 3070"}
    assert {p.name for p in readings[0].processes or ()} == {"/usr/bin/ollama"}
    assert access.env == {"CREDENTIALS_DIRECTORY": str(tmp_path)}


async def test_a_demo_that_is_stopped_stops_its_scene() -> None:
    """An act that goes on would submit to a dispatcher that shuts down."""
    began, ended = asyncio.Event(), asyncio.Event()

    async def scene() -> None:
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    dispatcher = SimpleNamespace(snapshot=lambda _: SimpleNamespace(waiting=range(WAITING)))
    driver = Driver(cast(Any, dispatcher), config_of({name: "http://x" for name, *_ in HOME}))
    playing = asyncio.create_task(driver.busy_while(scene(), []))
    await began.wait()
    playing.cancel()
    await asyncio.wait({playing})
    assert playing.cancelled()
    assert ended.is_set()


@pytest.mark.timeout(120)
def test_each_act_is_seen_and_what_the_servers_saw_proves_it() -> None:
    report = asyncio.run(demo(Options()))
    told = summary(report)
    assert report.ok, told
    assert report.states[State.COMPLETED] == report.tasks - 1
    assert len(report.notes) == 5
    for words in ("surtr-reasoning got hot: half its slots at 8", "fenrir-chat was full: a game took 3.5 GB",
                  "skadi-code went away for ", "fenrir-chat changed its model: ", "overtook "):  # fmt: skip
        assert sum(words in note for note in report.notes) == 1, told
    assert told.count("its server saw 0 new calls in that time") == 2, told
