"""Cleaning and dead letters: what can be done with tasks that have ended."""

from __future__ import annotations

from typing import Any

import pytest

from tests.surface.test_api_tasks import TASK_KEYS
from tests.surface.world import Api, play
from ygg.api.callers import Caller
from ygg.desk import VERBS
from ygg.errors import NotFound
from ygg.model import OutcomeKind
from ygg.model.tokens import Scope

CLEANUP, DEAD = "/v1/async/cleanup", "/v1/async/dead-letters"
NOTHING = {"completed": 0, "cancelled": 0, "expired": 0}


async def _failed(api: Api, count: int = 1) -> list[str]:
    """Their ids, the newest first."""
    api.surtr.fault = OutcomeKind.BAD_REQUEST
    ids = [(await api.submit())["task_id"] for _ in range(count)]
    for task_id in ids:
        assert (await api.ended(task_id))["state"] == "failed"
    api.surtr.up()
    return ids[::-1]


async def _completed(api: Api) -> str:
    task_id: str = (await api.submit())["task_id"]
    assert (await api.ended(task_id))["state"] == "completed"
    return task_id


async def _cancelled(api: Api) -> str:
    (task,) = (await api.post("/v1/tasks", {"tasks": [{"prompt": "x", "not_before": "1h"}]}))[
        "tasks"
    ]
    assert (await api.post(f"/v1/tasks/{task['id']}/cancel"))["state"] == "cancelled"
    return str(task["id"])


async def _ids(api: Api) -> list[str]:
    return [t["id"] for t in (await api.get("/v1/tasks"))["tasks"]]


def test_cleaning_removes_what_ended_long_enough_ago_but_no_dead_letter() -> None:
    async def scene(api: Api) -> None:
        (dead,) = await _failed(api)
        done = await _completed(api)
        assert await api.post(CLEANUP, {"max_age_seconds": 300}) == {
            "removed": 0,
            "by_state": NOTHING,
        }
        await _cancelled(api)
        waits = (await api.submit(not_before="1h"))["task_id"]
        found = await api.post(CLEANUP, {"max_age_seconds": 0})
        assert found == {"removed": 2, "by_state": NOTHING | {"completed": 1, "cancelled": 1}}
        assert await _ids(api) == [waits, dead]
        gone = await api.get(f"/v1/async/status/{done}", 404)
        assert f"no task {done} any more: completed 20" in gone["error"]["message"]

    play(scene)


def test_the_age_is_counted_from_the_end_of_a_task() -> None:
    async def scene(api: Api) -> None:
        api.surtr.latency_s = 50.0
        done = await _completed(api)  # was submitted 50 s ago, and has just ended
        for age, removed in ((40, 0), (0.5, 0), (0, 1)):
            found = await api.post(CLEANUP, {"max_age_seconds": age, "states": ["completed"]})
            assert found == {"removed": removed, "by_state": {"completed": removed}}
        assert done not in await _ids(api)

    play(scene)


def test_cleaning_removes_dead_letters_where_they_are_named_and_then_nothing_else() -> None:
    async def scene(api: Api) -> None:
        await _failed(api)
        done = await _completed(api)
        doc = {"max_age_seconds": 0, "states": ["failed", "failed"]}
        assert await api.post(CLEANUP, doc) == {"removed": 1, "by_state": {"failed": 1}}
        assert await _ids(api) == [done]

    play(scene)


@pytest.mark.parametrize(
    ("doc", "message"),
    [
        ({}, "max_age_seconds: is missing"),
        ({"states": ["completed"]}, "max_age_seconds: is missing"),
        ({"max_age_seconds": -1}, "max_age_seconds: expected 0 at least, got -1"),
        ({"max_age_seconds": "5m"}, "max_age_seconds: expected a number, got '5m'"),
        ({"max_age_seconds": 1e300}, "max_age_seconds: expected 3.16224e+09 at most"),
        ({"max_age_seconds": 0, "states": []}, "states: is empty"),
        (
            {"max_age_seconds": 0, "states": ["blocked"]},
            "states[0]: expected 'completed', 'failed', 'cancelled' or 'expired', got 'blocked'",
        ),
        ({"max_age_seconds": 0, "state": ["failed"]}, "state: unknown key, did you mean states?"),
    ],
)
def test_a_cleaning_that_is_not_clear_removes_nothing(doc: dict[str, Any], message: str) -> None:
    async def scene(api: Api) -> None:
        await _completed(api)
        answer = await api.post(CLEANUP, doc, 422)
        assert answer["error"]["message"].startswith(message)
        assert len(await _ids(api)) == 1

    play(scene)


