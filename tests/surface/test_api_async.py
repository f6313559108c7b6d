"""/v1/async: what clients written against the mission's guide get."""

from __future__ import annotations

import pytest

from tests.shell.virtual import START_MS, run_virtual, until
from tests.surface.world import HELLO, Api, api, play
from ygg.api import bodies, place
from ygg.api.bodies import iso
from ygg.model import Lane, Operation, OutcomeKind, Priority, Result, State, Task, Usage

SUBMIT = {
    "status", "state", "task_id", "priority", "cached", "existing", "coalesced", "position_in_queue", "position_is_bound",
    "estimated_wait_ms", "queue_stats",
}  # fmt: skip
STATUS = {
    "task_id", "status", "agent_type", "priority", "position_in_queue", "created_at", "started_at",
    "completed_at", "progress_percent", "model_selected", "backend",
}  # fmt: skip
RESULT = {
    "task_id", "status", "result", "model_used", "backend", "inference_time_ms", "tokens_generated",
    "queue_wait_time_ms", "total_time_ms",
}  # fmt: skip


def test_a_submit_is_acknowledged_with_its_place_in_the_queue() -> None:
    async def scene(api: Api) -> None:
        first = await api.submit()
        await api.running(first["task_id"])
        await api.submit()
        third = await api.submit(priority="LOW")
        better = await api.submit(priority="high")
        assert set(third) == SUBMIT
        assert (third["status"], third["priority"]) == ("queued", "LOW")
        assert (third["position_in_queue"], third["position_is_bound"]) == (2, False)
        assert better["position_in_queue"] == 1
        assert third["estimated_wait_ms"] is None  # nothing has been measured yet
        assert third["queue_stats"] == {
            "total_tasks": 3, "queued": 2, "processing": 1, "completed": 0, "failed": 0,
            "cancelled": 0, "expired": 0, "blocked": 0, "scheduled": 0,
        }  # fmt: skip

    play(scene)


def test_other_hosts_tasks_are_not_ahead_in_the_queue() -> None:
    async def scene(api: Api) -> None:
        for _ in range(3):
            await api.submit(agent_type="chat")
        await api.submit()
        mine = await api.submit()
        assert mine["position_in_queue"] <= 2

    play(scene)


def test_a_position_beyond_the_exact_range_is_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(place, "EXACT", 3)

    async def scene(api: Api) -> None:
        first = await api.submit()
        await api.running(first["task_id"])
        places = [await api.submit() for _ in range(5)]
        assert [p["position_in_queue"] for p in places] == [1, 2, 3, 3, 3]
        assert [p["position_is_bound"] for p in places] == [False, False, False, True, True]

    play(scene)


def test_the_wait_is_estimated_from_what_was_measured() -> None:
    async def scene(api: Api) -> None:
        done = await api.submit()
        await api.ended(done["task_id"])
        await api.submit()
        await api.submit()
        fourth = await api.submit()
        assert 1000 <= fourth["estimated_wait_ms"] <= 3000  # 1 s a task on one slot
        status = await api.get(f"/v1/async/status/{fourth['task_id']}")
        assert status["estimated_wait_ms"] == fourth["estimated_wait_ms"]

    play(scene)


def test_nothing_is_estimated_while_the_queue_does_not_move() -> None:
    async def scene(api: Api) -> None:
        done = await api.submit()
        await api.ended(done["task_id"])
        await api.post("/v1/queue/pause")
        paused = await api.submit()
        assert (paused["position_in_queue"], paused["estimated_wait_ms"]) == (1, None)
        await api.post("/v1/queue/resume")
        await api.ended(paused["task_id"])
        api.surtr.down()
        await api.get("/v1/status", probe="true")
        assert (await api.submit())["estimated_wait_ms"] is None

    play(scene)


