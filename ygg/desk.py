"""The verbs of ygg, one table; and the desk that has them. Standard library only: `ygg submit` loads it.

From the table the API builds its routes (`api/app.py`), the client its requests (`client.py`), and the offline
desk its calls (`api/offline.py`): a new verb is a row here and a handler in `api/`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from typing import Any, Protocol

from ygg import errors
from ygg.errors import Unavailable, YggError
from ygg.multipart import Form
from ygg.verbs import Asked, Verb, streaming, verb
from ygg.verbs import JsonDict as JsonDict

LONG_POLL_S = 30.0
PART = 10_000  #: documents of one submit request: as many as the API takes
PART_BYTES = 8 * 1024 * 1024  #: about; the API takes 64 MiB
PART_VALUES = 100_000  #: at most; the API takes 300,000
OVER = ("completed", "failed", "cancelled", "expired", "blocked")
Sent = JsonDict | None


class Carrier(Protocol):
    """Brings requests to their handlers: over the daemon's socket, or straight to the database."""

    where: str  #: the daemon or the database, in words
    online: bool  #: whether a daemon answers

    def answer(self, asked: Asked) -> Any:
        """What the handler answers. Raises the YggError it raised; Unavailable when none came."""
        ...

    def events(self, asked: Asked) -> Generator[JsonDict, None, None]:
        """The same for an answer that comes in pieces."""
        ...

    def close(self) -> None: ...


