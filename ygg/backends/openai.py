"""Servers of the OpenAI protocol: /v1/chat/completions, /v1/completions and /v1/embeddings.

Two dialects are known: `llama.cpp` (found by its Server header) and `vllm` (found by /version); anything
else is spoken to in what both share. What comes back is read in `events`.

llama.cpp ignores a wrong model name, so the model it names in its first chunk is compared with the one
wanted; and it closes connections that it calls alive, so connections to it are never used twice. Its
router knows each model by one spelling, so a model is asked for as the server spells it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace

from ygg.backends import failures
from ygg.backends.events import EventReader
from ygg.backends.http import UNLOAD_S, Got, Http, with_system
from ygg.backends.values import as_count, as_dict
from ygg.model import (
    Call,
    Done,
    Endpoint,
    Health,
    HostHealth,
    JsonDict,
    Operation,
    OutcomeKind,
    Piece,
    names,
)
from ygg.model.names import LLAMA_CPP, VLLM
from ygg.ports import CallFailed

#: Where each operation is served. A prompt to answer is a chat of one message.
PATHS = {
    Operation.CHAT: "/v1/chat/completions",
    Operation.GENERATE: "/v1/chat/completions",
    Operation.COMPLETE: "/v1/completions",
    Operation.EMBED: "/v1/embeddings",
}
#: What a task's options may not change: the protocol itself.
FIXED = frozenset({
    "model", "messages", "prompt", "input", "encoding_format", "stream", "stream_options", "n",
})  # fmt: skip
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
        operation = call.attempt.task.operation
        reply = await self._http.post(PATHS[operation], self._body(call), call)
        try:
            self._learn(reply.response.headers.get("server", ""))
            answer = EventReader(self._named(call), call.frames)
            if operation is Operation.EMBED:
                done = answer.embedded(await reply.whole(), call)
                yield replace(done, dialect=self.dialect or "")
                return
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
                        if piece.token:
                            reply.token()
                        yield piece
                    if answer.ended:
                        break
            done = answer.done(call, dialect=self.dialect or "")
            await reply.drain()
            yield done
        finally:
            await reply.close()

    def _named(self, call: Call) -> Callable[[str], None]:
        """Checks the model that an answer names, where the server does not check it by itself."""
        wanted = call.candidate.model if self.dialect == LLAMA_CPP else ""

        def check(model: str) -> None:
            if model and wanted and not names.same(model, wanted, LLAMA_CPP):
                raise _other_model(model, wanted)

        return check

    def _body(self, call: Call) -> JsonDict:
        request = call.attempt.request
        options = {**self.endpoint.options, **(request.get("options") or {})}
        body = {k: v for k, v in options.items() if k not in FIXED}
        wanted = call.candidate.model or next(iter(self._ids or self.endpoint.models), "")
        model = self._spelled(wanted)
        body |= {"model": model} if model else {}
        operation = call.attempt.task.operation
        if operation is Operation.EMBED:
            return body | {"input": request["input"], "encoding_format": "float"}
        body |= {k: request[k] for k in ("max_tokens", "temperature") if request.get(k) is not None}
        body |= {"stream": True, "stream_options": {"include_usage": True}}
        if operation is Operation.COMPLETE:
            return body | {"prompt": request["prompt"]}
        messages = request.get("messages")
        if messages is None:
            messages = [{"role": "user", "content": request.get("prompt", "")}]
        return body | {"messages": with_system(messages, request.get("system"))}

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


def _has(ids: tuple[str, ...], wanted: str) -> bool:
    return any(names.same(i, wanted, LLAMA_CPP) for i in ids)


def _other_model(has: str, wanted: str) -> CallFailed:
    return CallFailed(OutcomeKind.REFUSED, f"the server has {has}, not {wanted}")


def _ids(got: Got | CallFailed) -> tuple[str, ...] | None:
    entries = _entries(got)
    return None if entries is None else tuple(str(e["id"]) for e in entries)


def _loaded(got: Got | CallFailed) -> tuple[str, ...] | None:
    """All models, but for llama.cpp's router, which tells each one's status."""
    entries = _entries(got)
    if entries is None:
        return None
    state = {str(e["id"]): as_dict(e.get("status")).get("value", "loaded") for e in entries}
    return tuple(name for name, value in state.items() if value == "loaded")


def _entries(got: Got | CallFailed) -> list[JsonDict] | None:
    data = got.data.get("data") if isinstance(got, Got) and got.status == 200 else None
    if not isinstance(data, list):
        return None
    return [e for e in data if isinstance(e, dict) and "id" in e]


def _down(health: Got | CallFailed) -> Health | None:
    """What is wrong by /health alone. A server without /health (404) is judged by its models."""
    if isinstance(health, CallFailed):
        return failures.health_of(health)
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
