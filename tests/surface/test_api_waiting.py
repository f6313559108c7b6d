"""Long polls of /v1/async, and its listing page by page."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.shell.virtual import until
from tests.surface.world import Api, play
from ygg.api.queries import WAIT_MAX_S
from ygg.model import OutcomeKind


def now() -> float:
    return asyncio.get_running_loop().time()


# --- long polls -----------------------------------------------------------------------------------


@pytest.mark.parametrize("what", ["status", "result"])
def test_a_poll_that_waits_is_answered_at_the_end_of_the_task(what: str) -> None:
    async def scene(api: Api) -> None:
        task = await api.submit()
        began = now()
        body = await api.get(f"/v1/async/{what}/{task['task_id']}", wait=30)
        assert (body["status"], body["task_id"]) == ("completed", task["task_id"])
        assert now() - began == pytest.approx(1.0, abs=0.1)
        assert await api.get(f"/v1/async/{what}/{task['task_id']}", wait=30) == body, "at once"
        assert now() - began < 1.2

    play(scene)


def test_a_poll_that_waited_long_enough_is_answered_as_without() -> None:
    async def scene(api: Api) -> None:
        api.surtr.latency_s = 1e6
        task = await api.submit()
        began = now()
        body = await api.get(f"/v1/async/status/{task['task_id']}", wait=2.5)
        assert (body["status"], now() - began) == ("processing", pytest.approx(2.5, abs=0.1))
        body = await api.get(f"/v1/async/result/{task['task_id']}", 409, wait=2.5)
        assert (body["status"], now() - began) == ("processing", pytest.approx(5.0, abs=0.2))
        await api.get(f"/v1/async/status/{task['task_id']}")
        await api.get(f"/v1/async/status/{task['task_id']}", wait=0)
        assert now() - began < 5.3, "at once"
        await api.get(f"/v1/async/status/{task['task_id']}", wait=1e9)
        assert now() - began == pytest.approx(5 + WAIT_MAX_S, abs=0.5)

    play(scene)


def test_a_task_that_is_blocked_is_waited_for_no_longer() -> None:
    async def scene(api: Api) -> None:
        api.surtr.latency_s = 1e6
        task = await api.submit()
        await api.running(task["task_id"])
        url = f"/v1/async/result/{task['task_id']}"
        waiting = asyncio.create_task(api.get(url, wait=50))
        await asyncio.sleep(1)
        hurry = asyncio.Event()
        hurry.set()
        began = now()
        await api.house.dispatcher.drain(0, hurry)
        body = await waiting
        assert (body["state"], body["reason"]) == ("blocked", "interrupted")
        assert now() - began < 1

    play(scene)


def test_the_first_result_that_was_waited_for_starts_the_shorter_retention_too() -> None:
    async def scene(api: Api) -> None:
        task = await api.submit()
        read: list[str] = []

        async def touched(task_id: str, keep_s: float) -> None:
            read.append(task_id)

        api.house.dispatcher.touch_read = touched  # type: ignore[method-assign]
        await api.get(f"/v1/async/result/{task['task_id']}", 409)
        assert read == []
        await api.get(f"/v1/async/result/{task['task_id']}", wait=30)
        assert read == [task["task_id"]]

    play(scene)


def test_a_hundred_polls_wait_at_once_and_hold_up_nothing() -> None:
    async def scene(api: Api) -> None:
        task = await api.submit()
        url = f"/v1/async/status/{task['task_id']}"
        polls = [asyncio.create_task(api.get(url, wait=30)) for _ in range(100)]
        await api.running(task["task_id"])
        began = now()
        await api.submit()
        await api.get("/v1/async/stats")
        assert now() - began < 0.1
        assert {(await poll)["status"] for poll in polls} == {"completed"}
        assert not api.house.dispatcher.loop.waiting.asked_for(task["task_id"])

    play(scene)


@pytest.mark.parametrize("what", ["status", "result"])
@pytest.mark.parametrize("wait", ["-1", "nan", "inf", "soon", "", "1e999", "ö"])
def test_a_wrong_wait_is_refused_by_its_name(what: str, wait: str) -> None:
    async def scene(api: Api) -> None:
        task = await api.submit()
        error = (await api.get(f"/v1/async/{what}/{task['task_id']}", 422, wait=wait))["error"]
        assert error["code"] == "invalid_input"
        assert error["message"].startswith("wait: expected seconds")

    play(scene)


@pytest.mark.parametrize("what", ["status", "result"])
def test_unknown_keys_are_refused_and_unknown_tasks_are_not_waited_for(what: str) -> None:
    async def scene(api: Api) -> None:
        task = await api.submit()
        error = (await api.get(f"/v1/async/{what}/{task['task_id']}", 422, wate=3))["error"]
        assert error["message"] == "wate: unknown key, did you mean wait?"
        began = now()
        await api.get(f"/v1/async/{what}/no-such-task", 404, wait=30)
        assert now() - began < 0.1

    play(scene)


# --- pages ----------------------------------------------------------------------------------------


async def pages(api: Api, **query: Any) -> list[list[str]]:
    """The ids of every page."""
    found: list[list[str]] = []
    cursor: str | None = None
    while cursor is not None or not found:
        more = {} if cursor is None else {"cursor": cursor}
        body = await api.get("/v1/async/tasks", **query, **more)
        assert list(body) == ["schema", "tasks", "next_cursor"]
        found.append([task["id"] for task in body["tasks"]])
        cursor = body["next_cursor"]
    return found


def test_pages_show_every_task_once_newest_first_and_the_last_has_no_cursor() -> None:
    async def scene(api: Api) -> None:
        assert await pages(api) == [[]]
        ids = [(await api.submit())["task_id"] for _ in range(7)][::-1]
        assert await pages(api, limit=3) == [ids[:3], ids[3:6], ids[6:]]
        assert await pages(api, limit=7) == [ids], "nothing is left: no empty page follows"
        assert await pages(api, limit=6) == [ids[:6], ids[6:]]
        assert await pages(api) == [ids]

    play(scene)


def test_what_is_submitted_meanwhile_moves_no_page() -> None:
    async def scene(api: Api) -> None:
        ids = [(await api.submit())["task_id"] for _ in range(4)][::-1]
        first = await api.get("/v1/async/tasks", limit=2)
        await api.submit()
        query = {"limit": 2, "cursor": first["next_cursor"]}
        second = await api.get("/v1/async/tasks", **query)
        assert [t["id"] for t in second["tasks"]] == ids[2:]
        assert second["next_cursor"] is None

    play(scene)


def test_pages_are_filtered_as_the_other_listing_is() -> None:
    async def scene(api: Api) -> None:
        api.surtr.breaks = [OutcomeKind.BAD_REQUEST]
        bad = await api.submit(priority="CRITICAL")
        tasks = [await api.submit(labels=[f"n{n % 2}"], agent_type="chat") for n in range(4)]
        await api.ended(bad["task_id"])
        await until(lambda: not api.house.dispatcher.board.calls)
        ids = [t["task_id"] for t in tasks][::-1]
        assert await pages(api, label="n1", limit=1) == [[ids[0]], [ids[2]]]
        assert await pages(api, state=["failed"], limit=1) == [[bad["task_id"]]]
        assert await pages(api, type="chat", limit=3) == [ids[:3], ids[3:]]
        told = (await api.get("/v1/async/tasks", limit=1))["tasks"]
        assert told == (await api.get("/v1/tasks", limit=1))["tasks"]

    play(scene)


@pytest.mark.parametrize("cursor", ["0", "-1", "x", "", "1.5", "9" * 19, "9" * 99, "ö"])
def test_a_wrong_cursor_is_refused_by_its_name(cursor: str) -> None:
    async def scene(api: Api) -> None:
        error = (await api.get("/v1/async/tasks", 422, cursor=cursor))["error"]
        assert error["code"] == "invalid_input"
        assert error["message"].startswith("cursor: expected the next_cursor of an earlier answer")

    play(scene)


def test_pages_have_one_order_and_no_other_keys() -> None:
    async def scene(api: Api) -> None:
        for key, value in (("order", "queue"), ("offset", "3")):
            error = (await api.get("/v1/async/tasks", 422, **{key: value}))["error"]
            assert error["message"].startswith(f"{key}: unknown key")
        error = (await api.get("/v1/tasks", 422, cursor="3"))["error"]
        assert error["message"].startswith("cursor: unknown key")

    play(scene)
