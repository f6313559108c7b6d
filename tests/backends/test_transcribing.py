"""Files that are written down: what a server is sent, and what is made of its answer."""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import os
import wave
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import openai
import pytest

from tests.backends.calls import LIMITS, Scripted, call, collect, scripted, text_of
from ygg.backends import transcribing
from ygg.backends.openai import OpenAIBackend
from ygg.model import FILE_KEY, Call, CallLimits, Done, Endpoint, Operation, OutcomeKind, Usage
from ygg.ports import CallFailed
from ygg.sim.forms import form
from ygg.sim.servers import Fault, FaultPlan, SimServer
from ygg.uploads import Kept

SOUND = b"ID3\3\0\0\0\0\0\0" + os.urandom(300_000)
JSON = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b"


@pytest.fixture
async def listener() -> AsyncIterator[SimServer]:
    server = SimServer("box", models=("whisper-1",), dialect="vllm")
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
async def build() -> AsyncIterator[Callable[..., OpenAIBackend]]:
    made: list[OpenAIBackend] = []

    def one(url: str, **fields: Any) -> OpenAIBackend:
        made.append(OpenAIBackend(Endpoint("main", "openai", url, **fields), host="box"))
        return made[-1]

    yield one
    for backend in made:
        await backend.close()


def asked(
    folder: Path, prompt: Any = None, *, limits: CallLimits = LIMITS, **fields: object
) -> Call:
    path = folder / "file"
    path.write_bytes(SOUND)
    fields = {FILE_KEY: Kept(path, len(SOUND), "audio/mpeg"), **fields}
    return call(
        prompt, operation=Operation.TRANSCRIBE, messages=None, model="whisper-1", limits=limits,
        **fields,
    )  # fmt: skip


def answer(data: object) -> list[bytes]:
    body = data if isinstance(data, bytes) else json.dumps(data).encode()
    return [JSON % (len(body), body)]


@asynccontextmanager
async def heard(build: Any, said: object, one: Call, **server: Any) -> AsyncIterator[Any]:
    """The server of a call that was answered so, and the text and end it got."""
    async with scripted(answer(said)) as stand_in:
        pieces, done = await collect(build(stand_in.url, **server), one)
        yield stand_in, text_of(pieces), done


def fields_of(server: Scripted) -> dict[str, Any]:
    (request,) = server.requests
    assert request.path == "/v1/audio/transcriptions"
    return form(request)


async def test_the_simulated_server_answers_the_openai_package(listener: SimServer) -> None:
    async with openai.AsyncOpenAI(base_url=f"{listener.url}/v1", api_key="x") as client:
        told = await client.audio.transcriptions.create(
            file=("talk.mp3", SOUND), model="whisper-1", language="de"
        )
    assert len(told.text.split()) == 8
    digest = hashlib.sha256(SOUND).hexdigest()
    assert listener.records[0].prompt == f"talk.mp3 {len(SOUND)} {digest}"


async def test_a_file_arrives_whole_and_its_text_comes_back(
    listener: SimServer, build: Any, tmp_path: Path
) -> None:
    pieces, done = await collect(build(listener.url), asked(tmp_path))
    (record,) = listener.records
    assert record.prompt == f"audio.mp3 {len(SOUND)} {hashlib.sha256(SOUND).hexdigest()}"
    assert len(text_of(pieces).split()) == 8
    assert (done.stop_reason, done.model) == ("stop", "whisper-1")
    assert (done.usage.output_tokens, record.how) == (8, "done")


async def test_what_the_task_and_its_server_say_goes_along(build: Any, tmp_path: Path) -> None:
    one = asked(
        tmp_path, "Yggdrasil", temperature=0.0,
        options={"language": "de", "stream": True, "model": "no", "timestamp_granularities[]": ["word"]},
    )  # fmt: skip
    options = {"language": "en", "vad_filter": True}
    async with heard(build, {"text": "a"}, one, options=options) as (server, text, _):
        said = fields_of(server)
    assert text == "a"
    assert said.pop("file")["bytes"] == len(SOUND)
    assert said == {
        "model": "whisper-1", "prompt": "Yggdrasil", "temperature": "0.0", "language": "de",
        "response_format": "json", "vad_filter": "true", "timestamp_granularities[]": "word",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("format_", "said", "text"),
    [
        ("json", {"text": "Größe \ud800"}, "Größe \ufffd"),
        ("json", {"text": ""}, ""),
        ("text", b"plain\n", "plain\n"),
        (
            "vtt",
            b"WEBVTT\n\n00:00.000 --> 00:01.000\na\n",
            "WEBVTT\n\n00:00.000 --> 00:01.000\na\n",
        ),
        ("verbose_json", b'{"text":"a","segments":[]}', '{"text":"a","segments":[]}'),
    ],
)
async def test_another_format_is_the_answer_as_it_came(
    build: Any, tmp_path: Path, format_: str, said: object, text: str
) -> None:
    one = asked(tmp_path, options={"response_format": format_})
    async with heard(build, said, one) as (_, told, _done):
        assert told == text


