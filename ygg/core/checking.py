"""The invariants of the board: every index and bound, worked out again from what it stands for.

Tests call `check` after each step; an AssertionError names the first that is off.
"""

from __future__ import annotations

from collections import Counter

from ygg.core.board import Board, Phase
from ygg.core.hosts import ghosts
from ygg.core.owning import loading
from ygg.core.placement import candidates, links, order
from ygg.core.placement.dispatching import open_servers
from ygg.core.placement.ranking import rank
from ygg.core.placement.rounds import Round
from ygg.model import Now


def check(board: Board, now: Now) -> None:
    """Recompute everything that is derived, and see that nobody who could start stands still."""
    _check_windows(board)
    _check_lanes(board)
    _check_calls(board)
    _check_hosts(board)
    _check_idle(board, now)


def _check_windows(board: Board) -> None:
    seen: Counter[str] = Counter()
    for lane, priority, window in board.windows():
        order_of = [(h.rank, h.seq) for h in window.heads]
        assert order_of == sorted(order_of), f"{lane} out of order"
        assert window.beyond == 0 if window.complete else window.beyond >= 0, f"{lane} counts"
        assert ((lane, priority) in board.unseen) == window.unseen, f"{lane} {priority} unseen"
        for head in window.heads:
            assert (head.lane, head.priority) == (lane, priority), f"{head} in a wrong window"
            assert board.where.get(head.id) == head, f"{head} not in the index"
            seen[head.id] += 1
    assert seen == Counter(board.where.keys()), "index and windows differ"
    both = board.where.keys() & board.call_of.keys()
    assert not both, f"waiting and in a call: {both}"


def _check_lanes(board: Board) -> None:
    single: Counter[str] = Counter()
    for lane, state in board.lanes.items():
        heads = [w.heads[0] for w in state.windows.values() if w.heads]
        best = min((rank(h, board.policy) for h in heads), default=None)
        assert (state.best.rank if state.best else None) == best, f"{lane}: best"
        assert state.queued == sum(w.queued for w in state.windows.values()), f"{lane}: count"
        assert state.route == candidates.of_lane(board, lane), f"{lane}: route"
        first = state.route[: len(state.reach.wanted)]
        assert first == state.reach.wanted, f"{lane}: kinds of host mixed in its route"
        for host in state.reach.hosts:
            assert state in board.serving[host], f"{lane} not served by {host}"
        assert (state in board.mixed) == bool(state.reach.second), f"{lane}: mixed"
        assert (state in board.avoiding) == bool(lane.avoid), f"{lane}: avoiding"
        if not state.reach.second:
            single[candidates.wanted_kind(state)] += state.queued
    assert +single == +Counter(board.single), "queued tasks by kind of host"


def _check_calls(board: Board) -> None:
    for call in board.calls.values():
        assert board.hosts[call.candidate.host].grants.get(call.id) == call.width, (
            f"{call.id}: slot"
        )
        assert bool(call.tries) != call.canary, f"{call.id} carries nothing"
        assert (call.id in board.acquiring) == (call.phase is Phase.ACQUIRING), f"{call.id}: phase"
    carried = {task: call.id for call in board.calls.values() for task in call.tries}
    assert carried == board.call_of, "tasks and their calls"
    asking = {c.candidate: c.id for c in board.calls.values() if c.canary}
    for task, suspect in board.suspects.items():
        assert suspect.candidate in asking, f"{task}: nobody decides on it"
    assert not board.suspects.keys() & (board.where.keys() | board.call_of.keys()), "suspects"


def _check_hosts(board: Board) -> None:
    assert board.loading == loading(board.types), "types that say how models are loaded"
    for name, host in board.hosts.items():
        assert host.grants.keys() <= board.calls.keys(), f"{name}: a slot of no call"
        taken = sum(host.grants.values()) + ghosts.width(*host.servers.values())
        assert host.busy == taken, f"{name}: busy {host.busy}"
        assert 0 <= host.limit <= host.host.slots, f"{name}: limit {host.limit}"
        rests = host.gauge.probed and not host.gauge.watching and not host.removed
        assert rests == (name in board.resting), f"{name}: resting {rests}"
        for endpoint, server in host.servers.items():
            inside = sum(
                host.grants[c.id]
                for c in board.calls.values()
                if c.candidate[:2] == (name, endpoint)
            )
            assert server.busy == inside + ghosts.width(server), (
                f"{name}/{endpoint}: busy {server.busy}"
            )
            kept = (name, endpoint) in board.changing
            assert server.ghosts.keys().isdisjoint(board.calls), f"{name}: a ghost that runs"
            assert server.changing == kept, f"{name}/{endpoint}: changing"
    assert board.resting <= board.hosts.keys(), "a host that is gone rests"
    assert {host for host, _ in board.changing} <= board.hosts.keys(), "one that is gone changes"


def _check_idle(board: Board, now: Now) -> None:
    """No lane that could start waits, and no server is taken for open or closed that is not."""
    if board.paused or board.stopping or board.store_retry_at is not None:
        return
    if board.wake_at is not None and board.wake_at <= now.mono:
        return  # a tick is due that looks at what time has changed
    for name, host in board.hosts.items():
        assert board.open.get(name, set()) == open_servers(Round(board, now), host), f"{name}: open"
    for state in board.lanes.values():
        if state.best is None:
            continue
        turn = Round(board, now, state.best.head.priority, state.best.rank, state.lane.caller)
        ranked = order.best_first(board, state)
        free = [c for c in ranked if links.first_no(turn, state, c) is None]
        late = (
            state.best.head.deadline_ms is not None and state.best.head.deadline_ms <= now.wall_ms
        )
        assert late or not free, f"{state.lane} waits though {free[0].host} could take it"
