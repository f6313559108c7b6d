"""The waiting tasks as far as the dispatcher looks ahead: heads in windows, and what is counted over them.

Every change of a window ends in `_refresh`, which brings the lane's best head, its count and the indexes
of the board up to date; nothing else writes them.
"""

from __future__ import annotations

from bisect import insort
from collections import Counter
from operator import attrgetter

from ygg.core.board import Board, LaneState, Offer, Reach, Window
from ygg.core.effects import Effect, Note, Peek, Tell
from ygg.core.events import HeadsSeen, LanesSeen, Promoted, TasksQueued
from ygg.core.placement import candidates, order
from ygg.core.placement.ranking import rank
from ygg.model import Candidate, Head, Lane, Now, Priority, ReasonCode, Task, because

_ORDER = attrgetter("rank", "seq")  #: of the heads of one lane and priority, as the store has it


# --- lanes ------------------------------------------------------------------------------------------


def lane_state(board: Board, lane: Lane) -> LaneState:
    """What the board has of a lane; a new one joins the indexes."""
    found = board.lanes.get(lane)
    if found is None:
        found = board.lanes[lane] = unlisted(board, lane)
        _index(board, found)
    return found


def unlisted(board: Board, lane: Lane) -> LaneState:
    """A lane as the board would have it, for questions about tasks that do not wait."""
    known = board.lanes.get(lane)
    if known is not None:
        return known
    route = candidates.of_lane(board, lane)
    return LaneState(lane, route, _reach(board, route))


def _reach(board: Board, route: tuple[Candidate, ...]) -> Reach:
    kinds = {c[:2]: board.hosts[c.host].host.kind_of(c.endpoint) for c in route}
    kind = kinds[route[0][:2]] if route else ""
    wanted = tuple(c for c in route if kinds[c[:2]] == kind)
    hosts = frozenset(c.host for c in route)
    slots = sum(board.hosts[name].host.slots for name in hosts)
    second = frozenset(p for p in kinds if kinds[p] != kind)
    yields = len({order.vllm(board, c) for c in route}) > 1
    return Reach(kind, wanted, second, hosts, slots, yields)


def _index(board: Board, state: LaneState) -> None:
    for host in state.reach.hosts:
        board.serving.setdefault(host, {})[state] = None
    if state.lane.avoid:
        board.avoiding[state] = None
    if state.reach.second:
        board.mixed[state] = None
    else:
        _count_single(board, state, state.queued)


def _drop(board: Board, state: LaneState) -> None:
    for host in state.reach.hosts:
        board.serving[host].pop(state, None)
    board.avoiding.pop(state, None)
    if state in board.mixed:
        del board.mixed[state]
    else:
        _count_single(board, state, -state.queued)


def _count_single(board: Board, state: LaneState, more: int) -> None:
    kind = candidates.wanted_kind(state)
    board.single[kind] = board.single.get(kind, 0) + more


def reroute(board: Board) -> None:
    """The configuration has changed: every lane is routed anew."""
    board.serving.clear()
    board.mixed.clear()
    board.avoiding.clear()
    board.single.clear()
    for state in board.lanes.values():
        state.route = candidates.of_lane(board, state.lane)
        state.reach = _reach(board, state.route)
        state.best = None
        _index(board, state)
        for priority in state.windows:
            _refresh(board, state, priority)


def forget_idle(board: Board) -> None:
    """Drop lanes that hold nothing: tasks come with their lane, so nothing is lost."""
    for state in list(board.lanes.values()):
        if all(w.complete and not w.heads and not w.peeking for w in state.windows.values()):
            _drop(board, state)
            del board.lanes[state.lane]


# --- windows ----------------------------------------------------------------------------------------


def window(board: Board, lane: Lane, priority: Priority) -> Window:
    """The window of a lane at a priority; a new one is complete only for a lane known empty."""
    windows = lane_state(board, lane).windows
    found = windows.get(priority)
    if found is None:
        found = windows[priority] = Window(complete=True)
    return found


def insert(board: Board, *heads: Head) -> None:
    """Put heads in their windows, or count them where they lie beyond; not those on their way to a call or from
    one."""
    touched = dict.fromkeys((h.lane, h.priority) for h in heads if _put(board, h))
    for lane, priority in touched:
        _refresh(board, board.lanes[lane], priority)


def _put(board: Board, head: Head) -> bool:
    """Whether its lane has changed."""
    if head.id in board.call_of or head.id in board.finishing:
        return False
    if head.id in board.where:
        remove(board, head.id)
    state, kept = lane_state(board, head.lane), window(board, head.lane, head.priority)
    last = kept.heads[-1] if kept.heads else None
    inside = last is not None and _ORDER(head) < _ORDER(last)
    if kept.complete or kept.peeking or inside:
        insort(kept.heads, head, key=_ORDER)
        board.where[head.id] = head
    else:
        kept.beyond += 1
    while len(kept.heads) > 2 * state.window_size:
        del board.where[kept.heads.pop().id]
        kept.complete = False
        kept.beyond += 1
    return True


