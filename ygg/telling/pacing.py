"""How fast hosts work, and from that when a task starts and when the queue is empty.

A run begins with what the minutes of the last days tell of each host, and moves to what it measures itself: the first
calls that end are the short ones, and alone they say little.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from math import inf

from ygg.core.board import Board, LaneState
from ygg.core.hosts import gates
from ygg.core.house import HostState
from ygg.core.placement import kinds, lanes, links, residency
from ygg.core.placement.rounds import Round
from ygg.model import Candidate, Head, Lane, MinuteRow, Now, Priority, State
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


class Plan:
    """When the waiting tasks start, as if nothing came after them: what waits is poured into the hosts, the best
    priority first, and each host works it off at its pace. What one task is told and when the queue is empty are both
    read from here.

    The level of a host is the milliseconds until it has room for one task more. Tasks of one priority share what is
    poured at it: the first starts at the level before, the last at the level after.
    """

    def __init__(self, board: Board, now: Now) -> None:
        self.at, self.queued = now.mono, sum(state.queued for state in board.lanes.values())
        self._board, self._turn, self._speeds = board, Round(board, now), Speeds(board)
        self._stands = board.paused or board.stopping
        self._paces: dict[Lane, Mapping[str, float]] = {}
        self._changes: dict[Lane, Mapping[str, float]] = {}
        self._rivals: dict[frozenset[str], Sequence[LaneState]] = {}
        fewest_first = sorted(board.lanes.values(), key=lambda s: len(s.reach.hosts))
        self._levels = [{name: self._level(host) for name, host in board.hosts.items()}]
        for priority in Priority:
            levels = dict(self._levels[-1])
            for state in (s for s in fewest_first if priority in s.windows):
                _pour(levels, self._pace(state), state.windows[priority].queued)
            self._levels.append(levels)

    def _level(self, host: HostState) -> float:
        """A free slot counts as a task that has just ended; a pause that all its servers asked for is waited out."""
        slots = gates.limit(host)
        mean = self._speeds.mean_ms(host.host.name) or 0.0
        level = (1 - max(0, slots - host.busy)) * mean / slots if slots else 0.0
        pause = (
            min((s.busy_until for s in host.servers.values()), default=0.0) - self._turn.now.mono
        )
        return max(level, 1000 * pause) if pause > 0 else level

    def _pace(self, state: LaneState) -> Mapping[str, float]:
        """Of the hosts that would take a task of the lane now or once calls have ended: the milliseconds from one
        start to the next. Those of which nothing is known are left out."""
        if state.lane not in self._paces:
            board, turn = self._board, self._turn
            open_ = [c for c in links.open_to(turn, state) if kinds.usable(turn, c)]
            self._changes[state.lane] = self._changed_ms(open_)
            slots = {c.host: gates.limit(board.hosts[c.host]) for c in open_}
            means = {name: self._speeds.mean_ms(name, state.lane.type) for name in slots}
            self._paces[state.lane] = {
                name: max(ms, 1.0) / slots[name]
                for name, ms in means.items()
                if ms is not None and slots[name]
            }
        return self._paces[state.lane]

    def _changed_ms(self, places: Iterable[Candidate]) -> Mapping[str, float]:
        """Of each host the milliseconds until a server of it may have the model, free slots or not: calls with another one
        have to end first. Less than any level where none has to."""
        found: dict[str, float] = {}
        for place in places:
            busy = residency.in_the_way(self._board, place)
            ms = (self._speeds.mean_ms(place.host) or 0.0) if busy else -inf
            found[place.host] = min(ms, found.get(place.host, inf))
        return found

    def wait_ms(self, lane: Lane, priority: Priority, ahead: int) -> int | None:
        """Milliseconds until a task starts that has so many ahead of it among those that compete for its hosts. None
        while dispatch stands still, no host would take it, or nothing is known of those that would."""
        state = lanes.unlisted(self._board, lane)
        hosts = self._pace(state).keys() & self._levels[0].keys()  # one may have come since
        if self._stands or not hosts:
            return None
        changed = self._changes[state.lane]
        before, after = (
            min(max(self._levels[n][h], changed[h]) for h in hosts)
            for n in (priority, priority + 1)
        )
        rivals = self._rivals_of(state)
        better, same = (
            _counted(rivals, lambda p: p < priority),
            _counted(rivals, lambda p: p == priority),
        )
        part = min(1.0, max(0, ahead - better) / max(1, same))
        return round(max(0.0, before + (after - before) * part))

    @cached_property
    def drain_ms(self) -> int | None:
        """Milliseconds until the last of them starts: the longest of these waits. None when nothing waits, or one of
        them has none."""
        waits = [self._last_ms(state) for state in self._board.lanes.values() if state.queued]
        known = [ms for ms in waits if ms is not None]
        return max(known, default=None) if len(known) == len(waits) else None

    def _last_ms(self, state: LaneState) -> int | None:
        """Of the last task of a lane. Where the store has more than is known here, those of others are ahead of it."""
        worst = max(p for p, window in state.windows.items() if window.queued)
        rivals, window = self._rivals_of(state), state.windows[worst]
        last = (inf,) if window.beyond else _place(window.heads[-1])
        ahead = _counted(rivals, lambda p: p < worst)
        for other in (r.windows[worst] for r in rivals if worst in r.windows):
            before = bisect_left(other.heads, last, key=_place)
            ahead += before if before < len(other.heads) else other.queued
        return self.wait_ms(state.lane, worst, ahead - bool(window.beyond))

    def _rivals_of(self, state: LaneState) -> Sequence[LaneState]:
        """The lanes whose tasks could run on one of its hosts, itself included."""
        hosts = state.reach.hosts
        if hosts not in self._rivals:
            lanes_ = self._board.lanes.values()
            self._rivals[hosts] = [other for other in lanes_ if hosts & other.reach.hosts]
        return self._rivals[hosts]


def _place(head: Head) -> tuple[float, ...]:
    """In the order of the store."""
    return head.rank, head.seq


def _counted(states: Iterable[LaneState], wanted: Callable[[Priority], bool]) -> int:
    """Tasks of such priorities that wait there."""
    return sum(w.queued for state in states for p, w in state.windows.items() if wanted(p))


def _pour(levels: dict[str, float], each_ms: Mapping[str, float], tasks: int) -> None:
    """Give tasks to hosts so that these have room again at the same time. `each_ms`: what one more task costs a host."""
    left, rate, level = float(tasks), 0.0, 0.0
    rising = sorted(each_ms, key=levels.__getitem__)
    for n, name in enumerate(rising):
        level = levels[name] if not n else max(level, levels[name])
        rate += 1 / each_ms[name]
        until = levels[rising[n + 1]] if n + 1 < len(rising) else float("inf")
        if level + left / rate <= until:
            level += left / rate
            break
        left -= (until - level) * rate
        level = until
    for name in each_ms:
        levels[name] = max(levels[name], level)
