"""A simulated day: a house in virtual time, tasks that come and go, and everything that goes wrong in one.

`day(seed)` yields at moments at which nothing is under way, minutes apart.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from random import Random

from tests.builders import new_task
from tests.shell.readings import CARD, FakeProbe
from tests.shell.virtual import House, opened
from tests.surface.world import Api, over
from ygg.api.handlers import Handlers
from ygg.config import from_dict
from ygg.errors import Conflict
from ygg.model import Device, Lane, OutcomeKind, Priority, Reading, State
from ygg.ports import Filter, ProbeFailed

HOURS = 24
MODELS = ["m"]
CONFIG = from_dict(
    {
        "hosts": {
            "surtr": {
                "endpoints": [
                    {"name": "ollama", "backend": "ollama", "url": "http://surtr:11434", "models": MODELS, "slots": 2},
                    {"name": "llama", "backend": "openai", "dialect": "llama.cpp", "url": "http://surtr:8080",
                     "models": MODELS, "slots": 2},
                ],
                "pressure": {"mode": "seed"},
            },
            "fenrir": {"backend": "ollama", "url": "http://fenrir:11434", "models": MODELS, "slots": 2},
            "skadi": {"backend": "openai", "dialect": "vllm", "url": "http://skadi:8000", "models": MODELS, "slots": 16,
                      "heat": "card"},
            "hel": {"backend": "ollama", "url": "http://hel:11434", "models": MODELS, "slots": 2, "kind": "cpu"},
        },
        "task_types": {
            "general": {"route": ["fenrir", "surtr"]},
            "reasoning": {"route": ["surtr", "skadi"], "retries": 1},
            "chat": {"route": ["skadi", "fenrir"]},
            "embed": {"route": ["hel", "skadi"]},
            "alone": {"route": ["hel"]},
        },
        "policies": {"poll": "5m"},
    },
    "test",
)  # fmt: skip
CARDS = {"surtr": 2, "fenrir": 1, "skadi": 1}  #: how many each machine has
READ_S = 60.0
FAULTS = (OutcomeKind.UNREACHABLE, OutcomeKind.ERROR, OutcomeKind.UNAUTHORIZED, OutcomeKind.BUSY)


class Machine(FakeProbe):
    """A probe whose cards get hot and full, and that says nothing for a while."""

    def __init__(self, cards: int) -> None:
        super().__init__()
        self.interval_s, self.silent, self._cards = READ_S, False, cards
        self.devices = tuple(Device(f"GPU-{n}", n, CARD.name) for n in range(cards))

    def set(self, chance: Random) -> None:
        """Other readings from now on; of each card with a fraction, as some drivers tell them."""
        self.silent = chance.random() < 0.1
        heat = chance.choice((55.0, 70.0, 76.5, 82.0, 86.5, 91.0))
        free = chance.choice((0.9, 0.6, 0.27, 0.2, 0.084, 0.02)) * 12_288
        self.devices = tuple(
            Device(f"GPU-{n}", n, CARD.name, total_mb=12_288.0, free_mb=round(free * (1 - n / 10), 1),
                   temperature_c=heat - n, max_c=90.0 + n, power_w=140.0, utilization=80.0)
            for n in range(self._cards)
        )  # fmt: skip

    async def sample(self) -> Reading:
        reading = await super().sample()
        if self.silent:
            raise ProbeFailed("the machine does not answer")
        return reading


@dataclass
class Day:
    """The house, the API over it, and the accidents."""

    home: House
    api: Api
    probes: dict[str, Machine]
    chance: Random
    submitted: int = 0
    drained: set[str] = field(default_factory=set)
    paused: bool = False

    async def moments(self) -> AsyncIterator[None]:
        """Each time after some minutes in which something happened."""
        loop = asyncio.get_running_loop()
        over = loop.time() + HOURS * 3600
        while loop.time() < over:
            await self._something()
            # time of the virtual clock; its fraction is one that no timer of the house ends at
            await asyncio.sleep(self.chance.choice((17, 61, 240, 900, 1800, 1800)) + 0.123457)
            yield

    async def _something(self) -> None:
        chance = self.chance
        for _ in range(chance.randrange(12)):
            await self._submit()
        verbs = (
            self._machine,
            self._machine,
            self._server,
            self._speed,
            self._cancel,
            self._urge,
            self._again,
        )
        for verb in chance.sample(verbs, 3):
            await verb()
        await self._hold()

    async def _submit(self) -> None:
        chance, now = self.chance, self.home.dispatcher.loop.clock.now_ms()
        more: dict[str, object] = {}
        if chance.random() < 0.1:
            more["not_before_ms"] = now + chance.randrange(1, 7200) * 1000
        if chance.random() < 0.1:
            more["deadline_ms"] = now + chance.randrange(7200, 14_400) * 1000
        if chance.random() < 0.2:
            more["timeout_s"] = 30.0
        self.submitted += 1
        kind = chance.choice(list(CONFIG.types))
        lane = Lane(kind, host="skadi") if kind == "chat" and chance.random() < 0.1 else Lane(kind)
        request = {"messages": [{"role": "user", "content": "hello"}]}
        task = new_task(
            kind, lane=lane, title=f"Number {self.submitted}", priority=chance.choice(list(Priority)),
            request=request | ({"max_tokens": 64} if chance.random() < 0.5 else {}), **more,
        )  # fmt: skip
        await self.home.dispatcher.submit([task])

    async def _machine(self) -> None:
        self.probes[self.chance.choice(list(CARDS))].set(self.chance)

    async def _server(self) -> None:
        place = self.home.places[self.chance.choice(list(self.home.places))]
        if place.fault is None and self.chance.random() < 0.5:
            place.down(self.chance.choice(FAULTS))
            place.retry_after_s = 45.0
        else:
            place.up()

    async def _speed(self) -> None:
        for place in self.home.places.values():
            place.latency_s = self.chance.choice((2.0, 9.0, 40.0, 400.0))
            place.pieces = self.chance.choice((1, 20, 90))

    async def _some(self, *states: State) -> str | None:
        found = await self.home.store.find(Filter(states=states, limit=50))
        return self.chance.choice(found).id if found else None

    async def _cancel(self) -> None:
        task_id = await self._some(State.QUEUED, State.PROCESSING, State.SCHEDULED)
        if task_id is not None:
            await self.home.dispatcher.cancel(task_id)

    async def _urge(self) -> None:
        task_id = await self._some(State.QUEUED)
        if task_id is not None:
            try:
                await self.home.dispatcher.prioritize(task_id, Priority.CRITICAL)
            except Conflict:
                return  # it has just started

    async def _again(self) -> None:
        task_id = await self._some(State.FAILED, State.BLOCKED)
        if task_id is not None:
            await self.home.dispatcher.retry([task_id])

    async def _hold(self) -> None:
        """Now and then a person stops a host or the whole house, and forgets it for a while."""
        chance, dispatcher = self.chance, self.home.dispatcher
        if self.paused or chance.random() < 0.03:
            self.paused = not self.paused
            await dispatcher.pause(self.paused)
        host = chance.choice(list(CONFIG.hosts))
        if host in self.drained or chance.random() < 0.1:
            self.drained ^= {host}
            await dispatcher.drain_host(host, host in self.drained)


@asynccontextmanager
async def day(seed: int, *, checked: bool = False) -> AsyncIterator[Day]:
    """The house at midnight."""
    probes = {name: Machine(count) for name, count in CARDS.items()}
    house = opened(
        list(CONFIG.hosts.values()), CONFIG.types, CONFIG.policy, checked=checked,
        probes={name: (probe,) for name, probe in probes.items()},
    )  # fmt: skip
    async with house as home:
        clock = home.dispatcher.loop.clock.now_ms
        handlers = Handlers(
            home.dispatcher, lambda: CONFIG, wall_ms=clock, tally=home.dispatcher.tally
        )
        async with over(home, handlers) as api:
            yield Day(home, api, probes, Random(seed))
