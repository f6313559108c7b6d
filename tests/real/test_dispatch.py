"""Order, slots, changes of models and limits of an answer, on real servers."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from tests.llama.programs import Ollama
from tests.real.home import SLOTS, Home

pytestmark = pytest.mark.real_ollama


def ask(text: str = "hello", **more: Any) -> dict[str, Any]:
    return {"prompt": text, "max_tokens": 8, **more}


@pytest.mark.parametrize(("host", "model"), [("ollama", "a"), ("llama", "slow")])
def test_forty_mixed_tasks_start_by_priority_and_never_more_at_once_than_slots(
    home: Home, host: str, model: str
) -> None:
    server, draw = home.servers[host], random.Random(host)
    server.reset()
    home.paused(True)
    docs = [ask(f"task {n}", priority=draw.randrange(5), host=host, model=model) for n in range(40)]
    ids = home.put(*docs[:25]) + home.put(*docs[25:])
    home.paused(False)
    tasks = home.ends(ids)
    assert {t["state"] for t in tasks} == {"completed"}
    assert [t["attempt"] for t in tasks] == [1] * 40
    rank = {
        task_id: (doc["priority"], n)
        for n, (task_id, doc) in enumerate(zip(ids, docs, strict=True))
    }
    came = [rank[task_id] for task_id in server.tasks]
    late = [(a, b) for n, a in enumerate(came) for b in came[n + SLOTS :] if b < a]
    assert not late, "a better one started later, and not just beside it"
    assert server.peak == SLOTS


def test_a_critical_task_takes_the_next_slot(home: Home) -> None:
    server = home.servers["llama"]
    server.reset()
    ids = home.put(*(ask(host="llama", max_tokens=30, priority=4) for _ in range(6)))
    home.writes(ids[0])
    (urgent,) = home.put(ask(host="llama", priority=0))
    assert {t["state"] for t in home.ends([*ids, urgent])} == {"completed"}
    assert urgent in server.tasks[: 2 * SLOTS], "those that ran, and at most one that just started"
    assert server.peak == SLOTS


def test_tasks_of_three_models_all_end_with_one_of_them_in_memory(
    home: Home, ollama: Ollama
) -> None:
    before = ollama.loads
    docs = [ask(f"task {n}", model="abc"[n % 3], host="ollama") for n in range(18)]
    tasks = home.ends(home.put(*docs))
    assert {t["state"] for t in tasks} == {"completed"}
    assert [t["model"] for t in tasks] == [d["model"] for d in docs]
    assert 2 <= ollama.loads - before < len(docs), "tasks of one model go together"
    assert len(ollama.children) == 1


def test_no_slot_is_kept_for_a_model_that_nobody_waits_for(home: Home) -> None:
    """Where tasks of the loaded model come one after the other it is kept for 20 s."""
    for model in "aba":
        (task,) = home.put(ask(model=model, host="ollama"))
        home.end(task)
        assert home.result(task)["queue_wait_time_ms"] < 3000


def test_two_servers_of_one_host_get_as_many_calls_as_each_of_them_may(home: Home) -> None:
    servers = {name: home.servers[f"box_{name}"] for name in ("ollama", "llama")}
    for server in servers.values():
        server.reset()
    home.paused(True)
    docs = [ask(f"task {n}", host="box", model=("a", "slow")[n % 2]) for n in range(16)]
    ids = home.put(*docs)
    home.paused(False)
    tasks = home.ends(ids)
    assert {t["state"] for t in tasks} == {"completed"}
    assert {name: s.peak for name, s in servers.items()} == {"ollama": 1, "llama": SLOTS}
    assert [t["model"] for t in tasks] == [d["model"] for d in docs]


@pytest.mark.parametrize(
    ("host", "model"), [("ollama", "a"), ("ollama", "narrow"), ("llama", "slow")]
)
def test_an_answer_that_was_cut_at_its_limit_says_so(home: Home, host: str, model: str) -> None:
    (task,) = home.put(ask(host=host, model=model, max_tokens=5))
    assert home.end(task)["state"] == "completed"
    told = home.result(task)
    assert told["result"] == {"content": "abcde", "stop_reason": "length"}
    assert told["tokens_generated"] == 5


def test_an_answer_that_fills_the_context_says_that_it_was_cut(home: Home) -> None:
    (task,) = home.put(ask("b" * 60, host="ollama", model="narrow", max_tokens=None))
    assert home.end(task)["state"] == "completed"
    assert home.result(task)["result"]["stop_reason"] == "length"


def test_a_prompt_that_is_longer_than_the_context_is_refused_and_not_cut(home: Home) -> None:
    (task,) = home.put(ask("b" * 400, host="ollama", model="narrow"))
    ended = home.end(task)
    assert (ended["state"], ended["reason"]) == ("failed", "all_refused")
    assert "context" in ended["error"]


def test_doctor_has_a_token_of_each_server(home: Home, ollama: Ollama) -> None:
    assert home.end(*home.put(ask(host="ollama", model="b")))["state"] == "completed"
    before = ollama.loads
    checks = json.loads(home.ygg("doctor", "--try", "--json").stdout)["checks"]
    told = {c["name"]: c for c in checks if c["category"] == "answers"}
    servers = ("ollama", "llama", "box/ollama", "box/openai")
    assert {name: c["status"] for name, c in told.items()} == dict.fromkeys(servers, "ok")
    assert told["ollama"]["message"].startswith("b answered in"), "the one that is in memory"
    assert ollama.loads == before
