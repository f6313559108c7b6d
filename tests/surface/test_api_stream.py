"""GET /v1/async/stream/{id}: one task as server-sent events, in virtual time and over sockets."""

from __future__ import annotations

import asyncio
import http.client
import json
import socket
import time
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing, closing
from pathlib import Path
from typing import Any
from unittest.mock import patch

import httpx
import pytest

from tests.builders import new_task
from tests.shell.virtual import run_virtual, until
from tests.surface.test_tcp import free_port
from tests.surface.test_tokens import bearer, scene, submitted
from tests.surface.world import HELLO, Api, api, config, play, served
from ygg.api.offline import OfflineControl
from ygg.api.sse import Event
from ygg.api.stream import QUIET_S
from ygg.client import Remote
from ygg.desk import Desk
from ygg.model import OutcomeKind, Piece, Policy, State, Submitted, Task, ToolDelta
from ygg.ports import Moved
from ygg.running import streams
from ygg.stores.memory import MemoryStore


def now() -> float:
    return asyncio.get_running_loop().time()


def events_of(text: str) -> list[dict[str, Any]]:
    """Each event with its fields; `data` read. Comments and what has no data are left out."""
    found = []
    for block in text.split("\n\n"):
        lines = [line.partition(": ") for line in block.splitlines()]
        fields: dict[str, Any] = {name: value for name, _, value in lines if name}
        if "data" in fields:
            found.append(fields | {"data": json.loads(fields["data"])})
    return found


def url(task_id: str) -> str:
    return f"/v1/async/stream/{task_id}"


async def streamed(api: Api, task_id: str, last: str | None = None) -> list[dict[str, Any]]:
    """The whole stream, once it is over."""
    headers = {} if last is None else {"Last-Event-ID": last}
    answer = await api.http.get(url(task_id), headers=headers)
    assert answer.status_code == 200, answer.text
    return events_of(answer.text)


def names(events: list[dict[str, Any]]) -> list[str]:
    """`state` with its word."""
    return [e["data"]["state"] if e["event"] == "state" else e["event"] for e in events]


def text_of(events: list[dict[str, Any]]) -> str:
    return "".join(e["data"]["content"] for e in events if e["event"] == "token")


Stream = AsyncGenerator[Event | str, None]


async def opened(api: Api, task_id: str, last: str | None = None) -> Stream:
    """The stream as its handler gives it, event by event."""
    events = await api.handlers.stream.stream(task_id, {}, last)
    assert events is not None
    return events


async def until_named(events: Stream, name: str, count: int = 1) -> list[Event]:
    """Everything up to so many events of this name; comments are left out."""
    found: list[Event] = []
    while sum(e.name == name for e in found) < count:
        event = await anext(events)
        if isinstance(event, Event):
            found.append(event)
    return found


# --- what is told ---------------------------------------------------------------------------------


def test_a_task_is_told_from_its_state_to_its_result() -> None:
    async def scene(api: Api) -> None:
        task = (await api.submit())["task_id"]
        answer = await api.http.get(url(task))
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert answer.headers["cache-control"] == "no-cache"
        assert answer.headers["x-accel-buffering"] == "no"
        assert answer.text.startswith("retry: 3000\n\nevent: state\nid: ")
        assert answer.text.count("retry:") == 1
        events = events_of(answer.text)
        assert names(events) == [
            "queued", "processing", "attempt", "token", "token", "completed", "result",
        ]  # fmt: skip
        assert [e["data"]["content"] for e in events[3:5]] == [f"{task}:0 ", f"{task}:1 "]
        assert events[2]["data"] == {"attempt": 1, "host": "surtr", "model": "m"}
        assert (events[1]["data"]["host"], events[1]["data"]["attempt"]) == ("surtr", 1)
        assert len({e["id"] for e in events}) == len(events)
        assert events[-1]["data"] == await api.get(f"/v1/async/result/{task}")

    play(scene)


def test_thoughts_and_tool_calls_are_told_as_they_come() -> None:
    async def scene(api: Api) -> None:
        call = (ToolDelta(0, "find", '{"a', "c1"), ToolDelta(0, arguments='":1}'))
        api.surtr.says = [Piece(thinking="hm"), Piece(tool_calls=call), Piece("so", "ah")]
        task = (await api.submit())["task_id"]
        thought, called, said = [e["data"] for e in await streamed(api, task) if e["event"] == "token"]  # fmt: skip
        assert thought == {"content": "", "thinking": "hm"}
        assert [(c["index"], c["id"], c["function"]["arguments"]) for c in called["tool_calls"]] == [
            (0, "c1", '{"a'), (0, None, '":1}'),
        ]  # fmt: skip
        assert said == {"content": "so", "thinking": "ah"}

    play(scene)


