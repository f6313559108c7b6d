"""A card of another machine that is lost: nvidia-smi tells of it in many ways, and the others are read on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.probes import captures
from tests.probes.captures import RTX_2080_SUPER, RTX_4080_SUPER, Card
from tests.probes.machines import Home, Machine, Server
from ygg.model import Reading, Telemetry
from ygg.ports import ProbeFailed
from ygg.probes import sick, smi
from ygg.probes.login import Login
from ygg.probes.ssh import SshProbe

HOT = RTX_4080_SUPER | {"temperature.gpu": "91"}
NAME, UUID = RTX_2080_SUPER["name"], RTX_2080_SUPER["uuid"]
GARBAGE = "ERR!, ERR!, ERR!, ERR!, ERR!, ERR!"
#: What nvidia-smi says of the second card, and a word of the error that is made of it.
LINES = [
    (f"{UUID}, 1, 2, 00000000:0C:00.0, {NAME}" + ", [GPU is lost]" * 7, "GPU is lost"),
    (f"{UUID}, 1, 2, 00000000:0C:00.0, {NAME}" + ", [Unknown Error]" * 7, "Unknown Error"),
    (f"{UUID}, 1, 2, 00000000:0C:00.0, {NAME}" + ", ERR!" * 7, "not a number"),
    (f"{UUID}, 1, 2, 00000000:0C:00.0, {NAME}", "expected 12 values, got 5"),
    (f"{UUID}, [GPU is lost], 2, [GPU is lost], {NAME}", "expected 12 values, got 5"),
    (GARBAGE, "expected 12 values, got 6"),
    (", ".join(["[GPU is lost]"] * 12), "a GPU with neither uuid nor index"),
    ("Unable to determine the device handle for GPU0000:0C:00.0: GPU is lost.", "GPU is lost"),
    ("\x1b[31m!!\x07", sick.UNLISTED),
]


@pytest.fixture
async def probe(own_server: Server, home: Home) -> AsyncIterator[SshProbe]:
    login = Login("surtr", own_server.target, home.known_hosts, None)
    found = SshProbe(login, Telemetry(interval_s=0.05, timeout_s=8.0))
    yield found
    await found.close()


def pair(line: str = "", **second: str) -> list[Card]:
    """Two cards, the first hot; the second told by `line`."""
    cards = captures.several(HOT, RTX_2080_SUPER)
    cards[1] |= second | ({"line": line} if line else {})
    return cards


async def next_with(probe: SshProbe, *, lost: bool) -> Reading:
    """The first reading with, or without, a lost card; the errors before it are passed over."""
    async with asyncio.timeout(20):
        while True:
            try:
                found = await probe.sample()
            except ProbeFailed:
                continue
            if any(d.error for d in found.devices) == lost:
                return found


@pytest.mark.parametrize(("line", "word"), LINES)
async def test_a_sick_line_is_one_cards_and_the_other_is_read(
    machine: Machine, probe: SshProbe, line: str, word: str
) -> None:
    machine.tell(cards=pair())
    await next_with(probe, lost=False)
    machine.tell(cards=pair(line))
    for _ in range(2):
        well, lost = (await next_with(probe, lost=True)).devices
        assert (well.temperature_c, well.error) == (91, "")
        assert (lost.index, lost.uuid, lost.name, lost.temperature_c) == (1, UUID, NAME, None)
        assert word in lost.error
        assert lost.error.isprintable()
    machine.tell(cards=pair())
    await next_with(probe, lost=False)
    assert len(machine.runs("query-gpu")) == 1


@pytest.mark.parametrize(("line", "word"), LINES)
@pytest.mark.parametrize("first", [False, True])
async def test_a_sick_line_is_one_cards_from_the_first_reading_on(
    machine: Machine, probe: SshProbe, line: str, word: str, first: bool
) -> None:
    cards = pair(line)
    machine.tell(cards=cards[::-1] if first else cards)
    well, lost = (await probe.sample()).devices
    assert (well.temperature_c, well.error) == (91, "")
    assert (lost.index, lost.temperature_c) == (1, None)
    assert word in lost.error


async def test_a_value_that_cannot_be_read_hides_no_heat(machine: Machine, probe: SshProbe) -> None:
    machine.tell(cards=[HOT | {"power.draw": "ERR!", "memory.free": "?"}])
    (device,) = (await probe.sample()).devices
    assert (device.temperature_c, device.power_w, device.free_mb, device.error) == (
        91,
        None,
        None,
        "",
    )


@pytest.mark.parametrize("known", [True, False])
async def test_a_card_that_cannot_be_opened_blinds_nobody(
    machine: Machine, probe: SshProbe, known: bool
) -> None:
    machine.tell(cards=pair())
    if known:
        await next_with(probe, lost=False)
    machine.tell(cards=pair(lost="Unknown Error"), mode="unopened")
    for _ in range(2):
        well, lost = (await next_with(probe, lost=True)).devices
        assert well.temperature_c == 91
        assert (lost.index, lost.error) == (1, "Unknown Error")
        assert lost.uuid == (UUID if known else "GPU 1")
    await probe.rest()
    machine.tell(cards=pair(), mode="")
    await next_with(probe, lost=False)


async def test_a_login_that_cannot_list_the_others_says_what_is_in_the_way(
    machine: Machine, probe: SshProbe
) -> None:
    machine.tell(cards=[HOT | {"lost": "GPU is lost"}], mode="unopened")
    with pytest.raises(ProbeFailed, match="GPU is lost") as caught:
        await probe.sample()
    assert "reboot" in caught.value.hint


async def test_a_machine_of_which_every_card_is_lost_gives_no_reading(
    machine: Machine, probe: SshProbe
) -> None:
    machine.tell(cards=[RTX_2080_SUPER | {"line": LINES[0][0]}])
    with pytest.raises(ProbeFailed, match="GPU is lost") as caught:
        await probe.sample()
    assert "Xid" in caught.value.hint


@pytest.mark.parametrize("bus", ["0000:0C:00.0", "00000000:0C:00.0", "0000:0c:00.0"])
def test_a_complaint_is_about_the_card_at_that_place(bus: str) -> None:
    said = sick.complaint(f"Unable to determine the device handle for GPU {bus}: Unknown Error")
    assert said is not None
    first, second = (
        smi.Query().row(captures.line(card, smi.FIELDS)) for card in (HOT, RTX_2080_SUPER)
    )
    assert (said.about(first), said.about(second)) == (False, True)
