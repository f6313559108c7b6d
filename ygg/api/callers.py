"""Who asks: what a request says of itself becomes a caller, who may do what its token says.

A token is `ygg_` and 43 characters of chance; its digest alone is kept, so that nobody who reads the database can ask in
its name. A bearer that begins so is looked at wherever it comes from, and so is a JWT where hosts.yaml says whose let in.
Any other `Authorization` counts as none: clients that were written for another server send dummies. Without a token
whoever is trusted is `local`, who may do everything.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from ygg.api.credentials import Credentials
from ygg.api.holding import Over, Proof, never
from ygg.errors import Forbidden, InvalidInput, NotFound, TooMany, Unauthorized
from ygg.model import BatchView, Priority, Task, Token, tokens
from ygg.model.batches import unknown
from ygg.model.tokens import Rate, Scope
from ygg.ports import Archive
from ygg.verbs import Verb

PREFIX = "ygg_"
LIMITS = 1000  #: of JWTs that are remembered before the full ones are forgotten
T = TypeVar("T")


class Limit:
    """At most `rate` of submitted tasks: a bucket that fills evenly. `mono`: seconds, never set back."""

    def __init__(self, rate: Rate, mono: Callable[[], float] = time.monotonic) -> None:
        self.rate, self._mono = rate, mono
        self._level, self._at = float(rate.tasks), mono()

    def take(self, tasks: int) -> None:
        """Raises TooMany, and takes none, where they are too many for now; InvalidInput where they always are."""
        most, per_s = self.rate.tasks, self.rate.tasks / self.rate.period_s
        if tasks > most:
            text = f"{tasks} tasks at once: the caller's rate is {most} in {self.rate.period_s:g} s"
            raise InvalidInput(text, hint="submit in parts")
        self._fill()
        if tasks > self._level:
            wait_s = (tasks - self._level) / per_s
            text = f"the caller's rate is {most} tasks in {self.rate.period_s:g} s"
            raise TooMany(text, hint=f"again in {wait_s:.0f} s", retry_after_s=wait_s)
        self._level -= tasks

    @property
    def full(self) -> bool:
        """Whether nothing of it is spent, as of a new one."""
        self._fill()
        return self._level >= self.rate.tasks

    def _fill(self) -> None:
        now, per_s = self._mono(), self.rate.tasks / self.rate.period_s
        self._level = min(self.rate.tasks, self._level + (now - self._at) * per_s)
        self._at = now


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, and what of it. `proof`: what it was let in with, where that may end."""

    name: str
    scope: Scope = Scope.ADMIN
    max_priority: Priority = Priority.CRITICAL
    limit: Limit | None = None
    proof: Proof | None = None

    @property
    def owner(self) -> str | None:
        """Whose tasks are meant where none are named; None: everybody's."""
        return None if self.scope is Scope.ADMIN else self.name

    def sees(self, task: Task) -> bool:
        return self.owner in (None, task.lane.caller)

    def check(self, verb: Verb[..., Any]) -> None:
        """Raises Forbidden where it takes more than this one may."""
        if verb.needs and not self.scope.covers(verb.needs):
            raise Forbidden(
                f"the token of {self.name} has scope {self.scope}; {verb.route} takes {verb.needs}",
                hint=f"ygg token create NAME --scope {verb.needs}",
            )

    def check_priority(self, priority: Priority) -> None:
        """Raises Forbidden for one that is better than its best."""
        if priority < self.max_priority:
            best = self.max_priority.name
            text = f"priority {priority.name} is above {best}, the best that {self.name} may have"
            raise Forbidden(text, hint=f"submit it with {best}")

    def with_priority(self, doc: T) -> T | dict[str, Any]:
        """A document that names none gets the best it may have, where that is below the usual."""
        silent = isinstance(doc, dict) and doc.get("priority") is None
        if not silent or self.max_priority <= Priority.NORMAL:
            return doc
        assert isinstance(doc, dict)
        return {**doc, "priority": int(self.max_priority)}

    def spend(self, tasks: int) -> None:
        """Raises TooMany, as `Limit.take`."""
        if self.limit is not None:
            self.limit.take(tasks)


LOCAL = Caller(
    tokens.LOCAL
)  #: on the unix socket, at the database, and over loopback without a token


@dataclass(slots=True)
class _Known:
    """A token that holds, and what lives as long as this run."""

    token: Token
    limit: Limit | None
    over: Over = field(default_factory=Over)


