"""The HTTP side that all drivers share: httpx's transport interface over aiohttp's connections.

The pool is unbounded: the dispatcher's gate is the queue. Proxies of the environment are ignored. Each
phase has its own limit; nothing here retries, but for a pooled connection that the server had already
closed: that one is replaced at once, because the request was never read.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import cast

import aiohttp
import httpx
from httpx_aiohttp import AiohttpTransport

from ygg import __version__
from ygg.backends import failures
from ygg.backends.values import as_object
from ygg.config import keys
from ygg.errors import ConfigError
from ygg.model import Call, CallLimits, Endpoint, JsonDict, OutcomeKind
from ygg.ports import CallFailed

KEEP_IDLE_S = 4.0  #: llama.cpp and uvicorn (vLLM) close idle connections after 5 s
STALE_WITHIN_S = 1.0  #: a pooled connection that breaks sooner than this was stale
ERROR_BODY_MAX = 65_536
ERROR_BODY_S = 5.0
DESCRIPTOR_TRIES, DESCRIPTOR_S = 8, 0.25
UNLOAD_S = 10.0  #: for freeing a model's memory
HEAVY = 200_000  #: characters of one text
LINE_MAX = 4_194_304  #: bytes of one line of a stream; real ones have hundreds
WHOLE_MAX = 8_388_608  #: bytes of an answer that is no stream: about 100 vectors of 4,096 numbers
BODY_MAX = 4_194_304  #: bytes of the answer to a check
_dumps = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode


@dataclass(frozen=True, slots=True)
class Got:
    """The answer to a small GET. `data` is the JSON object, or {} when the body is none."""

    status: int
    server: str
    data: JsonDict
    text: str


class Http:
    """The connections to one endpoint. `reuse` tells whether connections serve more than one call."""

    def __init__(self, endpoint: Endpoint, *, reuse: bool = True, root: str | None = None) -> None:
        self.base = (root or endpoint.url).rstrip("/")
        self.reuse = reuse
        self._headers = [
            ("Content-Type", "application/json"),
            ("Accept-Encoding", "identity"),
            ("User-Agent", f"ygg/{__version__}"),
        ]
        self._endpoint = endpoint
        self._authorized = endpoint.api_key_file is None
        self._urls: dict[str, httpx.URL] = {}
        self._pooled = _transport(self.base, reuse=True)
        self._fresh = _transport(self.base, reuse=False)

    async def post(self, path: str, body: JsonDict, call: Call) -> Reply:
        """Send a call and wait for the head of its answer.

        Raises CallFailed for everything but a 200.
        """
        limits = call.limits
        content = await asyncio.to_thread(_encode, body) if _heavy(body) else _encode(body)
        begun = asyncio.get_running_loop().time()
        await self._authorize()
        try:
            request = self._request("POST", path, limits.connect_s, content, call)
            async with asyncio.timeout(limits.connect_s + limits.first_token_s):
                response = await self._send(request)
        except TimeoutError as exc:
            raise failures.silent(limits.first_token_s, "no answer") from exc
        except failures.FOREIGN as exc:
            raise failures.from_transport(exc) from exc
        reply = Reply(response, begun, limits)
        if response.status_code != 200:
            raise await reply.failure()
        return reply

    async def get(self, path: str, timeout_s: float) -> Got:
        """A small GET. Raises CallFailed when there is no whole answer within `timeout_s`."""
        return await self._small("GET", path, timeout_s)

    async def tell(self, path: str, body: JsonDict, timeout_s: float) -> Got:
        """A small POST whose answer is one JSON object. Raises as `get`."""
        return await self._small("POST", path, timeout_s, _encode(body))

    async def _small(self, method: str, path: str, timeout_s: float, content: bytes = b"") -> Got:
        await self._authorize()
        try:
            request = self._request(method, path, timeout_s, content)
            async with asyncio.timeout(timeout_s):
                response = await self._send(request)
                body = await _read(response, BODY_MAX)
        except TimeoutError as exc:
            raise CallFailed(OutcomeKind.UNREACHABLE, f"no answer within {timeout_s:g} s") from exc
        except failures.FOREIGN as exc:
            raise failures.from_transport(exc) from exc
        server = response.headers.get("server", "")
        return Got(
            response.status_code, server, as_object(body) or {}, failures.read_error(body)[0]
        )

    async def _authorize(self) -> None:
        """Have the API key. CallFailed where its file holds none: it is read again for the next request."""
        if self._authorized:
            return
        try:
            header = await asyncio.to_thread(authorization, self._endpoint)
        except ConfigError as error:
            text = f"{error.message}: {error.hint}"
            raise CallFailed(OutcomeKind.UNAUTHORIZED, text) from None
        if not self._authorized:
            self._headers += header
            self._authorized = True

    async def close(self) -> None:
        """Close every connection, also those in use."""
        await self._pooled.aclose()
        await self._fresh.aclose()

    def _request(
        self,
        method: str,
        path: str,
        connect_s: float,
        content: bytes = b"",
        call: Call | None = None,
    ) -> httpx.Request:
        headers = self._headers if call is None else [*self._headers, *_names(call)]
        # "pool" is aiohttp's limit for the whole way to a connection, name look-up included.
        limits = {"connect": connect_s, "pool": connect_s, "read": None, "write": None}
        return httpx.Request(
            method,
            self._url(path),
            headers=headers,
            content=content,
            extensions={"timeout": limits},
        )

    def _url(self, path: str) -> httpx.URL:
        """Parsed once: parsing is a twentieth of a short call. Raises httpx.InvalidURL."""
        url = self._urls.get(path)
        if url is None:
            url = self._urls[path] = httpx.URL(self.base + path)
        return url

    async def _send(self, request: httpx.Request) -> httpx.Response:
        """The head of the answer. Where ygg has no descriptor left, one is waited for, a little."""
        for _ in range(DESCRIPTOR_TRIES):
            try:
                return await self._sent(request)
            except failures.FOREIGN as exc:
                if not failures.no_descriptor(exc):
                    raise
            await asyncio.sleep(DESCRIPTOR_S)
        return await self._sent(request)

    async def _sent(self, request: httpx.Request) -> httpx.Response:
        if not self.reuse:
            return await self._fresh.handle_async_request(request)
        loop = asyncio.get_running_loop()
        begun = loop.time()
        try:
            return await self._pooled.handle_async_request(request)
        except failures.FOREIGN as exc:
            if not failures.hung_up(exc) or loop.time() - begun > STALE_WITHIN_S:
                raise
        return await self._fresh.handle_async_request(request)


class Reply:
    """The answer to a call under the phase limits. They count only while this waits for the server: who
    takes its time between two reads takes it from nobody."""

    def __init__(self, response: httpx.Response, begun: float, limits: CallLimits) -> None:
        self.response = response
        self._chunks = cast("AsyncGenerator[bytes, None]", aiter(_stream_of(response)))
        self._rest = b""
        self._first_s, self._between_s = limits.first_token_s, limits.between_tokens_s
        self._now = asyncio.get_running_loop().time
        self._left = begun + limits.first_token_s - self._now()
        self._begun = False

    def token(self) -> None:
        """A token has come: the next one may take as long as the limit between tokens."""
        self._begun, self._left = True, self._between_s

    async def lines(self) -> list[bytes]:
        """The whole lines that came next, without their ends; an empty list at the end of the body.

        Raises CallFailed when the server sends no token for too long or the connection breaks.
        """
        while True:
            try:
                chunk = await self._chunk()
            except StopAsyncIteration:
                rest, self._rest = self._rest, b""
                return [rest] if rest else []
            *lines, self._rest = (self._rest + chunk).split(b"\n")
            if lines:
                return lines
            if len(self._rest) > LINE_MAX:
                raise failures.malformed(self._rest)

    async def whole(self) -> bytes:
        """The body of an answer that does not stream, within the limit for the first token. CallFailed as
        `lines`, and BAD_REQUEST when it is too large."""
        body = bytearray()
        while len(body) <= WHOLE_MAX:
            try:
                body += await self._chunk()
            except StopAsyncIteration:
                return bytes(body)
        text = f"the answer is longer than {WHOLE_MAX:,} bytes: submit fewer texts at once"
        raise CallFailed(OutcomeKind.BAD_REQUEST, text)

    async def _chunk(self) -> bytes:
        begun = self._now()
        try:
            async with asyncio.timeout_at(begun + self._left):
                return await anext(self._chunks)
        except TimeoutError as exc:
            if self._begun:
                raise failures.silent(self._between_s, "no token") from exc
            raise failures.silent(self._first_s, "no first token") from exc
        except failures.FOREIGN as exc:
            raise failures.from_transport(exc) from exc
        finally:
            self._left -= self._now() - begun

    async def drain(self) -> None:
        """Read to the end after the end marker, so that the connection can be used again.

        What is wrong there no longer matters.
        """
        with contextlib.suppress(CallFailed, TimeoutError):
            async with asyncio.timeout(1.0):
                while await self.lines():
                    pass

    async def failure(self) -> CallFailed:
        """Read an error's body, close, and say what it means."""
        try:
            async with asyncio.timeout(ERROR_BODY_S):
                body = await _read(self.response, ERROR_BODY_MAX)
        except (TimeoutError, *failures.FOREIGN):
            body = b""
        finally:
            await self.close()
        return failures.from_status(self.response.status_code, self.response.headers, body)

    async def close(self) -> None:
        """Give the connection back, or close it at once when the answer is not whole."""
        with contextlib.suppress(*failures.FOREIGN):
            await self._chunks.aclose()
            await self.response.aclose()


