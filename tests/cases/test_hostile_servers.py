"""Chapter G, servers: what a server says of itself, says back, or never stops saying."""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.cases.certificate import self_signed
from tests.cases.house import config, house
from tests.cases.many import Case, Many, many
from tests.cases.scripted import Asked, Reply, scripted
from tests.system.rig import until

DONE = '{"message":{"content":"hello"},"done":true,"done_reason":"stop"}'
SSE = (
    'data: {"choices":[{"delta":{"content":"hello"}}]}\n\n'
    'data: {"choices":[{"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
)
GOOD = {"ollama": Reply(DONE), "openai": Reply(SSE)}


def told(value: Any) -> Reply:
    return Reply(raw=json.dumps(value).encode())


# --- what a server says of itself -------------------------------------------------------------------

LONE = "0.1\ud800"
ESCAPES = "0.1\x1b]0;owned\x07\n\u202e"
MANY = 150_000
ODD_SELVES = {
    "a lone surrogate": ("ollama", {"/api/version": told({"version": LONE})}),
    "a model's lone surrogate": ("ollama", {"/api/tags": told({"models": [{"name": "a\ud800"}]})}),
    "a version of 4 MB": ("ollama", {"/api/version": told({"version": "9" * 4_000_000})}),
    "escape codes": ("ollama", {"/api/version": told({"version": ESCAPES})}),
    "a version that is none": ("ollama", {"/api/version": told({"version": {"a": [1]}})}),
    "150,000 models": (
        "ollama",
        {"/api/tags": told({"models": [{"name": f"x{n}"} for n in range(MANY)]})},
    ),
    "names that are none": (
        "ollama",
        {"/api/tags": told({"models": [{"name": 7}, {"name": None}, 3, {"name": "m"}]})},
    ),
    "openai: a lone surrogate": ("openai", {"/v1/models": told({"data": [{"id": "a\udfff"}]})}),
    "openai: a long id": ("openai", {"/v1/models": told({"data": [{"id": "x" * 3_000_000}]})}),
    "openai: 150,000 models": (
        "openai",
        {"/v1/models": told({"data": [{"id": f"x{n}"} for n in range(MANY)]})},
    ),
    "openai: a long version": ("openai", {"/version": told({"version": LONE * 1_000_000})}),
}


@pytest.fixture(scope="module")
def selves(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Many]:
    cases = {n: Case(b, GOOD[b], answers=a) for n, (b, a) in ODD_SELVES.items()}
    with many(tmp_path_factory.mktemp("selves"), cases) as asked:
        yield asked


@pytest.mark.parametrize("name", ODD_SELVES)
def test_a_server_may_say_anything_of_itself_and_still_answers(selves: Many, name: str) -> None:
    assert selves.answer(name)["content"] == "hello"
    host = selves.host(name)
    assert host["health"] == "up"
    assert len(host["version"] or "") <= 200
    assert len(host["models"]) <= 500
    assert all(len(model) <= 200 for model in host["models"])
    plain = (host["version"] or "") + "".join(host["models"])
    assert plain.isprintable() or not plain
    plain.encode()


def test_the_whole_house_can_be_looked_at(selves: Many) -> None:
    for name in ODD_SELVES:
        selves.answer(name)
    for command in (["status"], ["hosts"], ["top", "--once"], ["status", "--json"]):
        done = selves.house.ygg(*command)
        assert done.returncode == 0, (command, done.stderr)
        assert len(done.stdout) < 200_000
    with closing(selves.house.remote()) as desk:
        begun = time.monotonic()
        desk.snapshot()
        assert time.monotonic() - begun < 0.25


def test_a_model_of_hosts_yaml_is_found_however_many_others_there_are(tmp_path: Path) -> None:
    others = [{"name": f"x{n}"} for n in range(20_000)]
    with scripted(GOOD["ollama"]) as server:
        server.answers["/api/tags"] = told({"models": [*others, {"name": "m"}]})
        with house(tmp_path, config({"surtr": server})) as home, closing(home.remote()) as desk:
            (host,) = desk.status(probe=True)["hosts"]
    assert host["models"][0] == "m"