def test_the_place_is_told_while_it_is_queued_and_silence_is_broken_by_comments() -> None:
    async def scene(api: Api) -> None:
        await api.post("/v1/queue/pause")
        await api.submit()
        task = (await api.submit())["task_id"]
        events, began = await opened(api, task), now()
        first = await anext(events)
        assert isinstance(first, Event)
        assert (first.data["state"], first.data["position_in_queue"]) == ("queued", 2)
        assert now() - began < 0.1
        for n in (1, 2, 3):
            assert await anext(events) == "nothing new"
            assert now() - began == pytest.approx(n * QUIET_S, abs=0.1)
        await api.post("/v1/queue/resume")
        (processing,) = await until_named(events, "state")
        assert processing.data["state"] == "processing"
        assert "position_in_queue" not in processing.data
        await events.aclose()

    play(scene)


def test_a_change_of_state_is_told_when_it_happens_also_between_attempts() -> None:
    async def scene(api: Api) -> None:
        api.surtr.breaks = [OutcomeKind.BUSY]
        task = (await api.submit())["task_id"]
        events = [(e, now()) async for e in await opened(api, task) if isinstance(e, Event)]
        told = [(e.data["state"], at) for e, at in events if e.name == "state"]
        log = await api.house.store.log(task)
        rows = [row for row in log if row.before is not row.after]
        assert [state for state, _ in told] == [row.after for row in rows]
        assert {"scheduled", "completed"} < {state for state, _ in told}, told
        for (_, at), row in zip(told[1:], rows[1:], strict=True):
            assert at - told[0][1] == pytest.approx((row.at_ms - rows[0].at_ms) / 1000, abs=0.05)

    play(scene)


def test_a_task_that_is_due_is_told_as_queued_at_once_though_it_cannot_start() -> None:
    async def scene(api: Api) -> None:
        await api.post("/v1/queue/pause")
        task, began = (await api.submit(not_before="20s"))["task_id"], now()
        async with aclosing(await opened(api, task)) as events:
            states = await until_named(events, "state", 2)
            assert [e.data["state"] for e in states] == ["scheduled", "queued"]
            assert now() - began == pytest.approx(20, abs=0.1)

    play(scene)


def test_an_ended_task_is_told_by_its_state_and_its_result() -> None:
    async def scene(api: Api) -> None:
        api.surtr.breaks = [OutcomeKind.BAD_REQUEST]
        task = (await api.submit())["task_id"]
        await api.ended(task)
        events = await streamed(api, task[-6:])
        assert names(events) == ["failed", "result"]
        assert events[0]["data"]["status"] == events[1]["data"]["status"] == "failed"
        assert events[0]["data"]["detail"] == events[1]["data"]["error"] == "broke off"

    play(scene)


def test_a_blocked_task_ends_the_stream() -> None:
    async def main() -> None:
        async with api(policy=Policy(interrupted="block")) as found:
            found.surtr.latency_s = 1e6
            task = (await found.submit())["task_id"]
            await found.running(task)
            reading = asyncio.create_task(streamed(found, task))
            await asyncio.sleep(1)
            hurry = asyncio.Event()
            hurry.set()
            await found.house.dispatcher.drain(0, hurry)
            events = await reading
            assert names(events) == ["processing", "attempt", "blocked", "result"]
            assert events[-1]["data"]["reason"] == "interrupted"
            assert names(await streamed(found, task)) == ["blocked", "result"]

    run_virtual(main())


def test_a_shutdown_ends_streams_of_tasks_that_wait() -> None:
    async def scene(api: Api) -> None:
        await api.post("/v1/queue/pause")
        task = (await api.submit())["task_id"]
        reading = asyncio.create_task(streamed(api, task))
        await asyncio.sleep(40)
        began = now()
        await api.house.dispatcher.drain(0, asyncio.Event())
        events = await reading
        assert now() - began < 1
        assert names(events) == ["queued", "error"]
        assert events[-1]["data"]["error"]["code"] == "unavailable"
        assert "goes on" in events[-1]["data"]["error"]["message"]

    play(scene)


