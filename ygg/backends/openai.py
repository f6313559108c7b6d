"""Servers of the OpenAI protocol: server-sent events from /v1/chat/completions.

Two dialects are known: `llama.cpp` (found by its Server header) and `vllm` (found by /version); anything
else is spoken to in what both share. An answer is whole when a `finish_reason` came and no error object
did; `[DONE]` proves nothing, vLLM sends it after an error too.

llama.cpp ignores a wrong model name, so the model it names in its first chunk is compared with the one
wanted; and it closes connections that it calls alive, so connections to it are never used twice. Its
router knows each model by one spelling, so a model is asked for as the server spells it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace

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
from ygg.model.names import LLAMA_CPP, VLLM
from ygg.ports import CallFailed, Done, Piece

PATH = "/v1/chat/completions"
#: What a task's options may not change: the protocol itself.
FIXED = frozenset({"model", "messages", "stream", "stream_options", "n"})
BROKEN_OFF = frozenset({"error", "abort"})  #: finish reasons of vLLM for an answer it gave up
SSE_FIELDS = (b":", b"event:", b"id:", b"retry:")
MODELS_S = 3.0  #: for asking again before a model is refused


class OpenAIBackend:
    """The driver for one llama.cpp or vLLM server."""

    def __init__(self, endpoint: Endpoint, *, host: str) -> None:
        self.endpoint = endpoint
        self.host = host
        self.dialect = endpoint.dialect  #: None until the server told
        self._ids: tuple[str, ...] | None = None  #: of /v1/models, from the last check
        root = endpoint.url.rstrip("/").removesuffix("/v1")
        self._http = Http(endpoint, reuse=endpoint.dialect == VLLM, root=root)

    # --- calls --------------------------------------------------------------------------------

    async def stream(self, call: Call) -> AsyncIterator[Piece | Done]:
        await self._offers(call.candidate.model)
        reply = await self._http.post(PATH, self._body(call), call)
        try:
            self._learn(reply.response.headers.get("server", ""))
            answer = _Answer(self._single_model(call))
            while not answer.ended:
                try:
                    lines = await reply.lines()
                except CallFailed:
                    if answer.stop_reason is None:
                        raise
                    break  # everything but counters has come
                answer.ended = not lines
                for line in lines:
                    piece = answer.read(line)
                    if piece is not None:
                        reply.begun()
                        yield piece
                    if answer.ended:
                        break
            done = replace(answer.done(call), dialect=self.dialect or "")
            await reply.drain()
            yield done
        finally:
            await reply.close()

    def _single_model(self, call: Call) -> str:
        """The model that the answer must name; "" where the server's own check is enough."""
        return call.candidate.model if self.dialect == LLAMA_CPP else ""

    def _body(self, call: Call) -> JsonDict:
        if call.attempt.task.operation is Operation.EMBED:
            raise CallFailed(OutcomeKind.REFUSED, f"{self.host}: embedding is not served here")
        request = call.attempt.request
        options = {**self.endpoint.options, **(request.get("options") or {})}
        body = {k: v for k, v in options.items() if k not in FIXED}
        body |= {k: request[k] for k in ("max_tokens", "temperature") if request.get(k) is not None}
        messages = request.get("messages")
        if messages is None:
            messages = [{"role": "user", "content": request.get("prompt", "")}]
        body["messages"] = with_system(messages, request.get("system"))
        body["stream"], body["stream_options"] = True, {"include_usage": True}
        wanted = call.candidate.model or next(iter(self._ids or self.endpoint.models), "")
        model = self._spelled(wanted)
        return {"model": model, **body} if model else body

    def _spelled(self, model: str) -> str:
        """A model as the server spells it, where that is known: llama.cpp's router takes no other."""
        known = self._ids if self.dialect == LLAMA_CPP else None
        return names.find(known or (), model, LLAMA_CPP) or model

    async def _offers(self, wanted: str) -> None:
        """Raise REFUSED when llama.cpp is known to serve other models; asks again before it does."""
        if self.dialect != LLAMA_CPP or not wanted or self._ids is None or _has(self._ids, wanted):
            return
        try:
            self._ids = _ids(await self._http.get("/v1/models", MODELS_S)) or self._ids
        except CallFailed:
            return  # the call itself will tell
        if not _has(self._ids, wanted):
            raise _other_model(", ".join(self._ids), wanted)

    def _learn(self, server: str) -> None:
        if self.dialect is None and server.startswith(LLAMA_CPP):
            self.dialect = LLAMA_CPP

    # --- checks -------------------------------------------------------------------------------

    async def check(self, timeout_s: float = 3.0) -> Health:
        loop = asyncio.get_running_loop()
        begun = loop.time()
        health = await self._get("/health", timeout_s)
        took = loop.time() - begun
        bad = _down(health)
        if bad is not None:
            return bad
        assert isinstance(health, Got)
        self._learn(health.server)
        left = max(0.1, timeout_s - took)
        about = "/props" if self.dialect == LLAMA_CPP else "/version"
        models, facts = await asyncio.gather(self._get("/v1/models", left), self._get(about, left))
        return _found(models, health) or self._up(models, facts, took * 1000)

    async def unload(self, model: str) -> bool:
        """Only llama.cpp's router can; every other server answers 404."""
        if self.dialect == VLLM:
            return False
        return (
            await self._http.tell("/models/unload", {"model": self._spelled(model)}, UNLOAD_S)
        ).status == 200

    def _up(self, models: Got | CallFailed, facts: Got | CallFailed, latency_ms: float) -> Health:
        ids = _ids(models)
        self._ids = ids or self._ids
        about = facts.data if isinstance(facts, Got) and facts.status == 200 else {}
        if self.dialect is None and isinstance(about.get("version"), str):
            self.dialect = VLLM
        self._http.reuse = self.dialect == VLLM
        asleep = about.get("is_sleeping") is True
        return Health(
            HostHealth.UP,
            latency_ms=latency_ms,
            version=str(about.get("version") or about.get("build_info") or "") or None,
            models=self._own(ids),
            loaded=() if asleep else self._own(_loaded(models)),
            slots=as_count(about.get("total_slots")),
            message="asleep: its model is not loaded" if asleep else "",
        )

    def _own(self, ids: tuple[str, ...] | None) -> tuple[str, ...] | None:
        """Models by the endpoint's own names."""
        if ids is None:
            return None
        return tuple(dict.fromkeys(names.own(self.endpoint, i, self.dialect) for i in ids))

    async def _get(self, path: str, timeout_s: float) -> Got | CallFailed:
        try:
            return await self._http.get(path, timeout_s)
        except CallFailed as exc:
            return exc

    async def close(self) -> None:
        await self._http.close()


