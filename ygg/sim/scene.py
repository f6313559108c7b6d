"""What happens during `ygg demo`: a card gets hot, a game takes memory, a server dies, a model is changed, and something
urgent comes in. Each act causes it, waits until the dispatcher is seen to act, and tells what the servers recorded.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from ygg.model import HostHealth, HostView, JsonDict, Priority, Snapshot
from ygg.plain import counted
from ygg.sim.house import TRANSLATION
from ygg.sim.machines import MODEL_MB, Machine
from ygg.sim.servers import SimServer

LOOK_S = 0.05  #: how often the dispatcher is looked at
SEEN_S = 20.0  #: what does not happen within this time is told as such
ARRIVES_S = 0.5  #: between a decision and its arrival or its sight, on a slow machine
STAY_S = 2.0  #: how long each trouble lasts once it is seen
HOT_C, GAME_MB, TOTAL_MB = 96.0, 3600.0, 8192.0
TRANSLATIONS = ("Translate the manual into Norwegian", "Translate the invitation into German")
URGENT = "Urgent: the backup failed, what now?"

View = Callable[[], Snapshot]
Submit = Callable[[JsonDict], Awaitable[str]]  #: a document; the id of its task


@dataclass
class Scene:
    """The acts over these machines and servers. `told`: a line for each act that was seen, in the order they ended."""

    view: View
    submit: Submit
    machines: Mapping[str, Machine]
    servers: Mapping[str, SimServer]
    told: list[str] = field(default_factory=list)

    async def play(self) -> None:
        """All acts, each in its time; over when all of them are."""
        acts = (self._heat, self._memory, self._down, self._swap, self._urgent)
        async with asyncio.TaskGroup() as group:
            for n, act in enumerate(acts):
                group.create_task(self._act(act, 1.0 + 2.5 * n))

    async def _act(self, act: Callable[[], Awaitable[str]], after_s: float) -> None:
        await asyncio.sleep(after_s)
        try:
            self.told.append(await act())
        except TimeoutError:
            self.told.append(f"not seen within {SEEN_S:g} s: {act.__name__.strip('_')}")

    # --- acts -----------------------------------------------------------------------------------

    async def _heat(self) -> str:
        name, machine = "surtr-reasoning", self.machines["surtr-reasoning"]
        machine.heated_c = HOT_C
        await self._until(name, lambda h: h.limit < h.slots)
        at = machine.celsius(self._now())
        await self._until(name, lambda h: h.limit == 0)
        stop, begun = machine.celsius(self._now()), self._now()
        await asyncio.sleep(STAY_S)
        machine.heated_c = None
        await self._until(name, lambda h: h.limit > 0)
        ended = self._now()
        return (
            f"{name} got hot: half its slots at {at:.0f} °C, none at {stop:.0f} °C for {ended - begun:.1f} s;"
            f" {self._arrivals(name, begun, ended)}"
        )

    async def _memory(self) -> str:
        name, machine = "fenrir-chat", self.machines["fenrir-chat"]
        machine.foreign_mb = GAME_MB
        host = await self._until(name, lambda h: h.limit == 0)
        begun = self._now()
        await asyncio.sleep(STAY_S)
        machine.foreign_mb, ended = 0.0, self._now()
        await self._until(name, lambda h: h.limit == h.slots and len(h.running) > 0)
        return (
            f"{name} was full: a game took {GAME_MB / 1024:.1f} GB, memory {host.level}, nothing started for"
            f" {ended - begun:.1f} s; {self._arrivals(name, begun, ended)}"
        )

    async def _down(self) -> str:
        name, server = "skadi-code", self.servers["skadi-code"]
        cut = sum(r.ended is None for r in server.records)
        server.kill()
        await self._until(name, lambda h: h.health is HostHealth.DOWN)
        begun = self._now()
        await asyncio.sleep(STAY_S)
        await server.start()
        await self._until(name, lambda h: h.health is HostHealth.UP)
        return (
            f"{name} went away for {self._now() - begun:.1f} s: {counted(cut, 'call')} cut off went back into the queue"
            " and ran again"
        )

    async def _swap(self) -> str:
        name = "fenrir-chat"
        before = self._loaded(name)
        for title in TRANSLATIONS:
            await self.submit({"prompt": title, "type": TRANSLATION, "priority": Priority.HIGH})
        await self._until(name, lambda h: h.loaded not in (None, (), before))
        return f"{name} changed its model: {' '.join(before) or 'none'} -> {' '.join(self._loaded(name))}"

    async def _urgent(self) -> str:
        waiting, begun = len(self.view().waiting), self._now()
        task = await self.submit(
            {"prompt": URGENT, "type": "text-processing", "priority": Priority.CRITICAL}
        )
        await self._seen(
            lambda view: any(r.task_id == task for r in view.running) or _ended(view, task)
        )
        return f"“{URGENT}” overtook {counted(waiting, 'task')}: it ran after {self._now() - begun:.1f} s"

    # --- looking --------------------------------------------------------------------------------

    async def _until(self, name: str, holds: Callable[[HostView], bool]) -> HostView:
        """Wait for what is seen of a host. TimeoutError when it does not come."""
        view = await self._seen(lambda v: holds(_host(v, name)))
        return _host(view, name)

    async def _seen(self, holds: Callable[[Snapshot], bool]) -> Snapshot:
        async with asyncio.timeout(SEEN_S):
            while True:
                view = self.view()
                if holds(view):
                    return view
                await asyncio.sleep(LOOK_S)

    def _loaded(self, name: str) -> tuple[str, ...]:
        return _host(self.view(), name).loaded or ()

    def _arrivals(self, name: str, begun: float, ended: float) -> str:
        """What its server saw meanwhile."""
        records = self.servers[name].records
        count = sum(begun + ARRIVES_S < r.at < ended - ARRIVES_S for r in records)
        return f"its server saw {counted(count, 'new call')} in that time"

    def _now(self) -> float:
        return asyncio.get_running_loop().time()


def _host(view: Snapshot, name: str) -> HostView:
    return next(h for h in view.hosts if h.name == name)


def _ended(view: Snapshot, task_id: str) -> bool:
    return any(e.task_id == task_id for e in view.recent)


def machine_of(server: SimServer, card: str) -> Machine:
    """The machine that a server runs on."""
    return Machine(
        server.name, card, TOTAL_MB,
        models=lambda: len(server.loaded), busy=lambda: server.in_flight,
    )  # fmt: skip


assert GAME_MB + MODEL_MB > TOTAL_MB  # no model fits beside it