def test_a_task_that_is_not_there_is_a_plain_404_and_wrong_keys_are_refused() -> None:
    async def scene(api: Api) -> None:
        assert (await api.get(url("nothing-here"), 404))["error"]["code"] == "not_found"
        task = (await api.submit())["task_id"]
        error = (await api.get(url(task), 422, last_event=3))["error"]
        assert error["message"] == "last_event: unknown key, did you mean last_event_id?"
        answer = await api.http.get(url(task), params={"x": 1}, headers={"Last-Event-ID": "x"})
        assert answer.status_code == 422

    play(scene)


def test_reading_the_result_here_starts_the_shorter_retention_too() -> None:
    async def scene(api: Api) -> None:
        task = (await api.submit())["task_id"]
        read: list[str] = []

        async def touched(task_id: str, keep_s: float) -> None:
            read.append(task_id)

        api.house.dispatcher.touch_read = touched  # type: ignore[method-assign]
        events = await opened(api, task)
        await until_named(events, "token", 2)
        assert read == []
        await until_named(events, "result")
        assert read == [task]

    play(scene)


# --- who comes back -------------------------------------------------------------------------------


@pytest.mark.parametrize("by", ["header", "query"])
def test_whoever_was_cut_off_after_any_event_gets_the_rest_and_nothing_twice(by: str) -> None:
    async def scene(api: Api) -> None:
        api.surtr.latency_s, api.surtr.pieces = 10.0, 10
        task = (await api.submit())["task_id"]
        whole = await streamed(api, task)
        for count in range(1, len(whole)):
            task = (await api.submit())["task_id"]
            async with aclosing(await opened(api, task)) as events:
                had = [e for _ in range(count) if isinstance(e := await anext(events), Event)]
            last = had[-1].id
            more = {"headers": {"Last-Event-ID": last}} if by == "header" else {"params": {"last_event_id": last}}  # fmt: skip
            rest = events_of((await api.http.get(url(task), **more)).text)  # type: ignore[arg-type]
            both = [{"event": e.name, "id": e.id, "data": e.data} for e in had] + rest
            assert names(both) == names(whole)
            assert text_of(both) == "".join(f"{task}:{n} " for n in range(10))

    play(scene)


def test_the_header_counts_where_a_query_says_otherwise() -> None:
    """A client's URL stays as it is when it comes back, with the header."""

    async def scene(api: Api) -> None:
        task = (await api.submit())["task_id"]
        first, *_, token, state, _ = await streamed(api, task)
        query, header = {"last_event_id": first["id"]}, {"Last-Event-ID": state["id"]}
        answer = await api.http.get(url(task), params=query, headers=header)
        assert names(events_of(answer.text)) == ["result"]
        assert names(await streamed(api, task, token["id"])) == ["completed", "result"]

    play(scene)


def test_who_comes_back_to_another_attempt_gets_that_one_whole() -> None:
    async def scene(api: Api) -> None:
        api.surtr.breaks, api.surtr.pieces = [OutcomeKind.BUSY], 4
        task = (await api.submit())["task_id"]
        async with aclosing(await opened(api, task)) as events:
            had = await until_named(events, "token", 3)
        await until(lambda: len(api.surtr.arrivals) == 2)
        await asyncio.sleep(0.4)
        rest = await streamed(api, task, had[-1].id)
        begins = names(rest).index("attempt")
        assert names(rest[:begins]) == ["scheduled", "queued", "processing"]
        assert rest[begins]["data"]["attempt"] == 2
        assert text_of(rest) == "".join(f"{task}:{n} " for n in range(4))
        assert names(rest[-2:]) == ["completed", "result"]

    play(scene)


def test_who_has_had_the_result_is_told_to_stay_away_until_the_task_is_put_back() -> None:
    async def scene(api: Api) -> None:
        api.surtr.breaks = [OutcomeKind.BAD_REQUEST]
        task = (await api.submit())["task_id"]
        last = (await streamed(api, task))[-1]["id"]
        answer = await api.http.get(url(task), headers={"Last-Event-ID": last})
        assert (answer.status_code, answer.content) == (204, b"")
        await api.post("/v1/tasks/retry", {"ids": [task]})
        events = await streamed(api, task, last)
        assert names(events)[:3] == ["queued", "processing", "attempt"]
        assert names(events)[-2:] == ["completed", "result"]

    play(scene)


