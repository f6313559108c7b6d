"""Can the targets of `notify` be told? Looks at what they name; sends nothing."""

from __future__ import annotations

import asyncio
import shutil
import socket
import stat
from pathlib import Path
from urllib.parse import urlsplit

from ygg.config import Config, keys
from ygg.errors import ConfigError
from ygg.model.notices import Target
from ygg.ops.doctor.checks import Check, Maker, Probe

CATEGORY = "notify"


def probes(config: Config) -> list[Probe]:
    """One for each target of hosts.yaml."""
    return [Probe(t.name, CATEGORY, lambda t=t: examine(t)) for t in config.notify]  # type: ignore[misc]


async def examine(target: Target) -> list[Check]:
    """What is wrong with one target; else that nothing is."""
    of = Maker(target.name, CATEGORY)
    files = await asyncio.to_thread(lambda: [c for f in _files(target) for c in _file(of, f)])
    there = _program(of, target) if target.command else await _place(of, target)
    fine = of.ok(f"{target.kind}: ygg notify test {target.name} sends a message")
    return [*files, *there] or [fine]


def _files(target: Target) -> list[Path]:
    mail = target.mail
    named = (target.token_file, target.secret_file, mail.password_file if mail else None)
    return [Path(name) for name in named if name is not None]


def _file(of: Maker, path: Path) -> list[Check]:
    """Whether it holds a secret that others of this machine cannot read."""
    try:
        keys.api_key(path)
        mode = path.stat().st_mode
    except ConfigError as error:
        return [of.error(f"no secret: got {error.message}", fix=error.hint)]
    except OSError:
        return []  # it went away just now
    if not mode & (stat.S_IROTH | stat.S_IWOTH):
        return []
    text = f"{path} is open to every user of this machine, mode {stat.S_IMODE(mode):04o}"
    return [of.warning(text, fix=f"chmod o= {path}")]


def _program(of: Maker, target: Target) -> list[Check]:
    name = target.command[0]
    if shutil.which(name) is not None:
        return []
    return [of.error(f"no program {name} that can be run", fix="name it with its whole path")]


async def _place(of: Maker, target: Target) -> list[Check]:
    """Whether the machine that is told has an address."""
    host, port = _machine(target)
    try:
        await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError:
        fix = "check the spelling, and whether this machine reaches a name server"
        return [of.error(f"there is no machine called {host}", fix=fix)]
    return []


def _machine(target: Target) -> tuple[str, int]:
    if target.mail is not None:
        name, _, port = target.mail.server.rpartition(":")
        return name.strip("[]"), int(port)
    parts = urlsplit(target.url)
    return parts.hostname or "", parts.port or 443
