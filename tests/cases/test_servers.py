"""Chapter F, servers and what is told of them: addresses, proxies, keys, texts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest

from tests.cases.house import House, config, house
from tests.cases.many import Case, Many, many
from tests.cases.scripted import Asked, Reply, Script, scripted
from tests.system.rig import until

DONE = Reply('{"message":{"content":"hello"},"done":true,"done_reason":"stop"}')
SSE = Reply(
    'data: {"choices":[{"delta":{"content":"hello"}}]}\n\n'
    'data: {"choices":[{"delta":{},"finish_reason":"stop"}]}\n\n'
)
PAGE = Reply("<html><head><title>502 Bad Gateway</title></head></html>", 502)
NO_KEY = Reply('{"error":{"message":"no key","code":401}}', 401)
EVERYWHERE = ("/api/version", "/api/tags", "/api/ps", "/health", "/v1/models", "/version")


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as opened:
        yield opened


def alone(
    stack: ExitStack, folder: Path, reply: Reply, backend: str, everywhere: Reply | None = None
) -> tuple[House, Script]:
    """A daemon with one server; `everywhere` answers its checks."""
    server = stack.enter_context(scripted(reply))
    if everywhere is not None:
        server.answers.update(dict.fromkeys(EVERYWHERE, everywhere))
    return stack.enter_context(house(folder, config({"surtr": server}, backend))), server


# --- an Ollama behind backend openai ------------------------------------------------------------------


def test_an_ollama_that_is_spoken_to_as_openai_is_told_apart(
    stack: ExitStack, tmp_path: Path
) -> None:
    """It lists `m:latest`, which is the model `m` of hosts.yaml, and does not tell what is loaded."""
    server = stack.enter_context(scripted(SSE))
    server.answers["/v1/models"] = Reply('{"data": [{"id": "m:latest"}, {"id": "other:7b"}]}')
    server.answers["/health"] = Reply("404 page not found", 404)
    home = stack.enter_context(house(tmp_path, config({"surtr": server}, "openai")))
    assert home.end(home.submit("hello"))["state"] == "completed"
    doctor = home.ygg("doctor", "-v").stdout
    assert "this is an Ollama server" in doctor
    assert "backend: ollama" in doctor
    assert "model m: not there" not in doctor
    with closing(home.remote()) as desk:
        (host,) = desk.status(probe=True)["hosts"]
    assert host["loaded"] is None
    assert host["models"] == ["m", "other:7b"]


def test_an_address_may_end_in_v1(stack: ExitStack, tmp_path: Path) -> None:
    ways = {"a": ("ollama", "/v1"), "b": ("ollama", "/v1/"), "c": ("openai", "/v1/")}
    servers = {
        name: stack.enter_context(scripted(DONE if backend == "ollama" else SSE))
        for name, (backend, _) in ways.items()
    }
    settings = config(servers)
    for name, (backend, tail) in ways.items():
        url = servers[name].url
        settings = settings.replace(f"ollama, url: '{url}'", f"{backend}, url: '{url}{tail}'")
    home = stack.enter_context(house(tmp_path, settings))
    for name, server in servers.items():
        task = home.submit("hello", "--host", name)
        assert home.end(task)["state"] == "completed"
        assert not [asked.path for asked in server.asked if "/v1/api" in asked.path]
    assert home.ygg("config", "check").returncode == 0


# --- proxies and keys -----------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", ["ollama", "openai"])
def test_a_proxys_page_is_told_as_that(stack: ExitStack, tmp_path: Path, backend: str) -> None:
    home, _ = alone(stack, tmp_path, PAGE, backend, PAGE)
    task = home.submit("hello")
    why = until(lambda: "502" in (said := home.ygg("why", task).stdout) and said)
    doctor = home.ygg("doctor").stdout
    for text in (why, doctor):
        assert "HTTP 502" in text
        assert "a web page titled '502 Bad Gateway'" in text
        assert "no Ollama server" not in text
    assert "start the model server behind it" in doctor


@pytest.mark.parametrize("backend", ["ollama", "openai"])
def test_a_server_that_wants_a_key_says_so_where_none_is_set(
    stack: ExitStack, tmp_path: Path, backend: str
) -> None:
    home, _ = alone(stack, tmp_path, NO_KEY, backend, NO_KEY)
    doctor = home.ygg("doctor").stdout
    assert "it wants an API key" in doctor
    assert "name that in hosts.yaml: api_key_file" in doctor
    assert "that api_key_file names" not in doctor


def test_a_key_that_is_refused_is_another_trouble(stack: ExitStack, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("wrong-key")
    server = stack.enter_context(scripted(NO_KEY))
    server.answers.update(dict.fromkeys(EVERYWHERE, NO_KEY))
    keyed = f"api_key_file: '{tmp_path / 'key'}', telemetry:"
    settings = config({"surtr": server}).replace("telemetry:", keyed)
    doctor = stack.enter_context(house(tmp_path, settings)).ygg("doctor").stdout
    assert "its API key is refused" in doctor
    assert "that api_key_file names" in doctor


# --- texts ------------------------------------------------------------------------------------------------


def error(told: Any, status: int = 500) -> Reply:
    return Reply(json.dumps({"error": told}), status)


INNER = json.dumps({"error": {"code": 500, "message": "slot failed", "type": "server_error"}})
TEXTS = {
    "cut off": (Reply(raw=b'{"message":', headers={"Content-Length": "900"}), "the server hung up in the middle"),
    "JSON in JSON": (error(INNER), "HTTP 500: slot failed"),
    "quoted": (error(f"llama-server: {INNER}"), "HTTP 500: llama-server: slot failed"),
    "a detail": (Reply('{"detail":[{"loc":["body"],"msg":"field required"}]}', 500), "field required"),
    "no text": (error({"code": 500}), "code 500"),
    "lines": (error("first\nsecond\r\n\tthird"), "HTTP 500: first second third"),
}  # fmt: skip


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Many]:
    cases = {name: Case("ollama", reply) for name, (reply, _) in TEXTS.items()}
    with many(tmp_path_factory.mktemp("texts"), cases) as asked:
        yield asked


@pytest.mark.parametrize("name", TEXTS)
def test_an_error_is_told_in_plain_words(texts: Many, name: str) -> None:
    told = texts.text(name)
    assert TEXTS[name][1] in told
    for raw in ("{", "}", "Error <", "\ufffd", "\n"):
        assert raw not in told


def test_a_line_end_is_a_blank_in_the_log(texts: Many) -> None:
    for name in TEXTS:
        texts.over(name)
    until(lambda: "first second third" in texts.house.text(), what="the log has the text")
    assert "\ufffd" not in texts.house.text()


def test_a_pause_has_its_reason_after_a_good_check_too(stack: ExitStack, tmp_path: Path) -> None:
    def busy(asked: Asked) -> Reply:
        return Reply('{"error":"server busy"}', 503, {"Retry-After": "60"})

    server = stack.enter_context(scripted(busy))
    home = stack.enter_context(house(tmp_path, config({"surtr": server})))
    first, second = home.submit("hello"), home.submit("hello")
    until(lambda: home.task(first)["deferrals"] or home.task(second)["deferrals"])
    with closing(home.remote()) as desk:
        desk.status(probe=True)
    waiting = first if home.task(first)["deferrals"] == 0 else second
    assert "asked for a pause: HTTP 503: server busy" in home.ygg("why", waiting).stdout