class Callers:
    """The tokens that were given out, and whose JWTs are let in. `now_ms`: the clock that tokens expire by."""

    def __init__(self, now_ms: Callable[[], int], credentials: Credentials | None = None) -> None:
        self._now_ms, self.credentials = now_ms, credentials or Credentials()
        self._known: dict[str, _Known] = {}
        self._limits: dict[tuple[str, Rate], Limit] = {}

    def learn(self, tokens: Iterable[Token]) -> None:
        """These are all there are. Streams of one that is gone or revoked end."""
        before, self._known = self._known, {}
        for token in tokens:
            old = before.get(token.digest)
            limit = None if token.rate is None else Limit(token.rate)
            known = _Known(token, limit) if old is None else old
            known.token = token
            self._known[token.digest] = known
            if token.revoked_ms is not None:
                known.over.set(REVOKED)
        for digest in before.keys() - self._known.keys():
            before[digest].over.set(REVOKED)

    def of(self, authorization: str | None, *, trusted: bool) -> Caller:
        """Who asks with this header. Raises Unauthorized for a token that does not hold, and for none where that is not
        enough."""
        text, jwt = _bearer(authorization), self.credentials.jwt
        if text.startswith(PREFIX):
            return self._holder(text)
        if jwt is not None and jwt.is_one(text):
            found = jwt.bearer(text)
            limit = None if found.rate is None else self._limit(found.name, found.rate)
            return Caller(found.name, found.scope, found.max_priority, limit, found.proof)
        if not trusted:
            raise Unauthorized("this takes a token", hint=HOW)
        return LOCAL

    def _limit(self, name: str, rate: Rate) -> Limit:
        """What all JWTs of a name with the same rate share: a new one brings nothing anew."""
        if (name, rate) not in self._limits:
            if len(self._limits) >= LIMITS:
                self._limits = {who: limit for who, limit in self._limits.items() if not limit.full}
            self._limits[name, rate] = Limit(rate)
        return self._limits[name, rate]

    def _holder(self, text: str) -> Caller:
        digest = digest_of(text)
        known = self._known.get(digest)
        if known is None or not hmac.compare_digest(known.token.digest, digest):
            raise Unauthorized("no such token", hint=HOW)
        token = known.token
        if token.revoked_ms is not None:
            raise Unauthorized(f"the token of {token.name} {REVOKED}", hint=HOW)
        if token.expired(self._now_ms()):
            raise Unauthorized(f"the token of {token.name} has expired", hint=HOW)
        proof = Proof(f"the token of {token.name}", HOW, known.over, self._until(token))
        return Caller(token.name, token.scope, token.max_priority, known.limit, proof)

    def _until(self, token: Token) -> Callable[[], float]:
        end_ms, now_ms = token.expires_ms, self._now_ms
        return never if end_ms is None else lambda: (end_ms - now_ms()) / 1000


REVOKED = "was revoked"
HOW = "ygg token create NAME on the machine of the daemon; send it as Authorization: Bearer ygg_…"


async def seen(archive: Archive, task_id: str, caller: Caller) -> Task:
    """The task, where the caller may see it: to everybody else it is not there. Raises as `Archive.get`."""
    nowhere = NotFound(f"no task {task_id}", hint="ygg list")
    try:
        task = await archive.get(task_id)
    except InvalidInput:
        if caller.owner is None:  # else it would tell ids of others
            raise
        raise nowhere from None
    if not caller.sees(task):
        raise nowhere
    return task


async def seen_batch(archive: Archive, batch_id: str, caller: Caller) -> BatchView:
    """The same for a batch."""
    try:
        view = await archive.batch(batch_id)
    except InvalidInput:
        raise unknown(batch_id) from None
    if caller.owner not in (None, view.batch.caller):
        raise unknown(batch_id)
    return view


def new_text() -> str:
    """A token nobody can guess: 256 bits of chance."""
    return PREFIX + secrets.token_urlsafe(32)


def digest_of(text: str) -> str:
    """What is kept of it. A fast hash is enough: there is nothing to guess."""
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def _bearer(authorization: str | None) -> str:
    """What it brings, empty for nothing. Neither a token of ours nor a JWT: that counts as none."""
    kind, _, text = (authorization or "").strip().partition(" ")
    return text.strip() if kind.lower() == "bearer" else ""
