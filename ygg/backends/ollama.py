"""Ollama: newline-delimited JSON from /api/chat and /api/generate, one object from /api/embed.

An answer is whole when a line with `done: true` came; Ollama can end a stream without it and without an
error. It loads models silently, so the limit for the first token bounds the load as well. It cuts
prompts that are too long unless `truncate` is false, and reloads the model when a loading option such as
`num_ctx` changes, so those of the endpoint win over a task's.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

from ygg.backends import failures
from ygg.backends.http import UNLOAD_S, Got, Http, with_system
from ygg.backends.parts import for_ollama
from ygg.backends.said import Speech
from ygg.backends.values import (
    as_count,
    as_embeddings,
    as_logprobs,
    as_models,
    as_ms,
    as_name,
    as_object,
)
from ygg.model import (
    LOAD_OPTIONS,
    Call,
    Done,
    Endpoint,
    Health,
    HostHealth,
    JsonDict,
    Operation,
    OutcomeKind,
    Piece,
    Usage,
    names,
)
from ygg.ports import CallFailed

#: Fields that people put among the options but that Ollama reads beside them.
BESIDE = frozenset(
    {"think", "keep_alive", "format", "raw", "suffix", "template", "tools", "images", "logprobs",
     "top_logprobs"}
)  # fmt: skip
EMBED_BESIDE = frozenset({"keep_alive", "dimensions"})  #: the same for /api/embed
TEMPLATED = frozenset({"system", "template"})  #: what Ollama refuses with a raw prompt
#: What /api/generate says of an answer, beside the facts of a line.
GENERATED = ("response", "thinking", "tool_calls", "image", "images")
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
        with self._http.secret.kept():
            reply = await self._http.post(path, body, call)
            try:
                if call.attempt.task.operation is Operation.EMBED:
                    done = _embedded(await reply.whole(), call)
                    self._named({"model": done.model}, call)
                    yield self._http.secret.hide_end(done)
                    return
                speech, last = Speech(whole=True), None
                while last is None:
                    lines = await reply.lines()
                    if not lines:
                        raise failures.unfinished()
                    for line in lines:
                        data = _parse(line)
                        if data is None:
                            continue
                        self._named(data, call)
                        piece = _piece(data, line, speech, frames=call.frames)
                        if piece.token:
                            reply.token()
                        yield piece
                        if _ends(data):
                            last = data
                            break
                done = _done(last, call)
                tail = speech.end(done.stop_reason)
                if tail is not None:
                    yield tail
                await reply.drain()
                yield self._http.secret.hide_end(done)
            finally:
                await reply.close()

    def _request(self, call: Call) -> tuple[str, JsonDict]:
        """Path and body of the operation."""
        request = call.attempt.request
        body: JsonDict = {"model": self._model(call), "truncate": False}
        match call.attempt.task.operation:
            case Operation.EMBED:
                return "/api/embed", body | self._embedding(request)
            case Operation.COMPLETE:
                beside = {k: v for k, v in self._options(request).items() if k not in TEMPLATED}
                return "/api/generate", body | beside | _streamed(
                    prompt=request["prompt"], raw=True
                )
        body |= _streamed() | self._options(request)
        system = request.get("system")
        if "messages" in request:
            messages = with_system(request["messages"], system)
            return "/api/chat", body | {"messages": list(map(for_ollama, messages))}
        body["prompt"] = request.get("prompt", "")
        return "/api/generate", body | ({} if system is None else {"system": system})

    def _embedding(self, request: JsonDict) -> JsonDict:
        """What /api/embed takes of a request; nothing of it is about sampling."""
        merged = self._merged(request)
        beside = {k: merged[k] for k in sorted(EMBED_BESIDE & merged.keys())}
        options = {k: v for k, v in merged.items() if k not in BESIDE | EMBED_BESIDE}
        return {"input": request["input"], **beside} | ({"options": options} if options else {})

    def _model(self, call: Call) -> str:
        model = call.candidate.model or next(iter(self.endpoint.models), "")
        if not model:
            raise CallFailed(OutcomeKind.REFUSED, f"{self.host}: no model is named for this task")
        return model

    def _named(self, data: JsonDict, call: Call) -> None:
        """Raises CallFailed for an answer of another model than the one asked for."""
        told, wanted = data.get("model"), call.candidate.model
        if told == wanted or not told or not wanted:
            return
        if not names.same(as_name(told), wanted, names.OLLAMA):
            raise failures.other_model(as_name(told), wanted)

    def _options(self, request: JsonDict) -> JsonDict:
        """`options`, and the fields beside it, from the endpoint's and the request's options."""
        merged = self._merged(request)
        if request.get("max_tokens") is not None:
            merged["num_predict"] = request["max_tokens"]
        if request.get("temperature") is not None:
            merged["temperature"] = request["temperature"]
        beside = {k: merged.pop(k) for k in BESIDE & merged.keys()}
        if "think" in request:
            beside["think"] = request["think"]
        return beside | ({"options": merged} if merged else {})

    def _merged(self, request: JsonDict) -> JsonDict:
        """The request's options over the endpoint's, whose loading options win."""
        mine, theirs = self.endpoint.options, request.get("options") or {}
        return {**mine, **theirs, **{k: v for k, v in mine.items() if k in LOAD_OPTIONS}}

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
            version=as_name(version.data.get("version")) or None,
            models=_own(self.endpoint, tags),
            loaded=_own(self.endpoint, loaded),
            message="" if isinstance(loaded, Got) else "busy, perhaps loading a model",
        )

    async def inside(self, timeout_s: float = 3.0) -> int | None:
        """Ollama tells which models are in memory, not what they work on."""
        return None

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
    if not line or line.isspace():
        return None
    data = as_object(line)
    if data is None:
        raise failures.malformed(line)
    if data.get("error"):
        raise failures.from_error(data)
    return data


def _ends(data: JsonDict) -> bool:
    """Whether this is the last line: it says so, or says why without saying that it is not."""
    done = data.get("done")
    return done is True or (done is None and bool(as_name(data.get("done_reason"))))


def _streamed(**fields: object) -> JsonDict:
    return {"stream": True, **fields}


def _piece(data: JsonDict, line: bytes, speech: Speech, *, frames: bool) -> Piece:
    message = data.get("message")
    if message is None:
        message = {key: data[key] for key in GENERATED if key in data}
    if not isinstance(message, dict):
        raise failures.malformed(line)
    logprobs = data.get("logprobs")
    return Piece(
        *speech.read(message, line),
        as_logprobs(logprobs) if logprobs else (),
        line if frames else None,
    )


def _embedded(body: bytes, call: Call) -> Done:
    """The end of an embedding, vectors included."""
    data = _parse(body)
    vectors = data.get("embeddings") if data else None
    if data is None or not isinstance(vectors, list):
        raise failures.malformed(body)
    given = call.attempt.request["input"]
    texts = 1 if isinstance(given, str) else len(given)
    return replace(_done(data, call), embeddings=as_embeddings(vectors, texts, body))


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
        return failures.health_of(got)
    if got.status in (401, 403):
        return Health(HostHealth.UNAUTHORIZED, message=f"HTTP {got.status}: {got.text}")
    if got.status == 200 and "version" in got.data:
        return None
    if got.status >= 500:
        return Health(HostHealth.DOWN, message=f"HTTP {got.status} for /api/version: {got.text}")
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
    told = as_models(models, "name", endpoint.models)
    if told is None:
        return None
    return tuple(dict.fromkeys(names.own(endpoint, m["name"]) for m in told))
