"""Tokens: what each scope may, whose tasks a caller sees, how much it may submit, and that one taken back is over at once."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Iterator
from contextlib import aclosing, asynccontextmanager, closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.shell.virtual import run_virtual, until
from tests.surface.test_tcp import free_port
from tests.surface.world import HELLO, Api, api, bordered, served
from ygg import model
from ygg.api import callers as callers_module
from ygg.api.callers import Caller, Callers, Limit, digest_of, new_text
from ygg.api.holding import Proof, while_it_holds
from ygg.client import Remote
from ygg.desk import VERBS, Desk
from ygg.errors import Forbidden, InvalidInput, TooMany, Unauthorized
from ygg.model import Priority, Token
from ygg.model.tokens import Rate, Scope

LAN = "http://192.168.1.5:8420"
ORDER = ("read", "submit", "admin")
SCOPES = ("none", "read", "submit", "admin", "unknown", "dummy")
#: The least that each verb takes, by name: what is not here takes `admin`.
LEAST = {
    "healthz": "", "readyz": "",
    **dict.fromkeys((
        "async_status", "async_result", "async_stream", "async_stats", "async_health", "async_tasks", "tasks_list", "show", "result",
        "wait_once", "follow", "why", "status", "queue", "hosts", "workers", "gpu_status", "memory_forecast", "history",
        "tuning", "async_dead_letters", "batch", "batches", "listed", "openapi", "metrics",
    ), "read"),
    **dict.fromkeys((
        "async_submit", "async_cancel", "submit_part", "retry", "cancel_many", "cancel", "prioritize", "async_retry", "discard",
        "async_submit_batch", "submit_batch", "process_file", "cancel_batch", "retry_batch", "async_retry",
        "discard",
    ), "submit"),
}  # fmt: skip


@asynccontextmanager
async def house(base: str = LAN, **settings: Any) -> AsyncIterator[tuple[Api, httpx.AsyncClient]]:
    """The API, and who asks from another machine."""
    async with api() as found:
        transport = httpx.ASGITransport(bordered(found, model.Api(**settings)))
        async with httpx.AsyncClient(transport=transport, base_url=base) as outside:
            yield found, outside


def scene(act: Callable[[Api, httpx.AsyncClient], Coroutine[Any, Any, None]], base: str = LAN, **settings: Any) -> None:  # fmt: skip
    async def main() -> None:
        async with house(base, **settings) as (found, outside):
            await act(found, outside)

    run_virtual(main())


async def bearer(found: Api, name: str, **more: Any) -> dict[str, str]:
    """The header of a new token."""
    body = await found.post("/v1/tokens", {"name": name, **more})
    return {"Authorization": f"Bearer {body['token']}"}


async def submitted(outside: httpx.AsyncClient, as_: dict[str, str], **fields: Any) -> str:
    doc = {"agent_type": "general", "messages": HELLO, **fields}
    answer = await outside.post("/v1/async/submit", json=doc, headers=as_)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["task_id"])


# --- scope and route ------------------------------------------------------------------------------


def least(name: str) -> str:
    return LEAST.get({"tasks": "listed"}.get(name, name), "admin")


def test_the_least_scope_of_each_verb_is_what_is_written_here() -> None:
    assert {v.name: v.needs for v in VERBS if v.name != "tokens"} == {
        v.name: least(v.name) for v in VERBS if v.name != "tokens"
    }
    tokens = {v.route: v.needs for v in VERBS if "/v1/tokens" in v.route}
    assert set(tokens.values()) == {"admin"}
    assert len(tokens) == 3


def test_every_scope_on_every_route_is_refused_or_let_in_as_written() -> None:
    async def act(found: Api, outside: httpx.AsyncClient) -> None:
        as_ = {s: await bearer(found, s, scope=s) for s in ("read", "submit", "admin")}
        as_ |= {"none": {}, "unknown": {"Authorization": f"Bearer {new_text()}"}}
        as_["dummy"] = {"Authorization": "Bearer sk-of-another-server"}
        for verb in VERBS:
            url = verb.path.replace("{task_id}", "no-such-task").replace("{batch_id}", "no-such-batch").replace("{host}", "nobody").replace("{name}", "nobody")  # fmt: skip
            for scope in SCOPES:
                answer = await outside.request(verb.method, url, headers=as_[scope])
                assert _let_in(answer.status_code) is _expected(scope, verb.needs), (verb.route, scope, answer.text)  # fmt: skip
                if answer.status_code == 401:
                    assert answer.headers["WWW-Authenticate"] == "Bearer"

    scene(act)


def _let_in(status: int) -> bool | str:
    return {401: "who?", 403: "not you"}.get(status, True)


def _expected(scope: str, needs: str) -> bool | str:
    if scope == "unknown":
        return "who?"
    if not needs:
        return True
    if scope in ("none", "dummy"):
        return "who?"
    return True if ORDER.index(scope) >= ORDER.index(needs) else "not you"


@pytest.mark.parametrize(
    ("base", "settings", "trusted"),
    [
        ("http://127.0.0.1:8420", {}, True),
        ("http://127.0.0.1:8420", {"require_token": True}, False),
        ("http://127.0.0.1:8420", {"require_token": True, "insecure": True}, False),
        (LAN, {}, False),
        (LAN, {"insecure": True}, True),
        (LAN, {"insecure": True, "require_token": True}, False),
    ],
)
def test_who_is_trusted_without_a_token(base: str, settings: dict[str, bool], trusted: bool) -> None:  # fmt: skip
    async def act(found: Api, outside: httpx.AsyncClient) -> None:
        for headers in ({}, {"Authorization": "Bearer sk-dummy"}, {"Authorization": "Basic eDp5"}):
            answer = await outside.post("/v1/queue/pause", headers=headers)
            assert answer.status_code == (200 if trusted else 401)
            assert (await outside.get("/healthz", headers=headers)).status_code == 200
        unknown = {"Authorization": f"bearer  {new_text()}"}
        assert (await outside.get("/healthz", headers=unknown)).status_code == 401
        as_ = await bearer(found, "reader", scope="read")
        assert (await outside.get("/v1/queue", headers=as_)).status_code == 200
        assert (await outside.post("/v1/queue/pause", headers=as_)).status_code == 403

    scene(act, base, **settings)


def test_a_refusal_says_what_it_takes() -> None:
    async def act(found: Api, outside: httpx.AsyncClient) -> None:
        told = (await outside.get("/v1/queue")).json()["error"]
        assert (told["code"], "ygg token create" in told["hint"]) == ("unauthorized", True)
        as_ = await bearer(found, "reader", scope="read")
        told = (await outside.post("/v1/tasks", json={"tasks": []}, headers=as_)).json()["error"]
        assert told == {
            "code": "forbidden",
            "message": "the token of reader has scope read; POST /v1/tasks takes submit",
            "hint": "ygg token create NAME --scope submit",
        }

    scene(act)


def test_a_body_is_not_read_for_who_may_not() -> None:
    async def act(found: Api, outside: httpx.AsyncClient) -> None:
        as_ = await bearer(found, "reader", scope="read") | {"Content-Type": "application/json"}
        answer = await outside.post("/v1/tasks", content=b"{no json", headers=as_)
        assert answer.status_code == 403

    scene(act)


# --- whose tasks ----------------------------------------------------------------------------------


def test_a_caller_sees_and_touches_its_own_tasks_alone() -> None:
    async def act(found: Api, outside: httpx.AsyncClient) -> None:
        await found.post("/v1/queue/pause")
        anna, bob = [await bearer(found, name) for name in ("anna", "bob")]
        mine, yours = [await submitted(outside, as_) for as_ in (anna, bob)]
        ours = (await found.submit())["task_id"]
        for task_id in (yours, ours, yours[-6:]):
            for verb in VERBS:
                if verb.key != "task_id":
                    continue
                doc = {"priority": "LOW"} if "doc" in verb.takes else None
                url = verb.path.replace("{task_id}", task_id)
                answer = await outside.request(verb.method, url, json=doc, headers=anna)
                assert answer.status_code == 404, (verb.route, answer.text)
                assert yours not in answer.text.replace(task_id, "")
        assert await found.state(yours) == await found.state(ours) == "queued"
        for listing in ("/v1/tasks", "/v1/async/tasks", "/v1/tasks?caller=bob"):
            tasks = (await outside.get(listing, headers=anna)).json()["tasks"]
            assert [t["id"] for t in tasks] == [mine]
        assert len((await found.get("/v1/tasks"))["tasks"]) == 3
        done = (await outside.post("/v1/tasks/cancel", json={}, headers=anna)).json()["tasks"]
        assert [t["id"] for t in done] == [mine]
        retried = {"states": ["cancelled"]}
        await outside.post("/v1/tasks/cancel", json={}, headers=bob)
        answer = (await outside.post("/v1/tasks/retry", json=retried, headers=anna)).json()
        assert answer["retried"] == [mine]
        named = (await outside.post("/v1/tasks/retry", json={"ids": [yours]}, headers=anna)).json()
        assert (named["retried"], named["errors"][0]["error"]["code"]) == ([], "not_found")
        assert (await outside.get(f"/v1/tasks/{mine[-6:]}", headers=anna)).json()["caller"] == "anna"  # fmt: skip

    scene(act)


def test_an_end_that_fits_tasks_of_others_tells_none_of_them() -> None:
    async def act(found: Api, outside: httpx.AsyncClient) -> None:
        as_ = await bearer(found, "anna")
        ids = [(await found.submit())["task_id"] for _ in range(40)]
        common = next(a[-4:] for a in ids)
        answer = await outside.get(f"/v1/tasks/{common}", headers=as_)
        assert (answer.status_code, any(i in answer.text for i in ids)) == (404, False)

    scene(act)


async def test_several_that_fit_are_told_who_may_see_them_all() -> None:
    class Two:
        async def get(self, task_id: str) -> Any:
            raise InvalidInput(f"{task_id} fits several tasks: a, b")

    archive: Any = Two()
    with pytest.raises(InvalidInput, match="fits several"):
        await callers_module.seen(archive, "abcd", callers_module.LOCAL)
    with pytest.raises(callers_module.NotFound, match="no task abcd"):
        await callers_module.seen(archive, "abcd", Caller("anna", Scope.SUBMIT))


def test_idempotency_keys_are_each_callers_own() -> None:
    async def act(found: Api, outside: httpx.AsyncClient) -> None:
        anna, bob = [await bearer(found, name) for name in ("anna", "bob")]
        ids = [await submitted(outside, as_, idempotency_key="k") for as_ in (anna, anna, bob)]
        assert ids[0] == ids[1] != ids[2]

    scene(act)


def test_which_tasks_run_is_told_who_sees_them_all() -> None:
    async def act(found: Api, outside: httpx.AsyncClient) -> None:
        found.surtr.latency_s = 50
        task = (await found.submit())["task_id"]
        await found.running(task)
        reader, admin = [await bearer(found, s, scope=s) for s in ("read", "admin")]
        for url in ("/v1/hosts", "/v1/status"):
            answer = await outside.get(url, headers=reader)
            assert task not in answer.text
            assert answer.json()["hosts"][0]["in_flight"] == 1
            assert task in (await outside.get(url, headers=admin)).text

    scene(act)


# --- how much -------------------------------------------------------------------------------------


def test_a_priority_above_the_best_is_refused_and_one_that_is_not_said_fits() -> None:
    async def act(found: Api, outside: httpx.AsyncClient) -> None:
        await found.post("/v1/queue/pause")
        low, high = [await bearer(found, p, max_priority=p) for p in ("low", "high")]
        for as_, usual in ((low, "LOW"), (high, "NORMAL")):
            task = await submitted(outside, as_)
            assert (await outside.get(f"/v1/tasks/{task}", headers=as_)).json()["priority_name"] == usual  # fmt: skip
        task = await submitted(outside, high, priority="HIGH")
        doc = {"agent_type": "general", "messages": HELLO, "priority": "CRITICAL"}
        answer = await outside.post("/v1/async/submit", json=doc, headers=high)
        assert answer.status_code == 403
        assert "CRITICAL is above HIGH" in answer.json()["error"]["message"]
        raised = await outside.post(f"/v1/tasks/{task}/priority", json={"priority": 0}, headers=high)  # fmt: skip
        assert raised.status_code == 403
        docs = [{"prompt": "x"}, {"prompt": "x", "priority": 2}, {"prompt": "x", "priority": 4}]
        many = (await outside.post("/v1/tasks", json={"tasks": docs}, headers=low)).json()["tasks"]
        codes = [t["error"] and t["error"]["code"] for t in many]
        assert codes == [None, "forbidden", None]
        assert [t.get("priority") for t in many] == [3, None, 4]

    scene(act)


def test_a_rate_is_of_tasks_and_says_when_to_come_back() -> None:
    async def act(found: Api, outside: httpx.AsyncClient) -> None:
        as_ = await bearer(found, "anna", rate="3/min")
        await submitted(outside, as_)
        docs = {"tasks": [{"prompt": "x"}] * 3}
        answer = await outside.post("/v1/tasks", json=docs, headers=as_)
        assert answer.status_code == 429
        assert 15 <= int(answer.headers["Retry-After"]) <= 20
        assert answer.json()["error"]["code"] == "rate_limited"
        assert len((await found.get("/v1/tasks"))["tasks"]) == 1, "none of them was taken"
        docs["tasks"].pop()
        assert (await outside.post("/v1/tasks", json=docs, headers=as_)).status_code == 200
        assert (await outside.get("/v1/queue", headers=as_)).status_code == 200, "reading is free"
        four = await outside.post("/v1/tasks", json={"tasks": [{"prompt": "x"}] * 4}, headers=as_)
        assert (four.status_code, "Retry-After" in four.headers) == (422, False)

    scene(act)


def test_a_bucket_fills_evenly_and_no_higher_than_its_rate() -> None:
    now = 100.0
    limit = Limit(Rate(4, 8.0), lambda: now)
    limit.take(4)
    with pytest.raises(TooMany) as told:
        limit.take(1)
    assert told.value.retry_after_s == pytest.approx(2.0)
    now += 2.0
    limit.take(1)
    now += 1000.0
    limit.take(4)
    with pytest.raises(TooMany):
        limit.take(1)
    with pytest.raises(InvalidInput, match="5 tasks at once"):
        limit.take(5)


# --- its end --------------------------------------------------------------------------------------


def test_a_revoked_token_is_refused_at_once_and_its_stream_ends() -> None:
    async def act(found: Api, outside: httpx.AsyncClient) -> None:
        found.surtr.latency_s = 1e6
        as_ = await bearer(found, "anna")
        task = await submitted(outside, as_)
        await found.running(task)
        # httpx gives an ASGI answer once it is whole: so the stream is over when this one ends
        stream = asyncio.create_task(outside.get(f"/v1/tasks/{task}/follow", headers=as_))
        waiting = found.house.dispatcher.loop.streams
        await until(lambda: bool(waiting.followed(task)))
        await found.http.delete("/v1/tokens/anna")
        text = (await stream).text
        last = last_event(text)
        assert (last["event"], last["error"]["message"]) == (
            "error",
            "the token of anna was revoked",
        )
        assert not waiting.followed(task), "nobody follows any more"
        answer = await outside.get("/v1/queue", headers=as_)
        assert (answer.status_code, "was revoked" in answer.text) == (401, True)
        again = await bearer(found, "anna")
        assert (await outside.get("/v1/queue", headers=again)).status_code == 200
        assert (await outside.get(f"/v1/tasks/{task}", headers=again)).status_code == 200
        assert (await outside.get("/v1/queue", headers=as_)).status_code == 401

    scene(act)


def last_event(text: str) -> Any:
    """The data of the last event of a stream."""
    return json.loads(text.strip().splitlines()[-1].removeprefix("data: "))


@pytest.mark.parametrize("path", ["/v1/async/stream/{}", "/v1/tasks/{}/follow"])
def test_a_stream_ends_at_the_moment_its_token_expires_and_says_so(path: str) -> None:
    async def act(found: Api, outside: httpx.AsyncClient) -> None:
        found.surtr.latency_s = 1e6
        as_ = await bearer(found, "anna", expires="10m")
        began_s = asyncio.get_running_loop().time()
        task = await submitted(outside, as_)
        answer = await outside.get(path.format(task), headers=as_)
        assert asyncio.get_running_loop().time() - began_s == pytest.approx(600, abs=0.01)
        told = last_event(answer.text)["error"]
        assert (told["code"], told["message"]) == ("unauthorized", "the token of anna has expired")
        assert not found.house.dispatcher.loop.streams.followed(task), "nobody follows any more"
        assert (await outside.get("/v1/queue", headers=as_)).status_code == 401

    scene(act)


@pytest.mark.parametrize("path", ["async/status/{}?wait=60", "async/result/{}?wait=60", "tasks/{}/wait?timeout=60"])  # fmt: skip
@pytest.mark.parametrize(("more", "after_s", "said"), [({"expires": "10s"}, 10, "has expired"), ({}, 5, "was revoked")])  # fmt: skip
def test_a_long_poll_ends_with_its_token(
    path: str, more: dict[str, str], after_s: float, said: str
) -> None:
    async def act(found: Api, outside: httpx.AsyncClient) -> None:
        found.surtr.latency_s = 1e6
        as_ = await bearer(found, "anna", **more)
        loop, began_s = asyncio.get_running_loop(), asyncio.get_running_loop().time()
        task = await submitted(outside, as_)
        poll = asyncio.create_task(outside.get(f"/v1/{path.format(task)}", headers=as_))
        if not more:
            await asyncio.sleep(after_s)
            await found.http.delete("/v1/tokens/anna")
        answer = await poll
        assert loop.time() - began_s == pytest.approx(after_s, abs=0.01)
        assert (answer.status_code, answer.json()["error"]["message"]) == (401, f"the token of anna {said}")  # fmt: skip
        assert answer.headers["WWW-Authenticate"] == "Bearer"

    scene(act)


def test_a_clock_that_is_set_is_seen_while_a_stream_is_open() -> None:
    """The time that is left is looked at anew, and no more seldom than each minute."""
    left_s = [1e6, 1e6, -1.0]

    async def main() -> float:
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        error = await Proof("it", "", left_s=lambda: left_s.pop(0)).ended()
        assert error.message == "it has expired"
        return loop.time() - began_s

    assert run_virtual(main()) == pytest.approx(120)


async def test_a_reader_that_is_cancelled_again_and_again_closes_what_it_reads() -> None:
    """As that of a client that left is, until it has ended."""
    closed: list[str] = []

    async def events() -> AsyncGenerator[int, None]:
        try:
            yield 1
            await asyncio.Event().wait()
        finally:
            for _ in range(5):
                await asyncio.sleep(0)
            closed.append("events")

    async def read() -> None:
        async with aclosing(events()) as found:
            async for _ in while_it_holds(Proof("the token of anna", ""), found):
                started.set()

    started = asyncio.Event()
    reading = asyncio.create_task(read())
    await started.wait()
    await asyncio.sleep(0)
    while not reading.done():
        reading.cancel()
        await asyncio.sleep(0)
    assert closed == ["events"]
    assert reading.cancelled()


def test_a_token_ends_at_its_time() -> None:
    now = 1000
    callers = Callers(lambda: now)
    callers.learn([Token("anna", digest_of("ygg_x"), Scope.READ, 0, expires_ms=2000)])
    found = callers.of("Bearer ygg_x", trusted=False)
    assert (found.name, found.scope, found.proof and found.proof.left_s()) == ("anna", Scope.READ, 1.0)  # fmt: skip
    now = 2000
    with pytest.raises(Unauthorized, match="of anna has expired"):
        callers.of("Bearer ygg_x", trusted=True)


def test_what_was_spent_of_a_rate_is_remembered_when_tokens_are_learned_anew() -> None:
    callers = Callers(lambda: 0)
    tokens = [Token("anna", digest_of("ygg_x"), Scope.SUBMIT, 0, rate=Rate(2, 60.0))]
    callers.learn(tokens)
    callers.of("Bearer ygg_x", trusted=False).spend(2)
    callers.learn(tokens)
    with pytest.raises(TooMany):
        callers.of("Bearer ygg_x", trusted=False).spend(1)


def test_a_caller_without_the_scope_is_told_what_it_takes() -> None:
    caller = Caller("anna", Scope.READ, Priority.LOW)
    with pytest.raises(Forbidden, match="takes submit"):
        caller.check(Desk.retry)


def test_texts_are_long_differ_and_are_stored_nowhere() -> None:
    texts = {new_text() for _ in range(100)}
    assert {len(t) for t in texts} == {47}
    assert len(texts) == 100

    async def act(found: Api, outside: httpx.AsyncClient) -> None:
        as_ = await bearer(found, "anna")
        text = as_["Authorization"].removeprefix("Bearer ")
        (stored,) = await found.house.dispatcher.archive.tokens()
        assert stored.digest == digest_of(text)
        assert text not in repr(stored)
        assert text not in json.dumps(await found.get("/v1/tokens"))

    scene(act)


@pytest.mark.parametrize(
    ("doc", "word"),
    [
        ({}, "name"),
        ({"name": "a b"}, "name"),
        ({"name": "local"}, "name"),
        ({"name": "x", "scope": "all"}, "scope"),
        ({"name": "x", "expires": "2020-01-01"}, "expires"),
        ({"name": "x", "expires": "soon"}, "expires"),
        ({"name": "x", "max_priority": "best"}, "max_priority"),
        ({"name": "x", "rate": "60"}, "rate"),
        ({"name": "x", "rate": "0/min"}, "rate"),
        ({"name": "x", "rate": "2000000/min"}, "rate"),
        ({"name": "x", "rate": "60/week"}, "rate"),
        ({"name": "x", "more": 1}, "more"),
    ],
)
def test_what_a_token_cannot_be_names_its_key(doc: dict[str, Any], word: str) -> None:
    async def act(found: Api, outside: httpx.AsyncClient) -> None:
        told = (await found.post("/v1/tokens", doc, 422))["error"]["message"]
        assert told.startswith(f"{word}:"), told
        assert (await found.get("/v1/tokens"))["tokens"] == []

    scene(act)


# --- over sockets ---------------------------------------------------------------------------------


@pytest.fixture
def sockets(tmp_path: Path) -> Iterator[tuple[httpx.Client, httpx.Client, Desk]]:
    """Over the unix socket and over TCP; and a desk."""
    where, path = f"127.0.0.1:{free_port()}", tmp_path / "ygg.sock"
    with served(path, listen=[where]):
        unix = httpx.Client(transport=httpx.HTTPTransport(uds=str(path)), base_url="http://ygg")
        tcp, desk = httpx.Client(base_url=f"http://{where}"), Desk(Remote(path))
        with unix, tcp, closing(desk):
            yield unix, tcp, desk


def test_a_token_counts_on_the_unix_socket_and_over_tcp_alike(
    sockets: tuple[httpx.Client, httpx.Client, Desk],
) -> None:
    *clients, desk = sockets
    as_ = {"Authorization": f"Bearer {desk.create_token('anna', scope='read')['token']}"}
    for client in clients:
        for path, status in (("/v1/queue", 200), ("/v1/snapshot", 403), ("/v1/tokens", 403)):
            assert client.get(path, headers=as_).status_code == status
            assert client.get(path).status_code == 200
    desk.revoke_token("anna")
    for client in clients:
        assert client.get("/v1/queue", headers=as_).status_code == 401
        assert client.get("/healthz", headers=as_).status_code == 401


# --- turns ----------------------------------------------------------------------------------------


def test_a_caller_with_one_task_starts_next_to_one_with_many_and_is_told_so() -> None:
    async def act(found: Api, outside: httpx.AsyncClient) -> None:
        crowd, loner = [await bearer(found, name, scope="submit") for name in ("crowd", "loner")]
        first = await submitted(outside, crowd)
        await found.running(first)
        rest = [await submitted(outside, crowd) for _ in range(20)]
        doc = {"agent_type": "general", "messages": HELLO}
        mine = (await outside.post("/v1/async/submit", json=doc, headers=loner)).json()
        assert (mine["position_in_queue"], mine["position_is_bound"]) == (1, True)
        last = (await outside.get(f"/v1/tasks/{rest[-1]}/why", headers=crowd)).json()
        assert (last["position"], last["position_is_bound"]) == (20, True)
        for task in rest:
            await found.ended(task)
        order = [t for _, t in found.surtr.arrivals]
        assert order == [first, mine["task_id"], *rest]

    scene(act)


def test_the_wait_is_reckoned_in_turns() -> None:
    async def act(found: Api, outside: httpx.AsyncClient) -> None:
        crowd, loner = [await bearer(found, name, scope="submit") for name in ("crowd", "loner")]
        await found.ended(await submitted(outside, crowd))  # a run is measured
        await found.running(await submitted(outside, crowd))
        for _ in range(20):
            last = await submitted(outside, crowd)
        mine = await submitted(outside, loner)
        await asyncio.sleep(0.5)  # of virtual time: what was reckoned before they came is old then
        waits = [(await found.get(f"/v1/tasks/{t}/why"))["estimated_wait_ms"] for t in (mine, last)]
        assert waits[0] * 5 < waits[1]

    scene(act)
