"""What people are told of outside of ygg, and whom hosts.yaml names for it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Event(StrEnum):
    """What there is to tell."""

    HOST_DOWN = "host_down"
    HOST_UP = "host_up"
    HOT = "hot"
    DEAD_LETTER = "dead_letter"
    BLOCKED = "blocked"
    QUEUE_DRAINED = "queue_drained"
    NOTHING_MOVES = "nothing_moves"
    TELEMETRY_LOST = "telemetry_lost"
    TEST = "test"  #: somebody asked whether messages arrive


EVENTS = tuple(e for e in Event if e is not Event.TEST)  #: those that a target may choose from


@dataclass(frozen=True, slots=True)
class Notice:
    """One thing to tell. `follows`: the events that were told and that this one follows from; who is told of those
    need not hear of it."""

    event: Event
    at_ms: int
    title: str
    text: str = ""
    host: str = ""
    follows: tuple[Event, ...] = ()


class TargetKind(StrEnum):
    """How a target is reached."""

    NTFY = "ntfy"
    WEBHOOK = "webhook"
    EMAIL = "email"
    COMMAND = "command"


@dataclass(frozen=True, slots=True)
class Mail:
    """How mail leaves: `server` is HOST:PORT; `tls` is `starttls`, `tls` from the first byte on, or `off`."""

    server: str
    sender: str
    to: tuple[str, ...]
    user: str | None = None
    password_file: str | None = None
    tls: str = "starttls"


@dataclass(frozen=True, slots=True)
class Target:
    """One entry of `notify`. `quiet`: minutes of the local day from which and until which only `urgent` events are told;
    `limit`: messages an hour."""

    name: str
    kind: TargetKind
    url: str = ""  #: of ntfy and webhooks
    token_file: str | None = None
    secret_file: str | None = None
    mail: Mail | None = None
    command: tuple[str, ...] = ()
    events: tuple[Event, ...] = EVENTS
    quiet: tuple[int, int] | None = None
    urgent: tuple[Event, ...] = (Event.HOT,)
    limit: int = 12
    timeout_s: float = 5.0

    def wants(self, notice: Notice) -> bool:
        """Whether it is told of it; of what follows from something that it was told of it is not."""
        if notice.event is Event.TEST:
            return True
        return notice.event in self.events and not set(notice.follows) & set(self.events)

    def hushed(self, minute: int) -> bool:
        """Whether that minute of the day is in its quiet hours; those may pass midnight."""
        if self.quiet is None:
            return False
        begin, end = self.quiet
        return begin <= minute < end if begin < end else minute >= begin or minute < end
