"""What a model server keeps: its models, which of them are loaded, and changes to both.

Ollama is spoken to through its own package, servers of the OpenAI protocol through httpx. Whatever goes
wrong ends as a ServerFailed or NotFound that names the host.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, Protocol

from ygg.errors import InvalidInput, NotFound, YggError
from ygg.model import Endpoint, JsonDict, names

CONNECT_S = 3.0
ASK_S = 10.0  #: for what a server must look up first
QUIET_S = 900.0  #: a pull says nothing while it checks the digest of a large file
UNLOAD_S = 10.0
POLL_S = 0.25

#: What `show` tells; what a server does not say is None.
FACTS = (
    "size", "loaded", "parameters", "quantization", "family", "context_length", "template_bytes",
    "capabilities", "settings", "slots",
)  # fmt: skip


class ServerFailed(YggError):
    """A model server could not be reached, or could not do what was asked."""

    code = "server_failed"
    http_status = 502


@dataclass(frozen=True, slots=True)
class Model:
    """One model of one server. Sizes in bytes; None where the server does not tell."""

    name: str
    size: int | None = None
    loaded: bool | None = None
    parameters: str | None = None
    quantization: str | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """News of a pull: of one layer (`digest`, bytes done and in all), or of the whole."""

    status: str
    digest: str = ""
    done: int = 0
    total: int = 0


class ModelServer(Protocol):
    """One endpoint. Every verb raises ServerFailed, or NotFound for an unknown model."""

    async def models(self, limit_s: float) -> list[Model]: ...

    async def facts(self, model: Model) -> JsonDict:
        """FACTS of a model that `models` listed."""
        ...

    async def unload(self, name: str) -> None:
        """Return once it is no longer loaded. InvalidInput where the server cannot unload."""
        ...

    def pull(self, name: str) -> AsyncIterator[Step]:
        """Download a model; ends when it is whole. InvalidInput where the server cannot pull."""
        ...


def means(endpoint: Endpoint, one: str, other: str) -> bool:
    """Whether two names mean one model to this server."""
    return names.same(one, other, names.dialect_of(endpoint.backend, endpoint.dialect))


def known(**facts: Any) -> JsonDict:
    """FACTS in their order."""
    return {name: facts.get(name) for name in FACTS}


async def gone(host: str, name: str, loaded: Any) -> None:
    """Wait until `await loaded()` is False. ServerFailed after UNLOAD_S."""
    until = asyncio.get_running_loop().time() + UNLOAD_S
    while await loaded():
        if asyncio.get_running_loop().time() >= until:
            raise ServerFailed(
                f"{host}: {name} is still loaded after {UNLOAD_S:g} s",
                hint="a running call keeps it loaded: it goes when the call ends",
            )
        await asyncio.sleep(POLL_S)


# --- errors ---------------------------------------------------------------------------------------


def unreachable(host: str, url: str) -> ServerFailed:
    return ServerFailed(
        f"{host}: nothing answers at {url}", hint=f"is its server running? ygg hosts probe {host}"
    )


def silent(host: str, limit_s: float | None) -> ServerFailed:
    within = "" if limit_s is None else f" within {limit_s:g} s"
    return ServerFailed(
        f"{host}: no answer{within}", hint="a server that loads a model answers late: try again"
    )


def broken_off(host: str, why: object) -> ServerFailed:
    return ServerFailed(f"{host}: the connection broke: {why or 'no reason given'}")


def strange(host: str, url: str, backend: str) -> ServerFailed:
    return ServerFailed(
        f"{host}: what answers at {url} does not speak as {backend} does",
        hint="look at `url` and `backend` in hosts.yaml",
    )


def refused(host: str, status: int, message: str, model: str) -> YggError:
    """What an error answer means; status -1 is an error in the middle of a stream."""
    text = message.lower()
    if status in (401, 403):
        return ServerFailed(
            f"{host}: not authorised (HTTP {status})", hint=f"set api_key_file of {host}"
        )
    if "no space left" in text or "disk full" in text:
        return ServerFailed(
            f"{host}: its disk is full", hint=f"ygg models list --host {host} shows what is there"
        )
    if model and "manifest" in text and ("does not exist" in text or "not found" in text):
        return NotFound(
            f"there is no model {model!r} to pull", hint="ollama.com/library lists them"
        )
    if model and status == 404:
        return NotFound(f"{host}: no model {model!r}", hint=f"ygg models list --host {host}")
    where = f" (HTTP {status})" if status > 0 else ""
    hint = f"can {host} reach the internet?" if "dial tcp" in text or "lookup" in text else ""
    return ServerFailed(f"{host}: {message[:300] or 'refused'}{where}", hint=hint)


def no_pull(host: str) -> InvalidInput:
    return InvalidInput(
        f"{host} does not pull: its server is started with its model",
        hint="only Ollama hosts pull models",
    )


def no_unload(host: str) -> InvalidInput:
    return InvalidInput(
        f"{host} holds its one model for as long as its server runs",
        hint=f"stop the server on {host} to free its memory; ygg hosts drain {host} first",
    )
