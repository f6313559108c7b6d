"""The whole dispatcher over real llama.cpp servers: its own SQLite queue, HTTP, two slots each."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx

from tests.builders import new_task
from tests.llama.server import NEEDS, Llama, running_llama
from ygg import wire
from ygg.config import from_dict
from ygg.model import Lane, State, Submitted, Task
from ygg.ports import Piece
from ygg.running.dispatcher import Dispatcher

pytestmark = NEEDS


def home(*servers: Llama, slots: int = 2) -> dict[str, object]:
    """A configuration with one host per server, `general` over all of them in order."""
    names = [f"llama-{n}" for n in range(len(servers))]
    hosts = {
        name: {
            "slots": slots,
            "backend": "openai",
            "url": s.url,
            "models": [s.model.rpartition("/")[2]],
        }
        for name, s in zip(names, servers, strict=True)
    }
    return {"hosts": hosts, "task_types": {"general": {"route": names}}}


@asynccontextmanager
async def dispatching(config: dict[str, object], folder: Path) -> AsyncIterator[Dispatcher]:
    async with wire.running(from_dict(config, "test"), folder / "ygg.db", checked=True) as scope:
        yield scope.dispatcher
        scope.hurry.set()


async def put(dispatcher: Dispatcher, text: str = "a", tokens: int = 30, **fields: object) -> Task:
    request = {"messages": [{"role": "user", "content": text}], "max_tokens": tokens}
    (answer,) = await dispatcher.submit([new_task(request=request, **fields)])
    assert isinstance(answer, Submitted), answer
    return answer.task


async def busy_slots(server: Llama) -> int:
    async with httpx.AsyncClient(trust_env=False) as client:
        slots = (await client.get(f"{server.url}/slots")).json()
    return sum(bool(s["is_processing"]) for s in slots)


async def first_piece(dispatcher: Dispatcher, task: Task) -> None:
    async for item in dispatcher.follow(task.id):
        if isinstance(item, Piece):
            return


async def test_more_tasks_than_slots_are_all_answered_and_none_waits_inside_the_server(
    tiny: Llama, tmp_path: Path
) -> None:
    async with dispatching(home(tiny), tmp_path) as dispatcher:
        tasks = [await put(dispatcher, f"task {n}") for n in range(12)]
        peak = 0
        for task in tasks:
            peak = max(peak, len(dispatcher.board.running))
            ended = await dispatcher.wait_end(task.id, 60)
            assert ended.state is State.COMPLETED, ended
            result = await dispatcher.archive.result(task.id)
            assert result is not None
            assert len(result.content) == 30
            assert result.usage.output_tokens == 30
            assert result.backend == "llama.cpp"
        assert peak == 2


async def test_cancelling_a_running_task_frees_the_slot_of_the_server(
    slow: Llama, tmp_path: Path
) -> None:
    async with dispatching(home(slow), tmp_path) as dispatcher:
        task = await put(dispatcher, tokens=3000)
        await first_piece(dispatcher, task)
        assert await busy_slots(slow) == 1
        assert (await dispatcher.cancel(task.id)).state is State.CANCELLED
        async with asyncio.timeout(10):
            while await busy_slots(slow):  # noqa: ASYNC110 - another process tells no events
                await asyncio.sleep(2)  # llama.cpp notices no faster


async def test_a_task_whose_server_is_killed_in_mid_answer_is_finished_elsewhere(
    slow_model: Path, tmp_path: Path
) -> None:
    with running_llama(slow_model) as doomed, running_llama(slow_model) as other:
        async with dispatching(home(doomed, other), tmp_path) as dispatcher:
            task = await put(dispatcher, tokens=200)
            await first_piece(dispatcher, task)
            doomed.kill()
            ended = await dispatcher.wait_end(task.id, 90)
            assert (ended.state, ended.host, ended.attempt) == (State.COMPLETED, "llama-1", 2)
            assert (ended.errors, ended.deferrals) == (0, 0), "a dead host is charged, not its task"
            result = await dispatcher.archive.result(task.id)
            assert result is not None
            assert len(result.content) == 200, "no text of the first attempt is mixed in"


async def test_a_prompt_too_long_for_one_host_runs_on_one_with_more_context(
    tiny: Llama, tiny_model: Path, tmp_path: Path
) -> None:
    with running_llama(tiny_model, n_ctx=256) as small:
        async with dispatching(home(small, tiny), tmp_path) as dispatcher:
            task = await put(dispatcher, "b" * 400)
            ended = await dispatcher.wait_end(task.id, 60)
            assert (ended.state, ended.host) == (State.COMPLETED, "llama-1")
            assert ended.lane.refused == ("llama-0/openai/" + Path(small.model).name,)
            never = await put(dispatcher, "b" * 4000)
            failed = await dispatcher.wait_end(never.id, 60)
            assert (failed.state, failed.reason) == (State.FAILED, "all_refused")


async def test_a_model_the_host_does_not_have_is_refused_for_good(
    tiny: Llama, tmp_path: Path
) -> None:
    config = home(tiny)
    config["hosts"]["llama-0"]["models"] = ["another-model"]  # type: ignore[index]
    async with dispatching(config, tmp_path) as dispatcher:
        ended = await dispatcher.wait_end((await put(dispatcher)).id, 60)
        assert (ended.state, ended.reason) == (State.FAILED, "all_refused")
        assert "another-model" in (ended.error or "")


async def test_a_pinned_task_waits_for_its_host(tiny: Llama, slow: Llama, tmp_path: Path) -> None:
    async with dispatching(home(tiny, slow), tmp_path) as dispatcher:
        task = await put(dispatcher, lane=Lane("general", host="llama-1"))
        assert (await dispatcher.wait_end(task.id, 60)).host == "llama-1"
