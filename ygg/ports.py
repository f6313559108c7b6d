"""The ports: what the dispatcher asks of stores and backends, in domain verbs.

Arguments and results come from `ygg.model` alone. Every `now_ms` is wall-clock milliseconds given by the
caller; no port reads a clock to decide anything. The rules in these docstrings are the contract that
`tests/contract/` runs over every implementation.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from ygg.errors import YggError
from ygg.model import (
    Call,
    Claim,
    Counts,
    End,
    Endpoint,
    Grant,
    Head,
    Health,
    Holds,
    Lane,
    LogRow,
    MinuteRow,
    NewTask,
    OutcomeKind,
    Priority,
    Promoted,
    Pruned,
    Reading,
    Reason,
    Recovery,
    Result,
    RunningRow,
    Scheduled,
    Snapshot,
    State,
    Submitted,
    Task,
    Usage,
)
from ygg.model import Done as Done
from ygg.model import Piece as Piece


class Queue(Protocol):
    """The durable queue: every verb is one atomic write, answered once it is durable.

    Calls may overlap; they take effect in the order they were made, but for claims, which may go before
    what is not answered yet. A claim is durable 200 ms after its answer: until then a power cut can undo
    it, as if the task had never been started; so an attempt's number fences its row, and is not unique
    in the world. A store failure raises a `StoreError` and leaves nothing half done; an `OutcomeUnknown`
    says that it cannot be told whether anything was done. What a verb makes of a row is said in `model.lifecycle`;
    each transition appends a row to the task's event log in the same transaction and is checked against
    `model.TRANSITIONS`.
    """

    @property
    def epoch(self) -> int:
        """The number of this dispatcher run: one more than the last owner's."""
        ...

    def recover(self, now_ms: int, max_crashes: int) -> Awaitable[Recovery]:
        """Give back what a dead owner left `processing` (epoch other than ours), in as many writes as it
        takes: what was not given back yet stays for the next owner.

        crashes + 1 and `queued` (reason recovered); at `max_crashes` `blocked` (reason poison); with
        `cancel_requested` set `cancelled`. Only the dispatcher calls this, before its first claim.
        """
        ...

    def submit(
        self,
        tasks: Sequence[NewTask],
        now_ms: int,
        *,
        capacity: int | None = None,
        atomic: bool = True,
        stored: Callable[[list[Submitted | YggError]], None] | None = None,
    ) -> Awaitable[list[Submitted | YggError]]:
        """Store tasks as `queued`, or `scheduled` when `not_before_ms` is later than `now_ms`.

        `stored` is told the answers as soon as the tasks can be claimed, which may be before they are durable;
        it is not told of a refusal.

        Same (lane.caller, idempotency_key) and same `body_hash` as a stored task: that task, with
        `existing=True`. Same key, other hash: `Conflict`. With `capacity`, a submit that would leave
        more than that many tasks waiting (queued or scheduled) is `QueueFull`. Errors come back in
        their places; with `atomic` one error means that nothing is stored and every other place holds a
        `Conflict` that says so.
        """
        ...

    def lanes(self) -> Awaitable[list[tuple[Lane, Priority, int]]]:
        """Every lane and priority that has queued tasks, and how many; from counters, at the same cost
        whatever the depth. Sees every write made before it."""
        ...

    def heads(self, lane: Lane, priority: Priority, limit: int) -> Awaitable[list[Head]]:
        """The first `limit` queued tasks of a lane at a priority, by (`rank`, `seq`). One index probe.

        Sees every write made before it."""
        ...

    def running(self) -> Awaitable[list[RunningRow]]:
        """What is `processing` under this store's own epoch, in no order. Sees every write made before
        it: what a dispatcher believes to be running can be compared with it after an answer was lost."""
        ...

    def claim(self, claims: Sequence[Claim], now_ms: int) -> Awaitable[list[Task | None]]:
        """Compare-and-set queued -> processing: attempt + 1, epoch, host, endpoint, model, call, started_ms;
        `why` is the detail of the log row.

        None in the places where the row is gone, not queued, at another version, or past its deadline.
        """
        ...

    def finish(self, ends: Sequence[End], now_ms: int) -> Awaitable[list[Task | None]]:
        """End attempts, guarded by attempt, epoch and `state = 'processing'`; the row after it (still
        naming where the attempt ran), or None for a stale end, which changes nothing.

        A result is stored in the same transaction. A row with `cancel_requested` becomes `cancelled`
        instead of queued, scheduled, blocked or failed. Leaving `processing` clears host, endpoint,
        model and epoch only when the task will run again.
        """
        ...

    def cancel(self, task_id: str, now_ms: int, *, running: bool = True) -> Awaitable[Task]:
        """Scheduled, queued or blocked: `cancelled` now. Processing: sets `cancel_requested` (the
        dispatcher then stops the call), or with `running=False` raises `Conflict`. Already cancelled:
        no change. Other final states raise `Conflict`; no such task `NotFound`.
        """
        ...

    def promote(
        self, now_ms: int, machine_ms: int | None = None, limit: int = 500
    ) -> Awaitable[Promoted]:
        """Scheduled tasks whose time has come -> `queued` (reason due); scheduled and queued tasks past
        their deadline -> `expired`. A promoted task's lane loses its `avoid` list. With `machine_ms`, the time by the
        machine's clock, a task that a person has scheduled is due by whichever clock is first."""
        ...

    def retry(self, task_ids: Sequence[str], now_ms: int) -> Awaitable[list[Task | YggError]]:
        """Failed, blocked, cancelled, expired -> `queued`: errors, deferrals and crashes go to 0, the
        lane loses `refused` and `avoid`, a passed deadline is dropped, `attempt` keeps growing. A
        scheduled task becomes queued now. Queued, processing, completed: `Conflict`."""
        ...

    def prioritize(self, task_id: str, priority: Priority, now_ms: int) -> Awaitable[Task]:
        """Change the priority of a task that has not ended; it keeps its seq. `Conflict` when ended."""
        ...

    def touch_read(self, task_id: str, now_ms: int, keep_s: float) -> Awaitable[None]:
        """Note the first read of a result: it may be pruned `keep_s` later."""
        ...

    def prune(self, now_ms: int, limit: int = 500) -> Awaitable[int]:
        """Delete up to `limit` ended tasks past their retention, with results and event logs, and up to
        `limit` minutes older than `model.history.KEPT_MS`. How many went."""
        ...

    def record_minutes(self, rows: Sequence[MinuteRow]) -> Awaitable[None]:
        """Keep what hosts did in a minute. A row of the same host and minute is replaced."""
        ...

    def hold(self, host: str | None, held: bool) -> Awaitable[None]:
        """Remember that a host is drained, or with None that dispatch is paused, or that it is not."""
        ...

    def keep_for(self, retention_s: float) -> None:
        """How long completed, cancelled and expired tasks are kept that end from now on."""
        ...

    def holds(self) -> Awaitable[Holds]:
        """What is held, by whichever run it was asked for."""
        ...

    def close(self) -> Awaitable[None]:
        """Flush, checkpoint, release the lock. Verbs after it raise `StoreError`."""
        ...


