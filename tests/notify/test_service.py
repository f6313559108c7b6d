"""The service in virtual time: what fails is tried again, a restart repeats nothing, a reload counts, nobody waits."""

from __future__ import annotations

import asyncio
import json
import stat
from collections.abc import Awaitable, Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from tests.notify.scene import PHONE, Told, telling
from tests.shell.virtual import House, house, run_virtual
from ygg.model.notices import Event, Target, TargetKind
from ygg.notify.posting import GIVE_UP_S, PAUSES_S
from ygg.notify.service import FILE
from ygg.notify.trying import NotSent

PC = Target("pc", TargetKind.WEBHOOK, "http://pc")
Scene = Callable[[House, Told], Awaitable[None]]


def played(state: Path, scene: Scene, told: Told | None = None) -> Told:
    """A scene of a house with the service."""
    found = told or Told()

    async def main() -> None:
        async with house({"a": 1}) as home, telling(home, found, state):
            await scene(home, found)

    run_virtual(main())
    return found


async def fall(home: House, seconds: float = 120) -> None:
    """Host `a` goes down, and is found so."""
    home.places["a"].down()
    await asyncio.sleep(seconds)


async def rise(home: House, seconds: float = 180) -> None:
    home.places["a"].up()
    await asyncio.sleep(seconds)


def test_a_host_that_falls_and_rises_is_two_messages(tmp_path: Path) -> None:
    async def scene(home: House, _: Told) -> None:
        await asyncio.sleep(60)
        await fall(home, 3600)
        await rise(home)

    told = played(tmp_path, scene)
    assert told.titles() == ["a is down", "a is up again"]
    assert told.troubles == ()


# --- what fails -------------------------------------------------------------------------------------


def test_what_does_not_arrive_is_tried_again_later_and_later_as_the_same(tmp_path: Path) -> None:
    async def scene(home: House, told: Told) -> None:
        told.fails["phone"] = NotSent("no way")
        await fall(home, 400)
        assert told.troubles == ("phone: no way, 1 message waiting",)
        del told.fails["phone"]
        await asyncio.sleep(700)

    told = played(tmp_path, scene)
    at = [when for when, _, _ in told.tries]
    assert [b - a for a, b in pairwise(at)] == list(PAUSES_S)
    assert len({letter for _, _, letter in told.tries}) == 1
    assert told.titles() == ["a is down"]
    assert told.troubles == ()


def test_what_cannot_help_is_not_tried_again_and_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def scene(home: House, told: Told) -> None:
        told.fails["phone"] = NotSent("HTTP 404", again=False)
        await fall(home, 4000)
        assert told.troubles == ("phone: HTTP 404, 1 message lost",)

    told = played(tmp_path, scene)
    assert len(told.tries) == 1
    assert "phone is not told: a is down: HTTP 404" in caplog.text


def test_it_is_given_up_after_hours_and_the_next_one_is_tried(tmp_path: Path) -> None:
    async def scene(home: House, told: Told) -> None:
        told.fails["phone"] = NotSent("no way")
        await fall(home, GIVE_UP_S + 1300)
        assert "1 message lost" in told.troubles[0]
        del told.fails["phone"]
        await rise(home, 700)

    told = played(tmp_path, scene)
    assert told.titles() == ["a is up again"]
    assert len({letter for _, _, letter in told.tries}) == 2


def test_a_bug_in_sending_ends_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    class Broken(Told):
        async def send(self, target: Target, letter: object) -> None:
            raise KeyError("secret")

    async def scene(home: House, told: Told) -> None:
        await fall(home)
        assert told.troubles == ("phone: bug: KeyError, 1 message lost",)

    played(tmp_path, scene, Broken())
    assert "bug: phone is not told" in caplog.text


def test_a_dead_target_holds_up_neither_tasks_nor_other_targets(tmp_path: Path) -> None:
    ends: dict[float, float] = {}

    def timed(hang_s: float) -> Told:
        async def scene(home: House, told: Told) -> None:
            loop = asyncio.get_running_loop()
            told.targets, told.hangs = (PHONE, PC), {"phone": hang_s}
            await fall(home)
            home.places["a"].up()
            began = loop.time()
            tasks = [await home.submit() for _ in range(200)]
            await home.ends(tasks)
            ends[hang_s] = loop.time() - began
            await asyncio.sleep(60)

        return played(tmp_path / str(hang_s), scene)

    for hang_s in (0.0, 1e5):
        (tmp_path / str(hang_s)).mkdir()
    free, hung = timed(0.0), timed(1e5)
    assert ends[0.0] == ends[1e5]
    assert (
        free.titles("pc")
        == hung.titles("pc")
        == ["a is down", "a is up again", "the queue is drained"]
    )
    assert (len(free.titles()), hung.titles()) == (3, [])


