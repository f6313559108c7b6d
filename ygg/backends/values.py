"""Values of servers' answers, brought into one form. What has another shape than it should is nothing
(None, "" or empty), but for vectors, where it is an error."""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Sequence

from ygg.backends import failures
from ygg.model import Embeddings, JsonDict

NAME_MAX = 200
MODELS_MAX = 500  #: of one server; what else it lists is passed over
NUMBER_MAX = 2**53  #: counts and durations beyond it are nonsense, and no store holds them
_decode = json.JSONDecoder().decode


def as_object(line: bytes) -> JsonDict | None:
    """A JSON object, or None for anything else."""
    try:
        data = _decode(line.decode("utf-8", "surrogatepass").removeprefix("\ufeff"))
    except (ValueError, RecursionError):
        return None
    return data if isinstance(data, dict) else None


def as_dict(value: object) -> JsonDict:
    return value if isinstance(value, dict) else {}


def as_name(value: object) -> str:
    """A short string that a server says of itself or of an answer: cut, and without what no line can hold."""
    if not isinstance(value, str):
        return ""
    return "".join(c if c.isprintable() else "\ufffd" for c in value[:NAME_MAX])


def as_models(entries: object, key: str, known: Collection[str]) -> list[JsonDict] | None:
    """The entries of a server's list of models, each with a clean name under `key`: those that hosts.yaml
    knows, and so many of the others. None where it is no list."""
    if not isinstance(entries, list):
        return None
    named = [e for e in entries if isinstance(e, dict) and isinstance(e.get(key), str)]
    if len(named) > MODELS_MAX:
        named = [e for e in named if e[key] in known] + named[:MODELS_MAX]
    return [{**e, key: as_name(e[key])} for e in named]


def as_count(value: object) -> int | None:
    return value if type(value) is int and 0 <= value < NUMBER_MAX else None


def as_ms(value: object, per_ms: float = 1.0) -> float | None:
    """A duration in milliseconds, from a number of which `per_ms` make one."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value / per_ms if 0 <= value < NUMBER_MAX else None


# --- log probabilities ----------------------------------------------------------------------------


def as_logprobs(value: object) -> tuple[JsonDict, ...]:
    """An entry for each token of a piece, from a list (Ollama), `content` (chats of the OpenAI protocol,
    everything of llama.cpp) or the lists side by side of /v1/completions (vLLM)."""
    if isinstance(value, dict):
        value = value.get("content") or _side_by_side(value)
    return _entries(value)


def _entries(value: object) -> tuple[JsonDict, ...]:
    if not isinstance(value, list):
        return ()
    return tuple(_entry(entry) for entry in value if isinstance(entry, dict))


def _entry(entry: JsonDict) -> JsonDict:
    told: JsonDict = {
        "token": failures.clean(str(entry.get("token", ""))),
        "logprob": _finite(entry.get("logprob")),
    }
    data = entry.get("bytes")
    if isinstance(data, list) and all(type(b) is int and 0 <= b < 256 for b in data):
        told["bytes"] = data
    top = _entries(entry.get("top_logprobs"))
    return told | ({"top_logprobs": list(top)} if top else {})


def _side_by_side(value: JsonDict) -> list[JsonDict]:
    tokens, logprobs, tops = (
        found if isinstance(found := value.get(key), list) else []
        for key in ("tokens", "token_logprobs", "top_logprobs")
    )
    rows = []
    for n, (token, logprob) in enumerate(zip(tokens, logprobs, strict=False)):
        top = as_dict(tops[n]) if n < len(tops) else {}
        ranked = [{"token": t, "logprob": p} for t, p in top.items()]
        rows.append({"token": token, "logprob": logprob, "top_logprobs": ranked})
    return rows


def _finite(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if -NUMBER_MAX < value < NUMBER_MAX else None


# --- vectors --------------------------------------------------------------------------------------


def as_embeddings(rows: Sequence[object], texts: int, line: bytes) -> Embeddings:
    """One vector of finite numbers for each of so many texts. Raises CallFailed for anything else."""
    if len(rows) != texts:
        raise failures.malformed(b"%d vectors for %d texts: %s" % (len(rows), texts, line[:80]))
    return tuple(_vector(row, line) for row in rows)


def _vector(row: object, line: bytes) -> tuple[float, ...]:
    if not isinstance(row, list) or not row or not all(type(n) in (int, float) for n in row):
        raise failures.malformed(line)
    try:
        vector = tuple(map(float, row))
    except OverflowError as exc:  # a whole number beyond all floats
        raise failures.malformed(line) from exc
    if not all(map(math.isfinite, vector)):
        raise failures.malformed(line)
    return vector
