"""The real run loop under a virtual clock: hours pass in seconds, and the same way every time.

The event loop's selector never waits: when nothing is ready it moves the clock to the next timer.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from tests.builders import new_task
from ygg.core.placement.requests import CANARY
from ygg.model import (
    Call,
    Candidate,
    Done,
    Embeddings,
    Endpoint,
    Health,
    Host,
    HostHealth,
    OutcomeKind,
    Permit,
    Piece,
    Policy,
    Submitted,
    Task,
    TaskType,
    Usage,
)
from ygg.ports import CallFailed, Limiter, Probes
from ygg.running.clock import Clock
from ygg.running.dispatcher import Dispatcher
from ygg.stores.memory import MemoryStore
from ygg.uploads import Uploads

T = TypeVar("T")
START_MS = 1_800_000_000_000
BEGAN_S = 1000.0  #: what the clock of a new loop shows


class _Selector(selectors.SelectSelector):
    def __init__(self) -> None:
        super().__init__()
        self.clock = BEGAN_S

    def select(self, timeout: float | None = None) -> list[Any]:
        ready = super().select(0)
        if not ready and timeout is None:
            raise RuntimeError("nothing will ever happen again: a wait that no event ends")
        if not ready and timeout is not None:
            self.clock += timeout
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose time is a number."""

    def __init__(self) -> None:
        self.selector = _Selector()
        super().__init__(self.selector)

    def time(self) -> float:
        return self.selector.clock

    def run_in_executor(self, pool: Any, work: Callable[..., Any], *args: Any) -> Any:
        """Threads take no time: done at once."""
        done = self.create_future()
        try:
            done.set_result(work(*args))
        except Exception as error:  # noqa: BLE001 - it belongs to whoever waits
            done.set_exception(error)
        return done


