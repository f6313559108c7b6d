"""How fast hosts work, and from that when a task starts and when the queue is empty.

A run begins with what the minutes of the last days tell of each host, and moves to what it measures itself: the first
calls that end are the short ones, and alone they say little.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from ygg.core.board import Board, LaneState
from ygg.core.hosts import gates
from ygg.core.placement import lanes, links
from ygg.core.placement.rounds import Round
from ygg.model import Lane, MinuteRow, Now, State
from ygg.model.history import MINUTE_MS

MEASURED = 50  #: newest calls of a kind whose mean run time counts
ENOUGH = 5  #: calls of its own type, before a type is told from the others on its host
PAST = 10  #: calls that the past of a host counts as
DAYS_MS = 3 * 86_400_000  #: how far back it reaches


def past_of(rows: Iterable[MinuteRow]) -> dict[str, float]:
    """Mean run time in milliseconds of the calls to each host: the time in which they ran over how many started."""
    ran: dict[str, float] = {}
    started: dict[str, int] = {}
    for row in rows:
        ran[row.host] = ran.get(row.host, 0.0) + row.running * MINUTE_MS
        started[row.host] = started.get(row.host, 0) + row.started
    return {host: ms / started[host] for host, ms in ran.items() if ms and started[host]}


class Speeds:
    """Mean run times, by host and task type."""

    def __init__(self, board: Board) -> None:
        self._past = board.past_ms
        self._measured: dict[tuple[str, str], list[int]] = {}
        for end in reversed(board.recent):
            if end.took_ms is not None and end.state is State.COMPLETED and end.host is not None:
                self._add((end.host, end.type), end.took_ms)
                self._add((end.host, ""), end.took_ms)

    def _add(self, key: tuple[str, str], took_ms: int) -> None:
        found = self._measured.setdefault(key, [])
        if len(found) < MEASURED:
            found.append(took_ms)

    def mean_ms(self, host: str, kind: str = "") -> float | None:
        """Of a call of that task type there, or of any; None while nothing is known of the host."""
        own = self._measured.get((host, kind), [])
        took = own if len(own) >= ENOUGH else self._measured.get((host, ""), [])
        weight = PAST if host in self._past else 0
        calls = len(took) + weight
        return (sum(took) + weight * self._past.get(host, 0.0)) / calls if calls else None


class Pace(NamedTuple):
    """How fast a lane's hosts work."""

    mean_ms: float
    slots: int
    busy: int

    def wait_ms(self, ahead: int) -> int:
        """(ahead + 1) / slots * mean run time; nothing while a slot is free."""
        if ahead + self.busy < self.slots:
            return 0
        return round((ahead + 1) / self.slots * self.mean_ms)


def pace(board: Board, lane: Lane, now: Now, speeds: Speeds | None = None) -> Pace | None:
    """Of the hosts that the lane may use now; None while nothing is known of any, or with no slot."""
    speeds = speeds or Speeds(board)
    places = _places(Round(board, now), lanes.unlisted(board, lane))
    means = {name: speeds.mean_ms(name, lane.type) for name in places}
    known = {name: ms for name, ms in means.items() if ms is not None}
    slots = sum(places[name] for name in known)
    if not slots:
        return None
    per_ms = sum(places[name] / max(ms, 1.0) for name, ms in known.items())
    return Pace(slots / per_ms, sum(places.values()), sum(board.hosts[n].busy for n in places))


def _places(turn: Round, state: LaneState) -> dict[str, int]:
    """The hosts that would take a task of the lane now or once a slot is free, and their slots."""
    open_ = (c for c in links.open_to(turn, state) if gates.up(turn.board, c, turn.now))
    found = {c.host: gates.limit(turn.board.hosts[c.host]) for c in open_}
    return {name: slots for name, slots in found.items() if slots}


def drain_ms(board: Board, now: Now, speeds: Speeds) -> int | None:
    """Until all that runs, and all that waits and has a host which is up, is done, as if nothing came after it. None
    when there is nothing to do, dispatch stands still, or too little is known."""
    if board.paused or board.stopping:
        return None
    turn, ends = Round(board, now), _running_ms(board, speeds)
    fewest_first = sorted(board.lanes.values(), key=lambda s: len(s.reach.hosts))
    for state in (s for s in fewest_first if s.queued):
        places = _places(turn, state)
        each = {name: speeds.mean_ms(name, state.lane.type) for name in places}
        known = {name: max(ms, 1.0) / places[name] for name, ms in each.items() if ms is not None}
        if places and not known:
            return None
        _pour(ends, known, state.queued)
    done = [ms for ms in ends.values() if ms is not None]
    return None if not done or len(done) < len(ends) else round(max(done))


def _running_ms(board: Board, speeds: Speeds) -> dict[str, float | None]:
    """When each busy host would be free of the calls on it, which are half done in the mean."""
    busy = {name: host for name, host in board.hosts.items() if host.busy}
    means = {name: speeds.mean_ms(name) for name in busy}
    return {name: None if ms is None else ms / 2 for name, ms in means.items()}


def _pour(ends: dict[str, float | None], each_ms: Mapping[str, float], tasks: int) -> None:
    """Give tasks to hosts so that these are done at the same time. `each_ms`: what one more task costs a host;
    `ends`: when a host is done."""
    left, rate, level = float(tasks), 0.0, 0.0
    rising = sorted(each_ms, key=lambda name: ends.get(name) or 0.0)
    for n, name in enumerate(rising):
        level = max(level, ends.get(name) or 0.0)
        rate += 1 / each_ms[name]
        following = (ends.get(other) or 0.0 for other in rising[n + 1 : n + 2])
        until = next(following, float("inf"))
        if level + left / rate <= until:
            level += left / rate
            break
        left -= (until - level) * rate
        level = until
    for name in each_ms:
        ends[name] = max(ends.get(name) or 0.0, level)
