"""The words of ygg as data: frozen records and enums, standard library only.

Units: fields that end in `_ms` are integer milliseconds (wall-clock times are milliseconds since the Unix
epoch), `_s` are seconds. `None` always means "not known" or "not set", never zero.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import Any, NamedTuple

JsonDict = dict[str, Any]


class State(StrEnum):
    """Where a task is in its life. The last four are final until a person retries the task."""

    SCHEDULED = "scheduled"
    QUEUED = "queued"
    PROCESSING = "processing"
    BLOCKED = "blocked"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


FINAL = frozenset({State.COMPLETED, State.FAILED, State.CANCELLED, State.EXPIRED})

#: Every legal state change; None is "not stored yet". Anything else is an IllegalTransition.
TRANSITIONS: frozenset[tuple[State | None, State]] = frozenset(
    {
        (None, State.SCHEDULED),
        (None, State.QUEUED),
        (State.SCHEDULED, State.QUEUED),
        (State.SCHEDULED, State.CANCELLED),
        (State.SCHEDULED, State.EXPIRED),
        (State.QUEUED, State.PROCESSING),
        (State.QUEUED, State.CANCELLED),
        (State.QUEUED, State.EXPIRED),
        (State.PROCESSING, State.QUEUED),
        (State.PROCESSING, State.SCHEDULED),
        (State.PROCESSING, State.BLOCKED),
        (State.PROCESSING, State.COMPLETED),
        (State.PROCESSING, State.FAILED),
        (State.PROCESSING, State.CANCELLED),
        (State.PROCESSING, State.EXPIRED),
        (State.BLOCKED, State.QUEUED),
        (State.BLOCKED, State.CANCELLED),
        (State.FAILED, State.QUEUED),
        (State.CANCELLED, State.QUEUED),
        (State.EXPIRED, State.QUEUED),
    }
)


class Priority(IntEnum):
    """Smaller runs first."""

    CRITICAL = 0
    HIGH = 1
    NORMAL = 2
    LOW = 3
    BACKLOG = 4


class Operation(StrEnum):
    """What the model is asked to do."""

    CHAT = "chat"
    COMPLETE = "complete"
    GENERATE = "generate"
    EMBED = "embed"


class GpuNeed(StrEnum):
    """Whether a task wants a GPU host."""

    REQUIRED = "required"
    PREFERRED = "preferred"
    NEVER = "never"


class OutcomeKind(StrEnum):
    """How an attempt ended. `core/retrying.py` says what follows each."""

    COMPLETED = "completed"
    BAD_REQUEST = "bad_request"  #: no server would take it
    REFUSED = "refused"  #: this candidate cannot: unknown model, context too long
    ERROR = "error"  #: 5xx, malformed or unfinished answer from a healthy host
    TIMEOUT = "timeout"  #: the attempt's time is up
    UNREACHABLE = "unreachable"  #: no connection, or the host fails its health check
    UNAUTHORIZED = "unauthorized"  #: 401 or 403: the config's credentials are wrong
    BUSY = "busy"  #: 429 or 503
    OUT_OF_MEMORY = "out_of_memory"
    WITHDRAWN = "withdrawn"  #: taken back by us (drain, pause, pre-emption): keeps its place
    CANCELLED = "cancelled"
    EXPIRED = "expired"  #: the task's deadline passed while it ran
    INTERRUPTED = "interrupted"  #: cut off by shutdown


class ReasonCode(StrEnum):
    """Why a task waits, went where it went, or ended as it did."""

    CHOSEN = "chosen"
    NEXT = "next"  #: will start as soon as the dispatcher turns
    BEHIND = "behind"  #: better-ranked tasks take the free slots first
    HOST_FULL = "host_full"
    HOST_DOWN = "host_down"
    HOST_UNAUTHORIZED = "host_unauthorized"
    HOST_BUSY = "host_busy"  #: told us to come back later (429, 503, out of memory)
    HOST_DRAINED = "host_drained"
    NO_HOST = "no_host"  #: no host of the config serves this task
    CANDIDATE_REFUSED = "candidate_refused"
    CANDIDATE_AVOIDED = "candidate_avoided"
    PAUSED = "paused"
    DRAINING = "draining"
    NO_DISPATCHER = "no_dispatcher"
    NOT_BEFORE = "not_before"
    BACKING_OFF = "backing_off"
    SUBMITTED = "submitted"
    DUE = "due"
    RETRIED = "retried"  #: by a person
    RECOVERED = "recovered"  #: the dispatcher died while it ran
    POISON = "poison"  #: too many dispatcher crashes while it ran
    DEFERRED = "deferred"
    ELSEWHERE = "elsewhere"
    ERROR_BUDGET = "error_budget"
    DEFERRAL_BUDGET = "deferral_budget"
    ALL_REFUSED = "all_refused"
    BAD_REQUEST = "bad_request"
    TIMEOUT = "timeout"
    DEADLINE = "deadline"
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"
    WITHDRAWN = "withdrawn"
    COMPLETED = "completed"


class HostHealth(StrEnum):
    """What the breaker believes of a host."""

    UNKNOWN = "unknown"  #: not checked yet; calls are allowed
    UP = "up"
    DOWN = "down"
    UNAUTHORIZED = "unauthorized"


class Now(NamedTuple):
    """The instant a decision is made for: monotonic seconds and wall-clock milliseconds."""

    mono: float
    wall_ms: int


@dataclass(frozen=True, slots=True)
class Reason:
    """A reason as a value: a code, whom it concerns, and one sentence for a person."""

    code: ReasonCode
    text: str = ""
    host: str | None = None
    until_ms: int | None = None

    def as_dict(self) -> JsonDict:
        return {"code": self.code, "text": self.text, "host": self.host, "until_ms": self.until_ms}


# --- configuration the core knows (config.py builds these) ---------------------------------------


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One model server on a host. `backend` names the driver: `ollama` or `openai`."""

    name: str
    backend: str
    url: str
    models: tuple[str, ...] = ()
    dialect: str | None = None  #: openai only: `llama.cpp`, `vllm` or None (found out)
    api_key_file: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Host:
    """A machine of hosts.yaml. `slots` is the configured limit, `kind` is `gpu` or `cpu`."""

    name: str
    slots: int
    endpoints: tuple[Endpoint, ...]
    kind: str = "gpu"
    models: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()