async def test_a_page_is_no_text(build: Any, tmp_path: Path) -> None:
    one = asked(tmp_path, options={"response_format": "text"})
    with pytest.raises(CallFailed):
        async with heard(build, b"<html><title>Welcome</title></html>", one):
            pass


@pytest.mark.parametrize(
    ("usage", "counts"),
    [
        ({"type": "tokens", "input_tokens": 14, "output_tokens": 3}, (14, 3)),
        ({"prompt_tokens": 14, "completion_tokens": 3}, (14, 3)),
        ({"type": "duration", "seconds": 9}, (None, None)),
        ("none", (None, None)),
    ],
)
async def test_usage_is_told_where_the_server_tells(
    build: Any, tmp_path: Path, usage: object, counts: tuple[int | None, int | None]
) -> None:
    async with heard(build, {"text": "a", "usage": usage}, asked(tmp_path)) as (_, _text, done):
        assert done.usage == Usage(*(counts[0], None, counts[1]))


@pytest.mark.parametrize(
    ("said", "kind", "message"),
    [
        ({"words": "a"}, OutcomeKind.ERROR, "malformed answer"),
        (b"plain", OutcomeKind.ERROR, "malformed answer"),
        (b"<html><title>Welcome</title></html>", OutcomeKind.ERROR, "a web page"),
        ({"error": {"message": "no such file"}}, OutcomeKind.ERROR, "no such file"),
        ({"text": "a", "model": "gpt-9"}, OutcomeKind.REFUSED, "the server has gpt-9"),
    ],
)
async def test_what_is_no_transcript_is_an_error(
    build: Any, tmp_path: Path, said: object, kind: OutcomeKind, message: str
) -> None:
    async with scripted(answer(said)) as server:
        with pytest.raises(CallFailed) as caught:
            await collect(build(server.url, dialect="llama.cpp"), asked(tmp_path))
    assert (caught.value.kind, message in caught.value.message) == (kind, True)


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (Fault.ERROR_500, OutcomeKind.ERROR),
        (Fault.BUSY, OutcomeKind.BUSY),
        (Fault.OOM, OutcomeKind.OUT_OF_MEMORY),
        (Fault.BAD_REQUEST, OutcomeKind.BAD_REQUEST),
        (Fault.UNAUTHORIZED, OutcomeKind.UNAUTHORIZED),
        (Fault.NO_MODEL, OutcomeKind.REFUSED),
        (Fault.DROP, OutcomeKind.ERROR),
    ],
)
async def test_errors_are_those_of_any_call(
    listener: SimServer, build: Any, tmp_path: Path, fault: Fault, kind: OutcomeKind
) -> None:
    listener.plan(FaultPlan(script=[fault]))
    with pytest.raises(CallFailed) as caught:
        await collect(build(listener.url), asked(tmp_path))
    assert caught.value.kind is kind


async def test_a_transcript_may_take_as_long_as_the_whole_attempt(
    listener: SimServer, build: Any, tmp_path: Path
) -> None:
    listener.latency_s = 1.0
    short = CallLimits(connect_s=0.5, first_token_s=0.1, between_tokens_s=0.1, total_s=20.0)
    pieces, _ = await collect(build(listener.url), asked(tmp_path, limits=short))
    assert text_of(pieces)


async def test_one_that_takes_longer_is_given_up(
    listener: SimServer, build: Any, tmp_path: Path
) -> None:
    listener.latency_s = 30.0
    short = CallLimits(connect_s=0.05, first_token_s=0.05, between_tokens_s=9.0, total_s=0.1)
    with pytest.raises(CallFailed) as caught:
        await collect(build(listener.url), asked(tmp_path, limits=short))
    assert caught.value.abandoned
    await listener.until(lambda: listener.records[0].how == "aborted")


async def test_one_that_is_cancelled_hangs_up(
    listener: SimServer, build: Any, tmp_path: Path
) -> None:
    listener.latency_s = 30.0
    running = asyncio.ensure_future(collect(build(listener.url), asked(tmp_path)))
    await listener.until(lambda: listener.in_flight)
    running.cancel()
    await listener.until(lambda: listener.records[0].how == "aborted")


async def test_without_a_file_it_is_a_second_of_silence(build: Any, tmp_path: Path) -> None:
    one = asked(tmp_path, **{FILE_KEY: None})
    async with heard(build, {"text": ""}, one) as (server, text, done):
        said = fields_of(server)
    assert (text, isinstance(done, Done)) == ("", True)
    assert said["file"]["name"] == "audio.wav"
    with wave.open(io.BytesIO(transcribing.silence())) as sound:
        assert sound.getnframes() == sound.getframerate()
