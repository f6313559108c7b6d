"""Connections of clients: how many there may be, and how long a request may be in coming.

Descriptors are shared with the calls to hosts: clients get half of them at most, and one that says nothing makes
room for one that does. What came in one read is parsed in small pieces, a turn of the loop each.
"""

from __future__ import annotations

import asyncio
from typing import Any, Protocol

import h11
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

from ygg.api.malformed import refusal

#: For the head of a request, from the connection or its first byte on; and for what is left of a body after the answer.
HEAD_S = 10.0
PIECE = 8192  #: bytes parsed in one turn: chunks of a byte each make a thousand events of them
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


class _Flow(FlowControl):
    """uvicorn's, which reads on only once all that came is parsed."""

    unparsed = False

    def resume_reading(self) -> None:
        if self.unparsed:
            self.read_paused = False
        else:
            super().resume_reading()


class Joined:
    """A transport, whose small writes of one turn of the loop leave together: a head and its body in one call of the
    system."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport, self._loop = transport, loop
        self._held = bytearray()

    def write(self, data: bytes) -> None:
        if not self._held:
            self._loop.call_soon(self._flush)
        self._held += data
        if len(self._held) > PIECE:
            self._flush()

    def close(self) -> None:
        self._flush()
        self._transport.close()

    def _flush(self) -> None:
        if self._held and not self._transport.is_closing():
            self._transport.write(bytes(self._held))
        self._held.clear()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class Connection(H11Protocol):
    """uvicorn's, which lets half a head wait for ever and parses a read of any size in one turn. `before`: who had its
    place."""

    def __init__(self, room: Room, before: Guest | None = None, **more: Any) -> None:
        super().__init__(**more)
        self._room, self._before = room, before
        self._late: asyncio.TimerHandle | None = None
        self._unparsed = bytearray()

    @property
    def working(self) -> bool:
        """Whether a request is being answered."""
        cycle: RequestResponseCycle | None = self.cycle
        return cycle is not None and not cycle.response_complete

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(Joined(transport, self.loop))  # type: ignore[arg-type]
        self.flow = _Flow(transport)
        self._wait_for_rest()
        if self._before is not None:
            self._room.leave(self._before)
        self._room.enter(self)

    def turn_away(self) -> None:
        self.transport.close()

    def data_received(self, data: bytes) -> None:
        waits = bool(self._unparsed)
        if not waits and len(data) <= PIECE:
            self._parse(data)
            return
        self._unparsed += data
        self.flow.unparsed = True  # type: ignore[attr-defined]
        self.transport.pause_reading()
        if not waits:
            self._parse_on()

    def _parse_on(self) -> None:
        """The next piece; the others in turns to come."""
        if self.transport.is_closing():
            self._unparsed.clear()
            return
        piece = bytes(self._unparsed[:PIECE])
        del self._unparsed[:PIECE]
        self._parse(piece)
        if self._unparsed:
            self.loop.call_soon(self._parse_on)
            return
        self.flow.unparsed = False  # type: ignore[attr-defined]
        if not self.flow.read_paused and not self.transport.is_closing():
            self.transport.resume_reading()

    def _parse(self, data: bytes) -> None:
        super().data_received(data)
        if not self._owes():
            self._stop_waiting()
        elif self._late is None:
            self._wait_for_rest()

    def _owes(self) -> bool:
        """Whether the client is to send something that nobody works on yet, or any more: a head, or what is left of a body
        after the answer."""
        theirs, ours = self.conn.their_state, self.conn.our_state
        return theirs is h11.IDLE or (theirs is h11.SEND_BODY and ours is h11.DONE)

    def send_400_response(self, msg: str) -> None:
        """What came is no HTTP. Whoever worked on the request hears that the client left; where its answer had begun,
        nothing more can be said."""
        if self.working:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            asks_head = self.conn.our_state is h11.SEND_RESPONSE and self.scope["method"] == "HEAD"
            for event in refusal(bare=asks_head):
                self.transport.write(self.conn.send(event) or b"")
        self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        self._room.leave(self)
        super().connection_lost(exc)

    def _wait_for_rest(self) -> None:
        self._late = self.loop.call_later(HEAD_S, self.transport.close)

    def _stop_waiting(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None
