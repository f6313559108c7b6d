"""The mission's load test over TCP, and heavier ones: everybody is answered, no task is lost, memory stays small."""

from __future__ import annotations

import asyncio
import json
import resource
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.surface.test_tcp import free_port
from tests.system.rig import Daemon, hosts_yaml, sim_servers, until

SLOTS = {"a": 8, "b": 8}
SUBMITS_MB, POLLS_MB = 150, 200
#: Example 3 of the mission as written, but for the port.
SCRIPT = r"""#!/bin/bash
# Load test script

echo "Submitting 100 concurrent requests..."
TASK_IDS=()

for i in {1..100}; do
  PRIORITY="NORMAL"
  if [ $((i % 10)) -eq 0 ]; then
    PRIORITY="HIGH"
  fi

  TASK_ID=$(curl -s -X POST http://localhost:8000/v1/async/submit \
    -H "Content-Type: application/json" \
    -d "{
      \"agent_type\": \"Chat\",
      \"messages\": [{\"role\": \"user\", \"content\": \"Query $i\"}],
      \"priority\": \"$PRIORITY\",
      \"timeout_seconds\": 60
    }" | jq -r '.task_id') &

  TASK_IDS+=($TASK_ID)

  # Rate limit: 10 submissions per second
  if [ $((i % 10)) -eq 0 ]; then
    wait
  fi
done

wait

echo "All tasks submitted. Monitoring..."

# Monitor queue
COMPLETED=0
while [ $COMPLETED -lt 100 ]; do
  STATS=$(curl -s http://localhost:8000/v1/async/stats)
  COMPLETED=$(echo $STATS | jq '.queue.completed')
  TOTAL=$(echo $STATS | jq '.queue.total_tasks')
  THROUGHPUT=$(echo $STATS | jq '.performance.throughput_tasks_per_minute')

  echo "Progress: $COMPLETED / $TOTAL completed, $THROUGHPUT tasks/min"
  sleep 5
done

echo "All tasks completed!"
"""


class Loaded(Daemon):
    """A daemon with a TCP port and two servers."""

    port = 0


@pytest.fixture
def loaded(tmp_path: Path) -> Iterator[Loaded]:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with sim_servers(tmp_path, 0.01, SLOTS) as urls:
        port = free_port()
        more = f"api: {{listen: '127.0.0.1:{port}'}}\n"
        config = hosts_yaml(tmp_path / "hosts.yaml", urls, SLOTS, more)
        text = config.read_text().replace("general: {route: [a]}", "general: {route: [a, b]}")
        config.write_text(text)
        target = Loaded(tmp_path, config, "--no-view", fresh=True)
        target.port = port
        target.start()
        try:
            yield target
        finally:
            target.stop()


def asked(method: str, path: str, doc: object = None) -> bytes:
    body = b"" if doc is None else json.dumps(doc).encode()
    head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


async def at_once(port: int, requests: list[bytes], sent: asyncio.Event) -> list[tuple[int, Any]]:
    """Each on a connection of its own, all of them open before the first is sent; statuses and documents. `sent` is set
    once all were written."""
    wires = [await asyncio.open_connection("127.0.0.1", port) for _ in requests]
    for (_, writer), raw in zip(wires, requests, strict=True):
        writer.write(raw)
    await asyncio.gather(*(writer.drain() for _, writer in wires))
    sent.set()
    try:
        return await asyncio.gather(*(_answer(reader) for reader, _ in wires))
    finally:
        for _, writer in wires:
            writer.close()


async def _answer(reader: asyncio.StreamReader) -> tuple[int, Any]:
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(head.lower().split(b"content-length:")[1].split()[0])
    return int(head.split()[1]), json.loads(await reader.readexactly(length))


def test_the_load_test_of_the_mission_ends_as_written(loaded: Loaded) -> None:
    if not (shutil.which("curl") and shutil.which("jq")):
        pytest.skip("it takes curl and jq")
    script = SCRIPT.replace("localhost:8000", f"localhost:{loaded.port}")
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
    assert "Progress: 100 / 100 completed" in done.stdout
    assert done.stdout.endswith("All tasks completed!\n")
    assert loaded.peak_mb() < SUBMITS_MB


@pytest.mark.parametrize("many", [100, pytest.param(1000, marks=pytest.mark.soak)])
async def test_submits_all_at_once_are_answered_and_none_is_lost(loaded: Loaded, many: int) -> None:
    docs = [
        {"agent_type": "Chat", "messages": [{"role": "user", "content": f"Query {n}"}]}
        for n in range(many)
    ]
    requests = [asked("POST", "/v1/async/submit", doc) for doc in docs]
    answers = await at_once(loaded.port, requests, asyncio.Event())
    assert {status for status, _ in answers} == {202}
    ids = {told["task_id"] for _, told in answers}
    assert len(ids) == many
    http = httpx.Client(base_url=f"http://127.0.0.1:{loaded.port}", timeout=30)
    with http:
        until(lambda: http.get("/v1/async/stats").json()["queue"]["completed"] == many, 60)
        ended = http.get("/v1/tasks", params={"state": "completed", "limit": 2 * many}).json()
    assert {task["id"] for task in ended["tasks"]} == ids
    assert loaded.peak_mb() < SUBMITS_MB


@pytest.mark.parametrize("many", [100, pytest.param(1000, marks=pytest.mark.soak)])
async def test_long_polls_all_at_once_end_when_their_tasks_do(loaded: Loaded, many: int) -> None:
    with closing(loaded.remote()) as desk:
        docs = [{"prompt": f"{n}", "not_before": "1h"} for n in range(10)]
        ids = [told["id"] for told in desk.submit(docs)]
        requests = [asked("GET", f"/v1/async/status/{ids[n % 10]}?wait=30") for n in range(many)]
        sent = asyncio.Event()
        polls = asyncio.create_task(at_once(loaded.port, requests, sent))
        await sent.wait()
        # what is asked after them is answered after all of them began to wait
        await at_once(loaded.port, [asked("GET", "/v1/queue")], asyncio.Event())
        assert not polls.done()
        assert loaded.peak_mb() < POLLS_MB
        await asyncio.to_thread(lambda: [desk.cancel(i) for i in ids])
        answers = await polls
    assert {(status, told["state"]) for status, told in answers} == {(200, "cancelled")}
    assert loaded.peak_mb() < POLLS_MB
