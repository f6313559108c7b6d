"""The HTTP side that all drivers share: httpx's transport interface over aiohttp's connections.

The pool is unbounded: the dispatcher's gate is the queue. Proxies of the environment are ignored. Each
phase has its own limit; nothing here retries, but for a pooled connection that the server had already
closed: that one is replaced at once, because the request was never read.
"""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import aiohttp
import httpx
from httpx_aiohttp import AiohttpTransport

from ygg import __version__
from ygg.backends import failures, transport
from ygg.backends.bodies import JSON, Body, heavy, of_json
from ygg.backends.reply import Reply, read
from ygg.backends.secret import Secret
from ygg.backends.values import as_name, as_object
from ygg.config import keys
from ygg.errors import ConfigError
from ygg.model import Call, Endpoint, JsonDict, OutcomeKind
from ygg.ports import CallFailed

KEEP_IDLE_S = 4.0  #: llama.cpp and uvicorn (vLLM) close idle connections after 5 s
STALE_WITHIN_S = 1.0  #: a pooled connection that breaks sooner than this was stale
DESCRIPTOR_TRIES, DESCRIPTOR_S = 8, 0.25
ERROR_MAX = 65_536  #: bytes of an error that are read
UNLOAD_S = 10.0  #: for freeing a model's memory
NOTHING = Body(JSON, b"")
BODY_MAX = 1_048_576  #: bytes of the answer to a check; a thousand models have half of it


@dataclass(frozen=True, slots=True)
class Got:
    """The answer to a small GET. `data` is the JSON object, or {} when the body is none; `text` what an
    error says."""

    status: int
    server: str
    data: JsonDict
    text: str


