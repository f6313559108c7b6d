"""Ollama: newline-delimited JSON from /api/chat and /api/generate.

An answer is whole when a line with `done: true` came; Ollama can end a stream without it and without an
error. It loads models silently, so the limit for the first token bounds the load as well. It cuts
prompts that are too long unless `truncate` is false, and reloads the model when a loading option such as
`num_ctx` changes, so those of the endpoint win over a task's.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from ygg.backends import failures
from ygg.backends.http import (
    UNLOAD_S,
    Got,
    Http,
    as_count,
    as_ms,
    as_name,
    as_object,
    as_text,
    with_system,
)
from ygg.model import (
    LOAD_OPTIONS,
    Call,
    Endpoint,
    Health,
    HostHealth,
    JsonDict,
    Operation,
    OutcomeKind,
    Usage,
    names,
)
from ygg.ports import CallFailed, Done, Piece

#: Fields that people put among the options but that Ollama reads beside them.
BESIDE = frozenset(
    {"think", "keep_alive", "format", "raw", "suffix", "template", "tools", "images"}
)
PS_S = 1.5  #: /api/ps blocks while a model loads: longer than this means busy
NS_PER_MS = 1e6


class OllamaBackend:
    """The driver for one Ollama server."""

    def __init__(self, endpoint: Endpoint, *, host: str) -> None:
        self.endpoint = endpoint
        self.host = host
        self._http = Http(endpoint)

    async def stream(self, call: Call) -> AsyncIterator[Piece | Done]:
        path, body = self._request(call)
        reply = await self._http.post(path, body, call)
        try:
            last: JsonDict | None = None
            while last is None:
                lines = await reply.lines()
                if not lines:
                    raise failures.unfinished()
                for line in lines:
                    data = _parse(line)
                    if data is None:
                        continue
                    reply.begun()
                    yield _piece(data, line)
                    if data.get("done") is True:
                        last = data
                        break
            await reply.drain()
            yield _done(last, call)
        finally:
            await reply.close()

    def _request(self, call: Call) -> tuple[str, JsonDict]:
        """Path and body. A request with messages is a chat, one with a prompt is a generation."""
        if call.attempt.task.operation is Operation.EMBED:
            raise CallFailed(OutcomeKind.REFUSED, f"{self.host}: embedding is not served here")
        request = call.attempt.request
        body: JsonDict = {"model": self._model(call), "stream": True, "truncate": False}
        body |= self._options(request)
        system = request.get("system")
        if "messages" in request:
            body["messages"] = with_system(request["messages"], system)
            return "/api/chat", body
        body["prompt"] = request.get("prompt", "")
        if system is not None:
            body["system"] = system
        return "/api/generate", body

    def _model(self, call: Call) -> str:
        model = call.candidate.model or next(iter(self.endpoint.models), "")
        if not model:
            raise CallFailed(OutcomeKind.REFUSED, f"{self.host}: no model is named for this task")
        return model

    def _options(self, request: JsonDict) -> JsonDict:
        """`options`, and the fields beside it, from the endpoint's and the request's options."""
        mine, theirs = self.endpoint.options, request.get("options") or {}
        merged = {**mine, **theirs, **{k: v for k, v in mine.items() if k in LOAD_OPTIONS}}
        if request.get("max_tokens") is not None:
            merged["num_predict"] = request["max_tokens"]
        if request.get("temperature") is not None:
            merged["temperature"] = request["temperature"]
        beside = {k: merged.pop(k) for k in BESIDE & merged.keys()}
        if "think" in request:
            beside["think"] = request["think"]
        return beside | ({"options": merged} if merged else {})

    async def check(self, timeout_s: float = 3.0) -> Health:
        begun = asyncio.get_running_loop().time()
        version, tags, loaded = await asyncio.gather(
            self._get("/api/version", timeout_s),
            self._get("/api/tags", timeout_s),
            self._get("/api/ps", min(PS_S, timeout_s)),
        )
        took = (asyncio.get_running_loop().time() - begun) * 1000
        bad = _verdict(version) or (_verdict(tags) if _unauthorized(tags) else None)
        if bad is not None:
            return bad
        assert isinstance(version, Got)
        return Health(
            HostHealth.UP,
            latency_ms=took,
            version=str(version.data.get("version", "")) or None,
            models=_own(self.endpoint, tags),
            loaded=_own(self.endpoint, loaded),
            message="" if isinstance(loaded, Got) else "busy, perhaps loading a model",
        )

    async def unload(self, model: str) -> bool:
        """An empty request with keep_alive 0."""
        body = {"model": model, "keep_alive": 0}
        return (await self._http.tell("/api/generate", body, UNLOAD_S)).status == 200

    async def _get(self, path: str, timeout_s: float) -> Got | CallFailed:
        try:
            return await self._http.get(path, timeout_s)
        except CallFailed as exc:
            return exc

    async def close(self) -> None:
        await self._http.close()


def _parse(line: bytes) -> JsonDict | None:
    """The object of a line, None for an empty line. Raises CallFailed for an error or garbage."""
    data = as_object(line)
    if data is None:
        if not line.strip():
            return None
        raise failures.malformed(line)
    if "error" in data:
        raise failures.from_error(data["error"])
    return data


def _piece(data: JsonDict, line: bytes) -> Piece:
    said = data.get("message")
    if isinstance(said, dict):
        return Piece(as_text(said.get("content"), line), as_text(said.get("thinking"), line))
    return Piece(as_text(data.get("response"), line), as_text(data.get("thinking"), line))


def _done(last: JsonDict, call: Call) -> Done:
    """The end marker's line: reason, counts, and durations in nanoseconds."""
    reason = as_name(last.get("done_reason")) or "stop"
    if reason in ("load", "unload"):
        raise CallFailed(OutcomeKind.BAD_REQUEST, "the prompt is empty: the model was only loaded")
    usage = Usage(
        prompt_tokens=as_count(last.get("prompt_eval_count")),
        output_tokens=as_count(last.get("eval_count")),
        load_ms=as_ms(last.get("load_duration"), NS_PER_MS),
        prompt_ms=as_ms(last.get("prompt_eval_duration"), NS_PER_MS),
        eval_ms=as_ms(last.get("eval_duration"), NS_PER_MS),
    )
    return Done(reason, as_name(last.get("model")) or call.candidate.model, usage)


