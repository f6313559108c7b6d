"""What is sent to a server, with files in it that are read as it leaves."""

from __future__ import annotations

import asyncio
import base64
import gc
import json
import os
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.backends.calls import call, collect, scripted, text_of
from ygg.backends.bodies import PIECE, Body, of_form, of_json
from ygg.backends.ollama import OllamaBackend
from ygg.backends.openai import OpenAIBackend
from ygg.model import Endpoint, OutcomeKind
from ygg.ports import Backend, CallFailed
from ygg.uploads import Kept

MIB = 1024 * 1024
LARGE = 48 * MIB
MOST = 6 * MIB  #: that a call may take of memory, whatever the size of its file
ANSWERS = {
    "openai": b'data: {"model":"sim","choices":[{"index":0,"delta":{"content":"a"},"finish_reason":"stop"}]}\n\n'
    b"data: [DONE]\n\n",
    "ollama": b'{"model":"sim","message":{"content":"a"},"done":true,"done_reason":"stop"}\n',
}
DRIVERS = {"openai": OpenAIBackend, "ollama": OllamaBackend}


def kept(folder: Path, content: bytes, media: str = "image/png") -> Kept:
    path = folder / "file"
    path.write_bytes(content)
    return Kept(path, len(content), media)


def driver(kind: str, url: str) -> Backend:
    return DRIVERS[kind](Endpoint("main", kind, url, ("sim",)), host="box")


def messages(file: Kept) -> list[object]:
    image = {"type": "image_url", "image_url": {"url": file.as_url}}
    return [{"role": "user", "content": [{"type": "text", "text": "What?"}, image]}]


async def sent(body: Body) -> bytes:
    return b"".join([piece async for piece in body])


@pytest.mark.parametrize("size", [0, 1, 2, 3, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE + 2])
async def test_a_file_in_json_is_its_base64_and_the_length_is_known_before(
    tmp_path: Path, size: int
) -> None:
    content = os.urandom(size)
    file = kept(tmp_path, content)
    body = of_json({"a": file, "b": ["x", file.as_url], "c": "ö"})
    first, again = await sent(body), await sent(body)
    assert first == again, "each attempt reads it anew"
    assert len(first) == body.size
    text = base64.b64encode(content).decode()
    assert json.loads(first) == {"a": text, "b": ["x", f"data:image/png;base64,{text}"], "c": "ö"}


async def test_a_form_holds_the_file_as_it_is(tmp_path: Path) -> None:
    content = os.urandom(PIECE + 7)
    body = of_form([("model", "m")], kept(tmp_path, content), "a.mp3", "audio/mpeg")
    data = await sent(body)
    assert len(data) == body.size
    assert content in data
    assert b'name="file"; filename="a.mp3"\r\nContent-Type: audio/mpeg\r\n\r\n' in data


def test_without_a_file_it_is_known_at_once() -> None:
    assert of_json({"a": 1}).content == b'{"a":1}'


def test_what_is_no_json_is_refused() -> None:
    for wrong in ({"a": {1}}, {"a": float("nan")}):
        with pytest.raises(CallFailed) as caught:
            of_json(wrong)
        assert caught.value.kind is OutcomeKind.BAD_REQUEST


@pytest.mark.parametrize("kind", DRIVERS)
async def test_an_image_reaches_a_server_whole(tmp_path: Path, kind: str) -> None:
    content = os.urandom(2 * PIECE + 5)
    text = base64.b64encode(content).decode()
    async with scripted([ANSWERS[kind]]) as server:
        backend = driver(kind, server.url)
        for _ in range(2):  # the second on the first one's connection, where that may be
            pieces, _done = await collect(
                backend, call(messages=messages(kept(tmp_path, content)), model="sim")
            )
            assert text_of(pieces) == "a"
        await backend.close()
        for request, body in zip(server.requests, server.bodies, strict=True):
            (message,) = body["messages"]
            if kind == "ollama":
                assert message["images"] == [text]
            else:
                assert message["content"][1]["image_url"]["url"] == f"data:image/png;base64,{text}"
            assert int(request.headers["content-length"]) == len(request.body)
            assert "transfer-encoding" not in request.headers
            assert request.headers["content-type"] == "application/json"


@pytest.mark.parametrize("kind", DRIVERS)
async def test_a_file_that_is_cut_meanwhile_fails_its_call(tmp_path: Path, kind: str) -> None:
    file = kept(tmp_path, bytes(3 * PIECE))
    os.truncate(file.path, PIECE)
    async with scripted([ANSWERS[kind]]) as server:
        backend = driver(kind, server.url)
        with pytest.raises(CallFailed) as caught:
            await collect(backend, call(messages=messages(file), model="sim"))
        await backend.close()
    assert caught.value.kind is OutcomeKind.ERROR
    assert server.requests == [], "nothing that could be taken for a whole request"


async def swallow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, answer: bytes) -> int:
    """Read a request without keeping it, and answer; the bytes of its body."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
    length = int(head.partition("content-length:")[2].split("\r\n")[0])
    left = length
    while left:
        left -= len(await reader.read(min(left, PIECE)))
    size = b"Content-Length: %d\r\n\r\n" % len(answer)
    writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n" + size + answer)
    await writer.drain()
    writer.close()
    return length


@pytest.mark.parametrize("kind", DRIVERS)
async def test_a_large_image_is_never_whole_in_memory(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "file"
    with path.open("wb") as file:
        file.truncate(LARGE)
    lengths = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        lengths.append(await swallow(reader, writer, ANSWERS[kind]))

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    backend = driver(kind, f"http://127.0.0.1:{port}")
    one = call(messages=messages(Kept(path, LARGE, "image/png")), model="sim")
    gc.collect()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        await collect(backend, one)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        await backend.close()
        server.close()
    (length,) = lengths
    assert length > LARGE * 4 // 3
    assert peak - before < MOST


def opened(path: Path) -> int:
    """How often this process has the file open."""
    handles = Path("/proc/self/fd")
    return sum(handle.exists() and handle.readlink() == path for handle in handles.iterdir())


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - a process is told of no file that is opened
            await asyncio.sleep(0.01)


async def test_a_call_that_is_cancelled_lets_go_of_its_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with path.open("wb") as file:
        file.truncate(LARGE)
    left = asyncio.Event()

    async def deaf(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await left.wait()
        writer.close()

    server = await asyncio.start_server(deaf, "127.0.0.1", 0)
    backend = driver("openai", f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    one = call(messages=messages(Kept(path, LARGE, "image/png")), model="sim")
    running = asyncio.ensure_future(collect(backend, one))
    await until(lambda: opened(path) == 1)
    running.cancel()
    await until(lambda: opened(path) == 0)
    left.set()
    await backend.close()
    server.close()
