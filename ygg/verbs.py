"""What a verb of ygg is: one row of the table in `desk.py`. Standard library only: `ygg submit` loads it.

A row says the route, who in `api/` answers, and what that handler is given beside the task or host that the
path names. Where desks have the verb, the row is a function: its signature is what a caller gives, its body
what of that is sent, as query or as document.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Concatenate, Generic, Literal, ParamSpec, Protocol, TypeVar, overload
from urllib.parse import quote

JsonDict = dict[str, Any]
P = ParamSpec("P")
R = TypeVar("R")
Sends = Callable[Concatenate[Any, P], "JsonDict | None"]

#: What handlers are given: the JSON body, its bytes (0 without a daemon), the query, who asks, the headers
#: Idempotency-Key, Last-Event-ID and Accept, a form with a file that is still coming.
Given = Literal["doc", "size", "query", "caller", "key", "last", "accept", "upload"]


@lru_cache
def _read(route: str) -> tuple[str, str, str | None]:
    """Method, path, and what the path names: asked for by every request."""
    method, path = route.split()
    found = re.search(r"\{(\w+)\}", path)
    return method, path, found[1] if found else None


FREE = "free"  #: as a scope: it takes none


class Asker(Protocol):
    """What has verbs."""

    def ask(self, asked: Asked) -> Any: ...


@dataclass(frozen=True, slots=True, eq=False)
class Verb(Generic[P, R]):
    """A row of the table; as an attribute of a desk the verb that can be called."""

    name: str
    route: str  #: method and path; the path names at most one task or host, in braces
    handler: str  #: part of `api.handlers.Handlers` and its method
    takes: tuple[Given, ...] = ()
    status: int = 200
    streams: bool = False  #: the answer comes as server-sent events
    named: bool = False  #: and they have names and ids
    off_desk: str = ""  #: why desks do not have it
    many: bool = False  #: its body may have many documents
    scope: str = ""  #: the least that a token must be good for; "" as `needs` says
    sends: Sends[P] | None = None

    @property
    def method(self) -> str:
        return _read(self.route)[0]

    @property
    def path(self) -> str:
        return _read(self.route)[1]

    @property
    def needs(self) -> str:
        """The least scope that may ask: what only reads takes `read`, everything else `admin`, unless it says so.
        Empty: nobody is asked who he is."""
        if self.scope == FREE:
            return ""
        return self.scope or ("read" if self.method == "GET" else "admin")

    @property
    def key(self) -> str | None:
        """What the path names: task_id, batch_id, host, name, or nothing."""
        return _read(self.route)[2]

    @overload
    def __get__(self, desk: None, owner: type) -> Verb[P, R]: ...
    @overload
    def __get__(self, desk: Asker, owner: type) -> Callable[P, R]: ...
    def __get__(self, desk: Asker | None, owner: type) -> Verb[P, R] | Callable[P, R]:
        if desk is None:
            return self

        def call(*args: P.args, **more: P.kwargs) -> R:
            answer: R = desk.ask(self._asked(desk, *args, **more))
            return answer

        return call

    def _asked(self, desk: Asker, *args: P.args, **more: P.kwargs) -> Asked:
        assert self.sends is not None, self.off_desk
        sent = self.sends(desk, *args, **more) or {}
        if "query" in self.takes:
            sent = {k: v for k, v in sent.items() if v is not None}
        names = self.sends.__code__.co_varnames[1:]
        given = dict(zip(names, args, strict=False)) | more
        return Asked(self, str(given[self.key]) if self.key else None, sent)


@dataclass(frozen=True, slots=True)
class Asked:
    """One request: the verb, the task or host it is about, and what is sent beside that."""

    verb: Verb[..., Any]
    target: str | None
    sent: JsonDict

    @property
    def url(self) -> str:
        """The path with its task or host filled in; without the query."""
        path = self.verb.path
        if self.target is None:
            return path
        return path.replace(f"{{{self.verb.key}}}", quote(self.target, safe=""))


def verb(
    route: str, handler: str, *takes: Given, scope: str = "", many: bool = False
) -> Callable[[Sends[P]], Verb[P, JsonDict]]:
    """A row that desks have."""

    def row(sends: Sends[P]) -> Verb[P, JsonDict]:
        return Verb(sends.__name__, route, handler, takes, many=many, scope=scope, sends=sends)

    return row


def streaming(route: str, handler: str) -> Callable[[Sends[P]], Verb[P, Iterator[JsonDict]]]:
    """The same, for an answer that comes in pieces."""

    def row(sends: Sends[P]) -> Verb[P, Iterator[JsonDict]]:
        return Verb(sends.__name__, route, handler, streams=True, sends=sends)

    return row
