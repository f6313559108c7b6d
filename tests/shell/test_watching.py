"""Probes in the loop: readings come in, failures are retried, resting hosts are left alone."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import pairwise

import pytest

from tests.core.world import card
from tests.shell.virtual import House, house, run_virtual
from ygg.core import events as ev
from ygg.model import Reading, State
from ygg.ports import ProbeFailed
from ygg.running.watching import watch


class FakeProbe:
    """Takes a reading every two seconds, or fails as told."""

    name, measures = "fake", True

    def __init__(self, reading: Callable[[], Reading] | None = None) -> None:
        self.reading = reading or (lambda: Reading("fake", (card(),)))
        self.error: Exception | None = None
        self.samples: list[float] = []
        self.rests = self.closes = 0
        self.fresh = True

    async def sample(self) -> Reading:
        if not self.fresh:
            await asyncio.sleep(2)
        self.fresh = False
        self.samples.append(asyncio.get_running_loop().time())
        if self.error is not None:
            self.fresh = True
            raise self.error
        return self.reading()

    async def rest(self) -> None:
        self.rests += 1
        self.fresh = True

    async def close(self) -> None:
        self.closes += 1


async def seen(probe: FakeProbe, seconds: float) -> list[ev.Event]:
    """Events of a watch that is cancelled after so long."""
    events: list[ev.Event] = []
    task = asyncio.create_task(watch("a", probe, events.append))
    await asyncio.sleep(seconds)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return events


def test_a_watched_probe_feeds_its_readings_and_then_rests() -> None:
    async def main() -> None:
        probe = FakeProbe()
        events = await seen(probe, 9)
        assert events == [ev.ReadingTaken("a", Reading("fake", (card(),)))] * 5
        assert probe.rests == 1

    run_virtual(main())


@pytest.mark.parametrize("error", [ProbeFailed("no route", hint="plug it in"), ValueError("odd")])
def test_a_probe_that_fails_is_asked_again_ever_more_slowly(error: Exception) -> None:
    async def main() -> None:
        probe = FakeProbe()
        probe.error = error
        events = await seen(probe, 260 * 1.18)
        gaps = [b - a for a, b in pairwise(probe.samples)]
        factor = gaps[0]
        assert 1 <= factor <= 1.2
        expected = [factor * n for n in (1, 2, 4, 8, 16, 32, 60, 60, 60)]
        assert gaps == [pytest.approx(e) for e in expected]
        told = {e.message for e in events if isinstance(e, ev.ReadingMissed)}
        assert told in ({"no route; plug it in"}, {"ValueError: odd"})

    run_virtual(main())


def test_misses_of_a_probe_that_measures_nothing_are_not_told() -> None:
    async def main() -> None:
        probe = FakeProbe()
        probe.measures, probe.error = False, ProbeFailed("busy loading")
        assert await seen(probe, 30) == []

    run_virtual(main())


async def own(home: House, probe: FakeProbe | None) -> None:
    state = home.dispatcher.board
    hosts = tuple(h.host for h in state.hosts.values())
    probes = {"a": (probe,)} if probe else {}
    home.dispatcher.own(hosts, state.types, state.policy, home.dispatcher.backends, probes)


def test_a_hot_card_stops_the_starts_of_the_running_dispatcher_and_a_cool_one_lets_them_go_on() -> (
    None
):
    async def main() -> None:
        async with house({"a": 2}) as home:
            celsius = 95.0
            probe = FakeProbe(lambda: Reading("fake", (card(celsius=celsius),)))
            await own(home, probe)
            await asyncio.sleep(1)
            task = await home.submit()
            await asyncio.sleep(100)
            assert (await home.store.get(task.id)).state is State.QUEUED
            celsius = 50.0
            await asyncio.sleep(70)
            assert (await home.store.get(task.id)).state is State.COMPLETED
            view = home.dispatcher.snapshot(0.0).hosts[0]
            assert view.gpus[0].temperature_c == 50
            assert not view.gpus[0].stale

    run_virtual(main())


def test_probes_rest_without_work_and_wake_for_it() -> None:
    async def main() -> None:
        async with house({"a": 2}) as home:
            probe = FakeProbe()
            await own(home, probe)
            await asyncio.sleep(120)
            assert probe.rests == 1
            before = len(probe.samples)
            await asyncio.sleep(600)
            assert len(probe.samples) == before, "the card may sleep"
            task = await home.submit()
            ended = await home.dispatcher.wait_end(task.id, 5)
            assert ended.state is State.COMPLETED
            assert len(probe.samples) > before

    run_virtual(main())


def test_another_probe_of_a_watched_host_takes_over_at_once() -> None:
    async def main() -> None:
        async with house({"a": 2}) as home:
            old, new = FakeProbe(), FakeProbe()
            await own(home, old)
            await asyncio.sleep(5)
            await own(home, new)
            await asyncio.sleep(5)
            assert old.rests == 1
            assert new.samples
            before = len(old.samples)
            await asyncio.sleep(5)
            assert len(old.samples) == before

    run_virtual(main())


def test_a_full_card_is_relieved_by_its_server() -> None:
    async def main() -> None:
        async with house({"a": 2}) as home:
            reading = Reading("fake", (card(97),), loaded=(("main", ("idle",)),))
            probe = FakeProbe(lambda: reading)
            await own(home, probe)
            await asyncio.sleep(1)
            assert home.places["a"].unloaded == ["idle"]
            assert home.dispatcher.board.hosts["a"].servers["main"].loaded == frozenset()

    run_virtual(main())
