"""Logging in to another machine: which key, whose host key, and what each error means for a person.

The host key is checked always, whatever ssh_config says: against ygg's own known_hosts and those of
OpenSSH. Nothing is ever asked: no password, no passphrase.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
import re
import socket
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncssh

from ygg import files
from ygg.model import Host
from ygg.ports import ProbeFailed
from ygg.probes.smi import plain

CONNECT_S, LOGIN_S = 5.0, 10.0
ALIVE_S, ALIVE_MAX = 5.0, 3  #: a connection that is dead is noticed after 20 s
BYE_S = 1.0  #: for an orderly end of a connection
#: What a broken connection raises; opening one also meets bad files and users without name or home.
BROKEN = (OSError, asyncssh.Error)
FOREIGN = (*BROKEN, ValueError, KeyError, RuntimeError)

logging.getLogger("asyncssh").setLevel(logging.WARNING)  # it tells of every connection


@dataclass(frozen=True, slots=True)
class Login:
    """`target` is `machine`, `user@machine`, either with `:port`, or a name of ssh_config; `host` its name
    in hosts.yaml. `known_hosts` is ygg's own file; `key` overrides all other keys."""

    host: str
    target: str
    known_hosts: Path
    key: Path | None = None

    @property
    def parts(self) -> dict[str, Any]:
        """Machine, user and port as asyncssh takes them; what is not said is left to ssh_config."""
        user, _, rest = self.target.rpartition("@")
        machine, colon, port = rest.rpartition(":")
        ported = bool(colon) and port.isdigit() and ":" not in machine
        found: dict[str, Any] = {"host": machine if ported else rest}
        found |= {"port": int(port)} if ported else {}
        return found | ({"username": user} if user else {})


def login_of(host: Host, env: Mapping[str, str], known_hosts: Path) -> Login:
    """How to log in to a host with `telemetry.ssh`. `known_hosts`: ygg's own file."""
    assert host.telemetry.ssh is not None, "the configuration sees to it"
    return Login(host.name, host.telemetry.ssh, known_hosts, _credential(env))


def _credential(env: Mapping[str, str]) -> Path | None:
    """The key that the service manager hands to the service, if it does."""
    folder = env.get("CREDENTIALS_DIRECTORY")
    path = Path(folder) / "ssh_key" if folder else None
    return path if path is not None and path.is_file() else None


@asynccontextmanager
async def connected(login: Login) -> AsyncIterator[asyncssh.SSHClientConnection]:
    """A connection for the length of a `with`. Raises ProbeFailed, also for what breaks inside."""
    with _translated(login, FOREIGN):
        try:
            options = await asyncio.to_thread(_options, login)
            connection = await asyncssh.connect(**login.parts, **options)
        except (asyncssh.ConnectionLost, ConnectionResetError, BrokenPipeError) as error:
            text = f"{login.target} hung up before the login was done"
            raise ProbeFailed(text, hint=HUNG_UP.format(host=login.host)) from error
    with _translated(login, BROKEN):
        try:
            yield connection
        finally:
            await _end(connection)


async def _end(connection: asyncssh.SSHClientConnection) -> None:
    """What runs at the other end stops when its connection does."""
    connection.close()
    try:
        async with asyncio.timeout(BYE_S):
            await connection.wait_closed()
    except TimeoutError:
        connection.abort()


def _options(login: Login) -> dict[str, Any]:
    # asyncssh counts logging in among connecting, so that the limit of one would cut the other.
    keys = {} if login.key is None else {"client_keys": [login.key], "agent_path": None}
    return keys | {
        "known_hosts": trusted(login),
        "x509_trusted_certs": None,
        "config": configs(),
        "connect_timeout": CONNECT_S + LOGIN_S,
        "login_timeout": LOGIN_S,
        "keepalive_interval": ALIVE_S,
        "keepalive_count_max": ALIVE_MAX,
        "password_auth": False,
        "kbdint_auth": False,
        "host_based_auth": False,
        "gss_host": None,
        "agent_forwarding": False,
        "x11_forwarding": False,
    }


# --- files of OpenSSH -----------------------------------------------------------------------------------


def _home(name: str) -> Path:
    return Path(os.path.expanduser("~")) / ".ssh" / name  # noqa: PTH111 - never raises


def configs() -> list[str]:
    places = (_home("config"), Path("/etc/ssh/ssh_config"))
    return [str(path) for path in places if path.is_file() and os.access(path, os.R_OK)]


def known_hosts_files(login: Login) -> tuple[Path, ...]:
    """ygg's own first."""
    return (
        login.known_hosts,
        _home("known_hosts"),
        _home("known_hosts2"),
        Path("/etc/ssh/ssh_known_hosts"),
    )


def trusted(login: Login) -> asyncssh.SSHKnownHosts:
    """All host keys that are known; lines that make no sense are skipped, as OpenSSH does."""
    return _load(*known_hosts_files(login))


def _load(*places: Path) -> asyncssh.SSHKnownHosts:
    known = asyncssh.SSHKnownHosts()
    for path in places:
        with contextlib.suppress(OSError):
            text = files.read(path, files.KNOWN_HOSTS_MAX).decode("utf-8", "replace")
            for line in text.splitlines():
                with contextlib.suppress(ValueError):
                    known.load(line)
    return known


# --- host keys ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class HostKey:
    """The key a machine shows now. `entry`: how known_hosts names the machine; `line`: what is written
    there; `known`: the fingerprints known for it, each with its file; `revoked`: it must not be trusted."""

    entry: str
    fingerprint: str
    line: str
    known: tuple[tuple[str, Path], ...]
    revoked: bool = False

    @property
    def trusted_in(self) -> Path | None:
        """The file that has exactly this key."""
        return next((path for print_, path in self.known if print_ == self.fingerprint), None)


