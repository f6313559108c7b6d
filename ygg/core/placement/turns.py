"""Whose turn it is: callers that wait for the same slots share them, inside one class of priority.

1. A better class goes first, whoever asks. Tasks of one caller keep their order.
2. Between callers of one class a free slot of a server goes to the one with the fewest calls there, then to the
   one whose last start there is longest ago, then to the better rank.
3. So nobody starves: while a caller has no call on the servers that its first task may use, each other caller
   starts one call of that class on each of them before it, at most. With n callers that wait for one server it gets the
   n-th free slot at the latest. For a caller that has calls there this holds from when they have ended, if not before.

A call that was cut off counts as long as its ghost keeps its slot (`hosts/ghosts.py`): else who cancels again and again
would have the slots of its ghosts and its share of the others. The bound does not need it, since who was served is last
in turn anyhow; and it is not weaker, since ghosts of others only put them behind, and one's own end within `ghost_s`.
Calls of before a restart count for nobody: their servers tell no callers.

The first task of a caller is the best-ranked that could start but for a slot. What goes before turns goes before this
bound: a better class; a server's own change of models (`residency`), so that callers with different models do
not change them at each turn but once in `max_wait_s`. With ageing a task comes to the best class in time, so that
the bound holds from then on. What was served is forgotten at a new start of the daemon.

Why the bound holds. Let the first task T of a caller without calls on its servers wait since it was served there at
start s, at the latest. T stands in `Offers` at (0, s) or before. So a call of another caller A starts on one of
them, at q, only if A has no call at q and was served there at s or before; then it was served at q after s.
"""

from __future__ import annotations

import heapq
from collections import Counter
from heapq import nsmallest
from typing import NamedTuple

from ygg.core.board import Board, CallState, LaneState, Offer, Place, Rank
from ygg.core.placement.ranking import class_of, rank
from ygg.core.placement.rounds import Round
from ygg.model import Candidate, Head, Now

KNOWN = 1000  #: callers that a server remembers: who was served longest ago is forgotten first
FEW = 8  #: hosts with free slots: among more nobody looks for the best


class Turn(NamedTuple):
    """Of a caller on one server; smaller goes first."""

    calls: int = 0
    served: int = 0  #: number of its last start there; 0: none


class _Due(NamedTuple):
    """When a caller is asked for its best offer; smaller first."""

    group: float
    turn: Turn
    rank: Rank
    caller: str


Calls = dict[str | None, int]


def calls_on(board: Board, place: Place) -> Calls:
    """How many calls each caller has on a server, ghosts of them among these."""
    host = board.hosts[place[0]]
    callers = [ghost.caller for ghost in host.servers[place[1]].ghosts.values()]
    for name in host.grants:
        call = board.calls[name]
        if call.candidate[:2] == place:
            callers.append(call.caller)
    return Counter(callers)


def turn_of(board: Board, caller: str, place: Place, calls: Calls) -> Turn:
    """Where a caller stands on a server, with the calls there."""
    server = board.hosts[place[0]].servers[place[1]]
    return Turn(calls.get(caller, 0), server.served.get(caller, 0))


def served(board: Board, call: CallState) -> None:
    """A call starts: its caller is last in turn on that server."""
    caller = call.caller
    server = board.hosts[call.candidate.host].servers.get(call.candidate.endpoint)
    if caller is None or server is None:
        return
    board.starts += 1
    server.served.pop(caller, None)
    server.served[caller] = board.starts
    if len(server.served) > KNOWN:
        del server.served[next(iter(server.served))]


def before(turn: Round, state: LaneState, host: str) -> int:
    """How many other callers with tasks of its class come before the task that is asked for on this host."""
    board, policy = turn.board, turn.board.policy
    own = class_of(turn.rank, policy, turn.now)
    calls = {c[:2]: calls_on(board, c[:2]) for c in state.route if c.host == host}
    found = {
        other.lane.caller
        for other in board.serving.get(host, ())
        if other.best is not None
        and other.lane.caller != state.lane.caller
        and class_of(other.best.rank, policy, turn.now) == own
        for place in calls.keys() & {c[:2] for c in other.route}
        if (turn_of(board, other.lane.caller, place, calls[place]), other.best.rank)
        < (turn_of(board, state.lane.caller, place, calls[place]), turn.rank)
    }
    return len(found)


