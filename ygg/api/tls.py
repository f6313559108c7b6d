"""TLS at TCP sockets, before a connection is one of HTTP.

The event loop could accept by itself, but what it encrypts would have no place in the room until it is done: whoever
connects and says nothing would take descriptors from the hosts.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable

from ygg.api.connections import Connection, Room

HANDSHAKE_S = 10.0  #: from the connection on
GOODBYE_S = 0.5  #: for the other side to say that it has heard the last
PAUSE_S = 1.0  #: where nothing can be accepted: no descriptor is left
Make = Callable[..., Connection]


class Gate:
    """Accepts at its sockets and encrypts by the certificate that `context` says then; `make` makes the connection of
    HTTP, which is told its `before`."""

    def __init__(self, room: Room, context: Callable[[], ssl.SSLContext], make: Make) -> None:
        self._room, self._context, self._make = room, context, make
        self._jobs: set[asyncio.Task[None]] = set()

    def open(self, sock: socket.socket, backlog: int) -> None:
        """Accept from now on, until the loop reads it no more."""
        sock.listen(backlog)
        asyncio.get_running_loop().add_reader(sock, self._accept, sock)

    async def stop(self) -> None:
        """Give up on what is being encrypted."""
        for job in self._jobs:
            job.cancel()
        await asyncio.gather(*self._jobs, return_exceptions=True)

    def _accept(self, sock: socket.socket) -> None:
        try:
            accepted, _ = sock.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return
        except OSError:
            self._pause(sock)
            return
        accepted.setblocking(False)
        handshake = Handshake(accepted, self._room)
        job = handshake.begin(self._context(), self._make)
        self._jobs.add(job)
        job.add_done_callback(self._jobs.discard)

    def _pause(self, sock: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        loop.remove_reader(sock)
        loop.call_later(PAUSE_S, self._resume, sock)

    def _resume(self, sock: socket.socket) -> None:
        if sock.fileno() >= 0:  # it was closed meanwhile
            asyncio.get_running_loop().add_reader(sock, self._accept, sock)


class Handshake:
    """A connection until it is encrypted: it has a place in the room, which that of HTTP takes over."""

    working = False

    def __init__(self, sock: socket.socket, room: Room) -> None:
        self._sock, self._room, self._begun = sock, room, False

    def begin(self, context: ssl.SSLContext, make: Make) -> asyncio.Task[None]:
        self._job = asyncio.get_running_loop().create_task(self._encrypt(context, make))
        self._job.add_done_callback(self._over)
        self._room.enter(self)
        return self._job

    def turn_away(self) -> None:
        self._job.cancel()

    async def _encrypt(self, context: ssl.SSLContext, make: Make) -> None:
        self._begun = True  # from here on the loop closes the socket
        with contextlib.suppress(OSError):  # no TLS, none that we speak, or not in time
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: make(before=self), self._sock, ssl=context,
                ssl_handshake_timeout=HANDSHAKE_S, ssl_shutdown_timeout=GOODBYE_S,
            )  # fmt: skip

    def _over(self, job: asyncio.Task[None]) -> None:
        self._room.leave(self)
        if not self._begun:
            self._sock.close()