def _verdict(got: Got | CallFailed) -> Health | None:
    """What is wrong with a host that answered /api/version so; None: nothing."""
    if isinstance(got, CallFailed):
        return Health(HostHealth.DOWN, message=got.message)
    if got.status in (401, 403):
        return Health(HostHealth.UNAUTHORIZED, message=f"HTTP {got.status}: {got.text}")
    if got.status == 200 and "version" in got.data:
        return None
    who = f" (it says it is {got.server})" if got.server else ""
    text = f"HTTP {got.status} for /api/version: this is no Ollama server{who}"
    return Health(HostHealth.DOWN, message=text)


def _unauthorized(got: Got | CallFailed) -> bool:
    return isinstance(got, Got) and got.status in (401, 403)


class LoadedModels:
    """What the probe of loaded models asks (`probes.ollama_ps.Server`)."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint, self._http = endpoint, Http(endpoint)

    async def loaded(self, limit_s: float) -> tuple[str, ...] | None:
        """By the endpoint's own names; None when it does not tell within `limit_s`. Never raises."""
        try:
            return _own(self._endpoint, await self._http.get("/api/ps", limit_s))
        except CallFailed:
            return None

    async def close(self) -> None:
        await self._http.close()


def _own(endpoint: Endpoint, got: Got | CallFailed) -> tuple[str, ...] | None:
    """A list of models by the endpoint's own names; None when it could not be had."""
    models = got.data.get("models") if isinstance(got, Got) else None
    if not isinstance(models, list):
        return None
    told = (str(m["name"]) for m in models if isinstance(m, dict) and "name" in m)
    return tuple(dict.fromkeys(names.own(endpoint, name) for name in told))
