"""Submitting: names that are spelled otherwise or do not exist, and what data frames write."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.cases.house import House, house
from tests.cases.scripted import Reply, scripted

ANSWER = '{"message":{"content":"hello"},"done":false}\n{"message":{"content":""},"done":true,"done_reason":"stop"}'
TEXT = """\
hosts:
  surtr: {{slots: 4, backend: ollama, url: '{url}', models: [m, qwen3:8b], telemetry: 'off'}}
task_types:
  general: {{route: [surtr]}}
  code-generation: {{route: [surtr]}}
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("home")
    with scripted(Reply(ANSWER)) as server, house(folder, TEXT.format(url=server.url)) as running:
        yield running


@pytest.fixture(params=["online", "offline"])
def where(request: pytest.FixtureRequest, tmp_path: Path, home: House) -> House:
    """The daemon, or its configuration over a database of its own."""
    return home if request.param == "online" else House(tmp_path, home.config)


def post(home: House, path: str, doc: dict[str, Any]) -> httpx.Response:
    socket = str(home.folder / "run" / "ygg" / "ygg.sock")
    with httpx.Client(transport=httpx.HTTPTransport(uds=socket)) as http:
        return http.post(f"http://ygg{path}", json=doc)


# --- names ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "model", ["m", "M", "m:latest", "library/m", "registry.ollama.ai/library/m:latest", "QWEN3:8B"]
)
def test_spellings_of_a_model_are_one_model(home: House, model: str) -> None:
    assert home.end(home.submit("hello", "--model", model))["state"] == "completed"


def test_the_other_way_round_too(tmp_path: Path) -> None:
    with scripted(Reply(ANSWER)) as server:
        text = TEXT.format(url=server.url).replace("[m, qwen3:8b]", "['m:latest', qwen3:8b]")
        with house(tmp_path, text) as home:
            for model in ("m", "M:latest"):
                assert home.end(home.submit("hello", "--model", model))["state"] == "completed"


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (("--model", "nomodel"), ["no host has 'nomodel'", "models: m, qwen3:8b"]),
        (("--model", "qwen3:4b"), ["no host has 'qwen3:4b'", "did you mean qwen3:8b?"]),
        (("--model", "nomodel", "--host", "surtr"), ["host surtr does not have 'nomodel'"]),
        (("--host", "nowhere"), ["no host 'nowhere'", "hosts: surtr"]),
    ],
)  # fmt: skip
def test_a_model_or_host_that_does_not_exist_is_refused_with_what_there_is(
    where: House, args: tuple[str, ...], says: list[str]
) -> None:
    done = where.ygg("submit", "hello", *args)
    assert done.returncode == 2
    assert done.stdout == ""
    assert all(text in done.stderr for text in says)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("code-generatoin", "did you mean code-generation?"),
        ("General", "did you mean general?"),
        ("poetry", "types: general, code-generation"),
    ],
)
def test_a_type_that_does_not_exist_is_taken_and_told(where: House, name: str, says: str) -> None:
    done = where.ygg("submit", "hello", "-t", name)
    assert done.returncode == 0, done.stderr
    assert f"warning: no task type '{name}'" in done.stderr
    assert says in done.stderr
    assert "warning" not in where.ygg("submit", "hello", "-t", "code-generation").stderr


def test_many_lines_of_one_wrong_type_are_told_once(where: House) -> None:
    lines = "\n".join(json.dumps({"prompt": "x", "type": "poetry"}) for _ in range(700))
    done = where.ygg("submit", "--jsonl", "-", stdin=lines.encode())
    assert done.returncode == 0
    assert len(done.stdout.splitlines()) == 700
    assert done.stderr.count("warning:") == 1


def test_over_http_an_unknown_agent_type_is_taken_and_told(home: House) -> None:
    doc = {"agent_type": "MedicalAnalyzer", "messages": [{"role": "user", "content": "hello"}]}
    answer = post(home, "/v1/async/submit", doc)
    assert answer.status_code == 202
    assert "no task type 'MedicalAnalyzer'" in answer.json()["warning"]
    assert home.end(answer.json()["task_id"])["type"] == "MedicalAnalyzer"
    assert "warning" not in post(home, "/v1/async/submit", {**doc, "agent_type": "general"}).json()
    refused = post(home, "/v1/async/submit", {**doc, "model": "nomodel"})
    assert refused.status_code == 422
    assert refused.json()["error"]["hint"] == "models: m, qwen3:8b"


# --- what data frames write -----------------------------------------------------------------------

ROW: dict[str, Any] = {
    "prompt": "hello", "messages": None, "input": None, "operation": None, "type": None, "system": None,
    "title": None, "priority": 1.0, "labels": None, "model": None, "host": None, "max_tokens": 5.0,
    "temperature": None, "options": None, "not_before": None, "deadline": None, "gpu": None,
    "idempotency_key": None, "retention": 3600.0, "content_type": None, "timeout": 60.0,
}  # fmt: skip


def test_rows_of_a_data_frame_are_taken(where: House) -> None:
    rows = [{**ROW, key: None} for key in ("priority", "max_tokens", "retention", "timeout")]
    text = "\ufeff" + "\n".join(json.dumps(row) for row in [ROW, *rows])
    done = where.ygg("submit", "--jsonl", "-", stdin=text.encode())
    assert done.returncode == 0, done.stderr
    first = json.loads(where.ygg("show", done.stdout.split()[0], "--json").stdout)
    assert (first["priority"], first["timeout_s"]) == (1, 60)
    assert first["request"]["max_tokens"] == 5
    assert "temperature" not in first["request"]


def test_the_missions_endpoint_takes_them_too(home: House) -> None:
    unset = dict.fromkeys(("system", "title", "labels", "model", "temperature", "timeout_seconds"))
    doc = {
        **unset, "agent_type": "general", "messages": [{"role": "user", "content": "hello"}],
        "priority": 0.0, "max_tokens": 7.0,
    }  # fmt: skip
    answer = post(home, "/v1/async/submit", doc)
    assert answer.status_code == 202, answer.text
    assert answer.json()["priority"] == "CRITICAL"
    with closing(home.remote()) as desk:
        assert desk.show(answer.json()["task_id"])["request"]["max_tokens"] == 7


@pytest.mark.parametrize("key", ["priority", "max_tokens"])
def test_half_a_number_is_none(where: House, key: str) -> None:
    row = json.dumps({"prompt": "x", key: 1.5}).encode()
    done = where.ygg("submit", "--jsonl", "-", stdin=row)
    assert done.returncode == 1
    assert f"-:1: {key}: expected " in done.stderr


# --- too much at once -----------------------------------------------------------------------------


def test_a_line_that_is_too_much_is_named_and_the_others_are_stored(where: House) -> None:
    good, long = json.dumps({"prompt": "x"}), json.dumps({"prompt": "x" * 17_000_000})
    many = json.dumps({"prompt": "x", "options": {"a": [1] * 400_000}})
    text = f"{good}\n{long}\n{good}\n{many}\n{good}"
    done = where.ygg("submit", "--jsonl", "-", stdin=text.encode())
    assert done.returncode == 1
    assert len(done.stdout.splitlines()) == 3
    assert "-:2: longer than 16 MiB" in done.stderr
    assert "-:4: more than 20,000 values" in done.stderr


def test_a_prompt_that_does_not_end_is_refused(where: House) -> None:
    done = where.ygg("submit", "-", stdin=b"x" * 17_000_000)
    assert done.returncode == 2
    assert "stdin cannot be read: it is longer than 16,384 KiB" in done.stderr