def remove(board: Board, task_id: str) -> None:
    """Take a head out of its window, if it is in one."""
    head = board.where.pop(task_id, None)
    if head is not None:
        state = board.lanes[head.lane]
        state.windows[head.priority].heads.remove(head)
        _refresh(board, state, head.priority)


def doubt(board: Board, lane: Lane) -> None:
    """The store may hold more of this lane than its windows show: it is asked again when they are empty."""
    for priority in Priority:
        window(board, lane, priority).complete = False
        _refresh(board, board.lanes[lane], priority)


def refill(board: Board, lane: Lane, priority: Priority) -> list[Effect]:
    """A Peek when the window runs low and the store has more."""
    state = board.lanes[lane]
    kept = state.windows[priority]
    if kept.complete or kept.peeking or len(kept.heads) > state.window_size // 2:
        return []
    kept.peeking = True
    return [Peek(lane, priority, state.window_size)]


def _refresh(board: Board, state: LaneState, priority: Priority) -> None:
    """Bring what is derived from the windows of a lane up to date. Once a window is shown again, everyone
    it stood in the way of is asked anew."""
    key = (state.lane, priority)
    if state.windows[priority].unseen:
        board.unseen[key] = None
    elif key in board.unseen:
        del board.unseen[key]
        board.changed_hosts.update(dict.fromkeys(state.reach.hosts))
    queued, best = 0, None
    for kept in state.windows.values():
        queued += kept.queued
        if kept.heads:
            offer = Offer(rank(kept.heads[0], board.policy), kept.heads[0])
            best = offer if best is None or offer.rank < best.rank else best
    if not state.reach.second:
        _count_single(board, state, queued - state.queued)
    state.queued, state.best = queued, best
    board.changed_lanes[state.lane] = None


# --- what the store tells ---------------------------------------------------------------------------


def counted(board: Board, event: LanesSeen) -> list[Effect]:
    """A lane the store counts tasks in, but we hold none of, has to be looked at again. What is on its way
    to a call was still queued when the store counted."""
    effects: list[Effect] = []
    taken = Counter(
        (t.head.lane, t.head.priority)
        for c in board.calls.values()
        for t in c.tries.values()
        if t.task is None
    )
    counts = {(lane, priority): n for lane, priority, n in event.lanes}
    for lane, priority in counts:
        kept = window(board, lane, priority)
        if not kept.heads:
            kept.complete = False
            effects += refill(board, lane, priority)
    for lane, priority, kept in list(board.windows()):
        kept.counted(counts.get((lane, priority), 0) - taken[lane, priority])
        _refresh(board, board.lanes[lane], priority)
    return effects


def seen(board: Board, event: HeadsSeen) -> None:
    """Take over what the store showed. Heads that came in meanwhile and lie beyond it are dropped: the
    store still holds others between, which they must not overtake."""
    kept = window(board, event.lane, event.priority)
    queued = kept.queued
    kept.peeking, kept.complete = True, False
    insert(board, *event.heads)
    if not event.complete:
        last = _ORDER(event.heads[-1])
        for head in [h for h in kept.heads if _ORDER(h) > last]:
            remove(board, head.id)
    kept.peeking, kept.complete = False, event.complete
    kept.counted(queued)
    _refresh(board, board.lanes[event.lane], event.priority)


def peek_failed(board: Board, lane: Lane, priority: Priority) -> None:
    window(board, lane, priority).peeking = False


def queued(board: Board, event: TasksQueued) -> None:
    insert(board, *event.heads)
    for head in event.heads:
        learn_due(board, head.deadline_ms)


def learn_due(board: Board, due_ms: int | None) -> None:
    """A task becomes due, or its deadline passes, at this wall-clock time."""
    if due_ms is not None and (board.next_due_ms is None or due_ms < board.next_due_ms):
        board.next_due_ms, board.retime = due_ms, True


def over(board: Board, task: Task, now: Now) -> None:
    """A task has ended: the next one of its batch may have waited for it."""
    if task.batch is None or not board.sequences:
        return
    board.promote_again = board.promoting
    learn_due(board, now.wall_ms)


def promoted(board: Board, event: Promoted, now: Now) -> list[Effect]:
    board.promoting, board.retime = False, True
    board.next_due_ms = now.wall_ms if board.promote_again else event.next_due_ms
    board.sequences, board.promote_again = event.sequences, False
    for task_id in event.expired:
        remove(board, task_id)
    insert(board, *event.queued)
    gone = event.expired + event.stopped
    notes = [Note(because(ReasonCode.DEADLINE), task_id) for task_id in event.expired]
    notes += [Note(because(ReasonCode.BATCH_STOPPED), task_id) for task_id in event.stopped]
    return [*notes, Tell(elsewhere=gone)] if gone else []
