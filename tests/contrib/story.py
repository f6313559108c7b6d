"""A working day of the simulated house, in virtual time: work that trickles in all day, and trouble that comes and goes at known
minutes. Prometheus looks once a minute: the page of each becomes the input of `promtool test rules`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from tests.builders import new_task
from tests.shell.virtual import START_MS, run_virtual
from tests.surface.day import CONFIG, Day, day
from ygg.disks import Room
from ygg.errors import StoreError
from ygg.metrics import Drawn
from ygg.metrics.page import families
from ygg.model import Counts, Device, OutcomeKind, State
from ygg.ports import Filter

MINUTES = 605
MORNING = 170  #: hosts, the disk, the store and ygg itself
READ_S = 20.0
TARGET = {"job": "ygg", "instance": "surtr.local:9420"}
GB = 1_000_000_000
Series = tuple[str, frozenset[tuple[str, str]]]
Page = dict[Series, float]


@dataclass
class Told:
    """The day, and its pages by minute; None where nobody answered."""

    day: Day
    room: Room = field(default=Room(200 * GB, 500 * GB))
    fails: bool = False  #: the store
    away: bool = False  #: the daemon
    names: frozenset[str] = frozenset()  #: of the samples that are kept
    pages: list[Page | None] = field(default_factory=list)

    # --- what happens ----------------------------------------------------------------------------

    async def submit(self, kind: str, count: int = 1) -> None:
        await self.day.home.dispatcher.submit([new_task(kind) for _ in range(count)])

    async def trickle(self) -> None:
        for kind, count in (("general", 2), ("reasoning", 1), ("chat", 2), ("alone", 1)):
            await self.submit(kind, count)

    async def drained(self, yes: bool, *hosts: str) -> None:
        for host in hosts or CONFIG.hosts:
            await self.day.home.dispatcher.drain_host(host, yes)

    def breaks(self, count: int) -> None:
        """So many tasks end in an answer that is no answer."""
        self.day.home.places["skadi"].breaks = [OutcomeKind.BAD_REQUEST] * count

    async def retried(self) -> None:
        failed = await self.day.home.store.find(Filter(states=(State.FAILED,), limit=500))
        await self.day.home.dispatcher.retry([task.id for task in failed])

    def latency(self, seconds: float) -> None:
        for place in self.day.home.places.values():
            place.latency_s = seconds

    def cards(self, host: str, celsius: float, free: float) -> None:
        """Of each card: its heat, and the share of its memory that is free."""
        probe = self.day.probes[host]
        probe.devices = tuple(
            replace(d, total_mb=12_288.0, free_mb=12_288.0 * free, temperature_c=celsius, max_c=95.0)
            for d in probe.devices or (Device(host),)
        )  # fmt: skip

    # --- what is seen ----------------------------------------------------------------------------

    async def look(self) -> None:
        dispatcher = self.day.home.dispatcher
        view = await dispatcher.view()
        drawn = Drawn(view, dispatcher.tally.copy(), CONFIG, {}, self.room)
        page = {
            (s.name, frozenset((s.labels | TARGET).items())): _since(s.name, s.value)
            for f in families(drawn) for s in f.samples if s.name in self.names
        }  # fmt: skip
        self.pages.append(None if self.away else page)


def _since(name: str, value: float) -> float:
    """Prometheus' clock begins at 0."""
    return value - START_MS / 1000 if name.endswith("_timestamp_seconds") else value


Act = Callable[[Told], Awaitable[None] | None]


def _server(host: str, *, up: bool) -> Act:
    return lambda told: told.day.home.places[host].up() if up else told.day.home.places[host].down()


def _set(**fields: object) -> Act:
    def act(told: Told) -> None:
        for name, value in fields.items():
            setattr(told, name, value)

    return act


def _silent(host: str, yes: bool) -> Act:
    return lambda told: setattr(told.day.probes[host], "silent", yes)


class Fires(NamedTuple):
    """The minutes between which an alert is to fire, the first and the last; at those beside them it may."""

    alert: str
    first: int
    last: int
    where: str = ""  #: host, where the alert names one


