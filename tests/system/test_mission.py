"""Every example of the mission's first document, asked of a running daemon over TCP: by its own words and by curl."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.surface.test_tcp import free_port
from tests.system.rig import daemon, sim_servers, until

CHAT = {
    "agent_type": "Chat",
    "messages": [{"role": "user", "content": "What are the symptoms of diabetes?"}],
    "priority": "NORMAL",
    "timeout_seconds": 60,
    "max_tokens": 500,
    "temperature": 0.7,
}
BATCH = {
    "requests": [
        {
            "agent_type": "Chat",
            "messages": [{"role": "user", "content": "Question 1?"}],
            "priority": "NORMAL",
        },
        {
            "agent_type": "Chat",
            "messages": [{"role": "user", "content": "Question 2?"}],
            "priority": "HIGH",
        },
        {
            "agent_type": "MedicalAnalyzer",
            "messages": [{"role": "user", "content": "Analyze: ..."}],
            "priority": "CRITICAL",
        },
    ],
    "timeout_seconds": 60,
    "process_in_parallel": True,
}
#: Keys of the mission's answers, with what each may be. `None` for what may be null.
TASK = {"task_id": str, "status": str, "priority": str}
SUBMITTED = {
    **TASK, "position_in_queue": int, "estimated_wait_ms": (int, None),
    "queue_stats": dict.fromkeys(("total_tasks", "queued", "processing", "completed", "failed"), int),
}  # fmt: skip
STATUS = {
    **TASK, "agent_type": str, "position_in_queue": int, "created_at": str, "started_at": (str, None),
    "completed_at": (str, None), "progress_percent": (int, None), "model_selected": (str, None), "backend": (str, None),
}  # fmt: skip
RESULT = {
    "task_id": str, "status": str, "result": {"content": str, "stop_reason": str}, "model_used": str, "backend": str,
    "inference_time_ms": int, "tokens_generated": int, "queue_wait_time_ms": int, "total_time_ms": int,
}  # fmt: skip
SUBMITTED_BATCH = {"batch_id": str, "total_tasks": int, "task_ids": list, "message": str}
BATCH_STATUS = {
    "batch_id": str, "total_tasks": int, "completed_tasks": int, "failed_tasks": int, "processing_tasks": int,
    "queued_tasks": int, "progress_percent": int, "estimated_completion_ms": (int, None), "task_statuses": dict,
}  # fmt: skip
STATS = {
    "timestamp": str,
    "queue": {
        **dict.fromkeys(("total_tasks", "queued", "processing", "completed", "failed"), int),
        "by_priority": dict.fromkeys(("CRITICAL", "HIGH", "NORMAL", "LOW"), int),
    },
    "performance": {
        "avg_processing_time_ms": (int, None), "throughput_tasks_per_minute": (float, int, None),
        "avg_wait_time_ms": (int, None),
    },
}  # fmt: skip
HEALTH = {
    "status": str, "health": str, "queue_depth": int, "processing": int, "failed_rate_percent": (float, int, None),
    "avg_latency_ms": (int, None),
}  # fmt: skip
CANCELLED = {"task_id": str, "status": str, "message": str}
WORKERS = {"workers": dict, "queues": dict, "gpu_available": bool}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("home")
    where = f"127.0.0.1:{free_port()}"
    slots = {"surtr": 2, "fenrir": 2}
    with sim_servers(folder, 0.05, slots) as urls:
        hosts = "".join(
            f"  {n}: {{slots: 2, backend: ollama, url: '{u}', models: [m]}}\n"
            for n, u in urls.items()
        )
        path = folder / "hosts.yaml"
        path.write_text(
            f"hosts:\n{hosts}task_types:\n  general: {{route: [surtr]}}\n  Chat: {{route: [fenrir, surtr]}}\n"
            f"  MedicalAnalyzer: {{route: [surtr]}}\napi: {{listen: '{where}'}}\n"
        )
        with daemon(folder, path):
            yield f"http://{where}"


@pytest.fixture
def http(base: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=base, timeout=60) as client:
        yield client


def fits(body: Any, shape: Any, where: str = "") -> None:
    """Every key of the shape is there, and what it may be. More keys are no harm."""
    if isinstance(shape, dict):
        for key, inner in shape.items():
            assert key in body, f"{where}.{key} is missing"
            fits(body[key], inner, f"{where}.{key}")
        return
    kinds = shape if isinstance(shape, tuple) else (shape,)
    plain = tuple(k for k in kinds if k is not None)
    assert (body is None and None in kinds) or (
        isinstance(body, plain) and not (isinstance(body, bool) and bool not in plain)
    ), f"{where} is {body!r}"


def ended(http: httpx.Client, task_id: str) -> dict[str, Any]:
    """Polled, as the mission's script does."""

    def status() -> dict[str, Any] | None:
        body = http.get(f"/v1/async/status/{task_id}").json()
        return body if body["status"] in ("completed", "failed", "cancelled") else None

    found: dict[str, Any] = until(status)
    return found


