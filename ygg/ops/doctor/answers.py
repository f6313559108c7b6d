"""`ygg doctor --try`: does every model server answer? Each is asked for one token.

Of a model that is in memory, else of the smallest by what is known of sizes, else of the first of a route: nothing large
is loaded that nobody asked for. A server whose slots are all busy by the word of the daemon is left alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import cast

from ygg import wire
from ygg.config import Config
from ygg.model import (
    CallLimits,
    Candidate,
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
from ygg.ops.asking import call_of
from ygg.ops.doctor import hosts
from ygg.ops.doctor.checks import Check, Maker, Probe
from ygg.ops.doctor.hosts import Server
from ygg.ports import Backend, CallFailed

CATEGORY = "answers"
ASKED: dict[Operation, JsonDict] = {
    Operation.CHAT: {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 1},
    Operation.EMBED: {"input": "hi"},  # of a model that does nothing else
    Operation.TRANSCRIBE: {},  # a recording of nothing
}
FIXES = {
    OutcomeKind.UNREACHABLE: "start the model server there; its log says why it went away",
    OutcomeKind.UNAUTHORIZED: hosts.KEY,
    OutcomeKind.OUT_OF_MEMORY: "free memory there (ygg models unload), or use a smaller model or context",
    OutcomeKind.BUSY: "something else uses it: let it finish, then ask again",
    OutcomeKind.ERROR: "look into the log of the model server, and restart it: ygg can do nothing about it",
}
NOT_LOADED = "give it more time: ygg submit hello --host {host} --model {model} --wait"


@dataclass(frozen=True, slots=True)
class Choice:
    """The model that a server is asked for, and why that one. `loaded`: it is in memory."""

    model: str
    why: str
    loaded: bool = False


def probes(config: Config, known: Mapping[str, JsonDict]) -> list[Probe]:
    """One for each endpoint of hosts.yaml. `known`: hosts by name, as the daemon tells them."""

    def probe(server: Server) -> Probe:
        taken = full(known.get(server.host.name), server.endpoint.name)
        return Probe(server.name, CATEGORY, lambda: _busy(server) if taken else examine(server))

    return [probe(server) for server in hosts.servers(config)]


def full(host: JsonDict | None, endpoint: str) -> bool:
    """Whether tasks have all slots of the host, or of this endpoint."""
    if host is None:
        return False
    own = [e for e in host["endpoints"] if e["name"] == endpoint and "limit" in e]
    inside = any(e["in_flight"] >= max(1, e["limit"]) for e in own)
    return inside or host["in_flight"] + host["ghosts"] > 0 >= host["available_slots"]


def _of(server: Server) -> Maker:
    return Maker(server.name, CATEGORY)


async def _busy(server: Server) -> list[Check]:
    return [_of(server).ok("not asked: tasks run on all its slots")]


async def examine(server: Server) -> list[Check]:
    """Whether it answers, within the time of one check; nothing of one that is not up: that is told elsewhere."""
    loop = asyncio.get_running_loop()
    end = loop.time() + hosts.PHASE_S
    backend = wire.backend(server.endpoint, server.host.name)
    try:
        health = await backend.check(hosts.PHASE_S / 2)
        if health.health is not HostHealth.UP:
            return []
        choice = choose(server, health, await _sizes(server.endpoint))
        begun = loop.time()
        await _ask(backend, server, choice, end)
    except CallFailed as failure:
        return [_failed(server, choice, failure)]
    finally:
        await backend.close()
    took = f"answered in {(loop.time() - begun) * 1000:.0f} ms"
    return [_of(server).ok(f"{choice.model} {took}" if choice.model else took, choice.why)]


# --- which model --------------------------------------------------------------------------------------


def choose(server: Server, health: Health, sizes: Mapping[str, float]) -> Choice:
    """`sizes` of models by their names, in any unit."""
    usable = _usable(server, health)
    loaded = [model for model in usable if model in (health.loaded or ())]
    known = {m: size for m in usable if (size := _size(server.endpoint, m, sizes)) is not None}
    smallest = min(known, key=known.__getitem__, default=None)
    if loaded:
        return Choice(_smaller(loaded, known), "it is in memory", loaded=True)
    if smallest is not None:
        return Choice(smallest, "the smallest one there, as far as sizes are known")
    first = next(iter(usable), "")
    return Choice(first, "the first of its models")


def _usable(server: Server, health: Health) -> list[str]:
    """Models that ygg may use there, those of routes first; of a server that names none all that it has."""
    ours = dict.fromkeys((*server.wanted, *server.endpoint.models)) or dict.fromkeys(
        health.models or ()
    )
    return [model for model in ours if hosts.serves(server, health, model)] or list(ours)


def _smaller(models: list[str], known: Mapping[str, float]) -> str:
    return min(models, key=lambda model: known.get(model, float("inf")))


def _size(endpoint: Endpoint, model: str, sizes: Mapping[str, float]) -> float | None:
    dialect = names.dialect_of(endpoint.backend, endpoint.dialect) or names.VLLM
    found = (size for name, size in sizes.items() if names.same(name, model, dialect))
    return next(found, None)


async def _sizes(endpoint: Endpoint) -> Mapping[str, float]:
    """Sizes as hosts.yaml says, else as an Ollama lists them."""
    if endpoint.sizes or endpoint.backend != "ollama":
        return endpoint.sizes
    try:
        _, _, told = await wire.ask(endpoint, "/api/tags", hosts.PHASE_S / 4)
    except CallFailed:
        return {}
    listed = told.get("models")
    models = [m for m in listed if isinstance(m, dict)] if isinstance(listed, list) else []
    sized = ((m.get("name"), m.get("size")) for m in models)
    return {n: float(s) for n, s in sized if isinstance(n, str) and isinstance(s, int) and s > 0}


# --- asking it ----------------------------------------------------------------------------------------


async def _ask(backend: Backend, server: Server, choice: Choice, end: float) -> None:
    """Have one token before `end` of the loop's clock. Raises CallFailed."""
    refusal: CallFailed | None = None
    for operation in ASKED:
        if operation.service not in server.endpoint.serves:
            continue
        try:
            return await _token(backend, server, choice, operation, end)
        except CallFailed as failure:
            if failure.kind not in (OutcomeKind.REFUSED, OutcomeKind.BAD_REQUEST):
                raise
            refusal = refusal or failure
    assert refusal is not None
    raise refusal