@dataclass(slots=True)
class _Answer:
    """What a stream has told so far. `wanted`: the model that it must name, or ""."""

    wanted: str
    ended: bool = False
    stop_reason: str | None = None
    model: str = ""
    usage: JsonDict = field(default_factory=dict)
    timings: JsonDict = field(default_factory=dict)

    def read(self, line: bytes) -> Piece | None:
        """Take a line in; its piece (perhaps empty), or None for a line without an event."""
        if line.startswith(b"data:"):
            payload = line[5:].strip()
            if payload == b"[DONE]":
                self.ended = True
                return None
            return self._event(_object(payload), payload)
        if not line.strip() or line.startswith(SSE_FIELDS):
            return None
        _object(line.removeprefix(b"error:"))
        raise failures.malformed(line)

    def _event(self, data: JsonDict, payload: bytes) -> Piece:
        if not self.model:
            self._named(as_name(data.get("model")))
        self.usage = data.get("usage") or self.usage
        self.timings = data.get("timings") or self.timings
        choices = data.get("choices")
        if not choices:
            return Piece()
        try:
            choice = choices[0]
            delta, stop = choice.get("delta") or {}, choice.get("finish_reason")
            thought = delta.get("reasoning_content") or delta.get("reasoning")
            text = delta.get("content")
        except (AttributeError, LookupError, TypeError) as exc:
            raise failures.malformed(payload) from exc
        if as_name(stop):
            self._stopped(as_name(stop))
        return Piece(as_text(text, payload), as_text(thought, payload))

    def _named(self, model: str) -> None:
        self.model = model
        if model and self.wanted and not names.same(model, self.wanted, LLAMA_CPP):
            raise _other_model(model, self.wanted)

    def _stopped(self, reason: str) -> None:
        if reason in BROKEN_OFF:
            raise CallFailed(OutcomeKind.ERROR, f"the server gave the answer up: {reason}")
        self.stop_reason = reason

    def done(self, call: Call) -> Done:
        """The end, if its marker came. Raises CallFailed otherwise."""
        if self.stop_reason is None:
            raise failures.unfinished()
        usage, timings = _dict(self.usage), _dict(self.timings)
        details = _dict(usage.get("prompt_tokens_details"))
        counted = Usage(
            prompt_tokens=as_count(usage.get("prompt_tokens")),
            cached_tokens=_first(details.get("cached_tokens"), timings.get("cache_n")),
            output_tokens=_first(usage.get("completion_tokens"), timings.get("predicted_n")),
            prompt_ms=as_ms(timings.get("prompt_ms")),
            eval_ms=as_ms(timings.get("predicted_ms")),
        )
        return Done(self.stop_reason, self.model or call.candidate.model, counted)


