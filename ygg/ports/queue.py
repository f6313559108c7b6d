"""The durable queue: what the dispatcher writes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from ygg.errors import YggError
from ygg.model import (
    Batch,
    Capacity,
    Claim,
    End,
    Head,
    Holds,
    Lane,
    MinuteRow,
    NewTask,
    Priority,
    Promoted,
    Recovery,
    RunningRow,
    State,
    Submitted,
    Task,
    Token,
)


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
        capacity: Capacity | None = None,
        atomic: bool = True,
        batch: Batch | None = None,
        stored: Callable[[list[Submitted | YggError]], None] | None = None,
    ) -> Awaitable[list[Submitted | YggError]]:
        """Store tasks as `queued`, or `scheduled` when `not_before_ms` is later than `now_ms`.

        `stored` is told the answers as soon as the tasks can be claimed, which may be before they are durable;
        it is not told of a refusal.

        Same (lane.caller, idempotency_key) and same `body_hash` as a stored task: that task, with
        `existing=True`. Same key, other hash: `Conflict`. With `capacity`, a task beyond it is
        `QueueFull`: raised for the whole submit, of which nothing is stored then, unless it is that of single ones,
        which say it in their places. Waiting are queued and scheduled tasks. Other errors come back in
        their places; with `atomic` one error means that nothing is stored and every other place holds a
        `Conflict` that says so. `batch` is stored with its tasks, with `atomic` alone; what comes
        without the capacity of single submits never counts towards it.
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
        machine's clock, a task that a person has scheduled is due by whichever clock is first. Of a sequence (a batch with
        `on_failure`) the next task -> `queued` once all before it have ended; when one of them failed or expired, and it
        says `stop`, the rest -> `cancelled`, up to `limit` in a call."""
        ...

    def retry(
        self, task_ids: Sequence[str], now_ms: int, *, turn: bool = False
    ) -> Awaitable[list[Task | YggError]]:
        """Failed, blocked, cancelled, expired -> `queued` (what a sequence has stopped, and with
        `turn` all of them: their turn comes again): errors, deferrals and crashes go to 0, the
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

    def clean(
        self, states: frozenset[State], now_ms: int, age_s: float
    ) -> Awaitable[dict[State, int]]:
        """Delete, as `prune` does, the tasks that ended in these states at least `age_s` before `now_ms`,
        however long they were to be kept; of each state how many went. In as many writes as it takes, and others come
        between: where one fails, what went before has gone. Of a state that is not final nothing goes."""
        ...

    def discard(self, task_id: str, now_ms: int) -> Awaitable[None]:
        """Delete a failed task, as `prune` does. `Conflict` where it is not failed; no such task `NotFound`."""
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

    def add_token(self, token: Token) -> Awaitable[None]:
        """Keep it. `Conflict` where one of that name is not revoked; one that is gives way."""
        ...

    def revoke_token(self, name: str, now_ms: int) -> Awaitable[None]:
        """`NotFound` where there is none; one that is revoked stays as it is."""
        ...

    def close(self) -> Awaitable[None]:
        """Flush, checkpoint, release the lock. Verbs after it raise `StoreError`."""
        ...
