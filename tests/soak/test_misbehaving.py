"""Sixty servers that misbehave beside three good ones, under one daemon: the good ones do not notice."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from contextlib import ExitStack, closing
from datetime import datetime
from pathlib import Path
from statistics import median
from typing import Any

import pytest

from tests.cases.scripted import Reply, Script, scripted
from tests.system.rig import Daemon, daemon, sim_servers, until
from ygg.desk import Desk

GOOD, BAD = 3, 60
SLOTS, LATENCY_S = 2, 0.25
SHARE = 0.95
EACH = 4  #: tasks of a bad one: they come back every five seconds
TASKS = 3 * 30 * SLOTS  #: of the good ones, a phase: eight seconds of work
LIMITS = "{between_tokens: 3s, first_token: 5s, timeout: 10s, backoff: [5s], defer: [5s], max_errors: 50}"
WORD = json.dumps({"message": {"content": "x" * 200}})
SILENT = json.dumps({"message": {"content": ""}})
MANY = {"models": [{"name": f"x{n}"} for n in range(50_000)]}


def told(value: Any) -> Reply:
    return Reply(raw=json.dumps(value).encode())


#: What they do to a call, and what they say of themselves.
KINDS: dict[str, tuple[Reply, dict[str, Reply]]] = {
    "blank lines": (Reply("@flood "), {}),
    "empty pieces": (Reply(f"@flood {SILENT}"), {}),
    "endless talk": (Reply(f"@flood {WORD}"), {}),
    "a line without an end": (Reply(raw=b"x" * 5_000_000), {}),
    "a drip": (Reply("@again 0.1 "), {}),
    "silence": (Reply("@pause 60"), {}),
    "an error": (Reply('{"error":"slot failed"}', 500), {}),
    "busy": (Reply('{"error":"server busy"}', 503, {"Retry-After": "1"}), {}),
    "out of memory": (Reply('{"error":"unable to allocate CUDA0 buffer"}', 500), {}),
    "garbage": (Reply("not json"), {"/api/version": Reply("not json")}),
    "a long self": (Reply(SILENT), {"/api/version": told({"version": "9" * 4_000_000})}),
    "many models": (Reply(raw=b'{"message":', headers={"Content-Length": "900"}), {"/api/tags": told(MANY)}),
}  # fmt: skip


def settings(good: dict[str, str], bad: dict[str, Script]) -> str:
    urls = good | {name: script.url for name, script in bad.items()}
    hosts = "".join(
        f"  {name}: {{slots: {SLOTS}, backend: ollama, url: '{url}', models: [m], telemetry: 'off'}}\n"
        for name, url in urls.items()
    )
    types = "".join(f"  on-{name}: {{route: [{name}]}}\n" for name in urls)
    general = f"  general: {{route: [{next(iter(good))}]}}\n"
    return f"hosts:\n{hosts}task_types:\n{general}{types}policies: {LIMITS}\n"


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[tuple[dict[str, str], dict[str, Script]]]:
    with ExitStack() as stack:
        slots = {f"good{n}": SLOTS for n in range(GOOD)}
        good = stack.enter_context(sim_servers(tmp_path, LATENCY_S, slots))
        bad = {}
        for n, kind in zip(range(BAD), itertools.cycle(KINDS), strict=False):
            reply, answers = KINDS[kind]
            bad[f"bad{n}"] = stack.enter_context(scripted(reply))
            bad[f"bad{n}"].answers.update(answers)
        yield good, bad


def submit(desk: Desk, hosts: list[str], each: int) -> list[str]:
    docs = [{"prompt": "hello", "type": f"on-{host}"} for host in hosts for _ in range(each)]
    return [task["id"] for task in desk.submit_part(docs)["tasks"]]


def rate(home: Daemon, good: list[str]) -> float:
    """Tasks a second of the good hosts by the daemon's own times: this process is busy misbehaving."""
    with closing(home.remote()) as desk:
        ids = submit(desk, good, TASKS // len(good))
        ended = [desk.wait(task, 120.0) for task in ids]
    assert {task["state"] for task in ended} == {"completed"}
    begun = min(datetime.fromisoformat(task["created_at"]) for task in ended)
    last = max(datetime.fromisoformat(task["finished_at"]) for task in ended)
    return TASKS / (last - begun).total_seconds()


@pytest.mark.soak
def test_good_servers_keep_their_rate_beside_sixty_that_misbehave(
    tmp_path: Path, servers: tuple[dict[str, str], dict[str, Script]]
) -> None:
    good, bad = servers
    path = tmp_path / "hosts.yaml"
    path.write_text(settings(good, bad))
    with daemon(tmp_path, path) as home, closing(home.remote()) as desk:
        submit(desk, list(bad), EACH)
        shares = [share(home, desk, list(good), bad) for _ in range(3)]
    print("\nrate beside the others / alone:", *(f"{s:.3f}" for s in shares))
    assert median(shares) >= SHARE


def share(home: Daemon, desk: Desk, good: list[str], bad: dict[str, Script]) -> float:
    """The rate beside the bad ones against the rate alone, one right after the other."""
    for host in bad:
        desk.drain_host(host)
    until(lambda: not any(h["in_flight"] for h in desk.hosts()["hosts"]), 60, "they are still")
    alone = rate(home, good)
    before = sum(len(script.calls) for script in bad.values())
    for host in bad:
        desk.resume_host(host)
    until(lambda: sum(len(s.calls) for s in bad.values()) > before + BAD / 2, 30, "they are asked")
    return rate(home, good) / alone