class Candidate(NamedTuple):
    """One place a task may run: host, endpoint and model. `model` is "" where the server has only one."""

    host: str
    endpoint: str
    model: str

    @property
    def key(self) -> str:
        return f"{self.host}/{self.endpoint}/{self.model}"


@dataclass(frozen=True, slots=True)
class TaskType:
    """What hosts.yaml says of one kind of work. `route` is ordered: first usable candidate wins."""

    name: str
    route: tuple[Candidate, ...]
    options: Mapping[str, Any] = field(default_factory=dict)
    system: str | None = None
    timeout_s: float = 600.0
    retries: int | None = None  #: attempts allowed after a timeout or error; None: the policy's
    match_labels: tuple[str, ...] = ()
    match_titles: tuple[str, ...] = ()  #: regular expressions, case-insensitive


@dataclass(frozen=True, slots=True)
class Policy:
    """Every number of the scheduler, with the defaults of the design."""

    max_errors: int = 5
    max_deferrals: int = 100
    max_crashes: int = 5
    backoff_s: tuple[float, ...] = (2.0, 8.0, 32.0, 120.0, 300.0)
    jitter: float = 0.2
    defer_s: tuple[float, ...] = (5.0, 10.0, 20.0, 40.0, 60.0)
    probe_min_s: float = 1.0
    probe_max_s: float = 60.0
    check_every_s: float = 30.0  #: health check of a host without traffic
    regain_slot_s: float = 30.0  #: one withdrawn slot comes back per this time
    ageing_s: float | None = (
        None  #: W: a task gains one priority class per W of waiting; None: strict
    )
    poll_s: float = 2.0
    drain_s: float = 60.0
    interrupted: str = "block"  #: or "requeue"
    timeout_s: float = 600.0
    api_timeout_s: float = 60.0
    connect_s: float = 5.0
    first_token_s: float = 300.0
    between_tokens_s: float = 60.0
    retention_s: float = 7 * 86400.0
    read_retention_s: float = 300.0
    capacity: int = 1000


# --- tasks ---------------------------------------------------------------------------------------


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

    @property
    def key(self) -> str:
        return json.dumps(
            [self.type, self.host, self.model, self.gpu, self.caller, self.refused, self.avoid],
            separators=(",", ":"),
        )

    @classmethod
    def parse(cls, key: str) -> Lane:
        kind, host, model, gpu, caller, refused, avoid = json.loads(key)
        return cls(kind, host, model, GpuNeed(gpu), caller, tuple(refused), tuple(avoid))