def test_a_slow_client_is_told_of_the_end_after_all_that_was_said() -> None:
    async def scene(api: Api) -> None:
        api.surtr.breaks, api.surtr.pieces = [OutcomeKind.BUSY], 4
        task = (await api.submit())["task_id"]
        events = await opened(api, task)
        had = await until_named(events, "token")
        await api.ended(task)
        rest = [e async for e in events if isinstance(e, Event)]
        told = [{"event": e.name, "data": e.data} for e in had + rest]
        begins = names(told).index("attempt", names(told).index("attempt") + 1)
        assert text_of(told[begins:]) == "".join(f"{task}:{n} " for n in range(4))
        assert names(told[-3:]) == ["token", "completed", "result"]

    play(scene)


@pytest.mark.parametrize("last", ["", "7", "x" * 3000, "0fey.1.1.5.0.0", "\x01\xff"])
def test_an_id_that_is_none_begins_at_the_start(last: str) -> None:
    async def scene(api: Api) -> None:
        task = (await api.submit())["task_id"]
        answer = await api.http.get(url(task), headers={"Last-Event-ID": last.encode("latin-1")})  # type: ignore[dict-item]
        assert text_of(events_of(answer.text)) == f"{task}:0 {task}:1 "

    play(scene)


def test_what_is_not_kept_of_a_long_answer_is_told_to_who_has_not_had_it() -> None:
    """Of 20 words of 10 characters 100 are kept."""

    async def scene(api: Api) -> None:
        api.surtr.says = [Piece(f"{n:09} ") for n in range(20)]
        api.surtr.latency_s, api.surtr.pieces = 20.0, 20
        task = (await api.submit())["task_id"]
        early = asyncio.create_task(streamed(api, task))
        async with aclosing(await opened(api, task)) as events:
            had = [e.id for e in await until_named(events, "token", 12) if e.name == "token"]
        await asyncio.sleep(3)
        late = [(0, 50, None), (5, 50, had[4]), (12, 30, had[11])]
        rests = await asyncio.gather(*(streamed(api, task, last) for *_, last in late))
        for (words, lost, _), rest in zip(late, rests, strict=True):
            (gap,) = [e["data"] for e in rest if e["event"] == "gap"]
            assert gap == {"content": lost, "thinking": 0, "tool_calls": 0}
            assert 10 * words + lost + len(text_of(rest)) == 200
            assert text_of(rest).endswith(f"{19:09} ")
            assert names(rest)[-1] == "result"
        assert len(text_of(await early)) == 200

    with patch.object(streams, "KEEP", 100):
        play(scene)


# --- who leaves -----------------------------------------------------------------------------------


def test_who_leaves_is_forgotten() -> None:
    async def scene(api: Api) -> None:
        api.surtr.latency_s = 1e6
        task = (await api.submit())["task_id"]
        events = await opened(api, task)
        await until_named(events, "attempt")
        followed = api.house.dispatcher.loop.streams.followed
        assert followed(task)
        await events.aclose()
        assert not followed(task)

    play(scene)


def test_a_revoked_token_ends_the_stream_with_an_error_of_that_name() -> None:
    async def act(found: Api, outside: httpx.AsyncClient) -> None:
        found.surtr.latency_s = 1e6
        as_ = await bearer(found, "anna")
        task = await submitted(outside, as_)
        stream = asyncio.create_task(outside.get(url(task), headers=as_))
        followed = found.house.dispatcher.loop.streams.followed
        await found.running(task)
        await until(lambda: followed(task))
        await found.http.delete("/v1/tokens/anna")
        events = events_of((await stream).text)
        assert names(events)[-1] == "error"
        assert events[-1]["data"]["error"]["code"] == "unauthorized"
        assert not followed(task)
        assert (await outside.get(url(task), headers=as_)).status_code == 401

    scene(act)


# --- without a dispatcher -------------------------------------------------------------------------


async def test_where_nothing_tells_of_changes_they_are_looked_for() -> None:
    store = MemoryStore()
    control = OfflineControl(store, store, config(), dict)
    (made,) = await control.submit([new_task()])
    assert isinstance(made, Submitted)
    items = control.watch(made.task.id, 0.01)
    assert [await anext(items) for _ in range(3)] == [Moved()] * 3
    await control.cancel(made.task.id)
    *moves, ended = [item async for item in items]
    assert set(map(type, moves)) <= {Moved}
    assert isinstance(ended, Task)
    assert ended.state is State.CANCELLED


