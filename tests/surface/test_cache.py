"""The cache over the API: who is answered from it, for how long, and what is told of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import httpx
import pytest

from tests.shell.virtual import run_virtual
from tests.surface.test_tokens import LAN, bearer
from tests.surface.world import HELLO, Api, api, bordered, config
from ygg import model
from ygg.config import Config, from_dict
from ygg.config.show import describe
from ygg.intake.sharing import cache_prefix
from ygg.intake.tasks import async_task
from ygg.model import OutcomeKind
from ygg.telling import rates

Body = dict[str, Any]
TASKS = "/v1/tasks"


def scene(act: Callable[[Api], Coroutine[Any, Any, None]], settings: Config | None = None) -> None:
    """With a cache of five minutes, unless the settings say otherwise."""

    async def main() -> None:
        async with api(settings=settings or config(cache_ttl="5m")) as found:
            await act(found)

    run_virtual(main())


async def answered(found: Api, **fields: Any) -> Body:
    """The submit of a task that has ended by now."""
    task = await found.submit(**fields)
    await found.ended(task["task_id"])
    return task


async def task(found: Api, **fields: Any) -> Body:
    (told,) = (await found.post(TASKS, {"tasks": [{"messages": HELLO, **fields}]}))["tasks"]
    await found.ended(told["id"])
    return dict(told)


# --- a hit ----------------------------------------------------------------------------------------


def test_an_identical_request_is_answered_at_once_and_everything_says_so() -> None:
    async def act(found: Api) -> None:
        first = await answered(found)
        assert (first["cached"], first["existing"], first["coalesced"]) == (False, False, False)
        hit = await found.submit(title="another", priority="LOW", labels=["x"], timeout_seconds=9)
        assert (hit["status"], hit["state"], hit["cached"]) == ("completed", "completed", True)
        assert (hit["existing"], hit["task_id"] != first["task_id"]) == (False, True)
        assert len(found.surtr.arrivals) == 1, "no host ran it"
        id_ = hit["task_id"]
        before, after = [await found.get(f"/v1/async/result/{i}") for i in (first["task_id"], id_)]
        assert (before["cached"], after["cached"]) == (False, True)
        assert after["result"] == before["result"]
        assert after["model_used"] == before["model_used"]
        assert (after["total_time_ms"], after["host"]) == (0, None)
        status = await found.get(f"/v1/async/status/{id_}", wait=30)
        assert (status["cached"], status["model_selected"], status["progress_percent"]) == (True, "m", 100)  # fmt: skip
        assert status["backend"] == before["backend"]
        shown = await found.get(f"{TASKS}/{id_}")
        assert (shown["cached"], shown["priority_name"], shown["title"]) == (True, "LOW", "another")
        (row,) = shown["log"]
        assert (row["from"], row["to"], row["reason"]) == (None, "completed", "cached")
        assert first["task_id"] in row["detail"]
        listed = (await found.get(TASKS, state="completed"))["tasks"]
        assert [t["cached"] for t in listed] == [True, False]
        stream = await found.http.get(f"/v1/async/stream/{id_}")
        assert "event: result" in stream.text
        assert '"cached":true' in stream.text.replace('": ', '":')

    scene(act)


@pytest.mark.parametrize(
    "other",
    [
        {"messages": [{"role": "user", "content": "Another?"}]}, {"system": "Be brief."},
        {"options": {"seed": 2}}, {"options": {"seed": True}}, {"max_tokens": 5}, {"temperature": 0.5},
        {"agent_type": "chat"}, {"host": "surtr"}, {"model": "m"}, {"gpu": "required"}, {"content_type": "application/x"},
    ],
    ids=str,
)  # fmt: skip
def test_what_decides_the_answer_makes_another_request(other: Body) -> None:
    async def act(found: Api) -> None:
        await answered(found, options={"seed": 1})
        assert (await found.submit(options={"seed": 1}))["cached"]
        assert not (await found.submit(**{"options": {"seed": 1}, **other}))["cached"]

    scene(act)


def test_the_order_of_keys_decides_nothing() -> None:
    async def act(found: Api) -> None:
        await answered(found, options={"seed": 1, "top_p": 0.5})
        backwards = [{"content": "hello", "role": "user"}]
        told = await found.submit(messages=backwards, options={"top_p": 0.5, "seed": 1})
        assert told["cached"]

    scene(act)


def test_an_answer_is_served_for_its_time_from_the_run_on() -> None:
    async def act(found: Api) -> None:
        await answered(found, retention="1h")
        for _ in range(2):
            await asyncio.sleep(140)
            assert (await found.submit())["cached"]
        await asyncio.sleep(25)
        assert not (await found.submit())["cached"]

    scene(act)


def test_an_answer_that_failed_is_not_served() -> None:
    async def act(found: Api) -> None:
        found.surtr.fault = OutcomeKind.BAD_REQUEST
        first = await answered(found)
        found.surtr.fault = None
        assert await found.state(first["task_id"]) == "failed"
        assert not (await found.submit())["cached"]

    scene(act)


def test_a_full_queue_still_answers_what_it_knows() -> None:
    async def act(found: Api) -> None:
        await answered(found)
        await found.running((await found.submit(system="1"))["task_id"])
        await found.submit(system="2")
        assert (await found.submit(503, system="3"))["error"]["code"] == "queue_full"
        assert (await found.submit())["cached"]

    scene(act, config(capacity=1, cache_ttl="5m"))


# --- who is answered from it ----------------------------------------------------------------------


@pytest.mark.parametrize("off", [{"cache": False}, {"cache": False, "coalesce": True}])
def test_a_request_may_want_a_run_of_its_own_whose_answer_nobody_else_gets(off: Body) -> None:
    async def act(found: Api) -> None:
        await answered(found, **off)
        assert not (await answered(found))["cached"]
        assert not (await answered(found, **off))["cached"]
        assert (await found.submit())["cached"]

    scene(act)


@pytest.mark.parametrize("how", ["off", 0])
def test_it_can_be_off(how: object) -> None:
    async def act(found: Api) -> None:
        await answered(found, cache=True)
        assert not (await found.submit(cache=True))["cached"]

    scene(act, config(cache_ttl=how))  # type: ignore[arg-type]


def test_it_can_be_off_for_a_type() -> None:
    async def act(found: Api) -> None:
        for kind in ("general", "chat"):
            await answered(found, agent_type=kind, cache=True)
        assert not (await found.submit(agent_type="chat", cache=True))["cached"]
        assert (await found.submit())["cached"]

    scene(act, _typed(config(cache_ttl="5m"), cache=False))


def _typed(settings: Config, **fields: Any) -> Config:
    told = describe(settings)
    data = {k: told[k] for k in ("hosts", "task_types", "policies")}
    data["task_types"]["chat"] |= fields
    return from_dict(data, "test")


def test_other_settings_begin_with_an_empty_cache() -> None:
    def key(settings: Config) -> str:
        doc = {"agent_type": "general", "messages": HELLO}
        sharing = async_task(doc, settings, caller="local", cache=True).sharing
        assert sharing is not None
        assert sharing.key.startswith(cache_prefix(settings))
        return sharing.key

    plain = config(cache_ttl="5m")
    assert key(plain) == key(config(cache_ttl="5m")) != key(_typed(plain, system="Be brief."))


def test_tasks_and_batches_are_answered_from_it_where_they_say_so() -> None:
    async def act(found: Api) -> None:
        await answered(found)
        assert not (await task(found, type="general"))["cached"]
        assert (await task(found, type="general", cache=True))["cached"]
        asks = {"agent_type": "general", "messages": HELLO}
        for cached in (False, True):
            doc = {
                "requests": [
                    {**asks, **({"cache": True} if cached else {})},
                    {**asks, "system": "x"},
                ]
            }
            body = await found.post("/v1/async/submit-batch", doc, 202)
            tasks = (await found.get(TASKS, batch=body["batch_id"]))["tasks"]
            assert [t["cached"] for t in tasks] == [False, cached]
            told = await found.get(f"/v1/async/batch-status/{body['batch_id']}", wait=30)
            assert (told["completed_tasks"], told["over"]) == (2, True)

    scene(act)


def test_a_prompt_and_the_message_it_becomes_are_one_request() -> None:
    async def act(found: Api) -> None:
        await answered(found)
        doc = {"tasks": [{"prompt": "hello", "type": "general", "cache": True}]}
        assert (await found.post(TASKS, doc))["tasks"][0]["cached"]

    scene(act)


@pytest.mark.parametrize("across", [False, True])
def test_no_caller_gets_the_answer_of_another_unless_that_is_allowed(across: bool) -> None:
    async def main() -> None:
        settings = config(cache_ttl="5m", cache_across_callers=across)
        async with api(settings=settings) as found:
            outside = httpx.ASGITransport(bordered(found, model.Api()))
            async with httpx.AsyncClient(transport=outside, base_url=LAN) as http:
                first = await answered(found)
                doc = {"agent_type": "general", "messages": HELLO}
                as_ = await bearer(found, "anna")
                told = (await http.post("/v1/async/submit", json=doc, headers=as_)).json()
                assert told["cached"] is across
                denied = await http.get(f"/v1/async/result/{first['task_id']}", headers=as_)
                assert denied.status_code == 404
                await found.ended(told["task_id"])
                again = await http.post("/v1/async/submit", json=doc, headers=as_)
                assert again.json()["cached"], "its own"

    run_virtual(main())


# --- one run for several --------------------------------------------------------------------------


@pytest.mark.parametrize("policy", ["off", "5m"])
def test_identical_requests_in_flight_share_a_run_when_asked(policy: str) -> None:
    async def act(found: Api) -> None:
        first = await found.submit(coalesce=True)
        same = [await found.submit(coalesce=True) for _ in range(3)]
        assert {t["task_id"] for t in same} == {first["task_id"]}
        assert all((t["existing"], t["coalesced"], t["cached"]) == (True, True, False) for t in same)  # fmt: skip
        other = await found.submit(coalesce=True, system="x")
        assert not other["coalesced"]
        await found.ended(other["task_id"])
        assert len(found.surtr.arrivals) == 2

    scene(act, config(cache_ttl=policy))


def test_a_cancel_of_a_shared_run_is_a_cancel_for_all() -> None:
    async def act(found: Api) -> None:
        await found.submit(system="x")
        first, second = [await found.submit(coalesce=True) for _ in range(2)]
        await found.http.delete(f"/v1/async/cancel/{second['task_id']}")
        assert await found.state(first["task_id"]) == "cancelled"

    scene(act)


def test_a_document_that_shares_and_does_not_is_refused() -> None:
    async def act(found: Api) -> None:
        told = await found.submit(422, coalesce=True, idempotency_key="k")
        assert told["error"]["message"].startswith("coalesce: ")
        doc = {"requests": [{"agent_type": "general", "messages": HELLO, "coalesce": True}]}
        told = await found.post("/v1/async/submit-batch", doc, 422)
        assert told["error"]["message"].startswith("requests[0]: coalesce: ")

    scene(act)


# --- figures --------------------------------------------------------------------------------------


def test_statistics_tell_how_many_answers_would_be_served_now() -> None:
    async def act(found: Api) -> None:
        async def told() -> int:
            body = (await found.get("/v1/async/stats"))["cache"]
            assert body["cache_ttl_seconds"] == 300
            assert isinstance(body["cache_ttl_seconds"], int)
            return int(body["cached_responses"])

        assert await told() == 0
        for n in range(3):
            await answered(found, system=str(n))
        await answered(found, cache=False)
        await answered(found, system="0")
        await found.submit(system="waits")
        assert await told() == 3
        await asyncio.sleep(200)
        await answered(found, system="later")
        assert await told() == 5
        await asyncio.sleep(150)
        assert await told() == 1

    scene(act)


def test_a_hit_distorts_no_figure_but_is_counted_as_a_task() -> None:
    async def act(found: Api) -> None:
        await answered(found)
        before = (await found.get("/v1/async/stats"))["performance"]
        for _ in range(5):
            assert (await found.submit())["cached"]
        body = await found.get("/v1/async/stats")
        assert body["performance"] == before
        assert (body["queue"]["completed"], body["queue"]["total_tasks"]) == (6, 6)
        tasks = [await found.house.store.get(t["id"]) for t in (await found.get(TASKS))["tasks"]]
        assert [end.host for end in rates.ends_of(tasks)] == ["surtr"], "nor after a restart"

    scene(act)
