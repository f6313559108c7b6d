"""The running daemon as a Desk, over its unix socket.

Kept light on purpose: `ygg submit` imports this and nothing heavier than http.client.
"""

from __future__ import annotations

import http.client
import json
import select
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import quote, urlencode

from ygg import errors, paths
from ygg.desk import LONG_POLL_S, JsonDict, error_of, in_parts, raise_told, waited
from ygg.errors import InvalidInput, Unavailable, YggError

if TYPE_CHECKING:
    from ygg.model import Snapshot

CONNECT_S = 5.0
EPILOGUE_S = 30.0  #: how much longer than a long poll an answer may take


def connect(explicit: str | None, env: Mapping[str, str]) -> Remote | None:
    """The daemon at the first socket that answers; None when there is none.

    A socket that is there but may not be opened is an error, never a reason to write elsewhere: the
    task would wait in a database nobody looks at.
    """
    if explicit is not None and not Path(explicit).exists():
        raise Unavailable(
            f"no socket at {explicit}", hint="is the daemon running? ygg loop --async"
        )
    for path in paths.client_sockets(explicit, env):
        remote = _try(path)
        if remote is not None:
            return remote
        if explicit is not None:
            raise Unavailable(f"nobody answers on {explicit}", hint="is the daemon running?")
    return None


def _try(path: Path) -> Remote | None:
    try:
        return Remote(path)
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

    def renew(self) -> None:
        """Drop a connection that the daemon has closed since: an idle one is readable only then."""
        if self.sock is None:
            return
        idle = select.poll()
        idle.register(self.sock, select.POLLIN)
        if idle.poll(0):
            self.close()


_CUT = (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError)