async def host_key(login: Login) -> HostKey:
    """Ask a machine for its host key, of a kind that is known of it where there is one. Raises
    ProbeFailed."""
    with _translated(login, FOREIGN):
        name, port = _address(login)
        kinds = [
            a.decode() for k in trusted(login).match(name, "", port)[0] for a in k.sig_algorithms
        ]
        try:
            key = await _shown(login, kinds)
        except (asyncssh.DisconnectError, ConnectionError):
            key = await _shown(login, [])  # perhaps it has no key of the known kinds any more
        entry = f"[{name}]:{port}" if port else name
        line = " ".join([entry, *key.export_public_key().decode().split()[:2]])
        known = trusted(login)
        known.load(line)  # without a key for this very port asyncssh would look at no port's
        revoked = key in known.match(name, "", port)[2]
        return HostKey(
            entry, key.get_fingerprint(), line, tuple(_known(login, name, port)), revoked
        )


async def _shown(login: Login, kinds: list[str]) -> asyncssh.SSHKey:
    where = {k: v for k, v in login.parts.items() if k != "username"}
    async with asyncio.timeout(CONNECT_S + LOGIN_S):
        found = await asyncssh.get_server_host_key(
            **where, server_host_key_algs=kinds or (), config=configs()
        )
    if found is None:
        raise ProbeFailed(f"{login.target} shows no host key")
    return found


def _address(login: Login) -> tuple[str, int | None]:
    """What known_hosts calls the machine: its name by ssh_config, and its port unless that is 22."""
    where = {k: v for k, v in login.parts.items() if k != "username"}
    options = asyncssh.SSHClientConnectionOptions(**where, config=configs(), client_keys=None)
    port = options.port or 22
    return options.host_key_alias or options.host, None if port == 22 else port


def _known(login: Login, name: str, port: int | None) -> Iterator[tuple[str, Path]]:
    for path in known_hosts_files(login):
        for key in _load(path).match(name, "", port)[0]:
            yield key.get_fingerprint(), path


# --- errors ---------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _translated(login: Login, errors: tuple[type[Exception], ...]) -> Iterator[None]:
    """These errors as ProbeFailed."""
    try:
        yield
    except errors as error:
        raise failure(login, error) from error


def failure(login: Login, error: BaseException) -> ProbeFailed:
    """What an error means, and what a person can do."""
    who, said = login.target, plain(str(error))
    match error:
        case (
            asyncssh.HostKeyNotVerifiable()
            | asyncssh.KeyExchangeFailed(reason="Unable to find compatible server host key")
        ):
            return _untrusted(login)
        case asyncssh.PermissionDenied():
            return ProbeFailed(f"{who} refuses the login: {said}", hint=KEYS.format(who=who))
        case asyncssh.KeyImportError() | asyncssh.KeyEncryptionError():
            return ProbeFailed(f"the SSH key for {who} cannot be used: {said}", hint=PASSPHRASE)
        case asyncssh.ConfigParseError():
            return ProbeFailed(f"ssh_config cannot be read: {said}", hint="mend that line")
        case asyncssh.ChannelOpenError(code=asyncssh.OPEN_CONNECT_FAILED):
            return ProbeFailed(f"no way to {who} from its jump host: {said}", hint=AWAKE)
        case asyncssh.ChannelOpenError():
            return ProbeFailed(f"{who} opens no session: {said}", hint=SESSIONS)
        case asyncssh.ConnectionLost():
            return ProbeFailed(f"the connection to {who} was lost", hint=AWAKE)
        case TimeoutError():
            return ProbeFailed(f"{who} does not answer over SSH", hint=AWAKE)
        case socket.gaierror():
            return ProbeFailed(f"there is no machine called {login.parts['host']}", hint=SPELLING)
        case OSError():
            return ProbeFailed(f"{who}: {_words(error)}", hint="is sshd running there?")
    return ProbeFailed(f"{who}: {said or type(error).__name__}", hint=TRY.format(who=who))


KEYS = (
    "add ygg's public key to authorized_keys there; `ssh {who} nvidia-smi` must work without a question,"
    " as the user that runs ygg"
)
PASSPHRASE = "ygg asks for no passphrase: load the key into an agent, or make one without"
SESSIONS = "sshd there must allow two sessions of one connection (MaxSessions)"
AWAKE = "is it switched on and awake? is a firewall in between?"
HUNG_UP = "is that sshd? ygg hosts trust {host} shows whether its host key changed"
SPELLING = "mend telemetry.ssh in hosts.yaml, or name the machine in ssh_config"
TRY = "see whether `ssh {who} nvidia-smi` works"


def _untrusted(login: Login) -> ProbeFailed:
    """A host key that is not known, or not the known one."""
    name, port = _address(login)
    if trusted(login).match(name, "", port)[0]:
        text = f"{login.target} shows another host key than the known one"
        return ProbeFailed(
            text, hint=f"ygg hosts trust {login.host} shows both; do not go on blindly"
        )
    text = f"the host key of {login.target} is not trusted"
    return ProbeFailed(text, hint=f"ygg hosts trust {login.host}")


def _words(error: OSError) -> str:
    found = re.search(r"\[Errno (\d+)\]", str(error))  # of several addresses: no errno of its own
    known = {
        errno.ECONNREFUSED: "nobody listens for SSH there (connection refused)",
        errno.EHOSTUNREACH: "no way to this machine (is it off?)",
        errno.ENETUNREACH: "no way to this network",
        errno.EMFILE: "ygg has no file descriptor left",
    }
    code = error.errno or (int(found[1]) if found else 0)
    return known.get(code, plain(error.strerror or str(error)))
