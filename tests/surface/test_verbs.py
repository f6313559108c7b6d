"""Every row of the table is a route, a verb of the client and one of the offline desk; all say the same."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Iterator
from io import BytesIO
from operator import attrgetter
from pathlib import Path
from typing import Any

import pytest

from tests.surface.world import config, served
from ygg.api import app as app_module
from ygg.api.callers import LOCAL, Caller
from ygg.api.handlers import Handlers
from ygg.api.offline import Offline, OfflineControl
from ygg.api.routes import Routes
from ygg.api.tasks import Tasks
from ygg.client import Remote
from ygg.desk import VERBS, Desk
from ygg.errors import NotFound
from ygg.multipart import Form
from ygg.stores.memory import MemoryStore
from ygg.verbs import Verb, verb

Row = Verb[..., Any]
ON_DESKS = [v for v in VERBS if not v.off_desk]
SAMPLES: dict[str, Any] = {
    "task_id": "no such ö?task%2", "host": "surtr", "docs": [{"prompt": "ö"}], "ids": ["a", "b"],
    "states": ["failed"], "timeout_s": 0.25, "priority": "HIGH", "minutes": 5, "days": 3,
    "atomic": True, "brief": True, "running": False, "probe": False, "type": "chat", "label": "ö", "name": "anna",
    "batch_id": "batch-ö", "wait": 2.5, "limit": 7, "form": Form({"gpu": "true"}, BytesIO(b"x"), "ö.txt"),
    "more": {"scope": "read"}, "max_age_s": 300.5,
    "query": {"state": ["queued", "failed"], "type": "chat", "label": None, "limit": 7},
}  # fmt: skip


def handlers() -> Handlers:
    store = MemoryStore()
    return Handlers(OfflineControl(store, store, config(), dict), config)


def verbs(rows: list[Row] | tuple[Row, ...] = VERBS) -> Any:
    return pytest.mark.parametrize("verb", rows, ids=lambda v: v.name)


def test_the_routes_are_the_table() -> None:
    routes = Routes(VERBS)
    for row in VERBS:
        target = "retry" if row.key else None  # a word of other paths, too
        path = row.path.replace(f"{{{row.key}}}", "retry")
        assert routes.find(row.method, path) == (row, target)
        if row.method == "GET":
            assert routes.find("HEAD", path) == (row, target)
    assert len({v.route for v in VERBS}) == len({v.name for v in VERBS}) == len(VERBS)
    assert {v.name for v in vars(Desk).values() if isinstance(v, Verb)} == {
        v.name for v in ON_DESKS
    }


@verbs()
def test_a_row_names_a_handler_that_takes_what_the_row_gives(verb: Row) -> None:
    handler = attrgetter(verb.handler)(handlers())
    assert inspect.iscoroutinefunction(handler)
    key = [verb.key] if verb.key else []
    assert [*inspect.signature(handler).parameters] == [*key, *verb.takes]


@verbs()
def test_a_row_is_a_verb_of_desks_or_says_why_not(verb: Row) -> None:
    assert (getattr(Desk, verb.name, None) is verb) == (not verb.off_desk)
    assert verb.off_desk == "" or len(verb.off_desk) > 20
    assert verb.off_desk or "doc" not in verb.takes or "query" not in verb.takes


# --- the same request, however it comes -----------------------------------------------------------


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """What reaches the handlers, all of which find nothing."""
    found: list[tuple[Any, ...]] = []

    async def of(
        self: Handlers,
        verb: Row,
        target: str | None,
        given: dict[str, Any],
        caller: Caller = LOCAL,
    ) -> Any:
        assert caller == LOCAL
        found.append((verb.name, target, {k: _text(v) for k, v in given.items()}))
        if not verb.streams:
            raise NotFound("as every handler says here", hint="look elsewhere")
        return _one_end()

    monkeypatch.setattr(Handlers, "of", of)
    return found


async def _one_end() -> AsyncIterator[dict[str, Any]]:
    yield {"event": "piece", "content": "ö", "thinking": ""}
    yield {"event": "end", "state": "completed"}


def _text(value: Any) -> Any:
    """Documents as they are; a query is text once it has been a URL."""
    if not isinstance(value, dict) or "tasks" in value:
        return value
    return {k: [*map(str, v)] if isinstance(v, list) else str(v).lower() for k, v in value.items()}


@pytest.fixture(scope="module")
def socket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    path = tmp_path_factory.mktemp("run") / "ygg.sock"
    with served(path):
        yield path


def _desks(socket: Path) -> list[Desk]:
    store = MemoryStore()
    offline = Offline(config(), Path("x"), lambda: (store, store.reopened()), dict, lambda: None)
    return [Desk(Remote(socket)), Desk(offline)]


def _call(desk: Desk, verb: Row) -> Any:
    """With every argument its signature has."""
    assert verb.sends is not None
    args: list[Any] = []
    more: dict[str, Any] = {}
    for name, parameter in [*inspect.signature(verb.sends).parameters.items()][1:]:
        if parameter.kind is inspect.Parameter.VAR_KEYWORD:
            more |= SAMPLES[name]
        elif parameter.kind is inspect.Parameter.KEYWORD_ONLY:
            more[name] = SAMPLES[name]
        else:
            args.append(SAMPLES[name])
    answer = getattr(desk, verb.name)(*args, **more)
    return list(answer) if verb.streams else answer


@verbs(ON_DESKS)
def test_a_request_is_the_same_over_the_socket_and_at_the_database(
    verb: Row, socket: Path, seen: list[tuple[Any, ...]]
) -> None:
    answers = []
    for desk in _desks(socket):
        try:
            answers.append(_call(desk, verb))
        except NotFound as error:
            answers.append((error.message, error.hint))
        finally:
            desk.close()
    for _, _, given in seen:
        given.update({"size": 0} if "size" in given else {})  # of a body, which only the socket has
        given.update({"upload": given["upload"].content_type} if "upload" in given else {})
    online, offline = seen
    assert online == offline
    assert online[0] == verb.name
    assert online[1] == (SAMPLES[verb.key] if verb.key else None)
    assert set(online[2]) == set(verb.takes)
    assert answers[0] == answers[1]


def test_a_new_verb_is_a_row_and_a_handler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    @verb("GET /v1/tasks/{task_id}/echo", "tasks.echo", "query")
    def echo(self: Desk, task_id: str, *, times: int = 1) -> dict[str, Any]:
        return {"times": times}

    async def handler(self: Tasks, task_id: str, query: dict[str, Any]) -> dict[str, Any]:
        return {"said": [task_id] * int(query["times"])}

    monkeypatch.setattr(Desk, "echo", echo, raising=False)
    monkeypatch.setattr(app_module, "VERBS", (*VERBS, echo))
    monkeypatch.setattr(Tasks, "echo", handler, raising=False)
    with served(tmp_path / "ygg.sock"):
        for desk in _desks(tmp_path / "ygg.sock"):
            assert desk.echo("hello", times=2) == {"said": ["hello", "hello"]}
            desk.close()


def test_what_is_none_is_not_asked_for(socket: Path, seen: list[tuple[Any, ...]]) -> None:
    for desk in _desks(socket):
        with pytest.raises(NotFound):
            desk.tuning()
        desk.close()
    assert seen == [("tuning", None, {"query": {}})] * 2


def test_a_verb_is_called_by_names_as_well_as_by_order(
    socket: Path, seen: list[tuple[Any, ...]]
) -> None:
    for desk in _desks(socket):
        with pytest.raises(NotFound):
            desk.cancel(task_id="abcd", running=False)
        desk.close()
    assert seen == [("cancel", "abcd", {"query": {"running": "false"}})] * 2


def test_the_routes_of_the_mission_are_for_its_clients_alone() -> None:
    assert {v.name for v in VERBS if v.off_desk} == {
        "async_submit", "async_submit_batch", "async_status", "async_result", "async_cancel", "async_tasks", "async_stats",
        "async_health", "healthz", "readyz", "async_dead_letters", "async_retry",
        "async_stream", "openapi", "metrics",
    }  # fmt: skip