@dataclass(frozen=True, slots=True)
class Filter:
    """Which tasks a listing shows; None means any. Newest first, or with `queue_order` by (priority, rank, seq)."""

    states: tuple[State, ...] = ()
    type: str | None = None
    priority: Priority | None = None
    host: str | None = None
    label: str | None = None
    caller: str | None = None
    batch: str | None = None
    before_seq: int | None = None
    limit: int = 50
    queue_order: bool = False


class Archive(Protocol):
    """Reads. Short transactions on read-only connections. What is told of a task is durable: a read that has seen
    a write which is not yet waits for its sync, and for nothing else."""

    def get(self, task_id: str) -> Awaitable[Task]:
        """By id, or by a suffix of at least 4 characters that fits one alone. `NotFound`; `InvalidInput` when several do."""
        ...

    def find(self, which: Filter) -> Awaitable[list[Task]]: ...

    def log(self, task_id: str) -> Awaitable[list[LogRow]]: ...

    def result(self, task_id: str) -> Awaitable[Result | None]: ...

    def counts(self) -> Awaitable[Counts]:
        """From counters, at the same cost whatever the depth."""
        ...

    def holds(self) -> Awaitable[Holds]:
        """What a person has stopped, as `Queue.holds`."""
        ...

    def ahead(self, task: Task, lanes: Sequence[Lane], limit: int) -> Awaitable[int]:
        """How many queued tasks of `lanes` come before `task` by (priority, rank, seq), counted to `limit`."""
        ...

    def scheduled(self, limit: int) -> Awaitable[list[Scheduled]]:
        """The scheduled tasks that are due first."""
        ...

    def verify(self) -> Awaitable[None]:
        """Read everything once. `StoreCorrupt` when what is stored is damaged; it may take seconds."""
        ...

    def minutes(self, host: str | None, since_ms: int) -> Awaitable[list[MinuteRow]]:
        """What this host, or with None every one, did in the minutes from `since_ms` on; by minute, then host."""
        ...

    def pruned(self, task_id: str) -> Awaitable[Pruned | None]:
        """Of a task that was deleted: by id, or by a suffix that fits one alone. None of old ones."""
        ...


