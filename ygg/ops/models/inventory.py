"""`ygg models`: what every model server of the configuration has, and changes to it.

Servers are asked straight, all at once, with a deadline each; the dispatcher takes no part.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import TYPE_CHECKING, cast

from ygg import wire
from ygg.errors import NotFound, YggError, known_host
from ygg.model import Endpoint, JsonDict
from ygg.ops.models.servers import Model, ModelServer, Step, means, no_pull

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from ygg.config import Config

LIST_S = 3.0  #: for one server to tell what it has


@dataclass(frozen=True, slots=True)
class Listed:
    """What one server has. `error`: why it is not known."""

    host: str
    endpoint: Endpoint
    models: tuple[Model, ...] = ()
    routes: tuple[tuple[str, ...], ...] = ()  #: of each model, the task types that use it
    missing: tuple[tuple[str, tuple[str, ...]], ...] = ()  #: models hosts.yaml names, but it lacks
    error: YggError | None = None

    def body(self) -> JsonDict:
        """For --json."""
        error = self.error and {"code": self.error.code, "message": self.error.message}
        return {
            "host": self.host,
            "endpoint": self.endpoint.name,
            "backend": self.endpoint.backend,
            "url": self.endpoint.url,
            "error": error,
            "models": [_model_body(m, r) for m, r in zip(self.models, self.routes, strict=True)],
            "missing": [{"name": name, "routes": list(routes)} for name, routes in self.missing],
        }


def _model_body(model: Model, routes: tuple[str, ...]) -> JsonDict:
    return {
        "name": model.name, "size": model.size, "loaded": model.loaded,
        "parameters": model.parameters, "quantization": model.quantization, "routes": list(routes),
    }  # fmt: skip


@dataclass(slots=True)
class Pulling:
    """How far a pull has come, over all layers heard of so far."""

    status: str = ""
    layers: dict[str, tuple[int, int]] = field(default_factory=dict)

    @property
    def done(self) -> int:
        return sum(done for done, _ in self.layers.values())

    @property
    def total(self) -> int:
        return sum(total for _, total in self.layers.values())

    def take(self, step: Step) -> None:
        """A layer never goes back: some steps leave its bytes out."""
        self.status = step.status
        if step.digest:
            done, total = self.layers.get(step.digest, (0, 0))
            self.layers[step.digest] = (max(done, step.done), max(total, step.total))


# --- verbs ----------------------------------------------------------------------------------------


def listed(config: Config, host: str | None = None) -> list[Listed]:
    """What every server has, or those of one host. NotFound for a host that is not configured."""
    return asyncio.run(_ask(config, host))


def shown(config: Config, model: str, host: str | None = None) -> list[JsonDict]:
    """All about a model, on each server that has it. NotFound when none does."""

    async def main() -> list[JsonDict]:
        found = _having(await _ask(config, host), model)
        return list(await asyncio.gather(*(_facts(one, has) for one, has in found)))

    return asyncio.run(main())


def pull(config: Config, model: str, host: str, note: Callable[[Pulling], None]) -> None:
    """Download a model on a host's Ollama server; `note` hears of each step.

    NotFound for an unknown host or model, InvalidInput where nothing can be pulled, ServerFailed.
    """
    known_host(host, config.hosts)
    endpoints = config.hosts[host].endpoints
    endpoint = next((e for e in endpoints if e.backend == "ollama"), None)
    if endpoint is None:
        raise no_pull(host)
    try:
        asyncio.run(_pull(host, endpoint, model, note))
    except NotFound as error:
        raise NotFound(
            error.message, hint=_near(model, _configured(config)) or error.hint
        ) from None


def unload(
    config: Config, model: str, host: str | None = None
) -> list[tuple[str, YggError | None]]:
    """Unload a model wherever it is loaded: each host, with what went wrong there.

    NotFound when no server has it. A server that does not answer stands among the hosts.
    """

    async def main() -> list[tuple[str, YggError | None]]:
        asked = await _ask(config, host)
        found = [(one, has) for one, has in _having(asked, model) if has.loaded is not False]
        results = await asyncio.gather(*(_unload(one, has) for one, has in found))
        return [*results, *((one.host, one.error) for one in asked if one.error)]

    return asyncio.run(main())


# --- how ------------------------------------------------------------------------------------------


@asynccontextmanager
async def _opened(host: str, endpoint: Endpoint) -> AsyncIterator[ModelServer]:
    """The server of an endpoint. ConfigError when its API key cannot be read."""
    from ygg.ops.models.ollama import OllamaModels
    from ygg.ops.models.openai import OpenAIModels

    kind = OllamaModels if endpoint.backend == "ollama" else OpenAIModels
    server = kind(host, endpoint, wire.key_headers(endpoint))
    try:
        yield server
    finally:
        await server.close()


async def _ask(config: Config, host: str | None) -> list[Listed]:
    if host is not None:
        known_host(host, config.hosts)
    endpoints = [(h.name, e) for h in config.hosts.values() for e in h.endpoints]
    wanted = (one for one in endpoints if host in (None, one[0]))
    return list(await asyncio.gather(*(_list(config, *one) for one in wanted)))


async def _list(config: Config, host: str, endpoint: Endpoint) -> Listed:
    try:
        async with _opened(host, endpoint) as server:
            models = tuple(await server.models(LIST_S))
    except YggError as error:
        return Listed(host, endpoint, error=error)
    named = _routes(config, host, endpoint)

    def used(model: str) -> tuple[str, ...]:
        using = (kind for name, kind in named if not name or means(endpoint, name, model))
        return tuple(dict.fromkeys(using))

    wanted = dict.fromkeys((*endpoint.models, *(name for name, _ in named if name)))
    lacking = (w for w in wanted if not any(means(endpoint, w, m.name) for m in models))
    missing = tuple((name, used(name)) for name in lacking)
    return Listed(host, endpoint, models, tuple(used(m.name) for m in models), missing)


def _routes(config: Config, host: str, endpoint: Endpoint) -> list[tuple[str, str]]:
    """(model, task type) for each candidate on this server; model "" is the one it happens to have."""
    return [
        (candidate.model or next(iter(endpoint.models), ""), kind.name)
        for kind in config.types.values()
        for candidate in kind.route
        if (candidate.host, candidate.endpoint) == (host, endpoint.name)
    ]


def _having(asked: list[Listed], model: str) -> list[tuple[Listed, Model]]:
    """The servers that have a model. NotFound with near names; the first error when nobody answers."""
    found = [(one, m) for one in asked for m in one.models if means(one.endpoint, m.name, model)]
    if found:
        return found
    silent = [one for one in asked if one.error]
    if silent and len(silent) == len(asked):
        raise cast("YggError", silent[0].error)
    rest = f" ({', '.join(one.host for one in silent)} did not answer)" if silent else ""
    names = [m.name for one in asked for m in one.models]
    raise NotFound(f"no host has {model!r}{rest}", hint=_near(model, names) or "ygg models list")


def _near(model: str, names: Iterable[str]) -> str:
    """Names like it, as a hint; "" when there are none."""
    known = {n.lower(): n for n in names}
    close = get_close_matches(model.lower(), known, 3, 0.65)
    close += [n for n in known if model.lower() in n and n not in close]
    return f"perhaps {' or '.join(known[n] for n in close[:3])}" if close else ""


def _configured(config: Config) -> set[str]:
    endpoints = (e for h in config.hosts.values() for e in h.endpoints)
    return {m for e in endpoints for m in e.models}


async def _facts(one: Listed, model: Model) -> JsonDict:
    async with _opened(one.host, one.endpoint) as server:
        facts = await server.facts(model)
    routes = one.routes[one.models.index(model)]
    where = {"host": one.host, "endpoint": one.endpoint.name, "backend": one.endpoint.backend}
    return {**where, "name": model.name, "routes": list(routes), **facts}


async def _pull(host: str, endpoint: Endpoint, model: str, note: Callable[[Pulling], None]) -> None:
    so_far = Pulling()
    async with _opened(host, endpoint) as server:
        steps = cast("AsyncGenerator[Step, None]", server.pull(model))
        async with aclosing(steps):
            async for step in steps:
                so_far.take(step)
                note(so_far)


async def _unload(one: Listed, model: Model) -> tuple[str, YggError | None]:
    try:
        async with _opened(one.host, one.endpoint) as server:
            await server.unload(model.name)
    except YggError as error:
        return one.host, error
    return one.host, None