BESIDE = 2
#: All that fires; nothing else does, at no minute.
FIRES = (
    Fires("YggHostDown", 45, 69, "fenrir"),
    Fires("YggDiskNearlyFull", 111, 119),
    Fires("YggStoreFails", 131, 135),
    Fires("YggDown", 157, 164),
    Fires("YggGpuHot", 190, 204, "surtr"),
    Fires("YggThrottled", 260, 280, "surtr"),
    Fires("YggQueueDeep", 315, 319),
    Fires("YggDeadLetters", 361, 374),
    Fires("YggDeadLetters", 381, 409),
    Fires("YggTasksFail", 387, 406),
    Fires("YggSlow", 462, 491),
    Fires("YggNothingMoves", 537, 549),
    Fires("YggTelemetryLost", 575, 589, "surtr"),
)
#: What happens, by minute. Each time first what is to fire nothing.
STORY: dict[int, Act] = {
    # a host that is back within three minutes; one that is away; one that a person took out and switched off
    20: _server("fenrir", up=False), 23: _server("fenrir", up=True),
    40: _server("fenrir", up=False), 70: _server("fenrir", up=True),
    72: lambda told: told.drained(True, "hel"), 73: _server("hel", up=False),
    90: _server("hel", up=True), 91: lambda told: told.drained(False, "hel"),
    # the disk fills up; the store fails; ygg starts anew; ygg is away
    100: _set(room=Room(9 * GB, 500 * GB)), 103: _set(room=Room(40 * GB, 500 * GB)),
    106: _set(room=Room(9 * GB, 500 * GB)), 120: _set(room=Room(40 * GB, 500 * GB)),
    130: _set(fails=True), 136: _set(fails=False),
    145: _set(away=True), 146: _set(away=False),
    155: _set(away=True), 165: _set(away=False),
    # two hot cards, for four minutes and for twenty-five
    170: lambda told: told.cards("surtr", 83.0, 0.6), 174: lambda told: told.cards("surtr", 55.0, 0.6),
    180: lambda told: told.cards("surtr", 83.0, 0.6), 205: lambda told: told.cards("surtr", 55.0, 0.6),
    # somebody plays there for ten minutes, and for fifty
    215: lambda told: told.cards("surtr", 55.0, 0.1), 225: lambda told: told.cards("surtr", 55.0, 0.6),
    230: lambda told: told.cards("surtr", 55.0, 0.1), 280: lambda told: told.cards("surtr", 55.0, 0.6),
    # many tasks at once: done within minutes, and not
    290: lambda told: told.submit("alone", 620), 310: lambda told: told.submit("alone", 1800),
    # one task fails, and is tried again by a person; then many do
    360: lambda told: told.breaks(1), 375: Told.retried,
    380: lambda told: told.breaks(30), 410: Told.retried,
    # everything is slow for five minutes, and for thirty
    420: lambda told: told.latency(9.0), 423: lambda told: told.latency(2.0),
    450: lambda told: told.latency(20.0), 480: lambda told: told.latency(2.0),
    # a person stops dispatch; a person takes all hosts out and forgets it
    500: lambda told: told.day.home.dispatcher.pause(True), 520: lambda told: told.day.home.dispatcher.pause(False),
    525: lambda told: told.drained(True), 550: lambda told: told.drained(False),
    # readings fail for a minute, and for twenty
    560: _silent("surtr", True), 561: _silent("surtr", False),
    570: _silent("surtr", True), 590: _silent("surtr", False),
}  # fmt: skip


async def _lived(minutes: int, names: frozenset[str]) -> list[Page | None]:
    async with day(0) as house:
        told = Told(house, names=names)
        for name, probe in house.probes.items():
            probe.interval_s = READ_S
            told.cards(name, 55.0, 0.6)
        _may_fail(told)
        for minute in range(minutes):
            done = STORY.get(minute, lambda _: None)(told)
            if done is not None:
                await done
            await told.trickle()
            await asyncio.sleep(60)
            await told.look()
        return told.pages


def _may_fail(told: Told) -> None:
    """The store of the house, which fails while `told.fails`."""
    store = told.day.home.store
    counts = store.counts

    async def counted() -> Counts:
        if told.fails:
            raise StoreError("the disk does not answer")
        return await counts()

    store.counts = counted  # type: ignore[method-assign]


def lived(minutes: int, names: frozenset[str]) -> list[Page | None]:
    """The samples of these names, minute by minute."""
    return run_virtual(_lived(minutes, names))


# --- as promtool reads it ------------------------------------------------------------------------


def series(pages: list[Page | None]) -> list[dict[str, str]]:
    """`input_series` of them, and of `up`."""
    up: list[Page | None] = [
        {("up", frozenset(TARGET.items())): float(p is not None)} for p in pages
    ]
    found = {key for page in pages if page for key in page}
    told = [(key, pages) for key in sorted(found, key=str)]
    told += [(key, up) for key in up[0] or ()]
    return [{"series": _written(key), "values": " ".join(_values(key, of))} for key, of in told]


def _written(key: Series) -> str:
    labels = ",".join(f"{name}={_quoted(value)}" for name, value in sorted(key[1]))
    return f"{key[0]}{{{labels}}}"


def _quoted(value: str) -> str:
    return '"' + value.replace("\\", r"\\").replace('"', r"\"") + '"'


def _values(key: Series, pages: list[Page | None]) -> list[str]:
    """A series that a page has no more is stale from then on."""
    values = [None if page is None else page.get(key) for page in pages]
    gone = ["_", *("stale" if value is not None else "_" for value in values)]
    return [gone[n] if value is None else repr(float(value)) for n, value in enumerate(values)]
