"""Can every model server be reached, does it serve what the routes want, and as many at once?"""

from __future__ import annotations

import asyncio
import errno
import socket
import stat
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from ygg import wire
from ygg.config import Config
from ygg.model import Endpoint, Health, Host, HostHealth, JsonDict, names
from ygg.ops.doctor.checks import Check, Maker, Probe
from ygg.plain import counted
from ygg.ports import CallFailed

PHASE_S = 2.5  #: for connecting, and for each answer; below the deadline, to say which one it was
SMALL_CONTEXT = 2048  #: tokens of one slot; less cuts ordinary prompts


@dataclass(frozen=True, slots=True)
class Server:
    """One endpoint with what hosts.yaml wants of it: models, and the task types that use each."""

    host: Host
    endpoint: Endpoint
    wanted: dict[str, list[str]]

    @property
    def name(self) -> str:
        single = len(self.host.endpoints) == 1
        return self.host.name if single else f"{self.host.name}/{self.endpoint.name}"

    def of(self, subject: str) -> Maker:
        return Maker(f"{self.name} {subject}".strip(), "hosts")


def probes(config: Config) -> list[Probe]:
    """One for each endpoint of hosts.yaml."""
    return [Probe(s.name, "hosts", lambda s=s: examine(s)) for s in servers(config)]  # type: ignore[misc]


def servers(config: Config) -> list[Server]:
    """All endpoints of hosts.yaml."""
    return [
        Server(host, endpoint, _wanted(config, host.name, endpoint.name))
        for host in config.hosts.values()
        for endpoint in host.endpoints
    ]


def _wanted(config: Config, host: str, endpoint: str) -> dict[str, list[str]]:
    """Models that routes name on this endpoint, with the types of those routes."""
    found: dict[str, list[str]] = {}
    for kind in config.types.values():
        for place in kind.route:
            if (place.host, place.endpoint) == (host, endpoint) and place.model:
                found.setdefault(place.model, []).append(kind.name)
    return found


async def examine(server: Server) -> list[Check]:
    """Everything about one endpoint; the first thing that is wrong hides what follows from it."""
    tcp, health, props = await asyncio.gather(
        _connect(server), _health(server), _props(server.endpoint)
    )
    key = _key_file(server)
    if tcp is not None:
        return [tcp, *key]
    if isinstance(health, Check):
        return [health, *key]
    found = [*_models(server, health), *_slots(server, health, props)]
    return [_up(server, health), *key, *found]


# --- reaching it ------------------------------------------------------------------------------------


async def _connect(server: Server) -> Check | None:
    """What stands in the way of a TCP connection."""
    of = server.of("")
    parts = urlsplit(server.endpoint.url)
    host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    try:
        async with asyncio.timeout(PHASE_S):
            _, writer = await asyncio.open_connection(host, port)
    except TimeoutError:
        text = f"{host}:{port} does not answer within {PHASE_S:g} s"
        return of.error(text, fix="is it switched on and awake? is a firewall in between?")
    except socket.gaierror:
        fix = "check the spelling, add it to /etc/hosts, or use its address in hosts.yaml"
        return of.error(f"there is no machine called {host}", fix=fix)
    except OSError as error:
        return of.error(f"{host}:{port}: {_words(error)}", fix=_listening(server, host))
    writer.close()
    return None


def _words(error: OSError) -> str:
    """asyncio wraps the reason into a sentence of its own."""
    known = {
        errno.ECONNREFUSED: "nobody listens there (connection refused)",
        errno.EHOSTUNREACH: "no way to this machine (is it off?)",
        errno.ENETUNREACH: "no way to this network",
    }
    return known.get(error.errno or 0, error.strerror or str(error))


def _listening(server: Server, host: str) -> str:
    if server.endpoint.backend == "ollama" and host not in ("127.0.0.1", "localhost", "::1"):
        return "start it there, and let it listen to the network: OLLAMA_HOST=0.0.0.0 ollama serve"
    return "start the model server there, or mend the url in hosts.yaml"


async def _health(server: Server) -> Health | Check:
    """What its backend's check found; a Check when it is not up."""
    of = server.of("")
    backend = wire.backend(server.endpoint, server.host.name)
    try:
        health = await backend.check(PHASE_S - 0.3)
    finally:
        await backend.close()
    match health.health:
        case HostHealth.UP:
            return health
        case HostHealth.UNAUTHORIZED:
            keyed = server.endpoint.api_key_file is not None
            return of.error(_no_access(health.message, keyed=keyed), fix=KEY if keyed else NO_KEY)
        case _:
            behind = health.message.startswith("HTTP 5")
            fix = BEHIND if behind else WRONG_SERVER
            return of.error(health.message or str(health.health), fix=fix)


def _no_access(message: str, *, keyed: bool) -> str:
    if message.startswith("api_key_file"):
        return message  # it was never sent
    return f"{'its API key is refused' if keyed else 'it wants an API key'}: {message}"


