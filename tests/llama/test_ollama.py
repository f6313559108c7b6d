"""Every operation and tool calls of a real Ollama, whose program `$YGG_TEST_OLLAMA` names; else skipped."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator

import pytest

from tests.backends.calls import call, collect, text_of
from tests.llama.gguf_model import write_model
from tests.llama.programs import Ollama, started
from tests.llama.test_messages import SAYS, TOOLS
from ygg.backends.ollama import OllamaBackend
from ygg.model import Endpoint, Operation, OutcomeKind
from ygg.ports import CallFailed
from ygg.running.message import Message

pytestmark = pytest.mark.real_ollama

#: How Ollama puts tools into a prompt, and by what it knows a call of one.
TEMPLATE = '''"""{{- if .Tools }}system
<tools>{{ range .Tools }}{{ .Function }}{{ end }}</tools>
{{ end }}{{ range .Messages }}{{ .Role }}
{{ .Content }}
{{- if .ToolCalls }}<tool_call>
{{ range .ToolCalls }}{"name": "{{ .Function.Name }}", "arguments": {{ .Function.Arguments }}}
{{ end }}</tool_call>
{{- end }}
{{ end }}assistant
"""'''


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An Ollama with the models `plain`, `vectors` and `caller`."""
    folder = tmp_path_factory.mktemp("ollama")
    with started(Ollama(folder)) as server:
        server.create("plain", write_model(folder / "plain.gguf"))
        server.create("vectors", write_model(folder / "vectors.gguf", embeds=True))
        caller = write_model(folder / "caller.gguf", says=SAYS)
        server.create("caller", caller, f"TEMPLATE {TEMPLATE}")
        yield server.url


@pytest.fixture
async def backend(url: str) -> AsyncIterator[OllamaBackend]:
    driver = OllamaBackend(Endpoint("main", "ollama", url), host="box")
    yield driver
    await driver.close()


async def test_a_prompt_is_completed_without_the_template(backend: OllamaBackend) -> None:
    one = call(
        "hello", messages=None, model="plain", operation=Operation.COMPLETE, max_tokens=3,
        system="not for a raw prompt", options={"logprobs": True},
    )  # fmt: skip
    pieces, done = await collect(backend, one)
    assert text_of(pieces) == "pqr"
    assert done.usage.prompt_tokens == 1 + len("hello")
    assert [entry["token"] for p in pieces for entry in p.logprobs] == ["p", "q", "r"]


async def test_a_prompt_is_answered_in_the_template(backend: OllamaBackend) -> None:
    one = call("hello", messages=None, model="plain", operation=Operation.GENERATE, max_tokens=3)
    pieces, done = await collect(backend, one)
    assert text_of(pieces) == "abc"
    assert (done.usage.prompt_tokens or 0) > 1 + len("hello")


async def test_texts_become_vectors(backend: OllamaBackend) -> None:
    one = call(messages=None, model="vectors", operation=Operation.EMBED, input=["ab", "c"])
    pieces, done = await collect(backend, one)
    assert (pieces, [len(v) for v in done.embeddings]) == ([], [64, 64])
    assert done.embeddings[0] != done.embeddings[1]
    assert done.usage.prompt_tokens == 5


@pytest.mark.parametrize(("model", "text"), [("plain", "a"), ("vectors", "ab" * 8000)])
async def test_what_it_cannot_embed_is_refused(
    backend: OllamaBackend, model: str, text: str
) -> None:
    one = call(messages=None, model=model, operation=Operation.EMBED, input=text)
    with pytest.raises(CallFailed) as caught:
        await collect(backend, one)
    assert caught.value.kind is OutcomeKind.REFUSED


async def test_parallel_tool_calls_come_whole(backend: OllamaBackend) -> None:
    pieces, _ = await collect(backend, call("hi", model="caller", options={"tools": TOOLS}))
    message = Message()
    for piece in pieces:
        message.add(piece)
    assert text_of(pieces) == ""
    calls = [(c.name, json.loads(c.arguments)) for c in message.tool_calls]
    assert calls == [("weather", {"place": "Göteborg"}), ("clock", {})]
