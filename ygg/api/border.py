"""Whom the API lets in, and as whom.

Programs that can connect may ask; pages that a browser shows may not. A browser tells of itself: the name it was given for
this machine (`Host`: a page whose name is made to point here says its own), and for whom it asks (`Origin`, and
`Sec-Fetch-Site` where there is none). A document needs its content type, which a form of another page cannot send.
What comes over the unix socket comes from a program of this machine, which needs no token either; over loopback it may
need one, from other machines it does.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping

from starlette.types import ASGIApp, Receive, Scope, Send

from ygg.api.app import UPLOADS, failed
from ygg.api.callers import LOCAL, Callers
from ygg.api.refused import WrongType
from ygg.config.addresses import is_loopback
from ygg.desk import VERBS
from ygg.errors import Forbidden, YggError
from ygg.model import Api

JSON = "application/json"
FREE_PATHS = frozenset(
    verb.path for verb in VERBS if not verb.needs
)  #: where nobody is asked who he is
ELSEWHERE = ("cross-site", "same-site")  #: of Sec-Fetch-Site: a page from another origin asks


class Border:
    """The layer before the API. It refuses what came over TCP and must not come in: 403, 415 for a document that does
    not say it is JSON, 401 for who needs a token and has none that holds. `scope["caller"]` is who asks. `api` is asked
    anew each time."""

    def __init__(
        self, app: ASGIApp, api: Callable[[], Api], callers: Callers, *, free: bool = False
    ) -> None:
        """`free`: nobody is asked who he is."""
        self._app, self._api, self._callers, self._free = app, api, callers, free
        self._names = own_names(socket.gethostname())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        local, port = scope["server"]
        headers = {k.decode("latin-1"): v.decode("latin-1") for k, v in scope["headers"]}
        try:
            if port is not None:
                self._check(headers, scope["method"], local)
                if scope["path"] not in UPLOADS:  # whose form says itself what it is
                    _check_type(headers)
            trusted = port is None or self._is_trusted(local) or scope["path"] in FREE_PATHS
            who = headers.get("authorization")
            scope["caller"] = LOCAL if self._free else self._callers.of(who, trusted=trusted)
        except YggError as error:
            await failed(error)(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _is_trusted(self, local: str) -> bool:
        """Whether who connects to this address may do everything without a token."""
        api = self._api()
        return not api.require_token and (api.insecure or is_loopback(local))

    def _check(self, headers: Mapping[str, str], method: str, local: str) -> None:
        host = headers.get("host", "")
        if not self._is_ours(name_of(host), local):
            hint = "ask by its address, or name it in api.hosts of hosts.yaml"
            raise Forbidden(f"{host!r:.100} is no name of this machine", hint=hint)
        _check_asker(headers, host, method)

    def _is_ours(self, name: str, local: str) -> bool:
        """By name, or by the address where the request came in; of this machine to itself by any of loopback."""
        if name == local or name in self._names or name in map(str.lower, self._api().hosts):
            return True
        try:
            return is_loopback(name) and is_loopback(local)
        except ValueError:
            return False


def own_names(name: str) -> frozenset[str]:
    """What this machine is called, in small letters."""
    short = name.lower().partition(".")[0]
    return frozenset({"localhost", name.lower(), short, f"{short}.local"})


def name_of(host: str) -> str:
    """The name in a `Host` header, in small letters, without port, brackets and final dot."""
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.partition(":")[0].lower().removesuffix(".")


def _check_asker(headers: Mapping[str, str], host: str, method: str) -> None:
    """Raises Forbidden where a page asks that was not served here. A link that a person follows is none."""
    origin = headers.get("origin")
    site, follows = headers.get("sec-fetch-site"), headers.get("sec-fetch-mode") == "navigate"
    foreign = origin is not None and origin.lower().partition("://")[2] != host.lower()
    if foreign or (site in ELSEWHERE and not (follows and method == "GET")):
        raise Forbidden(
            f"a page of {origin or 'another origin'!s:.100} asks: pages in a browser may not",
            hint="ask from a program: curl, or the client of your language",
        )


def _check_type(headers: Mapping[str, str]) -> None:
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if not _has_body(headers) or kind == JSON or kind.endswith("+json"):
        return
    raise WrongType(
        f"the body has the content type {kind or 'none'!r:.100}, expected {JSON}",
        hint=f"send the header Content-Type: {JSON}",
    )


def _has_body(headers: Mapping[str, str]) -> bool:
    return "transfer-encoding" in headers or headers.get("content-length", "0") != "0"
