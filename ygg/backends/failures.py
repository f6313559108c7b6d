"""What a server's refusal, or a broken connection, means: the one place that reads error bodies.

Error bodies have three shapes: `{"error": "text"}` (Ollama), `{"error": {"message", "type", "code"}}`
(llama.cpp, vLLM), and the HTML page of some proxy in front. Out of memory and a prompt that is too long
are told apart by their text alone.
"""

from __future__ import annotations

import asyncio
import errno
import json
import math
import os
import re
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any

import aiohttp
import httpx

from ygg.model import Health, HostHealth, OutcomeKind
from ygg.ports import CallFailed

#: Everything httpx over aiohttp raises when a connection or a message is bad.
FOREIGN = (
    httpx.HTTPError,
    httpx.InvalidURL,
    aiohttp.ClientError,
    aiohttp.http_exceptions.HttpProcessingError,
    OSError,
    RuntimeError,  # aiohttp: the session is closed
    ValueError,
)

#: Ollama's own list (`llm/status.go`); vLLM and llama.cpp pass the same texts of CUDA on.
OUT_OF_MEMORY = (
    "out of memory",
    "out of device memory",
    "outofmemory",
    "cudamalloc failed",
    "hipmalloc failed",
    "failed to allocate",
    "allocation failed",
    "not enough memory",
    "insufficient memory",
    "vk_error_out_of_device_memory",
)
TOO_LONG = (
    "exceed_context_size",
    "exceeds the available context size",
    "maximum context length",
    "input_tokens",
    "input length exceeds",
    "exceeds the context",
    "prompt too long",
    "prompt is too long",
    "too large to process",  # llama.cpp, of a text to embed: a 500
)
CANNOT = ("does not support", "not_supported_error")
RETRY_AFTER_MAX_S = 86_400.0
MESSAGE_MAX = 500


def from_status(status: int, headers: Mapping[str, str], body: bytes) -> CallFailed:
    """What an HTTP answer other than 200 means."""
    message, kind, _ = read_error(body)
    if status in (301, 302, 303, 307, 308):
        where = headers.get("location", "elsewhere")
        message = f"redirected to {where}: put the final address in hosts.yaml"
    later = retry_after_s(headers) if status >= 400 else None
    return _failure(status, f"HTTP {status}: {message}", kind, later)


def from_error(error: Any) -> CallFailed:
    """What an error object inside a stream means; without a code it counts as a 500."""
    message, kind, code = read_error(json.dumps({"error": error}).encode())
    status = code if code is not None and code >= 400 else 500
    return _failure(status, f"error in the stream: {message}", kind, None)


def _failure(status: int, message: str, kind: str, later: float | None) -> CallFailed:
    outcome = classify(status, f"{kind} {message}".lower())
    sick = outcome is OutcomeKind.ERROR and status >= 500
    return CallFailed(outcome, message, retry_after_s=later, broken=sick)


def classify(status: int, text: str) -> OutcomeKind:
    """The outcome for a status and the lower-case text of the error."""
    if status in (401, 403):
        return OutcomeKind.UNAUTHORIZED
    if status >= 500 and any(t in text for t in OUT_OF_MEMORY):
        return OutcomeKind.OUT_OF_MEMORY
    if status in (429, 503):
        return OutcomeKind.BUSY
    if any(t in text for t in TOO_LONG) or status in (404, 405, 413, 501):
        return OutcomeKind.REFUSED
    if status in (400, 422):
        return OutcomeKind.REFUSED if any(t in text for t in CANNOT) else OutcomeKind.BAD_REQUEST
    return OutcomeKind.ERROR


def read_error(body: bytes) -> tuple[str, str, int | None]:
    """(message, type, code) of an error body of any of the known shapes."""
    text = body.decode("utf-8", "replace").strip()
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        return _page_title(text)[:MESSAGE_MAX] or "empty body", "", None
    error = data.get("error", data.get("detail", data)) if isinstance(data, dict) else data
    if not isinstance(error, dict):
        return clean(str(error))[:MESSAGE_MAX], "", None
    code = error.get("code")
    message = clean(str(error.get("message") or json.dumps(error)))[:MESSAGE_MAX]
    return message, clean(str(error.get("type", ""))), code if isinstance(code, int) else None