# --- restarts and reloads -----------------------------------------------------------------------------


def test_a_restart_repeats_nothing_and_tells_what_is_over(tmp_path: Path) -> None:
    async def down(home: House, _: Told) -> None:
        await fall(home, 600)

    async def again(home: House, _: Told) -> None:
        await fall(home, 600)
        await rise(home)

    assert played(tmp_path, down).titles() == ["a is down"]
    assert played(tmp_path, again).titles() == ["a is up again"]
    assert stat.S_IMODE((tmp_path / FILE).stat().st_mode) == 0o600


def test_what_waits_when_it_stops_is_told_by_the_next_run(tmp_path: Path) -> None:
    hushed = replace(PHONE, quiet=(0, 60))  # the scene begins at midnight
    early = Told(targets=(hushed, PC), fails={"pc": NotSent("no way")})

    async def down(home: House, _: Told) -> None:
        await fall(home, 600)

    assert played(tmp_path, down, early).letters == []
    assert [p for p in tmp_path.iterdir() if p.name == FILE]
    late = Told(targets=(PHONE, PC))

    async def same(home: House, _: Told) -> None:
        await fall(home, 300)

    told = played(tmp_path, same, late)
    assert (told.titles(), told.titles("pc")) == (["a is down"], ["a is down"])
    assert json.loads((tmp_path / FILE).read_text())["waiting"] is None


@pytest.mark.parametrize("text", ["", "{", '{"known": 7}', '{"known": {"held": [["x"]]}}', "\0"])
def test_a_file_that_is_none_is_told_and_costs_a_message_at_most(
    tmp_path: Path, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / FILE).write_text(text)

    async def down(home: House, _: Told) -> None:
        await fall(home, 600)

    assert played(tmp_path, down).titles() == ["a is down"]
    assert f"{FILE} cannot be read" in caplog.text


def test_a_disk_that_takes_nothing_ends_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def down(home: House, _: Told) -> None:
        await fall(home, 600)

    assert played(tmp_path / "none", down).titles() == ["a is down"]
    assert "cannot be written" in caplog.text


def test_a_reload_takes_another_list(tmp_path: Path) -> None:
    async def scene(home: House, told: Told) -> None:
        told.fails["phone"] = NotSent("no way")
        await fall(home, 200)
        assert told.troubles
        told.targets = (replace(PHONE, url="http://other"), PC)  # what waits goes along
        told.fails.clear()
        await asyncio.sleep(60)
        await rise(home)
        told.targets = ()
        await fall(home, 600)

    told = played(tmp_path, scene)
    assert told.titles() == ["a is down", "a is up again"]
    assert told.titles("pc") == ["a is up again"]
    assert told.urls == ["http://other", "http://other", "http://pc"]
    assert told.troubles == ()
    assert not (tmp_path / FILE).exists()


def test_who_comes_later_hears_of_what_is_the_matter_then(tmp_path: Path) -> None:
    async def scene(home: House, told: Told) -> None:
        told.targets = ()
        await fall(home, 600)
        told.targets = (PHONE,)
        await asyncio.sleep(120)

    assert played(tmp_path, scene).titles() == ["a is down"]


# --- quiet hours --------------------------------------------------------------------------------------


def test_a_night_is_told_in_the_morning_as_one_message(tmp_path: Path) -> None:
    night = replace(PHONE, quiet=(0, 7 * 60), events=(Event.HOST_DOWN, Event.HOST_UP))

    async def scene(home: House, told: Told) -> None:
        told.targets = (night,)
        for _ in range(3):
            await asyncio.sleep(3600)
            await fall(home, 1200)
            await rise(home)
        await asyncio.sleep(4 * 3600)

    told = played(tmp_path, scene)
    ((at, _, letter),) = told.letters
    assert 7 * 3600 <= at < 7 * 3600 + 10
    assert [n.event for n in letter.notices] == [Event.HOST_DOWN, Event.HOST_UP] * 3
    assert letter.title == "6 messages: a is down, a is up again"
