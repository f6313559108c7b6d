"""Tasks and what the store takes and gives."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace

from ygg.model.answers import Result
from ygg.model.places import Candidate
from ygg.model.reasons import Reason
from ygg.model.words import GpuNeed, JsonDict, Operation, Priority, ReasonCode, Service, State


@dataclass(frozen=True, slots=True)
class Lane:
    """All tasks with the same placement needs. The store keeps it as an opaque key.

    `refused` are candidate keys that can never run these tasks, `avoid` are ones to use only when no
    other candidate is up (the task has just failed there).
    """

    type: str
    host: str | None = None
    model: str | None = None
    gpu: GpuNeed = GpuNeed.PREFERRED
    caller: str = "local"
    refused: tuple[str, ...] = ()
    avoid: tuple[str, ...] = ()
    service: Service = Service.TEXT
    _hash: int = field(default=0, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        known = self.type, self.host, self.model, self.gpu, self.caller, self.refused, self.avoid
        object.__setattr__(self, "_hash", hash((known, self.service)))

    def __hash__(self) -> int:
        """Worked out once: lanes are the keys of everything that a decision looks up."""
        return self._hash

    @property
    def key(self) -> str:
        """As it is stored. What most tasks need stands in none."""
        needs = [self.type, self.host, self.model, self.gpu, self.caller, self.refused, self.avoid]
        needs += [self.service] if self.service is not Service.TEXT else []
        return json.dumps(needs, separators=(",", ":"))

    @classmethod
    def parse(cls, key: str) -> Lane:
        kind, host, model, gpu, caller, refused, avoid, *needs = json.loads(key)
        need, out = GpuNeed(gpu), (tuple(refused), tuple(avoid))
        return cls(kind, host, model, need, caller, *out, *map(Service, needs))

    @property
    def unavoided(self) -> Lane:
        """The same needs with nothing to avoid."""
        return replace(self, avoid=())

    @property
    def unmarked(self) -> Lane:
        """The needs alone: nothing avoided, nothing refused."""
        return replace(self, refused=(), avoid=())


@dataclass(frozen=True, slots=True)
class Sharing:
    """What a task may have in common with identical ones: those of the same `key`.

    `fresh_s`: an answer that is not older will do, and its own answer serves others; None: neither. `join`: one of the
    same caller that waits or runs will do, instead of a task of its own.
    """

    key: str
    fresh_s: float | None = None
    join: bool = False


def lends_ms(sharing: Sharing | None) -> int:
    """How long its answer is lent to others; 0: it is not."""
    if sharing is None or sharing.fresh_s is None:
        return 0
    return max(1, round(sharing.fresh_s * 1000))


@dataclass(frozen=True, slots=True)
class NewTask:
    """What a caller submits, validated. `request` holds what the operation works on, and sampling fields.

    Fields of `request`: messages [{role, content}] (chat), prompt (generate, complete; a hint in transcribe), input, a
    text or a list of them (embed), or a file (transcribe); system, max_tokens, temperature, options (passed to the server as they are).
    """

    id: str
    lane: Lane
    request: JsonDict
    priority: Priority = Priority.NORMAL
    operation: Operation = Operation.CHAT
    title: str = ""
    labels: tuple[str, ...] = ()
    timeout_s: float | None = None
    not_before_ms: int | None = None
    deadline_ms: int | None = None
    retention_s: float | None = None
    idempotency_key: str | None = None
    body_hash: str = ""  #: of the caller's body: same key and hash is the same submit
    batch: str | None = None
    turn: bool = False  #: it waits until the tasks before it in its batch have ended
    content_type: str | None = None
    attached: bool = False  #: a client hangs on the line (gateway, later)
    source: str | None = None
    source_ref: str | None = None
    source_version: str | None = None
    rank: int = 0  #: before its number within lane and priority; smaller first
    sharing: Sharing | None = None  #: None: nothing

    @property
    def waits(self) -> bool:
        """Whether it is to start later, or after others."""
        return self.turn or self.not_before_ms is not None


@dataclass(frozen=True, slots=True)
class Head:
    """What the scheduler knows of a queued task. `version` changes with every write to the row."""

    id: str
    seq: int
    version: int
    lane: Lane
    priority: Priority
    created_ms: int
    deadline_ms: int | None = None
    rank: int = 0  #: before `seq` in the order of its lane and priority
    title: str = ""


@dataclass(frozen=True, slots=True)
class Task:
    """One stored task, without its result and event log."""

    id: str
    seq: int
    version: int
    lane: Lane
    priority: Priority
    state: State
    operation: Operation
    request: JsonDict
    title: str = ""
    labels: tuple[str, ...] = ()
    timeout_s: float | None = None
    due_ms: int | None = None  #: scheduled tasks: when they become queued
    deadline_ms: int | None = None
    retention_s: float | None = None
    idempotency_key: str | None = None
    batch: str | None = None
    content_type: str | None = None
    attached: bool = False
    source: str | None = None
    source_ref: str | None = None
    source_version: str | None = None
    attempt: int = 0
    errors: int = 0
    deferrals: int = 0
    crashes: int = 0
    epoch: int | None = None
    host: str | None = None
    endpoint: str | None = None
    model: str | None = None
    cancel_requested: bool = False
    reason: str | None = None  #: ReasonCode of the last transition
    error: str | None = None  #: last error text
    created_ms: int = 0
    queued_ms: int | None = None
    started_ms: int | None = None
    finished_ms: int | None = None
    rank: int = 0  #: before `seq` within lane and priority; smaller first
    call: str | None = None  #: id of the call that runs, or last ran, the attempt
    cached_from: str | None = None  #: id of the task whose answer it got; it never ran itself

    @property
    def cached(self) -> bool:
        return self.cached_from is not None

    @property
    def waiting_ms(self) -> int:
        """Since when it waits, or had waited when it started."""
        return self.created_ms if self.queued_ms is None else self.queued_ms

    @property
    def waited_ms(self) -> int | None:
        """How long it had waited when it started; None before that, and once it waits again. 0 where the clock was
        set back between two runs."""
        if self.started_ms is None or self.state is State.QUEUED:
            return None
        return max(0, self.started_ms - self.waiting_ms)

    @property
    def head(self) -> Head:
        return Head(
            self.id,
            self.seq,
            self.version,
            self.lane,
            self.priority,
            self.created_ms,
            self.deadline_ms,
            self.rank,
            self.title,
        )


@dataclass(frozen=True, slots=True)
class LogRow:
    """One row of a task's event log: a transition, or a note when `before` equals `after`."""

    at_ms: int
    attempt: int
    before: State | None
    after: State
    reason: str
    host: str | None = None
    detail: str | None = None