def clean(text: str) -> str:
    """The text with lone surrogates replaced: JSON can escape them, nothing can store them."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _page_title(text: str) -> str:
    """A web page's title, or the text itself when it is none."""
    if not text.lstrip().lower().startswith(("<!doctype", "<html")):
        return text
    title = re.search(r"<title>(.*?)</title>", text, re.IGNORECASE | re.DOTALL)
    return f"a web page titled {title[1].strip()!r}" if title else "a web page"


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """`Retry-After` in seconds, from a number or a date (against the server's own `Date`)."""
    value = headers.get("retry-after", "").strip()
    try:
        seconds = float(value) if value[:1].isdigit() else _until(value, headers.get("date"))
    except (ValueError, TypeError, OverflowError):
        return None
    return min(max(seconds, 0.0), RETRY_AFTER_MAX_S) if math.isfinite(seconds) else None


def _until(date: str, server_date: str | None) -> float:
    """Seconds until an HTTP date. The server's clock is the one that counts, where it tells it."""
    now = parsedate_to_datetime(server_date).timestamp() if server_date else time.time()
    return parsedate_to_datetime(date).timestamp() - now


def malformed(line: bytes) -> CallFailed:
    """A 200 whose body is not the protocol's."""
    text = _page_title(line[:2000].decode("utf-8", "replace"))[:120]
    return CallFailed(OutcomeKind.ERROR, f"malformed answer: {text}")


def unfinished() -> CallFailed:
    return CallFailed(OutcomeKind.ERROR, "the answer ended without its end marker", broken=True)


def silent(limit_s: float, what: str) -> CallFailed:
    return CallFailed(OutcomeKind.ERROR, f"{what} for {limit_s:g} s", broken=True)


def from_transport(exc: Exception) -> CallFailed:
    """What a transport's exception means: no connection, or one that broke."""
    cause = _cause(exc)
    text = str(cause) or type(cause).__name__
    if no_descriptor(exc):
        text = "ygg has no file descriptor left: raise its limit (ulimit -n, LimitNOFILE)"
        return CallFailed(OutcomeKind.WITHDRAWN, text)
    if isinstance(cause, aiohttp.ClientConnectorError):
        number = cause.errno or 0
        why = os.strerror(number) if number > 0 else str(cause.os_error)
        where = f"{cause.host}:{cause.port}"
        return CallFailed(OutcomeKind.UNREACHABLE, f"cannot connect to {where}: {why}")
    if isinstance(cause, aiohttp.ConnectionTimeoutError):
        return CallFailed(OutcomeKind.UNREACHABLE, text)
    if isinstance(cause, aiohttp.InvalidURL | httpx.InvalidURL | httpx.UnsupportedProtocol):
        return CallFailed(OutcomeKind.UNREACHABLE, f"bad address: {text}")
    return CallFailed(OutcomeKind.ERROR, f"the connection broke: {text}", broken=True)


def no_descriptor(exc: Exception) -> bool:
    """Whether it is our own trouble: no connection could be made for want of a file descriptor."""
    return getattr(_cause(exc), "errno", None) in (errno.EMFILE, errno.ENFILE)


#: What a check that failed so tells of the host; nothing where we could not even ask.
_HEALTH = {
    OutcomeKind.UNAUTHORIZED: HostHealth.UNAUTHORIZED,  # its key is at fault: a matter of hosts.yaml
    OutcomeKind.WITHDRAWN: HostHealth.UNKNOWN,
}


def health_of(failed: CallFailed) -> Health:
    """The finding of a check that got no answer."""
    return Health(_HEALTH.get(failed.kind, HostHealth.DOWN), message=failed.message)


def hung_up(exc: Exception) -> bool:
    """Whether the server closed a connection without having answered on it."""
    cause = _cause(exc)
    reset = isinstance(cause, aiohttp.ClientOSError | ConnectionError)
    return isinstance(cause, aiohttp.ServerDisconnectedError) or (
        reset and not isinstance(cause, aiohttp.ClientConnectorError)
    )


def _cause(exc: BaseException) -> BaseException:
    """aiohttp's exception behind httpx's, which is the more exact of the two."""
    cause = exc.__cause__
    return cause if isinstance(cause, aiohttp.ClientError | asyncio.TimeoutError) else exc
