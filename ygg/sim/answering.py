"""How a simulated server answers one call: refusals, the load, the stream, and what goes wrong in it."""

from __future__ import annotations

import asyncio
import time
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

from ygg.sim.dialects import JSON, Answer, Ask
from ygg.sim.faults import Fault
from ygg.sim.http import LAST_CHUNK, Connection, chunk

if TYPE_CHECKING:
    from ygg.sim.servers import SimServer

SENTENCE = "the loom keeps one thread for every branch of the old tree in hand "
WORDS = [f"{word} " for word in SENTENCE.split()]
STOPPED = "model runner has unexpectedly stopped, this may be due to resource limitations"
OOM_TEXT = "llama runner process has terminated: cudaMalloc failed: out of memory"
LOAD_TEXT = "llama runner process has terminated: exit status 2"
PAGE = b"<html><head><title>Welcome to nginx!</title></head><body>nginx</body></html>"


@dataclass(slots=True)
class Arrival:
    """One call as the server saw it. Times are time.monotonic() seconds.

    `task` is the X-Ygg-Task header, `started` is when a slot was free, `how` is `running`, `done`,
    `aborted` (the client went away) or `error`.
    """

    task: str
    prompt: str
    model: str
    at: float
    in_flight_at_arrival: int = 0  #: other calls that had arrived and not ended
    started: float | None = None
    ended: float | None = None
    how: str = "running"
    tokens: int = 0  #: sent


class Ended(Exception):
    """The call has been answered."""


class Answering:
    """One call in its slot. Every way out closes the record before the last byte leaves."""

    def __init__(self, server: SimServer, ask: Ask, record: Arrival, link: Connection) -> None:
        self.server, self.ask, self.record, self.link = server, ask, record, link
        self.protocol = server.protocol
        self.plan = server.faults
        self.fault = server.fault_for(ask.prompt)

    async def run(self) -> None:
        """Answer; raises Ended when that was early."""
        self._refuse()
        load_s = await self.server.load(self.ask.model)
        if self.fault is Fault.LOAD_FAILURE:
            self._fail(500, LOAD_TEXT)
        answer = self._words(load_s)
        if self.ask.texts:
            await self._vectors()
            return
        await (self._stream(answer) if self.ask.stream else self._whole(answer))

    def _words(self, load_s: float) -> Answer:
        most, asked, prompt = self.server.tokens, self.ask.max_tokens, self.ask.prompt
        if self.ask.tools:
            return Answer([], "stop", len(prompt) // 4 + 1, load_s)
        count = most if asked is None or asked < 0 else min(most, asked)
        start = zlib.crc32(prompt.encode("utf-8", "replace"), self.server.seed)
        words = [WORDS[(start + n) % len(WORDS)] for n in range(count)]
        stop = "length" if count < most else "stop"
        return Answer(words, stop, len(prompt) // 4 + 1, load_s)

    # --- answers that are no stream -----------------------------------------------------------

    def _refuse(self) -> None:
        fault = self.fault
        if fault is Fault.NO_MODEL or self.ask.model not in self.server.models:
            self._fail(404, self.protocol.no_model(self.ask.model))
        if fault in (Fault.HTML, Fault.GATEWAY):
            self._end()
            self.link.reply(200 if fault is Fault.HTML else 502, PAGE, "text/html")
            raise Ended
        if fault is Fault.DROP:
            self._end()
            self.link.transport.close()
            raise Ended
        known = self._status()
        if known is not None:
            self._fail(*known)

    def _status(self) -> tuple[int, str] | tuple[int, str, str] | None:
        """Status, message and perhaps a header of a fault that is a plain refusal."""
        later = f"Retry-After: {self.plan.retry_after}"
        match self.fault:
            case Fault.ERROR_500:
                return 500, STOPPED
            case Fault.OOM:
                return 500, OOM_TEXT
            case Fault.BUSY:
                return 503, self.protocol.busy_error()
            case Fault.BUSY_LATER:
                return 503, self.protocol.busy_error(), later
            case Fault.RATE_LIMITED:
                return 429, "too many requests", later
            case Fault.UNAUTHORIZED:
                return 401, "unauthorized"
            case Fault.BAD_REQUEST:
                return 400, "invalid options: temperature"
            case Fault.CONTEXT:
                return 400, self.protocol.context_error()
        return None

    def _fail(self, status: int, message: str, *headers: str) -> NoReturn:
        self._end()
        self.link.reply(status, self.protocol.error(status, message), JSON, *headers)
        raise Ended

    def _end(self, how: str = "error") -> None:
        self.server.close(self.record, how)

    async def _whole(self, answer: Answer) -> None:
        await asyncio.sleep(self.server.latency_s)
        answer.took_s = time.monotonic() - self.record.at
        self.record.tokens = len(answer.words)
        self._end("done")
        self.link.reply(200, self.protocol.whole(self.ask, answer), JSON)

    async def _vectors(self) -> None:
        await asyncio.sleep(self.server.latency_s)
        self._end("done")
        self.link.reply(200, self.protocol.vectors(self.ask), JSON)

    # --- streams ------------------------------------------------------------------------------

    async def _stream(self, answer: Answer) -> None:
        """Words spread over the latency; without latency everything leaves in one write."""
        pace = self.server.latency_s / max(1, len(answer.words))
        pending = self.link.begin(self.protocol.stream_kind)
        if self.fault is Fault.STALL_BEFORE:
            await asyncio.Event().wait()
        started = time.monotonic()
        for n, word in enumerate(answer.words):
            if n == self.plan.after_tokens and self.fault is not None:
                await self._break(self.fault, pending)
            if pace:
                await asyncio.sleep(max(0.0, started + pace * (n + 1) - time.monotonic()))
            pending += chunk(self.protocol.piece(self.ask, word))
            self.record.tokens = n + 1
            if pace:
                self._write(pending)
                pending = b""
        for part in self.protocol.called(self.ask):
            pending += chunk(part)
        answer.took_s = time.monotonic() - self.record.at
        self._end("done")
        self.link.write(pending + chunk(self.protocol.end(self.ask, answer)) + LAST_CHUNK)

    def _write(self, data: bytes) -> None:
        self.link.write(data)
        self.server.changed.set()

    async def _break(self, fault: Fault, pending: bytes) -> None:
        """Go wrong in mid-stream; returns when this fault is none of that kind."""
        if fault is Fault.STALL_AFTER:
            self._write(pending)
            await asyncio.Event().wait()
        last = self._last_bytes(fault)
        if last is None:
            return
        self._end()
        self.link.write(pending + last)
        if fault is Fault.RESET:
            self.link.abort()
        raise Ended

    def _last_bytes(self, fault: Fault) -> bytes | None:
        say = self.protocol.error_line
        end = self.protocol.end(self.ask, Answer([], "stop", 1))
        match fault:
            case Fault.RESET:
                return b""
            case Fault.EOF:
                return LAST_CHUNK
            case Fault.ERROR_LINE:
                return chunk(say("an error was encountered while running the model")) + LAST_CHUNK
            case Fault.OOM_MIDSTREAM:
                return chunk(say(OOM_TEXT)) + LAST_CHUNK
            case Fault.DONE_AFTER_ERROR:
                return chunk(say("EngineCore encountered an issue") + end) + LAST_CHUNK
            case Fault.GARBAGE:
                return chunk(self.protocol.garbage) + chunk(end) + LAST_CHUNK
            case Fault.NO_OBJECT:
                return chunk(self.protocol.no_object) + chunk(end) + LAST_CHUNK
        return None
