"""The errors ygg shows to people and programs.

One tree. Each class carries its consequence: the exit code of the CLI, the status of the HTTP answer and a
stable `code` for programs. A message says what happened and why; the hint says what to do next. Foreign
exceptions are translated into this tree once, where they enter (an adapter, the config reader, the socket).
"""

from __future__ import annotations

from collections.abc import Collection


class YggError(Exception):
    """Base of every error that reaches a user. `hint` is one line: the next thing to do."""

    code = "internal"
    exit_code = 1
    http_status = 500

    def __init__(self, message: str, *, hint: str = "", retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.retry_after_s = retry_after_s


class InvalidInput(YggError):
    """The caller's input cannot be used as it is."""

    code = "invalid_input"
    exit_code = 2
    http_status = 422


class ConfigError(YggError):
    """hosts.yaml or the environment is wrong; retrying is useless until a person edits it."""

    code = "bad_config"
    exit_code = 78
    http_status = 422


class NotFound(YggError):
    """No task, host or file of that name."""

    code = "not_found"
    exit_code = 3
    http_status = 404


def known_host(name: str, hosts: Collection[str]) -> None:
    """Raises NotFound when the configuration has no host of that name."""
    if name not in hosts:
        raise NotFound(f"no host {name!r}", hint=f"hosts: {', '.join(sorted(hosts))}")


class Forbidden(YggError):
    """Who asks may not have this."""

    code = "forbidden"
    exit_code = 77
    http_status = 403


class Unauthorized(Forbidden):
    """Who asks is nobody that is known."""

    code = "unauthorized"
    http_status = 401


class TooMany(YggError):
    """A caller's own limit is reached."""

    code = "rate_limited"
    exit_code = 69
    http_status = 429


class Conflict(YggError):
    """The request contradicts what is stored: a reused idempotency key, an end that is already there."""

    code = "conflict"
    http_status = 409


class LeftOut(Conflict):
    """Nothing is wrong with this task; another one of the same atomic submit was refused."""

    code = "left_out"

    def __init__(
        self,
        message: str = "not stored: another task of this submit was refused",
        *,
        hint: str = "",
    ) -> None:
        super().__init__(message, hint=hint)


class Unavailable(YggError):
    """The daemon, its socket or the store cannot be reached or used now."""

    code = "unavailable"
    exit_code = 69
    http_status = 503


class Draining(Unavailable):
    """The daemon is shutting down and takes no new tasks."""

    code = "draining"


class QueueFull(Unavailable):
    """The queue holds as many tasks as `capacity` allows."""

    code = "queue_full"


class StoreError(Unavailable):
    """The database could not do what was asked; nothing was acknowledged."""

    code = "store_error"


class OutcomeUnknown(StoreError):
    """The store's answer was lost: what was asked for may or may not have happened. Ask the store; do not
    guess, and do not take it for undone.

    SQLite: where COMMIT itself ends in an I/O error, or the sync after it does. The second ends the run; the next
    one finds what was asked for done, unless a power cut comes between.
    """

    code = "outcome_unknown"


class StoreLocked(StoreError):
    """Another process owns the database."""

    code = "store_locked"


class StoreFull(StoreError):
    """The disk is full: nothing was written, reads and ends go on where they can."""

    code = "store_full"
    http_status = 507


class UploadsFull(StoreFull):
    """The files that are kept with tasks take all the room that they may."""

    code = "uploads_full"


class StoreReadOnly(StoreError):
    """The disk is mounted so that nothing can be written; reading goes on."""

    code = "store_read_only"
    http_status = 507


class StoreGone(StoreError):
    """The database file was deleted or replaced, or its log: what is written now would be lost."""

    code = "store_gone"


class StoreCorrupt(StoreError):
    """The file is not a healthy ygg database."""

    code = "store_corrupt"


class StoreNewer(StoreError):
    """A newer ygg wrote this database."""

    code = "store_newer"


class IllegalTransition(StoreError):
    """A state change outside the transition table: always a bug of ygg, never the user's."""

    code = "illegal_transition"
    http_status = 500


class TaskFailed(YggError):
    """The task ended, but not as completed."""

    code = "task_failed"


class WaitTimeout(YggError):
    """Waiting took longer than asked; the task is still there."""

    code = "wait_timeout"
    exit_code = 75


class Interrupted(YggError):
    """Ctrl-C."""

    code = "interrupted"
    exit_code = 130
