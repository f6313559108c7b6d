"""The running daemon behind a Desk, over its unix socket.

Kept light on purpose: `ygg submit` imports this and nothing heavier than http.client.
"""

from __future__ import annotations

import http.client
import json
import os
import select
import socket
import struct
import threading
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from ygg import errors, meant, paths
from ygg.desk import LONG_POLL_S, Desk, error_of
from ygg.errors import InvalidInput, Unavailable, YggError
from ygg.locking import POLL_S, WAIT_S, Owner
from ygg.verbs import Asked, JsonDict

CONNECT_S = 5.0
SLOW_S = 3.0  #: a person is told of an answer that takes longer
EPILOGUE_S = 30.0  #: how much longer than a long poll an answer may take


def connect(
    explicit: str | None, env: Mapping[str, str], *, slow: Callable[[str], None] | None = None
) -> Desk | None:
    """The daemon of the queue that is meant; None where it has none, and its database may be opened without.
    `slow` is told, from another thread, of an answer that is long in coming.

    One that has the database and does not listen yet is waited for. A queue that only its daemon may open is an
    error without it, and so is a socket that may not be opened, or that somebody else listens on: never a reason
    to write elsewhere, where the task would wait in a database that nobody looks at.
    """
    give_up = time.monotonic() + WAIT_S
    while True:
        queue = meant.queue(explicit, env)
        for door in queue.doors:
            remote = _try(door, slow)
            if remote is not None:
                return Desk(remote)
        if queue.database is None:
            raise _nobody(queue)
        if queue.owner is None or queue.owner.socket is None:
            return None  # nobody has it, or somebody who listens nowhere
        if time.monotonic() >= give_up:
            raise _mute(queue.owner)
        time.sleep(POLL_S)


def _nobody(queue: meant.Queue) -> Unavailable:
    where = queue.doors[0].socket
    if queue.service:
        return Unavailable(
            f"the ygg service is installed here, but nobody listens on {where}",
            hint=f"{queue.service}; for a queue of your own beside it set YGG_STATE to a directory",
        )
    if not os.access(where, os.F_OK):
        return Unavailable(f"no socket at {where}", hint="is the daemon running? ygg loop --async")
    return Unavailable(f"nobody answers on {where}", hint="is the daemon running?")


def _mute(owner: Owner) -> Unavailable:
    where = f" on {owner.socket}" if owner.socket is not None else ""
    return Unavailable(
        f"the daemon (process {owner.process}) has the database and does not answer{where}",
        hint="ygg doctor; a start after an upgrade can take minutes: its log says so",
    )


def _try(door: meant.Door, slow: Callable[[str], None] | None) -> Remote | None:
    path = door.socket
    if paths.too_long(path):
        return None  # no daemon can be there
    try:
        return Remote(path, door.user, slow)
    except (FileNotFoundError, ConnectionRefusedError, NotADirectoryError):
        return None
    except PermissionError as error:
        raise Unavailable(
            f"the daemon's socket {path} may not be opened by you",
            hint="join its group, then log in again: sudo usermod -aG ygg $USER",
        ) from error
    except OSError as error:
        raise Unavailable(
            f"{path}: {error.strerror or error}", hint="is this ygg's socket?"
        ) from error


class _Connection(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("ygg", timeout=LONG_POLL_S + EPILOGUE_S)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(CONNECT_S)
        try:
            self.sock.connect(str(self._path))
        except OSError:
            self.sock.close()
            raise
        self.sock.settimeout(self.timeout)

    def listener(self) -> int:
        """The user who listens there."""
        assert self.sock is not None
        if not hasattr(socket, "SO_PEERCRED"):  # no Linux
            return self._path.stat().st_uid
        found = self.sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size)
        return int(_PEER.unpack(found)[1])

    def renew(self) -> None:
        """Drop a connection that the daemon has closed since: an idle one is readable only then."""
        if self.sock is None:
            return
        idle = select.poll()
        idle.register(self.sock, select.POLLIN)
        if idle.poll(0):
            self.close()


Body = bytes | Iterator[bytes] | None
_PEER = struct.Struct("3i")  # struct ucred: process, user, group
_CUT = (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError)