# --- backends ------------------------------------------------------------------------------------


class CallFailed(YggError):
    """What a backend raises when a call does not complete. `kind` says what it means for the task."""

    code = "call_failed"

    def __init__(
        self,
        kind: OutcomeKind,
        message: str,
        *,
        retry_after_s: float | None = None,
        broken: bool = False,
        abandoned: bool = False,
    ) -> None:
        super().__init__(message, retry_after_s=retry_after_s)
        self.kind = kind
        self.abandoned = abandoned  #: we hung up, as in `Outcome`
        #: The connection ended, or went silent, in the middle of an answer: the host may be down.
        #: `running/calls.py` checks the host before it blames the task.
        self.broken = broken


class Backend(Protocol):
    """Speaks one server's protocol for one endpoint. Holds the connections; no retries, no queue.

    Built inside a running event loop; `close()` frees the connections.
    """

    @property
    def endpoint(self) -> Endpoint: ...

    def stream(self, call: Call) -> AsyncIterator[Piece | Done]:
        """Run a call that carries one attempt, streaming what can be. Yields `Piece`s, then exactly one
        `Done`.

        Ends without `Done` never: it raises `CallFailed` instead, for every error, also after pieces
        were delivered. Enforces the phase limits connect, first token (beyond a load) and between
        tokens; time in which nobody takes the next item counts to none; the total is the caller's.
        Closing the iterator closes the connection at once, which stops the generation. Foreign
        exceptions never leave it.
        """
        ...

    async def check(self, timeout_s: float = 3.0) -> Health:
        """Ask for version and models. Never raises; says `down` or `unauthorized` with a message."""
        ...

    async def inside(self, timeout_s: float = 3.0) -> int | None:
        """How many requests the server works on, or keeps waiting where it tells that too; None where it has
        no word for it. Raises CallFailed when it gives no answer now."""
        ...

    async def unload(self, model: str) -> bool:
        """Free the memory of a loaded model by the server's own means; False where it has none.
        Raises CallFailed."""
        ...

    async def close(self) -> None: ...


Backends = Mapping[tuple[str, str], Backend]  #: by (host, endpoint)


# --- limiters ------------------------------------------------------------------------------------


class Denial(NamedTuple):
    """A limiter's no: why, and for how many seconds at least (None: it cannot say)."""

    message: str
    retry_s: float | None = None


class Limiter(Protocol):
    """Hands out permits that live outside this process: rate tokens, the claims of a source.

    A grant is known by its call and permit, and ends by itself in the end, should nobody settle it.
    """

    async def acquire(self, grant: Grant) -> Denial | None:
        """Take the permit for the call; None once it is granted. The same grant asked for twice is one
        grant; one that was settled already is denied. It may take long, or never answer: the caller goes
        on without. Raises YggError where the limiter cannot be asked."""
        ...

    async def settle(self, grant: Grant, used: Usage | None) -> None:
        """The call is over: the permit was `used` (so many tokens), or with None it was not and is given
        back, be it granted or not. The same grant may be settled again, to no effect. Raises YggError."""
        ...