def test_status_follows_a_task_from_waiting_to_its_end() -> None:
    async def scene(api: Api) -> None:
        blocker, task = await api.submit(), await api.submit(max_tokens=4)
        await api.running(blocker["task_id"])
        url = f"/v1/async/status/{task['task_id']}"
        waiting = await api.get(url)
        assert set(waiting) > STATUS
        assert (waiting["status"], waiting["position_in_queue"]) == ("queued", 1)
        nothing = ("started_at", "completed_at", "progress_percent", "model_selected", "backend")
        assert [waiting[k] for k in nothing] == [None] * 5
        assert waiting["created_at"] == iso(START_MS)

        await api.running(task["task_id"])
        running = await api.get(url)
        assert (running["status"], running["progress_percent"]) == ("processing", 0)
        assert (running["model_selected"], running["backend"]) == ("m", "ollama")
        assert (running["position_in_queue"], running["estimated_wait_ms"]) == (0, None)

        await until(lambda: api.house.dispatcher.snapshot().running[0].tokens == 1)
        assert (await api.get(url))["progress_percent"] == 25  # one piece of at most four

        await api.ended(task["task_id"])
        ended = await api.get(url)
        assert (ended["status"], ended["progress_percent"]) == ("completed", 100)
        assert ended["completed_at"] > ended["started_at"] > ended["created_at"]

    play(scene)


def test_progress_is_unknown_without_a_token_limit() -> None:
    async def scene(api: Api) -> None:
        task = await api.submit()
        await api.running(task["task_id"])
        status = await api.get(f"/v1/async/status/{task['task_id']}")
        assert (status["status"], status["progress_percent"]) == ("processing", None)

    play(scene)


def test_without_a_limit_progress_is_against_the_usual_length() -> None:
    async def scene(api: Api) -> None:
        for _ in range(5):
            await api.ended((await api.submit())["task_id"])
        task = await api.submit()
        await api.running(task["task_id"])
        await until(lambda: api.house.dispatcher.snapshot(max_age_s=0).running[0].tokens == 1)
        status = await api.get(f"/v1/async/status/{task['task_id']}")
        assert status["progress_percent"] == 50  # of the two pieces that all of them got

    play(scene)


def test_the_server_of_a_failed_task_is_told() -> None:
    async def scene(api: Api) -> None:
        api.surtr.breaks = [OutcomeKind.BAD_REQUEST]
        task = await api.submit()
        await api.ended(task["task_id"])
        status = await api.get(f"/v1/async/status/{task['task_id']}")
        assert (status["state"], status["host"], status["backend"]) == ("failed", "surtr", "ollama")

    play(scene)


def test_a_result_before_the_end_is_a_conflict_that_shows_the_status() -> None:
    async def scene(api: Api) -> None:
        await api.post("/v1/queue/pause")
        task = await api.submit()
        url = f"/v1/async/result/{task['task_id']}"
        body = await api.get(url, status=409)
        assert (body["task_id"], body["status"]) == (task["task_id"], "queued")
        assert body["position_in_queue"] == 1

    play(scene)


def test_a_result_has_the_answer_and_where_the_time_went() -> None:
    async def scene(api: Api) -> None:
        blocker, task = await api.submit(), await api.submit()
        await api.ended(task["task_id"])
        body = await api.get(f"/v1/async/result/{task['task_id']}")
        assert set(body) > RESULT
        content = f"{task['task_id']}:0 {task['task_id']}:1 "
        assert body["result"] == {"content": content, "stop_reason": "stop"}
        assert (body["model_used"], body["backend"]) == ("m", "ollama")
        assert body["tokens_generated"] == 2
        assert 1000 <= body["queue_wait_time_ms"] < body["total_time_ms"] <= 2100
        assert blocker["task_id"] != task["task_id"]

    play(scene)


def test_a_failed_task_has_a_result_body_with_its_error() -> None:
    async def scene(api: Api) -> None:
        api.surtr.fault = OutcomeKind.BAD_REQUEST
        task = await api.submit()
        await api.ended(task["task_id"])
        body = await api.get(f"/v1/async/result/{task['task_id']}")
        assert (body["status"], body["result"]) == ("failed", None)
        assert body["reason"] == "bad_request"
        assert "surtr" in body["error"]

    play(scene)


@pytest.mark.parametrize("state", list(State))
def test_the_status_is_always_one_of_the_six_words_of_the_mission(state: State) -> None:
    words = {"queued", "batching", "processing", "completed", "failed", "cancelled"}
    assert bodies.STATUS[state] in words
    final = {"completed", "failed", "cancelled"}
    ends = state not in (State.SCHEDULED, State.QUEUED, State.PROCESSING)
    assert (bodies.STATUS[state] in final) is ends  # polling loops end


