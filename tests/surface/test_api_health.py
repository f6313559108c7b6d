"""What watches ygg from outside: /v1/async/health, /healthz and /readyz."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from tests.shell.virtual import until
from tests.surface.world import Api, config, over, play
from ygg.api.handlers import Handlers
from ygg.api.offline import OfflineControl
from ygg.errors import StoreError
from ygg.stores.memory import MemoryStore

FIELDS = [
    "status", "health", "queue_depth", "processing", "failed_rate_percent", "avg_latency_ms", "reasons",
]  # fmt: skip


@contextmanager
def broken(store: MemoryStore) -> Iterator[None]:
    """Nothing can be read."""

    async def fail(*_: Any) -> Any:
        raise StoreError("disk I/O error")

    with patch.multiple(store, counts=fail, get=fail, find=fail, holds=fail):
        yield


def codes(body: dict[str, Any]) -> list[str]:
    return [reason["code"] for reason in body["reasons"]]


def test_a_house_that_works_is_healthy_with_the_figures_of_the_statistics() -> None:
    async def scene(api: Api) -> None:
        assert list(await api.get("/v1/async/health")) == FIELDS
        await api.ended((await api.submit())["task_id"])
        first = await api.submit()
        await api.running(first["task_id"])
        await api.submit()
        body = await api.get("/v1/async/health")
        stats = await api.get("/v1/async/stats")
        assert (body["status"], body["health"], body["reasons"]) == ("ok", "healthy", [])
        assert (body["queue_depth"], body["processing"]) == (1, 1)
        assert body["failed_rate_percent"] == 0
        assert body["avg_latency_ms"] == stats["performance"]["avg_processing_time_ms"]

    play(scene)


def test_the_answer_says_what_is_the_matter_and_its_status_is_always_200() -> None:
    async def scene(api: Api) -> None:
        await api.post("/v1/queue/pause")
        body = await api.get("/v1/async/health")
        assert (body["status"], body["health"]) == ("ok", "degraded")
        assert body["reasons"] == [
            {"code": "paused", "text": "dispatch is paused: ygg queue resume"}
        ]
        await api.post("/v1/queue/resume")
        api.surtr.down()
        await api.get("/v1/status", probe="true")
        await api.submit()
        body = await api.get("/v1/async/health")
        assert (body["health"], codes(body)) == ("unhealthy", ["not_processing"])
        assert "surtr is down" in body["reasons"][0]["text"]
        api.house.places["fenrir"].down()
        await api.get("/v1/status", probe="true")
        body = await api.get("/v1/async/health")
        assert (body["health"], codes(body)) == ("unhealthy", ["no_host_up"])

    play(scene)


def test_a_task_that_was_just_submitted_is_no_sign_of_a_queue_that_stands() -> None:
    async def scene(api: Api) -> None:
        _, body = await asyncio.gather(api.submit(), api.get("/v1/async/health"))
        assert body["health"] == "healthy"

    play(scene)


def test_the_process_lives_whatever_its_store_does_and_takes_no_work_then() -> None:
    async def scene(api: Api) -> None:
        assert await api.get("/readyz") == {"status": "ready"}
        with broken(api.house.store):
            assert await api.get("/healthz") == {"status": "ok"}
            response = await api.http.get("/readyz")
            assert (response.status_code, response.headers["Retry-After"]) == (503, "10")
            error = response.json()["error"]
            assert (error["code"], error["message"]) == ("store_error", "disk I/O error")
            body = await api.get("/v1/async/health")
            assert (body["health"], codes(body)) == ("unhealthy", ["store_error"])
        assert await api.get("/readyz") == {"status": "ready"}

    play(scene)


def test_a_pause_and_a_host_that_is_down_take_no_work_away() -> None:
    async def scene(api: Api) -> None:
        await api.post("/v1/queue/pause")
        api.surtr.down()
        await api.get("/v1/status", probe="true")
        assert await api.get("/readyz") == {"status": "ready"}

    play(scene)


def test_who_drains_lives_and_is_not_ready_and_says_when_to_come_back() -> None:
    async def scene(api: Api) -> None:
        task = await api.submit()
        await api.running(task["task_id"])
        drain = asyncio.create_task(api.house.dispatcher.drain(60, asyncio.Event()))
        await until(lambda: api.house.dispatcher.board.stopping)
        assert await api.get("/healthz") == {"status": "ok"}
        response = await api.http.get("/readyz")
        assert (response.status_code, response.headers["Retry-After"]) == (503, "60")
        assert response.json()["error"]["code"] == "draining"
        body = await api.get("/v1/async/health")
        assert (body["health"], codes(body)) == ("degraded", ["draining"])
        await drain

    play(scene)


def test_where_no_dispatcher_runs_the_store_alone_is_asked() -> None:
    async def scene(api: Api) -> None:
        store = MemoryStore()
        handlers = Handlers(OfflineControl(store, store, config(), dict), config)
        async with over(api.house, handlers) as alone:
            assert (await alone.get("/v1/async/health"))["health"] == "healthy"
            error = (await alone.get("/readyz", 503))["error"]
            assert (error["code"], error["message"]) == ("unavailable", "no daemon is running")
            with broken(store):
                body = await alone.get("/v1/async/health")
                assert (body["health"], body["queue_depth"]) == ("unhealthy", None)

    play(scene)