# --- probes --------------------------------------------------------------------------------------


class ProbeFailed(YggError):
    """No reading came: what is in the way, and with the hint what a person can do about it."""

    code = "probe_failed"


class Probe(Protocol):
    """Takes the readings of one host. Built inside a running event loop; opens nothing before the first
    `sample`, and heals itself: after a failure the next `sample` starts anew."""

    @property
    def name(self) -> str:
        """`nvml`, `ssh`, `ollama_ps` or `static`."""
        ...

    @property
    def measures(self) -> bool:
        """Whether its readings tell of memory or heat, so that their absence limits the host."""
        ...

    async def sample(self) -> Reading:
        """The next reading, no sooner than the host's interval after the last one and received just
        now; the first one at once. Raises ProbeFailed, after the host's timeout at the latest."""
        ...

    async def rest(self) -> None:
        """Stop everything that keeps the GPU or a connection awake until the next `sample`."""
        ...

    async def close(self) -> None:
        """Never raises, never waits for a driver that hangs."""
        ...


Probes = Mapping[str, tuple[Probe, ...]]  #: by host


# --- what API and CLI ask of a running dispatcher, or of the store alone ---------------------------


@dataclass(frozen=True, slots=True)
class AttemptStarted:
    """A follower's stream begins, or begins again: text of earlier attempts is void."""

    attempt: int
    host: str
    model: str


class Control(Protocol):
    """Verbs that both the running dispatcher (`loop.Dispatcher`) and the offline desk offer."""

    @property
    def archive(self) -> Archive: ...

    def snapshot(self) -> Snapshot | None:
        """A frozen copy of the scheduling state, at most 250 ms old; None without a dispatcher."""
        ...

    async def view(self) -> Snapshot | None:
        """The same with what is stored now: its counts fit its lists, and a task that was just submitted is counted."""
        ...

    def explain(self, task: Task) -> tuple[Reason, ...]:
        """Why the task is where it is: best reason first, then one per candidate."""
        ...

    def rivals(self, lane: Lane) -> tuple[Lane, ...]:
        """The lanes that compete with `lane` for a host (itself included): those `ahead` counts."""
        ...

    def wait_estimate_ms(self, task: Task, ahead: int) -> int | None:
        """Expected wait from measured rates; None before anything was measured."""
        ...

    async def submit(
        self, tasks: Sequence[NewTask], *, capacity: int | None = None, atomic: bool = True
    ) -> list[Submitted | YggError]: ...

    async def cancel(self, task_id: str, *, running: bool = True) -> Task:
        """As `Queue.cancel`; for a processing task returns once the call is stopped and the end is
        stored (10 s at most, then the row with `cancel_requested`)."""
        ...

    async def retry(self, task_ids: Sequence[str]) -> list[Task | YggError]: ...

    async def prioritize(self, task_id: str, priority: Priority) -> Task: ...

    async def touch_read(self, task_id: str, keep_s: float) -> None:
        """Note that a result was read over HTTP."""
        ...

    async def wait_end(self, task_id: str, timeout_s: float) -> Task:
        """The task once it has ended or is blocked, else as it is after `timeout_s`."""
        ...

    def follow(self, task_id: str) -> AsyncIterator[AttemptStarted | Piece | Task]:
        """What was streamed so far and what comes, then the ended Task. A slow reader loses nothing
        but is cut off when 1 MB behind."""
        ...

    async def check_hosts(self, names: Collection[str] | None = None) -> Snapshot:
        """Ask these hosts (None: every one) now, all at once, 3 s at most; the snapshot after it. Without a dispatcher it
        has hosts and counts alone."""
        ...

    async def pause(self, paused: bool) -> None: ...

    async def drain_host(self, host: str, drained: bool) -> None: ...
