"""Servers of the OpenAI protocol: /v1/chat/completions, /v1/completions, /v1/embeddings and
/v1/audio/transcriptions.

Two dialects are known: `llama.cpp` (found by its Server header) and `vllm` (found by /version); anything
else is spoken to in what both share, and an Ollama (found by /api/version) is told apart for its names
alone. What comes back is read in `events`.

llama.cpp ignores a wrong model name, and so may others: the model that an answer names is compared with
the one wanted. llama.cpp closes connections that it calls alive, so connections to it are never used twice. Its
router knows each model by one spelling, so a model is asked for as the server spells it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace

from ygg.backends import failures, inside, transcribing
from ygg.backends.events import EventReader
from ygg.backends.http import UNLOAD_S, Got, Http, with_system
from ygg.backends.reply import Reply
from ygg.backends.values import as_count, as_dict, as_models, as_name
from ygg.model import (
    Call,
    Done,
    Endpoint,
    Health,
    HostHealth,
    JsonDict,
    Operation,
    Piece,
    names,
)
from ygg.model.names import LLAMA_CPP, OLLAMA, UNKNOWN, VLLM
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
#: By dialect: what tells how many requests are inside, and how it is read.
INSIDE = {LLAMA_CPP: ("/slots", inside.of_slots), VLLM: ("/metrics", inside.of_metrics)}
MODELS_S = 3.0  #: for asking again before a model is refused


class OpenAIBackend:
    """The driver for one llama.cpp or vLLM server."""

    def __init__(self, endpoint: Endpoint, *, host: str) -> None:
        self.endpoint = endpoint
        self.host = host
        self.dialect = endpoint.dialect  #: None until the server told
        self._ids: tuple[str, ...] | None = None  #: of /v1/models, from the last check
        self._roots: dict[str, str] | None = None  #: of the same, what each of them really is
        root = endpoint.url.rstrip("/").removesuffix("/v1")
        self._http = Http(endpoint, reuse=endpoint.dialect == VLLM, root=root)

    # --- calls --------------------------------------------------------------------------------

    async def stream(self, call: Call) -> AsyncIterator[Piece | Done]:
        await self._offers(call.candidate.model)
        operation = call.attempt.task.operation
        with self._http.secret.kept():
            if operation is Operation.TRANSCRIBE:
                for item in await self._transcribed(call):
                    yield item
                return
            reply = await self._http.post(PATHS[operation], self._body(call), call)
            try:
                self._learn(reply.response.headers.get("server", ""))
                answer = EventReader(self._named(call), call.frames)
                if operation is Operation.EMBED:
                    yield self._ended(answer.embedded(await reply.whole(), call))
                    return
                async for piece in self._pieces(reply, answer):
                    if piece.token:
                        reply.token()
                    yield piece
                tail = answer.tail()
                if tail is not None:
                    yield tail
                done = answer.done(call)
                await reply.drain()
                yield self._ended(done)
            finally:
                await reply.close()

    async def _transcribed(self, call: Call) -> tuple[Piece, Done]:
        """All that is said in its file, and the end."""
        request, options = call.attempt.request, self.endpoint.options
        form = transcribing.form(self._asked(call), request, options)
        reply = await self._http.post(transcribing.PATH, form, transcribing.patient(call))
        try:
            self._learn(reply.response.headers.get("server", ""))
            format_ = transcribing.wanted(request, options)
            piece, done = transcribing.heard(await reply.whole(), format_, call)
        finally:
            await reply.close()
        self._named(call)(done.model)
        return piece, self._ended(done)

    def _ended(self, done: Done) -> Done:
        return replace(self._http.secret.hide_end(done), dialect=self.dialect or "")

    @staticmethod
    async def _pieces(reply: Reply, answer: EventReader) -> AsyncIterator[Piece]:
        """Up to the marker or the end of the body. A connection that breaks after the finish reason has
        brought everything but counters."""
        while True:
            try:
                lines = await reply.lines()
            except CallFailed:
                if answer.stop_reason is None:
                    raise
                return
            for line in lines:
                piece = answer.read(line)
                if piece is not None:
                    yield piece
                if answer.ended:
                    return
            if not lines:
                return

    def _named(self, call: Call) -> Callable[[str], None]:
        """Checks the model that an answer names: not every server checks the one it is asked for."""
        wanted, dialect = call.candidate.model, self.dialect or UNKNOWN

        def check(model: str) -> None:
            if not model or not wanted or names.answers(wanted, model, dialect):
                return
            if dialect == LLAMA_CPP or not self._alias(wanted, model):
                raise failures.other_model(model, wanted)

        return check

    def _alias(self, wanted: str, model: str) -> bool:
        """Whether the server is not known to tell two models apart: vLLM answers by the first of the names
        it was given for one model, all of which have one `root`."""
        roots = self._roots
        return roots is None or bool(roots.get(wanted) and roots[wanted] == roots.get(model))

    def _body(self, call: Call) -> JsonDict:
        request = call.attempt.request
        options = {**self.endpoint.options, **(request.get("options") or {})}
        body = {k: v for k, v in options.items() if k not in FIXED}
        model = self._asked(call)
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

    def _asked(self, call: Call) -> str:
        """The model that a request names, "" where the server has said of none."""
        wanted = call.candidate.model or next(iter(self._ids or self.endpoint.models), "")
        return self._spelled(wanted)

    def _spelled(self, model: str) -> str:
        """A model as the server spells it, where that is known: llama.cpp's router takes no other."""
        known = self._ids if self.dialect == LLAMA_CPP else None
        return names.find(known or (), model, LLAMA_CPP) or model

    async def _offers(self, wanted: str) -> None:
        """Raise REFUSED when llama.cpp is known to serve other models; asks again before it does."""
        if self.dialect != LLAMA_CPP or not wanted or self._ids is None or _has(self._ids, wanted):
            return
        try:
            self._listed(await self._http.get("/v1/models", MODELS_S))
        except CallFailed:
            return  # the call itself will tell
        if not _has(self._ids, wanted):
            raise failures.other_model(", ".join(self._ids), wanted)

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
        asked = ["/v1/models", "/props" if self.dialect == LLAMA_CPP else "/version"]
        asked += ["/api/version"] if self.dialect is None else []  # which only an Ollama has
        models, facts, *other = await asyncio.gather(*(self._get(path, left) for path in asked))
        if other and "version" in _facts(other[0]) and "version" not in _facts(facts):
            self.dialect, facts = OLLAMA, other[0]
        return _found(models, health) or self._up(self._listed(models), _facts(facts), took * 1000)

    async def inside(self, timeout_s: float = 3.0) -> int | None:
        asked = INSIDE.get(self.dialect or "")
        if asked is None:
            return None
        path, counted = asked
        status, body = await self._http.read(path, timeout_s)
        return counted(body) if status == 200 else None

    async def unload(self, model: str) -> bool:
        """Only llama.cpp's router can; every other server answers 404."""
        if self.dialect == VLLM:
            return False
        return (
            await self._http.tell("/models/unload", {"model": self._spelled(model)}, UNLOAD_S)
        ).status == 200

    def _listed(self, models: Got | CallFailed) -> list[JsonDict] | None:
        """The entries of /v1/models, which are kept for the calls to come."""
        entries = as_models(_facts(models).get("data"), "id", self.endpoint.models)
        if entries:
            self._ids = tuple(e["id"] for e in entries)
            self._roots = {e["id"]: as_name(e.get("root")) for e in entries}
        return entries

    def _up(self, entries: list[JsonDict] | None, about: JsonDict, latency_ms: float) -> Health:
        version = as_name(about.get("version"))
        if self.dialect is None and version:
            self.dialect = VLLM
        self._http.reuse = self.dialect == VLLM
        asleep = about.get("is_sleeping") is True
        return Health(
            HostHealth.UP,
            latency_ms=latency_ms,
            version=version or as_name(about.get("build_info")) or None,
            models=self._own(None if entries is None else [e["id"] for e in entries]),
            loaded=() if asleep else self._own(self._loaded(entries)),
            slots=as_count(about.get("total_slots")),
            message="asleep: its model is not loaded" if asleep else "",
            dialect=self.dialect or "",
        )

    def _loaded(self, entries: list[JsonDict] | None) -> list[str] | None:
        """All models, but for llama.cpp's router, which tells each one's status, and for an Ollama, which
        tells nothing here."""
        if entries is None or self.dialect == OLLAMA:
            return None
        states = ((e["id"], as_dict(e.get("status")).get("value", "loaded")) for e in entries)
        return [name for name, state in states if state == "loaded"]

    def _own(self, ids: Sequence[str] | None) -> tuple[str, ...] | None:
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


def _facts(got: Got | CallFailed) -> JsonDict:
    """The object of a good answer, {} for any other."""
    return got.data if isinstance(got, Got) and got.status == 200 else {}


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
    if health.status == 200 or isinstance(_facts(models).get("data"), list):
        return None
    text = models.message if isinstance(models, CallFailed) else f"HTTP {models.status}"
    return Health(HostHealth.DOWN, message=f"no OpenAI server here: {text} for /v1/models")