class Desk:
    """The verbs, JSON-shaped, with a daemon (`client.Remote`) or without one (`api.offline.Offline`)."""

    def __init__(self, carrier: Carrier) -> None:
        self._carrier = carrier
        self.where, self.online, self.close = carrier.where, carrier.online, carrier.close

    def ask(self, asked: Asked) -> Any:
        """Every verb goes through here."""
        return self._told(asked) if asked.verb.streams else self._carrier.answer(asked)

    def _told(self, asked: Asked) -> Iterator[JsonDict]:
        """The events up to the end. Raises what an `error` event tells."""
        with closing(self._carrier.events(asked)) as events:
            for event in events:
                if event["event"] == "error":
                    raise error_of(event["error"])
                yield event
                if event["event"] == "end":
                    return
        raise Unavailable(f"{self.where} ended the stream", hint=f"ygg wait {asked.target}")

    # --- tasks ---------------------------------------------------------------------------------

    @verb("POST /v1/tasks", "submits.submit", "doc", "caller", "size", scope="submit", many=True)
    def submit_part(self, docs: list[Any], *, atomic: bool = False, brief: bool = False) -> Sent:
        """Take many tasks. `tasks`: in order, for each document its task with `existing`, or `{"error": …}`. `brief`: of
        the task its id and state."""
        return {"tasks": docs, "atomic": atomic, "brief": brief}

    @verb("GET /v1/tasks", "tasks.find", "query", "caller")
    def tasks(self, /, **query: Any) -> Sent:
        """Those that fit state (list), type, priority, host, label, caller, batch, limit, order (newest, queue)."""
        return query

    @verb("POST /v1/tasks/retry", "tasks.retry", "doc", "caller", scope="submit")
    def retry(self, ids: list[str] | None = None, *, states: list[str] | None = None) -> Sent:
        """Put back by id, or every task in these states."""
        return {"ids": ids} if states is None else {"states": states}

    @verb("POST /v1/tasks/cancel", "tasks.cancel_many", "doc", "caller", scope="submit")
    def cancel_many(
        self,
        *,
        states: list[str] | None = None,
        type: str | None = None,  # noqa: A002 - the key of the document
        label: str | None = None,
        running: bool = True,
    ) -> Sent:
        """Every task that has not ended and is all of this. `tasks`: those that were cancelled, or are being stopped."""
        said = {"states": states, "type": type, "label": label}
        return {k: v for k, v in said.items() if v is not None} | {"running": running}

    @verb("GET /v1/tasks/{task_id}", "tasks.show")
    def show(self, task_id: str) -> Sent:
        """The task with its request, log and reasons."""

    @verb("GET /v1/tasks/{task_id}/result", "tasks.result")
    def result(self, task_id: str) -> Sent:
        """The answer of an ended or blocked task; Conflict before that."""

    @verb("GET /v1/tasks/{task_id}/wait", "tasks.wait", "query")
    def wait_once(self, task_id: str, timeout_s: float) -> Sent:
        """The task once it has ended or is blocked, else as it is after `timeout_s`: one minute at most."""
        return {"timeout": f"{timeout_s:.3f}"}

    @streaming("GET /v1/tasks/{task_id}/follow", "tasks.follow")
    def follow(self, task_id: str) -> Sent:
        """Events `attempt`, `piece` and at last `end`, which is the task."""

    @verb("GET /v1/tasks/{task_id}/why", "tasks.why")
    def why(self, task_id: str) -> Sent:
        """Its reasons, its place and the wait that is expected."""

    @verb("POST /v1/tasks/{task_id}/cancel", "tasks.cancel", "query", scope="submit")
    def cancel(self, task_id: str, *, running: bool = True) -> Sent:
        """Cancel it, also a processing one, unless `running` is false."""
        return {"running": running}

    @verb("POST /v1/tasks/{task_id}/priority", "tasks.prioritize", "doc", "caller", scope="submit")
    def prioritize(self, task_id: str, priority: int | str) -> Sent:
        """Give it another priority: 0 to 4, or a name."""
        return {"priority": priority}

    @verb("POST /process/file", "processing.process", "upload", "query", "caller", scope="submit")
    def process_file(self, form: Form, /, *, wait: float | None = None) -> Sent:
        """The answer about a file; its status where that takes longer than `wait`, by default `policies.api_timeout`."""
        return {"upload": form, "wait": wait}

    # --- batches -------------------------------------------------------------------------------

    @verb(
        "POST /v1/batches", "batches.submit", "doc", "caller", "key", "size",
        scope="submit", many=True,
    )  # fmt: skip
    def submit_batch(self, docs: list[Any], /, **more: Any) -> Sent:
        """Take many tasks, all or none. more: sequential (one after another), on_failure (of a sequence: stop, continue),
        idempotency_key."""
        return {"tasks": docs, **more}

    @verb("GET /v1/async/batch-status/{batch_id}", "batches.status", "query")
    def batch(self, batch_id: str, *, wait: float | None = None) -> Sent:
        """Its tasks by state, and how far it is; with `wait` once it is over, after so many seconds at the latest."""
        return {"wait": wait}

    @verb("GET /v1/batches", "batches.list", "query", "caller")
    def batches(self, *, limit: int | None = None) -> Sent:
        """All batches, the newest first."""
        return {"limit": limit}

    @verb("POST /v1/batches/{batch_id}/cancel", "batches.cancel", scope="submit")
    def cancel_batch(self, batch_id: str) -> Sent:
        """Cancel all of it that has not ended."""

    @verb("POST /v1/batches/{batch_id}/retry", "batches.retry", scope="submit")
    def retry_batch(self, batch_id: str) -> Sent:
        """Put back all of it that has not completed."""

    # --- tasks that have ended ------------------------------------------------------------------

    @verb("POST /v1/async/cleanup", "ended.clean", "doc")
    def clean(self, max_age_s: float, *, states: list[str] | None = None) -> Sent:
        """Remove those that ended so many seconds ago or earlier; failed ones only where `states` names them."""
        return {"max_age_seconds": max_age_s, "states": states}

    @verb("DELETE /v1/async/dead-letters/{task_id}", "ended.discard", scope="submit")
    def discard(self, task_id: str) -> Sent:
        """Remove a failed task. Conflict where it is not failed."""

    # --- hosts and the queue -------------------------------------------------------------------

    @verb("GET /v1/snapshot", "overseeing.snapshot", scope="admin")
    def snapshot(self) -> Sent:
        """What `ygg top` draws. Unavailable without a daemon."""

    @verb("GET /v1/status", "overseeing.status", "query", "caller")
    def status(self, *, probe: bool = True) -> Sent:
        """Daemon, hosts and queue; `probe` asks every host first."""
        return {"probe": probe}

    @verb("POST /v1/reload", "overseeing.reload")
    def reload(self) -> Sent:
        """Read hosts.yaml again. `changes`: what is different. ConfigError when it is wrong, Unavailable without a
        daemon."""

    @verb("GET /v1/queue", "overseeing.queue")
    def queue(self) -> Sent:
        """Tasks by priority and state, and whether dispatch is paused."""

    @verb("POST /v1/queue/pause", "overseeing.pause")
    def pause(self) -> Sent:
        """Start no task anywhere."""

    @verb("POST /v1/queue/resume", "overseeing.resume")
    def resume(self) -> Sent:
        """End the pause."""

    @verb("GET /v1/hosts", "overseeing.hosts", "caller")
    def hosts(self) -> Sent:
        """Every host as it is known, asking none."""

    @verb("GET /api/v1/status/workers", "overseeing.workers")
    def workers(self) -> Sent:
        """Hosts that are up as workers on two queues. Unavailable without a daemon."""

    @verb("POST /v1/hosts/{host}/probe", "overseeing.probe")
    def probe_host(self, host: str) -> Sent:
        """Ask it now; its body. NotFound when it is not configured, as for the next two."""

    @verb("POST /v1/hosts/{host}/drain", "overseeing.drain_host")
    def drain_host(self, host: str) -> Sent:
        """Start nothing new there."""

    @verb("POST /v1/hosts/{host}/resume", "overseeing.resume_host")
    def resume_host(self, host: str) -> Sent:
        """End the drain."""

    # --- readings ------------------------------------------------------------------------------

    @verb("GET /v1/gpu/status", "measured.gpu_status")
    def gpu_status(self) -> Sent:
        """The house, then host by host."""

    @verb("GET /v1/gpu/memory-forecast", "measured.memory_forecast")
    def memory_forecast(self) -> Sent:
        """When the memory of each host reaches its next level."""

    @verb("GET /v1/history", "measured.history", "query")
    def history(self, host: str | None = None, *, minutes: int | None = None) -> Sent:
        """What one host, or each, did minute by minute; the last hour unless `minutes` says more or less."""
        return {"host": host, "minutes": minutes}

    @verb("GET /v1/tuning", "measured.tuning", "query")
    def tuning(self, host: str | None = None, *, days: int | None = None) -> Sent:
        """Advice on the slots of one host, or of each, from the last `days`, seven unless said. NotFound
        when it is not configured."""
        return {"host": host, "days": days}

    # --- tokens --------------------------------------------------------------------------------

    @verb("POST /v1/tokens", "tokens.create", "doc")
    def create_token(self, name: str, /, **more: Any) -> Sent:
        """Give one out. `token` is its text, told only now. more: scope, expires, max_priority, rate."""
        return {"name": name, **more}

    @verb("GET /v1/tokens", "tokens.list", scope="admin")
    def tokens(self) -> Sent:
        """All that were given out, without their texts."""

    @verb("DELETE /v1/tokens/{name}", "tokens.revoke")
    def revoke_token(self, name: str) -> Sent:
        """Take one back, from the next request on. NotFound where there is none of that name."""

    # --- several requests ----------------------------------------------------------------------

    def submit(
        self, docs: list[Any], *, atomic: bool = False, brief: bool = False
    ) -> list[JsonDict]:
        """As `submit_part`, any number of them."""

        def part(docs: list[Any]) -> list[JsonDict]:
            answers: list[JsonDict] = self.submit_part(docs, atomic=atomic, brief=brief)["tasks"]
            return answers

        return in_parts(part, docs, atomic=atomic)

    def wait(self, task_id: str, timeout_s: float) -> JsonDict:
        """The task once it has ended or is blocked, else as it is after `timeout_s`."""
        return waited(lambda left: self.wait_once(task_id, left), timeout_s)

    def wait_batch(self, batch_id: str, timeout_s: float) -> JsonDict:
        """The batch once none of it runs or waits, else as it is after `timeout_s`."""
        return polled(
            lambda left: self.batch(batch_id, wait=left), lambda body: bool(body["over"]), timeout_s
        )

    def probe(self, host: str | None = None) -> list[JsonDict]:
        """The bodies of this host, or of all, asked now. NotFound when it is not configured."""
        if host is not None:
            return [self.probe_host(host)]
        asked: list[JsonDict] = self.status(probe=True)["hosts"]
        return asked