# --- another model, and the key -----------------------------------------------------------------------

OTHER = {
    "ollama": Reply(
        '{"model":"other:7b","message":{"content":"hello"},"done":true,"done_reason":"stop"}'
    ),
    "openai": Reply(SSE.replace('{"choices"', '{"model":"other-7b","choices"')),
}
FINE = {
    "ollama the same": Reply(DONE.replace('{"message"', '{"model":"m:latest","message"')),
    "openai a date": Reply(SSE.replace('{"choices"', '{"model":"m-2026-08-06","choices"')),
    "openai a directory": Reply(SSE.replace('{"choices"', '{"model":"org/M","choices"')),
    "openai one of two names": Reply(SSE.replace('{"choices"', '{"model":"other","choices"')),
}
ALIAS = told({"data": [{"id": "other", "root": "/models/a"}, {"id": "m", "root": "/models/a"}]})


@pytest.mark.parametrize("backend", OTHER)
def test_an_answer_of_another_model_is_refused(tmp_path: Path, backend: str) -> None:
    with ExitStack() as stack:
        server = stack.enter_context(scripted(OTHER[backend]))
        home = stack.enter_context(house(tmp_path, config({"surtr": server}, backend)))
        with closing(home.remote()) as desk:
            desk.status(probe=True)
        task = home.end(home.submit("hello"))
    assert (task["state"], task["reason"]) == ("failed", "all_refused")
    assert "the server has other" in task["error"]
    assert "not m" in task["error"]


def test_another_spelling_of_the_model_is_the_model(tmp_path: Path) -> None:
    answers = {"/v1/models": ALIAS}
    cases = {name: Case(name.split()[0], reply, answers=answers) for name, reply in FINE.items()}
    with many(tmp_path, cases) as asked:
        assert [asked.answer(name)["content"] for name in cases] == ["hello"] * len(cases)


KEY = "sk-secret/Key+0123456789"
ESCAPED = "".join(f"\\u{ord(c):04x}" for c in KEY)


def echo(asked: Asked) -> str:
    return asked.headers.get("authorization", "").removeprefix("Bearer ")


ECHOES: dict[str, tuple[str, Any]] = {
    "in an error": ("ollama", lambda a: Reply(json.dumps({"error": f"no: {echo(a)}"}), 500)),
    "in a refusal": ("openai", lambda a: Reply(json.dumps({"error": {"message": echo(a)}}), 401)),
    "in a page": ("openai", lambda a: Reply(f"<html><title>{echo(a)}</title>", 502)),
    "at the cut": ("ollama", lambda a: Reply(json.dumps({"error": "x" * 480 + echo(a)}), 500)),
    "at the other cut": ("ollama", lambda a: Reply("x" * 110 + echo(a))),
    "in a redirect": ("ollama", lambda a: Reply("", 302, {"Location": f"http://x/{echo(a)}"})),
    "in a stream": ("openai", lambda a: Reply(f'data: {{"error": "{echo(a)}"}}\n\n')),
    "in escapes": ("openai", lambda a: Reply(f'data: {{"error": "{ESCAPED}"}}\n\n')),
    "as the reason": (
        "ollama",
        lambda a: Reply(json.dumps({"response": "a", "done": True, "done_reason": echo(a)})),
    ),
    "as the model": ("openai", lambda a: Reply(SSE.replace("{", f'{{"model":"{echo(a)}",', 1))),
    "as a version": ("ollama", GOOD["ollama"]),
}


