"""The answer to one call as it is read: under the limits of its phases, a turn for others after each part.

What a token is, the driver says (`Reply.token`): text, a thought, a tool call. Bytes, comments, blank lines
and pieces that say nothing keep no call alive, and only so many of them are read.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncGenerator
from typing import cast

import httpx

from ygg.backends import failures, transport
from ygg.model import CallLimits, OutcomeKind
from ygg.ports import CallFailed

ERROR_BODY_MAX = 65_536
ERROR_BODY_S = 5.0
LINE_MAX = 4_194_304  #: bytes of one line of a stream; real ones have hundreds
WHOLE_MAX = 8_388_608  #: bytes of an answer that is no stream: about 100 vectors of 4,096 numbers
SILENT_LINES, SILENT_BYTES = 10_000, 2 * LINE_MAX  #: read from token to token, and no more
#: Lines of one answer that are read as fast as they come, and how many a second after those. No model is
#: that fast; a server that only pretends to be one leaves time for the others.
BURST_LINES, LINES_A_S = 2_000, 1_000
AT_ONCE_S = 0.001  #: what came sooner was there already: nobody else has had a turn
_LINE_END = re.compile(rb"\r\n|\n|\r")


class Reply:
    """The answer to a call under the phase limits. They count only while this waits for the server: who
    takes its time between two reads takes it from nobody."""

    def __init__(self, response: httpx.Response, begun: float, limits: CallLimits) -> None:
        self.response = response
        self._chunks = _chunks_of(response)
        self._lines = Lines()
        self._first_s, self._between_s = limits.first_token_s, limits.between_tokens_s
        self._now = asyncio.get_running_loop().time
        self._left = begun + limits.first_token_s - self._now()
        self._begun = False
        self._silent_lines = self._silent_bytes = 0
        self._since, self._read = self._now(), 0

    def token(self) -> None:
        """A token has come: the next one may take as long as the limit between tokens."""
        self._begun, self._left = True, self._between_s
        self._silent_lines = self._silent_bytes = 0

    async def lines(self) -> list[bytes]:
        """The whole lines that came next, without their ends; an empty list at the end of the body.

        Raises CallFailed when the server sends no token for too long, too much that is none, or when the
        connection breaks.
        """
        while True:
            try:
                chunk = await self._chunk()
            except StopAsyncIteration:
                return self._lines.end()
            lines = self._lines.cut(chunk)
            self._count(len(lines), len(chunk))
            if lines:
                await self._pace(lines)
                return lines

    async def _pace(self, lines: list[bytes]) -> None:
        """Wait when more lines have come than any model writes; blank ones cost nothing and do not count."""
        self._read += len(lines) - lines.count(b"")
        ahead = self._read - BURST_LINES
        if ahead > 0:
            await asyncio.sleep(max(0.0, ahead / LINES_A_S - (self._now() - self._since)))

    def _count(self, lines: int, size: int) -> None:
        if self._silent_lines > SILENT_LINES or self._silent_bytes > SILENT_BYTES:
            raise failures.chatter(self._silent_lines, self._silent_bytes)
        self._silent_lines += lines
        self._silent_bytes += size

    async def whole(self) -> bytes:
        """The body of an answer that does not stream, within the limit for the first token. CallFailed as
        `lines`, and BAD_REQUEST when it is too large."""
        body = bytearray()
        while len(body) <= WHOLE_MAX:
            try:
                body += await self._chunk()
            except StopAsyncIteration:
                return bytes(body)
        text = f"the answer is longer than {WHOLE_MAX:,} bytes: submit fewer texts at once"
        raise CallFailed(OutcomeKind.BAD_REQUEST, text)

    async def _chunk(self) -> bytes:
        begun = self._now()
        try:
            async with asyncio.timeout_at(begun + self._left):
                chunk = await anext(self._chunks)
        except TimeoutError as exc:
            if self._begun:
                raise failures.silent(self._between_s, "no token") from exc
            raise failures.silent(self._first_s, "no first token") from exc
        except transport.FOREIGN as exc:
            raise transport.from_transport(exc) from exc
        finally:
            waited = self._now() - begun
            self._left -= waited
        if waited < AT_ONCE_S:
            await asyncio.sleep(0)
        return chunk

    async def drain(self) -> None:
        """Read to the end after the end marker, so that the connection can be used again.

        What is wrong there no longer matters.
        """
        with contextlib.suppress(CallFailed, TimeoutError):
            async with asyncio.timeout(1.0):
                while await self.lines():
                    pass

    async def failure(self) -> CallFailed:
        """Read an error's body, close, and say what it means."""
        try:
            async with asyncio.timeout(ERROR_BODY_S):
                body = await read(self.response, ERROR_BODY_MAX)
        except (TimeoutError, *transport.FOREIGN):
            body = b""
        finally:
            await self.close()
        return failures.from_status(self.response.status_code, self.response.headers, body)

    async def refuse(self, encoding: str) -> CallFailed:
        """Close an answer that is compressed, and say so."""
        await self.close()
        return failures.packed(encoding, self.response.status_code)

    async def close(self) -> None:
        """Give the connection back, or close it at once when the answer is not whole."""
        with contextlib.suppress(*transport.FOREIGN):
            await self._chunks.aclose()
            await self.response.aclose()


class Lines:
    """Cuts bytes into lines, which end with CR, LF or both. Each byte is looked at once."""

    def __init__(self) -> None:
        self._rest = bytearray()
        self._after_cr = False  #: a LF that comes next belongs to the line before it

    def cut(self, chunk: bytes) -> list[bytes]:
        """The lines that are whole now. Raises CallFailed for one without an end."""
        if self._after_cr:
            chunk = chunk.removeprefix(b"\n")
        self._after_cr = chunk.endswith(b"\r")
        first, *more = _LINE_END.split(chunk) if b"\r" in chunk else chunk.split(b"\n")
        self._rest += first
        if len(self._rest) > LINE_MAX:
            raise failures.malformed(bytes(self._rest[:LINE_MAX]))
        if not more:
            return []
        lines = [bytes(self._rest), *more[:-1]]
        self._rest[:] = more[-1]
        return lines

    def end(self) -> list[bytes]:
        """The last line, which needs no end."""
        rest = bytes(self._rest)
        self._rest.clear()
        return [rest] if rest else []


async def read(response: httpx.Response, most: int) -> bytes:
    """The whole body, cut at `most` bytes; the response is closed."""
    body = bytearray()
    try:
        async with contextlib.aclosing(_chunks_of(response)) as chunks:
            async for chunk in chunks:
                body += chunk
                if len(body) >= most:
                    break
    finally:
        await response.aclose()
    return bytes(body)


def _chunks_of(response: httpx.Response) -> AsyncGenerator[bytes, None]:
    stream = cast("httpx.AsyncByteStream", response.stream)
    return cast("AsyncGenerator[bytes, None]", aiter(stream))
