"""What is asked of backends: calls, health checks, unloading. One asyncio task per call that runs."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace

from ygg.core import events as ev
from ygg.model import AttemptId, Call, Health, HostHealth, Outcome, OutcomeKind
from ygg.ports import AttemptStarted, Backend, Backends, Piece
from ygg.running.asking import Asks, told
from ygg.running.calls import Outcomes, run_call, usage_of
from ygg.running.streams import Streams
from ygg.uploads import Uploads


@dataclass(slots=True)
class _Flight:
    """A call that runs, and its attempts that are still wanted."""

    task: asyncio.Task[Outcomes]
    wanted: set[AttemptId]


@dataclass(slots=True)
class Drivers:
    """The backends in use, and the calls that run on them."""

    feed: Callable[[ev.Event], None]
    asks: Asks
    streams: Streams
    backends: Backends = field(default_factory=dict)
    uploads: Uploads | None = None
    _flights: dict[str, _Flight] = field(default_factory=dict)

    @property
    def busy(self) -> bool:
        """Whether a call runs."""
        return bool(self._flights)

    def start(self, call: Call) -> None:
        """Send it; CallStarted and CallEnded are fed as they happen."""
        task = asyncio.get_running_loop().create_task(self._run(call))
        self._flights[call.id] = _Flight(task, {attempt.id for attempt in call.attempts})

        def done(task: asyncio.Task[Outcomes]) -> None:
            del self._flights[call.id]
            stopped = Outcome(OutcomeKind.CANCELLED, abandoned=True)
            outcomes = _all(call, stopped) if task.cancelled() else task.result()
            outcomes = {who: self._dropped(who, outcome) for who, outcome in outcomes.items()}
            self.feed(ev.CallEnded(call.id, outcomes, usage_of(outcomes)))

        task.add_done_callback(done)

    def _dropped(self, attempt: AttemptId, outcome: Outcome) -> Outcome:
        """The outcome with whether a client got some of the answer, whose stream is over."""
        whole = outcome.kind is OutcomeKind.COMPLETED
        delivered = self.streams.drop(attempt.task, whole=whole)
        return replace(outcome, delivered=True) if delivered else outcome

    async def _run(self, call: Call) -> Outcomes:
        host = call.candidate.host
        backend = self.backends.get(call.candidate[:2])
        if backend is None:
            gone = Outcome(OutcomeKind.UNREACHABLE, f"{host} left the configuration")
            return _all(call, gone)
        if any(self.streams.framed(attempt.task.id) for attempt in call.attempts):
            call = replace(call, frames=True)
        answered = False

        def on_item(attempt: AttemptId, item: AttemptStarted | Piece) -> Awaitable[None] | None:
            nonlocal answered
            if not answered and isinstance(item, Piece) and item.token:
                answered = True
                self.feed(ev.CallStarted(call.id))
            return self.streams.put(attempt.task, item)

        return await run_call(call, backend, on_item, self.uploads)

    def cancel(self, call: str, attempt: AttemptId | None) -> None:
        """Close the connection once none of its attempts is wanted any more."""
        flight = self._flights.get(call)
        if flight is None:
            return
        if attempt is None:
            flight.wanted.clear()
        flight.wanted.discard(attempt) if attempt else None
        if not flight.wanted:
            flight.task.cancel()

    def retire(self, backends: Backends) -> None:
        """Close the connections of endpoints that left the configuration, once their calls ended."""

        async def close() -> None:
            busy = [flight.task for flight in self._flights.values()]
            if busy:
                await asyncio.wait(busy)
            await asyncio.gather(*(b.close() for b in backends.values()))

        if backends:
            self.asks.run(close())

    def check(self, host: str, endpoint: str) -> None:
        """Ask an endpoint whether it is well."""
        self.asks.ask(
            self._health(self.backends.get((host, endpoint))),
            lambda health: ev.HostChecked(host, endpoint, health),
            lambda why: ev.HostChecked(host, endpoint, Health(HostHealth.DOWN, message=told(why))),
        )

    @staticmethod
    async def _health(backend: Backend | None) -> Health:
        if backend is None:
            return Health(HostHealth.DOWN, message="it left the configuration")
        return await backend.check()

    def inside(self, host: str, endpoint: str) -> None:
        """Ask an endpoint how many requests are inside it."""
        backend = self.backends.get((host, endpoint))
        if backend is None:
            self.feed(ev.InsideTold(host, endpoint, None, tells=False))
            return
        self.asks.ask(
            backend.inside(),
            lambda n: ev.InsideTold(host, endpoint, n, tells=n is not None),
            lambda _: ev.InsideTold(host, endpoint, None),
        )

    def unload(self, host: str, endpoint: str, model: str) -> None:
        """Free the memory of a model."""
        backend = self.backends.get((host, endpoint))
        if backend is None:
            return
        self.asks.ask(
            backend.unload(model),
            lambda done: ev.ModelUnloaded(host, endpoint, model, done),
            lambda why: ev.ModelUnloaded(host, endpoint, model, False, told(why)),
        )


def _all(call: Call, outcome: Outcome) -> Outcomes:
    return {attempt.id: outcome for attempt in call.attempts}
