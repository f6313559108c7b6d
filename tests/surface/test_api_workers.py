"""GET /api/v1/status/workers, and the log of where tasks went, over a house with both kinds of host."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from tests.builders import new_task
from tests.shell.virtual import House, house, run_virtual, until
from tests.surface.world import config
from ygg.api.app import build_app
from ygg.api.handlers import Handlers
from ygg.core.board import Phase
from ygg.model import GpuNeed, HostHealth, Lane

JsonDict = dict[str, Any]
Ask = Callable[[], Coroutine[Any, Any, JsonDict]]
WANTED = Lane("general")
NEVER, REQUIRED = Lane("general", gpu=GpuNeed.NEVER), Lane("general", gpu=GpuNeed.REQUIRED)


@asynccontextmanager
async def workers(slots: dict[str, int]) -> AsyncIterator[tuple[House, Ask]]:
    """The house, and a function that asks it."""
    async with house(slots, {"general": tuple(slots)}) as home:
        app = build_app(Handlers(home.dispatcher, lambda: config()))
        await until(lambda: all(h.health != "unknown" for h in home.dispatcher.snapshot(0).hosts))
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url="http://ygg"
        ) as http:

            async def ask() -> JsonDict:
                home.dispatcher.snapshot(0)
                response = await http.get("/api/v1/status/workers")
                assert response.status_code == 200
                body: JsonDict = response.json()
                return body

            yield home, ask


async def submit(home: House, lane: Lane, count: int = 1) -> None:
    await home.dispatcher.submit([new_task(lane=lane) for _ in range(count)])
    calls = home.dispatcher.board.calls
    await until(lambda: all(call.phase is Phase.RUNNING for call in calls.values()))


def play(
    scene: Callable[[House, Ask], Coroutine[Any, Any, None]], slots: dict[str, int] | None = None
) -> None:
    async def main() -> None:
        async with workers(slots or {"gpu1": 2, "gpu2": 1, "cpu1": 4}) as (home, ask):
            await scene(home, ask)

    run_virtual(main())


def test_an_idle_house() -> None:
    async def scene(home: House, ask: Ask) -> None:
        assert await ask() == {
            "workers": {
                "total": 3, "gpu": 2, "cpu": 1,
                "details": {
                    "gpu1": {"type": "gpu", "active_tasks": 0, "max_tasks": 2, "queues": ["gpu-tasks"]},
                    "gpu2": {"type": "gpu", "active_tasks": 0, "max_tasks": 1, "queues": ["gpu-tasks"]},
                    "cpu1": {"type": "cpu", "active_tasks": 0, "max_tasks": 4, "queues": ["celery"]},
                },
            },
            "queues": {
                "gpu-tasks": {"length": 0, "workers": 2}, "celery": {"length": 0, "workers": 1},
            },
            "gpu_available": True,
        }  # fmt: skip

    play(scene)


def test_active_tasks_lengths_and_gpu_available_are_those_of_now() -> None:
    async def scene(home: House, ask: Ask) -> None:
        await submit(home, WANTED, 2)
        assert (await ask())["gpu_available"] is True, "one slot of three is free"
        await submit(home, REQUIRED, 400)
        await submit(home, NEVER, 9)
        found = await ask()
        assert found["gpu_available"] is False
        assert [w["active_tasks"] for w in found["workers"]["details"].values()] == [2, 1, 4]
        lengths = {name: queue["length"] for name, queue in found["queues"].items()}
        assert lengths == {"gpu-tasks": 399, "celery": 5}

    play(scene)


def test_a_host_that_is_down_is_no_worker_and_its_tasks_wait_elsewhere() -> None:
    async def scene(home: House, ask: Ask) -> None:
        for name in ("gpu1", "gpu2"):
            home.places[name].down()
        await home.dispatcher.check_hosts()
        await submit(home, WANTED, 6)
        found = await ask()
        assert list(found["workers"]["details"]) == ["cpu1"]
        assert found["queues"]["gpu-tasks"] == {"length": 0, "workers": 0}
        assert found["queues"]["celery"] == {"length": 2, "workers": 1}
        assert found["gpu_available"] is False

    play(scene)


@pytest.mark.parametrize("how", ["drained", "pause", "limit"])
def test_a_gpu_host_that_takes_nothing_is_not_available(how: str) -> None:
    async def scene(home: House, ask: Ask) -> None:
        host = home.dispatcher.board.hosts["gpu1"]
        if how == "drained":
            await home.dispatcher.drain_host("gpu1", True)
        elif how == "pause":
            host.servers["main"].busy_until = 1e9
        else:
            host.limit, host.regain_at = 0, 1e9
        home.dispatcher._snapshot = None
        found = await ask()
        assert found["gpu_available"] is False
        assert found["workers"]["details"]["gpu1"]["max_tasks"] == (0 if how == "limit" else 1)

    play(scene, {"gpu1": 1, "cpu1": 1})


def test_every_routing_decision_is_logged_and_in_the_event_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def scene(home: House, ask: Ask) -> None:
        home.places["gpu1"].health = HostHealth.DOWN
        await home.dispatcher.check_hosts()
        task = await home.submit(lane=WANTED)
        await home.end(task)
        row = next(r for r in await home.store.log(task.id) if r.reason == "chosen")
        assert row.detail == (
            "cpu1 m (CPU, waiting: 0 GPU, 1 CPU, no GPU host usable); gpu1 is down: down"
        )
        assert f"{task.id} general -> {row.detail}" in caplog.messages

    caplog.set_level(logging.INFO, "ygg.dispatch")
    play(scene, {"gpu1": 1, "cpu1": 1})
