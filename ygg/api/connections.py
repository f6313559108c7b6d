"""Connections of clients: how many there may be, and how long a request may be in coming.

Descriptors are shared with the calls to hosts: clients get half of them at most, and one that says nothing makes
room for one that does.
"""

from __future__ import annotations

import asyncio
from typing import Any, Protocol

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

HEAD_S = 10.0  #: for the head of a request, from the connection or its first byte on
MOST = 4096  #: connections, however many descriptors there are


class Guest(Protocol):
    """What takes a place: a connection, or one that is being encrypted."""

    @property
    def working(self) -> bool:
        """Whether a request is being answered."""

    def turn_away(self) -> None:
        """End it."""


class Room:
    """The open connections of one server, the oldest first: `most` of them."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._open: dict[Guest, None] = {}

    def enter(self, connection: Guest) -> None:
        """Where all places are taken the oldest one without a request goes, if need be the new one."""
        self._open[connection] = None
        if len(self._open) > self._most:
            idle = next((c for c in self._open if not c.working), connection)
            self.leave(idle)
            idle.turn_away()

    def leave(self, connection: Guest) -> None:
        self._open.pop(connection, None)


class Connection(H11Protocol):
    """uvicorn's, which lets half a head wait for ever. `before`: who had its place."""

    def __init__(self, room: Room, before: Guest | None = None, **more: Any) -> None:
        super().__init__(**more)
        self._room, self._before = room, before
        self._late: asyncio.TimerHandle | None = None

    @property
    def working(self) -> bool:
        """Whether a request is being answered."""
        cycle: RequestResponseCycle | None = self.cycle
        return cycle is not None and not cycle.response_complete

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._wait_for_head()
        if self._before is not None:
            self._room.leave(self._before)
        self._room.enter(self)

    def turn_away(self) -> None:
        self.transport.close()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.conn.their_state is not h11.IDLE:
            self._stop_waiting()
        elif self._late is None:
            self._wait_for_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        self._room.leave(self)
        super().connection_lost(exc)

    def _wait_for_head(self) -> None:
        self._late = self.loop.call_later(HEAD_S, self.transport.close)

    def _stop_waiting(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None