def test_dead_letters_are_listed_newest_first_with_what_helps_to_decide() -> None:
    async def scene(api: Api) -> None:
        assert await api.get(DEAD) == {"schema": "ygg.tasks/1", "tasks": [], "next_cursor": None}
        newest, oldest = await _failed(api, 2)
        await _completed(api)
        await _cancelled(api)
        found = await api.get(DEAD)
        assert [t["id"] for t in found["tasks"]] == [newest, oldest]
        assert found["next_cursor"] is None
        assert set(found["tasks"][0]) == TASK_KEYS
        assert found["tasks"][0]["error"] == "surtr: bad_request"
        assert found["tasks"][0]["attempt"] == 1

    play(scene)


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 5])
def test_pages_of_dead_letters_are_all_of_them_once(limit: int) -> None:
    async def scene(api: Api) -> None:
        wanted = await _failed(api, 4)
        seen: list[str] = []
        pages, cursor = 0, None
        while pages == 0 or cursor is not None:
            more = {} if cursor is None else {"cursor": cursor}
            found = await api.get(DEAD, limit=limit, **more)
            seen += [t["id"] for t in found["tasks"]]
            pages, cursor = pages + 1, found["next_cursor"]
            assert isinstance(cursor, str | None)
            assert pages <= len(wanted)
            await _completed(api)  # what comes meanwhile is on no page
        assert seen == wanted
        assert pages == -(-4 // limit)  # a last page that is full is the last one

    play(scene)


@pytest.mark.parametrize(
    "query",
    [{"cursor": "x"}, {"cursor": "0"}, {"cursor": "-1"}, {"cursor": str(2**63)}, {"limit": "0"}, {"limit": "10001"},
     {"state": "failed"}],
)  # fmt: skip
def test_a_query_of_dead_letters_that_is_wrong_names_its_key(query: dict[str, str]) -> None:
    async def scene(api: Api) -> None:
        answer = await api.get(DEAD, 422, **query)
        assert answer["error"]["message"].startswith(f"{next(iter(query))}: ")

    play(scene)


def test_a_dead_letter_that_is_retried_runs_again() -> None:
    async def scene(api: Api) -> None:
        (dead,) = await _failed(api)
        again = await api.post(f"{DEAD}/{dead[-6:]}/retry")
        assert (again["id"], again["state"], again["reason"]) == (dead, "queued", "retried")
        assert (await api.ended(dead))["state"] == "completed"
        assert (await api.get(DEAD))["tasks"] == []

    play(scene)


def test_a_dead_letter_that_is_deleted_is_gone_alone() -> None:
    async def scene(api: Api) -> None:
        dead, other = await _failed(api, 2)
        answer = await api.http.delete(f"{DEAD}/{dead[-6:]}")
        assert (answer.status_code, answer.json()) == (200, {"task_id": dead, "removed": 1})
        assert await _ids(api) == [other]
        again = await api.http.delete(f"{DEAD}/{dead}")
        assert again.status_code == 404
        assert f"no task {dead} any more: failed 20" in again.json()["error"]["message"]

    play(scene)


@pytest.mark.parametrize(("method", "end"), [("POST", "/retry"), ("DELETE", "")])
def test_what_is_no_dead_letter_is_left_alone_and_says_what_can_be_done(
    method: str, end: str
) -> None:
    async def scene(api: Api) -> None:
        done, cancelled = await _completed(api), await _cancelled(api)
        waits = (await api.submit(not_before="1h"))["task_id"]
        hints = {done: "/v1/async/cleanup", cancelled: "ygg retry", waits: f"ygg cancel {waits}"}
        for task_id, hint in hints.items():
            answer = await api.http.request(method, f"{DEAD}/{task_id}{end}")
            error = answer.json()["error"]
            assert (answer.status_code, error["code"]) == (409, "conflict")
            assert error["message"].startswith(f"task {task_id} is ")
            assert error["message"].endswith(", no dead letter")
            assert hint in error["hint"]
        assert set(await _ids(api)) == set(hints)
        assert (await api.http.request(method, f"{DEAD}/nothing{end}")).status_code == 404

    play(scene)


def test_a_caller_sees_and_touches_dead_letters_of_its_own_alone_and_cleans_nothing() -> None:
    bob, rows = Caller("bob", Scope.SUBMIT), {verb.name: verb for verb in VERBS}

    async def scene(api: Api) -> None:
        (dead,) = await _failed(api)
        given = {"query": {}, "caller": bob}
        found = await api.handlers.of(rows["async_dead_letters"], None, given, bob)
        assert found["tasks"] == []
        for name in ("async_retry", "discard"):
            assert rows[name].needs == "submit"
            with pytest.raises(NotFound):
                await api.handlers.of(rows[name], dead, {}, bob)
        assert await api.state(dead) == "failed"

    play(scene)
    assert rows["clean"].needs == "admin"
