"""What is the matter with a host, for everybody who shows hosts: since when, until when, and what to type."""

from __future__ import annotations

from collections.abc import Iterator

from ygg.model import HostHealth, HostView, SickView
from ygg.model.reasons import pull
from ygg.plain import counted, span

WORDS = {HostHealth.DOWN: "down", HostHealth.UNAUTHORIZED: "no access"}


def troubles(host: HostView, at_ms: int) -> tuple[str, ...]:
    """A sentence each, none while all is well; nothing either of a host that has not been asked yet."""
    return tuple(_found(host, at_ms))


def _found(host: HostView, at_ms: int) -> Iterator[str]:
    if host.health in WORDS:
        again = "" if host.ask_at_ms is None else f"; asked again in {_left(host.ask_at_ms, at_ms)}"
        yield f"{ill(host)}{again}"
    if host.drained:
        yield f"drained: running calls go on, no new ones start: ygg hosts resume {host.name}"
    for sick in host.sick:
        yield _sick(host, sick, at_ms)
    yield from _busy(host, at_ms)
    if host.limit_reason:
        yield host.limit_reason
    if host.ghosts:
        yield f"{counted(host.ghosts, 'slot')} taken by a call that was cut off"


def ill(host: HostView) -> str:
    """Of a host that is down: which of its servers, where that is not all of them, and why."""
    bad = [e.name for e in host.endpoints if e.health is host.health]
    which = f"{' and '.join(bad)} " if len(host.endpoints) > len(bad) else ""
    why = f": {host.health_text}" if host.health_text else ""
    return f"{which}{WORDS[host.health]}{why}"


def _busy(host: HostView, at_ms: int) -> Iterator[str]:
    """The host once they all are; else which of its servers."""
    if host.busy_until_ms is not None:
        yield f"busy, asked again in {_left(host.busy_until_ms, at_ms)}"
        return
    for server in host.endpoints:
        if server.busy_until_ms is not None:
            yield f"{server.name} busy, asked again in {_left(server.busy_until_ms, at_ms)}"


def _sick(host: HostView, sick: SickView, at_ms: int) -> str:
    where = f" on {sick.endpoint}" if len(host.endpoints) > 1 else ""
    then = pull(host.name, sick.model, sick.message) or "ygg doctor --try"
    return (
        f"{sick.model or 'its model'}{where} is sick: {sick.message}; asked again in"
        f" {_left(sick.ask_at_ms, at_ms)}, no task is spent: {then}"
    )


def _left(until_ms: int, at_ms: int) -> str:
    return span((until_ms - at_ms) / 1000)