async def _read(response: httpx.Response, most: int) -> bytes:
    """The whole body, cut at `most` bytes; the response is closed."""
    body = bytearray()
    try:
        async with contextlib.aclosing(
            cast("AsyncGenerator[bytes, None]", aiter(_stream_of(response)))
        ) as chunks:
            async for chunk in chunks:
                body += chunk
                if len(body) >= most:
                    break
    finally:
        await response.aclose()
    return bytes(body)


def _stream_of(response: httpx.Response) -> httpx.AsyncByteStream:
    return cast("httpx.AsyncByteStream", response.stream)


def with_system(messages: list[JsonDict], system: str | None) -> list[JsonDict]:
    """The messages with the system prompt first; a system message of the caller's own stays alone."""
    if system is None or (messages and messages[0].get("role") == "system"):
        return messages
    return [{"role": "system", "content": system}, *messages]


def _names(call: Call) -> list[tuple[str, str]]:
    """What a request says of itself: its call, unique in the world, and the attempts it carries."""
    attempts = ",".join(str(attempt.id) for attempt in call.attempts)
    return [("X-Ygg-Call", call.id), ("X-Ygg-Task", attempts)]


def _heavy(value: object) -> bool:
    """Whether a text in it is so long that the loop would be held up while it is written as JSON."""
    match value:
        case str():
            return len(value) > HEAVY
        case dict():
            return any(map(_heavy, value.values()))
        case list():
            return any(map(_heavy, value))
    return False


