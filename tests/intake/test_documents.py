"""Documents that become tasks: good in odd spellings, refused with the path of what is wrong."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.surface.world import HELLO, config
from ygg.api.documents import BulkSubmit, NewPriority
from ygg.errors import InvalidInput
from ygg.intake.checking import parse
from ygg.intake.ids import Ids, new_id
from ygg.intake.schemas import AsyncSubmit, TaskDocument
from ygg.intake.tasks import async_task, new_task
from ygg.model import GpuNeed, NewTask, Operation, Priority

NOW = 1_800_000_000_000  # 2027-01-15T08:00:00Z
CONFIG = config()


def made(**fields: Any) -> NewTask:
    return new_task({"prompt": "hello", **fields}, CONFIG, caller="local", now_ms=NOW)


def refusal(doc: object) -> str:
    with pytest.raises(InvalidInput) as caught:
        new_task(doc, CONFIG, caller="local", now_ms=NOW)
    hint = caught.value.hint
    return caught.value.message + (f" | {hint}" if hint else "")


def test_a_document_becomes_a_task_with_every_field() -> None:
    task = made(
        type="chat", priority="high", title=" A title ", labels=["a", "b"], model="m", host="fenrir",
        system="Be brief.", max_tokens=5, temperature=0.5, options={"seed": 1}, timeout="10m",
        idempotency_key="k", retention="30d", gpu="required", content_type="text/plain",
    )  # fmt: skip
    assert (task.lane.type, task.lane.host, task.lane.model) == ("chat", "fenrir", "m")
    assert (task.lane.gpu, task.lane.caller) == (GpuNeed.REQUIRED, "local")
    assert (task.priority, task.operation) == (Priority.HIGH, Operation.CHAT)
    assert (task.title, task.labels) == ("A title", ("a", "b"))
    assert (task.timeout_s, task.retention_s) == (600.0, 30 * 86400.0)
    assert (task.idempotency_key, task.content_type) == ("k", "text/plain")
    assert task.request == {
        "messages": HELLO, "system": "Be brief.", "max_tokens": 5, "temperature": 0.5,
        "options": {"seed": 1},
    }  # fmt: skip


def test_generate_keeps_the_bare_prompt() -> None:
    task = made(operation="generate")
    assert (task.operation, task.request) == (Operation.GENERATE, {"prompt": "hello"})


def test_a_prompt_to_complete_is_kept_as_it_is() -> None:
    task = made(operation="complete", max_tokens=3)
    assert (task.operation, task.request) == (
        Operation.COMPLETE,
        {"prompt": "hello", "max_tokens": 3},
    )


@pytest.mark.parametrize("texts", ["a", ["a", "b"]])
@pytest.mark.parametrize("named", [{}, {"operation": "embed"}])
def test_input_is_embedded_whether_that_is_named_or_not(texts: Any, named: Any) -> None:
    task = new_task({"input": texts, **named}, CONFIG, caller="local", now_ms=NOW)
    assert (task.operation, task.request) == (Operation.EMBED, {"input": texts})


def test_a_message_that_only_calls_tools_may_have_null_for_its_text() -> None:
    calls = [{"id": "1", "function": {"name": "f", "arguments": "{}"}}]
    messages = [*HELLO, {"role": "assistant", "content": None, "tool_calls": calls}]
    stored = new_task({"messages": messages}, CONFIG, caller="l", now_ms=NOW).request["messages"]
    assert stored == messages


@pytest.mark.parametrize("more", [{}, {"tool_calls": []}, {"images": ["x"]}])
def test_no_other_message_may(more: Any) -> None:
    messages = [*HELLO, {"role": "assistant", "content": None, **more}]
    with pytest.raises(InvalidInput, match="text or a list of parts"):
        new_task({"messages": messages}, CONFIG, caller="l", now_ms=NOW)


def test_messages_are_passed_on_as_they_are() -> None:
    messages = [
        {"role": "system", "content": "x"},
        {"role": "user", "content": [{"type": "text", "text": "y"}]},
        {"role": "assistant", "content": "", "tool_calls": [{"id": "1"}]},
    ]
    doc = {"messages": messages}
    assert new_task(doc, CONFIG, caller="l", now_ms=NOW).request == doc


@pytest.mark.parametrize(
    ("given_", "wanted"),
    [(0, 0), ("3", 3), ("CRITICAL", 0), ("backlog", 4), ("High", 1)],
)
def test_priorities_are_numbers_or_names(given_: object, wanted: int) -> None:
    assert made(priority=given_).priority == wanted


@pytest.mark.parametrize(
    ("given_", "seconds"),
    [(90, 90), (0.5, 0.5), ("90", 90), ("10m", 600), ("1h30m", 5400), ("7d", 7 * 86400)],
)
def test_timeouts_are_seconds_or_durations(given_: object, seconds: float) -> None:
    assert made(timeout=given_).timeout_s == seconds


@pytest.mark.parametrize(
    ("given_", "at"),
    [
        ("10m", NOW + 600_000),
        (600, NOW + 600_000),
        ("14d", NOW + 14 * 86_400_000),
        ("2027-01-15T09:00:00Z", NOW + 3_600_000),
        ("2027-01-15T09:00", NOW + 3_600_000),
        ("2027-01-15T10:00+01:00", NOW + 3_600_000),
        ("2027-01-16", NOW + 16 * 3_600_000),
        ("20270115T090000Z", NOW + 3_600_000),
    ],
)
def test_times_are_iso_or_durations_from_now(given_: object, at: int) -> None:
    assert made(not_before=given_).not_before_ms == at
    assert made(deadline=given_).deadline_ms == at


@pytest.mark.parametrize(
    ("doc", "message"),
    [
        ([], "expected a JSON object"),
        ({}, "expected either prompt or messages"),
        ({"prompt": "x", "messages": HELLO}, "expected either prompt or messages"),
        ({"prompt": ""}, "prompt: is empty"),
        ({"prompt": " \n"}, "prompt is empty"),
        ({"prompt": 7}, "prompt: expected text, got 7"),
        ({"messages": []}, "messages: is empty"),
        ({"messages": [{"role": "user", "content": "  "}]}, "messages: every message is empty"),
        ({"messages": [{"content": "x"}]}, "messages[0].role: is missing"),
        ({"messages": [*HELLO, {"role": "user", "content": None}]}, "messages[1].content: expected text"),
        ({"prompt": "x", "promt": "y"}, "promt: unknown key, did you mean prompt?"),
        ({"prompt": "x", "zzz": 1}, "zzz: unknown key"),
        ({"prompt": "x", "priority": 5}, "priority: expected 0 to 4 or CRITICAL, HIGH, NORMAL, LOW, BACKLOG, got 5"),
        ({"prompt": "x", "priority": -1}, "priority: expected 0 to 4 or CRITICAL, HIGH, NORMAL, LOW, BACKLOG, got -1"),
        ({"prompt": "x", "priority": True}, "priority: expected 0 to 4 or CRITICAL, HIGH, NORMAL, LOW, BACKLOG, got true"),
        ({"prompt": "x", "priority": "urgent"}, "priority: expected 0 to 4 or CRITICAL, HIGH, NORMAL, LOW, BACKLOG, got 'urgent'"),
        ({"prompt": "x", "max_tokens": 0}, "max_tokens:"),
        ({"prompt": "x", "max_tokens": 1_000_001}, "max_tokens:"),
        ({"prompt": "x", "max_tokens": "9"}, "max_tokens: expected a whole number, got '9'"),
        ({"prompt": "x", "temperature": 5.1}, "temperature:"),
        ({"prompt": "x", "temperature": float("nan")}, "temperature: nan is no number"),
        ({"prompt": "x", "options": {"a": [float("inf")]}}, "options.a[0]: inf is no number"),
        ({"prompt": "x", "options": {"n": 2**64}}, "options.n: the number is outside"),
        ({"prompt": "x", "timeout": 0}, "timeout: out of range"),
        ({"prompt": "x", "timeout": -5}, "timeout: out of range"),
        ({"prompt": "x", "timeout": "8d"}, "timeout: expected at most 7 days"),
        ({"prompt": "x", "timeout": "soon"}, "timeout: no duration: 'soon'"),
        ({"prompt": "x", "timeout": False}, "timeout: expected a time or a duration"),
        ({"prompt": "x", "not_before": "18:00"}, "not_before: expected a time such as"),
        ({"prompt": "x", "not_before": "2027-02-30"}, "not_before: expected a time such as"),
        ({"prompt": "x", "not_before": "9999-12-31T23:59-23:59"}, "not_before: more than ten years"),
        ({"prompt": "x", "deadline": "2026-01-01"}, "deadline: it has already passed"),
        ({"prompt": "x", "deadline": "1h", "not_before": "2h"}, "deadline: it is before not_before"),
        ({"prompt": "x", "title": "t" * 501}, "title:"),
        ({"prompt": "x", "labels": ["l"] * 33}, "labels:"),
        ({"prompt": "x", "labels": ["l" * 65]}, "labels[0]:"),
        ({"prompt": "x", "labels": "one"}, "labels: expected a list, got 'one'"),
        ({"prompt": "x", "idempotency_key": "k" * 201}, "idempotency_key:"),
        ({"prompt": "x", "idempotency_key": ""}, "idempotency_key:"),
        ({"prompt": "x", "gpu": "maybe"}, "gpu:"),
        ({"prompt": "x", "operation": "draw"}, "operation:"),
        ({"prompt": "x", "operation": "embed"}, "operation embed needs input"),
        ({"messages": HELLO, "operation": "complete"}, "operation complete needs prompt"),
        ({"messages": HELLO, "operation": "generate"}, "operation generate needs prompt"),
        ({"input": "x", "operation": "chat"}, "operation chat needs messages"),
        ({"input": "x", "prompt": "x"}, "expected either prompt or messages, or input"),
        ({"input": " "}, "input: expected text or a list of texts, none of them empty"),
        ({"input": []}, "input: expected text or a list of texts"),
        ({"input": ["x", ""]}, "input: expected text or a list of texts"),
        ({"input": [["x"]]}, "input: expected text or a list of texts"),
        ({"input": ["x"] * 1001}, "input: expected at most 1000 texts"),
        ({"input": "x", "system": "y"}, "operation embed takes no system"),
        ({"input": "x", "max_tokens": 9}, "operation embed takes no max_tokens"),
        ({"input": "x", "temperature": 0.1}, "operation embed takes no temperature"),
        ({"prompt": "x", "operation": "complete", "system": "y"}, "operation complete takes no system"),
        ({"prompt": "a\0b"}, "prompt: holds a NUL byte"),
        ({"prompt": "x", "labels": ["\ud800"]}, "labels[0]: holds a lone surrogate"),
        ({"prompt": "x", "options": {"a\0": 1}}, "options: holds a NUL byte"),
        ({"prompt": "x", "host": "fenriir"}, "host: no host 'fenriir' in the configuration | did you mean fenrir?"),
        ({"prompt": "x", "model": "nomodel"}, "model: no host has 'nomodel' | models: m"),
        ({"prompt": "x", "model": "m:8b"}, "model: no host has 'm:8b' | models: m"),
        ({"prompt": "x", "model": "mm", "host": "fenrir"}, "model: host fenrir does not have 'mm' | did you mean m?"),
        ({"prompt": "x", "model": "q", "gpu": "never"}, "model: no host has 'q'"),
        ({"prompt": "x", "model": "m", "gpu": "never"}, "gpu: never, but no CPU host runs type general with m"),
        ({"prompt": "x", "host": "odin"}, "host: no host 'odin' in the configuration | hosts: surtr, fenrir"),
    ],
)  # fmt: skip
def test_bad_documents_are_refused_with_the_path_of_what_is_wrong(
    doc: object, message: str
) -> None:
    assert refusal(doc).startswith(message)


def test_every_problem_of_a_document_is_named_at_once() -> None:
    told = refusal({"prompt": "x", "priority": 9, "max_tokens": 0, "title": 3})
    assert [p.split(":")[0] for p in told.split("; ")] == ["priority", "title", "max_tokens"]
    assert "pydantic" not in told


EVERY = {
    "messages": None, "input": None, "operation": None, "type": None, "system": None, "title": None,
    "priority": None, "labels": None, "model": None, "host": None, "max_tokens": None,
    "temperature": None, "options": None, "not_before": None, "deadline": None, "gpu": None,
    "idempotency_key": None, "retention": None, "content_type": None, "timeout": None, "cache": None, "coalesce": None,
}  # fmt: skip


def test_null_means_not_set_for_every_key() -> None:
    assert {*EVERY, "prompt"} == {*TaskDocument.model_fields}
    bare, nulls = made(), made(**EVERY)
    assert replace(nulls, id=bare.id, body_hash=bare.body_hash) == bare
    doc = {"agent_type": "general", "messages": HELLO}
    unset = dict.fromkeys(AsyncSubmit.model_fields.keys() - doc.keys())
    bare, nulls = (async_task({**doc, **m}, CONFIG, caller="l", now_ms=NOW) for m in ({}, unset))
    assert replace(nulls, id=bare.id, body_hash=bare.body_hash) == bare
    assert parse(BulkSubmit, {"tasks": [], "atomic": None}).atomic is False


def test_a_whole_float_means_the_number() -> None:
    task = made(priority=1.0, max_tokens=5.0, temperature=1, timeout=60.0, retention=90.0)
    assert (task.priority, task.request["max_tokens"]) == (Priority.HIGH, 5)
    assert isinstance(task.request["max_tokens"], int)
    assert (task.timeout_s, task.retention_s) == (60, 90)
    assert parse(NewPriority, {"priority": 3.0}).priority == 3
    for wrong in ({"max_tokens": 5.5}, {"priority": 1.5}):
        assert "expected" in refusal({"prompt": "x", **wrong})


@pytest.mark.parametrize(
    "model", ["m", "M", "m:latest", "library/m", "registry.ollama.ai/library/m:latest"]
)
def test_every_spelling_of_a_model_is_taken(model: str) -> None:
    assert made(model=model).lane.model == model


def test_many_problems_are_few_errors() -> None:
    began = time.thread_time()
    for doc in (
        {"prompt": "x", **{f"k{n}": n for n in range(15_000)}},
        {"messages": [{"role": 3}] * 9000},
        {"messages": HELLO, "labels": [3] * 19_000},
    ):
        assert len(refusal(doc).split("; ")) <= 40
    assert time.thread_time() - began < 1
    assert "more than 20,000 values" in refusal({"prompt": "x", "options": {"a": [1] * 30_000}})
    assert "longer than 16,777,216 characters" in refusal({"prompt": "x" * (1 << 24)})


def test_unknown_keys_beyond_those_told_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    given, validate = [], TaskDocument.model_validate

    def seen(doc: Any) -> Any:
        given.append(doc)
        return validate(doc)

    monkeypatch.setattr(TaskDocument, "model_validate", seen)
    refusal({**{f"k{n}": n for n in range(1000)}, "prompt": "x"})
    assert len(given[0]) == 21
    assert "prompt" in given[0]


def test_nesting_no_one_needs_is_refused() -> None:
    deep: Any = 1
    for _ in range(100):
        deep = [deep]
    assert "nested deeper than 64 levels" in refusal({"prompt": "x", "options": {"a": deep}})


def test_a_huge_key_is_cut_in_the_answer() -> None:
    assert len(refusal({"prompt": "x", "k" * 1_000_000: 1})) < 500
    assert len(refusal({"prompt": "x", "options": {"k" * 1_000_000: "\0"}})) < 500


def test_a_prompt_of_ten_megabytes_is_taken_whole() -> None:
    text = "ä" * 5_000_000
    assert made(prompt=text).request["messages"][0]["content"] == text


def test_the_hash_is_of_the_meaning_not_of_the_order_of_keys() -> None:
    def hashed(**doc: str) -> str:
        return new_task({**doc, "idempotency_key": "k"}, CONFIG, caller="l", now_ms=NOW).body_hash

    assert hashed(prompt="x", title="t") == hashed(title="t", prompt="x")
    assert hashed(prompt="x", title="t") != hashed(prompt="x", title="u") != ""


def test_the_short_timeout_is_for_the_missions_endpoint_alone() -> None:
    doc = {"agent_type": "general", "messages": HELLO}
    assert async_task(doc, CONFIG, caller="l", now_ms=NOW).timeout_s == 60.0
    assert made().timeout_s is None


# --- ids ------------------------------------------------------------------------------------------


@given(st.integers(0, 2**44), st.integers(0, 2**44), st.integers(0, 2**32))
def test_ids_sort_by_time(one: int, two: int, chance: int) -> None:
    first, second = new_id(one, chance), new_id(two, chance)
    assert (first < second) == (one < two)
    assert len(first) == 16
    assert set(first) <= set("0123456789abcdefghjkmnpqrstvwxyz-")


def test_ids_of_one_millisecond_never_meet_and_differ_in_their_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(os, "urandom", lambda n: b"\xff" * n)
    ids = Ids()
    assert len({ids.new(NOW)[-4:] for _ in range(10_000)}) == 10_000