class Http:
    """The connections to one endpoint. `reuse` tells whether connections serve more than one call."""

    def __init__(self, endpoint: Endpoint, *, reuse: bool = True, root: str | None = None) -> None:
        self.base = (root or endpoint.url).rstrip("/")
        self.reuse = reuse
        self.secret = Secret()
        self._headers = [
            ("Accept-Encoding", "identity"),
            ("User-Agent", f"ygg/{__version__}"),
        ]
        self._endpoint = endpoint
        self._authorized = endpoint.api_key_file is None
        self._urls: dict[str, httpx.URL] = {}
        self._pooled = _transport(self.base, reuse=True)
        self._fresh = _transport(self.base, reuse=False)

    async def post(self, path: str, body: JsonDict | Body, call: Call) -> Reply:
        """Send a call and wait for the head of its answer.

        Raises CallFailed for everything but a 200.
        """
        limits = call.limits
        if isinstance(body, dict):
            body = await asyncio.to_thread(of_json, body) if heavy(body) else of_json(body)
        begun = asyncio.get_running_loop().time()
        await self._authorize()
        try:
            request = self._request("POST", path, limits.connect_s, body, call)
            async with asyncio.timeout(limits.connect_s + limits.first_token_s):
                response = await self._send(request)
        except TimeoutError as exc:
            raise failures.silent(limits.first_token_s, "no answer") from exc
        except transport.FOREIGN as exc:
            raise transport.from_transport(exc) from exc
        reply = Reply(response, begun, limits)
        packed = _packed(response)
        if response.status_code != 200 or packed:
            raise await reply.failure() if not packed else await reply.refuse(packed)
        return reply

    async def get(self, path: str, timeout_s: float) -> Got:
        """A small GET. Raises CallFailed when there is no whole answer within `timeout_s`."""
        return await self._small("GET", path, timeout_s)

    async def read(self, path: str, timeout_s: float) -> tuple[int, bytes]:
        """Status and body of a small GET. Raises as `get`."""
        await self._authorize()
        response, body = await self._whole("GET", path, timeout_s)
        return response.status_code, body

    async def tell(self, path: str, body: JsonDict, timeout_s: float) -> Got:
        """A small POST whose answer is one JSON object. Raises as `get`."""
        return await self._small("POST", path, timeout_s, of_json(body))

    async def _small(
        self, method: str, path: str, timeout_s: float, content: Body = NOTHING
    ) -> Got:
        await self._authorize()
        with self.secret.kept():
            response, body = await self._whole(method, path, timeout_s, content)
        server = as_name(self.secret.hide(response.headers.get("server", "")))
        data = self.secret.hide_in(_told(body))
        fine = response.status_code == 200
        text = "" if fine else failures.read_error(body[:ERROR_MAX])[0][: failures.MESSAGE_MAX]
        return Got(response.status_code, server, data, self.secret.hide(text))

    async def _whole(
        self, method: str, path: str, timeout_s: float, content: Body = NOTHING
    ) -> tuple[httpx.Response, bytes]:
        """An answer with its whole body. Raises CallFailed."""
        try:
            request = self._request(method, path, timeout_s, content)
            async with asyncio.timeout(timeout_s):
                response = await self._send(request)
                body = await read(response, BODY_MAX)
        except TimeoutError as exc:
            raise CallFailed(OutcomeKind.UNREACHABLE, f"no answer within {timeout_s:g} s") from exc
        except transport.FOREIGN as exc:
            raise transport.from_transport(exc) from exc
        packed = _packed(response)
        if packed:
            raise failures.packed(packed)
        return response, body

    async def _authorize(self) -> None:
        """Have the API key. CallFailed where its file holds none: it is read again for the next request."""
        if self._authorized:
            return
        try:
            key = await asyncio.to_thread(api_key, self._endpoint)
        except ConfigError as error:
            text = f"{error.message}: {error.hint}"
            raise CallFailed(OutcomeKind.UNAUTHORIZED, text) from None
        if not self._authorized:
            self.secret.learn(key)
            self._headers += bearer(key)
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
        body: Body = NOTHING,
        call: Call | None = None,
    ) -> httpx.Request:
        headers = [("Content-Type", body.content_type), *self._headers]
        headers += [] if call is None else _names(call)
        content = body.content
        if content is None:
            headers += [("Content-Length", str(body.size))]
        # "pool" is aiohttp's limit for the whole way to a connection, name look-up included.
        limits = {"connect": connect_s, "pool": connect_s, "read": None, "write": None}
        return httpx.Request(
            method,
            self._url(path),
            headers=headers,
            content=content,
            stream=None if content is not None else body,
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
            except transport.FOREIGN as exc:
                if not transport.no_descriptor(exc):
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
        except transport.FOREIGN as exc:
            if not transport.hung_up(exc) or loop.time() - begun > STALE_WITHIN_S:
                raise
        return await self._fresh.handle_async_request(request)


def with_system(messages: list[JsonDict], system: str | None) -> list[JsonDict]:
    """The messages with the system prompt first; a system message of the caller's own stays alone."""
    if system is None or (messages and messages[0].get("role") == "system"):
        return messages
    return [{"role": "system", "content": system}, *messages]


def _names(call: Call) -> list[tuple[str, str]]:
    """What a request says of itself: its call, unique in the world, and the attempts it carries."""
    attempts = ",".join(str(attempt.id) for attempt in call.attempts)
    return [("X-Ygg-Call", call.id), ("X-Ygg-Task", attempts)]


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
    return bearer(api_key(endpoint))


def bearer(key: str) -> list[tuple[str, str]]:
    return [("Authorization", f"Bearer {key}")] if key else []


def api_key(endpoint: Endpoint) -> str:
    """The key in the endpoint's file, "" without one. ConfigError when it cannot be used."""
    if endpoint.api_key_file is None:
        return ""
    try:
        return keys.api_key(Path(endpoint.api_key_file).expanduser())
    except ConfigError as error:
        text = f"api_key_file holds no key: got {error.message}"
        raise ConfigError(text, hint=error.hint) from None


def _told(body: bytes) -> JsonDict:
    """The object of a body, {} for anything else. Of one that was cut, as far as it came: a list of objects,
    or a text."""
    if len(body) < BODY_MAX:
        return as_object(body) or {}
    entries = body[: body.rfind(b"}", 0, body.rfind(b"{")) + 1] + b"]}"
    return as_object(entries) or as_object(body + b'"}') or {}


def _packed(response: httpx.Response) -> str:
    """The encoding of a body that is compressed, though none was asked for; "" for a plain one."""
    encoding = response.headers.get("content-encoding", "").strip().lower()
    return "" if encoding == "identity" else as_name(encoding)[:40]


def once(url: str) -> AiohttpTransport:
    """What carries one request to an address of hosts.yaml, past all proxies, and is closed after it."""
    return _transport(url, reuse=False)


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
    """Trusts the authorities of httpx and those of this machine: a house may have one of its own."""
    context = httpx.create_ssl_context(trust_env=False)
    context.load_default_certs()
    return context