@dataclass(frozen=True, slots=True)
class NewTask:
    """What a caller submits, validated. `request` holds `messages` or `prompt` and sampling fields.

    Fields of `request`: messages [{role, content}] (chat) or prompt (generate), system, max_tokens,
    temperature, options (passed to the server as they are).
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
    content_type: str | None = None
    attached: bool = False  #: a client hangs on the line (gateway, later)
    source: str | None = None
    source_ref: str | None = None
    source_version: str | None = None


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
class Usage:
    """Token counts and durations of one call, as the server reported them."""

    prompt_tokens: int | None = None
    cached_tokens: int | None = None
    output_tokens: int | None = None
    load_ms: float | None = None
    prompt_ms: float | None = None
    eval_ms: float | None = None
    first_token_ms: float | None = None  #: measured here, from the request's start
    total_ms: float | None = None  #: measured here


@dataclass(frozen=True, slots=True)
class Result:
    """What a completed task brought. `model` is what the server says it used."""

    content: str
    stop_reason: str
    model: str
    backend: str
    usage: Usage = Usage()
    thinking: str | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one attempt ended. `result` is set exactly when kind is COMPLETED."""

    kind: OutcomeKind
    message: str = ""
    retry_after_s: float | None = None
    result: Result | None = None


@dataclass(frozen=True, slots=True)
class Submitted:
    """The acknowledgement of one submit: on disk. `existing`: the idempotency key was seen before."""

    task: Task
    existing: bool = False


@dataclass(frozen=True, slots=True)
class Claim:
    """Take `task_id` at `version` for `candidate`; refused when the row has changed since."""

    task_id: str
    version: int
    candidate: Candidate


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


@dataclass(frozen=True, slots=True)
class Promoted:
    """What a pass over due times changed, and when to look next (None: nothing is due ever)."""

    queued: tuple[Head, ...]
    expired: tuple[str, ...]
    next_due_ms: int | None


@dataclass(frozen=True, slots=True)
class Recovery:
    """What the last owner of the store left behind when it died."""

    requeued: int
    poisoned: int
    cancelled: int = 0


@dataclass(frozen=True, slots=True)
class CallLimits:
    """Time limits of one call, seconds. `total_s` starts when the model is loaded."""

    connect_s: float
    first_token_s: float
    between_tokens_s: float
    total_s: float
    deadline_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Call:
    """One request to a backend for one attempt of one task."""

    task: Task
    candidate: Candidate
    request: JsonDict  #: the task's request merged over its type's options and system prompt
    limits: CallLimits

    @property
    def id(self) -> str:
        """`<task>.<attempt>`, sent to the server as X-Ygg-Task."""
        return f"{self.task.id}.{self.task.attempt}"


@dataclass(frozen=True, slots=True)
class Health:
    """What a check of an endpoint found."""

    health: HostHealth
    latency_ms: float | None = None
    version: str | None = None
    models: tuple[str, ...] | None = None
    loaded: tuple[str, ...] | None = None
    slots: int | None = None  #: the server's own parallelism, where it tells
    message: str = ""


@dataclass(frozen=True, slots=True)
class Counts:
    """Tasks by (priority, state), from the store's counters."""

    by: Mapping[tuple[Priority, State], int]

    def state(self, state: State) -> int:
        return sum(n for (_, s), n in self.by.items() if s is state)

    def priority(self, priority: Priority, *states: State) -> int:
        return sum(self.by.get((priority, s), 0) for s in states)

    @property
    def total(self) -> int:
        return sum(self.by.values())


# --- snapshot ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class HostView:
    """One host as readers see it."""

    name: str
    kind: str
    slots: int
    limit: int
    running: tuple[str, ...]  #: task ids
    health: HostHealth
    health_text: str
    drained: bool
    busy_until_ms: int | None
    checked_ms: int | None
    latency_ms: float | None
    version: str | None
    backend: str
    models: tuple[str, ...]

    @property
    def free(self) -> int:
        return max(0, self.limit - len(self.running))


@dataclass(frozen=True, slots=True)
class RunningView:
    """One call in flight. `tokens` counts the pieces streamed so far."""

    task_id: str
    attempt: int
    type: str
    title: str
    priority: Priority
    host: str
    model: str
    backend: str
    started_ms: int
    timeout_s: float
    tokens: int = 0
    max_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class WaitingView:
    """One of the next tasks, with the reason it waits."""

    task_id: str
    type: str
    priority: Priority
    created_ms: int
    reason: Reason


@dataclass(frozen=True, slots=True)
class EndView:
    """One recent end."""

    task_id: str
    at_ms: int
    state: State
    reason: str
    host: str | None
    took_ms: int | None
    wait_ms: int | None
    output_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A frozen copy of the dispatcher's state for CLI, API, metrics and live view."""

    at_ms: int
    started_ms: int
    epoch: int
    paused: bool
    draining: bool
    hosts: tuple[HostView, ...]
    running: tuple[RunningView, ...]
    waiting: tuple[WaitingView, ...]
    recent: tuple[EndView, ...]
    counts: Counts
    stale_ends: int = 0
    store_error: str | None = None
    log: tuple[str, ...] = ()
