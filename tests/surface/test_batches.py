"""Batches over the API and by commands: all or none, one after another, how far they are, and who may see them."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pytest

from tests.shell.virtual import run_virtual
from tests.surface.cli import Cli
from tests.surface.test_tokens import bearer, scene
from tests.surface.world import Api, api, play
from ygg.model import OutcomeKind, Policy

MISSION = "/v1/async/submit-batch"


def request(text: str = "Question?", **more: Any) -> dict[str, Any]:
    return {"agent_type": "general", "messages": [{"role": "user", "content": text}], **more}


async def submitted(found: Api, count: int = 3, status: int = 202, **more: Any) -> dict[str, Any]:
    doc = {"requests": [request(f"Question {n}?") for n in range(count)], **more}
    return await found.post(MISSION, doc, status)


async def status(found: Api, batch_id: str, **query: Any) -> dict[str, Any]:
    return await found.get(f"/v1/async/batch-status/{batch_id}", **query)


# --- submit ---------------------------------------------------------------------------------------


def test_the_answer_is_the_missions_and_the_tasks_are_there() -> None:
    async def scene(found: Api) -> None:
        body = await submitted(found, 3, timeout_seconds=60, process_in_parallel=True)
        assert set(body) == {"batch_id", "total_tasks", "task_ids", "message"}
        assert (body["total_tasks"], body["message"]) == (3, "Batch submitted successfully")
        assert body["batch_id"].startswith("batch-")
        tasks = (await found.get("/v1/tasks", batch=body["batch_id"]))["tasks"]
        assert [t["id"] for t in tasks][::-1] == body["task_ids"]
        assert {t["timeout_s"] for t in tasks} == {60.0}

    play(scene)


def test_a_time_out_of_its_own_wins_over_that_of_the_batch() -> None:
    async def scene(found: Api) -> None:
        requests = [request(timeout_seconds=5), request()]
        await found.post(MISSION, {"requests": requests, "timeout_seconds": 9}, 202)
        assert [t["timeout_s"] for t in (await found.get("/v1/tasks"))["tasks"]] == [9.0, 5.0]

    play(scene)


@pytest.mark.parametrize(
    ("doc", "word"),
    [
        ({"requests": []}, "requests"),
        ({"requests": "x"}, "requests"),
        ({}, "requests"),
        ({"requests": [{}] * 10_001}, "requests"),
        ({"requests": [request(), request(priority="best")]}, "requests[1]: priority"),
        ({"requests": [request(), 3]}, "requests[1]"),
        ({"requests": [request(idempotency_key="k")]}, "requests[0]: idempotency_key"),
        (
            {"requests": [request(not_before="1h")], "process_in_parallel": False},
            "requests[0]: not_before",
        ),
        ({"requests": [request()], "on_failure": "stop"}, "on_failure"),
        (
            {"requests": [request()], "process_in_parallel": False, "on_failure": "panic"},
            "on_failure",
        ),
        ({"requests": [request()], "timeout_seconds": 0}, "timeout_seconds"),
        ({"requests": [request()], "more": 1}, "more"),
    ],
)
def test_what_is_wrong_names_its_place_and_nothing_is_stored(
    doc: dict[str, Any], word: str
) -> None:
    async def scene(found: Api) -> None:
        told = (await found.post(MISSION, doc, 422))["error"]["message"]
        assert told.startswith(word), told
        assert (await found.get("/v1/tasks"))["tasks"] == []
        assert (await found.get("/v1/batches"))["batches"] == []

    play(scene)


def test_the_same_key_is_the_same_batch_and_another_body_a_conflict() -> None:
    async def scene(found: Api) -> None:
        headers = {"Idempotency-Key": "k"}
        doc = {"requests": [request(), request("b")]}
        first = await found.post(MISSION, doc, 202, headers=headers)
        assert await found.post(MISSION, doc, 202, headers=headers) == first
        again = await found.post(MISSION, doc | {"idempotency_key": "k"}, 409)
        assert again["error"]["code"] == "conflict"
        assert len((await found.get("/v1/tasks"))["tasks"]) == 2

    play(scene)


def test_a_batch_takes_no_room_from_single_tasks_and_has_a_room_of_its_own() -> None:
    async def main() -> None:
        async with api(capacity=2, batch_capacity=8) as found:
            found.surtr.latency_s = 1e6
            await found.post("/v1/queue/pause")
            body = await submitted(found, 5)
            await found.submit()
            await found.submit()
            assert (await found.submit(status=503))["error"]["code"] == "queue_full"
            told = await submitted(found, 2, 503)
            assert told["error"]["code"] == "queue_full"
            assert "batch_capacity" in told["error"]["hint"]
            await submitted(found, 1)
            assert (await status(found, body["batch_id"]))["queued_tasks"] == 5

    run_virtual(main())


# --- how far --------------------------------------------------------------------------------------


def test_the_status_is_the_missions_and_adds_up() -> None:
    async def scene(found: Api) -> None:
        found.surtr.latency_s = 10
        body = await submitted(found, 3)
        await found.ended(body["task_ids"][1])
        told = await status(found, body["batch_id"])
        words = ("completed", "failed", "cancelled", "processing", "queued")
        assert [told[f"{w}_tasks"] for w in words] == [2, 0, 0, 1, 0]
        assert told["total_tasks"] == sum(told[f"{w}_tasks"] for w in words) == 3
        assert told["progress_percent"] == 67
        assert 0 < told["estimated_completion_ms"] <= 20_000
        assert [*told["task_statuses"].values()] == ["completed", "completed", "processing"]
        assert [*told["task_statuses"]] == body["task_ids"]
        done = await status(found, body["batch_id"], wait=60)
        assert (done["progress_percent"], done["over"]) == (100, True)
        assert done["estimated_completion_ms"] == 0

    play(scene)


def test_a_failed_task_counts_and_one_that_is_left_keeps_it_below_100() -> None:
    async def scene(found: Api) -> None:
        found.surtr.latency_s = 1
        body = await submitted(found, 200)
        await found.post(f"/v1/batches/{body['batch_id']}/cancel")
        told = await status(found, body["batch_id"], wait=60)
        assert told["cancelled_tasks"] + told["completed_tasks"] == 200
        assert (told["over"], told["progress_percent"]) == (True, 100)
        retried = await found.post(f"/v1/batches/{body['batch_id']}/retry")
        assert retried["queued_tasks"] + retried["processing_tasks"] == told["cancelled_tasks"]

    play(scene)


def test_a_poll_ends_when_the_batch_is_over_or_its_time_is_up() -> None:
    async def scene(found: Api) -> None:
        found.surtr.latency_s = 20
        body = await submitted(found, 2)
        early = await status(found, body["batch_id"], wait=5)
        assert (early["over"], early["completed_tasks"]) == (False, 0)
        late = await status(found, body["batch_id"], wait=60)
        assert (late["over"], late["completed_tasks"]) == (True, 2)

    play(scene)


def test_what_nobody_knows_is_not_found_and_an_end_is_enough() -> None:
    async def scene(found: Api) -> None:
        body = await submitted(found, 1)
        for end in ("batch-unknown", "zzzz"):
            told = await found.get(f"/v1/async/batch-status/{end}", 404)
            assert told["error"]["hint"] == "ygg batch list"
        assert (await status(found, body["batch_id"][-6:]))["batch_id"] == body["batch_id"]
        listed = (await found.get("/v1/batches"))["batches"]
        assert [b["batch_id"] for b in listed] == [body["batch_id"]]

    play(scene)


# --- one after another ----------------------------------------------------------------------------


def test_a_sequence_runs_one_task_after_another_though_slots_are_free() -> None:
    async def scene(found: Api) -> None:
        found.surtr.latency_s = 5
        body = await submitted(found, 3, process_in_parallel=False, on_failure="stop")
        other = await found.submit(agent_type="chat")
        await found.ended(other["task_id"])
        told = await status(found, body["batch_id"])
        assert (told["processing_tasks"], told["queued_tasks"]) == (1, 2)
        assert told["process_in_parallel"] is False
        why = await found.get(f"/v1/tasks/{body['task_ids'][2]}/why")
        assert why["reasons"][0]["code"] == "batch_turn"
        assert body["batch_id"] in why["reasons"][0]["text"]
        shown = await found.get(f"/v1/tasks/{body['task_ids'][2]}")
        assert (shown["state"], shown["due_at"]) == ("scheduled", None)
        done = await status(found, body["batch_id"], wait=60)
        assert done["completed_tasks"] == 3
        tasks = (await found.get("/v1/tasks", batch=body["batch_id"]))["tasks"][::-1]
        for before, after in itertools.pairwise(tasks):
            assert before["finished_at"] <= after["started_at"]

    play(scene)


def test_the_next_one_starts_when_the_one_before_has_ended_not_at_the_next_poll() -> None:
    async def main() -> None:
        async with api(policy=Policy(poll_s=1000.0)) as found:
            found.surtr.latency_s = 1
            body = await submitted(found, 4, process_in_parallel=False)
            done = await status(found, body["batch_id"], wait=10)
            assert done["completed_tasks"] == 4

    run_virtual(main())


@pytest.mark.parametrize("how", ["stop", "continue"])
def test_a_failure_in_a_sequence_stops_the_rest_unless_it_is_to_go_on(how: str) -> None:
    async def scene(found: Api) -> None:
        found.surtr.fault = OutcomeKind.BAD_REQUEST
        body = await submitted(found, 3, process_in_parallel=False, on_failure=how)
        done = await status(found, body["batch_id"], wait=60)
        words = [*done["task_statuses"].values()]
        assert words == (["failed", "cancelled", "cancelled"] if how == "stop" else ["failed"] * 3)
        assert done["over"]

    play(scene)


def test_a_cancelled_sequence_starts_nothing_more_and_a_retry_keeps_its_order() -> None:
    async def scene(found: Api) -> None:
        found.surtr.latency_s = 50
        body = await submitted(found, 4, process_in_parallel=False)
        await found.running(body["task_ids"][0])
        told = await found.post(f"/v1/batches/{body['batch_id']}/cancel")
        assert told["cancelled_tasks"] == 4
        assert len(found.surtr.arrivals) == 1
        found.surtr.latency_s = 1
        again = await found.post(f"/v1/batches/{body['batch_id']}/retry")
        assert (again["states"]["scheduled"], again["over"]) == (3, False)
        done = await status(found, body["batch_id"], wait=60)
        assert done["completed_tasks"] == 4
        order = [task for _, task in found.surtr.arrivals][1:]
        assert order == body["task_ids"]

    play(scene)


# --- whose ----------------------------------------------------------------------------------------


def test_a_caller_sees_its_own_batches_alone() -> None:
    async def act(found: Api, outside: Any) -> None:
        await found.post("/v1/queue/pause")
        anna, bob = [await bearer(found, name) for name in ("anna", "bob")]
        doc = {"requests": [request()] * 2}
        ids = [(await outside.post(MISSION, json=doc, headers=h)).json()["batch_id"] for h in (anna, bob)]  # fmt: skip
        for verb, url in (
            ("GET", "/v1/async/batch-status/{}"),
            ("POST", "/v1/batches/{}/cancel"),
            ("POST", "/v1/batches/{}/retry"),
        ):
            for batch in (ids[1], ids[1][-6:]):
                answer = await outside.request(verb, url.format(batch), headers=anna)
                assert answer.status_code == 404, answer.text
        listed = (await outside.get("/v1/batches", headers=anna)).json()["batches"]
        assert [b["batch_id"] for b in listed] == [ids[0]]
        assert (await outside.get(f"/v1/async/batch-status/{ids[0]}", headers=anna)).status_code == 200  # fmt: skip
        assert len((await found.get("/v1/batches"))["batches"]) == 2
        assert (await status(found, ids[1]))["queued_tasks"] == 2

    scene(act)


def test_a_rate_and_a_best_priority_hold_for_batches() -> None:
    async def act(found: Api, outside: Any) -> None:
        as_ = await bearer(found, "anna", rate="3/min", max_priority="NORMAL")
        many = await outside.post(MISSION, json={"requests": [request()] * 4}, headers=as_)
        assert many.status_code == 422
        better = {"requests": [request(), request(priority="HIGH")]}
        answer = await outside.post(MISSION, json=better, headers=as_)
        assert (answer.status_code, "requests[1]" in answer.text) == (403, True)
        taken = [await outside.post(MISSION, json={"requests": [request()] * 2}, headers=as_) for _ in "ab"]  # fmt: skip
        assert [t.status_code for t in taken] == [202, 429]

    scene(act)


# --- by commands ----------------------------------------------------------------------------------


def lines(path: Path, count: int = 3) -> str:
    path.write_text("".join(json.dumps({"prompt": f"{n}?"}) + "\n" for n in range(count)))
    return str(path)


def test_a_file_becomes_a_batch_that_can_be_waited_for(cli: Cli, tmp_path: Path) -> None:
    made = cli("submit", "--jsonl", lines(tmp_path / "t.jsonl"), "--batch")
    batch = made.out.strip()
    assert (made.code, batch[:6]) == (0, "batch-")
    done = cli("wait", "--batch", batch)
    assert (done.code, "100 %" in done.out, "completed 3" in done.out) == (0, True, True)
    assert batch in cli("batch", "list").out
    shown = cli("batch", "show", batch[-6:])
    assert shown.out.count("completed\n") == 3
    body = cli("batch", "show", batch, "--json").json
    assert (body["batch_id"], body["total_tasks"]) == (batch, 3)


def test_a_sequence_by_commands_is_told_as_one(cli: Cli, tmp_path: Path) -> None:
    path = lines(tmp_path / "t.jsonl")
    more = ("--batch", "--sequential", "--on-failure", "continue")
    batch = cli("submit", "--jsonl", path, *more).out.strip()
    assert cli("wait", "--batch", batch, "--timeout", "60").code == 0
    assert "one after another, on failure continue" in cli("batch", "show", batch).out


def test_the_first_of_a_sequence_waits_for_nothing(offline: Cli, tmp_path: Path) -> None:
    offline("submit", "--jsonl", lines(tmp_path / "t.jsonl"), "--batch", "--sequential")
    states = [t["state"] for t in offline("list", "--json").json["tasks"]]
    assert states == ["scheduled", "scheduled", "queued"]


def test_without_a_daemon_a_batch_is_stored_cancelled_and_retried(
    offline: Cli, tmp_path: Path
) -> None:
    batch = offline("submit", "--jsonl", lines(tmp_path / "t.jsonl"), "--batch").out.strip()
    assert offline("batch", "cancel", batch).out == f"{batch}: 3 tasks cancelled\n"
    assert offline("batch", "retry", batch).out == f"{batch}: 3 tasks to do\n"
    late = offline("wait", "--batch", batch, "--timeout", "1")
    assert (late.code, "0 % done" in late.err) == (75, True)


def test_a_bad_line_leaves_no_batch(offline: Cli, tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text('{"prompt": "x"}\n{"prompt": \n{"prompt": "y"}\n')
    ran = offline("submit", "--jsonl", str(path), "--batch")
    assert (ran.code, f"{path}:2: no valid JSON" in ran.err) == (1, True)
    path.write_text('{"prompt": "x"}\n{"promt": "y"}\n')
    ran = offline("submit", "--jsonl", str(path), "--batch")
    assert (ran.code, "tasks[1]: promt: unknown key" in ran.err) == (2, True)
    assert offline("batch", "list").err == "no batches; ygg submit --jsonl FILE --batch makes one\n"
    assert offline("list", "--json").json["tasks"] == []


def test_wrong_words_say_what_is_right(offline: Cli) -> None:
    assert offline("submit", "x", "--batch").code == 2
    assert offline("wait").code == 2
    assert offline("wait", "abcd", "--batch", "batch-1").code == 2
    assert offline("batch", "show", "batch-1").code == 3


@pytest.mark.parametrize("key", ["", "k" * 201])
def test_the_key_of_the_header_is_held_to_what_that_of_the_document_is(key: str) -> None:
    async def scene(found: Api) -> None:
        for url, doc in (
            ("/v1/batches", {"tasks": [{"prompt": "x"}]}),
            ("/v1/async/submit-batch", {"requests": [request()]}),
            ("/v1/async/submit", request()),
        ):
            told = await found.post(url, doc, 422, headers={"Idempotency-Key": key})
            assert told["error"]["message"].startswith("idempotency_key: ")

    play(scene)
