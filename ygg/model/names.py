"""Canonical model names: one name for one model of one server, whatever spelling comes in.

Inside ygg a model is called what hosts.yaml calls it at that endpoint, and names are compared with `==`.
Whatever enters (routes, pins, what a server or a probe reports) is translated by `own`; a name that
hosts.yaml does not have gets the one form in `canonical`. How much of a spelling matters is the server's
rule:

- Ollama takes upper for lower case everywhere, `:latest` for no tag, and its own registry's prefix or
  none. Any other tag, namespace or registry is another model.
- llama.cpp is asked by file: directory, letter case and `.gguf` say nothing. What is no file but
  `user/repository:quantization` keeps its user, which only a name without one passes over.
- vLLM's names are exact. So are those of a server that is not known yet, but for finding among the
  configured names the one that is meant.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping

from ygg.model.places import Endpoint

OLLAMA, LLAMA_CPP, VLLM, UNKNOWN = "ollama", "llama.cpp", "vllm", ""

_DEFAULT = re.compile(r"^((registry\.ollama\.ai/)?library/(?=[^/]+$)|registry\.ollama\.ai/)")
_FILE = re.compile(r"(~|\.|[a-z]:)?/|.*\.gguf$")


def dialect_of(backend: str, dialect: str | None) -> str:
    """Whose rules hold for an endpoint's names: UNKNOWN where hosts.yaml does not say."""
    return OLLAMA if backend == "ollama" else dialect or UNKNOWN


def canonical(model: str, dialect: str) -> str:
    """The one form of all spellings that a server takes for one model."""
    return _FORMS[dialect](model)


def same(one: str, other: str, dialect: str) -> bool:
    """Whether two names may mean one model to a server."""
    return one == other or any(key(one) == key(other) for key in _KEYS[dialect])


def answers(asked: str, told: str, dialect: str) -> bool:
    """Whether an answer that names one model may be of the one asked for. A server that is not known may
    add a date, a tag or a directory."""
    if same(asked, told, dialect):
        return True
    one, other = _bare(asked), _bare(told)
    return dialect in (VLLM, UNKNOWN) and (one.startswith(other) or other.startswith(one))


def own(endpoint: Endpoint, model: str, dialect: str | None = None) -> str:
    """What hosts.yaml calls a model at this endpoint; for one it does not have, its canonical name.

    `dialect`: what the server turned out to be, where hosts.yaml does not say.
    """
    said = dialect_of(endpoint.backend, endpoint.dialect)
    found = find(endpoint.models, model, said or dialect or UNKNOWN)
    return canonical(model, said) if found is None else found


def find(known: Collection[str], model: str, dialect: str) -> str | None:
    """The one of these names that means the model: spelled so, else the only one by the strictest rule
    that finds any."""
    if model in known:
        return model
    for key in _KEYS[dialect]:
        found = [m for m in known if key(m) == key(model)]
        if found:
            return found[0] if len(found) == 1 else None
    return None


def _exact(model: str) -> str:
    return model


def _ollama(model: str) -> str:
    """Ollama's rules, tried on the server itself: scheme and surrounding space do not count either."""
    name = model.strip().lower().rpartition("://")[2].removesuffix(":latest")
    return _DEFAULT.sub("", name)


def _llama_cpp(model: str) -> str:
    name = model.replace("\\", "/").lower()
    return (_bare(name) if _FILE.match(name) else name).removesuffix(".gguf")


def _bare(model: str) -> str:
    """Without any directory or user: a name that says less than the server's."""
    return model.replace("\\", "/").lower().rpartition("/")[2].removesuffix(".gguf")


_FORMS: Mapping[str, Callable[[str], str]] = {
    OLLAMA: _ollama,
    LLAMA_CPP: _llama_cpp,
    VLLM: _exact,
    UNKNOWN: _exact,
}
#: What must be equal for two names to mean one model, the strictest first.
_KEYS: Mapping[str, tuple[Callable[[str], str], ...]] = {
    OLLAMA: (_ollama,),
    LLAMA_CPP: (_llama_cpp, _bare),
    VLLM: (),
    UNKNOWN: (_ollama, _llama_cpp, _bare),
}
