"""Who gets the free slots: best-ranked task first, over all lanes.

1. Each lane offers its best head. A window the store has not shown yet offers a barrier in its place:
   tasks ranked behind it may not take the hosts it could use, until the Peek is answered.
2. The best offer goes to the first candidate of its route that takes a call now; with none, the whole
   lane waits, since its tasks all need the same.
3. The slot is reserved on the board before the claim is emitted, and given back if the store refuses.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator

from ygg.core.board import Board, Claiming, Window
from ygg.core.effects import Claim, Effect, Note, Peek
from ygg.core.hosts import gates
from ygg.core.placement import kinds, links, residency
from ygg.core.placement.ranking import Rank, rank, unseen_rank
from ygg.model import Claim as ClaimItem
from ygg.model import Head, Lane, Now, Priority

Offer = tuple[Rank, int, Lane, Priority, Head | None]


def dispatch(board: Board, now: Now) -> list[Effect]:
    """Claims for every slot that can be filled now, and the peeks that stand in the way of others."""
    if board.paused or board.draining or board.store_retry_at is not None:
        return []
    if not any(gates.free(host) for host in board.hosts.values()):
        return []
    effects: list[Effect] = []
    while True:
        turn = _Round(board, now)
        effects += turn.run()
        if not (turn.shifts and turn.waits):
            return effects


class _Round:
    """One pass over the offers."""

    def __init__(self, board: Board, now: Now) -> None:
        self.board = board
        self.now = now
        self.held: set[str] = set()
        self.claims: list[ClaimItem] = []
        self.effects: list[Effect] = []
        self.notes: list[Effect] = []
        self.order = 0
        self.offers: list[Offer] = []
        self.shifts = False  # a CPU host was taken, so that fewer tasks wait for one
        self.waits = False  # tasks wait that such a host may help out with then

    def run(self) -> list[Effect]:
        residency.begin_round(self.board)
        self.board.lengths = {}
        for lane in self.board.lanes:
            links.all_candidates(self.board, lane)  # so that each lane's are known to the others
            self._offer(lane)
        while self.offers:
            _, _, lane, priority, head = heapq.heappop(self.offers)
            if head is None:
                self._hold_for_unseen(lane, priority)
            else:
                self._place(lane, priority, head)
        self.board.lengths = None
        claim: list[Effect] = [Claim(tuple(self.claims))] if self.claims else []
        return [*claim, *self.effects, *self.notes]

    def _offer(self, lane: Lane) -> None:
        best = min(_offers(self.board, lane), default=None, key=lambda o: o[0])
        if best is not None:
            self.order += 1
            heapq.heappush(self.offers, (best[0], self.order, lane, best[1], best[2]))

    def _hold_for_unseen(self, lane: Lane, priority: Priority) -> None:
        self.effects += refill(self.board, lane, priority)
        self.held |= {c.host for c in links.open_to(self.board, lane)}

    def _place(self, lane: Lane, priority: Priority, head: Head) -> None:
        if head.deadline_ms is not None and head.deadline_ms <= self.now.wall_ms:
            self.board.remove(head.id)  # the store will expire it
            self.board.next_due_ms, self.board.retime = self.now.wall_ms, True
            self.board.lengths = {}
            self._offer(lane)
            return
        choice = links.choose(self.board, lane, priority, self.now, self.held)
        if choice is None:
            self.waits |= bool(kinds.reach(self.board, lane).second)
            return
        reason = links.chosen_reason(self.board, lane, priority, choice, self.now)
        self.board.remove(head.id)
        claim = ClaimItem(head.id, head.version, choice, reason.text)
        self.board.claiming[head.id] = Claiming(claim, head)
        self.board.hosts[choice.host].busy.add(head.id)
        residency.started(self.board, choice, priority, self.now)
        self.shifts |= self.board.hosts[choice.host].host.kind != kinds.GPU
        self.board.lengths = {}
        self.claims.append(claim)
        self.notes.append(Note(reason, head.id))
        self.effects += refill(self.board, lane, priority)
        self._offer(lane)


def _offers(board: Board, lane: Lane) -> Iterator[tuple[Rank, Priority, Head | None]]:
    for priority, window in board.lanes[lane].items():
        if window.heads:
            yield rank(window.heads[0], board.policy), priority, window.heads[0]
        elif not window.complete:
            yield unseen_rank(priority, board.policy), priority, None


def refill(board: Board, lane: Lane, priority: Priority) -> list[Effect]:
    """A Peek when the window runs low and the store has more."""
    window: Window = board.lanes[lane][priority]
    if window.complete or window.peeking or len(window.heads) > board.window_size // 2:
        return []
    window.peeking = True
    return [Peek(lane, priority, board.window_size)]