def run_virtual(main: Coroutine[Any, Any, T]) -> T:
    """asyncio.run under the virtual clock."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)


@dataclass
class Place:
    """A pretended host: how it behaves now, and what reached it."""

    name: str
    latency_s: float = 1.0
    fault: OutcomeKind | None = None
    health: HostHealth = HostHealth.UP
    pieces: int = 2
    arrivals: list[tuple[float, str]] = field(default_factory=list)
    running: int = 0
    peak: int = 0
    stopped: list[str] = field(default_factory=list)
    unloaded: list[str] = field(default_factory=list)
    retry_after_s: float | None = None
    says: list[Piece] = field(default_factory=list)  #: instead of as many words as `pieces`
    embeds: Embeddings = ()
    breaks: list[OutcomeKind] = field(
        default_factory=list
    )  #: of the next answers, before their end
    calls: list[Call] = field(default_factory=list)

    def down(self, fault: OutcomeKind = OutcomeKind.UNREACHABLE) -> None:
        self.fault = fault
        unauthorized = fault is OutcomeKind.UNAUTHORIZED
        self.health = HostHealth.UNAUTHORIZED if unauthorized else HostHealth.DOWN

    def up(self) -> None:
        self.fault, self.health = None, HostHealth.UP


class FakeBackend:
    """A Backend that pretends, in virtual time."""

    def __init__(self, place: Place, endpoint: Endpoint) -> None:
        self.place, self._endpoint = place, endpoint

    @property
    def endpoint(self) -> Endpoint:
        return self._endpoint

    async def stream(self, call: Call) -> AsyncIterator[Piece | Done]:
        place = self.place
        if call.attempt.task.id == CANARY and place.fault is OutcomeKind.ERROR:
            yield Done("stop", "m", Usage())  # what fails are the tasks
            return
        if place.fault is not None:
            raise CallFailed(
                place.fault, f"{place.name}: {place.fault}", retry_after_s=place.retry_after_s
            )
        place.arrivals.append((asyncio.get_running_loop().time(), call.attempt.task.id))
        place.calls.append(call)
        place.running += 1
        place.peak = max(place.peak, place.running)
        try:
            words = (Piece(f"{call.attempt.task.id}:{n} ") for n in range(place.pieces))
            for piece in place.says or words:
                await asyncio.sleep(place.latency_s / place.pieces)
                yield piece
            if place.breaks:
                raise CallFailed(place.breaks.pop(0), "broke off")
            used = Usage(output_tokens=place.pieces)
            yield Done("stop", "m", used, embeddings=place.embeds)
        except (asyncio.CancelledError, GeneratorExit):
            place.stopped.append(str(call.attempt.id))
            raise
        finally:
            place.running -= 1

    async def check(self, timeout_s: float = 3.0) -> Health:
        return Health(self.place.health, message=str(self.place.health))

    async def inside(self, timeout_s: float = 3.0) -> int | None:
        return self.place.running

    async def unload(self, model: str) -> bool:
        self.place.unloaded.append(model)
        return True

    async def close(self) -> None: ...


@dataclass
class House:
    """A dispatcher over pretended hosts and the memory store."""

    dispatcher: Dispatcher
    store: MemoryStore
    places: dict[str, Place]

    async def submit(self, type_: str = "general", **fields: object) -> Task:
        (answer,) = await self.dispatcher.submit([new_task(type_, **fields)])
        assert isinstance(answer, Submitted), answer
        return answer.task

    async def end(self, task: Task, timeout_s: float = 1e6) -> Task:
        return await self.dispatcher.wait_end(task.id, timeout_s)

    async def ends(self, tasks: list[Task]) -> list[Task]:
        return [await self.end(t) for t in tasks]


async def until(condition: Callable[[], bool], step_s: float = 0.01, limit_s: float = 1e5) -> None:
    """Let virtual time pass until the condition holds."""
    loop = asyncio.get_running_loop()
    give_up = loop.time() + limit_s
    while not condition():
        assert loop.time() < give_up, "never happened"
        await asyncio.sleep(step_s)


@asynccontextmanager
async def house(
    slots: dict[str, int] | None = None,
    routes: dict[str, tuple[str, ...]] | None = None,
    policy: Policy | None = None,
    store: MemoryStore | None = None,
    *,
    needs: Mapping[tuple[str, str], tuple[Permit, ...]] | None = None,
    limiters: Mapping[str, Limiter] | None = None,
    set_by: Callable[[], int] = int,
    uploads: Uploads | None = None,
) -> AsyncIterator[House]:
    """`set_by`: milliseconds by which the machine's clock is ahead of the time that passes. Hosts with slots, task types with routes (default: one host `a`, type general). A host named
    `cpu…` is a CPU host."""
    slots = slots or {"a": 1}
    routes = routes or {"general": (next(iter(slots)),)}
    hosts = []
    for name, count in slots.items():
        endpoint = Endpoint("main", "ollama", f"http://{name}:11434", ("m",))
        kind = "cpu" if name.startswith("cpu") else "gpu"
        hosts.append(Host(name, count, (endpoint,), kind, models=("m",)))
    types = {
        name: TaskType(name, tuple(Candidate(h, "main", "m") for h in route))
        for name, route in routes.items()
    }
    settings = hosts, types, policy or Policy()
    more: dict[str, Any] = {"limiters": limiters, "set_by": set_by, "uploads": uploads}
    async with opened(*settings, store, needs=needs, **more) as found:
        yield found


@asynccontextmanager
async def opened(
    hosts: Sequence[Host],
    types: Mapping[str, TaskType],
    policy: Policy,
    store: MemoryStore | None = None,
    *,
    probes: Probes | None = None,
    checked: bool = True,
    needs: Mapping[tuple[str, str], tuple[Permit, ...]] | None = None,
    limiters: Mapping[str, Limiter] | None = None,
    set_by: Callable[[], int] = int,
    uploads: Uploads | None = None,
) -> AsyncIterator[House]:
    """A house of these hosts; where one has several servers, their places are called HOST/SERVER. `checked`: every index
    is recomputed at each step."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    store = store or MemoryStore()
    dispatcher = Dispatcher(
        store, store, limiters=limiters, checked=checked, uploads=uploads,
        clock=Clock(lambda: START_MS + set_by() + round((loop.time() - began) * 1000), loop.time),
    )  # fmt: skip
    backends, places = {}, {}
    for host in hosts:
        for endpoint in host.endpoints:
            name = host.name if len(host.endpoints) == 1 else f"{host.name}/{endpoint.name}"
            places[name] = Place(name)
            backends[host.name, endpoint.name] = FakeBackend(places[name], endpoint)
    await dispatcher.start(hosts, types, policy, backends, probes, needs=needs)
    yield House(dispatcher, store, places)
    if not dispatcher.board.stopping:
        hurry = asyncio.Event()
        hurry.set()
        await dispatcher.drain(0, hurry)