async def _token(
    backend: Backend, server: Server, choice: Choice, operation: Operation, end: float
) -> None:
    left = max(0.1, end - asyncio.get_running_loop().time())
    place = Candidate(server.host.name, server.endpoint.name, choice.model)
    limits = CallLimits(connect_s=left, first_token_s=left, between_tokens_s=left, total_s=left)
    call = call_of("ygg-doctor", place, ASKED[operation], limits, operation)
    stream = cast("AsyncGenerator[Piece | Done, None]", backend.stream(call))
    try:
        async with asyncio.timeout_at(end), aclosing(stream) as items:
            async for _ in items:
                pass
    except TimeoutError:
        raise CallFailed(
            OutcomeKind.ERROR, f"no token within {hosts.PHASE_S:g} s", abandoned=True
        ) from None


def _failed(server: Server, choice: Choice, failure: CallFailed) -> Check:
    of, model = _of(server), choice.model or "its model"
    if failure.abandoned and not choice.loaded:
        text = f"{model} was not loaded within {hosts.PHASE_S:g} s, which says nothing yet"
        fix = NOT_LOADED.format(host=server.host.name, model=choice.model)
        return of.warning(text, f"asked for: {choice.why}", fix)
    fix = FIXES.get(failure.kind) or hosts.pull(server, choice.model)
    text = f"{model} does not answer: {failure.message}"
    return of.error(text, f"asked for: {choice.why}", fix)