def _has(ids: tuple[str, ...], wanted: str) -> bool:
    return any(names.same(i, wanted, LLAMA_CPP) for i in ids)


def _other_model(has: str, wanted: str) -> CallFailed:
    return CallFailed(OutcomeKind.REFUSED, f"the server has {has}, not {wanted}")


def _object(payload: bytes) -> JsonDict:
    """The object of an event. Raises CallFailed when it is an error, or no object."""
    data = as_object(payload)
    if data is None:
        raise failures.malformed(payload)
    if data.get("error"):
        raise failures.from_error(data["error"])
    if data.get("object") == "error":  # vLLM before 0.10
        raise failures.from_error(data)
    return data


def _dict(value: object) -> JsonDict:
    return value if isinstance(value, dict) else {}


def _first(*values: object) -> int | None:
    return next((n for n in map(as_count, values) if n is not None), None)


def _ids(got: Got | CallFailed) -> tuple[str, ...] | None:
    entries = _entries(got)
    return None if entries is None else tuple(str(e["id"]) for e in entries)


def _loaded(got: Got | CallFailed) -> tuple[str, ...] | None:
    """All models, but for llama.cpp's router, which tells each one's status."""
    entries = _entries(got)
    if entries is None:
        return None
    state = {str(e["id"]): _dict(e.get("status")).get("value", "loaded") for e in entries}
    return tuple(name for name, value in state.items() if value == "loaded")


def _entries(got: Got | CallFailed) -> list[JsonDict] | None:
    data = got.data.get("data") if isinstance(got, Got) and got.status == 200 else None
    if not isinstance(data, list):
        return None
    return [e for e in data if isinstance(e, dict) and "id" in e]


def _down(health: Got | CallFailed) -> Health | None:
    """What is wrong by /health alone. A server without /health (404) is judged by its models."""
    if isinstance(health, CallFailed):
        return Health(HostHealth.DOWN, message=health.message)
    if health.status in (401, 403):
        return Health(HostHealth.UNAUTHORIZED, message=f"HTTP {health.status}: {health.text}")
    if health.status >= 500:
        return Health(HostHealth.DOWN, message=f"HTTP {health.status}: {health.text}")
    return None


def _found(models: Got | CallFailed, health: Got) -> Health | None:
    """What is wrong by the list of models."""
    if isinstance(models, Got) and models.status in (401, 403):
        return Health(HostHealth.UNAUTHORIZED, message=f"HTTP {models.status}: {models.text}")
    if health.status == 200 or _entries(models) is not None:
        return None
    text = models.message if isinstance(models, CallFailed) else f"HTTP {models.status}"
    return Health(HostHealth.DOWN, message=f"no OpenAI server here: {text} for /v1/models")