@dataclass(frozen=True, slots=True)
class Submitted:
    """The acknowledgement of one submit: on disk. `existing`: the idempotency key was seen before, or with `joined` an
    identical task waits or runs."""

    task: Task
    existing: bool = False
    joined: bool = False


@dataclass(frozen=True, slots=True)
class Claim:
    """Take `task_id` at `version` for `candidate`; refused when the row has changed since. `why`, as a sentence,
    goes to the task's event log, `call` (the id of the call that will run it) into the row."""

    task_id: str
    version: int
    candidate: Candidate
    why: Reason | None = None
    call: str = ""


@dataclass(frozen=True, slots=True)
class End:
    """The fenced write that ends an attempt: valid only for `attempt` of a processing row.

    `add_*` are added to the row's counters; `lane` replaces the row's lane when set; `due_ms` is set
    exactly when state is SCHEDULED.
    """

    task_id: str
    attempt: int
    state: State
    reason: ReasonCode
    detail: str | None = None
    result: Result | None = None
    lane: Lane | None = None
    due_ms: int | None = None
    add_errors: int = 0
    add_deferrals: int = 0


FILE_KEY = "file"  #: of a request: what the file is that came with it (media, bytes, sha256)
PRUNED_KEPT = 100_000  #: deleted tasks that a store remembers: some 10 MB


@dataclass(frozen=True, slots=True)
class Pruned:
    """What is remembered of a task that was deleted: once its retention was over, or by a person."""

    id: str
    state: State
    finished_ms: int | None
    read_ms: int | None  #: its result was first read over HTTP
    pruned_ms: int


@dataclass(frozen=True, slots=True)
class Scheduled:
    """What lists tell of a task that waits for its time: its first start, or another try."""

    id: str
    type: str
    priority: Priority
    title: str
    created_ms: int
    due_ms: int
    attempt: int = 0
    errors: int = 0
    deferrals: int = 0
    error: str | None = None


@dataclass(frozen=True, slots=True)
class RunningRow:
    """What the store holds for running under this dispatcher's epoch: a task and its attempt."""

    id: str
    attempt: int
    call: str | None
    priority: Priority
    cancel_requested: bool


@dataclass(frozen=True, slots=True)
class Promoted:
    """What a pass over due times changed, and when to look next (None: nothing is due ever)."""

    queued: tuple[Head, ...]
    expired: tuple[str, ...]
    next_due_ms: int | None
    stopped: tuple[str, ...] = ()  #: cancelled, since a task before them in their batch failed
    sequences: bool = False  #: tasks wait for others of their batch: an end may let one start


@dataclass(frozen=True, slots=True)
class Recovery:
    """What the last owner of the store left behind when it died."""

    requeued: int
    poisoned: int
    cancelled: int = 0

    def __add__(self, other: Recovery) -> Recovery:
        return Recovery(
            self.requeued + other.requeued,
            self.poisoned + other.poisoned,
            self.cancelled + other.cancelled,
        )

    @property
    def total(self) -> int:
        return self.requeued + self.poisoned + self.cancelled