def test_1_a_task_is_submitted_polled_and_its_result_read(http: httpx.Client) -> None:
    answer = http.post("/v1/async/submit", json=CHAT)
    assert answer.status_code == 202
    body = answer.json()
    fits(body, SUBMITTED)
    assert (body["priority"], body["status"] in ("queued", "processing")) == ("NORMAL", True)
    fits(http.get(f"/v1/async/status/{body['task_id']}").json(), STATUS)
    done = ended(http, body["task_id"])
    fits(done, STATUS)
    assert (done["status"], done["progress_percent"]) == ("completed", 100)
    result = http.get(f"/v1/async/result/{body['task_id']}")
    assert result.status_code == 200
    fits(result.json(), RESULT)
    again = http.post("/v1/async/submit", json=CHAT).json()
    assert (again["cached"], again["status"]) == (True, "completed")
    cache = http.get("/v1/async/stats").json()["cache"]
    assert cache == {"cached_responses": 1, "cache_ttl_seconds": 300}


def test_2_a_batch_is_submitted_and_watched(http: httpx.Client) -> None:
    answer = http.post("/v1/async/submit-batch", json=BATCH)
    assert answer.status_code == 202
    body = answer.json()
    fits(body, SUBMITTED_BATCH)
    assert (body["total_tasks"], len(body["task_ids"])) == (3, 3)
    fits(http.get(f"/v1/async/batch-status/{body['batch_id']}").json(), BATCH_STATUS)
    done = http.get(f"/v1/async/batch-status/{body['batch_id']}?wait=30").json()
    fits(done, BATCH_STATUS)
    assert (done["completed_tasks"], done["progress_percent"]) == (3, 100)
    assert done["task_statuses"] == dict.fromkeys(body["task_ids"], "completed")


def test_3_a_result_before_its_time_is_a_conflict_with_the_status(http: httpx.Client) -> None:
    http.post("/v1/queue/pause")
    try:
        fresh = CHAT | {"cache": False}
        task_id = http.post("/v1/async/submit", json=fresh).json()["task_id"]
        early = http.get(f"/v1/async/result/{task_id}")
        assert early.status_code == 409
        fits(early.json(), STATUS)
        gone = http.delete(f"/v1/async/cancel/{task_id}")
        fits(gone.json(), CANCELLED)
        assert gone.json()["message"] == "Task cancelled successfully"
        assert http.get(f"/v1/async/status/{task_id}").json()["status"] == "cancelled"
    finally:
        http.post("/v1/queue/resume")


def test_4_the_queue_is_monitored(http: httpx.Client) -> None:
    fits(http.get("/v1/async/stats").json(), STATS)
    health = http.get("/v1/async/health").json()
    fits(health, HEALTH)
    assert health["health"] in ("healthy", "degraded", "unhealthy")
    assert health["status"] == "ok"
    assert "gpu" in http.get("/v1/gpu/status").json()
    assert "memory_pressure" in http.get("/v1/gpu/memory-forecast").json()
    fits(http.get("/api/v1/status/workers").json(), WORKERS)


def test_5_what_ended_is_cleaned_up(http: httpx.Client) -> None:
    task_id = http.post("/v1/async/submit", json=CHAT).json()["task_id"]
    ended(http, task_id)
    old = http.post("/v1/async/cleanup", json={"max_age_seconds": 300})
    assert (old.status_code, old.json()["removed"]) == (200, 0)
    now = http.post("/v1/async/cleanup", json={"max_age_seconds": 0}).json()
    assert now["removed"] > 0
    assert http.get(f"/v1/async/status/{task_id}").status_code == 404


# --- as they are typed ----------------------------------------------------------------------------

curl = pytest.mark.skipif(
    not (shutil.which("curl") and shutil.which("jq")), reason="needs curl and jq"
)


def bash(script: str) -> str:
    done = subprocess.run(
        ["bash", "-c", script], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@curl
def test_the_script_that_polls_for_one_answer_works(base: str) -> None:
    asked = json.dumps(CHAT | {"timeout_seconds": 30})
    out = bash(f"""
        TASK_ID=$(curl -s -X POST {base}/v1/async/submit -H "Content-Type: application/json" -d '{asked}' | jq -r '.task_id')
        while true; do
          STATUS=$(curl -s {base}/v1/async/status/$TASK_ID | jq -r '.status')
          [ "$STATUS" = failed ] && exit 1
          if [ "$STATUS" = completed ]; then curl -s {base}/v1/async/result/$TASK_ID | jq '.result.content'; break; fi
          sleep 0.1
        done""")
    assert len(json.loads(out)) > 0


@curl
def test_the_script_that_loads_the_queue_loses_nothing(base: str) -> None:
    """A hundred submits, ten at a time; then the counts of the queue, as its monitor reads them."""
    before = httpx.get(f"{base}/v1/async/stats").json()["queue"]["completed"]
    out = bash(f"""
        submit() {{
          curl -s -X POST {base}/v1/async/submit -H "Content-Type: application/json" -d '{{
            "agent_type": "Chat", "messages": [{{"role": "user", "content": "Query '$1'"}}],
            "priority": "'$2'", "timeout_seconds": 60}}' | jq -r '.task_id'
        }}
        for i in {{1..100}}; do
          PRIORITY=NORMAL
          if [ $((i % 10)) -eq 0 ]; then PRIORITY=HIGH; fi
          submit $i $PRIORITY &
          if [ $((i % 10)) -eq 0 ]; then wait; fi
        done
        wait""")
    ids = out.split()
    assert len(set(ids)) == 100

    def done() -> bool:
        stats = httpx.get(f"{base}/v1/async/stats").json()
        return bool(stats["queue"]["completed"] - before >= 100)

    until(done, 60)
    for task_id in ids:
        assert httpx.get(f"{base}/v1/async/status/{task_id}").json()["status"] == "completed"
