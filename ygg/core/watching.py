"""Which hosts are watched: those with work, and those that might get some.

A host with probes is watched from the start and as long as it has work; without any for
`REST_S` its probes rest, so that its card may sleep. Before the first start after a rest one reading is
awaited.
"""

from __future__ import annotations

from collections.abc import Mapping

from ygg.core.board import Board
from ygg.core.effects import Effect, Watch
from ygg.core.house import NOTHING, Gauge, HostState
from ygg.core.placement import links
from ygg.core.placement.rounds import Round
from ygg.model import Now

REST_S = 60.0  #: without work for so long, a host is left alone


def watch_new(board: Board, probed: Mapping[str, bool], now: Now) -> list[Effect]:
    """Begin with the hosts that have a probe; forget the readings of those that have none any more."""
    for name, host in board.hosts.items():
        kind = name in probed, probed.get(name, False)
        if kind != (host.gauge.probed, host.gauge.measured):
            host.gauge, host.condition = Gauge(*kind), NOTHING
            host.limit, host.withdrawn = host.host.slots, ""
            board.resting.discard(name)
    fresh = [h for h in board.hosts.values() if h.gauge.probed and not h.gauge.watching]
    return [_watch(board, host, now) for host in fresh if not host.removed]


def _watch(board: Board, host: HostState, now: Now) -> Watch:
    gauge, board.retime = host.gauge, True
    gauge.watching, gauge.asked, gauge.active, gauge.error = True, now.mono, now.mono, ""
    board.resting.discard(host.host.name)
    board.changed(host.host.name)
    return Watch(host.host.name, True)


def wake(board: Board, now: Now) -> list[Effect]:
    """Hosts that rest are watched again once they have work; measured ones before it starts."""
    if board.paused or board.stopping:
        return []
    names = board.resting & (wanted(board, now) | {n for n in board.resting if board.hosts[n].busy})
    return [_watch(board, board.hosts[n], now) for n in sorted(names) if not board.hosts[n].drained]


def wanted(board: Board, now: Now) -> set[str]:
    """Hosts that waiting tasks could run on."""
    turn = Round(board, now)
    waiting = (state for state in board.lanes.values() if state.best is not None)
    return {c.host for state in waiting for c in links.open_to(turn, state)}


def rest(board: Board, now: Now) -> list[Effect]:
    """Leave hosts alone that have had no work for `REST_S`; look at resting ones as configured."""
    effects: list[Effect] = []
    idle = any(h.gauge.probed and not h.busy for h in board.hosts.values())
    busy = wanted(board, now) if idle else set()
    for name, host in board.hosts.items():
        gauge, every = host.gauge, host.host.telemetry.idle_interval_s
        if not gauge.probed or host.removed:
            continue
        if host.busy or (name in busy and not host.drained):
            gauge.active = now.mono
        elif gauge.watching and now.mono - gauge.active >= REST_S:
            gauge.watching = False
            board.resting.add(name)
            effects.append(Watch(name, False))
        elif not gauge.watching and every is not None and now.mono - gauge.at >= every:
            effects.append(_watch(board, host, now))
            gauge.active = now.mono - REST_S + host.host.telemetry.fresh_s
    return effects
