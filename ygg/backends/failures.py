"""What a server's refusal, or a broken connection, means: the one place that reads error bodies.

Error bodies have three shapes: `{"error": "text"}` (Ollama), `{"error": {"message", "type", "code"}}`
(llama.cpp, vLLM), and the HTML page of some proxy in front. One may hold another, as text. A server behind
another, or inside a stream, has no status: its code or its type says it. Out of memory and a prompt that is
too long are told apart by their text alone.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any

from ygg.backends.memory import exhausted
from ygg.model import PAUSE_MAX_S, Health, HostHealth, JsonDict, OutcomeKind
from ygg.ports import CallFailed

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
BUSY = ("server busy", "maximum pending requests exceeded", "overloaded")
#: What an error without a status is called, by the protocol's documents and in the servers' sources.
STATUS_OF = {
    "rate_limit_error": 429, "rate_limit_exceeded": 429, "insufficient_quota": 429, "too_many_requests": 429,
    "overloaded_error": 503, "unavailable_error": 503, "service_unavailable": 503, "server_busy": 503,
    "authentication_error": 401, "invalid_api_key": 401, "unauthorized": 401, "unauthorized_error": 401,
    "permission_error": 403, "permission_denied": 403, "forbidden": 403,
    "not_found_error": 404, "notfounderror": 404, "model_not_found": 404, "not_found": 404,
    "invalid_request_error": 400, "badrequesterror": 400, "bad_request": 400,
    "exceed_context_size_error": 400, "context_length_exceeded": 400, "not_supported_error": 501,
}  # fmt: skip
CANNOT = ("does not support", "not_supported_error")
SAYING = ("message", "msg", "error", "detail", "description", "title", "reason")  #: keys of a text
SECONDS = re.compile(r"[0-9]*\.?[0-9]+")
MESSAGE_MAX, READ_MAX = 500, 8000  #: characters of a text as it is told, and as it is looked at


def from_status(status: int, headers: Mapping[str, str], body: bytes) -> CallFailed:
    """What an HTTP answer other than 200 means."""
    message, kind, _ = read_error(body)
    if status in (301, 302, 303, 307, 308):
        where = line_of(headers.get("location", "elsewhere"))
        message = f"redirected to {where}: put the final address in hosts.yaml"
    later = retry_after_s(headers) if status >= 400 else None
    return _failure(status, f"HTTP {status}: {message}", kind, later)


def from_error(data: JsonDict) -> CallFailed:
    """What an object that tells an error inside a stream means; without a code it counts as a 500."""
    message, kind, code = read_error(json.dumps(data).encode())
    status = code if code is not None and code >= 400 else 500
    return _failure(status, f"error in the stream: {message}", kind, None)


def _failure(status: int, message: str, kind: str, later: float | None) -> CallFailed:
    outcome = classify(status, f"{kind} {message}".lower())
    sick = outcome is OutcomeKind.ERROR and status >= 500
    return CallFailed(outcome, message[:MESSAGE_MAX], retry_after_s=later, broken=sick)


def classify(status: int, text: str) -> OutcomeKind:
    """The outcome for a status and the lower-case text of the error."""
    if status in (401, 403):
        return OutcomeKind.UNAUTHORIZED
    if status >= 500 and exhausted(text):
        return OutcomeKind.OUT_OF_MEMORY
    if status in (429, 503) or (status >= 500 and any(t in text for t in BUSY)):
        return OutcomeKind.BUSY
    if any(t in text for t in TOO_LONG) or status in (404, 405, 413, 501):
        return OutcomeKind.REFUSED
    if status in (400, 422):
        return OutcomeKind.REFUSED if any(t in text for t in CANNOT) else OutcomeKind.BAD_REQUEST
    return OutcomeKind.ERROR


def read_error(body: bytes) -> tuple[str, str, int | None]:
    """(message, type, code) of an error body of any of the known shapes. The code may be a number, a number
    as text, or follow from the type."""
    text = body.decode("utf-8", "replace").strip()
    data = _loaded(text)
    if data is None:
        return line_of(_page_title(text)) or "empty body", "", None
    error = data.get("error") or data if isinstance(data, dict) else data
    inner = error if isinstance(error, dict) else {}
    outer = data if isinstance(data, dict) else {}
    kinds = [clean(str(d[k])) for d in (inner, outer) for k in ("type", "code") if d.get(k)]
    codes = [d.get(k) for d in (inner, outer) for k in ("code", "status", "status_code")]
    code = next((n for n in map(_number, codes) if n is not None), None)
    if code is None:
        code = next((STATUS_OF[k.lower()] for k in kinds if k.lower() in STATUS_OF), None)
    return line_of(_words(error)) or "an error without a text", " ".join(kinds)[:MESSAGE_MAX], code


def _loaded(text: str) -> Any:
    """The JSON of a text; None where it is none."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _number(code: object) -> int | None:
    """An HTTP status, also one that is written as text."""
    if isinstance(code, str) and code.isdecimal() and len(code) == 3:
        code = int(code)
    return code if isinstance(code, int) and not isinstance(code, bool) else None