def next_up(board: Board, now: Now, count: int) -> list[Head]:
    """The heads that start first, as if each caller took its turn once no call runs."""

    def place(head: Head) -> Rank:
        return rank(head, board.policy)

    of: dict[str, list[Head]] = {}
    for head in board.where.values():
        of.setdefault(head.lane.caller, []).append(head)
    found: list[tuple[float, int, Rank, Head]] = []
    for heads in of.values():
        taken: Counter[float] = Counter()
        for head in nsmallest(count, heads, key=place):
            group = class_of(place(head), board.policy, now)
            found.append((group, taken[group], place(head), head))
            taken[group] += 1
    return [head for *_, head in nsmallest(count, found)]


class Offers:
    """What a pass has still to ask: the best heads of lanes, in the order in which they are asked. O(log) each.

    A caller is due for its best offer as soon as its turn may come on any server that is open; once it is known which server
    takes the task, `later` puts it behind those whose turn comes before. With one caller the order is that of rank.
    """

    def __init__(self, turn: Round, offers: list[Offer]) -> None:
        self._board, self._now = turn.board, turn.now
        self._of = _heaps(offers)  # by caller
        self._due: dict[str, _Due] = {}  # what holds of the heap, by caller; empty with one caller
        self._heap: list[_Due] = []
        self._calls: dict[Place, Calls] = {}  # until the next start
        self._asked: str | None = None  # whose offer is being placed

    def add(self, offer: Offer) -> None:
        caller = offer.head.lane.caller
        heapq.heappush(self._of.setdefault(caller, []), offer)
        if self._due:
            self._enter(caller)

    def pop(self) -> Offer | None:
        """The next to be asked."""
        self._return()
        if not self._of:
            return None
        self._asked = next(iter(self._of)) if len(self._of) == 1 else self._first()
        return heapq.heappop(self._of[self._asked])

    def later(self, offer: Offer, choice: Candidate) -> bool:
        """Whether another caller is asked before this offer takes a slot there; then it is asked again after that."""
        top = self._top()
        if top is None:
            return False
        caller = offer.head.lane.caller
        due = self._stand(offer, self._turn(caller, choice[:2]))
        if due < top:
            return False
        heapq.heappush(self._of[caller], offer)
        self._put(due)
        self._asked = None
        return True

    def _return(self) -> None:
        """Who was asked last stands again where it belongs now."""
        caller, self._asked = self._asked, None
        if caller is None:
            return
        self._calls.clear()
        if not self._of[caller]:
            del self._of[caller]
        elif self._due:
            self._enter(caller)
        if len(self._of) < 2:
            self._due.clear()
            self._heap.clear()

    def _first(self) -> str:
        for caller in self._of if not self._due else ():
            self._enter(caller)
        top = self._top()
        assert top is not None
        heapq.heappop(self._heap)
        del self._due[top.caller]
        return top.caller

    def _top(self) -> _Due | None:
        """The best of what holds."""
        while self._heap and self._due.get(self._heap[0].caller) is not self._heap[0]:
            heapq.heappop(self._heap)
        return self._heap[0] if self._heap else None

    def _enter(self, caller: str) -> None:
        self._put(self._stand(self._of[caller][0], self._soonest(caller)))

    def _put(self, due: _Due) -> None:
        self._due[due.caller] = due
        heapq.heappush(self._heap, due)

    def _stand(self, offer: Offer, turn: Turn) -> _Due:
        group = class_of(offer.rank, self._board.policy, self._now)
        return _Due(group, turn, offer.rank, offer.head.lane.caller)

    def _soonest(self, caller: str) -> Turn:
        """Its best turn on any server that is open, or one that is no worse."""
        board = self._board
        if len(board.open) > FEW:
            return Turn()
        places = ((host, endpoint) for host, open_ in board.open.items() for endpoint in open_)
        return min((self._turn(caller, place) for place in places), default=Turn())

    def _turn(self, caller: str, place: Place) -> Turn:
        if place not in self._calls:
            self._calls[place] = calls_on(self._board, place)
        return turn_of(self._board, caller, place, self._calls[place])


def _heaps(offers: list[Offer]) -> dict[str, list[Offer]]:
    callers = {offer.head.lane.caller for offer in offers}
    of: dict[str, list[Offer]] = {caller: [] for caller in callers}
    if len(callers) == 1:
        of[callers.pop()] = offers
    for offer in offers if callers else ():
        of[offer.head.lane.caller].append(offer)
    for heap in of.values():
        heapq.heapify(heap)
    return of
