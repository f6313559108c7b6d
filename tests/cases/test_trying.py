"""Chapter F, servers that say they are well and do not answer: `ygg doctor --try`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.cases.house import House, house
from tests.cases.scripted import Asked, Reply, Script, scripted
from tests.system.rig import until

DONE = Reply('{"message":{"content":"hello"},"done":true,"done_reason":"length"}')
SSE = Reply(
    'data: {"choices":[{"delta":{"content":"hello"}}]}\n\n'
    'data: {"choices":[{"delta":{},"finish_reason":"length"}]}\n\n'
)
LOADED = Reply('{"models":[{"name":"m:latest","model":"m:latest"}]}')
TWO = Reply('{"models":[{"name":"m:latest","size":900},{"name":"small:latest","size":100}]}')


def died(_: Asked) -> Reply:
    """Each load ends like this."""
    return Reply('{"error":"llama runner process has terminated: exit status 2"}', 500)


def embedder(asked: Asked) -> Reply:
    if asked.path == "/api/embed":
        return Reply('{"model":"m","embeddings":[[0.5]],"prompt_eval_count":1}')
    return Reply('{"error":"\\"m\\" does not support chat"}', 400)


def busy(asked: Asked) -> Reply:
    return Reply("@pause 60") if b"slow" in asked.body else DONE


#: Servers by the name of their host: backend, answer to a call, answer to /api/ps, more of the host.
SERVERS: dict[str, tuple[str, Any, Reply | None, str]] = {
    "well": ("ollama", DONE, LOADED, ""),
    "llama": ("openai", SSE, None, ""),
    "cold": ("ollama", DONE, None, "models: [m, small]"),
    "sick": ("ollama", died, LOADED, ""),
    "full": ("ollama", Reply('{"error":"cudaMalloc failed: out of memory"}', 500), LOADED, ""),
    "stuck": ("ollama", Reply("@pause 60"), LOADED, ""),
    "loading": ("ollama", Reply("@pause 60"), None, ""),
    "vectors": ("ollama", embedder, LOADED, ""),
    "busy": ("ollama", busy, LOADED, ""),
}


def host(name: str, server: Script) -> str:
    backend, _, loaded, more = SERVERS[name]
    if backend == "openai":
        server.answers["/api/version"] = Reply(status=404)
    if loaded is not None:
        server.answers["/api/ps"] = loaded
    if more:
        server.answers["/api/tags"] = TWO
    more = more or "models: [m]"
    return (
        f"  {name}: {{slots: 1, backend: {backend}, url: '{server.url}', {more}, telemetry: 'off'}}"
    )


@pytest.fixture(scope="module")
def tried(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[House, dict[str, Script]]]:
    """A daemon over all of them; a task runs on `busy`."""
    with ExitStack() as stack:
        servers = {n: stack.enter_context(scripted(s[1])) for n, s in SERVERS.items()}
        hosts = "\n".join(host(name, server) for name, server in servers.items())
        text = (
            f"hosts:\n{hosts}\ntask_types:\n  general: {{route: [well]}}\npolicies: {{drain: 1s}}\n"
        )
        home = stack.enter_context(house(tmp_path_factory.mktemp("trying"), text))
        home.submit("slow", "--host", "busy")
        until(lambda: servers["busy"].calls, 10, "it runs")
        yield home, servers


@pytest.fixture(scope="module")
def found(tried: tuple[House, dict[str, Script]]) -> dict[str, dict[str, Any]]:
    """What is told of each server."""
    done = tried[0].ygg("doctor", "--try", "--json")
    assert done.returncode == 1, "servers that do not answer are errors"
    checks = json.loads(done.stdout)["checks"]
    return {c["name"]: c for c in checks if c["category"] == "answers"}


@pytest.mark.parametrize(
    ("name", "status", "message", "fix"),
    [
        ("well", "ok", "m answered in", ""),
        ("llama", "ok", "m answered in", ""),
        ("vectors", "ok", "m answered in", ""),
        ("busy", "ok", "not asked: tasks run on all its slots", ""),
        ("cold", "ok", "small answered in", ""),
        ("sick", "error", "llama runner process has terminated", "the log of the model server"),
        ("full", "error", "out of memory", "ygg models unload"),
        ("stuck", "error", "m does not answer: no", "the log of the model server"),
        ("loading", "warning", "was not loaded within 2.5 s", "ygg submit hello --host loading"),
    ],
)
def test_each_server_is_asked_for_a_token(
    found: dict[str, dict[str, Any]], name: str, status: str, message: str, fix: str
) -> None:
    assert found[name]["status"] == status
    assert message in found[name]["message"]
    assert fix in found[name]["fix"]


def test_one_token_of_one_model_is_asked_for(
    found: dict[str, dict[str, Any]], tried: tuple[House, dict[str, Script]]
) -> None:
    (asked,) = tried[1]["cold"].calls
    body = json.loads(asked.body)
    assert (body["model"], body["options"]["num_predict"]) == ("small", 1)
    assert "the smallest" in found["cold"]["detail"]
    (asked,) = tried[1]["llama"].calls
    assert json.loads(asked.body)["max_tokens"] == 1
    assert len(tried[1]["busy"].calls) == 1, "its task alone"


def test_a_person_sees_the_answers_and_nobody_is_asked_without_being_told_to(
    tried: tuple[House, dict[str, Script]],
) -> None:
    home, servers = tried
    calls = len(servers["well"].calls)
    assert "answers" not in home.ygg("doctor").stdout
    assert len(servers["well"].calls) == calls
    assert "ok      answers   well: m answered in" in home.ygg("doctor", "--try").stdout


def test_the_test_task_of_init_points_there(tmp_path: Path) -> None:
    with scripted(died) as server:
        server.answers["/api/tags"] = Reply(
            '{"models":[{"name":"m:latest","size":100,"details":{"parameter_size":"8B"}}]}'
        )
        one = House(tmp_path, tmp_path / "hosts.yaml")
        done = one.ygg("init", "--yes", "--host", server.url.removeprefix("http://"))
    assert done.returncode == 1
    assert "ygg doctor --try" in done.stderr
