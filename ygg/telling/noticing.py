"""What to tell: a machine of states over successive snapshots, whose time is theirs.

A cause is told once it has lasted, and is over once it has been gone for a while: what comes and goes is one message, a blip is
none. Tasks that failed for good or wait for a person are gathered, so that three hundred are two messages.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace

from ygg.model import FINAL, EndView, Snapshot, State
from ygg.model.notices import Event, Notice
from ygg.plain import counted, span
from ygg.telling import causes as judging
from ygg.telling.causes import Cause

#: Seconds that a cause must last until it is told, and be gone until it is over.
LASTS: Mapping[Event, tuple[float, float]] = {
    Event.HOST_DOWN: (60.0, 30.0),
    Event.HOT: (30.0, 600.0),
    Event.TELEMETRY_LOST: (120.0, 120.0),
    Event.NOTHING_MOVES: (600.0, 60.0),
    Event.QUEUE_DRAINED: (60.0, 15.0),
}
FIRST_S, AGAIN_S = 10.0, 300.0  #: for which ends are gathered: the first ones, those that follow
LINES = 5  #: tasks that a message names
ENDED = {State.FAILED: Event.DEAD_LETTER, State.BLOCKED: Event.BLOCKED}


@dataclass(frozen=True, slots=True)
class Held:
    """A cause since it was first seen. `gone_ms`: since when it is not."""

    event: Event
    host: str
    since_ms: int
    told: bool = False
    gone_ms: int | None = None

    @property
    def cause(self) -> Cause:
        return Cause(self.event, self.host)


@dataclass(frozen=True, slots=True)
class Gathered:
    """Tasks that nobody was told of yet. `counted`: all that the store has in this state; `free_ms`: until when the
    message before is new."""

    state: State
    stored: int
    count: int = 0
    lines: tuple[str, ...] = ()
    due_ms: int = 0
    free_ms: int = 0


@dataclass(frozen=True, slots=True)
class Known:
    """What was seen and told. `ends`: of the last look in this run, how often each task ended in each state."""

    held: tuple[Held, ...] = ()
    measured: tuple[str, ...] = ()
    gathered: tuple[Gathered, ...] = ()
    ends: Mapping[tuple[str, State], int] | None = None

    @property
    def kept(self) -> Known:
        """What outlives this run."""
        return replace(self, ends=None)


def seen(known: Known, view: Snapshot) -> tuple[Known, tuple[Notice, ...]]:
    """After one more look: what is known then, and what to tell now."""
    ends = Counter((e.task_id, e.state) for e in view.recent)
    fresh = [] if known.ends is None else list(_new(known.ends, view))
    before = {h.cause: h for h in known.held}
    found = judging.causes(view, before, known.measured, moved=any(e.state in FINAL for e in fresh))
    notices: list[Notice] = []
    held: list[Held] = []
    names = {h.name for h in view.hosts}
    for cause in dict.fromkeys([*before, *found]):
        if cause.host and cause.host not in names:
            continue  # it left the configuration
        now = _stepped(before.get(cause), cause, found.get(cause, GONE), view.at_ms)
        notices += _told(before.get(cause), now, found.get(cause), view, known)
        held += [now] if now is not None else []
    gathered, more = _gather(known, view, fresh)
    fresh_known = Known(tuple(held), judging.read(view, known.measured), gathered, ends)
    return fresh_known, (*notices, *more)


GONE = "\0"  #: instead of the text of a cause: there is none


def _stepped(held: Held | None, cause: Cause, text: str | None, at_ms: int) -> Held | None:
    """The cause after this look; None where there is none, or no more."""
    begin_s, end_s = LASTS[cause.event]
    if text is None:
        return held
    if text != GONE:
        held = replace(held or Held(cause.event, cause.host, at_ms), gone_ms=None)
        lasted = at_ms - held.since_ms >= begin_s * 1000
        return replace(held, told=held.told or lasted)
    if held is None or not held.told:
        return None
    held = replace(held, gone_ms=at_ms if held.gone_ms is None else held.gone_ms)
    assert held.gone_ms is not None
    return None if at_ms - held.gone_ms >= end_s * 1000 else held


def _told(
    before: Held | None, now: Held | None, text: str | None, view: Snapshot, known: Known
) -> Iterator[Notice]:
    """The message of a cause that has just lasted long enough, or is just over."""
    if now is not None and now.told and not (before and before.told):
        yield from _begins(now, text or "", view, known)
    if now is None and before is not None and before.told:
        yield from _over(before, view)


def _begins(held: Held, text: str, view: Snapshot, known: Known) -> Iterator[Notice]:
    host, at_ms = held.host, view.at_ms
    match held.event:
        case Event.HOST_DOWN:
            yield Notice(held.event, at_ms, f"{host} is down", text, host)
        case Event.HOT:
            yield Notice(held.event, at_ms, f"{host} is hot", text, host)
        case Event.TELEMETRY_LOST:
            yield Notice(held.event, at_ms, f"{host}: no readings", text, host)
        case Event.NOTHING_MOVES:
            told = {h.event for h in known.held if h.told}
            why = f"for {span((at_ms - held.since_ms) / 1000)}: {text}"
            follows = judging.explained(view, told)
            yield Notice(held.event, at_ms, "nothing moves", why, follows=follows)


def _over(held: Held, view: Snapshot) -> Iterator[Notice]:
    lasted_ms = (held.gone_ms or view.at_ms) - held.since_ms
    lasted = _long(lasted_ms)
    if held.event is Event.HOST_DOWN:
        title = f"{held.host} is up again"
        yield Notice(Event.HOST_UP, view.at_ms, title, f"it was down for {lasted}", held.host)
    if held.event is Event.QUEUE_DRAINED:
        text = f"{_done(view, held.since_ms)}, in {lasted}"
        yield Notice(held.event, view.at_ms, "the queue is drained", text)


def _long(ms: int) -> str:
    """`12 min`, `2 h 45 min`."""
    hours, minutes = divmod(ms // 60_000, 60)
    return f"{hours} h {minutes} min" if hours and minutes else span(ms / 1000)


def _done(view: Snapshot, since_ms: int) -> str:
    """What ended since, as far as that is remembered."""
    states = Counter(e.state for e in view.recent if e.at_ms >= since_ms)
    bad = f", {states[State.FAILED]} failed" if states[State.FAILED] else ""
    return f"{counted(states[State.COMPLETED], 'task')} done{bad}"


# --- tasks that ended badly ---------------------------------------------------------------------------


def _new(before: Mapping[tuple[str, State], int], view: Snapshot) -> Iterator[EndView]:
    """Ends since the last look, not those of earlier runs that are remembered late."""
    left = Counter(before)
    for end in view.recent:
        key = end.task_id, end.state
        if left[key]:
            left[key] -= 1
        elif end.at_ms >= view.started_ms:
            yield end


def _gather(
    known: Known, view: Snapshot, fresh: Collection[EndView]
) -> tuple[tuple[Gathered, ...], list[Notice]]:
    old = {g.state: g for g in known.gathered}
    gathered: list[Gathered] = []
    notices: list[Notice] = []
    for state, event in ENDED.items():
        stored = view.counts.state(state)
        before = old.get(state, Gathered(state, stored))
        lines = [_line(e) for e in fresh if e.state is state]
        missed = max(0, stored - before.stored) if known.ends is None else 0  # since the last run
        now = _added(replace(before, stored=stored), len(lines) or missed, lines, view.at_ms)
        if now.count and view.at_ms >= now.due_ms:
            notices.append(_bad(event, now, view.at_ms))
            now = Gathered(state, stored, free_ms=view.at_ms + round(AGAIN_S * 1000))
        gathered.append(now)
    return tuple(gathered), notices


def _added(before: Gathered, count: int, lines: list[str], at_ms: int) -> Gathered:
    if not count:
        return before
    due_ms = before.due_ms if before.count else max(before.free_ms, at_ms + round(FIRST_S * 1000))
    kept = (*before.lines, *lines)[:LINES]
    return replace(before, count=before.count + count, lines=kept, due_ms=due_ms)


def _line(end: EndView) -> str:
    title = f"{end.title} ({end.task_id})" if end.title else end.task_id
    return f"{title}: {end.detail or end.reason}"


def _bad(event: Event, now: Gathered, at_ms: int) -> Notice:
    rest = now.count - len(now.lines)
    more = [f"and {rest} more"] if rest and now.lines else []
    if event is Event.DEAD_LETTER:
        title = counted(now.count, "dead letter")
        then = "ygg list --state failed shows them, ygg retry ID queues one again"
    else:
        title = f"{counted(now.count, 'task')} {'is' if now.count == 1 else 'are'} blocked"
        then = "ygg list --state blocked shows why, ygg retry --blocked queues them"
    return Notice(event, at_ms, title, "\n".join([*now.lines, *more, then]))