class Remote:
    """A Desk over the daemon's socket, on one connection that is renewed once when it broke."""

    online = True

    def __init__(self, path: Path) -> None:
        self._path = path
        self.where = f"daemon at {path}"
        self._connection = _Connection(path)
        self._connection.connect()

    def close(self) -> None:
        self._connection.close()

    # --- HTTP ----------------------------------------------------------------------------------

    def _call(self, method: str, url: str, doc: JsonDict | None = None) -> Any:
        body = None if doc is None else _encoded(doc)
        status, raw, retry_after = self._exchange(method, url, body)
        try:
            answer = json.loads(raw)
        except ValueError:
            raise Unavailable(f"{self.where} answered no JSON (status {status})") from None
        if status >= 400:
            raise _error(status, answer, retry_after)
        return answer

    def _exchange(self, method: str, url: str, body: bytes | None) -> tuple[int, bytes, str | None]:
        """Status, body and Retry-After of one request. Unavailable when there is no answer."""
        self._connection.renew()
        try:
            return self._ask(method, url, body)
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
            return self._ask(method, url, body)
        except (OSError, http.client.HTTPException) as error:
            raise self._silent(error) from error

    def _ask(self, method: str, url: str, body: bytes | None) -> tuple[int, bytes, str | None]:
        headers = {"Content-Type": "application/json"} if body is not None else {}
        self._connection.request(method, url, body, headers)
        response = self._connection.getresponse()
        return response.status, response.read(), response.headers.get("Retry-After")

    def _silent(self, error: Exception) -> Unavailable:
        self._connection.close()
        return Unavailable(f"{self.where} does not answer: {error}", hint="ygg status")

    # --- verbs ---------------------------------------------------------------------------------

    def submit(self, docs: list[Any], *, atomic: bool = False) -> list[JsonDict]:
        def part(docs: list[Any]) -> list[JsonDict]:
            answer = self._call("POST", "/v1/tasks", {"tasks": docs, "atomic": atomic})
            return cast("list[JsonDict]", answer["tasks"])

        return in_parts(part, docs, atomic=atomic)

    def tasks(self, **query: Any) -> JsonDict:
        given = {k: v for k, v in query.items() if v is not None}
        return cast("JsonDict", self._call("GET", f"/v1/tasks?{urlencode(given, doseq=True)}"))

    def show(self, task_id: str) -> JsonDict:
        return self._task(task_id)

    def result(self, task_id: str) -> JsonDict:
        return self._task(task_id, "/result")

    def wait(self, task_id: str, timeout_s: float) -> JsonDict:
        return waited(lambda left: self._task(task_id, f"/wait?timeout={left:.3f}"), timeout_s)

    def why(self, task_id: str) -> JsonDict:
        return self._task(task_id, "/why")

    def cancel(self, task_id: str, *, running: bool = True) -> JsonDict:
        url = f"/v1/tasks/{_quoted(task_id)}/cancel?running={str(running).lower()}"
        return cast("JsonDict", self._call("POST", url))

    def retry(self, ids: list[str] | None = None, *, states: list[str] | None = None) -> JsonDict:
        doc = {"ids": ids} if states is None else {"states": states}
        return cast("JsonDict", self._call("POST", "/v1/tasks/retry", doc))

    def prioritize(self, task_id: str, priority: int | str) -> JsonDict:
        url = f"/v1/tasks/{_quoted(task_id)}/priority"
        return cast("JsonDict", self._call("POST", url, {"priority": priority}))

    def status(self, *, probe: bool = True) -> JsonDict:
        return cast("JsonDict", self._call("GET", f"/v1/status?probe={str(probe).lower()}"))

    def snapshot(self) -> Snapshot:
        """The dispatcher as it is now, for `ygg top`."""
        from ygg.model import Snapshot
        from ygg.model.transfer import from_plain

        body = self._call("GET", "/v1/snapshot")
        try:
            return from_plain(Snapshot, body["snapshot"])
        except (KeyError, TypeError, ValueError) as error:
            text = f"{self.where} runs another version of ygg: its snapshot is not understood"
            raise Unavailable(text, hint="restart the daemon after an upgrade") from error

    def hosts(self) -> JsonDict:
        return cast("JsonDict", self._call("GET", "/v1/hosts"))

    def probe(self, host: str | None = None) -> list[JsonDict]:
        if host is None:
            return cast("list[JsonDict]", self.status(probe=True)["hosts"])
        return [self._call("POST", f"/v1/hosts/{_quoted(host)}/probe")]

    def drain_host(self, host: str, drained: bool) -> JsonDict:
        verb = "drain" if drained else "resume"
        return cast("JsonDict", self._call("POST", f"/v1/hosts/{_quoted(host)}/{verb}"))

    def queue(self) -> JsonDict:
        return cast("JsonDict", self._call("GET", "/v1/queue"))

    def pause(self, paused: bool) -> JsonDict:
        return cast("JsonDict", self._call("POST", f"/v1/queue/{'pause' if paused else 'resume'}"))

    def tuning(self, host: str | None = None, *, days: int = 7) -> JsonDict:
        given = {"days": days} | ({} if host is None else {"host": host})
        return cast("JsonDict", self._call("GET", f"/v1/tuning?{urlencode(given)}"))

    def _task(self, task_id: str, rest: str = "") -> JsonDict:
        return cast("JsonDict", self._call("GET", f"/v1/tasks/{_quoted(task_id)}{rest}"))

    def follow(self, task_id: str) -> Iterator[JsonDict]:
        """Server-sent events, on a connection of their own; silence is no error here."""
        connection = _Connection(self._path)
        try:
            connection.timeout = None
            connection.request("GET", f"/v1/tasks/{_quoted(task_id)}/follow")
            response = connection.getresponse()
            if response.status >= 400:
                raise _error(response.status, json.loads(response.read()))
            for line in response:
                if line.startswith(b"data: "):
                    event = json.loads(line[6:])
                    raise_told(event)
                    yield event
                    if event["event"] == "end":
                        return
            raise Unavailable(f"{self.where} ended the stream", hint=f"ygg wait {task_id}")
        except (OSError, http.client.HTTPException) as error:
            raise Unavailable(
                f"{self.where} closed the stream", hint=f"ygg wait {task_id}"
            ) from error
        finally:
            connection.close()


def _encoded(doc: JsonDict) -> bytes:
    try:
        return json.dumps(doc, allow_nan=False).encode()
    except ValueError:
        raise InvalidInput("a number is NaN or infinite, which JSON cannot say") from None


def _quoted(task_id: str) -> str:
    return quote(task_id, safe="")


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
