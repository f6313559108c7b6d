"""How many requests are inside a server, as it tells."""

from __future__ import annotations

import pytest

from tests.cases.scripted import Reply, scripted
from ygg.backends.inside import of_metrics, of_slots
from ygg.backends.ollama import OllamaBackend
from ygg.backends.openai import OpenAIBackend
from ygg.model import Endpoint
from ygg.ports import CallFailed

SLOTS = b'[{"id":0,"is_processing":true,"id_task":7},{"id":1,"is_processing":false}]'
METRICS = b"""\
# HELP vllm:num_requests_running Number of requests in model execution batches.
# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{engine="0",model_name="a{b} c"} 2.0
vllm:num_requests_waiting{engine="0",model_name="a{b} c"} 1.0
vllm:num_requests_waiting_by_reason{reason="capacity"} 1.0
"""


@pytest.mark.parametrize(
    ("body", "count"),
    [
        (SLOTS, 1),
        (SLOTS.replace(b"true", b"false"), 0),
        (SLOTS.replace(b"false", b"true"), 2),
        (b"[]", None),
        (b'[{"id":0}]', None),
        (b'[{"is_processing":1}]', None),
        (b'[{"is_processing":true}, 7]', None),
        (b'{"error":{"code":501}}', None),
        (b"<html>", None),
        (b"[" * 100_000, None),
        (b"\xff", None),
        (b"", None),
    ],
)
def test_busy_slots_of_llama_cpp(body: bytes, count: int | None) -> None:
    assert of_slots(body) == count


@pytest.mark.parametrize(
    ("body", "count"),
    [
        (METRICS, 3),
        (b"vllm:num_requests_running 0\n", 0),
        (b"vllm:num_requests_running{} 1e0", 1),
        (b"vllm:num_requests_running 1e999\n", None),
        (b"vllm:num_requests_running e\n", None),
        (b"vllm:num_requests_running NaN\n", None),
        (b"llamacpp:requests_processing 1\n", None),
        (b"", None),
    ],
)
def test_requests_inside_vllm(body: bytes, count: int | None) -> None:
    assert of_metrics(body) == count


@pytest.mark.parametrize(
    ("dialect", "path", "reply", "count"),
    [
        ("llama.cpp", "/slots", Reply(raw=SLOTS), 1),
        ("llama.cpp", "/slots", Reply('{"error":{"code":501}}', 501), None),
        ("vllm", "/metrics", Reply(raw=METRICS), 3),
        ("vllm", "/metrics", Reply("", 404), None),
        (None, "/slots", Reply(raw=SLOTS), None),
    ],
)
async def test_a_server_is_asked_in_its_own_words(
    dialect: str | None, path: str, reply: Reply, count: int | None
) -> None:
    with scripted() as server:
        server.answers[path] = reply
        driver = OpenAIBackend(Endpoint("e", "openai", server.url, dialect=dialect), host="box")
        assert await driver.inside() == count
        await driver.close()
        assert [asked.path for asked in server.asked] == ([path] if dialect else [])


async def test_a_server_that_does_not_answer_now_is_no_server_without_a_word() -> None:
    with scripted() as server:
        server.answers["/slots"] = Reply("@pause 5")
        driver = OpenAIBackend(Endpoint("e", "openai", server.url, dialect="llama.cpp"), host="box")
        with pytest.raises(CallFailed):
            await driver.inside(0.2)
        await driver.close()


async def test_ollama_has_no_word_for_it() -> None:
    driver = OllamaBackend(Endpoint("e", "ollama", "http://127.0.0.1:1"), host="box")
    assert await driver.inside() is None
    await driver.close()
