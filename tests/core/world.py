"""A whole dispatcher in a test: the real `step`, a plain dictionary as the store, and time as a number.

Effects wait in `todo` until the test lets them happen, so a test may reorder or refuse them.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import replace

from ygg.core import effects as fx
from ygg.core import events as ev
from ygg.core.board import Board
from ygg.core.checking import check
from ygg.core.placement.requests import CANARY
from ygg.core.step import step
from ygg.model import (
    Call,
    Candidate,
    Claim,
    Device,
    End,
    Endpoint,
    Head,
    Health,
    Host,
    HostHealth,
    Lane,
    Now,
    Operation,
    Outcome,
    OutcomeKind,
    Permit,
    Policy,
    Priority,
    Reading,
    Result,
    RunningRow,
    Task,
    TaskType,
    Usage,
)
from ygg.model import State as S

START_MS = 1_800_000_000_000


def host(name: str, slots: int = 1, models: tuple[str, ...] = ("m",), kind: str = "gpu") -> Host:
    endpoint = Endpoint("main", "ollama", f"http://{name}:11434", models)
    return Host(name, slots, (endpoint,), kind, models)


def kind(name: str, *hosts: str, retries: int | None = None, model: str = "m") -> TaskType:
    return TaskType(name, tuple(Candidate(h, "main", model) for h in hosts), retries=retries)


def card(
    used: float = 20, celsius: float | None = 50, total: float = 8192, **more: object
) -> Device:
    """A card with that percentage of its memory used."""
    free = total * (1 - used / 100)
    fields = {"total_mb": total, "free_mb": free, "temperature_c": celsius, **more}
    return Device("GPU-1", **fields)  # type: ignore[arg-type]


HOME_HOSTS = (host("surtr", 2), host("fenrir", 3), host("skadi", 2))
HOME_TYPES = {
    "code": kind("code", "skadi"),
    "text": kind("text", "fenrir"),
    "reasoning": kind("reasoning", "surtr"),
    "general": kind("general", "surtr"),
}
COMPLETED = Outcome(OutcomeKind.COMPLETED, result=Result("text", "stop", "m", "ollama"))


class World:
    """The dispatcher's state with a store of plain rows."""

    def __init__(
        self,
        hosts: tuple[Host, ...] = HOME_HOSTS,
        types: dict[str, TaskType] | None = None,
        policy: Policy | None = None,
        *,
        own: bool = True,
        measured: tuple[str, ...] = (),
    ) -> None:
        self.measured = dict.fromkeys(measured, True)
        self.board = Board(run="run")
        self.mono = 1000.0
        self.rows: dict[str, Task] = {}
        self.submitted = 0
        self.todo: deque[fx.Effect] = deque()
        self.notes: list[fx.Note] = []
        self.started: list[str] = []  # task ids in the order of their calls
        self.calls: dict[str, Call] = {}  # those that run, by task id
        self.permits: list[fx.Acquire | fx.Settle] = []
        self.told: list[str] = []
        self.needs: dict[tuple[str, str], tuple[Permit, ...]] = {}
        self.checks: list[tuple[str, str]] = []
        self.asked_inside: list[tuple[str, str]] = []
        self.cancels: list[fx.Cancel] = []
        self.ends: list[End] = []
        self.canaries: list[Call] = []
        self.answered = 0  #: canaries that have ended
        self.sick: set[str] = set()  #: hosts whose models fail whoever asks
        self.silent = False  #: canaries wait for `verdict`
        self.watched: set[str] = set()
        self.unloads: list[fx.Unload] = []
        self.hosts, self.types = hosts, HOME_TYPES if types is None else types
        self.policy = policy or Policy()
        if own:
            self.own()

    def own(self) -> None:
        owned = ev.HostsOwned(self.hosts, self.types, self.policy, self.measured, self.needs)
        self.feed(owned)

    @property
    def now(self) -> Now:
        return Now(self.mono, START_MS + round((self.mono - 1000) * 1000))

    def feed(self, event: ev.Event, *, settle: bool = True) -> None:
        self.todo += step(self.board, event, self.now)
        check(self.board, self.now)
        if settle:
            self.settle()

    def settle(self) -> None:
        while self.todo:
            self.perform(self.todo.popleft())

    def pass_time(self, seconds: float) -> None:
        """Let time pass, waking whenever the core asked to be woken."""
        until = self.mono + seconds
        while self.board.wake_at is not None and self.board.wake_at <= until:
            self.mono = max(self.mono, self.board.wake_at)
            self.feed(ev.Ticked())
        self.mono = until
        self.feed(ev.Ticked())

    # --- what a caller does ---------------------------------------------------------------------

    def submit(self, type_: str = "code", priority: int = 2, **fields: object) -> str:
        self.submitted += 1
        task_id = f"t{self.submitted}"
        lane = fields.pop("lane", None) or Lane(type_)
        assert isinstance(lane, Lane)
        task = Task(
            task_id, self.submitted, 1, lane, Priority(priority), S.QUEUED, Operation.CHAT,
            {"messages": []}, created_ms=self.now.wall_ms, queued_ms=self.now.wall_ms,
        )  # fmt: skip
        self.rows[task_id] = replace(task, **fields)  # type: ignore[arg-type]
        self.feed(ev.TasksQueued((self.rows[task_id].head,)))
        return task_id

    def end(self, task_id: str, outcome: Outcome = COMPLETED) -> None:
        self.feed(self.ended(self.calls.pop(task_id), outcome))

    @staticmethod
    def ended(call: Call, outcome: Outcome = COMPLETED) -> ev.CallEnded:
        """The event of a call all of whose attempts came to this."""
        return ev.CallEnded(call.id, {attempt.id: outcome for attempt in call.attempts}, Usage())

    def fail(
        self, task_id: str, kind_: OutcomeKind, text: str = "boom", after: float | None = None
    ) -> None:
        self.end(task_id, Outcome(kind_, text, retry_after_s=after))

    def verdict(self) -> None:
        """The oldest canary that still runs ends: well, unless its host is one of the sick."""
        call = self.canaries[self.answered]
        self.answered += 1
        kind_ = OutcomeKind.ERROR if call.candidate.host in self.sick else OutcomeKind.COMPLETED
        self.feed(self.ended(call, replace(COMPLETED, kind=kind_, message="boom")), settle=False)

    def check_answer(self, name: str, health: HostHealth) -> None:
        self.feed(ev.HostChecked(name, "main", Health(health, message=str(health))))

    def read(self, name: str, *devices: Device, **more: object) -> None:
        """A reading of the host arrives."""
        self.feed(ev.ReadingTaken(name, Reading("nvml", devices, **more)))  # type: ignore[arg-type]

    def running_on(self, name: str) -> list[str]:
        return [t for t, call in self.calls.items() if call.candidate.host == name]

    # --- the store ------------------------------------------------------------------------------

    def perform(self, effect: fx.Effect) -> None:  # noqa: C901 - one arm per effect
        match effect:
            case fx.ClaimTasks(claims):
                self.feed(ev.Claimed(claims, tuple(self._claim(c) for c in claims)), settle=False)
            case fx.Start(call) if call.attempts[0].task.id == CANARY:
                self.canaries.append(call)
                if not self.silent:
                    self.verdict()
            case fx.Start(call):
                self.started += [attempt.task.id for attempt in call.attempts]
                self.calls |= {attempt.task.id: call for attempt in call.attempts}
            case fx.Finish(ends):
                self.ends += ends
                self.feed(ev.Finished(ends, tuple(self._finish(e) for e in ends)), settle=False)
            case fx.Peek(lane, priority, limit):
                heads = self._heads(lane, priority)
                event = ev.HeadsSeen(lane, priority, tuple(heads[:limit]), len(heads) < limit)
                self.feed(event, settle=False)
            case fx.ListLanes():
                counts = Counter((t.lane, t.priority) for t in self._queued())
                lanes = tuple((*where, n) for where, n in sorted(counts.items(), key=str))
                self.feed(ev.LanesSeen(lanes), settle=False)
            case fx.ListRunning():
                self.feed(ev.RunningSeen(tuple(self._held())), settle=False)
            case fx.Promote():
                self.feed(self._promote(), settle=False)
            case fx.Acquire() | fx.Settle():
                self.permits.append(effect)
            case fx.Tell(ended, elsewhere):
                self.told += [*(task.id for task in ended), *elsewhere]
            case fx.CheckHost(name, endpoint):
                self.checks.append((name, endpoint))
            case fx.AskInside(name, endpoint):
                self.asked_inside.append((name, endpoint))
            case fx.Cancel():
                self.cancels.append(effect)
            case fx.Note():
                assert effect.reason.text, f"{effect.reason} says nothing"
                self.notes.append(effect)
            case fx.Watch(name, on):
                self.watched.add(name) if on else self.watched.discard(name)
            case fx.Unload():
                self.unloads.append(effect)
            case fx.WakeAt():
                pass

    def _queued(self) -> list[Task]:
        return [t for t in self.rows.values() if t.state is S.QUEUED]

    def _heads(self, lane: Lane, priority: Priority) -> list[Head]:
        rows = [t for t in self._queued() if (t.lane, t.priority) == (lane, priority)]
        return [t.head for t in sorted(rows, key=lambda t: t.seq)]

    def _held(self) -> Iterator[RunningRow]:
        for row in self.rows.values():
            if row.state is S.PROCESSING:
                yield RunningRow(row.id, row.attempt, row.call, row.priority, row.cancel_requested)

    def _claim(self, claim: Claim) -> Task | None:
        row = self.rows[claim.task_id]
        if row.state is not S.QUEUED or row.version != claim.version:
            return None
        where = claim.candidate
        row = replace(
            row, state=S.PROCESSING, version=row.version + 1, attempt=row.attempt + 1,
            host=where.host, endpoint=where.endpoint, model=where.model, started_ms=self.now.wall_ms,
        )  # fmt: skip
        self.rows[row.id] = row
        return row

    def _finish(self, end: End) -> Task | None:
        row = self.rows[end.task_id]
        if row.state is not S.PROCESSING or row.attempt != end.attempt:
            return None
        row = replace(
            row, state=end.state, version=row.version + 1, reason=end.reason, error=end.detail,
            lane=end.lane or row.lane, due_ms=end.due_ms, errors=row.errors + end.add_errors,
            deferrals=row.deferrals + end.add_deferrals,
        )  # fmt: skip
        self.rows[row.id] = row
        return row

    def _promote(self) -> ev.Promoted:
        now, queued, expired = self.now.wall_ms, [], []
        for row in list(self.rows.values()):
            waits = row.state in (S.QUEUED, S.SCHEDULED)
            if waits and row.deadline_ms is not None and row.deadline_ms <= now:
                self.rows[row.id] = replace(row, state=S.EXPIRED)
                expired.append(row.id)
            elif row.state is S.SCHEDULED and (row.due_ms or 0) <= now:
                lane = replace(row.lane, avoid=())
                row = replace(row, state=S.QUEUED, version=row.version + 1, lane=lane, due_ms=None)
                self.rows[row.id] = row
                queued.append(row.head)
        times = [
            t
            for r in self.rows.values()
            for t in (r.due_ms if r.state is S.SCHEDULED else None, r.deadline_ms)
            if t is not None and r.state in (S.QUEUED, S.SCHEDULED)
        ]
        return ev.Promoted(tuple(queued), tuple(expired), min(times, default=None))
