"""What the CLI calls: a Desk, and what every Desk shares. Standard library only: `ygg submit` loads it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any, Protocol

from ygg import errors
from ygg.errors import YggError

JsonDict = dict[str, Any]
LONG_POLL_S = 30.0
PART = 10_000  #: documents of one submit request: as many as the API takes
PART_BYTES = 8 * 1024 * 1024  #: about; the API takes 64 MiB
OVER = ("completed", "failed", "cancelled", "expired", "blocked")


class Desk(Protocol):
    """The verbs of the CLI, JSON-shaped, with a daemon (`Remote`) or without one (`OfflineDesk`)."""

    where: str
    online: bool

    def submit(self, docs: list[Any], *, atomic: bool = False) -> list[JsonDict]:
        """In order, for each document its task with `existing`, or `{"error": …}`."""
        ...

    def tasks(self, **query: Any) -> JsonDict:
        """state (list), type, priority, host, label, caller, batch, limit, order (newest, queue)."""
        ...

    def show(self, task_id: str) -> JsonDict: ...

    def result(self, task_id: str) -> JsonDict:
        """Of an ended or blocked task; Conflict before that."""
        ...

    def wait(self, task_id: str, timeout_s: float) -> JsonDict:
        """The task once it has ended or is blocked, else as it is after `timeout_s`."""
        ...

    def follow(self, task_id: str) -> Iterator[JsonDict]:
        """Events `attempt`, `piece` and at last `end`, which is the task."""
        ...

    def cancel(self, task_id: str, *, running: bool = True) -> JsonDict: ...
    def retry(
        self, ids: list[str] | None = None, *, states: list[str] | None = None
    ) -> JsonDict: ...
    def prioritize(self, task_id: str, priority: int | str) -> JsonDict: ...
    def why(self, task_id: str) -> JsonDict: ...
    def status(self, *, probe: bool = True) -> JsonDict: ...

    def hosts(self) -> JsonDict:
        """Every host as it is known, asking none."""
        ...

    def probe(self, host: str | None = None) -> list[JsonDict]:
        """The bodies of this host, or of all, asked now. NotFound when it is not configured."""
        ...

    def drain_host(self, host: str, drained: bool) -> JsonDict:
        """Start nothing new on a host, or again. NotFound when it is not configured."""
        ...

    def queue(self) -> JsonDict:
        """Tasks by priority and state, and whether dispatch is paused."""
        ...

    def tuning(self, host: str | None = None, *, days: int = 7) -> JsonDict:
        """Advice on the slots of one host, or of each. NotFound when it is not configured."""
        ...

    def pause(self, paused: bool) -> JsonDict:
        """Start no task anywhere, or again."""
        ...

    def close(self) -> None: ...


def waited(once: Callable[[float], JsonDict], timeout_s: float) -> JsonDict:
    """Poll `once(seconds)` until the task is over or `timeout_s` has passed."""
    give_up = time.monotonic() + timeout_s
    while True:
        left = max(0.0, give_up - time.monotonic())
        task = once(min(left, LONG_POLL_S))
        if task["state"] in OVER or left <= LONG_POLL_S:
            return task


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
            told = {"code": error.code, "message": error.message, "hint": error.hint}
            return answers + [{"error": told}] * (len(docs) - len(answers))
    return answers


def _parts(docs: list[Any]) -> Iterator[list[Any]]:
    part: list[Any] = []
    size = 0
    for doc in docs:
        part.append(doc)
        size += len(repr(doc))
        if len(part) >= PART or size >= PART_BYTES:
            yield part
            part, size = [], 0
    if part or not docs:
        yield part


def raise_told(event: JsonDict) -> None:
    """Raise what an `error` event of a stream tells."""
    if event.get("event") == "error":
        raise error_of(event["error"])


_BY_CODE = {
    kind.code: kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, YggError)
} | {"too_large": errors.InvalidInput, "method_not_allowed": errors.InvalidInput}


def error_of(told: JsonDict) -> YggError:
    """An error body as the class it stands for."""
    kind = _BY_CODE.get(told.get("code", ""), YggError)
    return kind(told.get("message", "unknown error"), hint=told.get("hint", ""))
