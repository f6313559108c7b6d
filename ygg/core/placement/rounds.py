"""The board as one pass of placement sees it: what the pass decided so far, and calls thought away.

A `Round` owns the scratch of a pass, so that a question never changes the board: links read the board through
it, and only the pass that makes the decisions (`dispatching`) writes them down when it is over.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from ygg.core.board import Board, CallState, Place, Rank
from ygg.core.hosts.gates import Taken
from ygg.core.house import HostState
from ygg.core.placement.ranking import class_of
from ygg.model import Candidate, Now, Priority

FIRST: Rank = (float("-inf"), -1)  #: nothing is ranked before it


def _without(taken: Taken, call: CallState, endpoint: str) -> Taken:
    inside = call.width if call.candidate.endpoint == endpoint else 0
    return Taken(taken.host - call.width, taken.endpoint - inside)


class Queues(NamedTuple):
    """How many tasks wait for a GPU host, and how many for a CPU host."""

    gpu: int
    cpu: int


@dataclass(slots=True)
class Round:
    """`priority`, `rank` and `caller` are those of the task that is asked for; without a caller it is anybody's."""

    board: Board
    now: Now
    priority: Priority = Priority.CRITICAL
    rank: Rank = FIRST
    caller: str | None = None
    gone: frozenset[str] = frozenset()  #: calls that are thought away
    decided: set[Place] = field(default_factory=set)  #: servers whose models this pass decides on
    swaps: dict[Place, str] = field(default_factory=dict)  #: the model a server drains for
    kept: dict[Place, Priority] = field(
        default_factory=dict
    )  #: worse tasks wait for a change there
    lengths: dict[str | None, Queues] = field(default_factory=dict)
    room: dict[Candidate, bool] = field(default_factory=dict)  #: whether its model would find room
    barriers: list[tuple[Rank, frozenset[str]]] | None = None

    def of(self, priority: Priority, rank: Rank, caller: str | None = None) -> Round:
        """The same pass, asked for another task."""
        self.priority, self.rank, self.caller = priority, rank, caller
        return self

    def without(self, calls: Collection[str]) -> Round:
        """What links would say if these calls did not run."""
        return replace(self, gone=self.gone | frozenset(calls), room={}, lengths=dict(self.lengths))

    def forget(self) -> None:
        """A task has left a queue or a slot was taken: what was worked out over them no longer holds."""
        self.lengths.clear()
        self.room.clear()
        self.barriers = None

    def taken(self, host: HostState, endpoint: str) -> Taken:
        """Slots that this task cannot have. A call that waits for a permit holds its slot only against worse-ranked
        tasks, and those of other callers in its class."""
        server = host.servers.get(endpoint)
        taken = Taken(host.busy, server.busy if server else 0)
        if not (self.gone or self.board.acquiring):
            return taken
        for call in host.grants:
            if call in self.gone or self.displaces(self.board.calls[call]):
                taken = _without(taken, self.board.calls[call], endpoint)
        return taken

    def calls(self, place: Place) -> Iterator[CallState]:
        """Those that have slots of this endpoint."""
        host = self.board.hosts.get(place[0])
        for name in host.grants if host else ():
            call = self.board.calls[name]
            if call.candidate[:2] == place and name not in self.gone:
                yield call

    def displaces(self, call: CallState) -> bool:
        """Whether the call waits for a permit and gives way to this task: a better one of its caller, or one of a
        better class. The turn of another caller in its class came before."""
        if call.id not in self.board.acquiring:
            return False
        if self.caller in (None, call.caller):
            return self.rank < call.rank
        policy, now = self.board.policy, self.now
        return class_of(self.rank, policy, now) < class_of(call.rank, policy, now)

    def swap_to(self, place: Place) -> str:
        """The model this server drains for; "" when it does not."""
        if place in self.decided:
            return self.swaps.get(place, "")
        return self.board.hosts[place[0]].servers[place[1]].swap_to

    def kept_for(self, place: Place) -> Priority | None:
        """Tasks of a worse priority wait for a change of models on this server."""
        if place in self.decided:
            return self.kept.get(place)
        return self.board.hosts[place[0]].servers[place[1]].kept_for