# --- over sockets ---------------------------------------------------------------------------------


@pytest.fixture
def door(tmp_path: Path) -> Iterator[tuple[Api, int]]:
    """A daemon whose answers take two seconds, and its TCP port."""
    port = free_port()
    with served(tmp_path / "ygg.sock", listen=[f"127.0.0.1:{port}"]) as found:
        found.surtr.latency_s, found.surtr.pieces = 2.0, 40
        yield found, port


def until_real(condition: Callable[[], bool], limit_s: float = 5.0) -> None:
    """Let real time pass until it holds."""
    give_up = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < give_up, "never happened"
        time.sleep(0.005)


def ask(port: int, method: str, path: str, doc: Any = None, **headers: str) -> Any:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=10)) as connection:
        body = None if doc is None else json.dumps(doc)
        connection.request(method, path, body, {"Content-Type": "application/json", **headers})
        return json.loads(connection.getresponse().read())


def submit(port: int, **headers: str) -> str:
    doc = {"agent_type": "general", "messages": HELLO}
    return str(ask(port, "POST", "/v1/async/submit", doc, **headers)["task_id"])


def read(port: int, task: str, last: str | None, tokens: int) -> tuple[str, str]:
    """Read until so many tokens, or the end: their text, and the last id."""
    text, event, count, id_ = "", "", 0, ""
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=10)) as connection:
        connection.request("GET", url(task), headers={"Last-Event-ID": last} if last else {})
        for raw in connection.getresponse():
            name, _, value = raw.decode().rstrip("\n").partition(": ")
            event = value if name == "event" else event
            id_ = value if name == "id" else id_
            if name == "data" and event == "token":
                text, count = text + json.loads(value)["content"], count + 1
                if count == tokens:
                    break
    return text, id_


def test_a_client_that_is_cut_off_again_and_again_has_the_whole_answer_in_the_end(
    door: tuple[Api, int],
) -> None:
    _, port = door
    task = submit(port)
    text, last = "", None
    for _ in range(20):
        more, last = read(port, task, last, 7)
        text += more
        if last.endswith(".end"):
            break
    assert text == "".join(f"{task}:{n} " for n in range(40))


@pytest.mark.parametrize("verb", ["/v1/async/stream/", "/v1/tasks/{}/follow"])
@pytest.mark.parametrize("with_token", [False, True])
def test_a_connection_that_is_closed_leaves_nobody_behind(
    door: tuple[Api, int], caplog: pytest.LogCaptureFixture, verb: str, with_token: bool
) -> None:
    found, port = door
    found.surtr.latency_s = 1000.0
    as_ = {}
    if with_token:
        token = ask(port, "POST", "/v1/tokens", {"name": "anna"})["token"]
        as_ = {"Authorization": f"Bearer {token}"}
    task = submit(port, **as_)
    followed = found.house.dispatcher.loop.streams.followed
    path = verb.format(task) if "{}" in verb else verb + task
    with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
        head = "".join(f"{k}: {v}\r\n" for k, v in as_.items())
        client.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n{head}\r\n".encode())
        while b'"attempt"' not in client.recv(65536):
            pass
        assert followed(task)
    until_real(lambda: not followed(task))
    assert not [r for r in caplog.records if r.levelname == "ERROR"], caplog.text


def test_a_client_that_does_not_read_and_leaves_is_forgotten_too(tmp_path: Path) -> None:
    """Its connection is full, and it is not yet so far behind that it is cut off."""
    with served(tmp_path / "ygg.sock", latency_s=0.01) as found:
        found.surtr.says, found.surtr.pieces = [Piece("x" * 100_000)] * 9, 1
        with socket.socket(socket.AF_UNIX) as client, closing(Remote(tmp_path / "ygg.sock")) as at:
            (task,) = Desk(at).submit([{"prompt": "x"}])
            followed, said = found.house.dispatcher.loop.streams.followed, found.surtr.arrivals
            client.connect(str(tmp_path / "ygg.sock"))
            client.sendall(f"GET {url(task['id'])} HTTP/1.1\r\nHost: ygg\r\n\r\n".encode())
            reached = found.house.dispatcher.loop.streams.progress
            until_real(lambda: reached().get(task["id"], 0) >= 8)
            found.surtr.latency_s = 1000.0
            assert (followed(task["id"]), len(said)) == (True, 1)
        until_real(lambda: not followed(task["id"]))
