"""A commented hosts.yaml from what was found. It is right by construction: names are made to fit, all
text is quoted where YAML needs it, and routes name only what stands above them."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ygg import private
from ygg.errors import YggError
from ygg.ops.first import choosing
from ygg.ops.first.choosing import Choice
from ygg.ops.first.discovery import LOOPBACK, Machine, Model, Server

COLUMN = 34  #: where comments begin
MODELS = 50  #: listed of one server
BATCHED = 4  #: slots of a vLLM server, which batches many more

WORDS = {"ollama": "Ollama", "llama.cpp": "llama.cpp", "vllm": "vLLM", "openai": "OpenAI server"}
WHY = {
    "ollama": "Ollama runs one at a time; more only where OLLAMA_NUM_PARALLEL says so",
    "llama.cpp": "as many as the server runs at once (-np)",
    "vllm": "it batches; raise this as far as the answers stay quick enough",
    "openai": "requests at the same time; ygg never sends more",
}


@dataclass(frozen=True, slots=True)
class Host:
    """A machine under the name it gets in the file, with the servers that can be used."""

    name: str
    servers: tuple[tuple[str, Server], ...]  #: by endpoint name
    slots: tuple[int, ...]  #: of each
    here: bool = False  #: this machine


def hosts(machines: Iterable[Machine], slots: int | None = None) -> list[Host]:
    """The usable ones, under names that fit and differ. `slots` is for each Ollama server."""
    found: list[Host] = []
    taken: set[str] = set()
    for machine in machines:
        usable = [s for s in machine.servers if _served(s) and not s.locked]
        if usable:
            name = _unlike(taken, _fit(machine))
            taken.add(name)
            each = tuple(_slots(s, slots) for s in usable)
            here = machine.address == LOOPBACK
            found.append(Host(name, tuple(_endpoints(usable)), each, here))
    return found


def _served(server: Server) -> list[Model]:
    """Its models that generate text, the preferred one first."""
    return sorted(filter(choosing.chats, server.models), key=choosing.general)[:MODELS]


def _slots(server: Server, ollama: int | None) -> int:
    match server.kind:
        case "ollama":
            return ollama or 1
        case "llama.cpp":
            return min(256, max(1, server.slots or 1))
        case "vllm":
            return BATCHED
        case _:
            return 1


def _fit(machine: Machine) -> str:
    """A name for hosts.yaml: the first part of the machine's own."""
    numeric = not machine.name or re.fullmatch(r"[\d.:]+", machine.name)
    text = f"host-{machine.address}" if numeric else machine.name.partition(".")[0]
    text = re.sub(r"[^A-Za-z0-9_-]+", "-", text).strip("-_")[:60]
    return text or "host"


def _unlike(taken: set[str], name: str) -> str:
    numbered = (name if n == 1 else f"{name}-{n}" for n in range(1, len(taken) + 2))
    return next(n for n in numbered if n not in taken)


def _endpoints(servers: Sequence[Server]) -> Iterable[tuple[str, Server]]:
    often = Counter(s.kind for s in servers)
    for server in servers:
        many = often[server.kind] > 1
        yield (f"{server.kind}-{server.place.port}" if many else server.kind), server


# --- the file -----------------------------------------------------------------------------------------


def render(
    machines: Sequence[Machine], slots: int | None = None, *, card_limits: bool = False
) -> str:
    """hosts.yaml; "" when no machine has a model that could be used. `card_limits`: whether this machine's
    GPU tells how hot it may get."""
    usable = hosts(machines, slots)
    if not usable:
        return ""
    lines = [*HEAD, "", "hosts:"]
    for host in usable:
        lines += _host(host, card_limits=card_limits)
    notes = [f"  # {_note(s)}" for machine in machines for s in machine.servers if s.locked]
    lines += [*notes, ""] if notes else []
    lines += ["task_types:", *_types(usable), *TAIL]
    return "\n".join(lines) + "\n"


def _host(host: Host, *, card_limits: bool) -> list[str]:
    kind = "cpu" if all(s.cpu for _, s in host.servers) else "gpu"
    single = len(host.servers) == 1
    why = "over all its servers; lower it where they share one card"
    if single:
        why = WHY[host.servers[0][1].kind]
    lines = [
        f"  {text(host.name)}:",
        _line(f"    kind: {kind}", "gpu or cpu"),
        _line(f"    slots: {min(256, sum(host.slots))}", why),
    ]
    if host.here and kind == "gpu" and card_limits:
        lines.append(_line("    heat: card", "by the limit that the card itself tells"))
    if single:
        return [*lines, *_server(host.servers[0][1], "    "), ""]
    lines.append("    endpoints:")
    for (name, server), slots in zip(host.servers, host.slots, strict=True):
        own = [_line(f"        slots: {slots}", WHY[server.kind])]
        own += ["        kind: cpu"] if server.cpu and kind == "gpu" else []
        lines += [f"      {text(name)}:", *_server(server, "        "), *own]
    return [*lines, ""]


