"""The two protocols of the simulated servers: exact bodies, no timing.

An answer is a list of pieces of text; a dialect turns each into the bytes its real server sends.
"""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Protocol

from ygg.model import JsonDict

JSON = "application/json; charset=utf-8"
NOW = "2026-01-01T00:00:00.000000Z"
DIGEST = "0" * 64
TRANSCRIPTIONS = "/v1/audio/transcriptions"


@dataclass(slots=True)
class Ask:
    """A call as the simulator understands it."""

    path: str
    model: str
    prompt: str
    max_tokens: int | None
    stream: bool
    usage: bool = True  #: report usage at the end of the stream
    chat: bool = True
    texts: tuple[str, ...] = ()  #: to embed
    tools: tuple[str, ...] = ()  #: by name; a model that is offered tools calls each of them
    plain: bool = False  #: a transcript that is text alone


@dataclass(slots=True)
class Answer:
    """What the model says."""

    words: list[str]
    stop: str
    prompt_tokens: int
    load_s: float = 0.0
    took_s: float = 0.0


@dataclass(slots=True)
class Inventory:
    """What a server can be asked without a call."""

    models: tuple[str, ...]
    loaded: dict[str, float] = field(default_factory=dict)


class Dialect(Protocol):
    """The bytes of one kind of server."""

    stream_kind: str
    paths: frozenset[str]  #: where calls are posted
    garbage: bytes  #: a line that is no JSON
    no_object: bytes  #: a line that is JSON, but no object

    def read(self, path: str, body: JsonDict) -> Ask: ...
    def piece(self, ask: Ask, word: str) -> bytes: ...
    def called(self, ask: Ask) -> list[bytes]: ...
    def end(self, ask: Ask, answer: Answer) -> bytes: ...
    def vectors(self, ask: Ask) -> bytes: ...
    def whole(self, ask: Ask, answer: Answer) -> bytes: ...
    def error(self, status: int, message: str, kind: str = "") -> bytes: ...
    def error_line(self, message: str) -> bytes: ...
    def no_model(self, model: str) -> str: ...
    def get(self, path: str, has: Inventory) -> bytes | JsonDict | None: ...
    def context_error(self) -> str: ...
    def busy_error(self) -> str: ...


def dialect(name: str) -> Dialect:
    """`ollama` or `vllm`."""
    kinds: dict[str, type[OllamaDialect | VllmDialect]] = {
        "ollama": OllamaDialect,
        "vllm": VllmDialect,
    }
    return kinds[name]()


