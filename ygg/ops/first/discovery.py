"""Looks for model servers and finds out what each one is.

First a TCP connection to every place, many at once; then a few GETs to those that took it. Nothing is
ever posted: no model is loaded by looking.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network
from typing import Any
from urllib.parse import urlsplit

from ygg import wire
from ygg.errors import InvalidInput
from ygg.model import Endpoint, JsonDict
from ygg.ops.first import networks
from ygg.ports import CallFailed

PORTS = (11434, 8080, 8000, 1234)  #: Ollama, llama.cpp, vLLM, LM Studio
LOOPBACK = "127.0.0.1"
IN_FLIGHT = 256  #: for each network: its 1,016 places take 2 s when all are silent
CONNECT_S = 0.5  #: on a local network an answer takes a millisecond
NAMED_S = 2.0  #: for hosts that were named: they may be farther away
ASK_S = 2.0
NAME_S = 1.0


@dataclass(frozen=True, slots=True)
class Place:
    """Where a server may be. `host` is as given or an address; `named`: by a person."""

    host: str
    port: int
    scheme: str = "http"
    named: bool = False

    @property
    def url(self) -> str:
        return f"{self.scheme}://{_bracketed(self.host)}:{self.port}"


@dataclass(frozen=True, slots=True)
class Model:
    """A model of a server: its size in bytes and in billions of parameters, where told."""

    name: str
    size: int | None = None
    billions: float | None = None


@dataclass(frozen=True, slots=True)
class Server:
    """What answered. `kind` is ollama, llama.cpp, vllm or openai; `locked`: it wants an API key."""

    place: Place
    kind: str
    version: str = ""
    models: tuple[Model, ...] = ()
    slots: int | None = None
    context: int | None = None
    cpu: bool = False
    locked: bool = False


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine with its servers. `name` is its own, or "" where nobody knows it."""

    address: str
    name: str
    servers: tuple[Server, ...] = field(default=())


def places(named: Iterable[str], nets: Iterable[IPv4Network]) -> list[Place]:
    """Everywhere to look: the hosts a person named, this machine, the networks. Raises InvalidInput."""
    own = set(networks.addresses())
    given = [place for text in named for place in _given(text)]
    here = [Place(LOOPBACK, port) for port in PORTS]
    there = [
        Place(str(address), port)
        for net in nets
        for address in net.hosts()
        if address not in own
        for port in PORTS
    ]
    return list(dict.fromkeys([*given, *here, *there]))


