"""Who gets the free slots: best-ranked task first, over all lanes; inside one class callers take turns.

1. Only what changed is looked at: the lanes that reach a host which is not as it was, and the lanes
   whose tasks changed. A lane whose tasks found no place finds none until one of these happens.
2. The best head of each such lane is offered, best rank first (`turns.Offers`), to its candidates in order; the first that all
   links pass takes it. With none the whole lane waits, since its tasks all need the same, and `remedies` prepare
   what was in the way.
3. The call takes its slot before its tasks are claimed, and gives it back if the store refuses.

Lanes that may run on either kind of host depend on how many tasks wait for each, those that avoid a candidate
on whether another is up, and servers that prepare to change models on everybody who wants them: all of these
are looked at in every pass. Lanes of vLLM and other servers are looked at also when one of the hosts closes.
"""

from __future__ import annotations

from collections.abc import Iterable

from ygg.core.board import Board, CallState, LaneState, Offer, Phase, Try
from ygg.core.effects import ClaimTasks, Effect
from ygg.core.hosts import gates
from ygg.core.house import HostState
from ygg.core.placement import kinds, lanes, links, order, permits, remedies, residency
from ygg.core.placement.rounds import FIRST, Round
from ygg.core.placement.turns import Offers
from ygg.model import Candidate, Claim, Head, Now, Priority, Reason


def dispatch(board: Board, now: Now) -> list[Effect]:
    """Calls for every slot that can be filled now, and the peeks that stand in the way of others."""
    if not (board.changed_hosts or board.changed_lanes):
        return []
    if board.paused or board.stopping or board.store_retry_at is not None:
        return []
    effects: list[Effect] = []
    while True:
        turn = _Pass(board, now)
        effects += turn.run()
        if not (turn.shifts and turn.waits):
            return effects


def open_servers(turn: Round, host: HostState) -> set[str]:
    """Its endpoints that could take a call of this task, its models aside."""
    return {
        endpoint
        for endpoint in host.servers
        if gates.obstacle(
            host, Candidate(host.host.name, endpoint, ""), turn.taken(host, endpoint), turn.now
        )
        is None
    }


class _Pass:
    """One pass over what changed."""

    def __init__(self, board: Board, now: Now) -> None:
        self.board, self.now = board, now
        self.round = Round(board, now, decided=set(board.changing))
        self.claims: list[Claim] = []
        self.effects: list[Effect] = []
        self.offers: Offers  # as soon as a host is open
        self.shifts = False  # fewer tasks wait for a CPU host than before
        self.waits = False  # tasks wait that such a host may help out with then

    def run(self) -> list[Effect]:
        board = self.board
        for host in board.changed_hosts:
            self._reopen(board.hosts.get(host), host)
        if board.open:
            offers = [s.best for s in self._to_ask() if s.best is not None]
            self.offers = Offers(self.round, offers)
            for lane, priority in board.unseen:
                self.effects += lanes.refill(board, lane, priority)
        while board.open and (offer := self.offers.pop()) is not None:
            state = board.lanes[offer.head.lane]
            if state.best is offer and not board.open.keys().isdisjoint(state.reach.hosts):
                self._place(state, offer)
        remedies.decided(self.round)
        board.changed_hosts.clear()  # what this pass itself changed it has looked at
        board.changed_lanes.clear()
        claim: list[Effect] = [ClaimTasks(tuple(self.claims))] if self.claims else []
        return [*claim, *self.effects]

    def _to_ask(self) -> dict[LaneState, None]:
        """The lanes that may find a place now."""
        board = self.board
        asked = {board.lanes[lane]: None for lane in board.changed_lanes if lane in board.lanes}
        for host in board.changed_hosts.keys() & board.open.keys():
            asked.update(board.serving.get(host, {}))
        for host in board.changed_hosts.keys() - board.open.keys():
            asked.update((s, None) for s in board.serving.get(host, {}) if s.reach.yields)
        for host, _ in board.changing:
            asked.update(board.serving.get(host, {}))
        asked.update(board.avoiding)
        asked.update(
            (s, None) for s in board.mixed if any(h in board.open for h, _ in s.reach.second)
        )
        return asked

    def _reopen(self, host: HostState | None, name: str) -> None:
        """Which of its servers could take a call of the best-ranked task there could be."""
        found = open_servers(self.round.of(Priority.CRITICAL, FIRST), host) if host else set()
        if found:
            self.board.open[name] = found
        else:
            self.board.open.pop(name, None)

    def _offer(self, state: LaneState) -> None:
        if state.best is not None:
            self.offers.add(state.best)

    def _place(self, state: LaneState, offer: Offer) -> None:
        head = offer.head
        if head.deadline_ms is not None and head.deadline_ms <= self.now.wall_ms:
            self._leaves(state, head)  # the store will expire it
            self.round.forget()
            self.board.next_due_ms, self.board.retime = self.now.wall_ms, True
            self._offer(state)
            return
        turn = self.round.of(head.priority, offer.rank, head.lane.caller)
        ranked = order.best_first(self.board, state)
        choice, passed = self._choose(turn, state, ranked)
        if choice is None:
            remedies.change_models(turn, state, passed)
            self.waits |= bool(state.reach.second)
            return
        if self.offers.later(offer, choice):
            return
        before = ranked[: ranked.index(choice)]
        self._start(state, offer, choice, links.chosen(turn, state, choice, before))
        self._offer(state)

    def _choose(
        self, turn: Round, state: LaneState, ranked: Iterable[Candidate]
    ) -> tuple[Candidate | None, list[tuple[Candidate, Reason]]]:
        """The first candidate that all links pass, and those with open slots that they did not."""
        passed: list[tuple[Candidate, Reason]] = []
        for candidate in ranked:
            if candidate.endpoint not in self.board.open.get(candidate.host, ()):
                continue
            reason = links.first_no(turn, state, candidate)
            if reason is None:
                return candidate, passed
            passed.append((candidate, reason))
        return None, passed

    def _leaves(self, state: LaneState, head: Head) -> None:
        """A task of the lane waits no longer."""
        self.shifts |= kinds.waits_for(self.round, state) == kinds.CPU
        lanes.remove(self.board, head.id)

    def _start(self, state: LaneState, offer: Offer, choice: Candidate, why: Reason) -> None:
        board, head = self.board, offer.head
        host = board.hosts[choice.host]
        self._leaves(state, head)
        self.effects += lanes.refill(board, head.lane, head.priority)
        board.serial += 1
        call_id = f"{board.run}-{board.serial}"
        call = CallState(call_id, choice, {head.id: Try(head)}, offer.rank, why)
        self._make_room(host, call)
        permits.take(board, call)
        residency.started(board, choice, self.now)
        self._ask(call)
        self.round.forget()
        self._reopen(host, choice.host)

    def _make_room(self, host: HostState, call: CallState) -> None:
        """Calls that wait for permits there give way; their tasks are offered again."""
        given_way = permits.giving_way(self.round, host, call)
        for call in given_way:
            self.effects += permits.give_back(self.board, call)
        for lane in {t.head.lane for call in given_way for t in call.tries.values()}:
            self._offer(self.board.lanes[lane])

    def _ask(self, call: CallState) -> None:
        """All claims of a pass are one effect."""
        if call.phase is Phase.CLAIMING:
            self.claims += permits.claims(call)
        else:
            self.effects.append(permits.ask_next(self.board, call, self.now))