def test_a_scheduled_task_is_queued_for_clients_and_an_expired_one_failed() -> None:
    async def scene(api: Api) -> None:
        later = await api.submit(not_before="10m")
        assert (later["status"], later["state"]) == ("queued", "scheduled")
        blocker = await api.submit()
        await api.running(blocker["task_id"])
        late = await api.submit(deadline="500ms")
        await api.ended(late["task_id"])
        body = await api.get(f"/v1/async/status/{late['task_id']}")
        assert (body["status"], body["state"], body["reason"]) == ("failed", "expired", "deadline")

    play(scene)


def test_delete_cancels_a_waiting_task() -> None:
    async def scene(api: Api) -> None:
        blocker, task = await api.submit(), await api.submit()
        response = await api.http.delete(f"/v1/async/cancel/{task['task_id']}")
        assert response.status_code == 200
        body = response.json()
        assert (body["task_id"], body["status"]) == (task["task_id"], "cancelled")
        assert body["message"] == "Task cancelled successfully"
        assert await api.state(blocker["task_id"]) != "cancelled"

    play(scene)


def test_delete_stops_a_running_task_and_its_stream() -> None:
    async def scene(api: Api) -> None:
        api.surtr.latency_s = 1e6
        task = await api.submit()
        await api.running(task["task_id"])
        response = await api.http.delete(f"/v1/async/cancel/{task['task_id']}")
        assert response.json()["status"] == "cancelled"
        assert api.surtr.stopped == [f"{task['task_id']}.1"]

    play(scene)


def test_delete_that_spares_running_tasks_is_refused_for_one() -> None:
    async def scene(api: Api) -> None:
        task = await api.submit()
        await api.running(task["task_id"])
        url = f"/v1/async/cancel/{task['task_id']}?running=false"
        response = await api.http.delete(url)
        assert response.status_code == 409
        assert response.json()["error"]["code"] == "conflict"
        assert (await api.ended(task["task_id"]))["state"] == "completed"

    play(scene)


def test_an_ended_task_cannot_be_cancelled() -> None:
    async def scene(api: Api) -> None:
        task = await api.submit()
        await api.ended(task["task_id"])
        response = await api.http.delete(f"/v1/async/cancel/{task['task_id']}")
        assert response.status_code == 409

    play(scene)


def test_statistics_are_null_until_something_was_measured() -> None:
    async def scene(api: Api) -> None:
        body = await api.get("/v1/async/stats")
        assert body["performance"] == {
            "avg_processing_time_ms": None,
            "throughput_tasks_per_minute": None,
            "avg_wait_time_ms": None,
        }
        assert body["cache"] == {"cached_responses": 0, "cache_ttl_seconds": 0}, "it is off"
        assert (body["queue_depth"], body["running"], body["hosts_total"]) == (0, 0, 2)

    play(scene)


def test_statistics_count_the_queue_by_state_and_priority() -> None:
    async def scene(api: Api) -> None:
        first = await api.submit()
        await api.running(first["task_id"])
        for priority in ("HIGH", "HIGH", "BACKLOG"):
            await api.submit(priority=priority)
        body = await api.get("/v1/async/stats")
        waiting = {"CRITICAL": 0, "HIGH": 2, "NORMAL": 0, "LOW": 0, "BACKLOG": 1}
        assert body["queue"] == {
            "total_tasks": 4, "queued": 3, "processing": 1, "completed": 0, "failed": 0,
            "cancelled": 0, "expired": 0, "blocked": 0, "scheduled": 0,
            "by_priority": waiting,
        }  # fmt: skip
        assert (body["queue_depth"], body["running"]) == (3, 1)

    play(scene)


def test_the_counts_of_all_states_add_up_and_priorities_are_those_of_the_queued() -> None:
    async def scene(api: Api) -> None:
        first = await api.submit()
        await api.running(first["task_id"])
        gone, _ = await api.submit(), await api.submit(priority="HIGH")
        await api.http.delete(f"/v1/async/cancel/{gone['task_id']}")
        assert (await api.submit(not_before="1h"))["state"] == "scheduled"
        queue = dict((await api.get("/v1/async/stats"))["queue"])
        waiting = queue.pop("by_priority")
        assert queue.pop("total_tasks") == sum(queue.values()) == 4
        assert {state: n for state, n in queue.items() if n} == {
            "queued": 1, "processing": 1, "cancelled": 1, "scheduled": 1,
        }  # fmt: skip
        assert sum(waiting.values()) == waiting["HIGH"] == 1

    play(scene)