MISSION = (
    "the mission's protocol, for clients written to it; desks have the same by ygg's own verbs"
)
PROGRAMS = "for programs that make clients and tests of it; people have the pages"
SCRAPERS = "for Prometheus and what reads its format; a person has ygg top and ygg status"
PROBES = "for supervisors and load balancers; to a person ygg status tells more"

#: Every verb there is, in the order of the routes.
VERBS: tuple[Verb[..., Any], ...] = (
    Verb(
        "async_submit", "POST /v1/async/submit", "async_.submit",
        ("doc", "caller", "key", "size"),
        status=202, off_desk=MISSION, scope="submit",
    ),
    Verb(
        "async_submit_batch", "POST /v1/async/submit-batch", "batches.submit_async",
        ("doc", "caller", "key", "size"),
        status=202, off_desk=MISSION, scope="submit", many=True,
    ),
    Verb(
        "async_status", "GET /v1/async/status/{task_id}", "tasks.status", ("query",),
        off_desk=MISSION,
    ),
    Verb(
        "async_result", "GET /v1/async/result/{task_id}", "async_.result", ("query",),
        off_desk=MISSION,
    ),
    Verb(
        "async_stream", "GET /v1/async/stream/{task_id}", "stream.stream", ("query", "last"),
        streams=True, named=True, off_desk=MISSION,
    ),
    Verb(
        "async_cancel", "DELETE /v1/async/cancel/{task_id}", "async_.cancel", ("query",),
        off_desk=MISSION, scope="submit",
    ),
    Verb("async_tasks", "GET /v1/async/tasks", "async_.tasks", ("query", "caller"), off_desk=MISSION),
    Verb("async_stats", "GET /v1/async/stats", "async_.stats", off_desk=MISSION),
    Verb("async_health", "GET /v1/async/health", "health.health", off_desk=MISSION),
    Verb("healthz", "GET /healthz", "health.alive", off_desk=PROBES, scope="free"),
    Verb("readyz", "GET /readyz", "health.ready", off_desk=PROBES, scope="free"),
    Verb("metrics", "GET /metrics", "scraped.metrics", ("accept",), off_desk=SCRAPERS),
    Verb("openapi", "GET /openapi.json", "described.openapi", off_desk=PROGRAMS),
    Verb(
        "async_dead_letters", "GET /v1/async/dead-letters", "ended.dead_letters",
        ("query", "caller"),
        off_desk=MISSION,
    ),
    Verb(
        "async_retry", "POST /v1/async/dead-letters/{task_id}/retry", "ended.retry",
        off_desk=MISSION, scope="submit",
    ),
    *(row for row in vars(Desk).values() if isinstance(row, Verb)),
)  # fmt: skip