def _encode(body: JsonDict) -> bytes:
    try:
        return _dumps(body).encode()
    except (TypeError, ValueError) as exc:
        raise CallFailed(OutcomeKind.BAD_REQUEST, f"the request is no JSON: {exc}") from exc


async def ask(endpoint: Endpoint, path: str, timeout_s: float) -> tuple[int, str, JsonDict]:
    """Status, Server header and JSON object ({} for anything else) of one small GET.

    Raises CallFailed without an answer, and when the API key cannot be read.
    """
    http = Http(endpoint, reuse=False)
    try:
        got = await http.get(path, timeout_s)
    finally:
        await http.close()
    return got.status, got.server, got.data


def authorization(endpoint: Endpoint) -> list[tuple[str, str]]:
    """The header of the endpoint's API key. ConfigError when its file cannot be used."""
    if endpoint.api_key_file is None:
        return []
    try:
        key = keys.api_key(Path(endpoint.api_key_file).expanduser())
    except ConfigError as error:
        text = f"api_key_file holds no key: got {error.message}"
        raise ConfigError(text, hint=error.hint) from None
    return [("Authorization", f"Bearer {key}")]


def _transport(base: str, *, reuse: bool) -> AiohttpTransport:
    secure = base.startswith("https:")
    context = _trusted() if secure else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)

    def session() -> aiohttp.ClientSession:
        options = {"keepalive_timeout": KEEP_IDLE_S} if reuse else {"force_close": True}
        connector = aiohttp.TCPConnector(limit=0, ssl=context, **options)
        jar = aiohttp.DummyCookieJar()
        return aiohttp.ClientSession(connector=connector, cookie_jar=jar, trust_env=False)

    return AiohttpTransport(verify=context, trust_env=False, client=session)


@cache  # making one reads a large file
def _trusted() -> ssl.SSLContext:
    return httpx.create_ssl_context(trust_env=False)