def _words(error: Any, depth: int = 4) -> str:
    """What an error says, without the JSON around it; errors inside errors too."""
    if depth == 0:
        return "an error inside errors"
    if isinstance(error, str):
        return _unwrapped(error, depth)
    if isinstance(error, list):
        return "; ".join(filter(None, (_words(e, depth - 1) for e in error[:5])))
    if not isinstance(error, dict):
        return "" if error is None else str(error)[:MESSAGE_MAX]
    found = next((error[k] for k in SAYING if error.get(k)), None)
    if found is not None:
        return _words(found, depth - 1)
    plain = (f"{k} {v}" for k, v in error.items() if isinstance(v, str | int | float))
    return ", ".join(list(plain)[:5])


def _unwrapped(text: str, depth: int) -> str:
    """The text with an error in JSON at its end, as one server quotes another, replaced by what it says."""
    start = text.find("{")
    inner = _loaded(text[start:]) if start >= 0 else None
    if not isinstance(inner, dict):
        return text
    return text[:start] + _words(inner, depth - 1)


def line_of(text: str) -> str:
    """A server's text as part of one line, cut: with blanks for line ends and no other control character."""
    cut = clean(text[:READ_MAX])
    plain = "".join(c if c.isprintable() or c.isspace() else "\ufffd" for c in cut)
    return " ".join(plain.split())


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
    """`Retry-After` in seconds, `PAUSE_MAX_S` at most, from a number or a date (against the server's own `Date`, where
    it tells one). None when there is none, or nothing that can be read as one."""
    value = headers.get("retry-after", "").strip()
    seconds = float(value) if SECONDS.fullmatch(value) else _until(value, headers.get("date", ""))
    return None if seconds is None else min(max(seconds, 0.0), PAUSE_MAX_S)


def _until(date: str, server_date: str) -> float | None:
    """Seconds until an HTTP date."""
    at, now = _moment(date), _moment(server_date)
    return None if at is None else at - (time.time() if now is None else now)


def _moment(date: str) -> float | None:
    """Seconds since 1970 of an HTTP date; those without a zone are of UTC."""
    try:
        at = parsedate_to_datetime(date)
        return (at if at.tzinfo is not None else at.replace(tzinfo=UTC)).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None


def malformed(line: bytes) -> CallFailed:
    """A 200 whose body is not the protocol's."""
    text = line_of(_page_title(line[:READ_MAX].decode("utf-8", "replace")))[:120]
    return CallFailed(OutcomeKind.ERROR, f"malformed answer: {text}")


def untold(what: str) -> CallFailed:
    """An answer that says something which is not understood."""
    return CallFailed(OutcomeKind.ERROR, f"malformed answer: {what}")


def other_model(has: str, wanted: str) -> CallFailed:
    return CallFailed(OutcomeKind.REFUSED, f"the server has {has}, not {wanted}")


def packed(encoding: str, status: int = 200) -> CallFailed:
    """An answer in an encoding that nobody asked for."""
    what = "the answer is" if status == 200 else f"HTTP {status}, and the answer is"
    text = f"{what} compressed ({encoding}), though it was asked for as it is: switch that off in the proxy"
    return CallFailed(OutcomeKind.ERROR, text)


def unfinished() -> CallFailed:
    return CallFailed(OutcomeKind.ERROR, "the answer ended without its end marker", broken=True)


def silent(limit_s: float, what: str) -> CallFailed:
    text = f"{what} for {limit_s:g} s"
    return CallFailed(OutcomeKind.ERROR, text, broken=True, abandoned=True)


def chatter(lines: int, size: int) -> CallFailed:
    """A server that goes on sending but says nothing."""
    text = f"{lines:,} lines ({size:,} bytes) came without a word of an answer"
    return CallFailed(OutcomeKind.ERROR, text, broken=True, abandoned=True)


#: What a check that failed so tells of the host; nothing where we could not even ask.
_HEALTH = {
    OutcomeKind.UNAUTHORIZED: HostHealth.UNAUTHORIZED,  # its key is at fault: a matter of hosts.yaml
    OutcomeKind.WITHDRAWN: HostHealth.UNKNOWN,
}


def health_of(failed: CallFailed) -> Health:
    """The finding of a check that got no answer."""
    return Health(_HEALTH.get(failed.kind, HostHealth.DOWN), message=failed.message)
