"""What is more than text, from a real llama.cpp: tool calls, log probabilities."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator

import pytest

from tests.backends.calls import call
from tests.llama.gguf_model import write_model
from tests.llama.server import NEEDS, Llama, running_llama
from tests.shell.test_calls import outcome_of
from ygg.backends.openai import OpenAIBackend
from ygg.model import Endpoint, OutcomeKind

pytestmark = NEEDS

SAYS = """\
<tool_call>
{"name": "weather", "arguments": {"place": "Göteborg"}}
</tool_call>
<tool_call>
{"name": "clock", "arguments": {}}
</tool_call>"""
TOOLS = [
    {"type": "function", "function": {"name": name, "description": "d", "parameters": {
        "type": "object", "properties": {"place": {"type": "string"}}}}}
    for name in ("weather", "clock")
]  # fmt: skip


@pytest.fixture(scope="module")
def caller(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Llama]:
    """A model that calls both of its tools."""
    path = write_model(tmp_path_factory.mktemp("llama") / "caller.gguf", says=SAYS)
    with running_llama(path, use_jinja=True) as server:
        yield server


@pytest.fixture
async def backend(caller: Llama) -> AsyncIterator[OpenAIBackend]:
    driver = OpenAIBackend(Endpoint("main", "openai", caller.url), host="box")
    yield driver
    await driver.close()


async def test_parallel_tool_calls_come_whole_and_are_a_good_answer(backend: OpenAIBackend) -> None:
    options = {"tools": TOOLS, "parallel_tool_calls": True}
    outcome = await outcome_of(call("hi", model="", options=options), backend)
    assert outcome.kind is OutcomeKind.COMPLETED
    assert outcome.result is not None
    assert outcome.result.content == ""
    assert outcome.result.stop_reason == "tool_calls"
    calls = [(c.name, json.loads(c.arguments)) for c in outcome.result.tool_calls]
    assert calls == [("weather", {"place": "Göteborg"}), ("clock", {})]
    assert len({c.id for c in outcome.result.tool_calls} - {""}) == 2
    assert outcome.result.usage.first_token_ms is not None


async def test_without_tools_the_same_words_are_text(backend: OpenAIBackend) -> None:
    outcome = await outcome_of(call("hi", model=""), backend)
    assert outcome.result is not None
    assert outcome.result.content == SAYS
    assert outcome.result.tool_calls == ()


async def test_each_token_has_its_log_probability(backend: OpenAIBackend) -> None:
    options = {"logprobs": True, "top_logprobs": 2}
    outcome = await outcome_of(call("hi", model="", options=options), backend)
    assert outcome.result is not None
    first = outcome.result.logprobs[0]
    assert first["token"] == SAYS
    assert first["logprob"] == pytest.approx(0.0, abs=0.01)
    assert len(first["top_logprobs"]) == 2
