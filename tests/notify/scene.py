"""The service over a pretended house in virtual time, and targets that keep what they are told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.shell.virtual import House
from ygg.model.notices import Event, Target, TargetKind
from ygg.notify.letters import Letter
from ygg.notify.service import Notifying
from ygg.notify.trying import NotSent

PHONE = Target("phone", TargetKind.NTFY, "http://phone")
DAY_S = 86_400


@dataclass
class Told:
    """What arrived when, and what is in the way: `fails` by the target's name; `hangs`: for so many seconds."""

    letters: list[tuple[float, str, Letter]] = field(default_factory=list)
    fails: dict[str, NotSent] = field(default_factory=dict)
    hangs: dict[str, float] = field(default_factory=dict)
    tries: list[tuple[float, str, str]] = field(default_factory=list)
    urls: list[str] = field(default_factory=list)
    troubles: tuple[str, ...] = ()
    targets: tuple[Target, ...] = (PHONE,)
    began: float = 0.0

    def now(self) -> float:
        return asyncio.get_running_loop().time() - self.began

    async def send(self, target: Target, letter: Letter) -> None:
        self.tries.append((self.now(), target.name, letter.id))
        await asyncio.sleep(self.hangs.get(target.name, 0.0))
        if target.name in self.fails:
            raise self.fails[target.name]
        self.urls.append(target.url)
        self.letters.append((self.now(), target.name, letter))

    def tell(self, troubles: tuple[str, ...]) -> None:
        self.troubles = troubles

    def titles(self, name: str = "phone") -> list[str]:
        return [letter.title for _, to, letter in self.letters if to == name]

    @property
    def events(self) -> list[Event]:
        return [n.event for _, _, letter in self.letters for n in letter.notices]


@asynccontextmanager
async def telling(home: House, told: Told, state: Path) -> AsyncIterator[Told]:
    """The service runs. Its local day begins with the scene."""
    loop = asyncio.get_running_loop()
    told.began = told.began or loop.time()
    clock = home.dispatcher.loop.clock

    def times() -> tuple[int, int]:
        return clock.now_ms(), int(told.now() % DAY_S // 60)

    service = Notifying(
        home.dispatcher.snapshot, lambda: told.targets, times, told.tell, state, told.send
    )
    job = asyncio.create_task(service.run())
    try:
        yield told
    finally:
        job.cancel()
        with suppress(asyncio.CancelledError):
            await job
