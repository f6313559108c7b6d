"""Enums, the table of legal state changes, reasons and instants."""

from __future__ import annotations

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
        (None, State.COMPLETED),  # answered from the cache
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
        # a sequence that goes on
        (State.BLOCKED, State.SCHEDULED),
        (State.FAILED, State.SCHEDULED),
        (State.CANCELLED, State.SCHEDULED),
        (State.EXPIRED, State.SCHEDULED),
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


class Service(StrEnum):
    """What a server is there for, and what a task needs of one."""

    TEXT = "text"  #: whatever is asked in text
    TRANSCRIPTION = "transcription"  #: what is asked of sound


class Operation(StrEnum):
    """What the model is asked to do."""

    CHAT = "chat"
    COMPLETE = "complete"  #: go on from a prompt as it is, without the model's template
    GENERATE = "generate"  #: answer a prompt, put into the model's template
    EMBED = "embed"  #: turn texts into vectors
    TRANSCRIBE = "transcribe"  #: write down what is said in a file

    @property
    def service(self) -> Service:
        return Service.TRANSCRIPTION if self is Operation.TRANSCRIBE else Service.TEXT


class GpuNeed(StrEnum):
    """Whether a task wants a GPU host."""

    REQUIRED = "required"
    PREFERRED = "preferred"
    NEVER = "never"
    UNNEEDED = "unneeded"  #: its content does not profit: CPU hosts first; derived, never asked for


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
    TURN = "turn"  #: tasks of other callers, whose turn it is, take the free slots first
    HOST_FULL = "host_full"
    GHOST = "ghost"  #: a call that was cut off may still be inside the server, and keeps its slot
    HOST_DOWN = "host_down"
    HOST_UNAUTHORIZED = "host_unauthorized"
    HOST_BUSY = "host_busy"  #: told us to come back later (429, 503, out of memory)
    HOST_SICK = "host_sick"  #: a model fails there whoever asks; ygg asks it again by itself
    HOST_DRAINED = "host_drained"
    HOST_HOT = "host_hot"  #: too hot for a new start
    HOST_PRESSED = "host_pressed"  #: its memory is too full for a new start
    MEASURING = "measuring"  #: a reading is being taken before the first start after a rest
    LIMIT = "limit"  #: how many slots a host has now, and why
    MODEL_TOO_LARGE = "model_too_large"  #: does not fit in the memory that can be had
    SERVER_HELD_BACK = "server_held_back"  #: from HIGH on another server of the route does it
    MODEL_HELD_BACK = "model_held_back"  #: not allowed at this level of memory pressure
    SWAP_PENDING = "swap_pending"  #: a slot is idle on purpose while models are exchanged
    GPU_PREFERRED = "gpu_preferred"  #: a CPU host is kept for tasks that need no GPU
    CPU_PREFERRED = "cpu_preferred"  #: a GPU host is kept for tasks that profit from one
    NO_HOST = "no_host"  #: no host of the config serves this task
    CANDIDATE_REFUSED = "candidate_refused"
    CANDIDATE_AVOIDED = "candidate_avoided"
    APART = "apart"  #: it failed along with others, and some of those run there now
    PAUSED = "paused"
    DRAINING = "draining"
    NO_DISPATCHER = "no_dispatcher"
    NOT_BEFORE = "not_before"
    BACKING_OFF = "backing_off"
    BATCH_TURN = "batch_turn"  #: the tasks before it in its batch run first
    BATCH_STOPPED = "batch_stopped"  #: a task before it in its batch failed
    SUBMITTED = "submitted"
    CACHED = "cached"  #: it has the answer of an identical task, and never ran
    DUE = "due"
    RETRIED = "retried"  #: by a person
    PRIORITIZED = "prioritized"  #: by a person
    RECOVERED = "recovered"  #: the dispatcher died while it ran
    POISON = "poison"  #: too many dispatcher crashes while it ran
    DEFERRED = "deferred"
    ELSEWHERE = "elsewhere"
    ERROR_BUDGET = "error_budget"
    DEFERRAL_BUDGET = "deferral_budget"
    ALL_REFUSED = "all_refused"
    BAD_REQUEST = "bad_request"
    UNSTORABLE = "unstorable"  #: the store cannot hold its answer
    CUT_SHORT = "cut_short"  #: it failed after an attached client had got some of its answer
    TIMEOUT = "timeout"
    DEADLINE = "deadline"
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"
    WITHDRAWN = "withdrawn"
    COMPLETED = "completed"
    UNSEEN = "unseen"  #: the store is asked for better-ranked tasks that could use the host
    DENIED = "denied"  #: something outside (a rate limit) lets no further call start for a while
    FURTHER = "further"  #: as many candidates more as are not told of one by one
    STRAY = "stray"  #: no call of this dispatcher ran it any more
    # What happened, for the log: no task waits for these.
    RESUMED = "resumed"
    HOST_RESUMED = "host_resumed"
    HOST_UP = "host_up"
    HOST_WELL = "host_well"  #: a model that was sick there works again
    ENDED = "ended"
    STALE_END = "stale_end"
    STORE_FAILED = "store_failed"
    LEVEL = "level"  #: of memory pressure
    READING_DROPPED = "reading_dropped"
    READING_MISSED = "reading_missed"
    CARD_LOST = "card_lost"
    CARD_BACK = "card_back"
    UNLOADED = "unloaded"
    OPTIONS_UNUSED = "options_unused"


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