def test_statistics_measure_what_has_ended() -> None:
    async def scene(api: Api) -> None:
        tasks = [await api.submit() for _ in range(4)]
        await api.ended(tasks[-1]["task_id"])
        measured = (await api.get("/v1/async/stats"))["performance"]
        assert measured["avg_processing_time_ms"] == pytest.approx(1000, abs=50)
        assert measured["avg_wait_time_ms"] == pytest.approx(1500, abs=60)
        assert measured["throughput_tasks_per_minute"] == pytest.approx(60, rel=0.5)

    play(scene)


def test_the_same_idempotency_key_gives_the_same_task() -> None:
    async def scene(api: Api) -> None:
        doc = {"agent_type": "general", "messages": HELLO}
        key = {"Idempotency-Key": "k1"}
        once = await api.post("/v1/async/submit", doc, 202, headers=key)
        again = await api.post("/v1/async/submit", doc, 202, headers=key)
        inside = await api.submit(idempotency_key="k1")
        assert once["task_id"] == again["task_id"] == inside["task_id"]
        other = await api.submit(409, idempotency_key="k1", max_tokens=5)
        assert other["error"]["code"] == "conflict"

    play(scene)


def test_a_full_queue_answers_when_to_come_back() -> None:
    async def scene(api: Api) -> None:
        api.surtr.latency_s = 1e6
        first = await api.submit()
        await api.running(first["task_id"])
        await api.post("/v1/tasks", {"tasks": [{"prompt": "x"}] * 5})  # they take none of its room
        await api.submit()
        await api.submit()
        doc = {"agent_type": "general", "messages": HELLO}
        response = await api.http.post("/v1/async/submit", json=doc)
        assert response.status_code == 503
        assert response.json()["error"]["code"] == "queue_full"
        assert int(response.headers["Retry-After"]) > 0
        assert "policies.capacity" in response.json()["error"]["hint"]
        bulk = await api.post("/v1/tasks", {"tasks": [{"prompt": "x"}] * 5})
        assert [t["state"] for t in bulk["tasks"]] == ["queued"] * 5  # people are not capped

    play(scene, capacity=2)


def test_many_documents_are_taken_whole_up_to_the_room_of_batches() -> None:
    async def main() -> None:
        async with api(capacity=2, batch_capacity=8) as found:
            await found.post("/v1/queue/pause")
            await found.submit()
            docs = [{"prompt": "x", "idempotency_key": str(n)} for n in range(8)]
            told = await found.post("/v1/tasks", {"tasks": docs}, 503)
            assert told["error"]["code"] == "queue_full"
            assert (
                told["error"]["message"] == "1 tasks wait: with these 8 they would be more than 8"
            )
            assert "policies.batch_capacity" in told["error"]["hint"]
            assert (await found.get("/v1/async/stats"))["queue_depth"] == 1
            await found.post("/v1/tasks", {"tasks": docs[:7]})
            again = await found.post("/v1/tasks", {"tasks": docs[:7]})
            assert all(t["existing"] for t in again["tasks"]), "what is stored needs no room"
            await found.submit()  # single submits have their own
            await found.post("/v1/tasks", {"tasks": [{"prompt": "x"}]}, 503)

    run_virtual(main())


def test_an_unknown_agent_type_runs_on_the_general_route_under_its_own_name() -> None:
    async def scene(api: Api) -> None:
        task = await api.submit(agent_type="MedicalAnalyzer")
        ended = await api.ended(task["task_id"])
        assert (ended["type"], ended["host"]) == ("MedicalAnalyzer", "surtr")

    play(scene)


def test_submits_get_the_short_timeout_unless_they_say_otherwise() -> None:
    async def scene(api: Api) -> None:
        plain, own = await api.submit(), await api.submit(timeout_seconds=7)
        assert (await api.get(f"/v1/tasks/{plain['task_id']}"))["timeout_s"] == 60
        assert (await api.get(f"/v1/tasks/{own['task_id']}"))["timeout_s"] == 7

    play(scene)


def test_what_is_not_known_is_null_never_zero() -> None:
    lane, words = Lane("general"), {"prompt": ""}
    task = Task("t", 1, 1, lane, Priority.NORMAL, State.COMPLETED, Operation.GENERATE, words)
    body = bodies.result_body(task, Result("text", "stop", "m", "ollama", Usage()))
    unknown = ("inference_time_ms", "tokens_generated", "queue_wait_time_ms", "total_time_ms")
    assert [body[k] for k in unknown] == [None] * 4
