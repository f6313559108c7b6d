"""What the CLI calls: a Desk, here the running daemon over its unix socket.

Kept light on purpose: `ygg submit` imports this and nothing heavier than http.client.
"""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol, cast
from urllib.parse import quote, urlencode

from ygg import errors, paths
from ygg.errors import Unavailable, YggError

JsonDict = dict[str, Any]
CONNECT_S = 5.0
LONG_POLL_S = 30.0
EPILOGUE_S = 30.0  #: how much longer than a long poll an answer may take


class Desk(Protocol):
    """The verbs of the CLI, JSON-shaped, with a daemon (`Remote`) or without one (`OfflineDesk`)."""

    where: str
    online: bool

    def submit(self, docs: list[Any], *, atomic: bool = False) -> list[JsonDict]:
        """In order, for each document its task with `existing`, or `{"error": …}`."""
        ...

    def tasks(self, **query: Any) -> JsonDict: ...
    def show(self, task_id: str) -> JsonDict: ...
    def result(self, task_id: str) -> JsonDict: ...
    def wait(self, task_id: str, timeout_s: float) -> JsonDict: ...
    def follow(self, task_id: str) -> Iterator[JsonDict]: ...
    def cancel(self, task_id: str, *, running: bool = True) -> JsonDict: ...
    def retry(
        self, ids: list[str] | None = None, *, states: list[str] | None = None
    ) -> JsonDict: ...
    def prioritize(self, task_id: str, priority: int | str) -> JsonDict: ...
    def why(self, task_id: str) -> JsonDict: ...
    def status(self, *, probe: bool = True) -> JsonDict: ...
    def close(self) -> None: ...


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
        body = None if doc is None else json.dumps(doc, allow_nan=False).encode()
        status, raw = self._exchange(method, url, body)
        try:
            answer = json.loads(raw)
        except ValueError:
            raise Unavailable(f"{self.where} answered no JSON (status {status})") from None
        if status >= 400:
            raise _error(status, answer)
        return answer

    def _exchange(self, method: str, url: str, body: bytes | None) -> tuple[int, bytes]:
        headers = {"Content-Type": "application/json"} if body is not None else {}
        for last in (False, True):
            try:
                self._connection.request(method, url, body, headers)
                response = self._connection.getresponse()
                return response.status, response.read()
            except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError) as error:
                self._connection.close()
                # A request that may have been taken is not sent twice, unless it only reads.
                if last or method != "GET":
                    raise Unavailable(
                        f"{self.where} closed the connection", hint="ygg list shows what was stored"
                    ) from error
            except (TimeoutError, OSError) as error:
                self._connection.close()
                raise Unavailable(
                    f"{self.where} does not answer: {error}", hint="ygg status"
                ) from error
        raise AssertionError("unreachable")

    # --- verbs ---------------------------------------------------------------------------------

    def submit(self, docs: list[Any], *, atomic: bool = False) -> list[JsonDict]:
        answer = self._call("POST", "/v1/tasks", {"tasks": docs, "atomic": atomic})
        return cast("list[JsonDict]", answer["tasks"])

    def tasks(self, **query: Any) -> JsonDict:
        given = {k: v for k, v in query.items() if v is not None}
        return cast("JsonDict", self._call("GET", f"/v1/tasks?{urlencode(given, doseq=True)}"))

    def show(self, task_id: str) -> JsonDict:
        return self._task(task_id)

    def result(self, task_id: str) -> JsonDict:
        return self._task(task_id, "/result")

    def wait(self, task_id: str, timeout_s: float) -> JsonDict:
        return self._task(task_id, f"/wait?timeout={min(timeout_s, LONG_POLL_S):g}")

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
                    yield json.loads(line[6:])
        except (OSError, http.client.HTTPException) as error:
            raise Unavailable(
                f"{self.where} closed the stream", hint=f"ygg wait {task_id}"
            ) from error
        finally:
            connection.close()


def _quoted(task_id: str) -> str:
    return quote(task_id, safe="")


_BY_CODE = {
    kind.code: kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, YggError)
}


def _error(status: int, answer: Any) -> YggError:
    """The daemon's error as the same class it was there."""
    told = answer.get("error") if isinstance(answer, dict) else None
    if not isinstance(told, dict):
        if status == 409 and isinstance(answer, dict):
            return errors.Conflict(
                f"task {answer.get('task_id')} has not ended: {answer.get('state')}"
            )
        return YggError(f"the daemon answered with status {status}")
    return error_of(told)


def error_of(told: JsonDict) -> YggError:
    """An error body as the class it stands for."""
    kind = _BY_CODE.get(told.get("code", ""), YggError)
    return kind(told.get("message", "unknown error"), hint=told.get("hint", ""))
