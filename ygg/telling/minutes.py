"""Looks at the hosts every few seconds, folded into one row per host and minute.

A task counts as waiting for a host that could take it and has no slot open; one that waits because its
servers are down, drained or paused, or have no room for its model, says nothing about their slots. A minute in
which a host had nothing to do and looked as in its last row has no row of its own, so an idle house writes nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from ygg.core.board import Board
from ygg.core.placement import kinds, links
from ygg.core.placement.rounds import Round
from ygg.model import Candidate, GpuView, HostView, MinuteRow, Now
from ygg.model.history import MINUTE_MS
from ygg.model.snapshot import memory_of

Start = tuple[str, int]  #: task id and wall time of one start


@dataclass(slots=True)
class _Minute:
    """What was seen of one host in the minute that runs."""

    slots: int
    limit: int
    running: list[int] = field(default_factory=list)
    waiting: int = 0
    waits: list[int] = field(default_factory=list)
    used: list[float] = field(default_factory=list)
    shares: list[float] = field(default_factory=list)
    total_mb: float | None = None
    temperatures: list[float] = field(default_factory=list)
    utilizations: list[float] = field(default_factory=list)

    def see(self, host: HostView, waiting: int, waits: Iterable[int]) -> None:
        self.slots, self.limit = host.slots, min(self.limit, host.limit)
        self.running.append(len(host.running))
        self.waiting = max(self.waiting, waiting)
        self.waits += waits
        fresh = [g for g in host.gpus if not g.stale]
        self._read(fresh)

    def _read(self, gpus: Sequence[GpuView]) -> None:
        memory = memory_of(gpus, whole=True)
        if memory is not None:
            used, self.total_mb = memory
            self.used.append(used)
            self.shares.append(used / self.total_mb)
        self.temperatures += (g.temperature_c for g in gpus if g.temperature_c is not None)
        busy = [g.utilization for g in gpus if g.utilization is not None]
        self.utilizations += [sum(busy) / len(busy)] if busy else []

    def row(self, host: str, minute_ms: int) -> MinuteRow:
        wait = _mean(self.waits)
        return MinuteRow(
            host=host,
            minute_ms=minute_ms,
            samples=len(self.running),
            slots=self.slots,
            limit=self.limit,
            running=_mean(self.running, 2) or 0.0,
            waiting=self.waiting,
            started=len(self.waits),
            wait_ms=None if wait is None else round(wait),
            wait_max_ms=max(self.waits, default=None),
            used_mb=_mean(self.used),
            total_mb=self.total_mb,
            used_share=max(self.shares, default=None),
            temperature_c=round(max(self.temperatures)) if self.temperatures else None,
            utilization=_mean(self.utilizations),
        )


def _mean(values: Sequence[float], digits: int = 1) -> float | None:
    return round(sum(values) / len(values), digits) if values else None


class Minutes:
    """Gathers looks; `fold` gives the rows of a minute once it is over."""

    def __init__(self) -> None:
        self._minute_ms = 0
        self._hosts: dict[str, _Minute] = {}
        self._last: dict[str, MinuteRow] = {}
        self._counted: set[Start] = set()

    def fold(self, board: Board, hosts: Iterable[HostView], now: Now) -> tuple[MinuteRow, ...]:
        """Take in how things are `now`; the rows of the minute before when this is the first look
        of a new one."""
        minute_ms = now.wall_ms - now.wall_ms % MINUTE_MS
        over = self._over() if minute_ms != self._minute_ms else ()
        self._minute_ms = minute_ms
        waiting, waits = waiting_by_host(board, now), self._waits(board, now.wall_ms)
        for host in hosts:
            minute = self._hosts.setdefault(host.name, _Minute(host.slots, host.limit))
            minute.see(host, 0 if host.free else waiting[host.name], waits.get(host.name, ()))
        return over

    def _over(self) -> tuple[MinuteRow, ...]:
        rows = [m.row(name, self._minute_ms) for name, m in self._hosts.items()]
        news = tuple(r for r in rows if r.worked or _looks(r) != _looks(self._last.get(r.host)))
        self._last.update((r.host, r) for r in news)
        self._hosts = {}
        return news

    def _waits(self, board: Board, at_ms: int) -> Mapping[str, list[int]]:
        """How long the tasks had waited whose start was not counted yet, by host."""
        since_ms = at_ms - MINUTE_MS
        waits: dict[str, list[int]] = {}
        for start, host, wait in _starts(board, since_ms):
            if start not in self._counted:
                waits.setdefault(host, []).append(wait)
                self._counted.add(start)
        self._counted = {s for s in self._counted if s[1] >= since_ms}
        return waits


def _looks(row: MinuteRow | None) -> MinuteRow | None:
    """A row without what was done in its minute."""
    return row and replace(
        row,
        minute_ms=0,
        samples=0,
        running=0.0,
        waiting=0,
        started=0,
        wait_ms=None,
        wait_max_ms=None,
    )


def _starts(board: Board, since_ms: int) -> Iterator[tuple[Start, str, int]]:
    """Each start since then, its host and how long the task had waited, of running and of ended calls.
    A call can be neither for a moment, while its end is on its way to the store."""
    for call in board.running:
        for task in (t.task for t in call.tries.values() if t.task is not None):
            if task.started_ms is not None and task.started_ms >= since_ms:
                yield (task.id, task.started_ms), call.candidate.host, task.waited_ms or 0
    for end in reversed(board.recent):
        if end.at_ms < since_ms:
            break
        if end.host is None or end.took_ms is None or end.wait_ms is None:
            continue  # never started, or queued again since: its wait is not known any more
        if (at := end.at_ms - end.took_ms) >= since_ms:
            yield (end.task_id, at), end.host, end.wait_ms


def _asked(turn: Round, candidate: Candidate) -> bool:
    """Whether its server takes work, all slots busy or not."""
    if not kinds.usable(turn, candidate):
        return False
    return turn.board.hosts[candidate.host].servers[candidate.endpoint].busy_until <= turn.now.mono


def waiting_by_host(board: Board, now: Now) -> Counter[str]:
    """Queued tasks by the hosts that would take them but for their slots, as far as the dispatcher looks ahead: all of
    a short queue, the first of each lane and priority of a long one. None while dispatch as a whole stands."""
    found: Counter[str] = Counter()
    if board.paused or board.stopping:
        return found
    turn = Round(board, now)
    for state in board.lanes.values():
        waiting = sum(len(w.heads) for w in state.windows.values())
        if waiting:
            for host in {c.host for c in links.open_to(turn, state) if _asked(turn, c)}:
                found[host] += waiting
    return found
