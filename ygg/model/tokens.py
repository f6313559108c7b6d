"""Who may ask over HTTP: tokens as they are stored, and what each may do."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from ygg.errors import Conflict, NotFound
from ygg.model.words import Priority

NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"  #: of a caller
LOCAL = "local"  #: that of who needs to say none


class Scope(StrEnum):
    """What a token is good for; each includes those before it."""

    READ = "read"  #: how the house is doing
    SUBMIT = "submit"  #: tasks of its own: submit, look at, change
    ADMIN = "admin"  #: everything, tasks of others too

    def covers(self, needed: str) -> bool:
        return _ORDER[self] >= _ORDER[Scope(needed)]


_ORDER = {scope: place for place, scope in enumerate(Scope)}


class Rate(NamedTuple):
    """So many tasks in so many seconds."""

    tasks: int
    period_s: float


@dataclass(frozen=True, slots=True)
class Token:
    """A token that was given out. Of its text only the digest is known: SHA-256, in hexadecimal."""

    name: str  #: of the caller: its tasks bear it
    digest: str
    scope: Scope
    created_ms: int
    expires_ms: int | None = None
    max_priority: Priority = Priority.CRITICAL  #: the best that its tasks may have
    rate: Rate | None = None  #: of its submits
    revoked_ms: int | None = None

    def expired(self, now_ms: int) -> bool:
        return self.expires_ms is not None and self.expires_ms <= now_ms

    def live(self, now_ms: int) -> bool:
        """Whether whoever brings it is let in."""
        return self.revoked_ms is None and not self.expired(now_ms)


def taken(name: str) -> Conflict:
    """What who adds one is told."""
    return Conflict(
        f"there is a token {name!r} already",
        hint=f"take another name, or: ygg token revoke {name}",
    )


def unknown(name: str) -> NotFound:
    """What who means one is told."""
    return NotFound(f"no token {name!r:.100}", hint="ygg token list")
