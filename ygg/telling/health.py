"""Whether all is well, for whoever watches from outside: the figures that the statistics tell, and what is the matter.

The bounds are those of the mission's alerting rules; over one the house is degraded. It is unhealthy where the queue does
not move by itself any more, or where most of the newest tasks failed. What a person or a server has asked for, such as
a pause, degrades. Readings that are off say nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice

from ygg.model import EndView, HostHealth, HostView, ReasonCode, Snapshot, State
from ygg.model.snapshot import hottest
from ygg.plain import counted
from ygg.telling import rates
from ygg.telling.troubles import WORDS

DEPTH = 500  #: queued tasks
FAILED_PERCENT = 5.0  #: of the remembered ends
HOT_C = 80.0
LATENCY_MS = 5000
NEWEST, ENOUGH = 20, 10  #: ends that tell of repeated failures: at most, at least


class Verdict(StrEnum):
    """From best to worst."""

    HEALTHY = "healthy"
    DEGRADED = "degraded"
    UNHEALTHY = "unhealthy"


_BAD, _LESS = Verdict.UNHEALTHY, Verdict.DEGRADED

#: Why a task waits that no call which ends will help: what that makes of the house while nothing runs.
STOPS = {
    ReasonCode.HOST_DOWN: _BAD,
    ReasonCode.HOST_UNAUTHORIZED: _BAD,
    ReasonCode.HOST_SICK: _BAD,
    ReasonCode.HOST_HOT: _BAD,
    ReasonCode.HOST_PRESSED: _BAD,
    ReasonCode.LIMIT: _BAD,
    ReasonCode.MODEL_TOO_LARGE: _BAD,
    ReasonCode.MODEL_HELD_BACK: _BAD,
    ReasonCode.NO_HOST: _BAD,
    ReasonCode.HOST_DRAINED: _LESS,
    ReasonCode.HOST_BUSY: _LESS,
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is the matter: a code for programs, a sentence for people."""

    code: str
    text: str
    verdict: Verdict = Verdict.DEGRADED


@dataclass(frozen=True, slots=True)
class Checkup:
    """Figures that are not known are None. `findings`: worst first, none while all is well."""

    depth: int | None
    processing: int | None
    failed_percent: float | None
    latency_ms: int | None
    findings: tuple[Finding, ...]

    @property
    def verdict(self) -> Verdict:
        return self.findings[0].verdict if self.findings else Verdict.HEALTHY


def checkup(view: Snapshot) -> Checkup:
    """What is judged is what is told: no figure and no verdict contradict each other."""
    found = [*_held(view), *_served(view), *_ends(view.recent), *_measured(view)]
    return Checkup(
        view.counts.state(State.QUEUED),
        view.counts.state(State.PROCESSING),
        rates.failed_percent(view.recent),
        rates.mean_took_ms(view.recent),
        tuple(sorted(found, key=lambda f: f.verdict is not Verdict.UNHEALTHY)),
    )


def unread(message: str) -> Checkup:
    """The store tells nothing, and nobody else knows."""
    return Checkup(None, None, None, None, (_store(message),))


def _store(message: str) -> Finding:
    return Finding("store_error", f"store: {message}", Verdict.UNHEALTHY)


def _held(view: Snapshot) -> Iterator[Finding]:
    """What stops the queue as a whole."""
    if view.store_error is not None:
        yield _store(view.store_error)
    if view.draining:
        yield Finding("draining", "ygg is shutting down: nothing new starts")
    elif view.paused:
        yield Finding("paused", "dispatch is paused: ygg queue resume")


def _served(view: Snapshot) -> Iterator[Finding]:
    """Whether there are hosts, and tasks that none of them takes."""
    if view.hosts and all(map(_out, view.hosts)):
        which = ", ".join(f"{host.name} {WORDS[host.health]}" for host in view.hosts)
        yield Finding("no_host_up", f"no host is up: {which}", Verdict.UNHEALTHY)
        return
    if not view.waiting or view.running or view.counts.state(State.PROCESSING):
        return
    stops = [STOPS.get(waits.reason.code) for waits in view.waiting]
    if None not in stops:
        verdict = _BAD if _BAD in stops else _LESS
        why = view.waiting[stops.index(verdict)].reason.text
        tasks = counted(max(len(stops), view.counts.state(State.QUEUED)), "task")
        yield Finding("not_processing", f"no host takes what waits ({tasks}): {why}", verdict)


def _out(host: HostView) -> bool:
    """Whether none of its servers can be used; one that was not asked yet can."""
    states: Sequence[HostHealth] = [e.health for e in host.endpoints] or [host.health]
    return all(state in WORDS for state in states)


def _ends(recent: Sequence[EndView]) -> Iterator[Finding]:
    """What the tasks that ended lately say."""
    failed = rates.failed_percent(recent)
    newest = list(islice(filter(rates.counts_as_end, reversed(recent)), NEWEST))
    bad = sum(map(rates.counts_as_failed, newest))
    if len(newest) >= ENOUGH and 2 * bad > len(newest):
        text = f"{bad} of the newest {len(newest)} tasks failed: {_last_words(newest)}"
        yield Finding("repeated_failures", text, Verdict.UNHEALTHY)
    if failed is not None and failed > FAILED_PERCENT:
        text = f"{failed:g} % of the tasks that ended lately failed, more than {FAILED_PERCENT:g} %"
        yield Finding("failure_rate", text)
    took_ms = rates.mean_took_ms(recent)
    if took_ms is not None and took_ms > LATENCY_MS:
        text = f"a task takes {took_ms} ms on average, more than {LATENCY_MS} ms"
        yield Finding("latency", text)


def _last_words(newest_first: Sequence[EndView]) -> str:
    """Why the last of them did."""
    end = next(filter(rates.counts_as_failed, newest_first))
    return end.detail or end.reason


def _measured(view: Snapshot) -> Iterator[Finding]:
    """How long the queue and how hot the cards are; an old reading counts for nothing."""
    depth = view.counts.state(State.QUEUED)
    if depth > DEPTH:
        yield Finding("queue_depth", f"{counted(depth, 'task')} wait, more than {DEPTH}")
    for host in view.hosts:
        card = hottest(gpu for gpu in host.gpus if not gpu.stale)
        if card is not None and card.temperature_c is not None and card.temperature_c > HOT_C:
            text = f"{host.name}: {card.temperature_c:g} °C, more than {HOT_C:g} °C"
            yield Finding("gpu_temperature", text)