def _given(text: str) -> list[Place]:
    """HOST, HOST:PORT or a URL. InvalidInput for anything else."""
    scheme, slashes, rest = text.partition("://")
    scheme, rest = (scheme, rest) if slashes else ("http", text)
    try:
        parts = urlsplit(f"//{rest}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    sound = re.fullmatch(r"[A-Za-z0-9_.:-]+", host or "") and scheme in ("http", "https")
    if not (host and sound) or "@" in text or port == 0:
        raise InvalidInput(f"no host: {text!r}", hint="--host surtr, or --host 192.168.1.5:11434")
    if slashes and port is None:
        port = 443 if scheme == "https" else 80
    return [Place(host, p, scheme, named=True) for p in ((port,) if port else PORTS)]


# --- looking --------------------------------------------------------------------------------------


async def discover(where: Sequence[Place]) -> list[Machine]:
    """The machines with servers among these places, each server once."""
    gate = asyncio.Semaphore(max(IN_FLIGHT, len(where) // 4))
    taken = await asyncio.gather(*(_connects(place, gate) for place in where))
    open_ = [place for place, took in zip(where, taken, strict=True) if took]
    known = await asyncio.gather(*(identify(place) for place in open_))
    return await _machines([server for server in known if server is not None])


async def _connects(place: Place, gate: asyncio.Semaphore) -> bool:
    try:
        async with gate, asyncio.timeout(NAMED_S if place.named else CONNECT_S):
            _, writer = await asyncio.open_connection(place.host, place.port)
    except (OSError, TimeoutError, UnicodeError):
        return False
    writer.close()
    return True


async def _machines(servers: Sequence[Server]) -> list[Machine]:
    """Servers by machine; one that was reached under two names counts once, under the first."""
    addresses = await asyncio.gather(*(_resolved(s.place.host) for s in servers))
    grouped: dict[str, dict[int, Server]] = {}
    for server, address in zip(servers, addresses, strict=True):
        grouped.setdefault(address, {}).setdefault(server.place.port, server)
    named = await asyncio.gather(*(_name(a, list(s.values())) for a, s in grouped.items()))
    return [
        Machine(address, name, tuple(found.values()))
        for name, (address, found) in zip(named, grouped.items(), strict=True)
    ]


async def _resolved(host: str) -> str:
    """The address of a host; all of this machine's own are one."""
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(NAME_S):
            found = await loop.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, TimeoutError, UnicodeError):
        return host
    address = str(found[0][4][0])
    own = {str(a) for a in networks.addresses()} | {"::1"}
    return LOOPBACK if address in own else address


async def _name(address: str, servers: Sequence[Server]) -> str:
    """As a person named it, else this machine's own name, else what the name service says."""
    given = [s.place.host for s in servers if s.place.named and not _numeric(s.place.host)]
    if given and given[0] != "localhost":
        return given[0]
    if address == LOOPBACK:
        return socket.gethostname()
    with contextlib.suppress(OSError, TimeoutError, UnicodeError):
        async with asyncio.timeout(NAME_S):
            return (await asyncio.to_thread(socket.gethostbyaddr, address))[0]
    return ""


def _numeric(host: str) -> bool:
    try:
        IPv4Address(host)
    except ValueError:
        return ":" in host
    return True


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


# --- what it is -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Page:
    status: int = 0  #: 0: no answer
    server: str = ""
    data: JsonDict = field(default_factory=dict)


PAGES = ("/api/version", "/api/tags", "/api/ps", "/props", "/v1/models", "/version")


async def identify(place: Place) -> Server | None:
    """What answers at this place; None when it is no model server."""
    endpoint = Endpoint("probe", "openai", place.url)
    got = await asyncio.gather(*(_get(endpoint, path) for path in PAGES))
    pages = dict(zip(PAGES, got, strict=True))
    return _ollama(place, pages) or _llama_cpp(place, pages) or _openai(place, pages)


async def _get(endpoint: Endpoint, path: str) -> _Page:
    try:
        return _Page(*await wire.ask(endpoint, path, ASK_S))
    except CallFailed:
        return _Page()


Pages = dict[str, _Page]


def _ollama(place: Place, pages: Pages) -> Server | None:
    version, tags = pages["/api/version"].data.get("version"), pages["/api/tags"].data.get("models")
    if not isinstance(version, str) or not isinstance(tags, list):
        return None
    models = [_ollama_model(entry) for entry in tags if isinstance(entry, dict)]
    loaded = _entries(pages["/api/ps"].data, "models")
    cpu = bool(loaded) and not any(_whole(entry.get("size_vram")) for entry in loaded)
    return Server(place, "ollama", version, _usable(models), cpu=cpu)


def _ollama_model(entry: JsonDict) -> Model:
    details = entry.get("details")
    told = details.get("parameter_size") if isinstance(details, dict) else None
    return Model(str(entry.get("name", "")), _whole(entry.get("size")), _billions(told))


def _billions(text: object) -> float | None:
    """`8.2B`, `270M`."""
    if not isinstance(text, str) or text[-1:] not in ("B", "M", "K"):
        return None
    try:
        return float(text[:-1]) / {"B": 1, "M": 1e3, "K": 1e6}[text[-1]]
    except ValueError:
        return None


def _llama_cpp(place: Place, pages: Pages) -> Server | None:
    props, models = pages["/props"], pages["/v1/models"]
    says = props.server.startswith("llama.cpp")
    if says and 401 in (props.status, models.status):
        return Server(place, "llama.cpp", locked=True)
    slots = _whole(props.data.get("total_slots"))
    if slots is None:
        return None
    settings = props.data.get("default_generation_settings")
    context = _whole(settings.get("n_ctx")) if isinstance(settings, dict) else None
    build = str(props.data.get("build_info") or "")
    return Server(place, "llama.cpp", build, _listed(models.data), slots, context)


def _openai(place: Place, pages: Pages) -> Server | None:
    models, version = pages["/v1/models"], pages["/version"].data.get("version")
    if models.status in (401, 403):
        return Server(place, "openai", locked=True)
    if models.status != 200 or not isinstance(models.data.get("data"), list):
        return None
    entries = _entries(models.data, "data")
    owned = any(entry.get("owned_by") == "vllm" for entry in entries)
    told = version if isinstance(version, str) else ""
    lengths = [n for e in entries if (n := _whole(e.get("max_model_len"))) is not None]
    return Server(
        place, "vllm" if owned else "openai", told, _listed(models.data),
        context=min(lengths, default=None),
    )  # fmt: skip


def _listed(data: JsonDict) -> tuple[Model, ...]:
    """The models of /v1/models; llama.cpp names them by their path, of which the last part counts."""
    found = []
    for entry in _entries(data, "data"):
        name = str(entry.get("id", ""))
        meta: Any = entry.get("meta")
        meta = meta if isinstance(meta, dict) else {}
        count = _whole(meta.get("n_params"))
        name = name.replace("\\", "/").rpartition("/")[2] if name.endswith(".gguf") else name
        found.append(Model(name, _whole(meta.get("size")), count / 1e9 if count else None))
    return _usable(found)


def _usable(models: Iterable[Model]) -> tuple[Model, ...]:
    """Each name once, and only names that can be written into a file."""
    by_name = {m.name: m for m in models if m.name.isprintable() and 0 < len(m.name) <= 200}
    return tuple(by_name.values())


def _entries(data: JsonDict, key: str) -> list[JsonDict]:
    found = data.get(key)
    return [e for e in found if isinstance(e, dict)] if isinstance(found, list) else []


def _whole(value: object) -> int | None:
    return value if type(value) is int and 0 <= value < 2**53 else None
