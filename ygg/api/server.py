"""uvicorn inside our event loop, on a unix socket that we bind ourselves, and where hosts.yaml says so on TCP.

Signals stay ours. A socket file on which nobody answers is stale and removed; one on which a daemon
answers is an error. The socket's directory is 0755, the socket 0660 in group `ygg` where there is one.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import shutil
import socket
import ssl
from collections.abc import AsyncIterator, Iterable, MutableMapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import uvicorn

from ygg import disks, paths
from ygg.api import tcp
from ygg.api.connections import MOST, Connection, Room
from ygg.api.credentials import Credentials
from ygg.api.malformed import Sound
from ygg.api.tls import Gate
from ygg.config.addresses import address
from ygg.errors import Unavailable

GROUP = "ygg"
FIRST_FD = 3  #: SD_LISTEN_FDS_START
WAITING = 2048  #: connections that the kernel keeps for us
AT_ONCE = 64  #: connections that are accepted in one turn of the loop
ACCEPT_STEPS = 3  #: turns of the loop from accept() to the protocol's connection_made


class Door:
    """Where a daemon listens: a unix socket that the service manager made and keeps, else one of its own at `path`; and
    the TCP addresses of `listen` and, for metrics, of `scraped`, with the certificate of `credentials` where there is one."""

    def __init__(
        self,
        path: Path,
        given: socket.socket | None = None,
        listen: Iterable[str] = (),
        credentials: Credentials | None = None,
        scraped: Iterable[str] = (),
    ) -> None:
        self.path = path if given is None else Path(given.getsockname())
        self.listen, self.scraped = tuple(map(address, listen)), tuple(map(address, scraped))
        self.credentials = credentials or Credentials()
        self._socket, self._given = given, given is not None
        self._tcp: list[socket.socket] | None = None

    def take(self) -> list[socket.socket]:
        """Be the one who listens there, from now on if not before. Raises Unavailable as `bind` and `tcp.bind` do."""
        if self._socket is None:
            self._socket = bind(self.path)
        if self._tcp is None:
            self._tcp = tcp.bind((*self.listen, *self.scraped))
        return [self._socket, *self._tcp]

    @property
    def scraped_ports(self) -> frozenset[int]:
        """Where metrics alone are served."""
        return frozenset(a.port for a in self.scraped)

    def context(self) -> ssl.SSLContext:
        """What is shown to who connects over TCP, where it is encrypted."""
        assert self.credentials.tls is not None  # a reload never takes it away
        return self.credentials.tls

    def leave(self) -> None:
        """Listen there no more. What the service manager made stays: clients wait at it for the next start."""
        for sock in self._tcp or ():
            sock.close()
        if self._socket is not None and not self._given:
            self._socket.close()
            _unlink(self.path)
        self._socket = self._tcp = None

    def __str__(self) -> str:
        """For the log: `socket /run/ygg/ygg.sock, http://127.0.0.1:8420`."""
        scheme = "http" if self.credentials.tls is None else "https"
        urls = [f"{scheme}://{a}" for a in self.listen]
        urls += [f"{scheme}://{a}/metrics" for a in self.scraped]
        return ", ".join([f"socket {self.path}", *urls])


def handed_over(env: MutableMapping[str, str]) -> socket.socket | None:
    """The socket that the service manager made for us, by sd_listen_fds(3); its variables are removed. None
    without one."""
    names = ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES")
    process, count, _ = (env.pop(name, "") for name in names)
    if process != str(os.getpid()) or not count.isdecimal() or int(count) < 1:
        return None
    os.set_inheritable(FIRST_FD, False)
    sock = socket.socket(fileno=FIRST_FD)
    sock.setblocking(False)
    return sock


def bind(path: Path) -> socket.socket:
    """A unix socket at `path`. Unavailable when a daemon answers there already, or when the path cannot be used."""
    if paths.too_long(path):
        text = (
            f"the socket {path} cannot be made: path too long, {paths.SOCKET_BYTES} bytes at most"
        )
        raise Unavailable(text, hint="set XDG_RUNTIME_DIR, or a shorter YGG_STATE")
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o755)
        _remove_stale(path)
        sock = _bound(path)
    except OSError as error:
        raise disks.told(error, path.parent) or Unavailable(
            f"the socket {path} cannot be made: {error.strerror or error}",
            hint="check the directory's owner, or set XDG_RUNTIME_DIR",
        ) from error
    with contextlib.suppress(OSError, LookupError):
        shutil.chown(path, group=GROUP)
    sock.setblocking(False)
    return sock


def _bound(path: Path) -> socket.socket:
    """Not listening yet: nobody can connect before the mode is right."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.bind(str(path))
        path.chmod(0o660)
    except OSError:
        sock.close()
        raise
    return sock


def _remove_stale(path: Path) -> None:
    if not path.exists() and not path.is_symlink():
        return
    if not path.is_socket():
        raise Unavailable(f"{path} is there and is no socket", hint="move it out of the way")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            _unlink(path)
            return
    raise Unavailable(f"another daemon answers on {path}", hint="ygg status shows it")


@asynccontextmanager
async def serve(app: Any, door: Door, most: int = MOST) -> AsyncIterator[None]:
    """Serve `app` at the door until the block ends, on `most` connections; open streams are cut after a second."""
    socks = door.take()
    room = Room(most)
    protocol: Any = partial(Connection, room)
    config = uvicorn.Config(
        Sound(app),
        http=protocol,
        log_config=None,
        access_log=False,
        lifespan="off",
        ws="none",
        date_header=False,
        proxy_headers=False,  # nobody is trusted by where he says he comes from
        backlog=AT_ONCE,
        timeout_graceful_shutdown=1,
        timeout_keep_alive=75,
    )
    config.load()
    _log_with_ours()
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    state = {"server_state": server.server_state, "app_state": server.lifespan.state}
    gate = Gate(room, door.context, partial(protocol, config=config, **state))
    plain = 1 if door.credentials.tls else len(socks)  # the unix socket always is
    await server.startup(sockets=socks[:plain])
    for sock in socks[plain:]:
        gate.open(sock, config.backlog)
    for sock in socks:
        sock.listen(WAITING)  # again: asyncio takes one number for both
    try:
        yield  # uvicorn's main_loop only renews a Date header ten times a second: left out
    finally:
        await _stop(server, socks, gate)
        door.leave()


async def _stop(server: uvicorn.Server, socks: list[socket.socket], gate: Gate) -> None:
    """Accept no more, give up on what is being encrypted, then uvicorn's shutdown, then the streams it cancelled."""
    # asyncio forgets, open, a connection whose accept is under way while its server closes
    for sock in socks:
        asyncio.get_running_loop().remove_reader(sock)
    for _ in range(ACCEPT_STEPS):
        await asyncio.sleep(0)
    await gate.stop()
    await server.shutdown(sockets=socks)
    await asyncio.gather(*server.server_state.tasks, return_exceptions=True)


def _log_with_ours() -> None:
    """What uvicorn tells of goes where ygg's own lines go, never across the live view. It warns of requests that are
    none: whoever can connect could fill the log with them."""
    theirs = logging.getLogger("uvicorn.error")
    theirs.parent = logging.getLogger("ygg.api")
    theirs.setLevel(logging.ERROR)


def _unlink(path: Path) -> None:
    path.unlink(missing_ok=True)
