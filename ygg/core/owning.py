"""Which hosts the dispatcher has: a configuration is taken over, hosts are drained and come back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from ygg.core import watching
from ygg.core.board import Board
from ygg.core.effects import Effect, Note
from ygg.core.events import HostDrained, HostsOwned
from ygg.core.hosts import gates, ghosts, sickness
from ygg.core.house import NOTHING, Gauge, HostState, Server
from ygg.core.placement import lanes, permits
from ygg.model import LOAD_OPTIONS, Host, Now, ReasonCode, TaskType, because


def owned(board: Board, event: HostsOwned, now: Now) -> list[Effect]:
    """Take over a configuration; hosts that stay keep their gate, health and running calls."""
    effects = permits.end_waits(board)
    board.policy, board.types, board.needs = event.policy, event.types, event.needs
    board.loading = loading(event.types)
    board.retime = True
    before = board.hosts
    board.hosts = {h.name: _merge(before.get(h.name), h, now) for h in event.hosts}
    for name in [n for n in event.drained if n in board.hosts and n not in before]:
        board.hosts[name].drained = True
        effects.append(Note(because(ReasonCode.HOST_DRAINED, name)))
    for name, host in before.items():
        if name not in board.hosts and host.grants:  # its calls end as they may; nothing new starts
            host.removed, host.limit = True, 0
            board.resting.discard(name)
            board.hosts[name] = host
    permits.recount(board)
    board.forget_gone()
    lanes.reroute(board)
    board.all_changed()
    if not before:
        board.poll_at = now.mono
    return [*effects, *watching.watch_new(board, event.probed, now)]


def loading(types: Mapping[str, TaskType]) -> tuple[TaskType, ...]:
    """The task types that say how models are loaded, in their order."""
    return tuple(t for t in types.values() if t.options.keys() & LOAD_OPTIONS)


def _merge(old: HostState | None, host: Host, now: Now) -> HostState:
    servers = {e.name: Server(e.slots, check_at=now.mono) for e in host.endpoints}
    if old is None:
        return HostState(host, servers, host.slots)
    before = [replace(e, slots=None, kind=None) for e in old.host.endpoints]
    same = {e.name for e in host.endpoints if replace(e, slots=None, kind=None) in before}
    kept = {name: old.servers[name] if name in same else new for name, new in servers.items()}
    for name, server in kept.items():
        server.slots = servers[name].slots
    for server in kept.values() if old.removed else ():
        server.checking = server.inside_asked = False  # nobody answered while the host was gone
    limited = old.limit < old.host.slots and not old.removed
    return replace(
        old,
        host=host,
        servers=kept,
        limit=min(old.limit, host.slots) if limited else host.slots,
        withdrawn=old.withdrawn if limited else "",
        gauge=Gauge() if old.removed else old.gauge,
        condition=NOTHING if old.removed else old.condition,
        removed=False,
    )


def drained(board: Board, event: HostDrained, now: Now) -> list[Effect]:
    """A person took a host out of dispatch, or put it back: what was held against it is over then."""
    host = board.hosts.get(event.host)
    if host is None:
        return []
    host.drained = event.drained
    board.changed(event.host)
    if not event.drained:
        gates.resume(host, now)
        sickness.ask_now(host, now)
        ghosts.forget(board, host)
        board.retime = True
    effects = permits.end_waits(board, list(host.grants)) if event.drained else []
    code = ReasonCode.HOST_DRAINED if event.drained else ReasonCode.HOST_RESUMED
    return [*effects, Note(because(code, event.host))]