def waited(once: Callable[[float], JsonDict], timeout_s: float) -> JsonDict:
    """Poll `once(seconds)` until the task is over or `timeout_s` has passed."""
    return polled(once, lambda task: task["state"] in OVER, timeout_s)


def polled(
    once: Callable[[float], JsonDict], over: Callable[[JsonDict], bool], timeout_s: float
) -> JsonDict:
    """The same for whatever is over so."""
    give_up = time.monotonic() + timeout_s
    while True:
        left = max(0.0, give_up - time.monotonic())
        found = once(min(left, LONG_POLL_S))
        if over(found) or left <= LONG_POLL_S:
            return found


def in_parts(
    send: Callable[[list[Any]], list[JsonDict]], docs: list[Any], *, atomic: bool
) -> list[JsonDict]:
    """Submit in requests the API takes; an atomic submit is always one.

    An error of a later request stands in the places of its documents and of all after it: what was
    acknowledged before must not be lost to the caller.
    """
    if atomic:
        return send(docs)
    answers: list[JsonDict] = []
    for part in _parts(docs):
        try:
            answers += send(part)
        except YggError as error:
            if not answers:
                raise
            return answers + [error_body(error)] * (len(docs) - len(answers))
    return answers


def _parts(docs: list[Any]) -> Iterator[list[Any]]:
    part: list[Any] = []
    size = values = 0
    for doc in docs:
        text = repr(doc)
        part.append(doc)
        size += len(text)
        values += sum(text.count(c) for c in ",{[")  # those in its strings make a part smaller
        if len(part) >= PART or size >= PART_BYTES or values >= PART_VALUES:
            yield part
            part, size, values = [], 0, 0
    if part or not docs:
        yield part


_BY_CODE = {
    kind.code: kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, YggError)
} | dict.fromkeys(
    ("too_large", "method_not_allowed", "unsupported_media_type"), errors.InvalidInput
)


def error_body(error: YggError) -> JsonDict:
    return {"error": {"code": error.code, "message": error.message, "hint": error.hint}}


def error_of(told: JsonDict) -> YggError:
    """An error body as the class it stands for."""
    kind = _BY_CODE.get(told.get("code", ""), YggError)
    return kind(told.get("message", "unknown error"), hint=told.get("hint", ""))