def dump(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _text_of(messages: object) -> str:
    """The last message's text, which is what a record shows of a chat."""
    if not isinstance(messages, list) or not messages or not isinstance(messages[-1], dict):
        return ""
    content = messages[-1].get("content")
    return content if isinstance(content, str) else ""


def _texts_of(given: object) -> tuple[str, ...]:
    return (given,) if isinstance(given, str) else tuple(map(str, given or ()))  # type: ignore[call-overload]


def _tools_of(body: JsonDict) -> tuple[str, ...]:
    return tuple(tool["function"]["name"] for tool in body.get("tools") or ())


def _arguments(ask: Ask) -> JsonDict:
    """What the model calls each of its tools with."""
    return {"q": ask.prompt, "n": 1}


def _vector(text: str) -> list[float]:
    """Four numbers, the same for the same text."""
    return [zlib.crc32(text.encode("utf-8", "replace"), n) / 2**32 for n in range(4)]


def _counted(ask: Ask) -> int:
    return sum(len(text) // 4 + 1 for text in ask.texts)


class OllamaDialect:
    """`ollama serve`: newline-delimited JSON, streaming unless told otherwise."""

    stream_kind = "application/x-ndjson"
    paths = frozenset({"/api/chat", "/api/generate", "/api/embed"})
    garbage = b"{]\n"
    no_object = b'["no object"]\n'

    def read(self, path: str, body: JsonDict) -> Ask:
        chat = path == "/api/chat"
        prompt = _text_of(body.get("messages")) if chat else str(body.get("prompt", ""))
        options = body.get("options") or {}
        limit = options.get("num_predict")
        model = str(body.get("model", ""))
        if path == "/api/embed":
            texts = _texts_of(body.get("input"))
            return Ask(path, model, texts[0], limit, False, chat=False, texts=texts)
        tools = _tools_of(body)
        return Ask(path, model, prompt, limit, body.get("stream", True), chat=chat, tools=tools)

    def piece(self, ask: Ask, word: str) -> bytes:
        return _ollama_piece(ask.model, word, ask.chat)

    def called(self, ask: Ask) -> list[bytes]:
        """A line for each tool, with the whole call."""
        facts = {"model": ask.model, "created_at": NOW, "done": False}
        said = {"role": "assistant", "content": ""}
        return [
            dump({**facts, "message": {**said, "tool_calls": [call]}}) + b"\n"
            for call in self._calls(ask)
        ]

    def _calls(self, ask: Ask) -> list[JsonDict]:
        return [
            {
                "id": f"call_{n}",
                "function": {"index": n, "name": name, "arguments": _arguments(ask)},
            }
            for n, name in enumerate(ask.tools)
        ]

    def vectors(self, ask: Ask) -> bytes:
        facts = {"total_duration": 2_000_000, "load_duration": 1_000_000}
        vectors = [_vector(text) for text in ask.texts]
        counted = {"prompt_eval_count": _counted(ask)}
        return dump({"model": ask.model, "embeddings": vectors, **facts, **counted})

    def end(self, ask: Ask, answer: Answer) -> bytes:
        return dump(self._last(ask, answer, "")) + b"\n"

    def whole(self, ask: Ask, answer: Answer) -> bytes:
        last = self._last(ask, answer, "".join(answer.words))
        if ask.tools:
            last["message"]["tool_calls"] = self._calls(ask)
        return dump(last)

    def _last(self, ask: Ask, answer: Answer, text: str) -> JsonDict:
        said = (
            {"message": {"role": "assistant", "content": text}} if ask.chat else {"response": text}
        )
        total, load = int(answer.took_s * 1e9), int(answer.load_s * 1e9)
        return {
            "model": ask.model, "created_at": NOW, **said, "done": True, "done_reason": answer.stop,
            "total_duration": total, "load_duration": load,
            "prompt_eval_count": answer.prompt_tokens, "prompt_eval_duration": total // 10,
            "eval_count": len(answer.words), "eval_duration": max(0, total - load - total // 10),
        }  # fmt: skip

    def error(self, status: int, message: str, kind: str = "") -> bytes:
        return dump({"error": message})

    def error_line(self, message: str) -> bytes:
        return dump({"error": message}) + b"\n"

    def no_model(self, model: str) -> str:
        return f"model '{model}' not found"

    def context_error(self) -> str:
        return "the input length exceeds the context length"

    def busy_error(self) -> str:
        return "server busy, please try again.  maximum pending requests exceeded"

    def get(self, path: str, has: Inventory) -> bytes | JsonDict | None:
        match path:
            case "/":
                return b"Ollama is running"
            case "/api/version":
                return {"version": "0.33.0"}
            case "/api/tags":
                return {"models": [self._model(m) for m in has.models]}
            case "/api/ps":
                return {"models": [self._loaded(m) for m in has.loaded]}
        return None

    def about(self) -> JsonDict:
        """The answer to /api/show."""
        info = {"general.architecture": "llama", "general.parameter_count": 8_030_261_248,
                "llama.context_length": 131_072}  # fmt: skip
        return {
            "license": "", "modelfile": "", "parameters": 'stop                           "<|end|>"',
            "template": "{{ .Prompt }}", "details": self._details(), "model_info": info,
            "capabilities": ["completion"], "modified_at": NOW,
        }  # fmt: skip

    def unloaded(self, name: str) -> JsonDict:
        """The answer to an empty prompt with `keep_alive` 0."""
        facts = {"model": name, "created_at": NOW, "response": ""}
        return {**facts, "done": True, "done_reason": "unload"}

    def _details(self) -> JsonDict:
        return {
            "parent_model": "", "format": "gguf", "family": "llama", "families": ["llama"],
            "parameter_size": "8B", "quantization_level": "Q4_K_M",
        }  # fmt: skip

    def _model(self, name: str) -> JsonDict:
        facts = {"name": name, "model": name, "modified_at": NOW, "size": 5_000_000_000}
        return {**facts, "digest": DIGEST, "details": self._details()}

    def _loaded(self, name: str) -> JsonDict:
        vram = {"size_vram": 5_000_000_000, "expires_at": NOW, "context_length": 4096}
        return {**self._model(name), **vram}


@lru_cache(1024)
def _ollama_piece(model: str, word: str, chat: bool) -> bytes:
    said = {"message": {"role": "assistant", "content": word}} if chat else {"response": word}
    return dump({"model": model, "created_at": NOW, **said, "done": False}) + b"\n"


class VllmDialect:
    """The OpenAI server of vLLM: server-sent events, whole answers unless asked to stream."""

    stream_kind = "text/event-stream; charset=utf-8"
    paths = frozenset({
        "/v1/chat/completions", "/v1/completions", "/v1/embeddings", TRANSCRIPTIONS,
    })  # fmt: skip
    garbage = b"data: {]\n\n"
    no_object = b'data: ["no object"]\n\n'

    def read(self, path: str, body: JsonDict) -> Ask:
        if path == TRANSCRIPTIONS:
            return _heard(body)
        limit = body.get("max_tokens") or body.get("max_completion_tokens")
        wants = (body.get("stream_options") or {}).get("include_usage", False)
        model, stream = str(body.get("model", "")), body.get("stream", False)
        chat = path == "/v1/chat/completions"
        texts = _texts_of(body.get("input")) if path == "/v1/embeddings" else ()
        prompt = _text_of(body.get("messages")) if chat else str(body.get("prompt", *texts[:1]))
        tools = _tools_of(body)
        return Ask(path, model, prompt, limit, stream, wants, chat, texts, tools)

    def piece(self, ask: Ask, word: str) -> bytes:
        return _vllm_piece(ask.model, word) if ask.chat else self._text(ask, word)

    def _text(self, ask: Ask, word: str, stop: str | None = None) -> bytes:
        """An event of /v1/completions."""
        choice = {"index": 0, "text": word, "logprobs": None, "finish_reason": stop}
        return _event(_vllm_chunk(ask.model, [choice], "text_completion"))

    def called(self, ask: Ask) -> list[bytes]:
        """Name and id of each tool first, then its arguments in two parts."""
        events = []
        for call in self._calls(ask):
            function, index = call["function"], call["index"]
            text = function["arguments"]
            deltas = [
                {**call, "function": {**function, "arguments": ""}},
                {"index": index, "function": {"arguments": text[:5]}},
                {"index": index, "function": {"arguments": text[5:]}},
            ]
            events += [self._delta(ask, {"tool_calls": [delta]}) for delta in deltas]
        return events

    def _delta(self, ask: Ask, delta: JsonDict) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": None}
        return _event(_vllm_chunk(ask.model, [choice]))

    def _calls(self, ask: Ask) -> list[JsonDict]:
        text = json.dumps(_arguments(ask))
        return [
            {"index": n, "id": f"call-{n}", "type": "function",
             "function": {"name": name, "arguments": text}}
            for n, name in enumerate(ask.tools)
        ]  # fmt: skip

    def vectors(self, ask: Ask) -> bytes:
        rows = [
            {"index": n, "object": "embedding", "embedding": _vector(text)}
            for n, text in enumerate(ask.texts)
        ]
        usage = {"prompt_tokens": _counted(ask), "total_tokens": _counted(ask)}
        facts = {"id": "embd-sim", "object": "list", "created": 1, "model": ask.model}
        return dump({**facts, "data": rows, "usage": usage})

    def end(self, ask: Ask, answer: Answer) -> bytes:
        stop = "tool_calls" if ask.tools else answer.stop
        choice = {"index": 0, "delta": {}, "finish_reason": stop}
        last = _event(_vllm_chunk(ask.model, [choice])) if ask.chat else self._text(ask, "", stop)
        usage = _vllm_chunk(ask.model, []) | {"usage": self._usage(answer)}
        return last + (_event(usage) if ask.usage else b"") + b"data: [DONE]\n\n"

    def whole(self, ask: Ask, answer: Answer) -> bytes:
        said = "".join(answer.words)
        if ask.path == TRANSCRIPTIONS:
            return self._transcript(said, ask, answer)
        calls = {"tool_calls": self._calls(ask)} if ask.tools else {}
        message = {"message": {"role": "assistant", "content": said, **calls}}
        stop = "tool_calls" if ask.tools else answer.stop
        choice: JsonDict = {"index": 0, "logprobs": None, "finish_reason": stop}
        choice |= message if ask.chat else {"text": said}
        kind = "chat.completion" if ask.chat else "text_completion"
        facts = {"id": "chatcmpl-sim", "object": kind, "created": 1, "model": ask.model}
        return dump({**facts, "choices": [choice], "usage": self._usage(answer)})

    def _transcript(self, said: str, ask: Ask, answer: Answer) -> bytes:
        if ask.plain:
            return said.encode()
        counts = {"input_tokens": answer.prompt_tokens, "output_tokens": len(answer.words)}
        return dump({"text": said, "usage": {"type": "tokens", **counts}})

    def _usage(self, answer: Answer) -> JsonDict:
        prompt, said = answer.prompt_tokens, len(answer.words)
        return {"prompt_tokens": prompt, "completion_tokens": said, "total_tokens": prompt + said}

    def error(self, status: int, message: str, kind: str = "") -> bytes:
        return dump({"error": self._error(status, message, kind)})

    def error_line(self, message: str) -> bytes:
        return _event({"error": self._error(500, message, "InternalServerError")})

    def _error(self, status: int, message: str, kind: str) -> JsonDict:
        return {
            "message": message,
            "type": kind or "BadRequestError",
            "param": None,
            "code": status,
        }

    def no_model(self, model: str) -> str:
        return f"The model `{model}` does not exist."

    def context_error(self) -> str:
        return (
            "This model's maximum context length is 512 tokens. However, your request has 900 "
            "input tokens. Please reduce the length of the input messages. (parameter=input_tokens)"
        )

    def busy_error(self) -> str:
        return (
            "The engine is currently busy and cannot accept new requests. Please try again later "
            "or on a different instance."
        )

    def get(self, path: str, has: Inventory) -> bytes | JsonDict | None:
        match path:
            case "/health":
                return b""
            case "/version":
                return {"version": "0.32.0"}
            case "/v1/models":
                return {"object": "list", "data": [self._model(m) for m in has.models]}
        return None

    def _model(self, name: str) -> JsonDict:
        facts = {"id": name, "object": "model", "created": 1, "owned_by": "vllm"}
        return {**facts, "root": name, "max_model_len": 512}


def _heard(body: JsonDict) -> Ask:
    """A file to write down: a record shows its name, its size and what its bytes come to."""
    file = body["file"] if isinstance(body.get("file"), dict) else None
    if file is None:
        raise ValueError("no file in the form")
    prompt = " ".join(str(file[key]) for key in ("name", "bytes", "sha256"))
    plain = body.get("response_format") == "text"
    return Ask(TRANSCRIPTIONS, body.get("model", ""), prompt, None, False, chat=False, plain=plain)


def _event(value: JsonDict) -> bytes:
    return b"data: " + dump(value) + b"\n\n"


def _vllm_chunk(
    model: str, choices: list[JsonDict], kind: str = "chat.completion.chunk"
) -> JsonDict:
    return {"id": "chatcmpl-sim", "object": kind, "created": 1, "model": model, "choices": choices}


@lru_cache(1024)
def _vllm_piece(model: str, word: str) -> bytes:
    choice = {"index": 0, "delta": {"content": word}, "finish_reason": None}
    return _event(_vllm_chunk(model, [choice]))
