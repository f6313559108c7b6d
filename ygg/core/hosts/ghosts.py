"""Calls that nobody waits for, but that may still be inside their server.

A server notices between two steps of its work that a client has gone; before the first token a step is a whole batch
of the prompt, which takes a CPU half a minute. What is sent meanwhile waits inside the server, in its order and not in
ours. So a call that was cut off before its first token leaves a *ghost*, which keeps its slot:

1. Its server is asked how many requests are inside it. Those of our calls that have had a token are among them for
   sure; as many ghosts as there are further ones stay.
2. A server that has no word for it is believed to be done after `SILENT_S`; any is after `policy.ghost_s`.
"""

from __future__ import annotations

from collections.abc import Iterable

from ygg.core.board import Board, CallState, Phase
from ygg.core.effects import AskInside, Effect, Note
from ygg.core.events import InsideTold
from ygg.core.house import Ghost, HostState, Server
from ygg.model import Now, Outcome, Reason, ReasonCode, because

ASK_S = 1.5  #: llama.cpp looks for clients that have gone after a second in which nobody asks it anything
SILENT_S = {"gpu": 5.0, "cpu": 30.0}  #: a batch of a long prompt, by what it runs on


def stay(board: Board, call: CallState, outcomes: Iterable[Outcome], now: Now) -> list[Effect]:
    """A call is over and has given back its slot: its ghost takes it where the server may still be at work."""
    host = board.hosts.get(call.candidate.host)
    server = host.servers.get(call.candidate.endpoint) if host else None
    unheard = call.answered is None and any(outcome.abandoned for outcome in outcomes)
    if host is None or server is None or host.removed or not unheard:
        return []
    if not server.ghosts:
        server.inside_at = now.mono + ASK_S
    until = now.mono + board.policy.ghost_s
    server.ghosts[call.id] = Ghost(call.width, now.mono, until, call.caller)
    host.busy += call.width
    server.busy += call.width
    board.changed(host.host.name)
    board.retime = True
    return [Note(reason(host, now))]


def told(board: Board, event: InsideTold, now: Now) -> None:
    """A server has said how many requests are inside it, or that it cannot."""
    host = board.hosts.get(event.host)
    server = host.servers.get(event.endpoint) if host else None
    if host is None or server is None:
        return
    server.inside_asked, server.inside_at, board.retime = False, now.mono + ASK_S, True
    if event.inside is not None:
        _leave(board, host, server, event.inside - _answered(board, event))
    elif not event.tells:
        server.inside_at = float("inf")
        bound = SILENT_S[host.host.kind_of(event.endpoint)]
        for ghost in server.ghosts.values():
            ghost.until = min(ghost.until, ghost.since + bound)


def _answered(board: Board, event: InsideTold) -> int:
    """Slots of the calls that the server surely works on."""
    place = (event.host, event.endpoint)
    here = (c for c in board.calls.values() if c.candidate[:2] == place)
    return sum(c.width for c in here if c.phase is Phase.RUNNING and c.answered is not None)


def _leave(board: Board, host: HostState, server: Server, inside: int) -> None:
    """Ghosts can be no more than `inside` slots: the oldest have left."""
    while server.ghosts and width(server) > max(0, inside):
        _gone(board, host, server, next(iter(server.ghosts)))


def _gone(board: Board, host: HostState, server: Server, call: str) -> None:
    gone = server.ghosts.pop(call).width
    host.busy -= gone
    server.busy -= gone
    board.changed(host.host.name)


def forget(board: Board, host: HostState) -> None:
    """A person knows better: their slots are free."""
    for server in host.servers.values():
        _leave(board, host, server, 0)


def due(board: Board, host: HostState, endpoint: str, now: Now) -> list[Effect]:
    """Ghosts whose time is over have left; for the others the server is asked in its turn."""
    server = host.servers[endpoint]
    for call in [call for call, ghost in server.ghosts.items() if ghost.until <= now.mono]:
        _gone(board, host, server, call)
    if not server.ghosts or server.inside_asked or server.inside_at > now.mono:
        return []
    server.inside_asked = True
    return [AskInside(host.host.name, endpoint)]


def next_change(server: Server) -> float:
    """When `due` has something to do for a server with ghosts, on the monotonic clock."""
    times = [ghost.until for ghost in server.ghosts.values()]
    if not server.inside_asked:
        times.append(server.inside_at)
    return min(times)


def width(*servers: Server) -> int:
    """Slots that the ghosts of these servers hold."""
    return sum(ghost.width for server in servers for ghost in server.ghosts.values())


def reason(host: HostState, now: Now) -> Reason:
    """Why they take no call, and until when at most."""
    ghosts = [ghost for server in host.servers.values() for ghost in server.ghosts.values()]
    until = min(ghost.until for ghost in ghosts)
    until_ms = now.wall_ms + round((until - now.mono) * 1000)
    return because(ReasonCode.GHOST, host.host.name, until_ms, slots=width(*host.servers.values()))
