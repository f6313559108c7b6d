"""What a run has counted since it began, for whoever draws rates from it.

One ear on the dispatcher's events, each heard before the step that follows from it: the board is read and never changed. Labels
are bounded whatever clients and servers say: hosts and task types are those of hosts.yaml, models those that it names and
the first `TOLD` that servers name beside them; everything else is `OTHER`. No task, caller or text is kept.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from ygg.core import events as ev
from ygg.core.board import Board
from ygg.errors import YggError
from ygg.model import FINAL, HostHealth, NewTask, Now, Priority, State, Submitted, Task

OTHER = "other"
TOLD = 50  #: models that hosts.yaml does not name and some server has
SECONDS = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 40.0, 80.0, 160.0, 320.0, 640.0)
LAGS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
ENDS = FINAL | {State.BLOCKED}  #: after which nothing more happens by itself

RESULTS = ("hit", "miss", "joined")  #: of a request that the cache was asked for
PRIORITIES = tuple(priority.name.lower() for priority in Priority)

Labels = tuple[str, ...]


def _none(words: Iterable[str]) -> Counter[Labels]:
    """Nothing yet, of each."""
    return Counter({(word,): 0 for word in words})


@dataclass(slots=True)
class Histogram:
    """How many values were at most each of `bounds` and above the one before, the last of `counts` for those above all;
    and their sum."""

    bounds: tuple[float, ...] = SECONDS
    counts: list[int] = field(default_factory=list)
    total: float = 0.0

    def __post_init__(self) -> None:
        self.counts = self.counts or [0] * (len(self.bounds) + 1)

    def observe(self, value: float) -> None:
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    def copy(self) -> Histogram:
        return replace(self, counts=list(self.counts))


class Histograms(dict[Labels, Histogram]):
    """One for each set of labels that was seen."""

    def observe(self, labels: Labels, value: float) -> None:
        found = self.get(labels)
        if found is None:
            found = self[labels] = Histogram()
        found.observe(value)

    def copied(self) -> Histograms:
        return Histograms({labels: found.copy() for labels, found in self.items()})


@dataclass(slots=True)
class Tally:
    """By the labels that each comment names. Times are seconds, instants wall-clock milliseconds."""

    submitted: Counter[Labels] = field(default_factory=lambda: _none(PRIORITIES))  #: priority
    ended: Counter[Labels] = field(default_factory=Counter)  #: host, model, type, outcome
    durations: Histograms = field(default_factory=Histograms)  #: host, model, outcome; of attempts
    waits: Histograms = field(default_factory=Histograms)  #: priority
    retries: Counter[Labels] = field(default_factory=Counter)  #: reason
    tokens: Counter[Labels] = field(default_factory=Counter)  #: host, model, direction
    loads: Counter[Labels] = field(default_factory=Counter)  #: host, model
    cache: Counter[Labels] = field(default_factory=lambda: _none(RESULTS))  #: result
    unread: Counter[Labels] = field(default_factory=Counter)  #: host, source
    read_ms: dict[Labels, int] = field(default_factory=dict)  #: host, source; the newest reading
    lag: Histogram = field(default_factory=lambda: Histogram(LAGS))
    models: set[str] = field(default_factory=set)  #: those that are called by their names
    _told: int = 0

    def copy(self) -> Tally:
        """As it is now."""
        return replace(
            self,
            submitted=self.submitted.copy(),
            ended=self.ended.copy(),
            durations=self.durations.copied(),
            waits=self.waits.copied(),
            retries=self.retries.copy(),
            tokens=self.tokens.copy(),
            loads=self.loads.copy(),
            cache=self.cache.copy(),
            unread=self.unread.copy(),
            read_ms=dict(self.read_ms),
            lag=self.lag.copy(),
            models=set(self.models),
        )

    # --- what is heard -------------------------------------------------------------------------

    def hear(self, event: ev.Event, board: Board, now: Now) -> None:
        """Take in an event that the board has not seen yet."""
        match event:
            case ev.Claimed():
                self._claimed(event, board)
            case ev.CallEnded():
                self._call_ended(event, board, now)
            case ev.Finished():
                self._finished(event, board)
            case ev.TaskLeft(_, Task() as task):
                self._over(task, board)
            case ev.Promoted():
                self._gone(State.EXPIRED, len(event.expired))
                self._gone(State.CANCELLED, len(event.stopped))
            case ev.ReadingTaken() | ev.ReadingMissed() | ev.HostChecked():
                self._looked(event, board, now)

    def taken(self, tasks: Iterable[NewTask], answers: Iterable[Submitted | YggError]) -> None:
        """What became of a submit."""
        for new, answer in zip(tasks, answers, strict=True):
            if not isinstance(answer, Submitted):
                continue
            if answer.joined:
                self.cache["joined",] += 1
            if answer.existing:
                continue
            self.submitted[new.priority.name.lower(),] += 1
            if answer.task.cached:
                self.cache["hit",] += 1
            elif new.sharing is not None and new.sharing.fresh_s is not None:
                self.cache["miss",] += 1

    def named(self, model: str) -> str:
        """What the labels call it."""
        return model if not model or model in self.models else OTHER

    # --- tasks ---------------------------------------------------------------------------------

    def _claimed(self, event: ev.Claimed, board: Board) -> None:
        for claim, task in zip(event.claims, event.tasks, strict=True):
            self._learn(board, claim.candidate.host, claim.candidate.model)
            if task is not None and task.waited_ms is not None:
                self.waits.observe((task.priority.name.lower(),), task.waited_ms / 1000)

    def _call_ended(self, event: ev.CallEnded, board: Board, now: Now) -> None:
        """A call of ygg's own costs tokens too, and is no attempt of a task."""
        call = board.calls.get(event.call)
        if call is None or call.call is None:
            return
        host, model = call.candidate.host, self.named(call.candidate.model)
        self.tokens[host, model, "input"] += event.usage.prompt_tokens or 0
        self.tokens[host, model, "output"] += event.usage.output_tokens or 0
        for outcome in () if call.canary else event.outcomes.values():
            self.durations.observe((host, model, outcome.kind), now.mono - call.started)

    def _finished(self, event: ev.Finished, board: Board) -> None:
        for end, task in zip(event.ends, event.tasks, strict=True):
            if task is None:  # somebody else ended it
                continue
            if task.state in ENDS:
                self._over(task, board)
            else:
                self.retries[end.reason,] += 1

    def _over(self, task: Task, board: Board) -> None:
        kind = task.lane.type if task.lane.type in board.types else OTHER
        self.ended[task.host or "", self.named(task.model or ""), kind, task.state] += 1

    def _gone(self, state: State, count: int) -> None:
        """Tasks that ended in the queue, of which the store tells the ids alone."""
        if count:
            self.ended["", "", "", state] += count

    # --- hosts ---------------------------------------------------------------------------------

    def _looked(
        self, event: ev.ReadingTaken | ev.ReadingMissed | ev.HostChecked, board: Board, now: Now
    ) -> None:
        if event.host not in board.hosts:
            return
        match event:
            case ev.ReadingMissed(host, probe):
                self.unread[host, probe] += 1
            case ev.ReadingTaken(host, reading):
                if reading.devices:
                    self.read_ms[host, reading.probe] = now.wall_ms
                for endpoint, models in reading.loaded or ():
                    self._loaded(board, host, endpoint, models)
            case ev.HostChecked(host, endpoint, health):
                if health.health is HostHealth.UP and health.loaded is not None:
                    self._loaded(board, host, endpoint, health.loaded)

    def _loaded(self, board: Board, host: str, endpoint: str, models: Iterable[str]) -> None:
        """What it has in memory and had not when it last told."""
        server = board.hosts[host].servers.get(endpoint)
        if server is None or server.told is None:
            return
        for model in {*models} - server.told:
            self.loads[host, self._learn(board, host, model)] += 1

    def _learn(self, board: Board, host: str, model: str) -> str:
        """What the labels call it, perhaps from now on."""
        if model and model not in self.models:
            if _configured(board, model):
                self.models.add(model)
            elif self._told < TOLD and _served(board, host, model):
                self._told += 1
                self.models.add(model)
        return self.named(model)


def _configured(board: Board, model: str) -> bool:
    """Whether hosts.yaml names it."""
    servers = (e for host in board.hosts.values() for e in host.host.endpoints)
    routes = (place for kind in board.types.values() for place in kind.route)
    return any(model in e.models for e in servers) or any(c.model == model for c in routes)


def _served(board: Board, host: str, model: str) -> bool:
    """Whether a server of the host says that it has it."""
    found = board.hosts.get(host)
    infos = [s.info for s in found.servers.values()] if found else []
    return any(model in (info.models or ()) for info in infos if info is not None)