def test_a_key_that_a_server_says_back_is_told_nobody(tmp_path: Path) -> None:
    (tmp_path / "key").write_text(KEY + "\n")
    selves = {
        "/api/version": told({"version": f"0.1 {KEY}"}),
        "/v1/models": Reply(f'{{"data": [{{"id": "{ESCAPED}"}}, {{"id": "m"}}]}}'),
    }
    cases = {
        name: Case(backend, reply, answers=selves, more=f"api_key_file: '{tmp_path / 'key'}'")
        for name, (backend, reply) in ECHOES.items()
    }
    with many(tmp_path, cases) as asked:
        seen = [asked.text(name) for name in cases]
        for command in (["status", "--json"], ["hosts"], ["doctor"], ["status"]):
            done = asked.house.ygg(*command)
            seen += [done.stdout, done.stderr]
        with closing(asked.house.remote()) as desk:
            for task in asked.tasks.values():
                seen += [json.dumps(desk.show(task)), json.dumps(desk.why(task))]
        seen.append(asked.house.text())
        assert all(echo(a) == KEY for server in asked.servers.values() for a in server.calls)
    seen += [p.read_text(errors="replace") for p in (tmp_path / "state").rglob("*.log")]
    for text in seen:
        assert KEY[:8] not in text
    assert any("[the API key]" in text for text in seen)


# --- a server that never pauses -------------------------------------------------------------------------

FLOODS = {
    "blank lines": ("ollama", ""),
    "blanks": ("ollama", "    "),
    "empty pieces": ("ollama", '{"message":{"content":""}}'),
    "comments": ("openai", ":"),
    "openai blank lines": ("openai", ""),
    "empty data": ("openai", "data:"),
    "empty events": ("openai", 'data: {"choices":[]}'),
}


def test_a_server_that_never_pauses_takes_nobody_elses_turn(tmp_path: Path) -> None:
    cases = {
        name: Case(backend, Reply(f"@flood {noise}"), slots=2)
        for name, (backend, noise) in FLOODS.items()
    }
    cases["a good one"] = Case("ollama", Reply("@pause 0.5\n" + DONE))
    with many(tmp_path, cases) as asked, closing(asked.house.remote()) as desk:
        waits = []
        for _ in range(20):
            begun = time.monotonic()
            desk.status(probe=False)
            waits.append(time.monotonic() - begun)
        assert asked.answer("a good one")["content"] == "hello"
        assert sorted(waits)[len(waits) // 2] < 0.25
        for name in FLOODS:
            assert asked.outcome(name) == "error_budget"
            assert "without a word" in asked.text(name)


# --- certificates -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed one with its key, valid for another machine."""
    path = tmp_path_factory.mktemp("tls") / "cert.pem"
    path.write_bytes(self_signed("surtr.example"))
    return path


@pytest.mark.parametrize("backend", GOOD)
def test_a_certificate_that_is_not_trusted_is_named(
    tmp_path: Path, certificate: Path, backend: str
) -> None:
    secure = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    secure.load_cert_chain(certificate)
    with ExitStack() as stack:
        server = stack.enter_context(scripted(GOOD[backend], secure))
        home = stack.enter_context(house(tmp_path, config({"surtr": server}, backend)))
        task = home.submit("hello")
        why = until(lambda: "certificate" in (said := home.ygg("why", task).stdout) and said)
        doctor = home.ygg("doctor").stdout
    for text in (why, doctor):
        assert "is not trusted: self-signed certificate" in text
        assert "SSL_CERT_FILE" in text
        assert "Operation not permitted" not in text


def test_an_authority_of_the_house_is_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own.pem").write_bytes(self_signed("127.0.0.1"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "own.pem"))
    secure = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    secure.load_cert_chain(tmp_path / "own.pem")
    with ExitStack() as stack:
        server = stack.enter_context(scripted(GOOD["ollama"], secure))
        home = stack.enter_context(house(tmp_path, config({"surtr": server})))
        assert home.end(home.submit("hello"))["state"] == "completed"


def test_a_server_without_tls_is_told_apart(tmp_path: Path) -> None:
    with scripted(GOOD["ollama"]) as server:
        settings = config({"surtr": replace(server, url=server.url.replace("http:", "https:"))})
        with house(tmp_path, settings) as home:
            task = home.submit("hello")
            until(lambda: "speaks no TLS" in home.ygg("why", task).stdout)