def _server(server: Server, indent: str) -> list[str]:
    ollama = server.kind == "ollama"
    lines = [
        _line(f"{indent}backend: {'ollama' if ollama else 'openai'}", described(server)),
        f"{indent}url: {text(server.place.url)}",
    ]
    if server.kind in ("llama.cpp", "vllm"):
        lines.append(f"{indent}dialect: {server.kind}")
    lines.append(_line(f"{indent}models:", "what it serves, the preferred one first"))
    lines += [_line(f"{indent}  - {text(m.name)}", measures(m)) for m in _served(server)]
    others = [m.name for m in server.models if not choosing.chats(m)]
    return lines + ([f"{indent}# not for tasks: {', '.join(others)}"] if others else [])


def _note(server: Server) -> str:
    word = WORDS[server.kind]
    return f"{word} at {server.place.url} wants an API key: add it with api_key_file"


def _types(usable: Sequence[Host]) -> list[str]:
    choices = [Choice(h.name, e, m) for h in usable for e, s in h.servers for m in _served(s)]
    lines = []
    for kind, (why, *rest) in TYPES.items():
        found = (f"{c.host}/{c.model.name}" for c in choosing.route(kind, choices))
        route = ", ".join(text(place) for place in found)
        lines += [f"  # {why}", f"  {kind}:", f"    route: [{route}]", *rest, ""]
    return lines


def _line(left: str, comment: str) -> str:
    return f"{left:<{COLUMN}}# {comment}" if comment else left


def described(server: Server) -> str:
    """`llama.cpp b6000, 2 at once, 8,192 tokens each`."""
    parts = [f"{WORDS[server.kind]} {_plain(server.version)}".rstrip()]
    parts += [f"{server.slots} at once"] if server.slots else []
    parts += [f"{server.context:,} tokens each"] if server.context else []
    return ", ".join(parts)


def measures(model: Model) -> str:
    """`8.2B, 5.2 GB`, as far as known."""
    count = "" if model.billions is None else f"{model.billions:.3g}B"
    size = "" if not model.size else f"{model.size / 1e9:.1f} GB"
    return ", ".join(filter(None, (count, size)))


def _plain(foreign: str) -> str:
    return "".join(c for c in foreign if c.isprintable())[:40]


_BARE = re.compile(r"[A-Za-z][A-Za-z0-9._/-]*(:[A-Za-z0-9._/-]+)*")
_WORDS = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null", "none"})


def text(value: str) -> str:
    """A YAML scalar that reads back as this text: bare where that is safe, else in quotes."""
    if _BARE.fullmatch(value) and value.lower() not in _WORDS:
        return value
    return json.dumps(value, ensure_ascii=False)


HEAD = """\
# The machines of the house, the kinds of work, and where each may run. Written by `ygg init`.
# `ygg config check` says whether this file is right; every key is explained in docs/configuration.md.
# A running daemon reads it again on SIGHUP; a broken edit changes nothing.
""".splitlines()
TYPES = {
    "code-generation": (
        "Best first: `host` or `host/model`; the first that can takes the task.",
        "    options: {temperature: 0.2}   # sent to the server as they are; a task's own options win",
        "    system: You are a careful programmer. Answer with code and short comments.",
        "    match:                        # which tasks without a type of their own are of this one",
        "      labels: [code, coding]",
        r"      titles: ['\b(implement|refactor|fix|write (a|the) (function|script|test))\b']",
    ),
    "text-processing": (
        "Quick rather than clever.",
        "    options: {temperature: 0.4}",
        "    match:",
        "      labels: [text, summarize, extract, translate]",
        r"      titles: ['\b(summari[sz]e|translate|extract|rewrite)\b']",
    ),
    "reasoning": (
        "Models that think before they answer, where there are any.",
        "    match:",
        "      labels: [analysis, planning]",
        r"      titles: ['\b(analy[sz]e|plan|compare|explain why)\b']",
    ),
    "general": ("Must be there: tasks of any other type run on its route.",),
}
TAIL = """\
policies:                         # every one may be left out; `ygg config show` lists them all
  timeout: 10m                    # longest time of one attempt
  drain: 60s                      # how long a shutdown waits for running tasks
  retention: 7d                   # how long ended tasks and results are kept

api:                              # the HTTP API over TCP is off; the unix socket is always there
  # listen: 127.0.0.1:8420""".splitlines()


def write(target: Path, content: str) -> None:
    """Put the file there whole or not at all, and only if it can be read as a configuration.

    Raises YggError when it cannot be written, ConfigError when it is not right (a bug).
    """
    from ygg.config import load

    target = target.resolve()  # a link keeps pointing where it did
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        private.put(target, content, mode=0o644, check=load)
    except OSError as error:
        raise YggError(
            f"{target} cannot be written: {error.strerror or error}",
            hint="name another place with --config FILE, or use --print",
        ) from error
