"""/openapi.json says what the API takes and answers: all of it, and nothing else."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
from jsonschema import Draft202012Validator

from tests.shell.virtual import run_virtual
from tests.surface import api_doc
from tests.surface.conforming import Contract, told
from tests.surface.world import Api, api, play
from ygg.api.documents import DOCUMENTS
from ygg.api.openapi.answers import ANSWERS
from ygg.api.openapi.document import missing, statuses
from ygg.api.queries import QUERIES
from ygg.desk import VERBS
from ygg.model import MinuteRow
from ygg.uploads import Uploads
from ygg.verbs import JsonDict, Verb, verb

Row = Verb[..., Any]
KEYS = {key for asked in QUERIES.values() for key in asked}
#: By key: values that are good, and some that are not.
GOOD = {
    "state": "queued", "type": "chat", "priority": "HIGH", "host": "surtr", "label": "x", "caller": "anna",
    "batch": "batch-1", "limit": "7", "order": "queue", "cursor": "12", "minutes": "5", "days": "3",
    "running": "false", "probe": "true", "timeout": "0", "wait": "0", "last_event_id": "x",
}  # fmt: skip
BAD = {
    "state": "lost", "priority": "9", "limit": "0", "order": "up", "cursor": "x", "minutes": "0", "days": "15",
    "running": "maybe", "probe": "2", "timeout": "-1", "wait": "soon",
}  # fmt: skip


@pytest.fixture(scope="module")
def document() -> JsonDict:
    return told()


@pytest.fixture(scope="module")
def contract(document: JsonDict) -> Contract:
    return Contract(document)


def _operations(document: JsonDict) -> dict[str, JsonDict]:
    found = [op for methods in document["paths"].values() for op in methods.values()]
    return {op["operationId"]: op for op in found}


def asking(rows: tuple[Row, ...] = VERBS) -> Any:
    return pytest.mark.parametrize("verb", rows, ids=lambda v: v.name)


# --- whole ----------------------------------------------------------------------------------------


def test_every_verb_is_described() -> None:
    assert missing(VERBS) == []
    names = {v.name for v in VERBS}
    for table, kind in ((ANSWERS, None), (QUERIES, "query"), (DOCUMENTS, "doc")):
        needed = {v.name for v in VERBS if kind is None or kind in v.takes}
        assert (set(table), needed <= names) == (needed, True), "a verb that is gone, or takes none"


def test_a_new_verb_without_its_description_is_told_what_it_needs() -> None:
    @verb("POST /v1/tasks/{task_id}/echo", "tasks.echo", "query", "doc")
    def echo(self: Any, task_id: str) -> dict[str, Any]:
        return {}

    assert missing([echo]) == [
        "echo: say what it answers, in ANSWERS of ygg/api/openapi/answers.py",
        "echo: say what it may be asked, in QUERIES of ygg/api/queries.py",
        "echo: name its document, in DOCUMENTS of ygg/api/documents.py",
    ]


def test_the_document_is_sound(document: JsonDict) -> None:
    assert document["openapi"] == "3.1.0"
    schemas = document["components"]["schemas"]
    for schema in schemas.values():
        Draft202012Validator.check_schema(schema)
    text = repr(document)
    named = {part.partition("'")[0] for part in text.split("#/components/schemas/")[1:]}
    assert named <= schemas.keys()
    assert "$defs" not in text


@asking()
def test_an_operation_says_what_its_row_says(verb: Row, document: JsonDict) -> None:
    told = document["paths"][verb.path][verb.method.lower()]
    assert told["operationId"] == verb.name
    assert told["x-ygg-scope"] == (verb.needs or None)
    assert bool(told["security"]) == bool(verb.needs)
    assert len(told["summary"]) > 10
    assert told["summary"][0].isupper()
    places = [(p["in"], p["required"]) for p in told["parameters"]]
    assert places.count(("path", True)) == bool(verb.key)
    assert ("requestBody" in told) == (not {"doc", "upload"}.isdisjoint(verb.takes))
    assert str(verb.status) in told["responses"]


def test_it_is_served_and_costs_nobody_who_does_not_ask() -> None:
    async def scene(api: Api) -> None:
        first = await api.get("/openapi.json")
        assert first["paths"].keys() == {v.path for v in VERBS}
        assert await api.handlers.described.openapi() is await api.handlers.described.openapi()

    play(scene)
    code = "import sys, ygg.daemon, ygg.api.offline; print([m for m in sys.modules if 'openapi.' in m and 'ygg' in m])"
    asked = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert asked.stdout.strip() == "[]"


# --- queries --------------------------------------------------------------------------------------


def _url(row: Row, task_id: str, batch_id: str) -> str:
    return row.path.replace("{task_id}", task_id).replace("{batch_id}", batch_id)


ASKED = tuple(v for v in VERBS if "query" in v.takes and "upload" not in v.takes)  # test_uploads.py


@asking(ASKED)
def test_a_key_is_taken_where_it_is_described_and_nowhere_else(verb: Row) -> None:
    async def scene(api: Api) -> None:
        made = await api.post("/v1/batches", {"tasks": [{"prompt": "x"}]})
        (task_id,) = made["task_ids"]
        await api.ended(task_id)
        url = _url(verb, task_id, made["batch_id"])
        for key in sorted(KEYS):
            answer = await api.http.request(verb.method, url, params={key: GOOD[key]})
            unknown = answer.status_code == 422 and f"{key}: unknown key" in answer.text
            assert unknown == (key not in QUERIES[verb.name]), (key, answer.text)
            assert unknown or answer.status_code in (200, 409), (key, answer.text)

    play(scene)


@asking(ASKED)
def test_a_value_that_is_not_as_described_is_refused(verb: Row) -> None:
    async def scene(api: Api) -> None:
        made = await api.post("/v1/batches", {"tasks": [{"prompt": "x"}]})
        url = _url(verb, made["task_ids"][0], made["batch_id"])
        for key, described in QUERIES[verb.name].items():
            bad = [BAD[key]] if key in BAD else []
            bad += [str(described["maximum"] + 1)] if "maximum" in described else []
            for value in bad:
                answer = await api.http.request(verb.method, url, params={key: value})
                assert answer.status_code == 422, (key, value, answer.text)
                assert f"{key}: " in answer.text

    play(scene)


def test_every_key_has_values_to_try() -> None:
    free = {"type", "host", "label", "caller", "batch", "last_event_id"}
    assert KEYS == GOOD.keys() == BAD.keys() | free


# --- answers --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> list[httpx.Response]:
    """The answers on the page, and those that it does not show."""
    seen: list[httpx.Response] = []
    show = api_doc._Page.show

    async def noted(self: Any, *args: Any, **more: Any) -> httpx.Response:
        seen.append(await show(self, *args, **more))
        return seen[-1]

    async def more(folder: Path) -> None:
        async with api(uploads=Uploads(folder / "ygg.db")) as found:
            seen.append(await found.http.get("/v1/snapshot"))
            seen.append(await found.http.get("/openapi.json"))
            for query in ({}, {"wait": 0}):
                files = {"file": ("a.txt", b"hello")}
                seen.append(await found.http.post("/process/file", files=files, params=query))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(api_doc._Page, "show", noted)
        api_doc.written()
    run_virtual(more(tmp_path_factory.mktemp("files")))
    return seen


def test_every_example_conforms_to_the_document(
    examples: list[httpx.Response], contract: Contract
) -> None:
    assert [
        (str(answer.request.url), wrong) for answer in examples for wrong in contract.wrong(answer)
    ] == []
    well = [a.request for a in examples if a.status_code < 300]
    shown = {contract.operation(r.method, r.url.path)["operationId"] for r in well}
    assert shown == {v.name for v in VERBS}


@asking()
def test_what_is_refused_is_refused_as_described(verb: Row, contract: Contract) -> None:
    async def scene(api: Api) -> None:
        url = verb.path.replace("{", "").replace("}", "")
        bad = [{"json": {"no such key": 1}}, {"content": b"{"}, {"json": [1]}]
        for more in bad if "doc" in verb.takes else [{}]:
            answer = await api.http.request(verb.method, url, **more)
            assert [*contract.wrong(answer)] == []
            assert answer.status_code in {verb.status, *statuses(verb)}

    play(scene)


def test_a_minute_in_which_nothing_started_conforms(contract: Contract) -> None:
    async def scene(api: Api) -> None:
        now_ms = api.house.dispatcher.loop.clock.now_ms() // 60_000 * 60_000
        row = MinuteRow("surtr", now_ms - 60_000, 12, slots=1, limit=1, running=0.0, waiting=0)
        await api.house.store.record_minutes([row])
        answer = await api.http.get("/v1/history?host=surtr")
        assert len(answer.json()["minutes"]) == 1
        assert [*contract.wrong(answer)] == []

    play(scene)


def test_a_document_names_one_kind_of_work(contract: Contract) -> None:
    def fits(**document: Any) -> bool:
        return not [*contract.of({"$ref": "#/components/schemas/TaskDocument"}, document)]

    assert fits(prompt="x")
    assert fits(prompt="x", messages=None)
    assert not fits(title="x")
    assert not fits(prompt="x", input="y")