class Remote:
    """A Carrier over the daemon's socket, on one connection that is renewed once when it broke."""

    online = True

    def __init__(
        self, path: Path, user: int | None = None, slow: Callable[[str], None] | None = None
    ) -> None:
        """`user`: who must listen there, if not the system. Raises OSError, Unavailable."""
        self._path, self._slow = path, slow
        self.where = f"daemon at {path}"
        self._connection = _Connection(path)
        self._connection.connect()
        if user is not None:
            self._expect(user)

    def _expect(self, user: int) -> None:
        found = self._connection.listener()
        if found in (user, 0):
            return
        self.close()
        raise Unavailable(
            f"the socket {self._path} belongs to another user ({found}): nothing was sent there",
            hint="unset XDG_RUNTIME_DIR after su or sudo; if you mean that daemon: --socket PATH",
        )

    def close(self) -> None:
        self._connection.close()

    def answer(self, asked: Asked) -> Any:
        sent = asked.sent or {}
        with self._watched(float(sent.get("timeout") or sent.get("wait") or 0)):
            status, raw, retry_after = self._exchange(*_http(asked))
        try:
            answer = json.loads(raw)
        except ValueError:
            raise Unavailable(f"{self.where} answered no JSON (status {status})") from None
        if status >= 400:
            raise _error(status, answer, retry_after)
        return answer

    @contextmanager
    def _watched(self, may_take_s: float) -> Iterator[None]:
        """Tell, once, of an answer that takes longer."""
        if self._slow is None:
            yield
            return
        timer = threading.Timer(SLOW_S + may_take_s, self._tell, (self._slow,))
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def _tell(self, slow: Callable[[str], None]) -> None:
        self._slow = None
        slow(f"the {self.where} does not answer yet: is it stopped, or busy? Ctrl-C gives up")

    def _exchange(
        self, method: str, url: str, body: Body, headers: dict[str, str]
    ) -> tuple[int, bytes, str | None]:
        """Status, body and Retry-After of one request. Unavailable when there is no answer."""
        self._connection.renew()
        try:
            return self._ask(method, url, body, headers)
        except _CUT as error:
            self._connection.close()
            # A request that may have been taken is not sent twice, unless it only reads.
            if method != "GET":
                raise Unavailable(
                    f"{self.where} closed the connection", hint="ygg list shows what was stored"
                ) from error
        except (OSError, http.client.HTTPException) as error:
            raise self._silent(error) from error
        try:
            return self._ask(method, url, body, headers)
        except (OSError, http.client.HTTPException) as error:
            raise self._silent(error) from error

    def _ask(
        self, method: str, url: str, body: Body, headers: dict[str, str]
    ) -> tuple[int, bytes, str | None]:
        try:
            self._connection.request(method, url, body, headers)
        except BrokenPipeError:
            if body is None or isinstance(body, bytes):
                raise
            # a file that is refused before its end: the answer says why
        response = self._connection.getresponse()
        return response.status, response.read(), response.headers.get("Retry-After")

    def _silent(self, error: Exception) -> Unavailable:
        self._connection.close()
        return Unavailable(f"{self.where} does not answer: {error}", hint="ygg status")

    def events(self, asked: Asked) -> Generator[JsonDict, None, None]:
        """Server-sent events, on a connection of their own; silence is no error here."""
        connection = _Connection(self._path)
        try:
            connection.timeout = None
            connection.request(*_http(asked))
            response = connection.getresponse()
            if response.status >= 400:
                raise _error(response.status, json.loads(response.read()))
            for line in response:
                if line.startswith(b"data: "):
                    yield json.loads(line[6:])
        except (OSError, http.client.HTTPException) as error:
            raise Unavailable(
                f"{self.where} closed the stream", hint=f"ygg wait {asked.target}"
            ) from error
        finally:
            connection.close()


def _http(asked: Asked) -> tuple[str, str, Body, dict[str, str]]:
    """Method, URL, body and headers of a request."""
    method, url = asked.verb.method, asked.url
    if "doc" in asked.verb.takes:
        return method, url, _encoded(asked.sent), {"Content-Type": "application/json"}
    sent = dict(asked.sent)
    form = sent.pop("upload", None)
    url = f"{url}?{urlencode(sent, doseq=True)}" if sent else url
    if form is None:
        return method, url, None, {}
    return method, url, form.pieces(), {"Content-Type": form.content_type}


def _encoded(doc: JsonDict) -> bytes:
    try:
        text = json.dumps(doc, allow_nan=False, ensure_ascii=False)
        return text.encode("utf-8", "surrogatepass")  # whoever reads it refuses half a character
    except ValueError:
        raise InvalidInput("a number is NaN or infinite, which JSON cannot say") from None


def _error(status: int, answer: Any, retry_after: str | None = None) -> YggError:
    """The daemon's error as the same class it was there."""
    told = answer.get("error") if isinstance(answer, dict) else None
    if not isinstance(told, dict):
        if status == 409 and isinstance(answer, dict):
            return errors.Conflict(
                f"task {answer.get('task_id')} has not ended: {answer.get('state')}"
            )
        return YggError(f"the daemon answered with status {status}")
    error = error_of(told)
    if retry_after is not None and retry_after.isdecimal():
        error.retry_after_s = float(retry_after)
    return error
