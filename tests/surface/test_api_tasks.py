"""ygg's own endpoints: bulk submit, listing, one task, the queue and the hosts."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from typing import Any

import pytest

from tests.surface import world
from tests.surface.world import Api, play
from ygg.api import queries
from ygg.api import tasks as tasks_module
from ygg.errors import StoreFull
from ygg.model import OutcomeKind

TASK_KEYS = {
    "id", "state", "status", "type", "priority", "priority_name", "operation", "title", "labels", "caller",
    "attempt", "errors", "deferrals", "crashes", "host", "endpoint", "model", "pinned_host",
    "pinned_model", "gpu", "content_type", "reason", "error", "created_at", "queued_at", "started_at", "finished_at", "due_at",
    "deadline_at", "timeout_s", "batch", "cancel_requested", "cached",
}  # fmt: skip


async def _put(api: Api, *docs: dict[str, Any], **more: Any) -> list[dict[str, Any]]:
    full = [{"prompt": "hello", **doc} for doc in docs]
    found: list[dict[str, Any]] = (await api.post("/v1/tasks", {"tasks": full, **more}))["tasks"]
    return found


def test_a_bulk_submit_answers_for_each_document_in_its_place() -> None:
    async def scene(api: Api) -> None:
        good, bad, labelled = await _put(
            api, {"priority": "critical"}, {"promt": "x"}, {"labels": ["talk"], "title": "t"}
        )
        assert set(good) == TASK_KEYS | {"existing", "coalesced"}
        assert (good["priority"], good["type"], good["existing"]) == (0, "general", False)
        assert bad == {
            "error": {
                "code": "invalid_input",
                "message": "promt: unknown key, did you mean prompt?",
                "hint": "",
            }
        }
        assert (labelled["type"], labelled["labels"]) == ("chat", ["talk"])  # found by its label

    play(scene)


def test_a_brief_answer_tells_the_id_the_state_and_what_is_special() -> None:
    async def scene(api: Api) -> None:
        docs = [{"prompt": "x"}, {"prompt": "x", "type": "genral"}, {"prompt": ""}]
        body = await api.post("/v1/tasks", {"tasks": docs, "brief": True})
        good, doubted, bad = body["tasks"]
        plain = {"cached": False, "existing": False, "coalesced": False}
        assert good == {"id": good["id"], "state": "queued", **plain}
        assert doubted.keys() == {*good, "warning"}
        assert bad["error"]["code"] == "invalid_input"
        assert (await api.get(f"/v1/tasks/{good['id']}"))["state"] == "queued"

    play(scene)


def test_an_atomic_submit_with_one_bad_document_stores_nothing() -> None:
    async def scene(api: Api) -> None:
        good, bad = await _put(api, {}, {"priority": 9}, atomic=True)
        assert good["error"]["code"] == "left_out"
        assert bad["error"]["message"].startswith("priority:")
        assert (await api.get("/v1/tasks"))["tasks"] == []

    play(scene)


def test_a_key_in_use_refuses_its_document_alone() -> None:
    async def scene(api: Api) -> None:
        first = {"idempotency_key": "k", "title": "one"}
        await _put(api, first)
        same, other, free = await _put(api, first, {**first, "title": "two"}, {})
        assert same["existing"] is True
        assert other["error"]["code"] == "conflict"
        assert free["existing"] is False

    play(scene)


def test_checking_many_documents_gives_the_dispatcher_its_turns() -> None:
    async def main() -> None:
        longest = 0.0

        async def others() -> None:
            nonlocal longest
            while True:
                began = time.thread_time()  # what else runs on this machine counts for nothing
                await asyncio.sleep(0)
                longest = max(longest, time.thread_time() - began)

        async with world.api() as api:
            beside = asyncio.create_task(others())
            docs = [{"prompt": 3, "zzz": 1}] * 5000  # all of them wrong: half a second of work
            body = json.dumps({"tasks": docs}).encode()
            answer = await api.http.post("/v1/tasks", content=body)
            beside.cancel()
        assert len(answer.json()["tasks"]) == 5000
        assert longest < 0.25

    asyncio.run(main())


def test_listing_filters_and_orders() -> None:
    async def scene(api: Api) -> None:
        api.surtr.latency_s = 1e6
        docs: list[dict[str, Any]] = [
            {"title": "a", "priority": 3}, {"title": "b", "priority": 1, "labels": ["x"]},
            {"title": "c", "type": "chat"}, {"title": "d", "priority": 3, "not_before": "1h"},
        ]  # fmt: skip
        blocker, *_ = await _put(api, {"title": "blocker"})
        await api.running(blocker["id"])
        await _put(api, *docs)

        async def titles(**query: Any) -> list[str]:
            return [t["title"] for t in (await api.get("/v1/tasks", **query))["tasks"]]

        assert await titles() == ["d", "c", "b", "a", "blocker"]
        assert await titles(state="queued", type="general", order="queue") == ["b", "a"]
        assert await titles(state=["scheduled", "queued"], priority="LOW") == ["d", "a"]
        assert await titles(label="x") == ["b"]
        assert await titles(limit=2) == ["d", "c"]
        assert await titles(host="surtr") == ["blocker"]

    play(scene)


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ({"state": "done"}, "state: no state 'done'"),
        ({"limit": "many"}, "limit: expected 1 to 10000, got many"),
        ({"limit": "0"}, "limit: expected 1 to 10000, got 0"),
        ({"limit": "9" * 5000}, "limit: expected 1 to 10000"),
        ({"order": "up"}, "order: expected newest or queue, got 'up'"),
        ({"priority": "urgent"}, "priority: expected 0 to 4 or CRITICAL, HIGH"),
        ({"lable": "x"}, "lable: unknown key, did you mean label?"),
        ({"host": "a\0b"}, "host: holds a NUL byte"),
    ],
)
def test_a_wrong_filter_says_which_key_is_wrong(query: dict[str, str], message: str) -> None:
    async def scene(api: Api) -> None:
        error = (await api.get("/v1/tasks", 422, **query))["error"]
        assert error["message"].startswith(message)

    play(scene)


def test_show_has_the_request_the_log_and_the_reasons() -> None:
    async def scene(api: Api) -> None:
        (task,) = await _put(api, {"max_tokens": 9, "system": "Be brief."})
        await api.ended(task["id"])
        body = await api.get(f"/v1/tasks/{task['id']}")
        assert body["schema"] == "ygg.task/1"
        assert set(body) == TASK_KEYS | {"schema", "request", "log", "reasons"}
        assert body["request"]["messages"] == [{"role": "user", "content": "hello"}]
        assert (body["request"]["max_tokens"], body["request"]["system"]) == (9, "Be brief.")
        steps = [(row["from"], row["to"]) for row in body["log"]]
        assert steps == [
            (None, "queued"), ("queued", "processing"), ("processing", "completed"),
        ]  # fmt: skip

    play(scene)


def test_a_task_is_found_by_the_end_of_its_id() -> None:
    async def scene(api: Api) -> None:
        (task,) = await _put(api, {})
        assert (await api.get(f"/v1/tasks/{task['id'][-6:]}"))["id"] == task["id"]

    play(scene)


def test_waiting_ends_with_the_task_or_with_the_time() -> None:
    async def scene(api: Api) -> None:
        (task,) = await _put(api, {})
        assert (await api.get(f"/v1/tasks/{task['id']}/wait", timeout=0.1))["state"] != "completed"
        assert (await api.get(f"/v1/tasks/{task['id']}/wait", timeout=9))["state"] == "completed"

    play(scene)


@pytest.mark.parametrize("timeout", ["nan", "inf", "-1", "soon"])
def test_a_time_to_wait_that_is_no_time_is_refused(timeout: str) -> None:
    async def scene(api: Api) -> None:
        (task,) = await _put(api, {})
        error = (await api.get(f"/v1/tasks/{task['id']}/wait", 422, timeout=timeout))["error"]
        assert error["message"].startswith("timeout: expected seconds")

    play(scene)


def test_one_long_poll_is_bounded() -> None:
    async def scene(api: Api) -> None:
        api.surtr.latency_s = 1e6
        (task,) = await _put(api, {})
        loop = asyncio.get_running_loop()
        began = loop.time()
        await api.get(f"/v1/tasks/{task['id']}/wait", timeout=1e9)
        assert loop.time() - began <= queries.WAIT_MAX_S + 1

    play(scene)


def _events(text: str) -> list[dict[str, Any]]:
    return [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: ")]


def test_following_streams_the_attempt_its_pieces_and_the_end() -> None:
    async def scene(api: Api) -> None:
        (task,) = await _put(api, {})
        response = await api.http.get(f"/v1/tasks/{task['id']}/follow")
        assert response.headers["content-type"].startswith("text/event-stream")
        start, *pieces, end = _events(response.text)
        assert start == {"event": "attempt", "attempt": 1, "host": "surtr", "model": "m"}
        assert [p["content"] for p in pieces] == [f"{task['id']}:0 ", f"{task['id']}:1 "]
        assert (end["event"], end["state"], end["id"]) == ("end", "completed", task["id"])

    play(scene)


def test_an_error_while_following_is_the_last_event(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene(api: Api) -> None:
        (task,) = await _put(api, {})
        archive, get, asked = api.house.store, api.house.store.get, []

        async def full(task_id: str) -> Any:
            asked.append(task_id)
            if len(asked) > 1:
                raise StoreFull("no space left", hint="free some")
            return await get(task_id)

        monkeypatch.setattr(archive, "get", full)
        (event,) = _events((await api.http.get(f"/v1/tasks/{task['id']}/follow")).text)
        assert (event["event"], event["error"]["code"]) == ("error", "store_full")
        monkeypatch.undo()

    play(scene)


def test_who_asks_for_a_path_that_is_none_is_told_those_that_are() -> None:
    async def scene(api: Api) -> None:
        hint = (await api.get("/v1/taks", 404))["error"]["hint"]
        assert hint.startswith("there is: POST /v1/async/submit, ")
        assert "GET /v1/tasks/{task_id}/why" in hint

    play(scene)


def test_following_a_task_that_is_not_there_is_a_plain_404() -> None:
    async def scene(api: Api) -> None:
        error = (await api.get("/v1/tasks/nothing-here/follow", 404))["error"]
        assert error["code"] == "not_found"

    play(scene)


def test_why_tells_place_and_reasons() -> None:
    async def scene(api: Api) -> None:
        blocker, task = await _put(api, {}, {})
        await api.running(blocker["id"])
        body = await api.get(f"/v1/tasks/{task['id']}/why")
        assert set(body) == {
            "schema", "id", "state", "position", "position_is_bound", "estimated_wait_ms", "reasons",
        }  # fmt: skip
        assert (body["schema"], body["position"], body["state"]) == ("ygg.why/1", 1, "queued")
        assert body["reasons"][0]["code"] == "host_full"
        running = await api.get(f"/v1/tasks/{blocker['id']}/why")
        assert (running["position"], running["reasons"][0]["code"]) == (None, "chosen")

    play(scene)


def test_cancel_and_retry() -> None:
    async def scene(api: Api) -> None:
        blocker, task = await _put(api, {}, {})
        await api.running(blocker["id"])
        cancelled = await api.post(f"/v1/tasks/{task['id']}/cancel")
        assert cancelled["state"] == "cancelled"
        body = await api.post("/v1/tasks/retry", {"ids": [task["id"], blocker["id"], "nothing"]})
        assert body["retried"] == [task["id"]]
        refused = {e["id"]: e["error"]["code"] for e in body["errors"]}
        assert refused == {blocker["id"]: "conflict", "nothing": "not_found"}
        assert (await api.ended(task["id"]))["state"] == "completed"

    play(scene)


def test_retry_by_state_takes_every_such_task_oldest_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks_module, "PAGE", 2)

    async def scene(api: Api) -> None:
        api.surtr.fault = OutcomeKind.BAD_REQUEST
        tasks = await _put(api, *({"title": str(n)} for n in range(5)))
        for task in tasks:
            assert (await api.ended(task["id"]))["state"] == "failed"
        api.surtr.up()
        body = await api.post("/v1/tasks/retry", {"states": ["failed"]})
        assert body == {"retried": [t["id"] for t in tasks], "errors": []}
        assert (await api.ended(tasks[-1]["id"]))["state"] == "completed"

    play(scene)


@pytest.mark.parametrize("doc", [{}, {"ids": ["a"], "states": ["failed"]}, {"states": ["queued"]}])
def test_retry_needs_to_know_which(doc: dict[str, Any]) -> None:
    async def scene(api: Api) -> None:
        assert (await api.post("/v1/tasks/retry", doc, 422))["error"]["code"] == "invalid_input"

    play(scene)


def test_a_new_priority_moves_a_waiting_task_forward() -> None:
    async def scene(api: Api) -> None:
        blocker, first, last = await _put(api, {}, {}, {})
        await api.running(blocker["id"])
        body = await api.post(f"/v1/tasks/{last['id']}/priority", {"priority": "CRITICAL"})
        assert (body["priority"], body["priority_name"]) == (0, "CRITICAL")
        await api.ended(first["id"])
        assert [t for _, t in api.surtr.arrivals] == [blocker["id"], last["id"], first["id"]]

    play(scene)


def test_status_shows_daemon_hosts_and_queue() -> None:
    async def scene(api: Api) -> None:
        (task,) = await _put(api, {})
        await api.running(task["id"])
        body = await api.get("/v1/status", probe="true")
        assert body["schema"] == "ygg.status/1"
        assert body["daemon"]["epoch"] == 1
        assert {"version", "pid", "uptime_s", "paused", "draining", "store_error"} <= set(
            body["daemon"]
        )
        surtr = next(h for h in body["hosts"] if h["name"] == "surtr")
        assert (surtr["reachable"], surtr["in_flight"], surtr["tasks"]) == (True, 1, [task["id"]])
        assert (surtr["slots"], surtr["limit"], surtr["available_slots"]) == (1, 1, 0)
        assert body["queue"]["processing"] == 1

    play(scene)


def test_a_probe_finds_that_a_host_is_down_and_a_glance_does_not_ask() -> None:
    async def scene(api: Api) -> None:
        await api.get("/v1/status", probe="true")
        api.surtr.down()
        seen = [(await api.get("/v1/status", probe=p))["hosts"] for p in ("false", "true")]
        reachable = [next(h["reachable"] for h in hosts if h["name"] == "surtr") for hosts in seen]
        assert reachable == [True, False]

    play(scene)


def test_a_paused_queue_starts_nothing_until_it_is_resumed() -> None:
    async def scene(api: Api) -> None:
        assert await api.post("/v1/queue/pause") == {"paused": True}
        (task,) = await _put(api, {})
        assert (await api.get(f"/v1/tasks/{task['id']}/wait", timeout=5))["state"] == "queued"
        assert (await api.get(f"/v1/tasks/{task['id']}/why"))["reasons"][0]["code"] == "paused"
        assert await api.post("/v1/queue/resume") == {"paused": False}
        assert (await api.ended(task["id"]))["state"] == "completed"

    play(scene)


def test_a_drained_host_gets_nothing_until_it_is_resumed() -> None:
    async def scene(api: Api) -> None:
        assert await api.post("/v1/hosts/surtr/drain") == {"host": "surtr", "drained": True}
        (task,) = await _put(api, {})
        assert (await api.get(f"/v1/tasks/{task['id']}/wait", timeout=5))["state"] == "queued"
        await api.post("/v1/hosts/surtr/resume")
        assert (await api.ended(task["id"]))["state"] == "completed"
        assert (await api.post("/v1/hosts/nobody/drain", status=404))["error"][
            "code"
        ] == "not_found"

    play(scene)


@pytest.mark.parametrize(
    ("method", "url", "status", "code"),
    [
        ("GET", "/", 404, "not_found"),
        ("GET", "/v1/tasks/", 404, "not_found"),
        ("GET", "/docs", 404, "not_found"),
        ("GET", "/openapi.yaml", 404, "not_found"),
        ("PUT", "/v1/tasks", 405, "method_not_allowed"),
        ("POST", "/v1/queue/stop", 404, "not_found"),
        ("GET", "/v1/async/status/nothing-here", 404, "not_found"),
        ("GET", "/v1/async/result/nothing-here", 404, "not_found"),
        ("DELETE", "/v1/async/cancel/nothing-here", 404, "not_found"),
        ("GET", "/v1/tasks/%00", 404, "not_found"),
        ("GET", "/v1/tasks/%ff%fe", 404, "not_found"),
        ("POST", "/v1/async/submit", 422, "invalid_input"),
        ("POST", "/v1/tasks", 422, "invalid_input"),
        ("GET", "/v1/status?probe=maybe", 422, "invalid_input"),
    ],
)
def test_every_error_has_the_same_body(method: str, url: str, status: int, code: str) -> None:
    async def scene(api: Api) -> None:
        response = await api.http.request(method, url)
        assert response.status_code == status
        error = response.json()["error"]
        assert set(error) == {"code", "message", "hint"}
        assert error["code"] == code
        assert error["message"]

    play(scene)


def test_a_wrong_method_says_which_ones_are_right() -> None:
    async def scene(api: Api) -> None:
        response = await api.http.put("/v1/async/stats")
        assert set(response.headers["Allow"].split(", ")) == {"GET", "HEAD"}

    play(scene)


def test_a_bug_is_logged_and_answered_without_its_text(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def scene(api: Api) -> None:
        async def broken() -> None:
            raise ZeroDivisionError("a secret of the inside")

        monkeypatch.setattr(api.house.store, "counts", broken)
        response = await api.http.get("/v1/async/stats")
        assert response.status_code == 500
        assert response.json()["error"]["code"] == "internal"
        assert "secret" not in response.text
        assert "Traceback" not in response.text
        monkeypatch.undo()

    with caplog.at_level(logging.ERROR, "ygg.api"):
        play(scene)
    assert "a secret of the inside" in caplog.text


def test_a_full_disk_is_told_with_its_own_status(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene(api: Api) -> None:
        async def full(*_: Any, **__: Any) -> None:
            raise StoreFull("no space left on the disk", hint="free some")

        monkeypatch.setattr(api.house.store, "submit", full)
        error = (await api.submit(507))["error"]
        assert (error["code"], error["hint"]) == ("store_full", "free some")
        monkeypatch.undo()

    play(scene)


def test_a_draining_daemon_refuses_submits_and_says_when_to_return() -> None:
    async def scene(api: Api) -> None:
        hurry = asyncio.Event()
        hurry.set()
        await api.house.dispatcher.drain(0, hurry)
        doc = {"agent_type": "general", "messages": [{"role": "user", "content": "x"}]}
        response = await api.http.post("/v1/async/submit", json=doc)
        assert (response.status_code, response.json()["error"]["code"]) == (503, "draining")
        assert response.headers["Retry-After"] == "60"

    play(scene)


def test_a_follower_that_leaves_is_forgotten() -> None:
    async def scene(api: Api) -> None:
        api.surtr.latency_s = 1e6
        (task,) = await _put(api, {})
        await api.running(task["id"])
        events = await api.handlers.tasks.follow(task["id"])
        assert (await anext(events))["event"] == "attempt"
        assert api.house.dispatcher.loop.streams.followed(task["id"])
        await events.aclose()
        assert not api.house.dispatcher.loop.streams.followed(task["id"])

    play(scene)