def _key_file(server: Server) -> list[Check]:
    """A warning when anybody on this machine may read the server's key."""
    path = server.endpoint.api_key_file
    try:
        mode = 0 if path is None else Path(path).stat().st_mode
    except (OSError, ValueError):
        return []  # whether it can be read at all is told above
    if not mode & (stat.S_IROTH | stat.S_IWOTH):
        return []
    text = f"{path} is open to every user of this machine, mode {stat.S_IMODE(mode):04o}"
    return [server.of("key").warning(text, fix=f"chmod o= {path}")]


KEY = "put the right key into the file that api_key_file names"
NO_KEY = "write the key into a file of its own and name that in hosts.yaml: api_key_file"
BEHIND = "if a proxy answers there, start the model server behind it"
WRONG_SERVER = "check backend and url in hosts.yaml; ygg init shows what runs where"


async def _props(endpoint: Endpoint) -> JsonDict:
    """llama.cpp's /props; {} for other servers, and when it cannot be had."""
    if endpoint.backend != "openai":
        return {}
    try:
        status, _, body = await wire.ask(endpoint, "/props", PHASE_S)
    except CallFailed:
        return {}
    return body if status == 200 else {}


# --- what it serves -----------------------------------------------------------------------------------


def _up(server: Server, health: Health) -> Check:
    latency = "" if health.latency_ms is None else f", {health.latency_ms:.0f} ms"
    note = f" ({health.message})" if health.message else ""
    version = f" {health.version}" if health.version else ""
    if server.endpoint.backend == "openai" and health.dialect == names.OLLAMA:
        text = f"this is an Ollama server{version}{latency}"
        why = "as openai it cannot tell which models are loaded, nor take Ollama's options"
        return server.of("").warning(text, why, "backend: ollama")
    return server.of("").ok(f"{server.endpoint.backend}{version} answers{latency}{note}")


def _models(server: Server, health: Health) -> list[Check]:
    """Each model of a route, then those that are only listed."""
    offered = health.models
    if offered is None:
        return [server.of("models").warning("its list of models could not be read")]
    checks = [_routed(server, health, m, types) for m, types in server.wanted.items()]
    others = [m for m in server.endpoint.models if m not in server.wanted]
    return checks + [
        server.of(f"model {m}").warning("listed in hosts.yaml, but not there", fix=pull(server, m))
        for m in others
        if not serves(server, health, m)
    ]


def _routed(server: Server, health: Health, model: str, types: list[str]) -> Check:
    of = server.of(f"model {model}")
    if serves(server, health, model):
        return of.ok(f"there, for {', '.join(types)}")
    has = ", ".join(health.models or ()) or "none"
    text = f"not there, but the route of {', '.join(types)} wants it"
    return of.error(text, f"it has: {has}", pull(server, model))


def serves(server: Server, health: Health, wanted: str) -> bool:
    """Whether the server knows the model under that name, by the rules of its kind."""
    known = names.LLAMA_CPP if health.slots is not None else health.dialect
    told = known or names.VLLM  # exact where it is not known
    dialect = names.dialect_of(server.endpoint.backend, server.endpoint.dialect) or told
    return any(names.same(wanted, offered, dialect) for offered in health.models or ())


def pull(server: Server, model: str) -> str:
    """How the model gets there."""
    if server.endpoint.backend == "ollama":
        place = urlsplit(server.endpoint.url).netloc
        return f"OLLAMA_HOST={place} ollama pull {model}"
    return "start the server with this model, or name the one it has in hosts.yaml"


def _slots(server: Server, health: Health, props: JsonDict) -> list[Check]:
    """Its own parallelism against the slots of hosts.yaml."""
    host, of = server.host, server.of("slots")
    slots = min(host.slots, server.endpoint.slots or host.slots)
    if server.endpoint.backend == "ollama":
        return (
            [
                of.ok(
                    PARALLEL.format(slots=counted(slots, "slot")),
                    fix=SET_PARALLEL.format(slots=slots),
                )
            ]
            if slots > 1
            else []
        )
    if health.slots is None:
        return []
    settings = props.get("default_generation_settings")
    context = settings.get("n_ctx") if isinstance(settings, dict) else None
    return [_against(of, slots, health.slots), *_context(server, slots, context)]


PARALLEL = "{slots}; whether Ollama runs as many at once cannot be read: it does one unless told"
SET_PARALLEL = "make sure that OLLAMA_NUM_PARALLEL={slots} is set where it runs"


def _against(of: Maker, slots: int, served: int) -> Check:
    if served < slots:
        text = f"{counted(slots, 'slot')} in hosts.yaml, but the server runs {served} at once"
        return of.warning(
            text,
            "the others wait inside it, out of order",
            f"slots: {served}, or start it with -np {slots}",
        )
    return of.ok(f"{served} at once, {slots} used")


def _context(server: Server, slots: int, context: object) -> list[Check]:
    if not isinstance(context, int):
        return []
    of, text = server.of("context"), f"{context:,} tokens for each request"
    if context < SMALL_CONTEXT:
        return [
            of.warning(
                f"only {text}",
                "its -c is shared by its slots",
                "start it with a larger -c, or fewer slots (-np)",
            )
        ]
    return [of.ok(text)]
