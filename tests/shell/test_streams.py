"""Readers of a stream: those the call waits for, and those who only look on. In virtual time."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any, ClassVar, cast

import httpx
import pytest

from tests.backends.calls import call
from tests.shell.virtual import House, house, run_virtual, until
from ygg.backends.ollama import OllamaBackend
from ygg.backends.reply import Reply
from ygg.backends.secret import Secret
from ygg.model import Call, CallLimits, Endpoint, JsonDict, Outcome, OutcomeKind, Piece, State, Task
from ygg.ports import AttemptStarted
from ygg.running.calls import run_call
from ygg.running.streams import BUFFER, GONE_S, KEEP, Reader, Streams

WORD = "x" * 995
LIMITS = CallLimits(connect_s=1.0, first_token_s=5.0, between_tokens_s=1.0, total_s=1e6)


@dataclass
class Server(httpx.AsyncByteStream):
    """An Ollama that says numbered words of 1,000 characters, ten a second."""

    words: int
    sent: int = 0
    secret: ClassVar[Secret] = Secret("")

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for n in range(self.words):
            await asyncio.sleep(0.1)
            self.sent += 1
            yield json.dumps({"response": f"{n:05}{WORD}"}).encode() + b"\n"
        yield b'{"done": true, "done_reason": "stop"}\n'

    async def post(self, path: str, body: JsonDict, call: Call) -> Reply:
        """Stands in for `Http.post`."""
        now = asyncio.get_running_loop().time()
        return Reply(httpx.Response(200, stream=self), now, call.limits)


@dataclass
class Line:
    """One call that streams to the readers of task `t1`."""

    words: int
    streams: Streams = field(default_factory=Streams)

    def __post_init__(self) -> None:
        self.server = Server(self.words)
        self.backend = OllamaBackend(Endpoint("main", "ollama", "http://box"), host="box")
        self.backend._http = cast("Any", self.server)

    async def run(self) -> Outcome:
        one = call(messages=None, limits=LIMITS)
        outcomes = await run_call(one, self.backend, lambda _, item: self.streams.put("t1", item))
        self.streams.end("t1")
        return outcomes[one.attempt.id]


def text_of(items: list[AttemptStarted | Piece]) -> str:
    return "".join(i.content for i in items if isinstance(i, Piece))


async def read_all(reader: Reader, pause_s: float = 0.0) -> str:
    """Everything that it is given, with a pause before each look."""
    text = ""
    while True:
        await asyncio.sleep(pause_s)
        items = await reader.take()
        if not items:
            return text
        text += text_of(items)


def numbered(words: int) -> str:
    return "".join(f"{n:05}{WORD}" for n in range(words))


# --- an attached reader ---------------------------------------------------------------------------


def test_a_slow_attached_reader_loses_nothing_and_its_call_waits_for_it() -> None:
    """It looks every 20 s, the limit between tokens is 1 s: 400,000 characters come whole, and never
    does more wait for it than its buffer and a piece."""

    async def main() -> None:
        line = Line(400)
        reader = line.streams.attach("t1")
        running = asyncio.create_task(line.run())
        text = ""
        while items := await reader.take():
            text += text_of(items)
            await asyncio.sleep(20)
            waits = line.server.sent * 1000 - len(text)
            assert waits <= BUFFER + 2000
        assert text == numbered(400)
        assert (await running).kind is OutcomeKind.COMPLETED

    run_virtual(main())


def test_a_follower_beside_an_attached_reader_that_sleeps_sees_what_there_is_at_once() -> None:
    async def main() -> None:
        line = Line(400)
        attached, follower = line.streams.attach("t1"), line.streams.read("t1")
        running = asyncio.create_task(line.run())
        seen = asyncio.create_task(read_all(follower))
        slow = asyncio.create_task(read_all(attached, 25))
        await asyncio.sleep(5.05)
        assert line.server.sent == 50
        assert await slow == await seen == numbered(400)
        assert (await running).kind is OutcomeKind.COMPLETED

    run_virtual(main())


def test_an_attached_reader_that_takes_nothing_is_gone_after_a_while_and_the_call_goes_on() -> None:
    async def main() -> None:
        line = Line(200)
        line.streams.attach("t1")
        begun = asyncio.get_running_loop().time()
        assert (await line.run()).kind is OutcomeKind.COMPLETED
        took = asyncio.get_running_loop().time() - begun
        assert took == pytest.approx(20 + GONE_S, abs=0.2)
        assert not line.streams.followed("t1")

    run_virtual(main())


def test_a_call_that_waits_for_its_reader_can_be_stopped() -> None:
    async def main() -> None:
        line = Line(200)
        line.streams.attach("t1")
        running = asyncio.create_task(line.run())
        await asyncio.sleep(15)
        assert line.server.sent < 70
        running.cancel()
        done, _ = await asyncio.wait([running], timeout=1)
        assert done

    run_virtual(main())


# --- a follower -----------------------------------------------------------------------------------


def test_a_follower_that_sleeps_is_cut_off_and_slows_nobody() -> None:
    async def main() -> None:
        words = KEEP // 1000 + 100
        line = Line(words)
        line.streams.read("t1")
        begun = asyncio.get_running_loop().time()
        assert (await line.run()).kind is OutcomeKind.COMPLETED
        assert asyncio.get_running_loop().time() - begun < words * 0.1 + 0.2
        assert not line.streams.followed("t1")

    run_virtual(main())


# --- what was delivered ---------------------------------------------------------------------------


async def attached(home: House, **fields: object) -> tuple[Task, Reader]:
    """A task whose client hung on before it could start."""
    await home.dispatcher.pause(True)
    task = await home.submit()
    reader = home.dispatcher.loop.streams.attach(task.id, **fields)  # type: ignore[arg-type]
    await home.dispatcher.pause(False)
    return task, reader


def test_no_other_attempt_follows_once_a_client_has_got_some_of_the_answer() -> None:
    async def main() -> None:
        async with house({"a": 1, "b": 1}, {"general": ("a", "b")}) as home:
            home.places["a"].breaks = [OutcomeKind.ERROR]
            task, reader = await attached(home)
            got = asyncio.create_task(read_all(reader))
            ended = await home.end(task)
            assert (ended.state, ended.reason, ended.attempt) == (State.FAILED, "cut_short", 1)
            assert await got == f"{task.id}:0 {task.id}:1 "
            assert home.places["b"].arrivals == []

    run_virtual(main())


def test_an_answer_that_nobody_took_is_begun_anew_and_its_client_gets_the_new_one_alone() -> None:
    async def main() -> None:
        async with house({"a": 1, "b": 1}, {"general": ("a", "b")}) as home:
            home.places["a"].breaks = [OutcomeKind.ERROR]
            home.places["b"].says = [Piece("second")]
            task, reader = await attached(home)
            assert (await home.end(task)).state is State.COMPLETED
            items = await reader.take()
            assert [i.attempt for i in items if isinstance(i, AttemptStarted)] == [2]
            assert text_of(items) == "second"

    run_virtual(main())


def test_a_follower_does_not_stand_in_the_way_of_another_attempt() -> None:
    async def main() -> None:
        async with house({"a": 1, "b": 1}, {"general": ("a", "b")}) as home:
            home.places["a"].breaks = [OutcomeKind.ERROR]
            task = await home.submit()
            follower = home.dispatcher.loop.streams.read(task.id)
            seen = asyncio.create_task(read_all(follower))
            assert (await home.end(task)).state is State.COMPLETED
            assert (await seen).count(":0 ") == 2

    run_virtual(main())


def test_frames_are_asked_for_by_a_reader_and_go_to_it_alone() -> None:
    async def main() -> None:
        async with house() as home:
            home.places["a"].says = [Piece(frame=b"{}"), Piece("a", frame=b'{"x":1}')]
            task, reader = await attached(home, frames=True)
            follower = home.dispatcher.loop.streams.read(task.id)
            await home.end(task)
            (one,) = home.places["a"].calls
            assert one.frames
            framed = [i.frame for i in await reader.take() if isinstance(i, Piece)]
            assert framed == [b"{}", b'{"x":1}']
            assert len([i for i in await follower.take() if isinstance(i, Piece)]) == 1
            other = await home.submit()
            await home.end(other)
            assert not home.places["a"].calls[1].frames

    run_virtual(main())


def test_a_task_is_answered_by_its_first_token_not_by_a_frame() -> None:
    async def main() -> None:
        async with house() as home:
            home.places["a"].says = [Piece(frame=b"{}"), Piece("a")]
            home.places["a"].latency_s = 20.0
            task, _ = await attached(home, frames=True)
            streams = home.dispatcher.loop.streams
            await until(lambda: task.id in streams.progress())
            await asyncio.sleep(15)
            assert streams.progress() == {task.id: 0}
            await home.end(task)

    run_virtual(main())
